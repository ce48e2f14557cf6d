"""BalancedSpeakerKFold: folds of speakers that are alike in emotions and sex."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from sklearn.model_selection import StratifiedGroupKFold

from sklearn_ser._utils import as_classes, is_missing, split_labels
from sklearn_ser.model_selection._protocol import Protocol

__all__ = ["BalancedSpeakerKFold"]


class BalancedSpeakerKFold(Protocol, StratifiedGroupKFold):
    """Folds that share no speaker and are as alike as can be in emotions and in sex.

    It is scikit-learn's StratifiedGroupKFold, with emotion and sex of a clip together as what is
    balanced.

    Parameters
    ----------
    n_splits : int, default=5
        Number of folds.
    shuffle : bool, default=False
        Whether to draw which of equally good folds a speaker goes to.
    random_state : int, RandomState instance or None, default=None
        Determines the draw.

    Examples
    --------
    >>> from sklearn_ser.datasets import make_emotional_speech
    >>> from sklearn_ser.model_selection import BalancedSpeakerKFold
    >>> corpus = make_emotional_speech(n_speakers=6, n_sentences=2, random_state=0)
    >>> for _, test in BalancedSpeakerKFold(3).split(corpus.X, corpus.y, corpus.frame):
    ...     print(sorted(set(corpus.frame["sex"].iloc[test])))
    ['female', 'male']
    ['female', 'male']
    ['female', 'male']
    """

    speaker_independent = True

    def split(self, X: Any, y: Any = None, groups: Any = None) -> Iterator[Any]:
        """Generate training and test indices of each fold.

        Parameters
        ----------
        X : array-like of length n_clips
        y : array-like of shape (n_clips,)
            Emotions.
        groups : DataFrame, or array-like of shape (n_clips,)
            The corpus's frame, with speaker and, to balance it, sex; or the speakers alone.

        Yields
        ------
        train, test : ndarray of int
        """
        speakers = split_labels(groups, "speaker", self)
        if y is None:
            raise ValueError(f"{type(self).__name__} balances emotions: pass them as y.")
        balanced = as_classes(y).astype(str)
        if hasattr(groups, "columns") and "sex" in groups.columns:
            sex = np.where(is_missing(groups["sex"]), "", np.asarray(groups["sex"]).astype(str))
            balanced = np.char.add(np.char.add(balanced, " "), sex)
        yield from super().split(X, balanced, speakers)
