"""One set of labels for corpora that name emotions differently."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from sklearn_ser._utils import StrOptions, as_labels, composed, validate_params

__all__ = ["DROPPED", "SCHEMES", "canonical", "harmonize_labels"]

DROPPED = ""
SCHEMES = ("four", "ekman", "arousal", "valence", "quadrants")

# Each emotion's label in the schemes "four" and "ekman" (None: dropped), and its arousal and
# valence, as high or low and positive or negative.
_TABLE: dict[str, tuple[str | None, str | None, str | None, str | None]] = {
    "anger": ("anger", "anger", "high", "negative"),
    "happiness": ("happiness", "happiness", "high", "positive"),
    "sadness": ("sadness", "sadness", "low", "negative"),
    "neutral": ("neutral", "neutral", "low", "positive"),
    "fear": (None, "fear", "high", "negative"),
    "disgust": (None, "disgust", "low", "negative"),
    "surprise": (None, "surprise", "high", "positive"),
    "boredom": (None, None, "low", "negative"),
    "calm": ("neutral", "neutral", "low", "positive"),
    "excitement": ("happiness", "happiness", "high", "positive"),
    "frustration": (None, None, "high", "negative"),
    "contempt": (None, None, None, "negative"),
    "other": (None, None, None, None),
    "no agreement": (None, None, None, None),
}
# What corpora and toolkits call them.
_ALIASES = {
    "anger": ("angry", "ang", "rage", "wut", "ärger"),
    "happiness": ("happy", "hap", "joy", "joyful", "freude"),
    "sadness": ("sad", "trauer"),
    "neutral": ("neu",),
    "fear": ("fearful", "fea", "anxiety", "anxious", "angst"),
    "disgust": ("disgusted", "dis", "ekel"),
    "surprise": ("surprised", "sur", "ps", "pleasant_surprise", "pleasant_surprised"),
    "boredom": ("bored", "boredem", "langeweile"),
    "calm": ("calmness",),
    "excitement": ("excited", "exc"),
    "frustration": ("frustrated", "fru"),
    "contempt": ("contemptuous",),
    "other": ("oth",),
    "no agreement": ("xxx",),
}
_CANONICAL = {alias: name for name, aliases in _ALIASES.items() for alias in (name, *aliases)}


@validate_params(
    {"y": ["array-like"], "scheme": [StrOptions(set(SCHEMES))]},
    prefer_skip_nested_validation=True,
)
def harmonize_labels(y: npt.ArrayLike, scheme: str = "four") -> npt.NDArray[np.str_]:
    """Return labels of emotions that mean the same in every corpus.

    Parameters
    ----------
    y : array-like of str of shape (n_clips,)
        What a loader of this package returns, or other usual names: angry, ang, joy, …, in any
        case.
    scheme : {"four", "ekman", "arousal", "valence", "quadrants"}, default="four"
        "four" keeps anger, happiness (with excitement), neutral (with calm) and sadness; "ekman"
        also disgust, fear and surprise. "arousal" (high, low), "valence" (negative, positive) and
        "quadrants" (such as "high negative") sort emotions as cross-corpus studies do [1]_, where
        neutral speech has low arousal and positive valence.

    Returns
    -------
    labels : ndarray of str of shape (n_clips,)
        "" where the scheme drops a clip: ``labels != ""`` selects the others.

    Raises
    ------
    ValueError
        If a label is unknown, or missing: nothing is dropped that the scheme does not name.

    References
    ----------
    .. [1] B. Schuller et al., "Cross-corpus acoustic emotion recognition: variances and
       strategies", IEEE Transactions on Affective Computing 1(2), 2010.

    Examples
    --------
    >>> from sklearn_ser.datasets import harmonize_labels
    >>> harmonize_labels(["Angry", "calm", "boredom"], "four").tolist()
    ['anger', 'neutral', '']
    >>> harmonize_labels(["Angry", "calm", "boredom"], "quadrants").tolist()
    ['high negative', 'low positive', 'low negative']
    """
    wanted = [label.lower() for label in as_labels(y).tolist()]
    unknown = sorted(set(wanted) - set(_CANONICAL))
    if unknown:
        raise ValueError(
            f"unknown emotions {unknown}; known are {sorted(_TABLE)} and their usual other names. "
            "Rename them, or leave these clips out."
        )
    found = {label: _in_scheme(_CANONICAL[label], scheme) for label in set(wanted)}
    return np.array([found[label] for label in wanted], dtype=str)


def canonical(label: Any) -> Any:
    """Return this package's name of an emotion; the label in lower case if it is another.

    What is no text is returned as it is: `as_corpus` refuses it, with its rows.
    """
    if not isinstance(label, str):
        return label
    label = composed(label.strip()).lower()
    return _CANONICAL.get(label, label)


def _in_scheme(emotion: str, scheme: str) -> str:
    four, ekman, arousal, valence = _TABLE[emotion]
    quadrant = f"{arousal} {valence}" if arousal and valence else None
    labels = dict(zip(SCHEMES, (four, ekman, arousal, valence, quadrant), strict=True))
    return labels[scheme] or DROPPED
