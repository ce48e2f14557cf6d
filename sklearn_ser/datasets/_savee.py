"""The Surrey Audio-Visual Expressed Emotion database."""

from __future__ import annotations

import os

from sklearn.utils import Bunch

from sklearn_ser._audio import Files
from sklearn_ser.datasets._corpus import as_corpus
from sklearn_ser.datasets._files import find_clips

__all__ = ["load_savee"]

EMOTIONS = {
    "a": "anger",
    "d": "disgust",
    "f": "fear",
    "h": "happiness",
    "n": "neutral",
    "sa": "sadness",
    "su": "surprise",
}
PATTERN = r"(?P<speaker>DC|JE|JK|KL)[/_](?P<sentence>(?P<code>sa|su|[adfhn])\d\d)"
N_CLIPS = 480
DESCRIPTION = """\
Surrey Audio-Visual Expressed Emotion database (SAVEE): four men read English sentences in seven
emotions, 15 in each and 30 in neutral, 44.1 kHz; the complete corpus has 480 clips. On request.
S. Haq, P. Jackson, "Multimodal emotion recognition", in Machine Audition, IGI Global, 2010."""


def load_savee(folder: str | os.PathLike[str]) -> Bunch:
    """Load the Surrey Audio-Visual Expressed Emotion database (SAVEE).

    Parameters
    ----------
    folder : str or path-like
        Where ``DC/a01.wav`` or ``DC_a01.wav`` and so on lie, at any depth.

    Returns
    -------
    corpus : Bunch
        X (list of paths), y (anger, disgust, fear, happiness, neutral, sadness, surprise), groups
        ("DC", "JE", "JK" or "KL"), frame (path, emotion, code, speaker, sex, sentence and duration
        in seconds) and DESCR. A sentence is named by its emotion and number; some of the neutral
        ones have the text of others, which names do not show.

    Raises
    ------
    FileNotFoundError
        If the folder holds no clip of SAVEE.
    ValueError
        If its clips are Git LFS pointers.

    Warns
    -----
    UserWarning
        If not all 480 clips are there.

    See Also
    --------
    load_folder : Loads a folder for each emotion.

    References
    ----------
    S. Haq, P. Jackson, "Multimodal emotion recognition", in Machine Audition: Principles,
    Algorithms and Systems, IGI Global, 2010.

    Examples
    --------
    >>> from sklearn_ser.datasets import load_savee
    >>> corpus = load_savee("corpora/savee")  # doctest: +SKIP
    """
    frame = find_clips(Files(folder), PATTERN, corpus="SAVEE", example="DC/a01.wav or DC_a01.wav")
    frame["speaker"] = frame["speaker"].str.upper()
    for column in ("sentence", "code"):
        frame[column] = frame[column].str.lower()
    frame["emotion"] = frame["code"].map(EMOTIONS)
    frame["sex"] = "male"
    return as_corpus("SAVEE", frame, DESCRIPTION, N_CLIPS)
