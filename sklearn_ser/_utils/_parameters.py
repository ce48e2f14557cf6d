"""Parameters that are asked for of estimators by name: each is set, or is an error."""

from __future__ import annotations

import difflib
import itertools
from collections.abc import Collection, Iterable, Mapping
from typing import Any

from sklearn_ser.exceptions import ArgumentError

__all__ = ["refuse_without_effect", "set_where_taken"]


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
    told = []
    for name in without:
        near = difflib.get_close_matches(name, {*allowed, *others} - {name}, n=1)
        told.append(f"{name!r}" + (f" (did you mean {near[0]!r}?)" if near else ""))
    there = "; ".join(
        f"{name} takes {', '.join(dict.fromkeys(its)) or 'none'}" for name, its in taken.items()
    )
    raise ArgumentError(
        f"{', '.join(told)} would have no effect: none of the feature sets takes it. "
        + (there or "Embedders that are given ready-made are used as they are")
        + "."
    )


def set_where_taken(estimator: Any, parameters: Mapping[str, Any]) -> None:
    """Set those of the parameters that an estimator has."""
    known = estimator.get_params()
    estimator.set_params(**{name: value for name, value in parameters.items() if name in known})
