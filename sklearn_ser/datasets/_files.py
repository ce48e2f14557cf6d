"""Finding a corpus's clips by their names, in whatever layout they lie."""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pandas as pd

from sklearn_ser.audio import as_clip
from sklearn_ser.datasets._corpus import AUDIO_SUFFIXES, existing_folder

__all__ = ["Files", "find_clips"]

POINTER = b"version https://git-lfs.github.com/spec/"
POINTER_SIZE = 1024  # bytes, more than a Git LFS pointer has


def find_clips(
    files: Files,
    pattern: str,
    *,
    corpus: str,
    example: str,
    identity: Sequence[str] = (),
    suffixes: Collection[str] = AUDIO_SUFFIXES,
) -> pd.DataFrame:
    """Return a frame of a corpus's clips: what a pattern finds in their paths.

    Parameters
    ----------
    files : Files
        Among which they are.
    pattern : str
        Regular expression for the end of a path without its suffix, whatever the case. Its named
        groups become columns.
    corpus, example : str
        The corpus, and what its clips are called, for errors.
    identity : sequence of str
        The columns that tell whether two files are copies of one clip, by default all. Of copies
        the one with the shortest path counts: some archives hold a second copy of everything.
    suffixes : collection of str
        Of the files, in lower case.

    Returns
    -------
    frame : DataFrame
        path, duration in seconds (NaN if a file's header does not tell), and the groups.

    Raises
    ------
    FileNotFoundError
        If there is no such clip.
    ValueError
        If clips are Git LFS pointers.
    """
    named = re.compile(f"/(?:{pattern})$", re.IGNORECASE)
    clips: dict[tuple[str, ...], dict[str, str]] = {}
    others: list[Path] = []
    for path in files:
        match = named.search(path.with_suffix("").as_posix())
        if match is None or path.suffix.lower() not in suffixes:
            others.append(path)
            continue
        groups = {name: value or "" for name, value in match.groupdict().items()}
        key = tuple(groups[name].lower() for name in identity or groups)
        clips.setdefault(key, {"path": str(path), **groups})
    if not clips:
        seen = f"{len(others)} other files, such as {others[0]}" if others else "no file at all"
        raise FileNotFoundError(
            f"no clips of {corpus} in {files.root}: looked for names such as {example} at "
            f"any depth, as {', '.join(sorted(suffixes))}, and found {seen}."
        )
    frame = pd.DataFrame(clips.values()).sort_values("path", ignore_index=True)
    _refuse_pointers(frame["path"], corpus)
    with ThreadPoolExecutor() as threads:
        seconds = threads.map(lambda path: as_clip(path, 0).seconds(), frame["path"])
        frame["duration"] = [second or np.nan for second in seconds]
    return frame


class Files(list[Path]):
    """All files below a folder, those with the shortest paths first.

    Parameters
    ----------
    folder : str or path-like

    Raises
    ------
    FileNotFoundError
        If there is no such folder.
    """

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        self.root = existing_folder(folder).resolve()
        paths = [Path(place, name) for place, _, names in os.walk(self.root) for name in names]
        super().__init__(sorted(paths, key=lambda path: (len(path.parts), path)))


def _refuse_pointers(paths: pd.Series[str], corpus: str) -> None:
    pointers = [path for path in paths if _is_pointer(path)]
    if pointers:
        raise ValueError(
            f"{len(pointers)} of {len(paths)} clips of {corpus} are no audio but Git LFS pointers, "
            f'the first is {pointers[0]}. Run "git lfs pull" in their repository.'
        )


def _is_pointer(path: str) -> bool:
    if os.path.getsize(path) > POINTER_SIZE:
        return False
    with open(path, "rb") as file:
        return file.read(len(POINTER)) == POINTER
