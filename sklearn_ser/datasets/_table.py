"""A corpus described by a table."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pandas as pd
from sklearn.utils import Bunch

from sklearn_ser.datasets._corpus import as_corpus

__all__ = ["load_table"]


def load_table(
    table: Any,
    *,
    path: str = "path",
    emotion: str = "emotion",
    speaker: str = "speaker",
    root: str | os.PathLike[str] | None = None,
) -> Bunch:
    """Load a corpus described by a table.

    Parameters
    ----------
    table : str, path-like, or DataFrame of pandas or polars
        A CSV file, or the table itself, one row a clip. With columns start and end (seconds) or
        channel (from 0) a clip is that segment of its file.
    path, emotion, speaker : str
        Names of its columns.
    root : str or path-like, default=None
        Folder that relative paths start at: by default the CSV file's own, or the current one.

    Returns
    -------
    corpus : Bunch
        X (list of paths, or of dicts if there are segments), y (emotions), groups (speakers), frame
        (the table, its columns renamed) and DESCR.

    Raises
    ------
    ValueError
        If a column is missing, or a row has no value in one of them.

    Examples
    --------
    >>> import pandas as pd
    >>> from sklearn_ser.datasets import load_table
    >>> table = pd.DataFrame({"file": ["a.wav"], "label": ["anger"], "who": ["anna"]})
    >>> load_table(table, path="file", emotion="label", speaker="who").y.tolist()
    ['anger']
    """
    if isinstance(table, (str, os.PathLike)):
        source = Path(table).expanduser()
        root = source.parent if root is None else root
        name = source.stem
        frame = pd.read_csv(source, dtype={speaker: str, emotion: str})
    else:
        name = "table"
        frame = table.to_pandas() if hasattr(table, "to_pandas") else pd.DataFrame(table)
    wanted = {path: "path", emotion: "emotion", speaker: "speaker"}
    missing = [column for column in wanted if column not in frame]
    if missing:
        raise ValueError(f"{name} has no column {missing}; it has {list(frame.columns)}.")
    frame = frame.rename(columns=wanted)
    empty = frame.index[frame[list(wanted.values())].isna().any(axis=1)]
    if len(empty):
        raise ValueError(
            f"{len(empty)} rows of {name} lack a path, an emotion or a speaker, the first is "
            f"row {empty[0]}."
        )
    if not len(frame):
        raise ValueError(f"{name} has no rows.")
    if root is not None:
        frame["path"] = [str(Path(root).expanduser() / clip) for clip in frame["path"]]
    return as_corpus(name, frame, f"Clips of the table {name}.")
