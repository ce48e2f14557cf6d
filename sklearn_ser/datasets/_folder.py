"""A corpus laid out as one folder an emotion."""

from __future__ import annotations

import os
import re

import pandas as pd
from sklearn.utils import Bunch

from sklearn_ser._utils import composed
from sklearn_ser.datasets._corpus import AUDIO_SUFFIXES, as_corpus, existing_folder

__all__ = ["load_folder"]


def load_folder(folder: str | os.PathLike[str], *, speaker: str | None = None) -> Bunch:
    r"""Load a corpus laid out as one folder an emotion.

    Parameters
    ----------
    folder : str or path-like
        Holds one folder an emotion, whose name is the label; clips lie in them at any depth.
    speaker : str, default=None
        Regular expression that finds the speaker in a clip's path below its emotion's folder
        (with ``/`` between folders): its first group if it has one, else all it matches. Without
        it speakers are unknown, and ``groups`` is None.

    Returns
    -------
    corpus : Bunch
        X (list of paths), y (emotions), groups (speakers or None), frame and DESCR.

    Raises
    ------
    FileNotFoundError
        If there is no audio file one folder down or deeper.
    ValueError
        If `speaker` finds nothing in a clip's path.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> import numpy as np, soundfile
    >>> root = pathlib.Path(tempfile.mkdtemp())
    >>> for emotion in ("anger", "sadness"):
    ...     (root / emotion).mkdir()
    ...     soundfile.write(root / emotion / "anna_1.wav", np.zeros(1600), 16000)
    >>> from sklearn_ser.datasets import load_folder
    >>> corpus = load_folder(root, speaker="^([a-z]+)_")
    >>> corpus.y.tolist(), corpus.groups.tolist()
    (['anger', 'sadness'], ['anna', 'anna'])
    """
    root = existing_folder(folder)
    clips = []
    for emotion in sorted(path for path in root.iterdir() if path.is_dir()):
        for path in sorted(emotion.rglob("*")):
            if path.suffix.lower() not in AUDIO_SUFFIXES or not path.is_file():
                continue
            clip = {"path": str(path), "emotion": emotion.name}
            if speaker is not None:
                within = composed(path.relative_to(emotion).as_posix())
                match = re.search(composed(speaker), within)
                if match is None:
                    raise ValueError(f"speaker={speaker!r} finds nothing in {within!r} ({path}).")
                clip["speaker"] = match.group(1 if match.re.groups else 0)
            clips.append(clip)
    if not clips:
        raise FileNotFoundError(
            f"no clips in {root}: looked for one folder an emotion with audio files in it "
            f"({', '.join(sorted(AUDIO_SUFFIXES))})."
        )
    return as_corpus(root.resolve().name, pd.DataFrame(clips), f"Clips of the folder {root}.")
