"""Files of records: rows of numbers, of one clip, or of many clips in a pack.

A file is a NumPy ``.npy`` of a structured type: the values of a row and their CRC-32, which also
covers the header and the key under which the rows are kept. Each row can be read and checked
without the others.

A search wants one row (a layer's mean, say) of every clip. In a pack these lie side by side, so
that they are one read and one checksum. A pack is itself a record, whose rows are those of its
clips joined; its key is the digest of a list in another file, with the key and the checksum of each
clip's record. Should a row be damaged, the list shows which clips are still sound.
"""

from __future__ import annotations

import functools
import io
import os
import threading
import warnings
import zlib
from collections import OrderedDict, defaultdict
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import filelock
import numpy as np
import numpy.typing as npt

from sklearn_ser._utils import digest_of, file_state, has_settled, write_atomically
from sklearn_ser.exceptions import StoreWarning

__all__ = ["NO_LOCK", "Memory", "Packs", "Record", "packs_in", "read_rows", "recent", "to_bytes"]

Record = npt.NDArray[np.float32]

_HEAD = 512  # more than any header of ours
BLOCK, SMALL = 1 << 25, 1 << 17  # bytes
# What a file system raises that has no locks: an OSError; where it knows none at all, filelock
# turns its ENOSYS into a NotImplementedError. Whoever wants a lock then goes on without it.
NO_LOCK = (OSError, NotImplementedError)

CLIPS = 256  # in a pack
FEWEST = 64  # clips that are worth one
ENTRY = 512  # bytes that remembering takes, whatever is remembered


def to_bytes(record: Record, key: str) -> bytes:
    """Return the file of a record: its header, and each row with its checksum."""
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


@dataclass(frozen=True)
class _Index:
    """What is in a folder of packs, at one moment."""

    seen: tuple[int, ...] = ()  # the folder's state, if any later change will change it
    lists: dict[str, list[tuple[str, int]]] = field(default_factory=dict)  # of each pack
    n_clips: dict[str, int] = field(default_factory=dict)  # of each pack
    places: dict[str, tuple[str, int]] = field(default_factory=dict)  # each clip's pack and place


class Packs:
    """The packs in a folder; `packs_in` gives the one object that knows it.

    Parameters
    ----------
    folder : Path
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._index = _Index()
        self._unreadable: set[str] = set()

    def read(self, keys: Sequence[str], rows: Sequence[int] | None) -> list[Record | None]:
        """Return some rows of each clip's record, or None where it is in no sound pack."""
        index = self._look()
        places: dict[str, tuple[list[int], list[int]]] = defaultdict(lambda: ([], []))
        for i, key in enumerate(keys if index.places else ()):
            if place := index.places.get(key):
                wanted, inside = places[place[0]]
                wanted.append(i)
                inside.append(place[1])
        found: list[Record | None] = [None] * len(keys)
        for pack, (wanted, inside) in places.items():
            n_clips = index.n_clips[pack]
            try:
                parts = self._rows_of(pack, rows)
            except FileNotFoundError:
                continue
            except OSError as error:
                self._unreadable.add(pack)
                message = f"{self._path(pack)} cannot be read ({error}); it is computed again"
                warnings.warn(message, StoreWarning, stacklevel=4)
                continue
            except ValueError as error:
                message = f"{self._path(pack)} is damaged ({error}); what is, is computed again"
                warnings.warn(message, StoreWarning, stacklevel=4)
                self._salvage(pack)
                continue
            n_columns = parts[0].size // n_clips if parts else 0
            out = np.empty((len(inside), len(parts), n_columns), "f4")
            for i, part in enumerate(parts):
                # "clip", as by default NumPy takes what goes to `out` twice.
                np.take(part.reshape(n_clips, -1), inside, axis=0, out=out[:, i], mode="clip")
            for i, record in zip(wanted, out, strict=True):
                found[i] = record
        return found

    def _rows_of(self, pack: str, rows: Sequence[int] | None) -> list[Record]:
        path = self._path(pack)
        state = (path, file_state(os.stat(path)))
        if rows is None:
            with io.FileIO(path) as file:
                return list(read_rows(file, pack, None))
        known = {row: recent.get((state, row)) for row in rows}
        missing = [row for row, values in known.items() if values is None]
        if missing:
            with io.FileIO(path) as file:
                for row in missing:  # one by one, or each would keep all of them in memory
                    file.seek(0)
                    known[row] = values = read_rows(file, pack, [row])[0]
                    recent.keep((state, row), values)
        return [known[row] for row in rows]  # type: ignore[misc]

    def add(self, loose: Sequence[tuple[str, Path]]) -> None:
        """Pack loose records, many of one shape together, and remove their files."""
        if len(loose) < FEWEST:
            return
        with suppress(*NO_LOCK, filelock.Timeout):
            self.folder.mkdir(parents=True, exist_ok=True)
            with self._lock().acquire(blocking=False):  # or another process is at it
                for start in range(0, len(loose), CLIPS):
                    self._add(loose[start : start + CLIPS])

    def _add(self, loose: Sequence[tuple[str, Path]]) -> None:
        shapes: dict[tuple[int, ...], dict[str, Record]] = {}
        packed = self._look().places
        for key, path in loose:
            if key in packed:
                if packed[key][0] not in self._unreadable:
                    path.unlink()  # whoever packed it was stopped before this
                continue
            # Who reads one that is damaged will say so.
            with suppress(OSError, ValueError), io.FileIO(path) as file:
                record = read_rows(file, key, None)
                shapes.setdefault(record.shape, {})[key] = record
        paths = dict(loose)
        for records in shapes.values():
            if len(records) >= FEWEST:
                self._write(records)
                for key in records:
                    paths[key].unlink()

    def _write(self, records: dict[str, Record]) -> None:
        lines = [f"{key} {zlib.crc32(record.tobytes()):08x}\n" for key, record in records.items()]
        listed = "".join(lines).encode()
        pack = digest_of(listed)
        joined = np.stack(list(records.values()), axis=1)
        rows = joined.reshape(len(joined), -1)
        # The list first: a pack is there once its rows are.
        for name, content in ((f"{pack}.keys", listed), (f"{pack}.npy", to_bytes(rows, pack))):
            write_atomically(self.folder / name, content)

    def _salvage(self, pack: str) -> None:
        """Turn the sound records of a damaged pack into loose ones, and drop the pack."""
        with suppress(*NO_LOCK), self._lock():
            content = Path(self._path(pack)).read_bytes()
            records = _sound_records(content, self._list(pack))
            for key, record in records.items():
                path = self.folder.parent / key[:2] / f"{key[2:]}.npy"
                path.parent.mkdir(exist_ok=True)
                write_atomically(path, to_bytes(record, key))
            self._drop(pack)

    def _drop(self, pack: str) -> None:
        for suffix in ("npy", "keys"):
            (self.folder / f"{pack}.{suffix}").unlink(missing_ok=True)

    def _look(self) -> _Index:
        """Return what is there now."""
        try:
            seen = file_state(os.stat(self.folder))
        except OSError:
            self._index = _Index()
            return self._index
        if seen != self._index.seen:
            if not has_settled(seen):
                seen = ()  # it may change again without its date showing it
            names = sorted(path.stem for path in self.folder.glob("*.npy"))
            known = self._index.lists
            lists = {pack: known.get(pack) or self._list(pack) for pack in names}
            n_clips = {pack: len(listed) for pack, listed in lists.items() if listed}
            places = {
                key: (pack, i)
                for pack, listed in lists.items()
                for i, (key, _) in enumerate(listed)
            }
            self._index = _Index(seen, lists, n_clips, places)
        return self._index

    def _list(self, pack: str) -> list[tuple[str, int]]:
        """Return the key and the checksum of each clip in a pack; none if the list is damaged."""
        try:
            listed = (self.folder / f"{pack}.keys").read_bytes()
        except OSError:
            return []
        if digest_of(listed) != pack:
            return []
        entries = [line.split() for line in listed.decode().splitlines()]
        return [(key, int(checksum, 16)) for key, checksum in entries]

    def _lock(self) -> filelock.BaseFileLock:
        return filelock.FileLock(self.folder / ".lock", is_singleton=False)

    def _path(self, pack: str) -> str:
        return os.fspath(self.folder / f"{pack}.npy")

    def size(self) -> tuple[int, int]:
        """Return the number of records and of bytes."""
        index = self._look()
        sizes = []
        for pack in index.n_clips:
            with suppress(FileNotFoundError):
                sizes.append(os.stat(self._path(pack)).st_size)
        return len(index.places), sum(sizes)


#: Returns what this process knows of a folder's packs.
packs_in = functools.lru_cache(maxsize=64)(Packs)


def _sound_records(content: bytes, listed: Sequence[tuple[str, int]]) -> dict[str, Record]:
    """Return the records of a damaged pack whose checksum is right."""
    try:
        start, dtype, n_rows = parse_header(content)
    except ValueError:
        return {}
    itemsize = dtype.itemsize
    if len(content) < start + n_rows * itemsize or not listed:
        return {}
    raw = np.frombuffer(content, np.uint8, n_rows * itemsize, start).reshape(n_rows, itemsize)
    values = np.ascontiguousarray(raw[:, :-4]).view("<f4").reshape(n_rows, len(listed), -1)
    sound = {}
    for i, (key, checksum) in enumerate(listed):
        record = np.ascontiguousarray(values[:, i])
        if zlib.crc32(record.tobytes()) == checksum:
            sound[key] = record
    return sound
