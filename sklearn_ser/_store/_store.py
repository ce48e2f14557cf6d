"""The records of clips, found by what was computed and of which clip."""

from __future__ import annotations

import io
import json
import os
import warnings
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import platformdirs

from sklearn_ser._store._packs import (
    Memory,
    Record,
    packs_in,
    read_rows,
    recent,
    to_bytes,
)
from sklearn_ser._utils import delete_files, digest_of, file_state, has_settled, write_atomically
from sklearn_ser.exceptions import StoreWarning

__all__ = ["Records", "Store"]

ENVIRONMENT_VARIABLE = "SKLEARN_SER_CACHE"
# Larger records than this, in bytes, are left on disk; that they are sound is remembered.
LARGEST = 1 << 14
SOUND = np.empty(0, np.float32)


class Store:
    """All records under one folder.

    Parameters
    ----------
    location : str or path-like, default="auto"
        A folder, or "auto": the environment variable ``SKLEARN_SER_CACHE`` if set, else the
        platform's cache folder.

    See Also
    --------
    sklearn_ser.embedders.RecordEmbedder : Keeps its records there.

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
        """Return the records that `settings` lead to.

        Parameters
        ----------
        name : str
            What the folder's name begins with.
        settings : dict
            Everything that changes a value.

        Returns
        -------
        records : Records
            Written or not.
        """
        return Records(self.folder / f"{name}-{digest_of(_as_json(settings))[:16]}", settings)

    def list(self) -> list[Records]:
        """Return what the store holds.

        Returns
        -------
        records : list of Records
            One entry a set of settings.
        """
        found = []
        for described in sorted(self.folder.glob("*/settings.json")):
            with suppress(OSError, ValueError):
                settings = json.loads(described.read_text())
                # The name proves that the folder is ours: others have a settings.json too.
                if described.parent.name.endswith(f"-{digest_of(_as_json(settings))[:16]}"):
                    found.append(Records(described.parent, settings))
        return found

    def size(self) -> tuple[int, int]:
        """Return how much the store holds.

        Returns
        -------
        n_records, n_bytes : int
            Over all settings.
        """
        sizes = [records.size() for records in self.list()]
        return sum(n for n, _ in sizes), sum(size for _, size in sizes)

    def clear(self) -> None:
        """Delete every record; other files are left alone."""
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
        self._packs = packs_in(folder.absolute() / "packs")

    def path(self, key: str) -> str:
        """Return the file of the record `key`."""
        return f"{self._root}{os.sep}{key[:2]}{os.sep}{key[2:]}.npy"

    def read_all(
        self, keys: Sequence[str], rows: Sequence[int] | None = None
    ) -> list[Record | None]:
        """Return some rows of many records, in the order of their keys; see `read`."""
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
        try:
            path = self.path(key)
            state = file_state(os.stat(path))
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
        """Write a record, or warn that it cannot be stored."""
        path = self.path(key)
        try:
            os.makedirs(os.path.dirname(path), exist_ok=True)
            if not (described := self.folder / "settings.json").exists():
                write_atomically(described, _as_json(self.settings).encode())
            write_atomically(path, to_bytes(record, key))
        except OSError as error:
            message = f"record {path} cannot be stored ({error}); the embedding itself is fine"
            warnings.warn(message, StoreWarning, stacklevel=2)

    def pack(self) -> None:
        """Join loose records of one shape to packs, which are read far faster."""
        self._packs.add(self._loose())

    def _loose(self) -> list[tuple[str, Path]]:
        """Return the key and the file of each record that is in no pack."""
        paths = sorted(self.folder.glob(f"{'[0-9a-f]' * 2}/*.npy"))
        return [(path.parent.name + path.stem, path) for path in paths]

    def size(self) -> tuple[int, int]:
        """Return the number of records and of bytes."""
        loose = []
        for _, path in self._loose():
            with suppress(FileNotFoundError):  # another process packs it just now
                loose.append(path.stat().st_size)
        n_packed, bytes_packed = self._packs.size()
        return len(loose) + n_packed, sum(loose) + bytes_packed

    def clear(self) -> None:
        """Delete these records, and the folder if nothing else is in it."""
        patterns = (
            "*/*.npy",
            "*/*.npy.*",
            "packs/*.keys*",
            "packs/.lock",
            "*.tmp",
            "settings.json",
        )
        delete_files(self.folder, *patterns)


def _as_json(settings: Any) -> str:
    """Return settings as text; numbers of NumPy, as grids hold them, become those of Python."""
    return json.dumps(settings, sort_keys=True, default=lambda number: number.item())
