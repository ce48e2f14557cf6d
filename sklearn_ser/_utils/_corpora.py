"""Corpora (X, y, groups, a frame): checked, clips that repeat in them, and EmoBox's metadata.

Used by loaders, splitters, audits, the evaluation and recognizers.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Hashable, Mapping, Sequence
from numbers import Real
from operator import itemgetter
from pathlib import Path
from typing import Any

import pandas as pd
from sklearn.utils import Bunch

from sklearn_ser._utils._files import existing_folder, naming_file, read_text
from sklearn_ser._utils._labels import as_labels, as_speakers
from sklearn_ser._utils._parameters import is_number
from sklearn_ser._utils._ratings import are_ratings, as_targets
from sklearn_ser._utils._rows import check_lengths, is_missing, rows_named

CLIP_COLUMNS = ("path", "start", "end", "channel")  # of a frame, which say what its clips are

A_CORPUS = (
    "a corpus is a Bunch or a dict with X (clips), y (emotions) and groups (speakers), as the "
    "loaders of sklearn_ser.datasets return"
)


def given_corpus(corpus: Any, name: str = "corpus", needed: Sequence[str] = ("X", "y")) -> Bunch:
    """Return a corpus as a Bunch with what is needed of it, and groups, which may be None.

    Raises
    ------
    TypeError
        If it is none.
    """
    if isinstance(corpus, Mapping) and all(corpus.get(key) is not None for key in needed):
        return Bunch(**{"groups": None, **corpus})
    got = f"a {type(corpus).__name__}"
    if isinstance(corpus, Mapping):
        got += f" with the keys {list(corpus)}"
    elif hasattr(corpus, "columns"):
        got += ", of which load_table makes one"
    elif isinstance(corpus, (tuple, list)):
        got += ", of which Bunch(X=…, y=…, groups=…) makes one"
    raise TypeError(f"{name}: {A_CORPUS}; got {got}.")


def check_corpora(corpora: Any) -> dict[str, Bunch]:
    """Return corpora by name.

    Raises
    ------
    TypeError
        If they are no mapping, or one of them is no corpus.
    """
    if not isinstance(corpora, Mapping) or isinstance(corpora, Bunch) or {"X", "y"} <= {*corpora}:
        raise TypeError(
            "corpora must be a mapping of names to corpora, such as {'emodb': load_emodb(…), …}; "
            f"got a {type(corpora).__name__}. And {A_CORPUS}."
        )
    if unnamed := [name for name in corpora if not isinstance(name, str)]:
        raise TypeError(f"corpora: {unnamed[0]!r} is no name of a corpus; names are texts.")
    return {name: given_corpus(corpus, name) for name, corpus in corpora.items()}


def all_rated(corpora: Mapping[str, Bunch]) -> bool:
    """Tell whether y of all corpora holds ratings; an error if it is that of some of them."""
    rated = [name for name, corpus in corpora.items() if are_ratings(corpus.y)]
    if rated and len(rated) < len(corpora):
        others = ", ".join(name for name in corpora if name not in rated)
        raise ValueError(
            f"y of {', '.join(rated)} holds ratings (floats), and y of {others} emotions, so that "
            "scores cannot be put together. Compare the ones by themselves."
        )
    return bool(rated)


def check_corpus(
    corpus: Any, name: str | None = None, *, unknown: bool = False, ratings: bool = False
) -> Bunch:
    """Return a corpus whose emotions and speakers (if it has any) are text, one of each a clip.

    Its frame, a new one if it has none, holds them too.

    Parameters
    ----------
    corpus : Bunch or dict
        With X, y and, if it has any, groups, name and frame.
    name : str, default=None
        What it is called, for errors; by default what it says itself.
    unknown : bool, default=False
        Whether speakers may be missing, which are None then.
    ratings : bool, default=False
        Whether y may be of a floating dtype: ratings, which stay numbers.

    Raises
    ------
    TypeError
        If it is no corpus.
    ValueError
        If emotions or speakers are missing, emotions are several or numbers, X, y and groups are
        not as long, or a file stands in several rows with different emotions or speakers.
    """
    corpus = given_corpus(corpus, name or "corpus")
    name = name or corpus.get("name", "corpus")
    X, groups, frame = corpus.X, corpus.groups, corpus.get("frame")
    y = (as_targets if ratings else as_labels)(corpus.y, f"y of {name}")
    if groups is not None:
        groups = as_speakers(groups, f"groups of {name}", unknown=unknown)
    check_lengths(X=X, y=y, groups=groups, frame=frame)
    clips = _clips(X)
    refuse_contradictions(clips, repeated_rows(clips), str(name), emotion=y, speaker=groups)
    frame = pd.DataFrame(index=range(len(y))) if frame is None else frame
    frame = frame.reset_index(drop=True).assign(emotion=y)
    if groups is not None:
        frame = frame.assign(speaker=groups)
    return Bunch(**{**corpus, "name": name, "y": y, "groups": groups, "frame": frame})


def corpus_of(corpus: Any, *, ratings: bool = False) -> Bunch:
    """Return a checked corpus: the one given, or that of a frame; its speakers may be unknown.

    Parameters
    ----------
    corpus : Bunch, dict or DataFrame
        A frame, of pandas or polars, has the column emotion and, as far as they are known, path
        and speaker.
    ratings : bool, default=False
        As in `check_corpus`.

    Raises
    ------
    TypeError, ValueError
        As `check_corpus`, and if the frame has no column emotion.
    """
    if hasattr(corpus, "to_pandas"):  # polars
        corpus = corpus.to_pandas()
    if isinstance(corpus, pd.DataFrame):
        if "emotion" not in corpus:
            raise ValueError(f"the frame has no column emotion, only {list(corpus.columns)}.")
        clips: Any = list(range(len(corpus)))
        if "path" in corpus:
            clips = corpus[[name for name in CLIP_COLUMNS if name in corpus]]
        labels = {"y": corpus["emotion"], "groups": corpus.get("speaker")}
        corpus = Bunch(name="the frame", X=clips, frame=corpus, **labels)
    return check_corpus(corpus, unknown=True, ratings=ratings)


def _clips(X: Any) -> list[Any]:
    """Return the clips of a collection; the rows of a frame are dicts."""
    if hasattr(X, "to_pandas"):
        X = X.to_pandas()
    return X.to_dict("records") if hasattr(X, "columns") else list(X)


def repeated_rows(clips: Sequence[Any]) -> list[list[int]]:
    """Return the rows of each clip that stands in several.

    Parameters
    ----------
    clips : sequence of n_clips clips
        Paths, or dicts with a path or bytes and, for segments, start, end and channel. Two
        paths of one file are one clip. Two waveforms are two clips, whatever they hold.

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
        first_rows = [
            {str(values[row]): row for row in reversed(rows) if values[row] is not None}
            for rows in repeated
        ]
        found = [k for k, labelled in enumerate(first_rows) if len(labelled) > 1]
        if found:
            rows = sorted(row for k in found for row in repeated[k])
            first = first_rows[found[0]]
            in_order = sorted(first.items(), key=itemgetter(1))
            each = ", ".join(f"{value!r} in row {i}" for value, i in in_order)
            clip = clips[next(iter(first.values()))]
            raise ValueError(
                f"{name}: {len(found)} clips stand in several rows with different {what}s "
                f"({len(rows)} of {len(clips)} rows: {rows_named(rows)}); the first, "
                f"{_shown(clip)}, has {each}. A clip has one {what}: choose one, or leave these "
                "rows out."
            )


def _shown(clip: Any) -> str:
    """Return what a clip is called in an error, without its bytes."""
    if isinstance(clip, Mapping):
        clip = {k: v for k, v in clip.items() if k != "bytes" and not _is_hole(v)}
        clip = clip["path"] if list(clip) == ["path"] else clip
    return f"{clip!s:.300}"


def _key(clip: Any) -> Hashable | None:
    """Return the identity of a clip; None if it is no file."""
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
    # None where a segment has no such field: of a segment's segment, the inner one counts.
    return whole if part == [None] * 3 else (whole[0], part[0] or 0.0, part[1], part[2])


def _file(path: str | bytes) -> str | bytes:
    try:
        return os.path.realpath(os.path.expanduser(path))
    except ValueError:  # no path: an error when it is read
        return path


def _number(value: Any) -> Hashable:
    if _is_hole(value):
        return None
    return float(value) if isinstance(value, Real) else str(value)


def _is_hole(value: Any) -> bool:
    return value is None or bool(is_missing([value])[0])


SPLITS = ("train", "valid", "test")


def emobox_folder(folder: str | os.PathLike[str], corpus: str) -> Path:
    """Return the folder that holds EmoBox's metadata of a corpus."""
    root = existing_folder(folder)
    data = root / "data" if (root / "data").is_dir() else root
    if not (data / corpus).is_dir():
        known = sorted(path.name for path in data.iterdir() if path.is_dir())
        raise FileNotFoundError(f"no {corpus!r} in {data}, which holds {known or 'no folders'}.")
    return data / corpus


def n_emobox_folds(place: Path) -> int:
    """Return the number of folds that EmoBox has of a corpus."""
    return sum(1 for path in place.glob("fold_*") if path.is_dir())


def read_emobox_fold(place: Path, corpus: str, fold: int) -> list[dict[str, Any]]:
    """Return the clips of a fold, each with path, code, split and, where they are known, more."""
    files = {
        split: place / f"fold_{fold}" / f"{corpus}_{split}_fold_{fold}.jsonl" for split in SPLITS
    }
    rows: list[dict[str, Any]] = []
    for split, file in files.items():
        if not file.is_file():
            if split != "valid":  # which not every corpus has
                folds = sorted(path.name for path in place.glob("fold_*"))
                raise FileNotFoundError(f"no {file}; {place} holds {folds or 'no folds'}.")
            continue
        with naming_file(file):
            for number, line in enumerate(read_text(file).splitlines(), 1):
                if line.strip():
                    rows.append({**_row(line, f"{file}, line {number}"), "split": split})
    if not rows:
        raise ValueError(f"the files of {place / f'fold_{fold}'} hold no clips.")
    return rows


def _row(line: str, where: str) -> dict[str, Any]:
    try:
        value = json.loads(line)
        path = value.get("wav", value.get("audio"))
        code = value.get("emo", value.get("label"))
    except (ValueError, AttributeError, RecursionError):
        path = code = None
    if not isinstance(path, str) or not isinstance(code, (str, int, float, list)):
        raise ValueError(f"{where}: not an object with wav (or audio) and emo (or label).")
    seconds = {name: value.get(name) for name in ("start_time", "end_time", "length")}
    for name, number in seconds.items():
        if number is not None and not (is_number(number) and 0 <= number < math.inf):
            raise ValueError(f"{where}: {name} is {number!r:.80}, not seconds from 0 on.")
    channel, key = value.get("channel"), value.get("key", Path(path).stem)
    try:
        channel = None if channel is None else int(channel) - 1  # counted from 1 there
    except (TypeError, ValueError, OverflowError):
        raise ValueError(f"{where}: channel is {channel!r:.80}, not a whole number.") from None
    if not isinstance(key, str):
        raise ValueError(f"{where}: key is {key!r:.80}, not text.")
    return {
        "path": path,
        "code": code,
        "key": key,
        "start": seconds["start_time"],
        "end": seconds["end_time"],
        "channel": channel,
        "duration": seconds["length"],
    }
