"""The metadata of EmoBox, of which a loader and a splitter are made."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from sklearn_ser._utils._folders import existing_folder

__all__ = ["emobox_folder", "n_emobox_folds", "read_emobox_fold"]

SPLITS = ("train", "valid", "test")


def emobox_folder(folder: str | os.PathLike[str], corpus: str) -> Path:
    """Return the folder that holds EmoBox's metadata of a corpus."""
    root = existing_folder(folder)
    data = root / "data" if (root / "data").is_dir() else root
    if not (data / corpus).is_dir():
        known = sorted(path.name for path in data.iterdir() if path.is_dir())
        raise FileNotFoundError(f"no {corpus!r} in {data}, which holds {known or 'no folders'}.")
    return data / corpus


def n_emobox_folds(place: Path) -> int:
    """Return the number of folds that EmoBox has of a corpus."""
    return sum(1 for path in place.glob("fold_*") if path.is_dir())


def read_emobox_fold(place: Path, corpus: str, fold: int) -> list[dict[str, Any]]:
    """Return the clips of a fold, each with path, code, split and what else is told."""
    files = {
        split: place / f"fold_{fold}" / f"{corpus}_{split}_fold_{fold}.jsonl" for split in SPLITS
    }
    rows: list[dict[str, Any]] = []
    for split, file in files.items():
        if not file.is_file():
            if split != "valid":  # which not every corpus has
                folds = sorted(path.name for path in place.glob("fold_*"))
                raise FileNotFoundError(f"no {file}; {place} holds {folds or 'no folds'}.")
            continue
        for number, line in enumerate(file.read_text(encoding="utf-8-sig").splitlines(), 1):
            if line.strip():
                rows.append({**_row(line, f"{file}, line {number}"), "split": split})
    if not rows:
        raise ValueError(f"the files of {place / f'fold_{fold}'} hold no clips.")
    return rows


def _row(line: str, where: str) -> dict[str, Any]:
    try:
        value = json.loads(line)
        path = value.get("wav", value.get("audio"))
        code = value.get("emo", value.get("label"))
    except (json.JSONDecodeError, AttributeError):
        path = code = None
    if path is None or code is None:
        raise ValueError(f"{where}: not an object with wav (or audio) and emo (or label).")
    channel = value.get("channel")
    return {
        "path": path,
        "code": code,
        "key": value.get("key", Path(path).stem),
        "start": value.get("start_time"),
        "end": value.get("end_time"),
        "channel": None if channel is None else int(channel) - 1,  # counted from 1 there
        "duration": value.get("length"),
    }
