"""Folders as they are given."""

from __future__ import annotations

from pathlib import Path

__all__ = ["existing_folder"]


def existing_folder(folder: object) -> Path:
    """Return `folder` as a path, or raise an error that says where it was looked for."""
    path = Path(str(folder)).expanduser()
    if not path.is_dir():
        raise FileNotFoundError(f"no such folder: {path} (looked for in {Path.cwd()})")
    return path
