"""Files of records: rows of numbers, each with a checksum, and what was read of them lately.

A file is a NumPy ``.npy`` of a structured type: the values of a row and their CRC-32, which also
covers the header and the key under which the rows are kept. Each row can be read and checked
without the others.

The modification time of a file is when it was last used, to an hour: access times are often not
kept. By it the least recently used records are removed.
"""

from __future__ import annotations

import functools
import io
import os
import re
import threading
import time
import zlib
from collections import OrderedDict
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from sklearn_ser._utils import warn
from sklearn_ser.exceptions import StoreWarning

__all__ = [
    "HEAD",
    "HOUR",
    "NO_LOCK",
    "Memory",
    "Record",
    "StoredFile",
    "is_record",
    "read_rows",
    "recent",
    "stat_used",
    "to_bytes",
    "warn_once",
]

Record = npt.NDArray[np.float32]

HEAD = 512  # more than any header of ours
BLOCK, SMALL = 1 << 25, 1 << 17  # bytes
# What a file system raises that has no locks: an OSError; where it knows none at all, filelock
# turns its ENOSYS into a NotImplementedError. Whoever wants a lock then goes on without it.
NO_LOCK = (OSError, NotImplementedError)

HOUR = 3600.0  # seconds, within which a second use of a file is not noted
ENTRY = 512  # bytes that remembering takes, whatever is remembered


HEADER = re.compile(
    rb"\x93NUMPY\x01\0..\{'descr': \[\('values', '<f4', \((\d+),\)\), \('crc32', '<u4'\)\], "
    rb"'fortran_order': False, 'shape': \((\d+),\), \} *\n",
    re.DOTALL,
)


class StoredFile(NamedTuple):
    """What is removed at once: a loose record, or a pack."""

    used: float  # seconds since the epoch
    n_records: int
    n_bytes: int
    remove: Callable[[], None]


_warned: set[tuple[str, str]] = set()


def warn_once(message: str, store: str | os.PathLike[str], fault: str) -> None:
    """Warn of a store that cannot be used as it should, not again for each of its clips."""
    about = os.path.abspath(store), fault
    if about not in _warned:
        _warned.add(about)
        warn(message, StoreWarning)


def stat_used(path: str) -> os.stat_result:
    """Return the status of a file that is about to be read, and note that it is."""
    found = os.stat(path)
    if time.time() - found.st_mtime > HOUR:
        with suppress(OSError):  # others' files, or a file system that cannot be written
            os.utime(path)
            return os.stat(path)
    return found


@functools.lru_cache(maxsize=64)
def _row_type(n_columns: int) -> np.dtype[Any]:
    return np.dtype([("values", "<f4", (n_columns,)), ("crc32", "<u4")])


def to_bytes(record: Record, key: str) -> bytes:
    """Return the file of a record: its header, and each row with its checksum."""
    rows = np.empty(len(record), _row_type(record.shape[1]))
    rows["values"] = record
    head = io.BytesIO()
    np.lib.format.write_array_header_1_0(head, np.lib.format.header_data_from_array_1_0(rows))
    seed = zlib.crc32(head.getvalue() + key.encode())
    rows["crc32"] = [zlib.crc32(row, seed) for row in np.ascontiguousarray(rows["values"])]
    return head.getvalue() + rows.tobytes()


class Memory:
    """Gives memory to read large records into, many from one block.

    Pages that are touched for the first time cost more than reading does, and the system hands out
    large blocks in larger pages. A block stays as long as one of its records is used.
    """

    _block = np.empty(0, np.uint8)

    def take(self, n_bytes: int) -> npt.NDArray[np.uint8]:
        """Return the next bytes, whose content is left to chance."""
        if n_bytes < SMALL or n_bytes > BLOCK:
            return np.empty(n_bytes, np.uint8)
        if n_bytes > len(self._block):
            self._block = np.empty(BLOCK, np.uint8)
        taken, self._block = self._block[:n_bytes], self._block[-(-n_bytes // 64) * 64 :]
        return taken


def read_rows(
    file: io.FileIO,
    key: str,
    rows: Sequence[int] | None,
    memory: Memory | None = None,
    checked: bool = False,
) -> Record:
    """Return some rows of a record's file, or all of them; `checked` if they were sound before.

    Raises
    ------
    ValueError
        If they are damaged.
    """
    head = file.read(HEAD)
    start, n_rows, n_columns = _parse_header(head)
    size = os.fstat(file.fileno()).st_size
    if size != (expected := start + n_rows * (4 * n_columns + 4)):
        raise ValueError(f"{size} bytes long instead of {expected}")
    dtype = _row_type(n_columns)
    content: Any
    if rows is None:
        n_bytes = size - start
        content = np.empty(n_bytes, np.uint8) if memory is None else memory.take(n_bytes)
        file.seek(start)
        n_read = 0
        while n_read < len(content):  # two gigabytes at most are read at once
            if not (n := file.readinto(content[n_read:])):
                raise ValueError("it ended while it was read")
            n_read += n
    elif size <= HEAD:
        content = b"".join(head[start + i * dtype.itemsize :][: dtype.itemsize] for i in rows)
    else:
        content = bytearray()
        for i in rows:
            file.seek(start + i * dtype.itemsize)
            content += file.read(dtype.itemsize)
    seed = zlib.crc32(head[:start] + key.encode())
    found = memoryview(content)
    for i in range(0, 0 if checked else len(found), dtype.itemsize):
        end = i + dtype.itemsize
        if zlib.crc32(found[i : end - 4], seed) != int.from_bytes(found[end - 4 : end], "little"):
            raise ValueError("its checksum does not match")
    return np.frombuffer(content, dtype)["values"]


def _parse_header(head: bytes) -> tuple[int, int, int]:
    """Return where the rows start, their number, and that of their columns."""
    found = HEADER.match(head)
    if found is None:
        raise ValueError("its header cannot be read")
    return found.end(), int(found[2]), int(found[1])


def is_record(path: Path) -> bool:
    """Tell whether a file has the header of a record."""
    with suppress(OSError), open(path, "rb") as file:
        return HEADER.match(file.read(HEAD)) is not None
    return False


class Recent:
    """Rows that were read and checked, by file, its state and their number; the latest of them."""

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._lock = threading.Lock()
        self.clear()

    def clear(self) -> None:
        self._rows: OrderedDict[Any, Record] = OrderedDict()  # the latest last
        self._n_bytes = 0

    def get(self, wanted: Any) -> Record | None:
        with self._lock:
            if wanted in self._rows:
                self._rows.move_to_end(wanted)
            return self._rows.get(wanted)

    def keep(self, wanted: Any, row: Record) -> None:
        row.flags.writeable = False
        with self._lock:
            if wanted not in self._rows:
                self._n_bytes += row.nbytes + ENTRY
            self._rows[wanted] = row
            while self._n_bytes > self._max_bytes:
                self._n_bytes -= self._rows.popitem(last=False)[1].nbytes + ENTRY


recent = Recent(1 << 28)
