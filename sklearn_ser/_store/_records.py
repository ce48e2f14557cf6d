"""The records of clips, found by what was computed and of which clip."""

from __future__ import annotations

import io
import json
import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from sklearn_ser._store._files import (
    HOUR,
    Memory,
    Record,
    StoredFile,
    is_record,
    read_rows,
    recent,
    stat_used,
    to_bytes,
    warn_once,
)
from sklearn_ser._store._packs import packs_in
from sklearn_ser._utils import (
    delete_files,
    digest_of,
    file_state,
    has_settled,
    warn,
    write_atomically,
)
from sklearn_ser.exceptions import StoreWarning

__all__ = ["Records", "read_description", "short_digest"]

# Larger records than this, in bytes, are left on disk; that they are sound is remembered.
LARGEST = 1 << 14
SOUND = np.empty(0, np.float32)
LEFTOVERS = ("*.tmp", "packs/*.tmp", "packs/*.keys", "??/*.npy.*.tmp", "??/*.npy.lock")


class Records:
    """The records that settings lead to: a file a clip, later joined to packs.

    Parameters
    ----------
    folder : Path
        Where they are.
    settings : dict
        The compute settings that led to them; none if they cannot be read.
    features : str
        The model or the feature set.
    keep_to_limit : callable or None, default=None
        What is called when records were written.
    """

    def __init__(
        self,
        folder: Path,
        settings: dict[str, Any],
        features: str,
        keep_to_limit: Callable[[], object] | None = None,
    ) -> None:
        self.folder = folder
        self.settings = settings
        self.features = features
        self._keep_to_limit = keep_to_limit
        self._is_described = False
        self._root = os.fspath(folder)
        self._packs = packs_in(folder.absolute() / "packs")

    def path(self, key: str) -> str:
        """Return the file of the record `key`."""
        return f"{self._root}{os.sep}{key[:2]}{os.sep}{key[2:]}.npy"

    def read_all(
        self, keys: Sequence[str], rows: Sequence[int] | None = None
    ) -> list[Record | None]:
        """Return some rows of many records, in the order of their keys; see `read`."""
        with suppress(OSError):
            os.utime(self._root)  # when all this was last used
        found = self._packs.read(keys, rows)
        memory = Memory()
        return [
            self._read_loose(key, rows, memory) if record is None else record
            for key, record in zip(keys, found, strict=True)
        ]

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
        record = self._read_loose(key, rows)
        # Not loose: it may have been packed, even since the packs were last looked at.
        return self._packs.read([key], rows)[0] if record is None else record

    def _read_loose(
        self, key: str, rows: Sequence[int] | None, memory: Memory | None = None
    ) -> Record | None:
        """Return what `read` does, of a record that is a file of its own."""
        try:
            path = self.path(key)
            state = file_state(stat_used(path))
            wanted = (path, state, None if rows is None else tuple(rows))
            known = recent.get(wanted)
            if known is not None and known is not SOUND:
                return known
            with io.FileIO(path) as file:
                checked = known is SOUND and state == file_state(os.fstat(file.fileno()))
                record = read_rows(file, key, rows, memory, checked)
            if has_settled(state):  # a search reads it in every fold
                recent.keep(wanted, SOUND if record.nbytes > LARGEST else record)
            return record
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            message = f"records in {self._root} cannot be read, and are computed again: {error}"
            warn_once(message, self.folder.parent, "reading")
            return None
        except ValueError as error:
            message = f"record {self.path(key)} is damaged ({error}); it is computed again"
            warn(message, StoreWarning)
            with suppress(OSError):
                os.unlink(self.path(key))
            return None

    def write(self, key: str, record: Record) -> None:
        """Write a record, or warn that it cannot be stored."""
        path = self.path(key)
        try:
            os.makedirs(os.path.dirname(path), exist_ok=True)
            self._describe()
            write_atomically(path, to_bytes(record, key))
        except OSError as error:
            store = os.path.dirname(self._root)
            message = f"records cannot be stored in {store} ({error}); the values are right"
            warn_once(message, store, "writing")

    def _describe(self) -> None:
        """Write the settings and the name, unless they are there, and sound."""
        described = self.folder / "settings.json"
        if not (self._is_described and described.exists()):
            if None in read_description(self.folder):
                content = {"features": self.features, "settings": self.settings}
                write_atomically(described, _as_json(content).encode())
            self._is_described = True

    def tidy(self, pack: bool) -> None:
        """Do what follows when records were written: pack, clean up, and keep to the limit.

        Parameters
        ----------
        pack : bool
            Whether the records are of one shape.
        """
        if pack:
            self.pack()
        self._remove_leftovers()
        if self._keep_to_limit is not None:
            self._keep_to_limit()

    def pack(self) -> None:
        """Join loose records of one shape to packs, which are read far faster."""
        self._packs.add(self._loose())

    def _remove_leftovers(self) -> None:
        """Remove what writers left that were killed: temporary files, locks, lists of no pack."""
        found = [path for pattern in LEFTOVERS for path in self.folder.glob(pattern)]
        now = time.time()
        with suppress(OSError):  # by the clock that files' times are of: a file server has its own
            os.utime(self._root)
            now = os.stat(self._root).st_mtime
        for path in found:
            with suppress(OSError):
                if now - path.stat().st_mtime < HOUR:
                    continue
                # A lock's holder would have renewed it; a list may have its pack.
                if path.suffix != ".keys" or not path.with_suffix(".npy").exists():
                    path.unlink()

    def _loose(self) -> list[tuple[str, Path]]:
        """Return the key and the file of each record that is in no pack."""
        paths = sorted(self.folder.glob(f"{'[0-9a-f]' * 2}/*.npy"))
        return [(path.parent.name + path.stem, path) for path in paths]

    def has_any(self) -> bool:
        """Tell whether there are records, whatever the settings file says."""
        patterns = f"{'[0-9a-f]' * 2}/{'[0-9a-f]' * 30}*.npy", f"packs/{'[0-9a-f]' * 32}.npy"
        return any(is_record(path) for pattern in patterns for path in self.folder.glob(pattern))

    def files(self) -> Iterator[StoredFile]:
        """Yield what can be removed: each loose record, and each pack."""
        with suppress(OSError):
            last_used = os.stat(self._root).st_mtime
            for file in [*self._loose_files(), *self._packs.files()]:
                # It may have been used for up to an hour more, if anything here was.
                yield file._replace(used=max(file.used, min(last_used, file.used + HOUR)))

    def _loose_files(self) -> Iterator[StoredFile]:
        for _, path in self._loose():
            with suppress(OSError):  # another process packs it just now
                found = path.stat()
                remove = partial(path.unlink, missing_ok=True)
                yield StoredFile(found.st_mtime, 1, found.st_size, remove)

    def size(self) -> tuple[int, int]:
        """Return the number of records and of bytes."""
        held = list(self.files())
        return sum(file.n_records for file in held), sum(file.n_bytes for file in held)

    def clear(self) -> None:
        """Delete these records, and the folder if nothing else is in it."""
        patterns = ("*/*.npy", "packs/.lock", "settings.json")
        delete_files(self.folder, *patterns, *LEFTOVERS)


def read_description(folder: Path) -> tuple[dict[str, Any] | None, str | None]:
    """Return the settings that records have, and the name; None where they cannot be read."""
    with suppress(OSError, ValueError, RecursionError):
        content = json.loads((folder / "settings.json").read_bytes())
        found = [(content, None)]  # as version 0.1 wrote it
        if isinstance(content, dict):
            found.append((content.get("settings"), content.get("features")))
        for settings, features in found:
            if folder.name.endswith(f"-{short_digest(settings)}"):
                return settings, features
    return None, None


def short_digest(settings: Any) -> str:
    return digest_of(_as_json(settings))[:16]


def _as_json(settings: Any) -> str:
    """Return settings as text; numbers of NumPy, as grids hold them, become those of Python."""
    return json.dumps(settings, sort_keys=True, default=lambda number: number.item())
