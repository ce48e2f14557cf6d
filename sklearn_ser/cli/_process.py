"""The command line as a process: signals, warnings, and which errors are the user's."""

from __future__ import annotations

import argparse
import sys
import warnings
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NoReturn

from sklearn_ser._signals import handled_signals, uninterrupted
from sklearn_ser.exceptions import ArgumentError

__all__ = [
    "Interrupted",
    "can_be_mended",
    "interruptible",
    "one_line",
    "printed_warnings",
    "uninterrupted",
    "what_is_kept",
]


class Interrupted(KeyboardInterrupt):
    """A signal asks the command to stop; libraries clean up as they do on Ctrl-C.

    Parameters
    ----------
    number : int
        The signal's number.
    """

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


def _stop(number: int, frame: Any) -> NoReturn:
    raise Interrupted(number)


@contextmanager
def interruptible() -> Iterator[None]:
    """Raise `Interrupted` on Ctrl-C and on SIGTERM."""
    with handled_signals(_stop):
        yield


def what_is_kept(options: argparse.Namespace) -> str:
    """Return what an interrupted command leaves, and where the same command would start."""
    cache = getattr(options, "cache", None) or options.default_cache
    results = options.results or "no results are written"
    kept = []
    if cache != "none":
        from sklearn_ser._store import Store

        kept.append(f"clip records in {Store(cache).folder}")
    if options.fits is not None and options.fits.is_dir():
        kept.append(f"finished fits in {options.fits}")
    if not kept:
        return f"no clip records are kept, so that the same command starts again; {results}"
    return f"{' and '.join(kept)} are kept, and the same command goes on from there; {results}"


@contextmanager
def printed_warnings() -> Iterator[None]:
    """Print each distinct warning on one line, with its number, when the command ends."""
    counts: Counter[str] = Counter()

    def count(message: Warning | str, category: type[Warning], *_: Any, **__: Any) -> None:
        counts[one_line(message) or category.__name__] += 1

    with warnings.catch_warnings():
        # All that no filter of Python's or of the user's names, each time, so that they count.
        warnings.simplefilter("always", append=True)
        warnings.showwarning = count
        try:
            yield
        finally:
            for text, n in counts.items():
                print(f"warning: {text}" + (f" ({n} times)" if n > 1 else ""), file=sys.stderr)


def one_line(message: object) -> str:
    return " ".join(str(message).split())


def can_be_mended(error: Exception) -> bool:
    """Tell whether the user can mend what is wrong: values, files, arguments, missing packages.

    All else is a bug of ours, or of an embedder of the user's own, which needs its traceback.
    """
    if isinstance(error, ImportError):
        return not (error.name or "").startswith("sklearn_ser")
    return isinstance(error, (ValueError, OSError, ArgumentError))
