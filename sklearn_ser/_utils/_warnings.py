"""Warnings that name the user's line, however many calls lie between."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["interrupted_by_ctrl_c", "warn"]

# Packages through which this one is called: their lines tell a user nothing.
BETWEEN = ("sklearn_ser", "sklearn", "joblib")


def warn(message: str | Warning, category: type[Warning] = UserWarning) -> None:
    """Warn as of the nearest line that is neither this package's nor scikit-learn's.

    Parameters
    ----------
    message : str or Warning
    category : class of warning
    """
    frame = sys._getframe(1)
    while frame.f_back and str(frame.f_globals.get("__name__")).partition(".")[0] in BETWEEN:
        frame = frame.f_back
    warnings.warn_explicit(
        message,
        category,
        filename=frame.f_code.co_filename,
        lineno=frame.f_lineno,
        module=frame.f_globals.get("__name__"),
        registry=frame.f_globals.setdefault("__warningregistry__", {}),
    )


@contextmanager
def interrupted_by_ctrl_c() -> Iterator[None]:
    """Let Ctrl-C end a fit, which scikit-learn's networks take for the end of their training."""
    with warnings.catch_warnings():
        warnings.filterwarnings("error", "Training interrupted by user", UserWarning)
        try:
            yield
        except UserWarning as error:
            if isinstance(error.__context__, KeyboardInterrupt):
                raise error.__context__ from None
            raise
