"""The store: a folder of the records of all settings."""

from __future__ import annotations

import os
import re
from functools import partial
from pathlib import Path
from typing import Any

import platformdirs

from sklearn_ser._store._files import warn_once
from sklearn_ser._store._records import Records, read_description, short_digest

__all__ = ["Store"]

ENVIRONMENT_VARIABLE = "SKLEARN_SER_CACHE"
LIMIT_VARIABLE = "SKLEARN_SER_CACHE_MAX_SIZE"


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
        limit = os.environ.get(LIMIT_VARIABLE)
        self._limit = _as_bytes(limit, LIMIT_VARIABLE) if limit else None

    def records(self, name: str, settings: dict[str, Any], model: Any = None) -> Records:
        """Return the records that `settings` lead to.

        Parameters
        ----------
        name : str
            What the folder's name begins with.
        settings : dict
            Everything that changes a value.
        model : str, path-like or None, default=None
            The model's name, by which users find its records; else it is `name`.

        Returns
        -------
        records : Records
            Written or not.
        """
        folder = self.folder / f"{name}-{short_digest(settings)}"
        features = os.fspath(model) if isinstance(model, (str, os.PathLike)) else name
        keep_to_limit = None if self._limit is None else partial(self.reduce_size, self._limit)
        return Records(folder, settings, features, keep_to_limit)

    def list(self) -> list[Records]:
        """Return what the store holds.

        Returns
        -------
        records : list of Records
            One entry a set of settings.
        """
        found = []
        for folder in sorted(self.folder.glob(f"*-{'[0-9a-f]' * 16}")):
            settings, features = read_description(folder)
            records = Records(folder, settings or {}, features or folder.name[:-17])
            # Ours by its name, or by what is in it: others have folders and a settings.json too.
            if settings is not None or records.has_any():
                found.append(records)
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

    def drop(self, features: str, **settings: Any) -> tuple[int, int]:
        """Delete the records of one model or feature set.

        Parameters
        ----------
        features : str
            Its name, as `Records.features` and ``sklearn-ser cache`` show it.
        **settings : dict
            Only those with these settings, such as ``rate=8000``.

        Returns
        -------
        n_records, n_bytes : int
            What was deleted.

        Raises
        ------
        ValueError
            If there are none.
        """
        held = self.list()
        wanted = {name: str(value) for name, value in settings.items()}
        dropped = [
            records
            for records in held
            if records.features == features
            and wanted.items() <= {k: str(v) for k, v in records.settings.items()}.items()
        ]
        if not dropped:
            names = ", ".join(sorted({records.features for records in held})) or "nothing"
            given = " ".join([features, *(f"{k}={v}" for k, v in wanted.items())])
            raise ValueError(f"no records of {given!r} in {self.folder}; it holds {names}")
        sizes = [records.size() for records in dropped]
        for records in dropped:
            records.clear()
        return sum(n for n, _ in sizes), sum(size for _, size in sizes)

    def reduce_size(self, bytes_limit: int | str) -> tuple[int, int]:
        """Delete the least recently used records, until the others fit into a limit.

        Other processes may read and write the store meanwhile: a record that one of them misses
        is computed again. What was used last is known to an hour, and of each model to a second.
        Records are deleted by packs of up to 256 clips.

        Parameters
        ----------
        bytes_limit : int or str
            What is left at most: bytes, or a text such as "10GB" or "500 MB".

        Returns
        -------
        n_records, n_bytes : int
            What was deleted.

        Raises
        ------
        ValueError
            If `bytes_limit` is no size.

        Warns
        -----
        StoreWarning
            If files that would have to be deleted cannot be.
        """
        limit = _as_bytes(bytes_limit, "bytes_limit")
        held = [file for records in self.list() for file in records.files()]
        total, n_records, n_bytes = sum(file.n_bytes for file in held), 0, 0
        failed: OSError | None = None
        for file in sorted(held, key=lambda file: file.used):
            if total - n_bytes <= limit:
                break
            try:
                file.remove()
                n_records, n_bytes = n_records + file.n_records, n_bytes + file.n_bytes
            except OSError as error:
                failed = error
        if failed is not None and total - n_bytes > limit:
            left = f"{total - n_bytes} bytes, more than {limit}"
            warn_once(f"{self.folder} holds {left}: {failed}", self.folder, "limit")
        return n_records, n_bytes


def _as_bytes(size: int | str, name: str) -> int:
    """Return a size, such as 10_000 or "10GB", in bytes."""
    found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([KMGT]?)(I?)B?\s*", str(size).upper())
    if found is None:
        raise ValueError(f"{name} must be a number of bytes, or a text such as '10GB': {size!r}")
    number, prefix, binary = found.groups()
    return int(float(number) * (1024 if binary else 1000) ** (" KMGT".index(prefix or " ")))
