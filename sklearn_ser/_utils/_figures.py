"""Figures as files, of which those of an earlier run can be told from the user's own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

__all__ = ["FIGURES", "remove_figure", "write_figure"]

FIGURES = ("uar.png", "confusion_matrix.png")  # that stand beside the results of a comparison

SOURCE = {"Source": "sklearn-ser"}  # in a PNG's text, "Source", a null byte, "sklearn-ser"
MARK = b"Source\0sklearn-ser"
N_BYTES = 4096  # in which it stands


def write_figure(figure: Any, path: Path) -> None:
    """Write a figure as PNG."""
    figure.savefig(path, dpi=150, metadata=SOURCE)


def remove_figure(path: Path) -> None:
    """Remove a figure that :func:`write_figure` wrote; what anyone else wrote there stays."""
    if path.is_file():
        with open(path, "rb") as file:
            is_ours = MARK in file.read(N_BYTES)
        if is_ours:
            path.unlink()
