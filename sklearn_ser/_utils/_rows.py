"""Columns of values with one row a clip: as lists, with as many rows each, and none missing.

Used wherever labels, targets or frames of clips are checked; errors name the rows at fault.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from numbers import Number
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

N_ROWS_NAMED = 5
# What missing values become where somebody made text of them.
MISSING_AS_TEXT = frozenset(["nan", "NaN", "None", "<NA>", "NaT"])


def is_missing(values: Any) -> npt.NDArray[np.bool_]:
    """Tell which values are missing.

    None, NaN, NaT, ``pandas.NA`` and masked values of NumPy are, also where somebody made text of
    them ("nan", "None", "<NA>", "NaT"), and text without a character.

    Parameters
    ----------
    values : array-like of shape (n_clips,)

    Returns
    -------
    missing : ndarray of bool of shape (n_clips,)
    """
    return np.array([missing_value(value) for value in as_list(values)], dtype=bool)


def refuse_missing(values: Any, name: str, what: str) -> None:
    """Raise an error that says how many values are missing, and in which rows.

    Parameters
    ----------
    values : array-like of shape (n_clips,)
    name, what : str
        What they are called, and what each of them is: "y" and "label".
    """
    given = as_list(values)
    missing = np.flatnonzero(is_missing(given)).tolist()
    if missing:
        raise ValueError(
            f"{name}: {len(missing)} of {len(given)} clips have no {what} ({rows_named(missing)}). "
            "Fill these in, or leave the clips out."
        )


def refuse_masked(values: Any, name: str = "X") -> None:
    """Raise an error if an array of NumPy has masked values, as scikit-learn heeds no mask.

    Parameters
    ----------
    values : object
        A masked array of shape (n_clips, ...); anything else is left alone.
    name : str
        What it is called.
    """
    if not isinstance(values, np.ma.MaskedArray) or not values.ndim:
        return
    mask = np.asarray(np.ma.getmaskarray(values)).reshape(len(values), -1)
    rows = np.flatnonzero(mask.any(axis=1)).tolist()
    if rows:
        raise ValueError(
            f"{name}: {len(rows)} of {len(mask)} rows have masked values ({rows_named(rows)}). "
            "Fill these in, or leave the rows out."
        )


def check_lengths(**given: Any) -> None:
    """Raise an error that gives all numbers if these are not as many; None is left out."""
    counts = {name: _n_rows(values) for name, values in given.items() if values is not None}
    if len(set(counts.values())) > 1:
        counted = ", ".join(f"{name} has {count}" for name, count in counts.items())
        raise ValueError(f"one row a clip is expected in each; {counted} rows.")


def as_list(values: Any) -> list[Any]:
    """Return the values of a one-dimensional array-like."""
    single = np.isscalar(values) or getattr(values, "ndim", 1) == 0
    if isinstance(values, (str, bytes)) or single or values is None:
        raise ValueError(f"{values!r:.60} is not one value a clip, but a single one.")
    if isinstance(values, (Mapping, Set)):  # which have no order, or keys that would be taken
        raise ValueError(f"one value a clip is expected, in order; got a {type(values).__name__}.")
    for method in ("to_list", "to_pylist", "tolist"):  # pandas and polars; pyarrow; NumPy
        if hasattr(values, method):
            return _flat(getattr(values, method)(), values)
    if hasattr(values, "columns"):
        if len(values.columns) != 1:
            raise ValueError(
                f"one column is expected, one value a clip; got the columns {list(values.columns)}."
            )
        return as_list(values[values.columns[0]])
    return as_list(np.asarray(values)) if hasattr(values, "__array__") else list(values)


def _flat(given: Any, values: Any) -> list[Any]:
    """Return a list; an array of one column is flattened, as scikit-learn does with targets."""
    if getattr(values, "ndim", 1) == 2 and values.shape[1] == 1:
        return [row[0] for row in given]
    return list(given)


def missing_value(value: Any) -> bool:
    """Tell whether one value is missing; see `is_missing`."""
    if value is None or value is pd.NA or value is pd.NaT or value is np.ma.masked:
        return True
    if isinstance(value, (str, bytes)):
        text = value.decode("utf-8", "replace") if isinstance(value, bytes) else value
        return not text.strip() or text.strip() in MISSING_AS_TEXT
    if isinstance(value, np.datetime64):
        return bool(np.isnat(value))
    return isinstance(value, Number) and bool(value != value)


def _n_rows(values: Any) -> int:
    shape = getattr(values, "shape", None)  # of frames and arrays
    return int(shape[0]) if shape else len(values)


def rows_named(rows: Sequence[int]) -> str:
    """Return which rows, counted from 0, the first few by number."""
    named = ", ".join(str(row) for row in rows[:N_ROWS_NAMED])
    more = f" and {len(rows) - N_ROWS_NAMED} more" if len(rows) > N_ROWS_NAMED else ""
    return f"row{'s' if len(rows) > 1 else ''} {named}{more}, counted from 0"
