"""Parameters of estimators and functions: numbers in their intervals, names that have an effect.

True and False are no numbers here, though Python counts them as 1 and 0. Used by every estimator.
"""

from __future__ import annotations

import difflib
import importlib
import itertools
import sys
from collections.abc import Collection, Iterable, Mapping
from numbers import Integral, Real
from pathlib import Path
from typing import Any

import numpy as np

from sklearn_ser._utils._sklearn import Interval
from sklearn_ser.exceptions import ArgumentError

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


# Of a stretch of speech that is the input of a model: ten frames of most models.
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


def refuse_without_effect(
    parameters: Iterable[str], taken: Mapping[str, Collection[str]], others: Collection[str] = ()
) -> None:
    """Raise an error that names the parameters that have no effect, as no estimator takes them.

    Parameters
    ----------
    parameters : iterable of str
        Those that were asked for.
    taken : mapping of str to collection of str
        The parameters that have an effect on each estimator.
    others : collection of str
        What a name may be a misspelling of, too: the caller's own parameters.

    Raises
    ------
    ArgumentError
        A TypeError, if none of the estimators takes one of them.
    """
    allowed = set(itertools.chain(*taken.values()))
    without = [name for name in parameters if name not in allowed]
    if not without:
        return
    described = []
    for name in without:
        similar = difflib.get_close_matches(name, {*allowed, *others} - {name}, n=1)
        described.append(f"{name!r}" + (f" (did you mean {similar[0]!r}?)" if similar else ""))
    there = "; ".join(
        f"{name} takes {', '.join(dict.fromkeys(its)) or 'none'}" for name, its in taken.items()
    )
    raise ArgumentError(
        f"{', '.join(described)} would have no effect: none of the feature sets takes it. "
        + (there or "Embedders that are given ready-made are used as they are")
        + "."
    )


def set_where_taken(estimator: Any, parameters: Mapping[str, Any]) -> None:
    """Set those of the parameters that an estimator has."""
    known = estimator.get_params()
    estimator.set_params(**{name: value for name, value in parameters.items() if name in known})


def own_class(name: str, what: str) -> Any:
    """Return the class of "module:Class" or "file.py:Class"; `what` asks for it, for the error.

    The folder of the file is then on Python's path, so that other processes can import it too.
    """
    module_name, _, class_name = name.rpartition(":")
    file = Path(module_name) if module_name.endswith(".py") else None
    if file is not None:
        if not file.is_file():
            raise FileNotFoundError(f"no such file: {file}, asked for by {what} {name!r}")
        sys.path.insert(0, str(file.parent.resolve()))
        module_name = file.stem
    module = importlib.import_module(module_name)
    if file is not None and not file.samefile(module.__file__ or ""):
        raise ImportError(
            f"{file} cannot be imported: another module is called {module_name!r} "
            f"({module.__file__}). Rename the file."
        )
    if not hasattr(module, class_name):
        raise ValueError(f"{module_name} has no class {class_name}, asked for by {name!r}.")
    return getattr(module, class_name)
