"""The Berlin Database of Emotional Speech."""

from __future__ import annotations

import os
import re

import pandas as pd
from sklearn.utils import Bunch

from sklearn_ser.datasets._corpus import as_corpus, existing_folder

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
NAME = re.compile(
    r"(?P<speaker>\d\d)(?P<sentence>[ab]\d\d)(?P<code>[WLEAFTN])(?P<version>[a-z]?)\.wav"
)
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
        The folder that holds ``wav/03a01Fa.wav`` and so on, or that ``wav`` folder itself.

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
            path, speaker, gender, sentence, emotion, code (the letter in the file's name) and
            version.
        DESCR : str
            Source, licence and counts.

    Raises
    ------
    FileNotFoundError
        If the folder holds no clip of EmoDB.

    References
    ----------
    F. Burkhardt et al., "A database of German emotional speech", Interspeech 2005.

    Examples
    --------
    >>> from sklearn_ser.datasets import load_emodb
    >>> corpus = load_emodb("corpora/emodb")  # doctest: +SKIP
    """
    root = existing_folder(folder)
    for place in (root / "wav", root):
        clips = [
            {"path": str(path), **match.groupdict()}
            for path in sorted(place.glob("*.wav"))
            if (match := NAME.fullmatch(path.name))
        ]
        if clips:
            break
    else:
        raise FileNotFoundError(
            f"no EmoDB clips in {root}: looked for {root / 'wav'}{os.sep}*.wav and "
            f"{root}{os.sep}*.wav with names such as 03a01Fa.wav (speaker, sentence, emotion, "
            "version)."
        )
    frame = pd.DataFrame(clips)
    frame["emotion"] = frame["code"].map(EMOTIONS)
    frame["gender"] = ["male" if speaker in MALE else "female" for speaker in frame["speaker"]]
    return as_corpus("EmoDB", frame, DESCRIPTION)
