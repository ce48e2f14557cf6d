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

__all__ = ["Record", "parse_header", "read_rows", "to_bytes"]

Record = npt.NDArray[np.float32]

_HEAD = 512  # more than any header of ours


def to_bytes(record: Record, key: str) -> bytes:
    rows = np.empty(len(record), [("values", "<f4", (record.shape[1],)), ("crc32", "<u4")])
    rows["values"] = record
    head = io.BytesIO()
    np.lib.format.write_array_header_1_0(head, np.lib.format.header_data_from_array_1_0(rows))
    seed = zlib.crc32(head.getvalue() + key.encode())
    rows["crc32"] = [zlib.crc32(row, seed) for row in np.ascontiguousarray(rows["values"])]
    return head.getvalue() + rows.tobytes()


def read_rows(file: io.FileIO, key: str, rows: Sequence[int] | None) -> Record:
    head = file.read(_HEAD)
    start, dtype, n_rows = parse_header(head)
    size = os.fstat(file.fileno()).st_size
    if size != start + n_rows * dtype.itemsize:
        raise ValueError(f"{size} bytes long instead of {start + n_rows * dtype.itemsize}")
    seed = zlib.crc32(head[:start] + key.encode())
    if rows is None or size <= _HEAD:
        everything = head[start:] if size <= _HEAD else head[start:] + file.readall()
        wanted = range(n_rows) if rows is None else rows
        parts = [everything[i * dtype.itemsize : (i + 1) * dtype.itemsize] for i in wanted]
    else:
        parts = []
        for row in rows:
            file.seek(start + row * dtype.itemsize)
            parts.append(file.read(dtype.itemsize))
    for part in parts:
        if zlib.crc32(memoryview(part)[:-4], seed) != int.from_bytes(part[-4:], "little"):
            raise ValueError("its checksum does not match")
    return np.frombuffer(parts[0] if len(parts) == 1 else b"".join(parts), dtype)["values"]


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
