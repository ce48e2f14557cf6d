"""Files with code of the user's own, which no version of a package names."""

from __future__ import annotations

import functools
import hashlib
import inspect
import site
import sys
import sysconfig
from collections.abc import Mapping
from pathlib import Path
from typing import Any

__all__ = ["own_files", "source_files"]


def source_files(thing: Any) -> dict[str, dict[str, str]]:
    """Return the user's own modules that a class (with its bases) or a function is written in.

    Returns
    -------
    files : dict of str to dict
        Of each module's name, ``path``, the file that it was imported from, and ``sha256``, that of
        the file. Modules of this package, of the standard library and of what is installed beside
        it are left out, as are those of a notebook, which have no file.
    """
    found = {}
    for each in inspect.getmro(thing) if isinstance(thing, type) else [thing]:
        name = str(getattr(each, "__module__", None))
        path = Path(getattr(sys.modules.get(name), "__file__", None) or "")
        if name.partition(".")[0] == "sklearn_ser" or not path.is_file() or _is_installed(path):
            continue
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        found[name] = {"path": str(path.resolve()), "sha256": digest}
    return found


def own_files(value: Any) -> dict[str, dict[str, str]]:
    """Return the user's own modules that an estimator, or its parameters, are written in."""
    if isinstance(value, type) or inspect.isroutine(value):
        return source_files(value)
    parts: list[Any] = []
    if isinstance(value, Mapping):
        parts = list(value.values())
    elif isinstance(value, (list, tuple)):
        parts = list(value)
    elif hasattr(value, "get_params"):
        parts = [type(value), *value.get_params(deep=False).values()]
    return {name: file for part in parts for name, file in own_files(part).items()}


def _is_installed(path: Path) -> bool:
    return any(path.resolve().is_relative_to(folder) for folder in _folders_of_packages())


@functools.cache
def _folders_of_packages() -> list[Path]:
    paths = sysconfig.get_paths()
    folders = [paths[name] for name in ("stdlib", "platstdlib", "purelib", "platlib")]
    folders += [*site.getsitepackages(), site.getusersitepackages()]
    return [Path(folder).resolve() for folder in folders]
