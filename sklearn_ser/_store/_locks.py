"""What taking a lock raises where there is none to be had."""

from __future__ import annotations

__all__ = ["NO_LOCK"]

# An OSError from the file system; where that knows no locks at all, filelock turns its ENOSYS into
# a NotImplementedError. Both mean the same to us: go on without a lock.
NO_LOCK = (OSError, NotImplementedError)
