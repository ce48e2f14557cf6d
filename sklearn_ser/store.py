"""The on-disk store of clip records.

A record is one file: a NumPy ``.npy`` of rows, each with the CRC-32 of its values, so that one
row can be read and checked without the rest. Files were chosen over a database or a chunked
array store because a rename is atomic on every file system (a record is complete or absent),
processes on several machines need nothing but a shared folder, and damage stays in one clip.
"""

from __future__ import annotations

import functools
import hashlib
import io
import json
import os
import time
import uuid
import warnings
import zlib
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import filelock
import numpy as np
import numpy.typing as npt
import platformdirs

__all__ = ["Records", "Store", "StoreWarning"]

Record = npt.NDArray[np.float32]

ENVIRONMENT_VARIABLE = "SKLEARN_SER_CACHE"
_HEAD = 512  # more than any header of ours
# Rows checked already, by file and rows, while the file stays as it was; a search reads each of
# them in every fold. A file younger than SETTLED_NS may change without its dates showing it.
_recent: dict[tuple[str, tuple[int, ...] | None], tuple[tuple[int, ...], Record]] = {}
_RECENT_ROWS = 1 << 15
SETTLED_NS = 2_000_000_000
_LARGEST = 1 << 14  # bytes; larger records are left on disk


class StoreWarning(UserWarning):
    """A stored record was damaged, or could not be written; only time is lost."""


class Store:
    """All records under one folder.

    Parameters
    ----------
    location : str or path-like, default="auto"
        A folder, or "auto": the environment variable ``SKLEARN_SER_CACHE`` if set, else the
        platform's cache folder.

    Examples
    --------
    >>> import tempfile
    >>> store = Store(tempfile.mkdtemp())
    >>> store.size()
    (0, 0)
    """

    def __init__(self, location: str | os.PathLike[str] = "auto") -> None:
        if location == "auto":
            location = os.environ.get(ENVIRONMENT_VARIABLE) or platformdirs.user_cache_path(
                "sklearn-ser"
            )
        self.folder = Path(location).expanduser()

    def records(self, name: str, settings: dict[str, Any]) -> Records:
        """Return the records that `settings` (everything that changes a value) lead to."""
        return Records(self.folder / f"{name}-{_settings_key(settings)}", settings)

    def list(self) -> list[Records]:
        """Return what the store holds, one entry a set of settings."""
        found = []
        for described in sorted(self.folder.glob("*/settings.json")):
            with suppress(OSError, ValueError):
                settings = json.loads(described.read_text())
                # The name proves that the folder is ours: others have a settings.json too.
                if described.parent.name.endswith(f"-{_settings_key(settings)}"):
                    found.append(Records(described.parent, settings))
        return found

    def size(self) -> tuple[int, int]:
        """Return the number of records and of bytes."""
        sizes = [records.size() for records in self.list()]
        return sum(n for n, _ in sizes), sum(size for _, size in sizes)

    def clear(self) -> None:
        """Delete every record. Other files in the folder are left alone."""
        for records in self.list():
            records.clear()


class Records:
    """The records of one extractor, one file a clip.

    Parameters
    ----------
    folder : Path
        Where they are.
    settings : dict
        The compute settings that led to them.
    """

    def __init__(self, folder: Path, settings: dict[str, Any]) -> None:
        self.folder = folder
        self.settings = settings
        self._root = os.fspath(folder)

    def path(self, key: str) -> str:
        """Return the file of the record `key`."""
        return f"{self._root}{os.sep}{key[:2]}{os.sep}{key[2:]}.npy"

    def read(self, key: str, rows: Sequence[int] | None = None) -> Record | None:
        """Return some rows of a record, or None if there is no sound one.

        Parameters
        ----------
        key : str
            The clip's content digest.
        rows : sequence of int or None
            Which rows; None means all of them.

        Returns
        -------
        record : ndarray of shape (n_rows, n_columns), float32, or None
        """
        try:
            path = self.path(key)
            stat = os.stat(path)
            wanted = (path, None if rows is None else tuple(rows))
            state = (stat.st_ino, stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns)
            known = _recent.get(wanted)
            if known is not None and known[0] == state:
                return known[1]
            with io.FileIO(path) as file:
                record = _read_rows(file, key, rows)
            if time.time_ns() - max(stat.st_mtime_ns, stat.st_ctime_ns) > SETTLED_NS:
                _remember(wanted, state, record)
            return record
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            message = f"record {self.path(key)} cannot be read ({error}); it is computed again"
            warnings.warn(message, StoreWarning, stacklevel=2)
            return None
        except ValueError as error:
            message = f"record {self.path(key)} is damaged ({error}); it is computed again"
            warnings.warn(message, StoreWarning, stacklevel=2)
            with suppress(OSError):
                os.unlink(self.path(key))
            return None

    def write(self, key: str, record: Record) -> None:
        """Write a record aside, then rename it: readers see all of it or nothing."""
        path = self.path(key)
        aside = f"{path}.{uuid.uuid4().hex}.tmp"
        try:
            os.makedirs(os.path.dirname(path), exist_ok=True)
            self._describe()
            with open(aside, "wb") as file:
                file.write(_to_bytes(record, key))
            os.replace(aside, path)
        except OSError as error:
            with suppress(OSError):
                os.unlink(aside)
            message = f"record {path} cannot be stored ({error}); the embedding itself is fine"
            warnings.warn(message, StoreWarning, stacklevel=2)

    def claim(self, key: str) -> filelock.BaseFileLock:
        """Return the lock that keeps two processes from computing the same record."""
        path = self.path(key)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        return filelock.FileLock(f"{path}.lock", is_singleton=False)

    def forget_claim(self, key: str) -> None:
        """Remove the lock's file; whoever still waits for it will find the record."""
        with suppress(OSError):
            os.unlink(f"{self.path(key)}.lock")

    def size(self) -> tuple[int, int]:
        """Return the number of records and of bytes."""
        sizes = [entry.stat().st_size for entry in self.folder.glob("*/*.npy")]
        return len(sizes), sum(sizes)

    def clear(self) -> None:
        """Delete these records, and the folder if nothing else is in it."""
        for pattern in ("*/*.npy", "*/*.npy.*", "*.tmp", "settings.json"):
            for path in self.folder.glob(pattern):
                with suppress(OSError):
                    path.unlink()
        for folder in [*self.folder.glob("*"), self.folder]:
            with suppress(OSError):
                folder.rmdir()

    def _describe(self) -> None:
        described = self.folder / "settings.json"
        if not described.exists():
            aside = described.with_name(f"{uuid.uuid4().hex}.tmp")
            aside.write_text(_as_json(self.settings))
            os.replace(aside, described)


def _remember(wanted: Any, state: tuple[int, ...], record: Record) -> None:
    if record.nbytes > _LARGEST:
        return
    if len(_recent) >= _RECENT_ROWS:
        _recent.clear()
    record.flags.writeable = False
    _recent[wanted] = (state, record)


def _settings_key(settings: Any) -> str:
    return hashlib.sha256(_as_json(settings).encode()).hexdigest()[:16]


def _as_json(settings: Any) -> str:
    """Return settings as text; numbers of NumPy, as grids hold them, become plain ones."""
    return json.dumps(settings, sort_keys=True, default=lambda number: number.item())


def _to_bytes(record: Record, key: str) -> bytes:
    rows = np.empty(len(record), [("values", "<f4", (record.shape[1],)), ("crc32", "<u4")])
    rows["values"] = record
    head = io.BytesIO()
    np.lib.format.write_array_header_1_0(head, np.lib.format.header_data_from_array_1_0(rows))
    seed = zlib.crc32(head.getvalue() + key.encode())
    rows["crc32"] = [zlib.crc32(row, seed) for row in np.ascontiguousarray(rows["values"])]
    return head.getvalue() + rows.tobytes()


def _read_rows(file: io.FileIO, key: str, rows: Sequence[int] | None) -> Record:
    head = file.read(_HEAD)
    start, dtype, n_rows = _parse_header(head[: 10 + int.from_bytes(head[8:10], "little")])
    size = os.fstat(file.fileno()).st_size
    if size != start + n_rows * dtype.itemsize:
        raise ValueError(f"{size} bytes long instead of {start + n_rows * dtype.itemsize}")
    seed = zlib.crc32(head[:start] + key.encode())
    if rows is None or size <= _HEAD:
        everything = head[start:] if size <= _HEAD else head[start:] + file.read(size - _HEAD)
        wanted = range(n_rows) if rows is None else rows
        parts = [everything[i * dtype.itemsize : (i + 1) * dtype.itemsize] for i in wanted]
    else:
        parts = []
        for row in rows:
            file.seek(start + row * dtype.itemsize)
            parts.append(file.read(dtype.itemsize))
    for part in parts:
        if zlib.crc32(part[:-4], seed) != int.from_bytes(part[-4:], "little"):
            raise ValueError("its checksum does not match")
    return np.frombuffer(b"".join(parts), dtype)["values"]


@functools.lru_cache(maxsize=64)
def _parse_header(head: bytes) -> tuple[int, np.dtype[Any], int]:
    file = io.BytesIO(head)
    try:
        if np.lib.format.read_magic(file) != (1, 0):
            raise ValueError("not a record")
        shape, _, dtype = np.lib.format.read_array_header_1_0(file)
    except Exception as error:  # the parser lets through whatever a damaged header leads it to
        raise ValueError(f"its header cannot be read: {error}") from None
    if dtype.names != ("values", "crc32") or len(shape) != 1:
        raise ValueError("not a record")
    return len(head), dtype, shape[0]
