"""Locks between processes, for records while they are computed, and for folders of packs."""

from __future__ import annotations

import os
import warnings
from contextlib import suppress

import filelock

from sklearn_ser.exceptions import StoreWarning

__all__ = ["NO_LOCK", "RecordLock"]

# What a file system raises that has no locks: an OSError; where it knows none at all, filelock
# turns its ENOSYS into a NotImplementedError. Whoever wants a lock then goes on without it.
NO_LOCK = (OSError, NotImplementedError)


class RecordLock:
    """Keeps other processes from computing the same record, while one computes it.

    Parameters
    ----------
    path : str or None
        The record's file; None, where nothing is stored, is a lock that can always be had.
    """

    def __init__(self, path: str | None) -> None:
        self._path = path
        self._lock: filelock.BaseFileLock | None = None

    def acquire(self) -> bool:
        """Acquire the lock, or return False: two processes that waited might do so for ever."""
        if self._path is None:
            return True
        folder = os.path.dirname(self._path)
        # One thread may acquire it, and another release it.
        lock = filelock.FileLock(f"{self._path}.lock", is_singleton=False, thread_local=False)
        try:
            os.makedirs(folder, exist_ok=True)
            lock.acquire(blocking=False)
        except filelock.Timeout:
            return False
        except NO_LOCK as error:
            message = f"no lock in {folder} ({error}); processes may repeat each other's work"
            warnings.warn(message, StoreWarning, stacklevel=2)
        else:
            self._lock = lock
        return True

    def release(self) -> None:
        """Release the lock, if it is held, and remove its file."""
        if self._lock is not None:
            self._lock.release()
            self._lock = None
            with suppress(OSError):
                os.unlink(f"{self._path}.lock")
