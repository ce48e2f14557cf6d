"""Synthetic emotional speech, by source and filter."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from numbers import Integral

import numpy as np
import pandas as pd
from scipy.signal import resample_poly
from sklearn.utils import Bunch, check_random_state

from sklearn_ser._utils import COUNT, HIGHEST_RATE, Number, validate_params
from sklearn_ser.datasets._corpus import Corpus
from sklearn_ser.datasets._synthesiser import (
    EMOTIONS,
    RATE,
    Array32,
    draw_sentence,
    draw_speaker,
    random_generator,
    speak,
)

__all__ = ["make_emotional_speech"]

PEAK = 0.99  # what would exceed it is turned down, never clipped
COLUMNS = ["clip", "speaker", "sex", "sentence", "emotion", "repetition"]
DESCRIPTION = """\
Synthetic emotional speech: made by a source-filter synthesiser whose prosody follows rules from
the literature. It has no words and nobody felt anything. It is for examples and tests; a score on
it says nothing about real speech."""


@validate_params(
    {
        "n_speakers": [COUNT],
        "n_sentences": [COUNT],
        "emotions": ["array-like"],
        "n_repetitions": [COUNT],
        "rate": [Number(Integral, 8000, HIGHEST_RATE, closed="both")],
        "random_state": ["random_state"],
    },
    prefer_skip_nested_validation=True,
)
def make_emotional_speech(
    n_speakers: int = 8,
    n_sentences: int = 5,
    emotions: Sequence[str] = ("anger", "happiness", "neutral", "sadness"),
    *,
    n_repetitions: int = 1,
    rate: int = 16000,
    random_state: int | np.random.RandomState | None = None,
) -> Bunch:
    """Make clips of synthetic emotional speech, to try a pipeline without a corpus.

    Glottal pulses and breath noise pass through moving formants, fricatives and stops stand
    between the vowels, and pauses between phrases [1]_ [2]_. Every emotion moves pitch, tempo,
    level, spectral tilt, roughness, breathiness and articulation in the direction that the
    literature on vocal emotion reports [3]_ [4]_ [5]_ [6]_ [7]_. Speakers differ in pitch, vocal
    tract, habits and microphone, and in how they express each emotion, so that a new speaker is
    harder than a new clip of a known one.

    Parameters
    ----------
    n_speakers : int, default=8
        Number of speakers, women and men in turn.
    n_sentences : int, default=5
        Number of sentences; everyone speaks the same.
    emotions : sequence of str, default=("anger", "happiness", "neutral", "sadness")
        Of anger, happiness, neutral, sadness, fear, disgust and boredom.
    n_repetitions : int, default=1
        How often every speaker says a sentence in an emotion.
    rate : int, default=16000
        Sampling rate in Hz, at least 8000. Clips hold nothing above 8 kHz.
    random_state : int, RandomState instance or None, default=None
        Determines the clips. With an int, a clip depends on nothing else but its own speaker,
        sentence, emotion and repetition: asking for fewer gives some of the same clips.

    Returns
    -------
    corpus : Bunch
        X : list of (ndarray of shape (n_samples,), int)
            Waveforms, float32 within ±1, and their rate; 1.2 to 3 seconds or so.
        y : ndarray of shape (n_clips,)
            Emotions.
        groups : ndarray of shape (n_clips,)
            Speakers, "s01" and on.
        frame : DataFrame
            clip (a name), speaker, sex, sentence, emotion and repetition.
        DESCR : str
            What this is, and that it is not real speech.

    Raises
    ------
    ValueError
        If an emotion is unknown or named twice.

    See Also
    --------
    fetch_emodb : Downloads recordings of people.

    Notes
    -----
    Directions are from the literature; the sizes, and how much speakers differ, were chosen so
    that common features score clearly above chance and below 1 on unknown speakers. A score
    on these clips is no evidence about real speech.

    References
    ----------
    .. [1] D. Klatt, "Software for a cascade/parallel formant synthesizer", JASA 67(3), 1980.
    .. [2] G. Peterson, H. Barney, "Control methods used in a study of the vowels", JASA 24(2),
       1952.
    .. [3] I. Murray, J. Arnott, "Toward the simulation of emotion in synthetic speech: a review
       of the literature on human vocal emotion", JASA 93(2), 1993.
    .. [4] F. Burkhardt, W. Sendlmeier, "Verification of acoustical correlates of emotional
       speech using formant-synthesis", ISCA Workshop on Speech and Emotion, 2000.
    .. [5] M. Schröder, "Emotional speech synthesis: a review", Eurospeech 2001.
    .. [6] K. Scherer, "Vocal communication of emotion: a review of research paradigms", Speech
       Communication 40(1-2), 2003.
    .. [7] P. Juslin, P. Laukka, "Communication of emotions in vocal expression and music
       performance: different channels, same code?", Psychological Bulletin 129(5), 2003.

    Examples
    --------
    >>> from sklearn_ser.datasets import make_emotional_speech
    >>> corpus = make_emotional_speech(n_speakers=2, n_sentences=1, random_state=0)
    >>> len(corpus.X)
    8
    >>> waveform, rate = corpus.X[0]
    >>> waveform.dtype, rate
    (dtype('float32'), 16000)
    >>> corpus.frame["clip"].iloc[0]
    's01_t01_anger_1'
    """
    emotions = [str(emotion) for emotion in emotions]
    unknown = [emotion for emotion in emotions if emotion not in EMOTIONS]
    if unknown or not emotions or len(set(emotions)) < len(emotions):
        raise ValueError(
            f"emotions={emotions!r}: expected one or more of {', '.join(EMOTIONS)}, each once."
        )
    entropy = int(check_random_state(random_state).randint(2**31 - 1))
    speakers = [
        draw_speaker(random_generator(entropy, 0, i), "male" if i % 2 else "female")
        for i in range(n_speakers)
    ]
    sentences = [draw_sentence(random_generator(entropy, 1, i)) for i in range(n_sentences)]
    number = {emotion: i for i, emotion in enumerate(EMOTIONS)}
    X: list[tuple[Array32, int]] = []
    rows: list[tuple[str, str, str, str, str, int]] = []
    for i, j, emotion, k in product(
        range(n_speakers), range(n_sentences), emotions, range(n_repetitions)
    ):
        rng = random_generator(entropy, 2, i, j, number[emotion], k)
        waveform = speak(speakers[i], sentences[j], emotion, rng)
        if rate != RATE:
            waveform = resample_poly(waveform, rate, RATE).astype(np.float32)
        X.append((waveform / np.float32(max(1.0, np.abs(waveform).max() / PEAK)), int(rate)))
        speaker, sentence = f"s{i + 1:02d}", f"t{j + 1:02d}"
        name = f"{speaker}_{sentence}_{emotion}_{k + 1}"
        rows.append((name, speaker, speakers[i].sex, sentence, emotion, k + 1))
    frame = pd.DataFrame(rows, columns=COLUMNS)
    return Corpus(
        name="synthetic",
        X=X,
        y=frame["emotion"].to_numpy(dtype=str),
        groups=frame["speaker"].to_numpy(dtype=str),
        frame=frame,
        DESCR=f"{DESCRIPTION}\n\nHere: {len(X)} clips: {n_speakers} speakers, {n_sentences} "
        f"sentences, {n_repetitions} repetitions of each; {', '.join(emotions)}.",
    )
