"""Finding the clips of a corpus by their names, in whatever layout; used by the loaders."""

from __future__ import annotations

import functools
import os
import re
import unicodedata
from collections.abc import Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pandas as pd

from sklearn_ser._audio import (
    Files,
    as_clip,
    describe_left_out,
    pointer_of,
    readable_suffixes,
)
from sklearn_ser._utils import composed, warn

__all__ = ["existing_path", "find_clips", "match_speaker", "refuse_outside", "refuse_pointers"]

POINTER_SIZE = 1024  # bytes, more than a pointer has


def find_clips(
    files: Files,
    pattern: str,
    *,
    corpus: str,
    example: str,
    identity: Sequence[str] = (),
    suffixes: Collection[str] = (),
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
        The columns that decide whether two files are copies of one clip, by default all. Of copies
        one in a format without loss counts, and then the one with the shortest path: some archives
        hold a second copy of everything.
    suffixes : collection of str
        In lower case, those that are taken even if such files cannot be decoded here.

    Returns
    -------
    frame : DataFrame
        path, duration in seconds (NaN if a file's header does not state it), and the groups.

    Raises
    ------
    FileNotFoundError
        If there is no such clip.
    ValueError
        If clips are Git LFS pointers, or links to nothing.

    Warns
    -----
    UserWarning
        If clips are left out as they cannot be decoded, or are hidden.
    """
    named = re.compile(f"/(?:{pattern})$", re.IGNORECASE)
    taken = {suffix: rank for rank, suffix in enumerate([*readable_suffixes(), *suffixes])}

    def groups_of(path: Path) -> dict[str, str] | None:
        match = named.search(path.with_suffix("").as_posix())
        return match and {name: value or "" for name, value in match.groupdict().items()}

    def key_of(groups: dict[str, str]) -> tuple[str, ...]:
        return tuple(groups[name].lower() for name in identity or groups)

    clips: dict[tuple[str, ...], dict[str, str]] = {}
    others: list[Path] = []
    for path in sorted(files, key=lambda path: taken.get(path.suffix.lower(), -1)):
        groups = groups_of(path)
        if groups is None or path.suffix.lower() not in taken:
            others.append(path)
        else:
            clips.setdefault(key_of(groups), {"path": str(path), **groups})
    left_out = files.left_out
    missed = {path: groups for path in left_out if (groups := groups_of(path)) is not None}
    report = describe_left_out(
        {
            path: left_out[path]
            for path, groups in missed.items()
            if path.suffix.lower() not in suffixes and key_of(groups) not in clips
        },
        files.root,
    )
    if not clips:
        seen = f"{len(others)} other files, such as {others[0]}" if others else "no file at all"
        raise FileNotFoundError(
            f"no clips of {corpus} in {files.root}: looked for names such as {example} at "
            f"any depth, as {', '.join(sorted(taken))}, and found {seen}. {report}".rstrip()
        )
    if report:
        warn(report)
    frame = pd.DataFrame(clips.values()).sort_values("path", ignore_index=True)
    refuse_pointers(frame["path"], corpus)
    with ThreadPoolExecutor() as threads:
        seconds = threads.map(lambda path: as_clip(path, 0).seconds(), frame["path"])
        frame["duration"] = [second or np.nan for second in seconds]
    return frame


def match_speaker(pattern: str, path: str) -> list[str]:
    """Return which groups of a regular expression matched in a path, or all that it matched.

    Raises
    ------
    ValueError
        If nothing matches.
    """
    try:
        match = re.search(composed(pattern), composed(path))
    except re.error as error:
        raise ValueError(f"speaker={pattern!r} is not a regular expression: {error}") from None
    found = [] if match is None else [g for g in match.groups() or (match[0],) if g]
    if not found:
        raise ValueError(f"speaker={pattern!r} finds nothing in {path!r}.")
    return found


def existing_path(folder: Path, written: str) -> Path:
    """Return the path that a table means: some are written in Windows, or on a Mac.

    Parameters
    ----------
    folder : Path
        Where relative paths start.
    written : str
        A path that need not exist as it is written: with backslashes, or with letters and accents
        composed otherwise than in the name on disk.
    """
    path = folder / os.path.expanduser(written)
    if (written.isascii() and "\\" not in written) or os.path.exists(path):
        return path
    path = folder / os.path.expanduser(written.replace("\\", "/"))
    found = Path(path.anchor)
    for part in path.parts[bool(path.anchor) :]:
        spellings = [part, *(unicodedata.normalize(form, part) for form in ("NFC", "NFD"))]
        found = next(
            (found / name for name in spellings if os.path.exists(found / name)), found / part
        )
    return found


def refuse_outside(
    paths: Sequence[str] | pd.Series[str],
    folder: str | os.PathLike[str],
    where: str,
    allowed: bool,
) -> None:
    """Raise a ValueError if paths lead out of a folder, by "..", as absolute ones or by links.

    Parameters
    ----------
    paths : sequence of n_rows str
    folder : str or path-like
    where : str
        What names these paths, for the error.
    allowed : bool
        Whether they may.
    """
    if allowed:
        return
    root = os.path.realpath(folder)
    resolve = functools.cache(os.path.realpath)  # of the folders that hold them, which are few

    def is_outside(path: str) -> bool:
        if "\0" in path:
            return True
        place, name = os.path.split(path)
        if name in ("", ".", "..") or os.path.islink(path):
            real = os.path.realpath(path)
        else:
            real = os.path.join(resolve(place), name)
        return not Path(real).is_relative_to(root)

    rows = [row for row, path in enumerate(paths) if is_outside(path)]
    if rows:
        first = list(paths)[rows[0]]
        raise ValueError(
            f"{where}: {len(rows)} of {len(paths)} paths lead out of the folder {root}; the first "
            f"is in row {rows[0]}, counted from 0, {first!r:.200}. Name the folder that "
            "holds all clips (root, or --root); or, if you trust who wrote it, set "
            "allow_outside=True in Python."
        )


def refuse_pointers(paths: Sequence[str] | pd.Series[str], corpus: str) -> None:
    """Raise an error if clips are pointers of Git LFS or git-annex, or links to nothing."""
    pointers = {path: found for path in paths if (found := _pointer(path))}
    if pointers:
        path, (what, command) = next(iter(pointers.items()))
        n_such = sum(found[0] == what for found in pointers.values())
        raise ValueError(
            f"{n_such} of {len(paths)} clips of {corpus} are no audio but {what}, "
            f'the first is {path}. Run "{command}" in their repository.'
        )


def _pointer(path: str) -> tuple[str, str] | None:
    """Return what a file is that holds no audio, and the command that gets the audio."""
    if os.path.islink(path) and not os.path.exists(path):  # as git-annex makes
        return "links to nothing", "git annex get ."
    if os.path.getsize(path) > POINTER_SIZE:
        return None
    with open(path, "rb") as file:
        pointer = pointer_of(file.read())
    return pointer and (f"{pointer[0]} pointers", pointer[1])
