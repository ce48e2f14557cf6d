"""Finding clips below a folder, and those of a corpus by their names, in whatever layout."""

from __future__ import annotations

import os
import re
import unicodedata
import warnings
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from sklearn_ser._audio import SOUND_SUFFIXES, as_clip, pointer_of, readable_suffixes
from sklearn_ser._utils import composed, existing_folder

__all__ = [
    "Files",
    "describe_left_out",
    "existing_path",
    "find_clips",
    "find_sounds",
    "match_speaker",
    "refuse_pointers",
]

POINTER_SIZE = 1024  # bytes, more than a pointer has
# What archives and file servers leave behind, beside names that start with a dot.
DEBRIS = frozenset(
    [
        "__MACOSX",
        "@eaDir",
        "$RECYCLE.BIN",
        "System Volume Information",
        "lost+found",
        "#recycle",
        "@Recycle",
    ]
)
# Why a file with a suffix of sound is not taken.
UNREADABLE = "nothing here decodes them; convert them to wav or flac, for example with ffmpeg"
WITHOUT_PYAV = 'reading them needs PyAV: pip install "sklearn-ser[video]"'
HIDDEN = "they are hidden, or in a hidden folder, or were left by an archive"
LOST = "they are links to nothing, perhaps to folders of clips"
AGAIN = "they are links to files that are taken by another path"


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
        The columns that tell whether two files are copies of one clip, by default all. Of copies
        one in a format without loss counts, and then the one with the shortest path: some archives
        hold a second copy of everything.
    suffixes : collection of str
        In lower case, those that are taken even if such files cannot be decoded here.

    Returns
    -------
    frame : DataFrame
        path, duration in seconds (NaN if a file's header does not tell), and the groups.

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
    left_out = {**_unreadable(files), **dict.fromkeys(files.hidden, HIDDEN)}
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
        warnings.warn(report, stacklevel=3)
    frame = pd.DataFrame(clips.values()).sort_values("path", ignore_index=True)
    refuse_pointers(frame["path"], corpus)
    with ThreadPoolExecutor() as threads:
        seconds = threads.map(lambda path: as_clip(path, 0).seconds(), frame["path"])
        frame["duration"] = [second or np.nan for second in seconds]
    return frame


class Sounds(NamedTuple):
    """The files below a folder that have a suffix of sound; paths begin as the folder's does."""

    #: Those that can be decoded here, sorted.
    taken: list[Path]
    #: The others, and why they are not taken.
    left_out: dict[Path, str]
    #: Links that are left out, and by which path the same file is taken.
    again: dict[Path, Path]


def find_sounds(folder: str | os.PathLike[str]) -> Sounds:
    """Return which files below a folder hold sound, and which of them are not taken."""
    files, readable = Files(folder), set(readable_suffixes())
    given = Path(folder).expanduser()
    by_file: dict[str, list[Path]] = {}
    for path in files:
        if path.suffix.lower() in readable:
            real = os.path.realpath(path) if files.links else str(path)
            by_file.setdefault(real, []).append(path)
    again: dict[Path, Path] = {}
    for real, paths in by_file.items():
        paths.sort(key=lambda path: (str(path) != real, path))  # what is no link comes first
        again |= dict.fromkeys(paths[1:], paths[0])
    left_out = {**_unreadable(files), **dict.fromkeys(files.hidden, HIDDEN)}
    left_out |= dict.fromkeys(again, AGAIN) | dict.fromkeys(files.lost, LOST)

    def as_given(path: Path) -> Path:
        return given / path.relative_to(files.root)

    return Sounds(
        sorted(as_given(paths[0]) for paths in by_file.values()),
        {as_given(path): why for path, why in left_out.items()},
        {as_given(link): as_given(path) for link, path in again.items()},
    )


def describe_left_out(left_out: Mapping[Path, str], root: Path) -> str:
    """Return how many files are not taken, why, and an example each; "" if there are none."""
    parts = []
    for why in dict.fromkeys(left_out.values()):
        paths = sorted(path for path, reason in left_out.items() if reason == why)
        kinds = ", ".join(sorted({path.suffix.lower() for path in paths}))
        parts.append(f"{len(paths)} ({kinds}; such as {paths[0].relative_to(root)}): {why}")
    if not parts:
        return ""
    return f"{len(left_out)} sound files in {root} are not taken. {'. '.join(parts)}."


def _unreadable(files: Files) -> dict[Path, str]:
    """Return files that have a suffix of sound, but cannot be decoded here, and why."""
    decoders = {path: SOUND_SUFFIXES.get(path.suffix.lower()) for path in files}
    unreadable = {path: UNREADABLE for path, decoder in decoders.items() if decoder == "nothing"}
    if ".mp4" not in readable_suffixes():
        unreadable |= {path: WITHOUT_PYAV for path, name in decoders.items() if name == "PyAV"}
    return unreadable


class Files(list[Path]):
    """All files below a folder, those with the shortest paths first.

    Links to folders are followed, unless they lead up. Names that start with a dot and what
    archives leave behind are left out.

    Parameters
    ----------
    folder : str or path-like

    Attributes
    ----------
    root : Path
        The folder, without links in its path.
    hidden : list of Path
        Files with a suffix of sound that are left out.
    links : bool
        Whether a file or a folder is a link.

    Raises
    ------
    FileNotFoundError
        If there is no such folder.
    OSError
        If a folder cannot be listed.
    """

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        self.root = existing_folder(folder).resolve()
        self.links = False
        self.lost: list[Path] = []
        super().__init__()
        hidden = self._walk(self.root, ())
        self.sort(key=lambda path: (len(path.parts), path))
        self.hidden = sorted(
            path for path in _files_without_links(hidden) if path.suffix.lower() in SOUND_SUFFIXES
        )
        if self.links and self.hidden:  # git-annex keeps there what its links lead to
            taken = set(map(os.path.realpath, self))
            self.hidden = [path for path in self.hidden if str(path) not in taken]

    def _walk(self, folder: Path, parents: tuple[Path, ...]) -> list[Path]:
        """Add the files below a folder, whose parents' real paths are given; return the hidden."""
        hidden: list[Path] = []
        parents = (*parents, folder.resolve())
        with os.scandir(folder) as entries:
            for entry in entries:
                path = folder / entry.name
                self.links |= entry.is_symlink()
                if entry.name.startswith(".") or entry.name in DEBRIS:
                    hidden.append(path)
                elif entry.is_dir():
                    target = path.resolve() if entry.is_symlink() else path
                    if not any(parent.is_relative_to(target) for parent in parents):
                        hidden += self._walk(path, parents)
                # A link to nothing counts: who reads it is told so.
                elif entry.is_file() or not os.path.exists(path):
                    self.append(path)
                if entry.is_symlink() and not os.path.exists(path) and not path.suffix:
                    self.lost.append(path)  # of a folder, it may have held clips
        return hidden


def _files_without_links(paths: Iterable[Path]) -> Iterator[Path]:
    """Yield files, and those below folders, following no link."""
    for path in paths:
        if path.is_dir() and not path.is_symlink():
            for place, _, names in os.walk(path):
                yield from (Path(place, name) for name in names)
        else:
            yield path


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
    if (written.isascii() and "\\" not in written) or path.exists():
        return path
    path = folder / os.path.expanduser(written.replace("\\", "/"))
    found = Path(path.anchor)
    for part in path.parts[bool(path.anchor) :]:
        spellings = [part, *(unicodedata.normalize(form, part) for form in ("NFC", "NFD"))]
        found = next((found / name for name in spellings if (found / name).exists()), found / part)
    return found


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
