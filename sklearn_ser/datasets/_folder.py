"""A corpus laid out as one folder an emotion."""

from __future__ import annotations

import os
from pathlib import Path

import pandas as pd
from sklearn.utils import Bunch

from sklearn_ser._audio import (
    UNREADABLE,
    WITHOUT_PYAV,
    describe_left_out,
    find_sounds,
    readable_suffixes,
)
from sklearn_ser._utils import existing_folder, warn
from sklearn_ser.datasets._corpus import as_corpus
from sklearn_ser.datasets._files import match_speaker, refuse_pointers

__all__ = ["load_folder"]


def load_folder(folder: str | os.PathLike[str], *, speaker: str | None = None) -> Bunch:
    r"""Load a corpus laid out as one folder an emotion.

    Parameters
    ----------
    folder : str or path-like
        Holds one folder an emotion, whose name is the label; clips lie in them at any depth.
        Links are followed. The sound of m4a, mp4 and the like is read where PyAV is installed.
    speaker : str, default=None
        Regular expression that finds the speaker in a clip's path below its emotion's folder
        (with ``/`` between folders): its first group that matches if it has any, else all it
        matches. Without it speakers are unknown, and ``groups`` is None.

    Returns
    -------
    corpus : Bunch
        X (list of paths), y (emotions), groups (speakers or None), frame and DESCR.

    Raises
    ------
    FileNotFoundError
        If there is no audio file one folder down or deeper.
    ValueError
        If `speaker` finds nothing in a clip's path, if no clip of an emotion can be read, or if
        clips are Git LFS pointers, links to nothing, or links into another emotion's folder.

    Warns
    -----
    UserWarning
        If there are sound files that are not taken: how many, and why. They cannot be decoded, are
        hidden, lie next to the emotions' folders, or are links to what is taken already.

    See Also
    --------
    load_table : Loads a table of clips.

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
    sounds = find_sounds(root)
    for link, path in sounds.again.items():
        if _emotion(link, root) != _emotion(path, root):
            raise ValueError(
                f"{link} is a link to {path}, which would have the labels of two folders: leave "
                "the clip in one of them, or put the folder that is no emotion elsewhere."
            )
    paths = [path for path in sounds.taken if path.parent != root]
    outside = [path for path in sounds.taken if path.parent == root]
    left_out = {**sounds.left_out, **dict.fromkeys(outside, "they lie in no emotion's folder")}
    report = describe_left_out(left_out, root)
    if not paths:
        raise FileNotFoundError(
            f"no clips in {root}: looked for one folder an emotion with audio files in it "
            f"({', '.join(sorted(readable_suffixes()))}). {report}".rstrip()
        )
    emotions = [_emotion(path, root) for path in paths]
    unread = {
        _emotion(path, root) for path, why in left_out.items() if why in (UNREADABLE, WITHOUT_PYAV)
    }
    if lost := sorted(unread - {"", *emotions}):
        raise ValueError(f"no clip of {', '.join(lost)} can be taken. {report}")
    if report:
        warn(report)
    clips = pd.DataFrame({"path": [str(path) for path in paths], "emotion": emotions})
    refuse_pointers(clips["path"], str(root))
    if speaker is not None:
        within = ["/".join(path.relative_to(root).parts[1:]) for path in paths]
        clips["speaker"] = [match_speaker(speaker, path)[0] for path in within]
    return as_corpus(root.resolve().name, clips, f"Clips of the folder {root}.")


def _emotion(path: Path, root: Path) -> str:
    """Return the first folder below the root that a path lies in; "" if it lies in the root."""
    first, *rest = path.relative_to(root).parts
    return first if rest else ""
