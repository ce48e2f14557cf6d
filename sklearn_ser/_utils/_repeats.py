"""Clips that stand in several rows: of one file, and one part of it."""

from __future__ import annotations

import os
from collections.abc import Hashable, Mapping, Sequence
from numbers import Real
from typing import Any

from sklearn_ser._utils._labels import is_missing, rows_named

__all__ = ["refuse_contradictions", "repeated_rows"]


def repeated_rows(clips: Sequence[Any]) -> list[list[int]]:
    """Return the rows of each clip that stands in several.

    Parameters
    ----------
    clips : sequence of n_clips clips
        Paths, or dicts that tell a path or bytes and, for segments, start, end and channel. Two
        paths of one file are one. Waveforms are told apart, whatever they hold.

    Returns
    -------
    rows : list of list of int
    """
    rows_of: dict[Hashable, list[int]] = {}
    for row, clip in enumerate(clips):
        if (key := _key(clip)) is not None:
            rows_of.setdefault(key, []).append(row)
    return [rows for rows in rows_of.values() if len(rows) > 1]


def refuse_contradictions(
    clips: Sequence[Any], repeated: Sequence[Sequence[int]], name: str, **labels: Any
) -> None:
    """Raise an error if a clip has different labels in different rows.

    Parameters
    ----------
    clips : sequence of n_clips clips
    repeated : sequence of sequence of int
        The rows of each clip that stands in several: see `repeated_rows`.
    name : str
        Where the clips are from.
    **labels : array-like of shape (n_clips,) or None
        What each clip has one of, by its name: emotion, speaker. None in it is unknown.
    """
    for what, values in labels.items():
        if values is None:
            continue
        values = list(values)
        told = [{str(values[i]): i for i in reversed(rows)} for rows in repeated]
        told = [{value: i for value, i in its.items() if values[i] is not None} for its in told]
        found = [k for k, its in enumerate(told) if len(its) > 1]
        if found:
            rows = sorted(row for k in found for row in repeated[k])
            first = told[found[0]]
            each = ", ".join(f"{v!r} in row {i}" for v, i in sorted(first.items(), key=_by_row))
            clip = clips[next(iter(first.values()))]
            raise ValueError(
                f"{name}: {len(found)} clips stand in several rows with different {what}s "
                f"({len(rows)} of {len(clips)} rows: {rows_named(rows)}); the first, "
                f"{_shown(clip)}, has {each}. A clip has one {what}: choose one, or leave these "
                "rows out."
            )


def _by_row(item: tuple[str, int]) -> int:
    return item[1]


def _shown(clip: Any) -> str:
    """Return what a clip is called in an error, without its bytes."""
    if isinstance(clip, Mapping):
        clip = {k: v for k, v in clip.items() if k != "bytes" and not _is_hole(v)}
        clip = clip["path"] if list(clip) == ["path"] else clip
    return f"{clip!s:.300}"


def _key(clip: Any) -> Hashable | None:
    """Return what tells a clip from others; None if it is no file."""
    if isinstance(clip, (str, os.PathLike)) and os.fspath(clip):
        return _file(os.fspath(clip)), 0.0, None, None
    if isinstance(clip, bytes):
        return clip, 0.0, None, None
    if not isinstance(clip, Mapping) or clip.get("array") is not None:
        return None
    path, content = clip.get("path"), clip.get("bytes")
    whole: Any = None
    if isinstance(content, bytes):
        whole = (str(path or ""), content), 0.0, None, None
    elif content is None:
        whole = _key(path if path is not None else clip.get("audio"))
    if whole is None:
        return None
    part = [_number(clip.get(field)) for field in ("start", "end", "channel")]
    # None is what a segment does not tell: of a segment's segment, the inner one counts.
    return whole if part == [None] * 3 else (whole[0], part[0] or 0.0, part[1], part[2])


def _file(path: str | bytes) -> str | bytes:
    try:
        return os.path.realpath(os.path.expanduser(path))
    except ValueError:  # no path, which reading it will tell
        return path


def _number(value: Any) -> Hashable:
    if _is_hole(value):
        return None
    return float(value) if isinstance(value, Real) else str(value)


def _is_hole(value: Any) -> bool:
    return value is None or bool(is_missing([value])[0])
