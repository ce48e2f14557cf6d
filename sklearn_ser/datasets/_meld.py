"""The Multimodal EmotionLines Dataset."""

from __future__ import annotations

import io
import os
import re

import pandas as pd
from sklearn.utils import Bunch

from sklearn_ser._audio import Files
from sklearn_ser._utils import naming_file, read_text
from sklearn_ser.datasets._corpus import as_corpus, one_row_each
from sklearn_ser.datasets._files import find_clips

__all__ = ["load_meld"]

EMOTIONS = {
    "anger": "anger",
    "disgust": "disgust",
    "fear": "fear",
    "joy": "happiness",
    "neutral": "neutral",
    "sadness": "sadness",
    "surprise": "surprise",
}
SEX = dict.fromkeys(["Chandler", "Joey", "Ross"], "male")
SEX |= dict.fromkeys(["Monica", "Phoebe", "Rachel"], "female")
# Numbers repeat across splits, so the folder belongs to the name of a clip.
PATTERN = r"[^/]*(?P<split>train|dev|test)[^/]*/dia(?P<dialog>\d+)_utt(?P<utterance>\d+)"
LABELS = re.compile(r"(train|dev|test)_sent_emo\.csv", re.IGNORECASE)
TIMES = ("StartTime", "EndTime")
DAMAGED = ("train", 125, 3)
N_CLIPS = 9988 + 1108 + 2610
DESCRIPTION = """\
Multimodal EmotionLines Dataset (MELD): turns of the television series Friends, with laughter and
music, in seven emotions and three splits that share speakers; the complete corpus has 9988, 1108
and 2610 clips (train, dev, test). GPL-3.0. S. Poria et al., "MELD: a multimodal multi-party
dataset for emotion recognition in conversations", ACL 2019."""


def load_meld(folder: str | os.PathLike[str]) -> Bunch:
    """Load the Multimodal EmotionLines Dataset (MELD).

    Parameters
    ----------
    folder : str or path-like
        Where ``train_splits/dia0_utt0.mp4`` and so on lie, in ``train_splits``,
        ``dev_splits_complete`` and ``output_repeated_splits_test`` or in folders whose names hold
        train, dev or test, as mp4 or extracted as wav, flac, …; and ``train_sent_emo.csv`` and so
        on, all at any depth. The sound of mp4 files is read with the extra ``sklearn-ser[video]``.

    Returns
    -------
    corpus : Bunch
        X (list of paths), y (anger, disgust, fear, happiness, neutral, sadness, surprise), groups
        (speakers by their names in the series), frame (path, emotion, code, speaker, sex if known,
        session, i.e. season and episode, split, duration in seconds, dialog, utterance and text)
        and DESCR.

    Raises
    ------
    FileNotFoundError
        If the folder holds no clip of MELD, or no labels of theirs.
    ValueError
        If its clips are Git LFS pointers, or its tables give a clip different emotions or speakers.

    Warns
    -----
    UserWarning
        If not all 13706 clips are there; dia125_utt3 of the training split, which is damaged, is
        left out and not counted.

    See Also
    --------
    sklearn_ser.embedders.TextEmbedder : Embeds its transcripts.

    References
    ----------
    S. Poria et al., "MELD: a multimodal multi-party dataset for emotion recognition in
    conversations", ACL 2019.

    Examples
    --------
    >>> from sklearn_ser.datasets import load_meld
    >>> corpus = load_meld("corpora/MELD.Raw")  # doctest: +SKIP
    """
    files = Files(folder)
    frame = find_clips(
        files,
        PATTERN,
        corpus="MELD",
        example="train_splits/dia0_utt0.mp4",
        suffixes=[".mp4"],
    )
    tables: list[pd.DataFrame] = []
    for path in files:
        if match := LABELS.fullmatch(path.name):
            # A speaker, or what one says, may be "None" or "NA".
            with naming_file(path):
                text = io.StringIO(read_text(path))
                table = pd.read_csv(text, keep_default_na=False, na_values=[""])
            tables.append(table.assign(split=match[1].lower()))
    if not tables:
        raise FileNotFoundError(
            f"no labels of MELD in {files.root}: looked for train_sent_emo.csv, "
            "dev_sent_emo.csv and test_sent_emo.csv."
        )
    labels = pd.concat(tables)
    key = ["split", "dialog", "utterance"]
    labels = labels.rename(columns={"Dialogue_ID": "dialog", "Utterance_ID": "utterance"})
    frame["split"] = frame["split"].str.lower()
    frame[key[1:]] = frame[key[1:]].astype(int)
    labels = labels.drop_duplicates([*key, "Emotion", "Speaker"])  # copies may differ in text
    frame = frame.merge(one_row_each(labels, key, "MELD"), on=key)
    frame = frame[[row != DAMAGED for row in frame[key].itertuples(index=False, name=None)]]
    spoken = frame["Emotion"].str.strip().str.lower()
    found = pd.DataFrame(
        {
            **{column: frame[column] for column in ("path", "duration", *key)},
            "code": spoken,
            "emotion": spoken.map(EMOTIONS),
            "speaker": frame["Speaker"].str.strip(),
            "session": [
                f"s{s:02d}e{e:02d}" for s, e in zip(frame["Season"], frame["Episode"], strict=True)
            ],
            "text": frame["Utterance"].str.replace("\x92", "'"),
        }
    )
    seconds = [pd.to_timedelta(frame[time].str.replace(",", ".")) for time in TIMES]
    found["duration"] = found["duration"].fillna((seconds[1] - seconds[0]).dt.total_seconds())
    found["sex"] = found["speaker"].map(SEX)
    return as_corpus("MELD", found, DESCRIPTION, N_CLIPS)
