"""Finding sound files below a folder, by their names; used by the loaders and the command line."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from sklearn_ser._utils import existing_folder

__all__ = [
    "SOUND_SUFFIXES",
    "UNREADABLE",
    "WITHOUT_PYAV",
    "Files",
    "describe_left_out",
    "find_sounds",
    "readable_suffixes",
]

_SUFFIXES = {
    # Formats without loss come first: of copies of a clip, the first in this order is taken.
    "libsndfile": ".wav .wave .bwf .flac .aif .aiff .aifc .au .snd .w64 .rf64 .caf .caff .sph "
    ".nist .wv1 .wv2 .ircam .sf .paf .pvf .avr .svx .8svx .wve .sds .opus .ogg .oga .mp3 .mpga "
    ".mpega .mpa .mp2 .m2a .mp1",
    "PyAV": ".m4a .m4b .m4r .m4p .mp4a .mka .mp4 .m4v .mov .qt .qta .mkv .mk3d .webm .weba .3gp "
    ".3gpp .3gpp2 .3ga .3g2 .f4a .f4b .f4v .isma .ismv .aac .adts .wma .wm .asf .wmv .amr .awb "
    ".flv .spx .avi .tta .wv .voc",
    # The last lines are samples without a header.
    "nothing": ".722 .726 .aa .aa3 .aax .ac3 .ac4 .adx .alac .ape .aptx .at3 .atrac .c2 .dff .ds2 "
    ".dsf .dss .dts .dtshd .dvf .eac3 .ec3 .g722 .g723 .g723_1 .g726 .g729 .gsm .ilbc .lbc .loas "
    ".m2ts .mlp .mpc .mpe .mpeg .mpg .msv .mts .ofr .ofs .ogv .ogx .oma .omg .qcp .ra .rm "
    ".rmvb .sbc .sd2 .shn .tak .thd .vob .vqf .xi "
    ".al .alaw .f32 .f64 .l16 .l24 .la .lpcm .lu .pcm .raw .s16 .s24 .s32 .s8 .sb .sl .sln .sw "
    ".u16 .u8 .ub .ul .ulaw .uw .vox",
}
#: What decodes files with a suffix of sound (lower case): "libsndfile", "PyAV" (the sound of
#: videos, too) or "nothing".
SOUND_SUFFIXES = {
    suffix: decoder for decoder, suffixes in _SUFFIXES.items() for suffix in suffixes.split()
}
# What archives and file servers leave behind, apart from names that start with a dot.
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


class Sounds(NamedTuple):
    """The files below a folder that have a suffix of sound; paths begin as the folder's does."""

    #: Those that can be decoded here, sorted.
    taken: list[Path]
    #: The others, and why they are not taken.
    left_out: dict[Path, str]
    #: Links that are left out, and by which path the same file is taken.
    again: dict[Path, Path]


def readable_suffixes() -> list[str]:
    """Return the suffixes of files that can be decoded here; PyAV need not be installed."""
    decoders = ["libsndfile", *(["PyAV"] if importlib.util.find_spec("av") else [])]
    return [suffix for suffix, decoder in SOUND_SUFFIXES.items() if decoder in decoders]


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
    left_out = files.left_out | dict.fromkeys(again, AGAIN) | dict.fromkeys(files.lost, LOST)

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

    @property
    def left_out(self) -> dict[Path, str]:
        """Files with a suffix of sound that cannot be decoded here, or are hidden, and why."""
        decoders = {path: SOUND_SUFFIXES.get(path.suffix.lower()) for path in self}
        found = {path: UNREADABLE for path, decoder in decoders.items() if decoder == "nothing"}
        if ".mp4" not in readable_suffixes():
            found |= {path: WITHOUT_PYAV for path, name in decoders.items() if name == "PyAV"}
        return found | dict.fromkeys(self.hidden, HIDDEN)

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
                # A link to nothing counts: reading it is an error.
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
