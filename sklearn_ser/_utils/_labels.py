"""Emotion labels and speaker labels: taken whole, or refused with the rows that are at fault."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Collection, Sequence
from numbers import Integral, Number, Real
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

__all__ = ["as_labels", "as_speakers", "is_missing"]

Labels = npt.NDArray[np.str_]
N_ROWS_NAMED = 5
# What missing values become where somebody made text of them.
MISSING_AS_TEXT = frozenset(["nan", "NaN", "None", "<NA>", "NaT"])
# Only a number that has a fraction is a rating; "01" and "3" may be codes.
FRACTION = re.compile(r"[+-]?\d*\.\d+(?:[eE][+-]?\d+)?")
REGRESSION = (
    "Numbers are targets of a regression (arousal, valence, …), and this is classification. If "
    "they are codes of emotions, replace them by the emotions' names."
)


def is_missing(values: Any) -> npt.NDArray[np.bool_]:
    """Tell which values are missing.

    None, NaN, NaT and ``pandas.NA`` are, also where somebody made text of them ("nan", "None",
    "<NA>", "NaT"), and text without a character.

    Parameters
    ----------
    values : array-like of shape (n_clips,)

    Returns
    -------
    missing : ndarray of bool of shape (n_clips,)
    """
    return np.array([_is_missing(value) for value in _listed(values)], dtype=bool)


def as_labels(values: Any, name: str = "y") -> Labels:
    """Return emotion labels as text, each as long as it is.

    Text is taken without surrounding white space and in composed Unicode (NFC), as file systems
    and spreadsheets differ in both.

    Parameters
    ----------
    values : array-like of shape (n_clips,)
        Text or booleans: a list, an array of any dtype, a Series of pandas or polars, …
    name : str
        What they are called, for errors: "y", "the column emotion".

    Returns
    -------
    labels : ndarray of str of shape (n_clips,)

    Raises
    ------
    ValueError
        If labels are missing, hold several emotions, or are numbers: those are targets of a
        regression (arousal, valence), or codes that need names.
    """
    return _as_text(values, name, "label", _label)


def as_speakers(values: Any, name: str = "groups") -> Labels:
    """Return speaker labels as text, each as long as it is; whole numbers are taken too.

    Parameters
    ----------
    values : array-like of shape (n_clips,)
        Text or whole numbers. 3 and 3.0 are the same speaker.
    name : str
        What they are called, for errors: "groups", "the column speaker".

    Returns
    -------
    speakers : ndarray of str of shape (n_clips,)

    Raises
    ------
    ValueError
        If speakers are missing, or are neither text nor whole numbers.
    """
    return _as_text(values, name, "speaker", _speaker)


class _Refused(Exception):
    """A value that is no label: what it is instead, and what to do."""

    def __init__(self, what: str, cure: str) -> None:
        super().__init__(what, cure)


def _as_text(values: Any, name: str, what: str, convert: Callable[[Any], str]) -> Labels:
    given = _listed(values)
    missing = [i for i, value in enumerate(given) if _is_missing(value)]
    if missing:
        raise ValueError(
            f"{name}: {len(missing)} of {len(given)} clips have no {what} ({_rows(missing)}). "
            "Fill these in, or leave the clips out."
        )
    texts: list[str] = []
    refused: dict[tuple[str, str], list[int]] = {}
    for i, value in enumerate(given):
        try:
            texts.append(convert(value))
        except _Refused as refusal:
            refused.setdefault(refusal.args, []).append(i)
    for (instead, cure), rows in refused.items():
        raise ValueError(
            f"{name}: {len(rows)} of {len(given)} clips have {instead} as {what} ({_rows(rows)}; "
            f"the first is {given[rows[0]]!r:.60}). {cure}"
        )
    if what == "label" and texts and all(FRACTION.fullmatch(text) for text in texts):
        raise ValueError(
            f"{name}: all {len(given)} clips have a number as label, the first is {given[0]!r}. "
            f"{REGRESSION}"
        )
    return np.array(texts, dtype=str)


def _label(value: Any) -> str:
    if isinstance(value, Number) and not isinstance(value, (bool, np.bool_)):
        raise _Refused("a number", REGRESSION)
    return _text(value)


def _speaker(value: Any) -> str:
    if isinstance(value, Real) and not isinstance(value, (bool, np.bool_)):
        if not float(value).is_integer():
            raise _Refused("a number that is not whole", "Is it another column?")
        return str(int(value) if isinstance(value, Integral) else int(float(value)))
    return _text(value)


def _text(value: Any) -> str:
    if isinstance(value, (bytes, np.bytes_)):
        try:
            value = value.decode()
        except UnicodeDecodeError:
            raise _Refused("bytes that are not UTF-8", "Decode them.") from None
    if isinstance(value, (str, bool, np.bool_)):
        return unicodedata.normalize("NFC", str(value).strip())
    if isinstance(value, Collection) or hasattr(value, "__array__"):
        raise _Refused("several values", "One is expected: choose one, or leave these clips out.")
    raise _Refused(f"a value of type {type(value).__name__}", "Text is expected.")


def _listed(values: Any) -> list[Any]:
    """Return the values of a one-dimensional array-like."""
    if isinstance(values, (str, bytes)) or np.isscalar(values) or values is None:
        raise ValueError(f"{values!r:.60} is not one value a clip, but a single one.")
    for method in ("to_list", "to_pylist", "tolist"):  # pandas and polars; pyarrow; NumPy
        if hasattr(values, method):
            return _flat(getattr(values, method)(), values)
    if hasattr(values, "columns"):
        if len(values.columns) != 1:
            raise ValueError(
                f"one column is expected, one value a clip; got the columns {list(values.columns)}."
            )
        return _listed(values[values.columns[0]])
    return list(values)


def _flat(given: Any, values: Any) -> list[Any]:
    """Return a list; an array of one column is flattened, as scikit-learn does with targets."""
    if getattr(values, "ndim", 1) == 2 and values.shape[1] == 1:
        return [row[0] for row in given]
    return list(given)


def _is_missing(value: Any) -> bool:
    if value is None or value is pd.NA or value is pd.NaT:
        return True
    if isinstance(value, (str, bytes)):
        return not value.strip() or value in MISSING_AS_TEXT
    if isinstance(value, np.datetime64):
        return bool(np.isnat(value))
    return isinstance(value, Number) and bool(value != value)


def _rows(rows: Sequence[int]) -> str:
    """Return which rows, counted from 0, the first few by number."""
    named = ", ".join(str(row) for row in rows[:N_ROWS_NAMED])
    more = f" and {len(rows) - N_ROWS_NAMED} more" if len(rows) > N_ROWS_NAMED else ""
    return f"row{'s' if len(rows) > 1 else ''} {named}{more}, counted from 0"
