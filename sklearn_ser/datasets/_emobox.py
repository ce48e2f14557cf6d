"""Folds of EmoBox, which holds metadata of 32 corpora and no audio."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

import pandas as pd
from sklearn.utils import Bunch

from sklearn_ser._utils import (
    COUNT,
    canonical,
    composed,
    emobox_folder,
    read_emobox_fold,
    read_text,
    validate_params,
)
from sklearn_ser.datasets._corpus import as_corpus
from sklearn_ser.datasets._files import existing_path, match_speaker, refuse_outside

__all__ = ["load_emobox"]

PAIR = re.compile(r"""["']([^"']+)["']\s*:\s*["']([^"']+)["']""")
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
EmoBox, fold {fold} of {corpus}: the frame's column split has train, valid and test. Z. Ma et al.,
"EmoBox: multilingual multi-corpus speech emotion recognition toolkit and benchmark", Interspeech
2024. Some of its folds (EmoDB, CREMA-D, TESS, ShEMO, URDU) share speakers between train and
test."""


@validate_params(
    {
        "folder": [str, os.PathLike],
        "corpus": [str],
        "fold": [COUNT],
        "audio": [str, os.PathLike, None],
        "speaker": [str, None],
        "allow_outside": ["boolean"],
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
    allow_outside: bool = False,
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
        if it has any. By default one for corpora whose file names have it; for others ``groups``
        is None.

    allow_outside : bool, default=False
        Whether paths may lead out of the folder that relative ones start at, links resolved.

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
        If a line of its metadata is no object with a path and an emotion, a path leads out of the
        folder, an emotion is a number
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
    refuse_outside(frame["path"], start, f"EmoBox's metadata in {place}", allow_outside)
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


def _label_map(place: Path) -> dict[str, str]:
    """Return the names of codes, which are in lower case; EMOVO's file is no valid JSON."""
    names: dict[str, str] = {}
    for file in (place / "label_map.json", place / "label_dict.json"):
        if file.is_file():
            names |= dict(PAIR.findall(read_text(file)))
    return {_key(code): name for code, name in names.items()}


def _key(code: Any) -> str:
    """Return a code as the label map has it; numbers are text there."""
    return composed(str(code).strip()).lower()
