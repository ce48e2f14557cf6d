"""Clips in lists, arrays and columns of frames: where they are, and copies put after them.

Used by :class:`~sklearn_ser.preprocessing.AudioAugmenter`.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from sklearn_ser._audio import SEGMENT_FIELDS, is_numeric_batch
from sklearn_ser._utils import safe_indexing

__all__ = ["append_copies", "find_clip_column", "renumber", "segment_columns"]

COLUMNS = ("path", "clip", "audio")  # what a frame's column of clips may be called


def find_clip_column(X: Any, column: str | None) -> str | None:
    """Return the name of the column of clips, or None if X is no frame."""
    if not (hasattr(X, "columns") and hasattr(X, "shape")):
        if column is not None:
            raise ValueError(
                f"column={column!r} has no effect: X is no frame, but a {type(X).__name__}."
            )
        return None
    names = list(X.columns)
    found = [name for name in COLUMNS if name in names] if len(names) > 1 else names
    if column is not None:
        found = [name for name in names if name == column]
    if not found:
        raise ValueError(
            f"X has no column of clips called {column or ', '.join(COLUMNS)}, only {names}. Set "
            "column to the one that holds paths or waveforms."
        )
    return found[0]


def segment_columns(X: Any, column: str | None) -> list[str]:
    """Return the columns of a frame that say which part of a recording a clip is."""
    return [field for field in SEGMENT_FIELDS if column == "path" and field in X.columns]


def append_copies(
    X: Any, column: str | None, items: list[Any], rows: npt.NDArray[np.intp], copies: list[Any]
) -> Any:
    """Return rows of X, the last of them with copies in place of their clips.

    Parameters
    ----------
    X : sequence of n_clips clips, frame, or ndarray of shape (n_clips, n_samples)
    column : str or None
        The column of clips, if X is a frame.
    items : list of n_clips clips
    rows : ndarray of shape (n_clips + n_copies,)
        Of X: all, and that of each copy.
    copies : list of n_copies clips
    """
    if column is not None:
        frame = renumber(safe_indexing(X, rows))
        if not copies:
            return frame
        clips = _series_like(X[column], [*X[column].to_list(), *copies])
        parts = [
            _series_like(X[field], [*X[field].to_list(), *[None] * len(copies)])
            for field in segment_columns(X, column)
        ]
        if not isinstance(frame, pd.DataFrame):
            return frame.with_columns(clips, *parts)
        for series in (clips, *parts):
            frame[series.name] = series
        return frame
    clips = [*items, *copies]
    if hasattr(X, "to_list") and hasattr(X, "dtype"):
        return _series_like(X, clips)
    if not isinstance(X, np.ndarray):
        return clips
    array = np.empty(len(clips), dtype=object)
    for i, clip in enumerate(clips):  # at once, equally long waveforms would become 2-D
        array[i] = clip
    return array if is_numeric_batch(X) else array.reshape(-1, *X.shape[1:])


def _series_like(like: Any, values: list[Any]) -> Any:
    """Return a Series of the same name, and of the same library."""
    if isinstance(like, pd.Series):
        return pd.Series(values, name=like.name)
    import polars

    try:
        return polars.Series(like.name, values)
    except TypeError:  # not all are of one kind
        return polars.Series(like.name, values, dtype=polars.Object)


def renumber(values: Any) -> Any:
    """Return values with a new index, if they have one."""
    return values.reset_index(drop=True) if hasattr(values, "reset_index") else values
