"""The Crowd-sourced Emotional Multimodal Actors Dataset."""

from __future__ import annotations

import io
import os

import pandas as pd
from sklearn.utils import Bunch

from sklearn_ser._audio import Files
from sklearn_ser._utils import naming_file, read_text
from sklearn_ser.datasets._corpus import as_corpus
from sklearn_ser.datasets._files import find_clips

__all__ = ["load_cremad"]

EMOTIONS = {
    "ANG": "anger",
    "DIS": "disgust",
    "FEA": "fear",
    "HAP": "happiness",
    "NEU": "neutral",
    "SAD": "sadness",
}
INTENSITIES = {"LO": "low", "MD": "medium", "HI": "high", "XX": "unspecified", "X": "unspecified"}
PATTERN = (
    r"(?P<speaker>1\d{3})_(?P<sentence>[a-z]{3})_(?P<code>ANG|DIS|FEA|HAP|NEU|SAD)"
    r"_(?P<intensity>LO|MD|HI|XX?)"
)
ACTORS = "VideoDemographics.csv"
N_CLIPS = 7442
DESCRIPTION = """\
Crowd-sourced Emotional Multimodal Actors Dataset (CREMA-D): 91 actors speak twelve English
sentences in six emotions and up to three intensities, 16 kHz; the complete corpus has 7442 clips,
of which 1076_MTI_SAD_XX is silent. ODbL. H. Cao et al., "CREMA-D: Crowd-sourced Emotional
Multimodal Actors Dataset", IEEE Transactions on Affective Computing 5(4), 2014."""


def load_cremad(folder: str | os.PathLike[str]) -> Bunch:
    """Load the Crowd-sourced Emotional Multimodal Actors Dataset (CREMA-D).

    Parameters
    ----------
    folder : str or path-like
        Where ``AudioWAV/1001_DFA_ANG_XX.wav`` and so on lie, at any depth. The actors' sex and age
        are read from ``VideoDemographics.csv`` if it is there or one folder up.

    Returns
    -------
    corpus : Bunch
        X (list of paths), y (anger, disgust, fear, happiness, neutral, sadness), groups (actors,
        "1001" to "1091"), frame (path, emotion, code, speaker, sentence, intensity, duration in
        seconds, and sex and age if known) and DESCR.

    Raises
    ------
    FileNotFoundError
        If the folder holds no clip of CREMA-D.
    ValueError
        If its clips are Git LFS pointers, as in a checkout without Git LFS.

    Warns
    -----
    UserWarning
        If not all 7442 clips are there.

    See Also
    --------
    fetch_cremad : Downloads it first, if it is not there.

    Notes
    -----
    The clip 1076_MTI_SAD_XX is silent, so embedders refuse it: leave it out, or set their
    ``on_error``.

    References
    ----------
    H. Cao et al., "CREMA-D: Crowd-sourced Emotional Multimodal Actors Dataset", IEEE Transactions
    on Affective Computing 5(4), 2014.

    Examples
    --------
    >>> from sklearn_ser.datasets import load_cremad
    >>> corpus = load_cremad("corpora/CREMA-D")  # doctest: +SKIP
    """
    files = Files(folder)
    frame = find_clips(
        files,
        PATTERN,
        corpus="CREMA-D",
        example="AudioWAV/1001_DFA_ANG_XX.wav",
        identity=["speaker", "sentence", "code", "intensity"],
    )
    for column in ("sentence", "code", "intensity"):
        frame[column] = frame[column].str.upper()
    frame["emotion"] = frame["code"].map(EMOTIONS)
    frame["intensity"] = frame["intensity"].map(INTENSITIES)
    expected = files.root.parent / ACTORS
    known = next((path for path in files if path.name == ACTORS), expected)
    if known.is_file():
        with naming_file(known):
            text = io.StringIO(read_text(known))
            actors = pd.read_csv(text, dtype={"ActorID": str}).set_index("ActorID")
            frame["sex"] = frame["speaker"].map(actors["Sex"].str.strip().str.lower())
            frame["age"] = frame["speaker"].map(actors["Age"])
    return as_corpus("CREMA-D", frame, DESCRIPTION, N_CLIPS)
