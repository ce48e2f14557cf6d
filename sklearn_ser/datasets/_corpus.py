"""What every loader returns."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.utils import Bunch

__all__ = ["AUDIO_SUFFIXES", "as_corpus", "existing_folder"]

AUDIO_SUFFIXES = frozenset(
    [
        ".wav",
        ".wave",
        ".flac",
        ".ogg",
        ".oga",
        ".opus",
        ".mp3",
        ".aif",
        ".aiff",
        ".aifc",
        ".au",
        ".snd",
        ".w64",
        ".rf64",
        ".caf",
    ]
)


def as_corpus(name: str, frame: pd.DataFrame, description: str) -> Bunch:
    """Return a corpus from a frame with the columns path, emotion and, if known, speaker."""
    frame = frame.reset_index(drop=True)
    groups = frame["speaker"].to_numpy(dtype=str) if "speaker" in frame else None
    emotions = frame["emotion"].value_counts().sort_index()
    counts = ", ".join(f"{emotion} {count}" for emotion, count in emotions.items())
    speakers = "unknown speakers" if groups is None else f"{len(np.unique(groups))} speakers"
    return Bunch(
        name=name,
        X=[str(path) for path in frame["path"]],
        y=frame["emotion"].to_numpy(dtype=str),
        groups=groups,
        frame=frame,
        DESCR=f"{description}\n\nHere: {len(frame)} clips by {speakers}: {counts}.",
    )


def existing_folder(folder: object) -> Path:
    """Return `folder` as a path, or raise an error that says where it was looked for."""
    path = Path(str(folder)).expanduser()
    if not path.is_dir():
        raise FileNotFoundError(f"no such folder: {path} (looked for in {Path.cwd()})")
    return path
