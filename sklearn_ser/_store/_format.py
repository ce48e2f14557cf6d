"""Rows of numbers in a file, each of which can be read and checked without the others.

It is a NumPy ``.npy`` of a structured type: the values of a row and their CRC-32, which also covers
the header and the key under which the rows are kept.
"""

from __future__ import annotations

import functools
import io
import os
import zlib
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["Memory", "Record", "parse_header", "read_rows", "to_bytes"]

Record = npt.NDArray[np.float32]

_HEAD = 512  # more than any header of ours
BLOCK, SMALL = 1 << 25, 1 << 17  # bytes


def to_bytes(record: Record, key: str) -> bytes:
    rows = np.empty(len(record), [("values", "<f4", (record.shape[1],)), ("crc32", "<u4")])
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

    def __init__(self) -> None:
        self._block = np.empty(0, np.uint8)

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
    head = file.read(_HEAD)
    start, dtype, n_rows = parse_header(head)
    size = os.fstat(file.fileno()).st_size
    if size != start + n_rows * dtype.itemsize:
        raise ValueError(f"{size} bytes long instead of {start + n_rows * dtype.itemsize}")
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
    elif size <= _HEAD:
        content = b"".join(head[start + i * dtype.itemsize :][: dtype.itemsize] for i in rows)
    else:
        content = b"".join(_at(file, start + i * dtype.itemsize, dtype.itemsize) for i in rows)
    seed = zlib.crc32(head[:start] + key.encode())
    found = memoryview(content)
    for i in range(0, 0 if checked else len(found), dtype.itemsize):
        end = i + dtype.itemsize
        if zlib.crc32(found[i : end - 4], seed) != int.from_bytes(found[end - 4 : end], "little"):
            raise ValueError("its checksum does not match")
    return np.frombuffer(content, dtype)["values"]


def _at(file: io.FileIO, place: int, size: int) -> bytes:
    file.seek(place)
    return file.read(size)


def parse_header(content: bytes) -> tuple[int, np.dtype[Any], int]:
    """Return where the rows start, their type and their number; ValueError if it is damaged."""
    return _parse_header(content[: 10 + int.from_bytes(content[8:10], "little")])


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
