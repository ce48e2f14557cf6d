"""The content of sound files, and the limits within which it is decoded.

A limit is the environment variable ``SKLEARN_SER_`` and its name, so that workers have it, too; it
is looked up whenever a file is read.
"""

from __future__ import annotations

import hashlib
import os
import weakref
from pathlib import Path

from sklearn_ser._utils import HIGHEST_RATE, LOWEST_RATE, open_regular

__all__ = ["Encoded", "FileContent", "limit", "limit_named", "read_content"]

LIMITS = {
    "MIN_SAMPLING_RATE": LOWEST_RATE,  # Hz, of a file
    "MAX_SAMPLING_RATE": HIGHEST_RATE,
    "MAX_CHANNELS": 64,  # of a file; seventh-order ambisonics has as many
    "MAX_SECONDS": 4 * 3600,  # of a clip, which is decoded into memory; not of what `predict` reads
    "MAX_FILE_BYTES": 1 << 34,
}
# Bytes of a file that is read at once; of a larger one, a part at a time.
SMALL = 1 << 25
PART, SEARCHED = 1 << 16, 1 << 22  # bytes


def limit(name: str) -> float:
    """Return a limit.

    Raises
    ------
    ValueError
        If the environment variable is no number.
    """
    variable = limit_named(name)
    text = os.environ.get(variable, "")
    try:
        value = float(text or LIMITS[name])
    except ValueError:
        value = -1.0
    if not value > 0:
        raise ValueError(f"the environment variable {variable} is {text!r}, not a positive number.")
    return value


def limit_named(name: str) -> str:
    """Return the environment variable of a limit."""
    return f"SKLEARN_SER_{name}"


class FileContent:
    """The bytes of a file, of which a part is in memory: slices of it, and `find`, as of bytes.

    It is not mapped into memory: a file that another process cuts would end this one.

    Parameters
    ----------
    path : Path

    Raises
    ------
    OSError
        If it cannot be read, is no regular file, or larger than the limit.
    """

    def __init__(self, path: Path) -> None:
        self._file = file = open_regular(path, limit("MAX_FILE_BYTES"))
        weakref.finalize(self, file.close)
        self._state = self._seen()
        self._begin, self._part = 0, b""

    def __len__(self) -> int:
        return self._state[0]

    def __getitem__(self, part: slice) -> bytes:
        begin, end, _ = part.indices(len(self))
        if begin < self._begin or end > self._begin + len(self._part):
            self._file.seek(begin)
            self._begin, self._part = (
                begin,
                self._read(min(max(end - begin, PART), len(self) - begin)),
            )
        return self._part[begin - self._begin : max(begin, end) - self._begin]

    def _read(self, n_bytes: int) -> bytes:
        parts = []
        while n_bytes > 0 and (part := self._file.read(n_bytes)):
            parts.append(part)
            n_bytes -= len(part)
        return b"".join(parts)

    def find(self, mark: bytes, begin: int = 0, end: int | None = None) -> int:
        """Return where these bytes are found first, -1 if they are not."""
        end = len(self) if end is None else min(end, len(self))
        while begin < end:
            stop = min(end, begin + SEARCHED)
            found = self[begin:stop].find(mark)
            if found >= 0:
                return begin + found
            if stop == end:
                break
            begin = stop - len(mark) + 1
        return -1

    def digest(self) -> str:
        """Return the hash that `digest_of` gives of bytes."""
        digest = hashlib.sha256()
        for begin in range(0, len(self), SEARCHED):
            digest.update(self[begin : min(begin + SEARCHED, len(self))])
        return digest.hexdigest()[:32]

    def check_unchanged(self) -> None:
        """Raise a ValueError if the file has changed since it was opened."""
        if self._seen() != self._state:
            raise ValueError("the file changed while it was read")

    def _seen(self) -> tuple[int, int]:
        found = os.fstat(self._file.fileno())
        return found.st_size, found.st_mtime_ns


Encoded = bytes | FileContent


def read_content(path: Path) -> Encoded:
    """Return the content of a file, in memory if it is small.

    Raises
    ------
    OSError
        As `FileContent`.
    """
    content = FileContent(path)
    return content if len(content) > SMALL else content[0 : len(content)]
