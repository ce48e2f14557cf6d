"""Packs: the records of many clips in one file.

A search wants one row (a layer's mean, say) of every clip. In a pack these lie side by side, so
that they are one read and one checksum. A pack is itself a record, whose rows are those of its
clips joined; its key is the digest of a list in another file, with the key and the checksum of each
clip's record. Should a pack be damaged, its header included, the list shows which clips are still
sound; should the list be, each of its lines that matches a record, as a checksum covers the key.
"""

from __future__ import annotations

import functools
import io
import itertools
import os
import re
import zlib
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import filelock
import numpy as np

from sklearn_ser._store._files import (
    HEAD,
    NO_LOCK,
    Record,
    StoredFile,
    read_rows,
    recent,
    stat_used,
    to_bytes,
    warn_once,
)
from sklearn_ser._utils import digest_of, file_state, has_settled, warn, write_atomically
from sklearn_ser.exceptions import StoreWarning

__all__ = ["Packs", "packs_in"]

CLIPS = 256  # in a pack
FEWEST = 64  # clips that are worth one
NAME = "[0-9a-f]" * 32  # of a pack
PATIENCE = 10.0  # seconds that a lock is waited for: its holder may have been stopped


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
                self._refuse(pack, error)
                continue
            except ValueError as error:
                sound = self._salvage(pack, str(error))
                for i in wanted:
                    if (record := sound.get(keys[i])) is not None:
                        found[i] = record if rows is None else record[list(rows)]
                continue
            n_columns = parts[0].size // n_clips if parts else 0
            out = np.empty((len(inside), len(parts), n_columns), "f4")
            for i, part in enumerate(parts):
                # "clip", as by default NumPy takes what goes to `out` twice.
                np.take(part.reshape(n_clips, -1), inside, axis=0, out=out[:, i], mode="clip")
            for i, record in zip(wanted, out, strict=True):
                found[i] = record
        return found

    def _refuse(self, pack: str, error: OSError) -> None:
        self._unreadable.add(pack)
        message = f"{self._path(pack)} cannot be read, and is computed again: {error}"
        warn_once(message, self.folder.parents[1], "reading")

    def _rows_of(self, pack: str, rows: Sequence[int] | None) -> list[Record]:
        """Return some rows of a pack, each of them with the values of all its clips."""
        path = self._path(pack)
        state = (path, file_state(stat_used(path)))
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
        with suppress(*NO_LOCK):
            self.folder.mkdir(parents=True, exist_ok=True)
            with self._lock().acquire(blocking=False):  # or another process is at it
                for start in range(0, len(loose), CLIPS):
                    self._add(loose[start : start + CLIPS])

    def _add(self, loose: Sequence[tuple[str, Path]]) -> None:
        alike: dict[tuple[int, ...], dict[str, Record]] = {}
        packed = self._look().places
        for key, path in loose:
            if key in packed:
                if packed[key][0] not in self._unreadable:
                    path.unlink(missing_ok=True)  # whoever packed it was stopped before this
                continue
            # Who reads one that is damaged will say so.
            with suppress(OSError, ValueError), io.FileIO(path) as file:
                record = read_rows(file, key, None)
                alike.setdefault((*record.shape, len(key)), {})[key] = record
        paths = dict(loose)
        for records in alike.values():
            if len(records) >= FEWEST:
                self._write(records)
                for key in records:
                    paths[key].unlink(missing_ok=True)

    def _write(self, records: dict[str, Record]) -> None:
        lines = [f"{key} {_checksum(key, record):08x}\n" for key, record in records.items()]
        listed = "".join(lines).encode()
        pack = digest_of(listed)
        joined = np.stack(list(records.values()), axis=1)
        rows = joined.reshape(len(joined), -1)
        # The list first: a pack is there once its rows are.
        for name, content in ((f"{pack}.keys", listed), (f"{pack}.npy", to_bytes(rows, pack))):
            write_atomically(self.folder / name, content)

    def _salvage(self, pack: str, cause: str) -> dict[str, Record]:
        """Return the sound records of a damaged pack; make them loose ones, and drop the pack."""
        try:
            content = Path(self._path(pack)).read_bytes()
            listed, is_sound = self._read_list(pack)
        except OSError:  # another process was faster
            return {}
        records = _sound_records(content, listed, is_sound)
        if pack not in self._unreadable:
            n_lost = f"{len(listed) - len(records)} of {len(listed)}" if listed else "all"
            message = f"{self._path(pack)} is damaged ({cause}); {n_lost} records are lost, and"
            warn(f"{message} computed again", StoreWarning)
        self._unreadable.add(pack)
        with suppress(*NO_LOCK), self._lock():
            for key, record in records.items():
                path = self.folder.parent / key[:2] / f"{key[2:]}.npy"
                path.parent.mkdir(exist_ok=True)
                write_atomically(path, to_bytes(record, key))
            self._drop(pack)
            self._unreadable.discard(pack)
        return records

    def _drop(self, pack: str) -> None:
        # Without a lock: whoever reads or packs it meanwhile loses records at worst.
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
            names = sorted(path.stem for path in self.folder.glob(f"{NAME}.npy"))
            known = self._index.lists
            lists = {pack: known.get(pack) or self._list(pack) for pack in names}
            n_clips = {pack: len(listed) for pack, listed in lists.items() if listed}
            places = {
                key: (pack, i)
                for pack, listed in lists.items()
                for i, (key, _) in enumerate(listed)
                if key
            }
            self._index = _Index(seen, lists, n_clips, places)
        return self._index

    def _list(self, pack: str) -> list[tuple[str, int]]:
        """Return the key and the checksum of each clip in a pack; no key where it is damaged."""
        try:
            listed, is_sound = self._read_list(pack)
        except OSError as error:
            self._refuse(pack, error)
            return []
        if not is_sound:
            sound = self._salvage(pack, "its list of clips")
            listed = [(key if key in sound else "", checksum) for key, checksum in listed]
        return listed

    def _read_list(self, pack: str) -> tuple[list[tuple[str, int]], bool]:
        """Return what the lines of a list say, and whether all of it is sound."""
        content = b""
        with suppress(FileNotFoundError):
            content = (self.folder / f"{pack}.keys").read_bytes()
        if digest_of(content) == pack:
            entries = [line.split() for line in content.decode().splitlines()]
            return [(key, int(checksum, 16)) for key, checksum in entries], True
        # Of one length, so that a damaged line does not move the others.
        [(length, _)] = Counter(map(len, content.split(b"\n"))).most_common(1)
        listed = []
        for start in range(0, len(content), length + 1):
            key, _, checksum = content[start : start + length].decode("latin-1").partition(" ")
            is_entry = re.fullmatch("[0-9a-f]+ [0-9a-f]{8}", f"{key} {checksum}")
            listed.append((key, int(checksum, 16)) if is_entry else ("", 0))
        return listed, False

    def _lock(self) -> filelock.BaseFileLock:
        return filelock.FileLock(self.folder / ".lock", PATIENCE, is_singleton=False)

    def _path(self, pack: str) -> str:
        return os.fspath(self.folder / f"{pack}.npy")

    def files(self) -> Iterator[StoredFile]:
        """Yield each pack."""
        for pack, n_clips in self._look().n_clips.items():
            with suppress(OSError):
                found = os.stat(self._path(pack))
                n_bytes = found.st_size + os.stat(self.folder / f"{pack}.keys").st_size
                remove = functools.partial(self._drop, pack)
                yield StoredFile(found.st_mtime, n_clips, n_bytes, remove)


#: Returns what this process knows of a folder's packs.
packs_in = functools.lru_cache(maxsize=64)(Packs)


def _checksum(key: str, record: Record) -> int:
    """Return the checksum of a record under its key."""
    return zlib.crc32(record.tobytes(), zlib.crc32(f"{key} {record.shape}".encode()))


def _sound_records(
    content: bytes, listed: Sequence[tuple[str, int]], is_sound: bool
) -> dict[str, Record]:
    """Return the records of a damaged pack whose checksum is right, by a list that `is_sound`.

    The header may be what is damaged: each shape that fits the length of the file is tried.
    """
    best: dict[str, Record] = {}
    n_clips, size = len(listed), len(content)
    if not listed:
        return best
    shapes = itertools.product(range(64, HEAD, 64), range(1, size // (4 * n_clips + 4) + 1))
    for start, n_rows in shapes:
        n_columns, rest = divmod(size - start - 4 * n_rows, 4 * n_rows * n_clips)
        if rest or n_columns < 1:
            continue
        raw = np.frombuffer(content, np.uint8, offset=start).reshape(n_rows, -1)
        values = np.ascontiguousarray(raw[:, :-4]).view("<f4").reshape(n_rows, n_clips, -1)
        sound = {}
        for i, (key, checksum) in enumerate(listed):
            record = np.ascontiguousarray(values[:, i])
            # Lists that version 0.1 wrote have the checksum without the key.
            if checksum == _checksum(key, record) or (
                is_sound and checksum == zlib.crc32(record.tobytes())
            ):
                sound[key] = record
        best = max(best, sound, key=len)
    return best
