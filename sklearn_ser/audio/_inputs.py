"""What may stand for a clip, and for a collection of them."""

from __future__ import annotations

import dataclasses
import functools
import os
from collections.abc import Mapping, Sequence
from numbers import Real
from pathlib import Path
from typing import Any

import numpy as np
from scipy.sparse import issparse

from sklearn_ser.audio._clip import Clip
from sklearn_ser.audio._errors import ClipError
from sklearn_ser.audio._segments import SEGMENT_FIELDS, WHOLE, as_segment

__all__ = ["as_clip", "as_clips", "is_numeric_batch", "items_of"]

_MANY = 1 << 12  # clips: collections of more are not remembered


def as_clips(values: Sequence[Any], waveform_rate: float | None = None) -> Sequence[Clip]:
    """Return the clips that the elements of a collection describe; see `as_clip`.

    A search asks for the same collections of paths hundreds of times, so these are remembered.
    """
    if len(values) <= _MANY and all(type(value) is str for value in values):
        return _of_paths(tuple(values))
    return [as_clip(value, i, waveform_rate) for i, value in enumerate(values)]


@functools.lru_cache(maxsize=64)
def _of_paths(paths: tuple[str, ...]) -> tuple[Clip, ...]:
    return tuple(as_clip(path, i) for i, path in enumerate(paths))


def as_clip(value: Any, position: int, waveform_rate: float | None = None) -> Clip:
    """Return the :class:`Clip` that `value` describes.

    Parameters
    ----------
    value : str, Path, ndarray, (ndarray, rate) pair or dict
        A path; a 1-D waveform; a waveform with its sampling rate in Hz; or a dict with
        ``array`` and ``sampling_rate``, with ``bytes``, or with ``path``, and for a segment of
        that with ``start`` and ``end`` in seconds and ``channel``.
    position : int
        Index of the clip in its collection.
    waveform_rate : float or None
        Sampling rate of a bare waveform, in Hz.

    Returns
    -------
    clip : Clip
        If `value` is none of these, reading the clip raises the ClipError that says so.
    """
    if isinstance(value, (str, os.PathLike)) and (text := os.fspath(value)):
        return Clip(position, *_as_path(text))
    if isinstance(value, (bytes, bytearray, memoryview)):
        return Clip(position, "bytes", bytes(value))
    if isinstance(value, Mapping):
        return _from_mapping(value, position)
    if (
        isinstance(value, Sequence)
        and len(value) == 2
        and np.ndim(value[1]) == 0
        and _is_waveform(value[0])
    ):
        return _from_samples(value[0], value[1], position)
    if _is_waveform(value):
        return _from_samples(value, waveform_rate, position)
    return _no_clip(
        position,
        type(value).__name__,
        f"not a clip: {value!r:.60}",
        "Pass a path, a 1-D waveform, a (waveform, rate) pair, or a dict with array and "
        "sampling_rate, path or bytes.",
    )


@functools.lru_cache(maxsize=1 << 16)  # clips of several collections share their paths
def _as_path(text: str) -> tuple[str, Path]:
    """Return a clip's name and its path."""
    path = Path(os.path.expanduser(text))
    return path.name or str(path), path


def _no_clip(position: int, name: str, cause: str, cure: str) -> Clip:
    return Clip(position, name, ClipError(position, name, cause, cure))


def _is_waveform(value: Any) -> bool:
    return not isinstance(value, (str, bytes)) and (
        hasattr(value, "__array__") or isinstance(value, Sequence)
    )


def _from_samples(values: Any, rate: Any, position: int, name: str = "waveform") -> Clip:
    try:
        samples = np.asarray(values)
    except (ValueError, TypeError, RuntimeError) as error:
        cause = f"its samples cannot be read ({error})"
        return _no_clip(position, name, cause, "Pass a 1-D NumPy array.")
    if samples.ndim != 1:
        cause = f"a waveform must be 1-D, got shape {samples.shape}"
        cure = "Average its channels, or split a batch into a list of clips."
    elif samples.dtype.kind not in "fiu":
        cause = f"samples must be floats or integers, got dtype {samples.dtype}"
        cure = "Convert the waveform to float32."
    elif rate is None:
        cause = "a bare waveform does not tell its sampling rate"
        cure = "Set waveform_rate (in Hz), or pass (waveform, rate) pairs."
    elif isinstance(rate, bool) or not isinstance(rate, Real) or not 0 < float(rate) < float("inf"):
        cause, cure = f"its sampling rate is {rate!r}", "Give a positive number of Hz."
    else:
        return Clip(position, name, samples, float(rate))
    return _no_clip(position, name, cause, cure)


def _from_mapping(value: Mapping[str, Any], position: int) -> Clip:
    path, encoded = value.get("path"), value.get("bytes")
    name = os.path.basename(path) if isinstance(path, (str, os.PathLike)) else ""
    name = name or "audio value"
    if any(field in value for field in SEGMENT_FIELDS):
        try:
            segment = as_segment(value)
        except ValueError as error:
            return _no_clip(position, name, str(error), "Check start, end and channel.")
        rest = {field: value[field] for field in value if field not in SEGMENT_FIELDS}
        clip = _from_mapping(rest, position)
        return clip if segment == WHOLE else dataclasses.replace(clip, segment=segment)
    if value.get("array") is not None:
        if value.get("sampling_rate") is None:
            return _no_clip(position, name, "its dict has no sampling_rate", "Add it, in Hz.")
        return _from_samples(value["array"], value["sampling_rate"], position, name)
    if isinstance(encoded, (bytes, bytearray, memoryview)):
        return Clip(position, name, bytes(encoded))
    if encoded is not None:
        cause = f"its bytes are of type {type(encoded).__name__}"
        return _no_clip(position, name, cause, "Pass the content of an audio file as bytes.")
    if path is not None:
        return as_clip(path, position)
    return _no_clip(
        position,
        name,
        f"its dict has none of array, bytes and path, only {sorted(map(str, value))}",
        'Pass {"array": …, "sampling_rate": …}, {"bytes": …} or {"path": …}.',
    )


def is_numeric_batch(X: Any) -> bool:
    """Tell whether `X` is what scikit-learn calls 2-D data, and not a collection of clips.

    A collection is a list, tuple, object array, Series or one-column frame of clips, or a frame
    of segments: path, start, end, channel. Anything else is left to scikit-learn's own validation,
    with its own messages.
    """
    if issparse(X):
        return True
    if hasattr(X, "columns") and hasattr(X, "shape"):
        if "path" in X.columns:
            others = [column for column in X.columns if column not in ("path", *SEGMENT_FIELDS)]
            if others:
                raise ValueError(
                    f"X has the columns {others} beside path, which are no part of a clip. Pass "
                    'only path, and start, end and channel for segments: X[["path", "start", …]].'
                )
            return False
        return X.shape[1] != 1 or np.asarray(X).dtype.kind in "biufc"
    if hasattr(X, "to_list") and hasattr(X, "dtype"):
        return False
    if isinstance(X, np.ndarray):
        return (
            X.dtype.kind not in "OUS" or (X.ndim == 2 and X.shape[1] != 1) or X.ndim not in (1, 2)
        )
    if isinstance(X, (str, bytes, os.PathLike, Mapping)):
        raise ValueError(f"X is one clip, {X!r:.60}. Wrap it in a list: a collection is expected.")
    if isinstance(X, Sequence) and len(X) == 2 and isinstance(X[1], Real) and np.ndim(X[0]) == 1:
        raise ValueError("X is one (waveform, rate) pair. Wrap it in a list.")
    if isinstance(X, Sequence):
        return len(X) == 0 or all(isinstance(x, Real) for x in X)
    return not (hasattr(X, "__getitem__") and hasattr(X, "__len__")) or hasattr(X, "__array__")


def items_of(X: Any) -> list[Any]:
    """Return the elements of a collection, one a clip; a row of a frame of segments is a dict."""
    if hasattr(X, "columns") and len(X.columns) > 1:
        columns = {name: X[name].to_list() for name in X.columns}
        return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
    if hasattr(X, "columns"):
        X = X[X.columns[0]]
    if isinstance(X, np.ndarray) and not is_numeric_batch(X):
        X = np.ravel(X)
    return X.to_list() if hasattr(X, "to_list") else list(X)
