"""Ratings (arousal, valence, dominance) as what is predicted: told from emotions, and checked."""

from __future__ import annotations

from collections.abc import Collection
from numbers import Real
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from sklearn_ser._utils._labels import as_labels
from sklearn_ser._utils._rows import as_list, refuse_missing, rows_named


def are_ratings(values: Any) -> bool:
    """Tell whether targets are ratings (arousal, valence, dominance): of a floating dtype.

    Integers are codes as well as ratings, and numbers as objects or text are anything: ratings are
    floats, whatever their values. Of a list, all values are numbers, and one or more a float.

    Parameters
    ----------
    values : array-like of shape (n_clips,)
    """
    dtype = getattr(values, "dtype", None)
    if isinstance(dtype, (np.dtype, pd.api.extensions.ExtensionDtype)):
        return pd.api.types.is_float_dtype(dtype)
    given = as_list(values)
    is_number = [isinstance(v, Real) and not isinstance(v, (bool, np.bool_)) for v in given]
    return all(is_number) and any(isinstance(v, (float, np.floating)) for v in given)


def as_ratings(values: Any, name: str = "y") -> npt.NDArray[np.float64]:
    """Return ratings as float64.

    Parameters
    ----------
    values : array-like of shape (n_clips,)
        Of which `are_ratings` is true.
    name : str
        What they are called, for errors.

    Raises
    ------
    ValueError
        If ratings are missing or infinite, or a clip has several.
    """
    given = as_list(values)
    if any(isinstance(value, Collection) for value in given):
        raise ValueError(f"{name} holds several ratings a clip. Choose one of them.")
    refuse_missing(given, name, "rating")
    ratings = np.array(given, dtype=np.float64)
    if rows := np.flatnonzero(~np.isfinite(ratings)).tolist():
        raise ValueError(
            f"{name}: {len(rows)} of {len(given)} clips have an infinite rating "
            f"({rows_named(rows)}). Leave these clips out."
        )
    return ratings


def as_targets(values: Any, name: str = "y") -> npt.NDArray[Any]:
    """Return ratings as float64 where these are ratings, and else emotion labels as text."""
    return as_ratings(values, name) if are_ratings(values) else as_labels(values, name)
