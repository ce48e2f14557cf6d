"""Checks of a recognizer's file before anything of it is unpacked.

It is a zip archive as skops writes it: ``schema.json``, arrays and bytes, none of them compressed.
So nothing in it can be larger than the file is, and what says that it is, is damaged or an attack.
"""

from __future__ import annotations

import io
import math
import zipfile
from typing import Any

import numpy as np

__all__ = ["check_archive"]

MAX_DIRECTORY = 1 << 22  # bytes that list what is in the archive
MAX_SCHEMA = 1 << 23  # bytes, of JSON
END, END_SIZE, LONGEST_COMMENT = b"PK\5\6", 22, 1 << 16
ZIP64 = b"PK\6\7"
NUMPY = b"\x93NUMPY"


def check_archive(file: io.FileIO) -> None:
    """Raise an error if an open file is no archive of skops, or would be larger unpacked.

    Raises
    ------
    ValueError or another
        Saying why.
    """
    n_bytes = file.seek(0, io.SEEK_END)
    end = b""
    if n_bytes:
        file.seek(max(0, n_bytes - END_SIZE - LONGEST_COMMENT))
        end = file.read()
    at = end.rfind(END)
    if at < 0 or len(end) < at + END_SIZE:
        raise ValueError("it is no zip archive, or its end is missing")
    directory = int.from_bytes(end[at + 12 : at + 16], "little")
    if directory > MAX_DIRECTORY or ZIP64 in end:
        raise ValueError("it lists more files than a recognizer has")
    with zipfile.ZipFile(file) as archive:
        members = archive.infolist()
        if sum(member.file_size for member in members) > n_bytes:
            raise ValueError("what it holds would be larger than it is")
        for member in members:
            if member.compress_type != zipfile.ZIP_STORED:
                raise ValueError(f"{member.filename!r:.100} in it is compressed")
            if member.filename == "schema.json":
                if member.file_size > MAX_SCHEMA:
                    raise ValueError(f"its schema.json has {member.file_size} bytes")
                continue
            with archive.open(member) as content:
                _check_array(content, member.filename, member.file_size)


def _check_array(content: Any, name: str, n_bytes: int) -> None:
    """Raise a ValueError if a file is an array of more values than it holds, or an archive."""
    begin = content.read(len(NUMPY))
    if begin.startswith(b"PK"):
        raise ValueError(f"{name!r:.100} in it is an archive")
    if begin != NUMPY:
        return
    head = io.BytesIO(begin + content.read(1 << 16))
    version = np.lib.format.read_magic(head)
    if version == (1, 0):
        shape, _, dtype = np.lib.format.read_array_header_1_0(head)
    else:
        shape, _, dtype = np.lib.format.read_array_header_2_0(head)
    if dtype.hasobject or min(shape, default=0) < 0:
        raise ValueError(f"{name!r:.100} in it is no array of numbers or text")
    if math.prod(shape) * dtype.itemsize > n_bytes:
        raise ValueError(f"{name!r:.100} in it has fewer values than its shape {shape} says")
