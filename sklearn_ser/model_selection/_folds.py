"""The folds that a scheme's name, a splitter or a list of indices stands for."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pandas as pd
from sklearn.model_selection import GroupKFold

from sklearn_ser._utils import is_missing, refuse_missing
from sklearn_ser.model_selection._balanced import BalancedSpeakerKFold
from sklearn_ser.model_selection._leave_one_out import (
    LeaveOneCorpusOut,
    LeaveOneSentenceOut,
    LeaveOneSessionOut,
    LeaveOneSpeakerOut,
)
from sklearn_ser.model_selection._protocol import Protocol
from sklearn_ser.model_selection._ravdess import RAVDESSSplit

__all__ = ["SCHEMES", "as_splitter", "folds_of", "restricted"]

# Name: the splitter, and the fewest speakers it needs.
SCHEMES: dict[str, tuple[Any, int]] = {
    "loso": (LeaveOneSpeakerOut(), 3),
    "group5": (GroupKFold(5), 5),
    "balanced5": (BalancedSpeakerKFold(5), 5),
    "session": (LeaveOneSessionOut(), 1),
    "ravdess": (RAVDESSSplit(), 1),
    "sentence": (LeaveOneSentenceOut(), 1),
    "corpus": (LeaveOneCorpusOut(), 1),
}

Folds = list[tuple[Any, Any]]


def as_splitter(cv: Any) -> Any:
    """Return the splitter that a scheme's name stands for; anything else as it is."""
    if isinstance(cv, str):
        if cv not in SCHEMES:
            raise ValueError(f"cv={cv!r}; it must be one of {list(SCHEMES)} or a splitter.")
        return SCHEMES[cv][0]
    return cv


def folds_of(cv: Any, frame: pd.DataFrame) -> tuple[Folds, str]:
    """Return the (train, test) indices of each fold, and what the scheme is called.

    Parameters
    ----------
    cv : str, splitter or iterable of (train, test)
        A name of `SCHEMES`; a splitter, which is given the frame if it is one of this package, and
        the speakers if not; or the indices themselves.
    frame : DataFrame
        With emotion and, where they are known, speaker, and what else the splitter needs.
    """
    splitter = as_splitter(cv)
    if not hasattr(splitter, "split"):
        folds = _given(splitter, len(frame))
        return folds, f"{len(folds)} given folds"
    speakers = frame["speaker"].to_numpy() if "speaker" in frame else None
    if isinstance(cv, str) and SCHEMES[cv][1] > 1:
        if speakers is None:
            raise ValueError(
                f"cv={cv!r} needs speaker labels, and the corpus has none. Load it with "
                "its speakers: a column speaker, or for a folder a pattern that finds them in a "
                "path."
            )
        refuse_missing(speakers, f"cv={cv!r} splits by speaker", "speaker")
        needed, n_speakers = SCHEMES[cv][1], len(np.unique(speakers))
        if n_speakers < needed:
            raise ValueError(f"cv={cv!r} needs {needed} speakers or more; there are {n_speakers}.")
    groups = frame if isinstance(splitter, Protocol) else speakers
    if groups is speakers and speakers is not None and is_missing(speakers).any():
        if _splits_by_groups(splitter):
            refuse_missing(speakers, f"cv={cv!r} splits by speaker", "speaker")
        groups = None
    with warnings.catch_warnings():  # the audit of a split says it better, and with numbers
        warnings.filterwarnings("ignore", "The groups parameter is ignored", UserWarning)
        emotions = frame["emotion"].to_numpy()
        folds = list(splitter.split(np.zeros((len(frame), 1)), emotions, groups))
    return folds, cv if isinstance(cv, str) else repr(cv)


def _splits_by_groups(splitter: Any) -> bool:
    """Tell whether a splitter asks for groups, as those of scikit-learn say that need them."""
    if not hasattr(splitter, "get_metadata_routing"):
        return True
    return bool(splitter.get_metadata_routing().split.requests.get("groups"))


def restricted(folds: Folds, usable: Any, n_clips: int) -> Folds:
    """Return folds of `n_clips` clips with the usable ones alone, counted among themselves.

    A fold that tests none of them is left out.
    """
    position = np.full(n_clips, -1)
    position[usable] = np.arange(len(usable))
    sides = [[position[side] for side in fold] for fold in folds]
    kept = [(train[train >= 0], test[test >= 0]) for train, test in sides]
    return [(train, test) for train, test in kept if len(test)]


def _given(cv: Any, n_clips: int) -> Folds:
    """Return folds that were given as positions, or as masks."""
    try:
        pairs = [(np.asarray(train), np.asarray(test)) for train, test in cv]
    except (TypeError, ValueError):
        raise TypeError(
            f"cv={cv!r} is no scheme's name, splitter or sequence of (train, test) positions."
        ) from None
    folds = []
    for k, sides in enumerate(pairs):
        train, test = (
            np.flatnonzero(side) if side.dtype == bool and len(side) == n_clips else side
            for side in sides
        )
        for name, side in (("train", train), ("test", test)):
            if (
                not len(side)
                or side.dtype.kind not in "iu"
                or not np.isin(side, np.arange(n_clips)).all()
            ):
                raise ValueError(
                    f"fold {k}: {name} must hold positions of the {n_clips} clips, one or more."
                )
        folds.append((train, test))
    if not folds:
        raise ValueError("cv holds no folds.")
    return folds
