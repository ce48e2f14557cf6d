"""Files: written whole or not at all, their digests, figures, and the user's own source files.

Used by the store, checkpoints, results and recognizers. Other processes may read and write the same
file, and any of them may be killed at any time.
"""

from __future__ import annotations

import contextlib
import errno
import functools
import hashlib
import inspect
import io
import json
import os
import site
import stat
import sys
import sysconfig
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from sklearn_ser.exceptions import ArgumentError

NOT_REGULAR = "a pipe, a device or a socket, not a regular file"
# Of a file that is read at once: tables, metadata, results.
MAX_BYTES = 1 << 28
# Of one of which a digest is made, such as a model's weights.
MAX_WEIGHTS = 1 << 38


@contextmanager
def replacing(path: str | os.PathLike[str]) -> Iterator[str]:
    """Yield the path of a temporary file, ``{path}.*.tmp``, that is renamed to `path` at the end.

    After an error, or where the process is killed, what was there before is still there. The file
    has the permissions of new files, unlike those of the module `tempfile`. A link is kept, and
    the file that it leads to replaced.

    Parameters
    ----------
    path : str or path-like
        In a folder that exists.
    """
    path = os.path.realpath(path)
    temporary = f"{path}.{uuid.uuid4().hex}.tmp"
    try:
        yield temporary
        os.replace(temporary, path)
    except BaseException:  # Ctrl-C among them
        with suppress(OSError):
            os.unlink(temporary)
        raise


def write_atomically(
    path: str | os.PathLike[str], *parts: bytes | memoryview, sync: bool = False
) -> None:
    """Write bytes as `replacing` does.

    Parameters
    ----------
    path : str or path-like
        In a folder that exists.
    *parts : bytes-like
        The content, in order.
    sync : bool
        Whether it has to outlast a power failure.

    Raises
    ------
    OSError
        If it cannot be written; what was there before is still there.
    """
    with replacing(path) as temporary, open(temporary, "wb") as file:
        file.writelines(parts)
        if sync:
            file.flush()
            os.fsync(file.fileno())


def delete_files(folder: Path, *patterns: str) -> None:
    """Delete the files in a folder that fit any pattern, and all folders left empty."""
    for path in [path for pattern in patterns for path in folder.glob(pattern)]:
        with suppress(OSError):
            path.unlink()
    for emptied in [*folder.glob("*"), folder]:
        with suppress(OSError):
            emptied.rmdir()


def open_regular(path: str | os.PathLike[str], max_bytes: float = MAX_BYTES) -> io.FileIO:
    """Open a regular file to be read; the one door by which files of others come in.

    Pipes, devices and sockets are refused before they are opened, which may wait for ever or have
    effects. Of a file that says that it is empty, as those of /proc do, nothing is to be read.

    Parameters
    ----------
    path : str or path-like
    max_bytes : float
        Of a larger file nothing is read.

    Raises
    ------
    OSError
        If it cannot be opened, is no regular file, or larger.
    """
    _check_regular(os.stat(path), path, max_bytes)
    flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
    file = io.FileIO(os.open(path, flags))
    try:  # again: it may have been replaced
        _check_regular(os.fstat(file.fileno()), path, max_bytes)
    except OSError:
        file.close()
        raise
    return file


def _check_regular(found: os.stat_result, path: str | os.PathLike[str], max_bytes: float) -> None:
    if stat.S_ISDIR(found.st_mode):
        raise IsADirectoryError(errno.EISDIR, "a folder, not a file", os.fspath(path))
    if not stat.S_ISREG(found.st_mode):
        raise OSError(errno.EINVAL, NOT_REGULAR, os.fspath(path))
    if found.st_size > max_bytes:
        why = f"too large: {found.st_size} bytes, and the limit is {max_bytes:.0f}"
        raise OSError(errno.EFBIG, why, os.fspath(path))


def read_regular(path: str | os.PathLike[str], max_bytes: float = MAX_BYTES) -> bytes:
    """Return the content of a regular file; see `open_regular`."""
    with open_regular(path, max_bytes) as file:
        left, parts = os.fstat(file.fileno()).st_size, list[bytes]()
        while left > 0 and (part := file.read(left)):
            parts.append(part)
            left -= len(part)
    return b"".join(parts)


def read_text(path: str | os.PathLike[str], max_bytes: float = MAX_BYTES) -> str:
    """Return the text of a regular file in UTF-8, without a byte order mark.

    Raises
    ------
    OSError
        As `open_regular`.
    ValueError
        If it is not in UTF-8.
    """
    content = read_regular(path, max_bytes)
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise ValueError(
            f"{os.fspath(path)} is not in UTF-8: line {line} has the byte "
            f"0x{content[error.start]:02X}. Save it as UTF-8."
        ) from None


@contextlib.contextmanager
def naming_file(path: str | os.PathLike[str]) -> Iterator[None]:
    """Make of any error that a file's content causes a ValueError that names the file."""
    try:
        yield
    except ArgumentError:
        raise
    except OSError as error:
        if error.filename is not None:  # it cannot be opened
            raise
        raise ValueError(f"{os.fspath(path)} cannot be read ({error}).") from error
    except Exception as error:
        if isinstance(error, ValueError) and os.fspath(path) in str(error):
            raise
        what = f"{type(error).__name__}: {str(error)[:500]}"
        raise ValueError(f"{os.fspath(path)} is damaged, or no such file ({what}).") from error


def existing_folder(folder: object) -> Path:
    """Return `folder` as a path, or raise an error that says where it was looked for."""
    path = Path(str(folder)).expanduser()
    if not path.is_dir():
        raise FileNotFoundError(f"no such folder: {path} (looked for in {Path.cwd()})")
    return path


def printable(text: str) -> str:
    r"""Return text that can be written: paths may hold any bytes, of which Python makes surrogates.

    >>> printable("\udce4.wav")
    '\\udce4.wav'
    """
    return text.encode("utf-8", "backslashreplace").decode()


# A file younger than this may change again without its dates showing it.
SETTLED_NS = 2_000_000_000

State = tuple[int, ...]
_known: dict[str, tuple[State, str]] = {}  # of each path


def digest_of(*parts: Any) -> str:
    """Return a 128-bit hash (SHA-256, cut) of text and bytes-like parts, joined, as 32 digits."""
    digest = hashlib.sha256()
    for part in parts:
        digest.update(part.encode() if isinstance(part, str) else part)
    return digest.hexdigest()[:32]


def file_state(found: os.stat_result) -> State:
    """Return what changes when a file does."""
    return found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns


def has_settled(state: State) -> bool:
    """Tell whether a file is so old that any change to come will change its state."""
    return time.time_ns() - max(state[2:]) > SETTLED_NS


def file_digest(
    path: str | os.PathLike[str], max_bytes: Callable[[], float] = lambda: MAX_WEIGHTS
) -> str:
    """Return the SHA-256 of a file, which is read once for as long as its state stays the same.

    Parameters
    ----------
    path : str or path-like
    max_bytes : callable
        Gives the size of the largest file that is read; asked for only if one is read.

    Returns
    -------
    digest : str
        Of 64 digits, of which the first 32 are those that `digest_of` gives.

    Raises
    ------
    OSError
        As `open_regular`.
    """
    path = os.fspath(path)
    seen = os.stat(path)
    state = file_state(seen)
    known = _known.get(path)
    if known is not None and known[0] == state:
        return known[1]
    hashed = hashlib.sha256()
    with open_regular(path, max_bytes()) as file:
        left = os.fstat(file.fileno()).st_size
        while left > 0 and (part := file.read(min(left, 1 << 20))):
            hashed.update(part)
            left -= len(part)
    digest = hashed.hexdigest()
    if has_settled(state):
        _known[path] = state, digest
    return digest


FIGURES: tuple[str, ...] = ("uar", "ccc", "differences", "recall", "speakers", "confusion_matrix")
FIGURES += ("ratings", "reliability", "risk_coverage", "embedding_map")
FORMATS = ("png", "pdf", "svg")
# Next to the results of a comparison; what may be there of an earlier one.
DRAWN = (*(f"{name}.{suffix}" for name in FIGURES for suffix in FORMATS), "report.html")

# What files that this package wrote say of themselves.
SOURCE = {
    "png": {"Source": "sklearn-ser"},
    "pdf": {"Creator": "sklearn-ser"},
    "svg": {"Source": "sklearn-ser"},
}
MARKS = (
    b"Source\0sklearn-ser",
    b"/Creator (sklearn-ser)",
    b"<dc:source>sklearn-ser",
    b'<meta name="generator" content="sklearn-ser">',
)


def write_figure(figure: Any, path: Path) -> None:
    """Write a figure as PNG, PDF or SVG, as its file's name ends."""
    kind = path.suffix.removeprefix(".")
    with replacing(path) as temporary:
        figure.savefig(temporary, format=kind, dpi=150, metadata=SOURCE[kind])


def remove_figure(path: Path) -> None:
    """Remove a figure or a report of this package; what anyone else wrote there stays."""
    if path.is_file():
        content = path.read_bytes()
        if any(mark in content for mark in MARKS):
            path.unlink()


def source_files(thing: Any) -> dict[str, dict[str, str]]:
    """Return the user's own modules that a class (with its bases) or a function is written in.

    Returns
    -------
    files : dict of str to dict
        Of each module's name, ``path``, the file that it was imported from, and ``sha256``, that of
        the file. Modules of this package, of the standard library and of what is installed beside
        it are left out, as are those of a notebook, which have no file.
    """
    found = {}
    for each in inspect.getmro(thing) if isinstance(thing, type) else [thing]:
        name = str(getattr(each, "__module__", None))
        path = Path(getattr(sys.modules.get(name), "__file__", None) or "")
        if name.partition(".")[0] == "sklearn_ser" or not path.is_file() or _is_installed(path):
            continue
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        found[name] = {"path": str(path.resolve()), "sha256": digest}
    return found


def own_code(cls: type) -> dict[str, dict[str, str]]:
    """Return hashes of the user's own code that a class, with its bases, is made of.

    Returns
    -------
    settings : dict
        ``source``, if there is any: of each module's name, the SHA-256 of its file; of a
        notebook's class, that of its functions and plain values.
    """
    digests = {name: file["sha256"] for name, file in source_files(cls).items()}
    for base in inspect.getmro(cls):
        module = sys.modules.get(base.__module__)
        if base.__module__ == "__main__" and not hasattr(module, "__file__"):
            parts = {k: _code(v) for k, v in vars(base).items() if k != "__firstlineno__"}
            digest = hashlib.sha256(repr(parts).encode()).hexdigest()
            digests[f"{base.__module__}.{base.__qualname__}"] = digest
    return {"source": digests} if digests else {}


def _code(value: Any) -> Any:
    """Return what a function does, or a value is, as what has the same text in all processes."""
    if isinstance(value, property):
        return [_code(part) for part in (value.fget, value.fset)]
    value = getattr(value, "__func__", value)
    code = value if inspect.iscode(value) else getattr(value, "__code__", None)
    if code is not None:
        return [code.co_code, code.co_names, [_code(constant) for constant in code.co_consts]]
    if isinstance(value, frozenset):
        return sorted(map(repr, value))
    try:
        return json.dumps(value)
    except (TypeError, ValueError):
        return repr(value) if isinstance(value, (bytes, complex)) else None


def own_files(value: Any) -> dict[str, dict[str, str]]:
    """Return the user's own modules that an estimator, or its parameters, are written in."""
    if isinstance(value, type) or inspect.isroutine(value):
        return source_files(value)
    parts: list[Any] = []
    if isinstance(value, Mapping):
        parts = list(value.values())
    elif isinstance(value, (list, tuple)):
        parts = list(value)
    elif hasattr(value, "get_params"):
        parts = [type(value), *value.get_params(deep=False).values()]
    return {name: file for part in parts for name, file in own_files(part).items()}


def _is_installed(path: Path) -> bool:
    return any(path.resolve().is_relative_to(folder) for folder in _folders_of_packages())


@functools.cache
def _folders_of_packages() -> list[Path]:
    paths = sysconfig.get_paths()
    folders = [paths[name] for name in ("stdlib", "platstdlib", "purelib", "platlib")]
    folders += [*site.getsitepackages(), site.getusersitepackages()]
    return [Path(folder).resolve() for folder in folders]
