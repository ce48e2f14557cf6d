"""Folds of EmoBox, which holds metadata of 32 corpora and no audio."""

from __future__ import annotations

import json
import os
import re
from numbers import Integral
from pathlib import Path
from typing import Any

import pandas as pd
from sklearn.utils import Bunch
from sklearn.utils._param_validation import Interval, validate_params

from sklearn_ser._utils import composed
from sklearn_ser.datasets._corpus import as_corpus, existing_folder
from sklearn_ser.datasets._files import existing_path, match_speaker
from sklearn_ser.datasets._labels import canonical

__all__ = ["emobox_folder", "load_emobox", "n_emobox_folds", "read_emobox_fold"]

PAIR = re.compile(r"""["']([^"']+)["']\s*:\s*["']([^"']+)["']""")
SPLITS = ("train", "valid", "test")
# Where a path names the speaker, in the corpora whose paths do.
SPEAKERS = {
    "cafe": r"/(\d\d)-[A-Z]-[\d]-[\d]",
    "cremad": r"/(1\d{3})_[A-Z]{3}_",
    "emodb": r"/(\d\d)[ab]\d\d[WLEAFTN]",
    "emovo": r"/[a-z]+-([fm]\d)-",
    "esd": r"/(00\d\d)_\d{6}",
    "iemocap": r"/(Ses0\d)[FM]_.*_([FM])\d{3}",
    "ravdess": r"/\d\d-\d\d-\d\d-\d\d-\d\d-\d\d-(\d\d)",
    "savee": r"/(DC|JE|JK|KL)[/_]",
    "shemo": r"/([FM]\d\d)[A-Z]\d\d",
    "tess": r"/(OA|YA)F?_",
    "urdu": r"/(S[FM]\d+)_F?\d+",
}
DESCRIPTION = """\
EmoBox, fold {fold} of {corpus}: the frame's column split tells train, valid and test. Z. Ma et al.,
"EmoBox: multilingual multi-corpus speech emotion recognition toolkit and benchmark", Interspeech
2024. Some of its folds (EmoDB, CREMA-D, TESS, ShEMO, URDU) share speakers between train and
test."""


@validate_params(
    {
        "folder": [str, os.PathLike],
        "corpus": [str],
        "fold": [Interval(Integral, 1, None, closed="left")],
        "audio": [str, os.PathLike, None],
        "speaker": [str, None],
    },
    prefer_skip_nested_validation=True,
)
def load_emobox(
    folder: str | os.PathLike[str],
    corpus: str,
    fold: int = 1,
    *,
    audio: str | os.PathLike[str] | None = None,
    speaker: str | None = None,
) -> Bunch:
    """Load a fold of a corpus as EmoBox splits it.

    Parameters
    ----------
    folder : str or path-like
        The repository of EmoBox, or its folder ``data``.
    corpus : str
        Name of the corpus's folder in ``data``, such as "iemocap".
    fold : int, default=1
        Which fold, from 1.
    audio : str or path-like, default=None
        Where relative paths of clips start: by default the folder that holds ``data``.
    speaker : str, default=None
        Regular expression that finds the speaker in a clip's path: its groups that match, joined,
        if it has any. By default one for the corpora whose file names tell; for others ``groups``
        is None.

    Returns
    -------
    corpus : Bunch
        X (list of dicts of path, channel and, for segments, start and end), y (emotions, by the
        corpus's ``label_map.json``), groups (speakers or None), frame (path,
        emotion, code, speaker, split, duration in seconds, key, channel from 0, and start and end)
        and DESCR.

    Raises
    ------
    FileNotFoundError
        If there is no such corpus or fold.
    ValueError
        If a line of its metadata is no object with a path and an emotion, an emotion is a number
        that the label map does not name, `speaker` finds nothing, or a clip stands in several lines
        with different emotions (as 119 of PAVOQUE do).

    Warns
    -----
    UserWarning
        If a clip stands in several lines with the same emotion.

    References
    ----------
    Z. Ma et al., "EmoBox: multilingual multi-corpus speech emotion recognition toolkit and
    benchmark", Interspeech 2024.

    Examples
    --------
    >>> from sklearn_ser.datasets import load_emobox
    >>> corpus = load_emobox("EmoBox", "iemocap", fold=1)  # doctest: +SKIP
    >>> train = corpus.frame["split"] == "train"  # doctest: +SKIP
    """
    place = emobox_folder(folder, corpus)
    rows = read_emobox_fold(place, corpus, fold)
    names = _label_map(place)
    start = Path(audio).expanduser() if audio is not None else place.parent.parent
    frame = pd.DataFrame(rows)
    frame["path"] = [str(existing_path(start, path)) for path in frame["path"]]
    frame["emotion"] = [canonical(names.get(_key(code), code)) for code in frame["code"]]
    frame["code"] = frame["code"].astype(str)
    for column in ("start", "end"):
        if frame[column].isna().all():
            frame = frame.drop(columns=column)
    pattern = speaker or SPEAKERS.get(corpus.lower().replace("-", "").replace("_", ""))
    if pattern is not None:
        frame["speaker"] = [
            "".join(match_speaker(pattern, Path(path).as_posix())) for path in frame["path"]
        ]
    description = DESCRIPTION.format(fold=fold, corpus=corpus)
    return as_corpus(f"EmoBox {corpus}", frame, description)


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


def _label_map(place: Path) -> dict[str, str]:
    """Return the names of codes, which are in lower case; EMOVO's file is no valid JSON."""
    names: dict[str, str] = {}
    for file in (place / "label_map.json", place / "label_dict.json"):
        if file.is_file():
            names |= dict(PAIR.findall(file.read_text(encoding="utf-8-sig")))
    return {_key(code): name for code, name in names.items()}


def _key(code: Any) -> str:
    """Return a code as the label map has it; numbers are text there."""
    return composed(str(code).strip()).lower()
