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
# Where a path names the speaker, as the script that made EmoBox's metadata of a corpus parses it
# (EmoBox/preprocess/scripts/<corpus>.py, "spk"), and with as many speakers as the corpus has by
# EmoBox's README, but for AESDD (6, of 5: its own README says that actors are added) and
# eNTERFACE (43 of 44). Not in a path, but in tables that come with the corpora, or nowhere:
# Emozionalmente, M3ED (where A and B are the parts of a dialogue), MELD, MER2023, MESD (where F, M
# and C are kinds of voices, of 11 speakers), MSP-Podcast and RESD.
SPEAKERS = {
    "aesdd": r"\(0?(\d)\)[^/]*$",  # "xAA (B)": emotion, utterance, speaker (README of AESDD)
    "ased": r"-(\d+)\.[^./]+$",
    "asvpesd": r"/(?:\d+-){5}(\d+)-[^/]*$",  # the sixth identifier: the actor
    "cafe": r"/(\d\d)-[A-Z]-[\d]-[\d]",
    "casia": r"/([^/]+)/[^/]+/\d+\.[^./]+$",
    "cremad": r"/(1\d{3})_[A-Z]{3}_",
    "emns": r"/(emns)/",  # one speaker
    "emodb": r"/(\d\d)[ab]\d\d[WLEAFTN]",
    "emovdb": r"/([a-z]+)_[A-Z][a-z]+/[^/]*$",
    "emovo": r"/[a-z]+-([fm]\d)-",
    "enterface": r"/subject (\d+)/",
    "esd": r"/(00\d\d)_\d{6}",
    "iemocap": r"/(Ses0\d)[FM]_.*_([FM])\d{3}",
    "jlcorpus": r"/((?:fe)?male\d)_",
    "mead": r"/([MW]\d{3})/",
    "oreau": r"/(\d\d)[a-z]\d\d[A-Z]",
    "pavoque": r"/(pavoque)-",  # one speaker
    "polish": r"/([a-z]+\d+)\.[a-z]_",
    "ravdess": r"/\d\d-\d\d-\d\d-\d\d-\d\d-\d\d-(\d\d)",
    "savee": r"/(DC|JE|JK|KL)[/_]",
    "shemo": r"/([FM]\d\d)[A-Z]\d\d",
    "subesco": r"/([FM]_\d\d)_",  # gender and serial number (doi 10.1371/journal.pone.0250173)
    "tess": r"/(OA|YA)F?_",
    "turevdb": r"/(\d+)_[a-z]+_",
    "urdu": r"/(S[FM]\d+)_F?\d+",
}
DESCRIPTION = """\
EmoBox, fold {fold} of {corpus}: the frame's column split has train, valid and test. Z. Ma et al.,
"EmoBox: multilingual multi-corpus speech emotion recognition toolkit and benchmark", Interspeech
2024. Many of its folds share speakers between train and test: see EmoBoxFolds."""


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
        Regular expression that finds the speaker in a clip's path, from where relative ones start
        (which ``/`` stands for): its groups that match, joined, if it has any. By default one for
        the 25 corpora whose documentation says where a path has it; for the others (Emozionalmente,
        M3ED, MELD, MER2023, MESD, MSP-Podcast, RESD) ``groups`` is None, and
        :class:`~sklearn_ser.model_selection.EmoBoxFolds` are what they can be compared on.

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

    See Also
    --------
    sklearn_ser.model_selection.EmoBoxFolds : The folds of EmoBox as a splitter.

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
        # The folders that the corpus lies in have names that are nobody's.
        within = [_within(start, path) for path in frame["path"]]
        frame["speaker"] = ["".join(match_speaker(pattern, path)) for path in within]
    description = DESCRIPTION.format(fold=fold, corpus=corpus)
    return as_corpus(f"EmoBox {corpus}", frame, description)


def _within(start: Path, path: str) -> str:
    """Return a path from the folder on that relative ones start at, which "/" stands for."""
    below = Path(path).is_relative_to(start)
    return f"/{Path(path).relative_to(start).as_posix()}" if below else Path(path).as_posix()


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
