"""Digests, and whether a file is the one that was read before.

For what keys are made of: clips, models, settings, corpora, packs.
"""

from __future__ import annotations

import hashlib
import os
import stat
import time
from typing import Any

__all__ = ["digest_of", "file_digest", "file_state", "has_settled"]

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


def file_digest(path: str | os.PathLike[str]) -> str:
    """Return the SHA-256 of a file, which is read once for as long as its state stays the same.

    Returns
    -------
    digest : str
        Of 64 digits, of which the first 32 are those that `digest_of` gives.

    Raises
    ------
    OSError
        If it cannot be read, or is no file: reading from a pipe could wait for ever.
    """
    path = os.fspath(path)
    seen = os.stat(path)
    state = file_state(seen)
    known = _known.get(path)
    if known is not None and known[0] == state:
        return known[1]
    if not stat.S_ISREG(seen.st_mode):
        raise OSError(f"{path} is no file")
    with open(path, "rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    if has_settled(state):
        _known[path] = state, digest
    return digest
