"""What differs between emotions and ratings (arousal, valence, dominance) as what is predicted.

Everything else, from features and folds to tables, is the same for both.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from sklearn_ser._utils import are_ratings
from sklearn_ser.evaluation._concordance import (
    SpeakerMoments,
    ccc_score,
    concordance_interval,
    pearson,
    root_mean_square,
)
from sklearn_ser.evaluation._intervals import speaker_interval
from sklearn_ser.evaluation._jackknife import Counts, SpeakerRecalls
from sklearn_ser.evaluation._metrics import fold_average, macro_f1, mean_recall
from sklearn_ser.evaluation._nested import Nested, RatingNested
from sklearn_ser.evaluation._rows import MEAN, POOLED, RatingRow, Row

__all__ = ["EMOTIONS", "RATINGS", "UNKNOWN", "Target", "scores", "target_of", "units_of"]

UNKNOWN = ""  # the speaker of a prediction, where speakers are not known


class Target(NamedTuple):
    """What is predicted, and how predictions of it are scored."""

    row: type[Row] | type[RatingRow]
    nested: type[Nested] | type[RatingNested]
    #: Fields of a row, of its predictions: a line each with fold, speaker, emotion, predicted.
    scores: Callable[[pd.DataFrame], dict[str, Any]]
    #: The score of some predictions together, and its interval: of (emotion, predicted, speaker).
    score: Callable[[Any, Any], float]
    interval: Callable[[Any, Any, Any], tuple[float, float] | None]
    #: The score over inner folds, of (emotions, predicted) of each, and of all training emotions.
    inner_score: Callable[[Sequence[tuple[Any, Any]], Any], float]
    #: What `compare_rows` takes as counts and hits, of the predictions of each row.
    paired: Callable[[Sequence[pd.DataFrame], Sequence[bool]], tuple[Any, list[Any]]]


def target_of(emotions: Any) -> Target:
    """Return what emotions are: ratings, if they are floats."""
    return RATINGS if are_ratings(emotions) else EMOTIONS


def units_of(predictions: pd.DataFrame) -> pd.Series:
    """Return what intervals and tests leave out one by one: speakers, or folds if none is known.

    Folds of repeated or random splits test clips again. Predictions of a clip are of the first of
    its folds, so that no two units have a clip in common: repeating adds no clips.
    """
    if (predictions["speaker"] != UNKNOWN).any():
        return predictions["speaker"]
    return predictions.groupby("clip")["fold"].transform("min")


def scores(predictions: pd.DataFrame) -> dict[str, Any]:
    """Return the scores of one row's predictions, with the interval of the first of them."""
    return {
        **target_of(predictions["emotion"]).scores(predictions),
        "seconds_fit": round(float(predictions.groupby("fold")["seconds"].first().sum()), 3),
    }


def _recall_scores(predictions: pd.DataFrame) -> dict[str, Any]:
    """Return the scores of predicted emotions.

    UAR, accuracy and macro F1 are means over folds. Where a fold lacks an emotion that others
    test, a mean over folds would weigh emotions by who happens to speak them, so that all three
    are computed of all predictions together: each emotion has one recall, pooled over folds.
    """
    y_true, y_pred, folds = (predictions[k].to_numpy() for k in ("emotion", "predicted", "fold"))
    n_emotions = predictions.groupby("fold")["emotion"].nunique()
    averaging = MEAN if (n_emotions == len(np.unique(y_true))).all() else POOLED
    averaged = folds if averaging == MEAN else np.zeros(len(folds))
    interval = speaker_interval(y_true, y_pred, units_of(predictions).to_numpy(), averaged)
    return {
        "uar": fold_average(mean_recall, y_true, y_pred, averaged)[0],
        "uar_ci": None if interval is None else list(interval),
        "averaging": averaging,
        "accuracy": fold_average(_accuracy, y_true, y_pred, averaged)[0],
        "macro_f1": fold_average(macro_f1, y_true, y_pred, averaged)[0],
        "fold_uar": fold_average(mean_recall, y_true, y_pred, folds)[1],
    }


def _accuracy(y_true: Any, y_pred: Any) -> float:
    return float(np.mean(y_true == y_pred))


def _inner_recall(told: Sequence[tuple[Any, Any]], y: Any) -> float:
    """Return the mean UAR of inner folds; where they lack emotions, that of pooled recalls."""
    if all(len(np.unique(its)) == len(np.unique(y)) for its, _ in told):
        return float(np.mean([mean_recall(*each) for each in told]))
    return mean_recall(*_concatenated(told))


def _paired_recalls(
    of_row: Sequence[pd.DataFrame], pooled: Sequence[bool]
) -> tuple[Any, list[Any]]:
    recalls = [
        SpeakerRecalls(
            Counts(its["emotion"], units_of(its), None if is_pooled else its["fold"]),
            its["emotion"].to_numpy() == its["predicted"],
        )
        for its, is_pooled in zip(of_row, pooled, strict=True)
    ]
    return recalls[0], recalls


def _concordance_scores(predictions: pd.DataFrame) -> dict[str, Any]:
    """Return the scores of predicted ratings, of all folds' predictions together.

    A mean of the folds' CCCs would hang on how much the ratings of each fold vary: it is 0 in one
    whose ratings are all the same, whatever is predicted.
    """
    y_true, y_pred, folds = (predictions[k].to_numpy() for k in ("emotion", "predicted", "fold"))
    interval = concordance_interval(y_true, y_pred, units_of(predictions))
    return {
        "ccc": ccc_score(y_true, y_pred),
        "ccc_ci": None if interval is None else list(interval),
        "averaging": POOLED,
        "pearson": pearson(y_true, y_pred),
        "rmse": root_mean_square(y_true, y_pred),
        "fold_ccc": fold_average(ccc_score, y_true, y_pred, folds)[1],
    }


def _inner_concordance(told: Sequence[tuple[Any, Any]], _: Any) -> float:
    return ccc_score(*_concatenated(told))


def _paired_moments(of_row: Sequence[pd.DataFrame], _: Any) -> tuple[Any, list[Any]]:
    moments = [SpeakerMoments(units_of(its), its["emotion"], its["predicted"]) for its in of_row]
    return moments[0], moments


def _concatenated(told: Sequence[tuple[Any, Any]]) -> tuple[Any, Any]:
    y_true, y_pred = (np.concatenate(each) for each in zip(*told, strict=True))
    return y_true, y_pred


EMOTIONS = Target(
    row=Row,
    nested=Nested,
    scores=_recall_scores,
    score=mean_recall,
    interval=speaker_interval,
    inner_score=_inner_recall,
    paired=_paired_recalls,
)
RATINGS = Target(
    row=RatingRow,
    nested=RatingNested,
    scores=_concordance_scores,
    score=ccc_score,
    interval=concordance_interval,
    inner_score=_inner_concordance,
    paired=_paired_moments,
)
