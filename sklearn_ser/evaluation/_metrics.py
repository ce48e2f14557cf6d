"""Unweighted average recall, of one fold and over folds."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.metrics import recall_score
from sklearn.utils import check_consistent_length

from sklearn_ser._utils import as_classes, check_lengths

__all__ = ["fold_average", "uar_score"]


def uar_score(y_true: npt.ArrayLike, y_pred: npt.ArrayLike) -> float:
    """Return the unweighted average recall (UAR) over the emotions that occur in `y_true`.

    It is scikit-learn's balanced accuracy, without its warning where a fold lacks an emotion.

    Parameters
    ----------
    y_true, y_pred : array-like of shape (n_clips,)
        Emotions, and those predicted; none may be missing.

    Returns
    -------
    uar : float
        Between 0 and 1; chance is 1 / number of emotions.

    References
    ----------
    B. Schuller, S. Steidl, A. Batliner, "The INTERSPEECH 2009 Emotion Challenge",
    Interspeech 2009.

    Examples
    --------
    >>> from sklearn_ser.evaluation import uar_score
    >>> uar_score(["anger", "anger", "anger", "fear"], ["anger", "anger", "fear", "anger"])
    0.333...
    """
    y_true, y_pred = as_classes(y_true, "y_true"), as_classes(y_pred, "y_pred")
    check_lengths(y_true=y_true, y_pred=y_pred)
    emotions = np.unique(y_true)
    return float(recall_score(y_true, y_pred, labels=emotions, average="macro", zero_division=0.0))


def fold_average(
    score: Callable[[Any, Any], float],
    y_true: npt.ArrayLike,
    y_pred: npt.ArrayLike,
    folds: npt.ArrayLike,
) -> tuple[float, list[float]]:
    """Return the mean of a score over folds, and the score of each.

    Parameters
    ----------
    score : callable
        Maps (y_true, y_pred) to a number.
    y_true, y_pred, folds : array-like of shape (n_predictions,)
        Emotions, those predicted, and the fold of each prediction.

    Returns
    -------
    average : float
    scores : list of float
        In the order of the sorted folds.
    """
    check_consistent_length(y_true, y_pred, folds)
    y_true, y_pred, folds = np.asarray(y_true), np.asarray(y_pred), np.asarray(folds)
    scores = [score(y_true[folds == k], y_pred[folds == k]) for k in np.unique(folds)]
    return float(np.mean(scores)), scores
