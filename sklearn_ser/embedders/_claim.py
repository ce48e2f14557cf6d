"""The right to compute one clip's record, and the duty to keep it."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import filelock
import numpy as np
import numpy.typing as npt

from sklearn_ser.audio import Clip, ClipError
from sklearn_ser.store import NO_LOCK, Records, StoreWarning

__all__ = ["UNKNOWN", "Claim", "Done"]

Array = npt.NDArray[np.float32]
Outcome = Array | ClipError | None  # None: another process is computing it
Done = tuple[str, Outcome]
UNKNOWN: Any = object()  # the record is ours to compute


class Claim:
    """A clip whose record is wanted; as a context manager, the lock that keeps others off it.

    Entering gives what is known by now: the record, since another process was faster; None, as
    another is at it; or `UNKNOWN`.

    Parameters
    ----------
    key : str
        The clip's content digest.
    clip : Clip
    records : Records or None
    rows : sequence of int or None
        The rows wanted of the record.
    on_error : {"raise", "warn", "nan"}
    """

    def __init__(
        self,
        key: str,
        clip: Clip,
        records: Records | None,
        rows: Sequence[int] | None,
        on_error: str,
    ) -> None:
        self.key, self.clip = key, clip
        self._records, self._rows, self._on_error = records, rows, on_error
        self._lock: filelock.BaseFileLock | None = None

    def __enter__(self) -> Any:
        if self._records is None:
            return UNKNOWN
        try:
            lock = self._records.claim(self.key)
            lock.acquire(blocking=False)  # who holds one and waits for another may wait for ever
        except filelock.Timeout:
            return None
        except NO_LOCK as error:
            folder = self._records.folder
            message = f"no lock in {folder} ({error}); processes may repeat each other's work"
            warnings.warn(message, StoreWarning, stacklevel=2)
            return UNKNOWN
        self._lock = lock
        stored = self._records.read(self.key, self._rows)
        return UNKNOWN if stored is None else stored

    def __exit__(self, *exception: object) -> None:
        if self._lock is not None and self._records is not None:
            self._lock.release()
            self._records.forget_claim(self.key)
            self._lock = None

    def keep(self, content: Any, record: Array) -> Array:
        """Check and store a record; return the rows wanted."""
        if not np.isfinite(record).all():
            raise self.clip.error(
                f"{np.count_nonzero(~np.isfinite(record))} of its features are NaN or infinite",
                "It is most likely too short or too quiet for these features; leave it out.",
            )
        if self._records is not None:
            # The digest of what was decoded, not of what was looked up: the file may have changed.
            self._records.write(self.clip.digest_of(content), record)
        return record if self._rows is None else record[list(self._rows)]

    def failed(self, error: ClipError) -> ClipError:
        """Raise the error, or return it as the clip's outcome."""
        if self._on_error == "raise":  # here, so that other threads stop
            raise error
        return error
