"""One set of labels for corpora that name emotions differently."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from sklearn_ser._utils import CANONICAL, EMOTIONS, StrOptions, as_labels, validate_params

__all__ = ["DROPPED", "SCHEMES", "harmonize_labels"]

DROPPED = ""
SCHEMES = ("four", "ekman", "arousal", "valence", "quadrants")


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

    See Also
    --------
    pool_corpora : Puts corpora together, with harmonised labels.

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
    unknown = sorted(set(wanted) - set(CANONICAL))
    if unknown:
        raise ValueError(
            f"unknown emotions {unknown}; known are {sorted(EMOTIONS)} and their usual other "
            "names. Rename them, or leave these clips out."
        )
    found = {label: _in_scheme(CANONICAL[label], scheme) for label in set(wanted)}
    return np.array([found[label] for label in wanted], dtype=str)


def _in_scheme(emotion: str, scheme: str) -> str:
    four, ekman, arousal, valence = EMOTIONS[emotion]
    quadrant = f"{arousal} {valence}" if arousal and valence else None
    labels = dict(zip(SCHEMES, (four, ekman, arousal, valence, quadrant), strict=True))
    return labels[scheme] or DROPPED
