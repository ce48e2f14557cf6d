"""The Ryerson Audio-Visual Database of Emotional Speech and Song."""

from __future__ import annotations

import os

from sklearn.utils import Bunch

from sklearn_ser._audio import Files
from sklearn_ser._utils import StrOptions, validate_params
from sklearn_ser.datasets._corpus import as_corpus
from sklearn_ser.datasets._files import find_clips

__all__ = ["load_ravdess"]

EMOTIONS = {
    "01": "neutral",
    "02": "calm",
    "03": "happiness",
    "04": "sadness",
    "05": "anger",
    "06": "fear",
    "07": "disgust",
    "08": "surprise",
}
CHANNELS = {"01": "speech", "02": "song"}
INTENSITIES = {"01": "normal", "02": "strong"}
PATTERN = (
    r"(?P<modality>0[13])-(?P<vocal_channel>0[12])-(?P<code>0[1-8])-(?P<intensity>0[12])"
    r"-(?P<sentence>0[12])-(?P<repetition>0[12])-(?P<speaker>\d\d)"
)
N_CLIPS = {"speech": 1440, "song": 1012, "all": 2452}
DESCRIPTION = """\
Ryerson Audio-Visual Database of Emotional Speech and Song (RAVDESS): 24 actors speak and sing two
English sentences in eight emotions and two intensities, 48 kHz. As everyone says the same two
sentences, every split shares text. CC BY-NC-SA 4.0. S. Livingstone, F. Russo, "The Ryerson
Audio-Visual Database of Emotional Speech and Song (RAVDESS)", PLoS ONE 13(5), 2018."""


@validate_params(
    {"folder": [str, os.PathLike], "vocal_channel": [StrOptions({"speech", "song", "all"})]},
    prefer_skip_nested_validation=True,
)
def load_ravdess(folder: str | os.PathLike[str], *, vocal_channel: str = "speech") -> Bunch:
    """Load the Ryerson Audio-Visual Database of Emotional Speech and Song (RAVDESS).

    Parameters
    ----------
    folder : str or path-like
        Where ``Actor_01/03-01-01-01-01-01-01.wav`` and so on lie, at any depth, a folder an actor
        or flat. A second copy in a nested folder, which some archives hold, is not counted.
    vocal_channel : {"speech", "song", "all"}, default="speech"
        What the actors do.

    Returns
    -------
    corpus : Bunch
        X (list of paths), y (anger, calm, disgust, fear, happiness, neutral, sadness, surprise),
        groups (actors, "01" to "24"), frame (path, emotion, code, speaker, sex, sentence,
        intensity, duration in seconds, vocal_channel and repetition) and DESCR.

    Raises
    ------
    FileNotFoundError
        If the folder holds no clip of RAVDESS.
    ValueError
        If its clips are Git LFS pointers.

    Warns
    -----
    UserWarning
        If there are not 1440 clips of speech, 1012 of song.

    See Also
    --------
    fetch_ravdess : Downloads it first, if it is not there.
    sklearn_ser.model_selection.RAVDESSSplit : The published split.

    References
    ----------
    S. Livingstone, F. Russo, "The Ryerson Audio-Visual Database of Emotional Speech and Song
    (RAVDESS)", PLoS ONE 13(5), 2018.

    Examples
    --------
    >>> from sklearn_ser.datasets import load_ravdess
    >>> corpus = load_ravdess("corpora/ravdess")  # doctest: +SKIP
    """
    channel = {"speech": "01", "song": "02", "all": "0[12]"}[vocal_channel]
    pattern = PATTERN.replace("0[12]", channel, 1)
    identity = ["vocal_channel", "code", "intensity", "sentence", "repetition", "speaker"]
    frame = find_clips(
        Files(folder),
        pattern,
        corpus=f"RAVDESS ({vocal_channel})",
        example=f"Actor_01/03-{channel[:2]}-01-01-01-01-01.wav",
        identity=identity,
    ).drop(columns="modality")
    frame["emotion"] = frame["code"].map(EMOTIONS)
    frame["vocal_channel"] = frame["vocal_channel"].map(CHANNELS)
    frame["intensity"] = frame["intensity"].map(INTENSITIES)
    frame["sex"] = ["male" if int(speaker) % 2 else "female" for speaker in frame["speaker"]]
    return as_corpus("RAVDESS", frame, DESCRIPTION, N_CLIPS[vocal_channel])
