"""Paths: folders that have to exist, and names that every file and terminal can take."""

from __future__ import annotations

from pathlib import Path

__all__ = ["existing_folder", "printable"]


def existing_folder(folder: object) -> Path:
    """Return `folder` as a path, or raise an error that says where it was looked for."""
    path = Path(str(folder)).expanduser()
    if not path.is_dir():
        raise FileNotFoundError(f"no such folder: {path} (looked for in {Path.cwd()})")
    return path


def printable(text: str) -> str:
    r"""Return text that can be written: paths may hold any bytes, of which Python makes surrogates.

    >>> printable("\udce4.wav")
    '\\udce4.wav'
    """
    return text.encode("utf-8", "backslashreplace").decode()
