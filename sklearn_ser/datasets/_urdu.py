"""The URDU corpus of speech from talk shows."""

from __future__ import annotations

import os

from sklearn.utils import Bunch

from sklearn_ser._audio import Files
from sklearn_ser.datasets._corpus import as_corpus
from sklearn_ser.datasets._files import find_clips

__all__ = ["load_urdu"]

EMOTIONS = {"A": "anger", "H": "happiness", "N": "neutral", "S": "sadness"}
PATTERN = r"(?P<speaker>S(?P<sex>[MF])\d+)_F(?P<file>\d+)_(?P<code>[AHNS])(?P<number>\d+)"
N_CLIPS = 400
DESCRIPTION = """\
URDU: 400 clips of Urdu talk shows, 100 in each of four emotions, 44.1 kHz, spontaneous. Most
speakers have clips of one emotion, so that a classifier may learn speakers instead, and some
excerpts overlap: see audit_split and find_duplicates. For research only. S. Latif, A. Qayyum,
M. Usman, J. Qadir, "Cross lingual speech emotion recognition: Urdu vs. Western languages",
International Conference on Frontiers of Information Technology, 2018."""


def load_urdu(folder: str | os.PathLike[str]) -> Bunch:
    """Load the URDU corpus of emotional speech from talk shows.

    Parameters
    ----------
    folder : str or path-like
        Where ``Angry/SM1_F10_A010.wav`` and so on lie, at any depth.

    Returns
    -------
    corpus : Bunch
        X (list of paths), y (anger, happiness, neutral, sadness), groups (speakers by their names,
        such as "SM1"), frame (path, emotion, code, speaker, sex, duration in seconds, file, i.e.
        the clip's number among the speaker's, and number, among the emotion's) and DESCR.

    Raises
    ------
    FileNotFoundError
        If the folder holds no clip of URDU.
    ValueError
        If its clips are Git LFS pointers.

    Warns
    -----
    UserWarning
        If not all 400 clips are there.

    See Also
    --------
    fetch_urdu : Download it, and load it.

    References
    ----------
    S. Latif, A. Qayyum, M. Usman, J. Qadir, "Cross lingual speech emotion recognition: Urdu vs.
    Western languages", International Conference on Frontiers of Information Technology, 2018.

    Examples
    --------
    >>> from sklearn_ser.datasets import load_urdu
    >>> corpus = load_urdu("corpora/urdu")  # doctest: +SKIP
    """
    frame = find_clips(Files(folder), PATTERN, corpus="URDU", example="Angry/SM1_F10_A010.wav")
    for column in ("speaker", "code"):
        frame[column] = frame[column].str.upper()
    frame["emotion"] = frame["code"].map(EMOTIONS)
    frame["sex"] = frame["sex"].str.upper().map({"M": "male", "F": "female"})
    return as_corpus("URDU", frame, DESCRIPTION, N_CLIPS)
