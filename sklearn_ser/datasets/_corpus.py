"""What every loader returns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from sklearn.utils import Bunch

from sklearn_ser._audio import SEGMENT_FIELDS
from sklearn_ser._utils import (
    are_ratings,
    as_labels,
    as_speakers,
    as_targets,
    is_missing,
    refuse_contradictions,
    repeated_rows,
    rows_named,
    warn,
)

__all__ = ["Corpus", "as_corpus", "one_row_each", "rename_columns"]

# What columns of a frame are called, and their order; a corpus has those that are known of it.
COLUMNS = ["path", "emotion", "code", "speaker", "sex", "session", "sentence", "intensity"]
COLUMNS += ["split", "duration"]


class Corpus(Bunch):
    """A Bunch that shows itself in a few lines, and not by all its clips."""

    def __repr__(self) -> str:
        y, groups, frame = (self.get(name) for name in ("y", "groups", "frame"))
        if y is None or frame is None:
            return super().__repr__()
        lines = [
            f"{self.get('name', 'corpus')}: {len(y)} clips, "
            + ("speakers unknown" if groups is None else f"{len(np.unique(groups))} speakers")
        ]
        for column in ("emotion", "sex", "corpus"):
            if column in frame and are_ratings(frame[column]):
                lines.append(f"ratings: {frame[column].min():g} to {frame[column].max():g}")
            elif column in frame:
                counts = frame[column].value_counts().sort_index()
                lines.append(f"{column}: {', '.join(f'{name} {n}' for name, n in counts.items())}")
        if "duration" in frame:
            seconds = frame["duration"]
            lines.append(f"duration: {seconds.min():.1f} to {seconds.max():.1f} s")
        lines.append(f"frame: {', '.join(map(str, frame.columns))}")
        lines.append(f"fields: {', '.join(self)}")
        return "\n".join(lines)


def as_corpus(
    name: str,
    frame: pd.DataFrame,
    description: str,
    published: int | None = None,
    clips: Sequence[Any] | None = None,
    *,
    ratings: bool = False,
    column: str | None = None,
) -> Bunch:
    """Return a corpus from a frame with the columns path, emotion and, if known, speaker.

    Where the number of clips is published and another one was found, a warning says so. A frame
    without any speaker makes a corpus whose speakers are unknown. `clips` are by default the
    frame's paths and segments. With `ratings`, emotions that are floats are ratings, of what the
    `column` was called.

    Raises
    ------
    ValueError
        If an emotion is missing or is none (several, an integer), speakers are missing in part, or
        a clip stands in several rows with different emotions or speakers.

    Warns
    -----
    UserWarning
        If a clip stands in several rows that agree, which are kept.
    """
    frame = frame.reset_index(drop=True)
    y, groups = (
        (as_targets if ratings else as_labels)(frame["emotion"], f"column emotion of {name}"),
        None,
    )
    frame["emotion"] = y
    if "speaker" in frame and is_missing(frame["speaker"]).all():
        frame = frame.drop(columns="speaker")
    elif "speaker" in frame:
        frame["speaker"] = groups = as_speakers(frame["speaker"], f"column speaker of {name}")
    if published is not None and len(frame) != published:
        message = f"{len(frame)} clips of {name} were found; complete, it has {published}."
        warn(message)
    clips = _clips(frame) if clips is None else list(clips)
    repeated = repeated_rows(clips)
    refuse_contradictions(clips, repeated, name, emotion=y, speaker=groups)
    if repeated:
        again = sorted(row for rows in repeated for row in rows[1:])
        warn(
            f"{len(again)} of {len(frame)} rows of {name} repeat a clip of another row, with the "
            f"same labels ({rows_named(again)}). They are kept: such clips count more than once, "
            "and may be in training and test set. Leave the rows out if that is not meant.",
        )
    counts = f"ratings from {min(y):g} to {max(y):g}" if are_ratings(y) else ""
    if not counts:
        emotions = frame["emotion"].value_counts().sort_index()
        counts = ", ".join(f"{emotion} {count}" for emotion, count in emotions.items())
    speakers = "unknown speakers" if groups is None else f"{len(np.unique(groups))} speakers"
    of_ratings = {"rating": column} if are_ratings(y) and column not in (None, "emotion") else {}
    return Corpus(
        **of_ratings,
        name=name,
        X=clips,
        y=y,
        groups=groups,
        frame=frame[[*(c for c in COLUMNS if c in frame), *(c for c in frame if c not in COLUMNS)]],
        DESCR=f"{description}\n\nHere: {len(frame)} clips by {speakers}: {counts}.",
    )


def _clips(frame: pd.DataFrame) -> list[Any]:
    """Return paths, or dicts where rows are segments of recordings."""
    fields = [field for field in SEGMENT_FIELDS if field in frame]
    paths = [str(path) for path in frame["path"]]
    if not fields:
        return paths
    rows = frame[fields].itertuples(index=False, name=None)
    return [
        {"path": path, **dict(zip(fields, row, strict=True))}
        for path, row in zip(paths, rows, strict=True)
    ]


def rename_columns(frame: pd.DataFrame, columns: Mapping[str, str | None]) -> pd.DataFrame:
    """Return a frame whose columns have the names that the loaders give them.

    Parameters
    ----------
    frame : DataFrame
    columns : mapping of str to str or None
        Of the names of a loader, the columns that hold these; None: no column does. Another column
        that has such a name is kept as "<name>_original".
    """
    if not frame.columns.is_unique:
        twice = frame.columns[frame.columns.duplicated()].tolist()
        raise ValueError(f"several columns are called {twice}: rename them, or leave some out.")
    sources = [source for source in columns.values() if source is not None]
    for source in sources:
        if sources.count(source) > 1:
            both = [name for name, column in columns.items() if column == source]
            raise ValueError(f"the column {source!r} cannot be both {' and '.join(both)}.")
    names = {source: name for name, source in columns.items() if source is not None}
    for column in frame.columns:
        if column in columns and column not in sources:
            names[column] = f"{column}_original"
            while names[column] in frame:
                names[column] += "_original"
    return frame.rename(columns=names)


def one_row_each(frame: pd.DataFrame, key: Sequence[str], where: str) -> pd.DataFrame:
    """Return a frame of labels without rows that are repeated whole, as copies of files do.

    Raises
    ------
    ValueError
        If rows of one clip, which the columns of `key` name, are different.
    """
    frame = frame.drop_duplicates(ignore_index=True)
    several = frame[frame.duplicated(list(key), keep=False)].sort_values(list(key), kind="stable")
    if len(several):
        first = several.iloc[:2].dropna(axis=1)
        differing = first.columns[first.nunique() > 1].tolist()
        clips = ", ".join(f"{column} {first[column].iloc[0]}" for column in key)
        values = " and ".join(str(first[column].tolist()) for column in differing)
        raise ValueError(
            f"{where}: {len(several.drop_duplicates(list(key)))} clips have different labels in "
            f"several rows; the first is that of {clips}, with {differing}: {values}. Put the file "
            "that is wrong elsewhere, or leave its row out."
        )
    return frame
