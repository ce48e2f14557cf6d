"""The splitter that a name stands for, and the folds of a corpus by it.

Used by the audits, the evaluation and the command line, which take names, splitters or positions.
"""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import numpy.typing as npt
import sklearn.model_selection
from sklearn.model_selection import GroupKFold

from sklearn_ser._utils import Folds, corpus_of, is_missing, refuse_missing
from sklearn_ser.model_selection._protocols import (
    BalancedSpeakerKFold,
    LeaveOneCorpusOut,
    LeaveOneSentenceOut,
    LeaveOneSessionOut,
    LeaveOneSpeakerOut,
    Protocol,
    RAVDESSSplit,
)

__all__ = ["check_cv", "corpus_folds"]

# Name: the splitter, and the number of speakers that it needs.
SCHEMES: dict[str, tuple[Any, int]] = {
    "loso": (LeaveOneSpeakerOut(), 3),
    "group5": (GroupKFold(5), 5),
    "balanced5": (BalancedSpeakerKFold(5), 5),
    "session": (LeaveOneSessionOut(), 1),
    "ravdess": (RAVDESSSplit(), 1),
    "sentence": (LeaveOneSentenceOut(), 1),
    "corpus": (LeaveOneCorpusOut(), 1),
}


def check_cv(cv: Any = "loso") -> Any:
    """Return the splitter that a name stands for, and of all else what scikit-learn makes of it.

    Parameters
    ----------
    cv : str, cross-validator, int or iterable of (train, test), default="loso"
        "loso" (leave one speaker out), "group5" and "balanced5" (five folds of speakers),
        "session", "ravdess", "sentence" or "corpus". All else is left to
        :func:`sklearn.model_selection.check_cv`: splitters stay as they are, and an int is a
        KFold, whose folds share speakers.

    Returns
    -------
    splitter : cross-validator

    Raises
    ------
    ValueError
        If there is no scheme of that name.

    See Also
    --------
    corpus_folds : The folds of a corpus.

    Examples
    --------
    >>> from sklearn_ser.model_selection import check_cv
    >>> check_cv("loso")
    LeaveOneSpeakerOut()
    """
    if not isinstance(cv, str):
        return sklearn.model_selection.check_cv(cv)
    if cv not in SCHEMES:
        raise ValueError(f"cv={cv!r}; it must be one of {list(SCHEMES)} or a splitter.")
    return SCHEMES[cv][0]


def corpus_folds(corpus: Any, cv: Any = "loso") -> Folds:
    """Return the training and test clips of each fold of a corpus.

    Parameters
    ----------
    corpus : Bunch or DataFrame
        A corpus, as the loaders return; or its frame, with emotion and, where they are known,
        speaker, and what else the splitter needs. Emotions may be ratings, as floats.
    cv : str, cross-validator or iterable of (train, test), default="loso"
        A name as in :func:`check_cv`; a splitter, which is given the frame as groups if it is one
        of this package, and the speakers if not; or positions, or masks, of training and test
        clips.

    Returns
    -------
    folds : list of (train, test)
        Positions of clips, each an ndarray of int.

    Raises
    ------
    ValueError
        If there is no scheme of that name, the corpus lacks what the splitter splits by, or too
        few speakers; or positions are none of the corpus, or a fold tests one more than once.
    TypeError
        If `cv` is none of these.

    See Also
    --------
    check_cv : Gives the splitter of a name.

    Examples
    --------
    >>> from sklearn_ser.datasets import make_emotional_speech
    >>> from sklearn_ser.model_selection import corpus_folds
    >>> corpus = make_emotional_speech(n_speakers=3, n_sentences=1, random_state=0)
    >>> [test.tolist() for _, test in corpus_folds(corpus, "loso")]
    [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9, 10, 11]]
    """
    frame = corpus_of(corpus, ratings=True).frame
    if not isinstance(cv, str) and not hasattr(cv, "split"):
        return _given_folds(cv, len(frame))
    splitter = check_cv(cv)
    speakers = frame["speaker"].to_numpy() if "speaker" in frame else None
    if isinstance(cv, str):
        _check_speakers(cv, speakers)
    groups = frame if isinstance(splitter, Protocol) else speakers
    if groups is None and _splits_by_groups(splitter):
        raise ValueError(_no_speakers(cv))
    if groups is speakers and speakers is not None and is_missing(speakers).any():
        if _splits_by_groups(splitter):
            refuse_missing(speakers, f"cv={cv!r} splits by speaker", "speaker")
        groups = None
    with warnings.catch_warnings():  # the audit of a split says it better, and with numbers
        warnings.filterwarnings("ignore", "The groups parameter is ignored", UserWarning)
        emotions = frame["emotion"].to_numpy()
        return list(splitter.split(np.zeros((len(frame), 1)), emotions, groups))


def _check_speakers(cv: str, speakers: Any) -> None:
    """Raise an error if there are fewer speakers than a scheme needs, or any is unknown."""
    n_needed = SCHEMES[cv][1]
    if n_needed == 1:
        return
    if speakers is None:
        raise ValueError(_no_speakers(cv))
    refuse_missing(speakers, f"cv={cv!r} splits by speaker", "speaker")
    n_speakers = len(np.unique(speakers))
    if n_speakers < n_needed:
        raise ValueError(f"cv={cv!r} needs {n_needed} speakers or more; there are {n_speakers}.")


def _no_speakers(cv: Any) -> str:
    return (
        f"cv={cv!r} needs speaker labels, and the corpus has none (groups is None). Load it with "
        "its speakers: a column speaker, or for a folder a pattern that finds them in a path "
        "(speaker=, --speaker). If "
        "they are not known, give folds that need none: those of EmoBoxFolds, or positions."
    )


def _splits_by_groups(splitter: Any) -> bool:
    """Tell whether a splitter asks for groups, as those of scikit-learn say that need them."""
    if not hasattr(splitter, "get_metadata_routing"):
        return True
    return bool(splitter.get_metadata_routing().split.requests.get("groups"))


def _given_folds(cv: Any, n_clips: int) -> Folds:
    """Return folds that are given as positions or masks, as positions."""
    try:
        pairs = [(np.asarray(train), np.asarray(test)) for train, test in cv]
    except (TypeError, ValueError):
        raise TypeError(
            f"cv={cv!r} is no scheme's name, splitter or sequence of (train, test) positions."
        ) from None
    if not pairs:
        raise ValueError("cv holds no folds.")
    return [
        (
            _positions(train, f"fold {k}: train", n_clips),
            _positions(test, f"fold {k}: test", n_clips),
        )
        for k, (train, test) in enumerate(pairs)
    ]


def _positions(clips: npt.NDArray[Any], name: str, n_clips: int) -> npt.NDArray[np.intp]:
    """Return clips that are given as positions, or as a mask, as positions."""
    if clips.dtype == bool and len(clips) == n_clips:
        clips = np.flatnonzero(clips)
    known = clips.dtype.kind in "iu" and np.isin(clips, np.arange(n_clips)).all()
    if not len(clips) or not known:
        raise ValueError(f"{name} must hold positions of the {n_clips} clips, one or more.")
    if name.endswith("test") and (n_repeated := len(clips) - len(np.unique(clips))):
        raise ValueError(
            f"{name} holds {n_repeated} positions more than once, so that their clips would count "
            "several times. Name each once; masks have to be of booleans."
        )
    return clips
