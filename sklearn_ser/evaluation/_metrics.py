"""Unweighted average recall, of one fold and over folds."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.utils import check_consistent_length

from sklearn_ser._utils import as_classes, check_lengths

__all__ = ["as_labels_and_predictions", "fold_average", "macro_f1", "mean_recall", "uar_score"]


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

    Raises
    ------
    ValueError
        If labels are missing, or there are none, or those of one are text and of the other numbers.

    See Also
    --------
    speaker_interval : Its interval for new speakers.
    fold_average : Its mean over folds.

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
    y_true, y_pred = as_labels_and_predictions(y_true, y_pred)
    if not len(y_true):
        raise ValueError("y_true is empty, and the recall of no emotion is undefined.")
    return mean_recall(y_true, y_pred)


def as_labels_and_predictions(
    y_true: Any, y_pred: Any, **others: Any
) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
    """Return emotions and those predicted, as many as `others`, and both text or both numbers.

    Raises
    ------
    ValueError
        If they are not: text is never equal to a number, so that all would be wrong.
    """
    y_true, y_pred = as_classes(y_true, "y_true"), as_classes(y_pred, "y_pred")
    check_lengths(y_true=y_true, y_pred=y_pred, **others)
    is_text = [isinstance(each, (str, bytes)) for labels in (y_true, y_pred) for each in labels[:1]]
    if len(set(is_text)) > 1:
        raise ValueError(
            f"y_true and y_pred are not of one kind: y_true has labels such as "
            f"{y_true[:1].tolist()[0]!r}, y_pred {y_pred[:1].tolist()[0]!r}, and text is never "
            "equal to a number. Give both the same labels."
        )
    return y_true, y_pred


def mean_recall(y_true: npt.NDArray[Any], y_pred: npt.NDArray[Any]) -> float:
    """Return the UAR of labels that are checked: scikit-learn checks for longer than it counts."""
    codes = np.unique(y_true, return_inverse=True)[1]
    hits = np.bincount(codes, weights=y_true == y_pred)
    return float(np.mean(hits / np.bincount(codes)))


def macro_f1(y_true: npt.NDArray[Any], y_pred: npt.NDArray[Any]) -> float:
    """Return the mean of the F1 scores of the emotions that occur in `y_true`, checked as above."""
    emotions, codes = np.unique(y_true, return_inverse=True)
    hits, n_true = np.bincount(codes, weights=y_true == y_pred), np.bincount(codes)
    n_predicted = np.array([np.sum(y_pred == emotion) for emotion in emotions])
    return float(np.mean(2 * hits / (n_true + n_predicted)))


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

    See Also
    --------
    uar_score : A score of one fold.

    Examples
    --------
    >>> from sklearn_ser.evaluation import fold_average, uar_score
    >>> emotions, predicted = ["sad", "fear", "sad", "fear"], ["sad", "fear", "sad", "sad"]
    >>> fold_average(uar_score, emotions, predicted, folds=[0, 0, 1, 1])
    (0.75, [1.0, 0.5])
    """
    check_consistent_length(y_true, y_pred, folds)
    y_true, y_pred, folds = np.asarray(y_true), np.asarray(y_pred), np.asarray(folds)
    scores = [score(y_true[folds == k], y_pred[folds == k]) for k in np.unique(folds)]
    return float(np.mean(scores)), scores
