"""The Berlin Database of Emotional Speech."""

from __future__ import annotations

import os

from sklearn.utils import Bunch

from sklearn_ser._audio import Files
from sklearn_ser.datasets._corpus import as_corpus
from sklearn_ser.datasets._files import find_clips

__all__ = ["load_emodb"]

EMOTIONS = {
    "W": "anger",
    "L": "boredom",
    "E": "disgust",
    "A": "fear",
    "F": "happiness",
    "T": "sadness",
    "N": "neutral",
}
MALE = {"03", "10", "11", "12", "15"}
PATTERN = r"(?P<speaker>\d\d)(?P<sentence>[ab]\d\d)(?P<code>[WLEAFTN])(?P<version>[a-z]?)"
N_CLIPS = 535
DESCRIPTION = """\
Berlin Database of Emotional Speech (EmoDB): ten actors speak ten German sentences in seven
emotions; the complete corpus has 535 clips, 16 kHz, mono. Free to use; say where it comes from:
F. Burkhardt, A. Paeschke, M. Rolfes, W. Sendlmeier, B. Weiss, "A database of German emotional
speech", Interspeech 2005."""


def load_emodb(folder: str | os.PathLike[str]) -> Bunch:
    """Load the Berlin Database of Emotional Speech (EmoDB) from a folder.

    Parameters
    ----------
    folder : str or path-like
        Where ``03a01Fa.wav`` and so on lie, at any depth; as published, in ``wav``.

    Returns
    -------
    corpus : Bunch
        X : list of str
            Paths, sorted.
        y : ndarray of shape (n_clips,)
            Emotions: anger, boredom, disgust, fear, happiness, sadness, neutral.
        groups : ndarray of shape (n_clips,)
            Speakers, "03" to "16".
        frame : DataFrame
            path, emotion, code (the letter in the file's name), speaker, sex, sentence, duration
            in seconds, and version.
        DESCR : str
            Source, licence and counts.

    Raises
    ------
    FileNotFoundError
        If the folder holds no clip of EmoDB.
    ValueError
        If its clips are Git LFS pointers.

    Warns
    -----
    UserWarning
        If not all 535 clips are there.

    See Also
    --------
    fetch_emodb : Downloads it first, if it is not there.

    References
    ----------
    F. Burkhardt et al., "A database of German emotional speech", Interspeech 2005.

    Examples
    --------
    >>> from sklearn_ser.datasets import load_emodb
    >>> corpus = load_emodb("corpora/emodb")  # doctest: +SKIP
    """
    frame = find_clips(Files(folder), PATTERN, corpus="EmoDB", example="wav/03a01Fa.wav")
    frame["code"] = frame["code"].str.upper()
    frame["emotion"] = frame["code"].map(EMOTIONS)
    frame["sex"] = ["male" if speaker in MALE else "female" for speaker in frame["speaker"]]
    return as_corpus("EmoDB", frame, DESCRIPTION, N_CLIPS)
