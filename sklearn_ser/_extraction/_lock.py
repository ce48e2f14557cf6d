"""The lock that keeps other processes from computing the same record."""

from __future__ import annotations

import warnings

import filelock

from sklearn_ser._store import NO_LOCK, Records
from sklearn_ser.exceptions import StoreWarning

__all__ = ["RecordLock"]


class RecordLock:
    """A lock of one record; where nothing is stored, or no lock can be had, it is nobody's.

    Parameters
    ----------
    records : Records or None
    key : str
        The clip's content digest.
    """

    def __init__(self, records: Records | None, key: str) -> None:
        self._records, self._key = records, key
        self._lock: filelock.BaseFileLock | None = None

    def acquire(self) -> bool:
        """Take the lock, without waiting: a holder that waits for another may wait for ever."""
        if self._records is None:
            return True
        try:
            lock = self._records.claim(self._key)
            lock.acquire(blocking=False)
        except filelock.Timeout:
            return False
        except NO_LOCK as error:
            folder = self._records.folder
            message = f"no lock in {folder} ({error}); processes may repeat each other's work"
            warnings.warn(message, StoreWarning, stacklevel=2)
        else:
            self._lock = lock
        return True

    def release(self) -> None:
        """Give the lock back; once is enough."""
        if self._lock is not None and self._records is not None:
            self._lock.release()
            self._records.forget_claim(self._key)
            self._lock = None
