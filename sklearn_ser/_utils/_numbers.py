"""Numbers as parameters: True and False are none, though Python counts them as 1 and 0."""

from __future__ import annotations

from numbers import Integral, Real
from typing import Any

import numpy as np

from sklearn_ser._utils._sklearn import Interval

__all__ = [
    "COUNT",
    "HIGHEST_RATE",
    "LOWEST_RATE",
    "POSITIVE",
    "RATE",
    "SECONDS",
    "SLOWEST",
    "WAVEFORM_RATE",
    "WHOLE_NUMBER",
    "Number",
    "check_number",
    "is_number",
]

# Hz, of a file or a model: below it there is no speech, and at 1 Hz a short file would last hours.
LOWEST_RATE, HIGHEST_RATE = 1000, 1_000_000
# Hz, of a waveform: resampled from less, a few samples would fill memory.
SLOWEST = 20


def is_number(value: Any, kind: type = Real) -> bool:
    """Tell whether a value is a number of a kind (`Real`, `Integral`), and not True or False."""
    return isinstance(value, kind) and not isinstance(value, (bool, np.bool_))


class Number(Interval):
    """scikit-learn's constraint of a number to an interval, without True and False.

    scikit-learn takes these for 1 and 0: ``LogisticRegression(C=True)`` is valid to it.
    """

    def is_satisfied_by(self, val: Any) -> bool:
        """Tell whether a value is such a number."""
        return is_number(val, self.type) and val in self


# Of a stretch of speech that a model sees by itself: ten frames of most models.
SECONDS = Number(Real, 0.2, None, closed="left")
POSITIVE = Number(Real, 0, None, closed="neither")
COUNT = Number(Integral, 1, None, closed="left")
WHOLE_NUMBER = Number(Integral, None, None, closed="neither")
RATE = Number(Real, LOWEST_RATE, HIGHEST_RATE, closed="both")
WAVEFORM_RATE = Number(Real, SLOWEST, HIGHEST_RATE, closed="both")


def check_number(value: Any, name: str, allowed: Number) -> None:
    """Raise a ValueError if the parameter of a function is not such a number."""
    if not allowed.is_satisfied_by(value):
        raise ValueError(f"{name}={value!r}; it must be {allowed}.")
