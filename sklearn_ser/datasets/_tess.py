"""The Toronto Emotional Speech Set."""

from __future__ import annotations

import os

from sklearn.utils import Bunch

from sklearn_ser._audio import Files
from sklearn_ser.datasets._corpus import as_corpus
from sklearn_ser.datasets._files import find_clips

__all__ = ["load_tess"]

EMOTIONS = {
    "angry": "anger",
    "disgust": "disgust",
    "fear": "fear",
    "happy": "happiness",
    "neutral": "neutral",
    "ps": "surprise",
    "sad": "sadness",
}
# One file's name begins with OA instead of OAF.
PATTERN = rf"(?P<speaker>OAF?|YAF)_(?P<sentence>[a-z']+)_(?P<code>{'|'.join(EMOTIONS)})"
N_CLIPS = 2800
DESCRIPTION = """\
Toronto Emotional Speech Set (TESS): two actresses, one older (OAF), one younger (YAF), say 200
English words in one carrier phrase and seven emotions, 24.414 kHz; "ps" is pleasant surprise. Two
speakers say little about a third. CC BY-NC-ND 4.0. M. K. Pichora-Fuller, K. Dupuis, "Toronto
emotional speech set (TESS)", University of Toronto, 2010."""


def load_tess(folder: str | os.PathLike[str]) -> Bunch:
    """Load the Toronto Emotional Speech Set (TESS).

    Parameters
    ----------
    folder : str or path-like
        Where ``OAF_back_angry.wav`` and so on lie, at any depth. A second copy in a nested folder,
        which some archives hold, is not counted.

    Returns
    -------
    corpus : Bunch
        X (list of paths), y (anger, disgust, fear, happiness, neutral, sadness, surprise), groups
        ("OAF" or "YAF"), frame (path, emotion, code, speaker, sex, sentence, i.e. the word, and
        duration in seconds) and DESCR.

    Raises
    ------
    FileNotFoundError
        If the folder holds no clip of TESS.
    ValueError
        If its clips are Git LFS pointers.

    Warns
    -----
    UserWarning
        If not all 2800 clips are there.

    See Also
    --------
    load_folder : Loads a folder for each emotion.

    References
    ----------
    M. K. Pichora-Fuller, K. Dupuis, "Toronto emotional speech set (TESS)", University of Toronto,
    2010.

    Examples
    --------
    >>> from sklearn_ser.datasets import load_tess
    >>> corpus = load_tess("corpora/tess")  # doctest: +SKIP
    """
    frame = find_clips(
        Files(folder), PATTERN, corpus="TESS", example="OAF_angry/OAF_back_angry.wav"
    )
    for column in ("sentence", "code"):
        frame[column] = frame[column].str.lower()
    frame["speaker"] = frame["speaker"].str.upper().replace("OA", "OAF")
    frame["emotion"] = frame["code"].map(EMOTIONS)
    frame["sex"] = "female"
    return as_corpus("TESS", frame, DESCRIPTION, N_CLIPS)
