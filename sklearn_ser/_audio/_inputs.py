"""What may stand for a clip, and for a collection of them."""

from __future__ import annotations

import dataclasses
import functools
import os
from collections.abc import Iterator, Mapping, Sequence
from numbers import Integral, Real
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.sparse import issparse

from sklearn_ser._audio._clip import SEGMENT_FIELDS, WHOLE, Clip, Segment
from sklearn_ser._utils import HIGHEST_RATE, SLOWEST, is_missing, is_number
from sklearn_ser.exceptions import ClipError

__all__ = ["as_clip", "as_clips", "is_numeric_batch", "items_of", "need_clips", "waveforms_of"]

TEXT_OR_OBJECTS = "OUST"  # kinds of NumPy's dtypes that may hold clips
FASTEST = 1e15  # Hz: no number, but what somebody may take for one
LONGEST = 1e9  # seconds
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
    value : str, Path, ndarray, (ndarray, rate) pair, dict, bytes or binary file
        A path; a 1-D waveform; a waveform with its sampling rate in Hz, in either order; a dict
        with ``array`` and ``sampling_rate``, with ``bytes``, or with ``path``, and for a segment of
        that with ``start`` and ``end`` in seconds and ``channel``; or an encoded file's content, or
        such a file open in binary mode, which is read from its start.
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
    if callable(getattr(value, "read", None)):
        return _from_file(value, position)
    if pair := _pair(value):
        return _from_samples(*pair, position)
    if isinstance(value, Sequence) and any(isinstance(v, (str, os.PathLike)) for v in value):
        cause = f"not a clip but a {type(value).__name__} with text: {value!r:.60}"
        cure = "Pass a path by itself: a file says its sampling rate."
        return _no_clip(position, type(value).__name__, cause, cure)
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
    """Return a clip that raises this error when it is read."""
    return Clip(position, name, ClipError(position, name, cause, cure))


def _pair(value: Any) -> tuple[Any, Any] | None:
    """Return the waveform and the rate of a pair; scipy.io.wavfile gives the rate first."""
    if not isinstance(value, Sequence) or len(value) != 2:
        return None
    first, second = value
    if not _ndim(first) and _is_waveform(second) and _ndim(second):
        return second, first
    single = not _ndim(second) or len(second) == 1
    return (first, second) if single and _is_waveform(first) else None


def _ndim(value: Any) -> int:
    """Return a number of dimensions; it is one for sequences, whatever they hold."""
    sequence = isinstance(value, Sequence) and not isinstance(value, (str, bytes))
    return int(getattr(value, "ndim", sequence))


def _from_file(file: Any, position: int) -> Clip:
    name = getattr(file, "name", None)
    name = os.path.basename(name) if isinstance(name, str) and name else type(file).__name__
    try:
        place = file.tell() if file.seekable() else None
        if place:
            file.seek(0)
        content = file.read()
        if place is not None:
            file.seek(place)
    except Exception as error:  # anything may call itself a file
        cause = f"an open file that cannot be read ({type(error).__name__}: {error})"
        return _no_clip(position, name, cause, "Pass its path, or its content as bytes.")
    if not isinstance(content, (bytes, bytearray, memoryview)):
        cause = f"an open file that gives {type(content).__name__}, not bytes"
        return _no_clip(position, name, cause, 'Open it in binary mode, with open(path, "rb").')
    return Clip(position, name, bytes(content))


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
    rate = rate.item() if getattr(rate, "ndim", None) == 0 and hasattr(rate, "item") else rate
    masked = isinstance(values, np.ma.MaskedArray)
    if masked and (n_masked := np.ma.count_masked(values)):
        cause = f"{n_masked} of its {samples.size} samples are masked"
        cure = "Fill them in, cut them out, or leave the clip out: nothing is read under a mask."
    elif samples.ndim != 1:
        cause = f"a waveform must be 1-D, got shape {samples.shape}"
        cure = "Average its channels, or split a batch into a list of clips."
    elif samples.dtype.kind not in "fiu":
        cause = f"samples must be floats or integers, got dtype {samples.dtype}"
        cure = "Convert the waveform to float32."
    elif rate is None:
        cause = "a bare waveform has no sampling rate"
        cure = "Set waveform_rate (in Hz), or pass (waveform, rate) pairs."
    elif not is_number(rate) or not 0 < rate < FASTEST:
        cause = f"its sampling rate is {rate!r:.60}"
        cure = "Give a positive number of Hz" + (", not text." if isinstance(rate, str) else ".")
    elif not SLOWEST <= rate <= HIGHEST_RATE:
        cause = f"its sampling rate is {rate:g} Hz"
        cure = f"Give the rate of the waveform, from {SLOWEST} to {HIGHEST_RATE} Hz."
    else:
        return Clip(position, name, samples, float(rate))
    return _no_clip(position, name, cause, cure)


def _from_mapping(value: Mapping[str, Any], position: int) -> Clip:
    path, encoded = value.get("path"), value.get("bytes")
    name = os.path.basename(path) if isinstance(path, (str, os.PathLike)) else ""
    name = name or "audio value"
    if any(field in value for field in SEGMENT_FIELDS):
        try:
            segment = _segment_of(value)
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
    if value.get("audio") is not None:  # a row of a dataset
        return as_clip(value["audio"], position)
    empty = [key for key in ("array", "bytes", "path", "audio") if key in value]
    if empty:
        cause = f"it has no audio: in its dict, {' and '.join(empty)} " + (
            "are None" if len(empty) > 1 else "is None"
        )
        return _no_clip(position, name, cause, "Leave it out, or find its audio.")
    return _no_clip(
        position,
        name,
        f"its dict has none of array, bytes and path, only {sorted(map(str, value))}",
        'Pass {"array": …, "sampling_rate": …}, {"bytes": …} or {"path": …}.',
    )


def _segment_of(value: Mapping[str, Any]) -> Segment:
    """Return the segment that a dict asks for, all of the recording where it says nothing.

    Raises
    ------
    ValueError
        If its start, end and channel are no segment.
    """
    start, end, channel = (_or_none(value.get(field)) for field in SEGMENT_FIELDS)
    for field, number in (("start", start), ("end", end)):
        seconds: Any = number if is_number(number) else -1.0
        if number is not None and not 0 <= seconds < LONGEST:
            raise ValueError(f"its {field} is {number!r}, not seconds from 0 on")
    whole = is_number(channel, Integral) or (isinstance(channel, float) and channel.is_integer())
    if channel is not None and not (whole and channel >= 0):
        raise ValueError(f"its channel is {channel!r}, not a whole number from 0 on")
    start = 0.0 if start is None else float(start)
    if end is not None and end <= start:
        raise ValueError(f"its segment ends at {end:g} s, before it starts at {start:g} s")
    return Segment(
        start, None if end is None else float(end), None if channel is None else int(channel)
    )


def _or_none(value: Any) -> Any:
    """Return a value, or None where a table lacks one."""
    return None if value is None or is_missing([value])[0] else value


def is_numeric_batch(X: Any) -> bool:
    """Return whether `X` is what scikit-learn calls 2-D data, and not a collection of clips.

    A collection is a list, tuple, object array, Series or one-column frame of clips, or a frame
    of segments: path, start, end, channel. Anything else is left to scikit-learn's own validation,
    with its own messages.
    """
    if issparse(X):
        return True
    if hasattr(X, "column_names") and hasattr(X, "to_pandas"):  # a table of Arrow
        X = X.to_pandas()
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
    if isinstance(X, Mapping) and X and all(hasattr(v, "column_names") for v in X.values()):
        split = next(iter(X))
        raise ValueError(
            f"X holds the splits {list(X)} of a dataset. Pass the audio of one: "
            f"X[{split!r}]['audio']."
        )
    if isinstance(X, Mapping) and "X" in X:
        raise ValueError("X is a corpus. Pass its clips, corpus.X.")
    if isinstance(X, (str, bytes, os.PathLike, Mapping)) or hasattr(X, "read"):
        raise ValueError(f"X is one clip, {X!r:.60}. Wrap it in a list: a collection is expected.")
    if hasattr(X, "__array__"):
        try:
            values = np.asarray(X)
        except (TypeError, RuntimeError):  # such as a tensor that is not in main memory
            return True
        one_column = values.ndim == 1 or (values.ndim == 2 and values.shape[1] == 1)
        return values.dtype.kind not in TEXT_OR_OBJECTS or not one_column
    if (pair := _pair(X)) and isinstance(pair[1], Real) and _ndim(pair[0]) == 1:
        raise ValueError("X is one (waveform, rate) pair. Wrap it in a list.")
    if isinstance(X, Iterator):
        raise ValueError(f"X is a {type(X).__name__}, which can be read only once. Pass list(X).")
    if isinstance(X, Sequence):
        return len(X) == 0 or all(isinstance(x, Real) for x in X)
    return not (hasattr(X, "__getitem__") and hasattr(X, "__len__"))


def need_clips(X: Any) -> None:
    """Raise an error if a collection holds no clip; of matrices scikit-learn says so itself."""
    is_matrix = isinstance(X, np.ndarray) and X.ndim > 1
    if not is_matrix and hasattr(X, "__len__") and not len(X):
        raise ValueError(
            "X holds no clips, and one or more are needed: look at how they were chosen, as a "
            "training or test set may be empty."
        )


def items_of(X: Any) -> list[Any]:
    """Return the elements of a collection, one a clip; a row of a frame of segments is a dict."""
    if hasattr(X, "column_names") and hasattr(X, "to_pandas"):  # a table of Arrow
        X = X.to_pandas()
    if hasattr(X, "columns") and len(X.columns) > 1:
        columns = {name: X[name].to_list() for name in X.columns}
        return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
    if hasattr(X, "columns"):
        X = X[X.columns[0]]
    for method in ("to_list", "to_pylist"):  # pandas and polars; pyarrow
        if hasattr(X, method):
            found: list[Any] = getattr(X, method)()
            return found
    if isinstance(X, np.ma.MaskedArray) and X.dtype.kind in TEXT_OR_OBJECTS:
        masked = np.ma.getmaskarray(X)
        X = [None if gone else v for v, gone in zip(X.data.flat, masked.flat, strict=True)]
    elif hasattr(X, "__array__") and not is_numeric_batch(X):
        X = np.ravel(np.asarray(X))
    return list(X)


def waveforms_of(batch: npt.NDArray[Any], X: Any) -> list[Any]:
    """Return the rows of a batch that scikit-learn validated, which drops the mask that `X` has."""
    if isinstance(X, np.ma.MaskedArray):
        return list(np.ma.array(batch, mask=np.ma.getmaskarray(X)))
    return list(batch)
