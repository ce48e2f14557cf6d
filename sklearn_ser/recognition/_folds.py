"""Folds of speakers, for what a recognizer has to know of voices that it never heard."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.model_selection import GroupKFold

from sklearn_ser._utils import as_classes, as_speakers, check_lengths

__all__ = ["check_targets", "speaker_folds"]

MOST_FOLDS = 10


def check_targets(X: Any, y: Any, groups: Any) -> tuple[Any, Any]:
    """Return emotions and speakers as arrays, one of each a clip.

    Raises
    ------
    ValueError
        If any is missing, if emotions are numbers that are not whole, or if there are more or
        fewer of them than clips.
    """
    if groups is None:
        raise ValueError(
            "there are no speaker labels (groups is None), so that nothing can be said of new "
            "speakers. Pass groups."
        )
    y, groups = as_classes(y), as_speakers(groups)
    check_lengths(X=X, y=y, groups=groups)
    return y, groups


def speaker_folds(y: Any, groups: Any) -> list[tuple[Any, Any]]:
    """Return (train, test) positions: one speaker out at a time, or a tenth of many.

    Raises
    ------
    ValueError
        If an emotion is spoken by one speaker only.
    """
    for emotion in np.unique(y):
        if len(np.unique(groups[y == emotion])) < 2:
            raise ValueError(
                f"{emotion} is spoken by one speaker only, so that it cannot be tested on a new "
                "one. Leave it out, or add speakers."
            )
    n_folds = min(MOST_FOLDS, len(np.unique(groups)))
    folds = list(GroupKFold(n_folds).split(y, y, groups))
    for train, _ in folds:
        if len(np.unique(y[train])) < len(np.unique(y)):
            raise ValueError(
                "an emotion is spoken only by speakers who share a fold. Leave it out, or add "
                "speakers."
            )
    return folds
