"""Confidence intervals that resample speakers."""

from __future__ import annotations

import warnings
from numbers import Real

import numpy as np
import numpy.typing as npt

from sklearn_ser._utils import COUNT, Number, as_classes, as_speakers, check_lengths, check_number

__all__ = ["speaker_interval"]


def speaker_interval(
    y_true: npt.ArrayLike,
    y_pred: npt.ArrayLike,
    speakers: npt.ArrayLike,
    folds: npt.ArrayLike | None = None,
    *,
    confidence_level: float = 0.95,
    n_resamples: int = 2000,
    random_state: int | None = 0,
) -> tuple[float, float] | None:
    """Return a confidence interval of the UAR that resamples speakers.

    It is the interval of the mean over folds of the UAR; without folds, of the UAR whose recalls
    are pooled over all predictions, which is what to take where folds lack emotions.

    Clips of one speaker stand or fall together, so that it is speakers, not clips, that are
    drawn with replacement. A fold counts as often as its speakers are drawn; with one speaker a
    fold, this is the plain bootstrap of the folds' UARs. An emotion of a fold that no speaker drawn
    has keeps the recall that it has with all speakers. The interval covers the choice of test
    speakers, not that of training data.

    Parameters
    ----------
    y_true, y_pred, speakers : array-like of shape (n_predictions,)
        Emotions, those predicted, and speaker labels; none may be missing.
    folds : array-like of shape (n_predictions,), default=None
        The fold of each prediction. None pools all predictions, as if they were one fold.
    confidence_level : float, default=0.95
        Coverage wanted.
    n_resamples : int, default=2000
        Number of bootstrap resamples.
    random_state : int or None, default=0
        Seed of the resampling.

    Returns
    -------
    interval : (float, float) or None
        Bias-corrected and accelerated (BCa); percentiles where that is undefined. None with
        fewer than two speakers.

    References
    ----------
    B. Efron, R. Tibshirani, "An Introduction to the Bootstrap", 1993.

    Examples
    --------
    >>> from sklearn_ser.evaluation import speaker_interval
    >>> y_true = ["anger", "fear"] * 4
    >>> y_pred = ["anger", "fear"] * 2 + ["anger", "anger"] * 2
    >>> low, high = speaker_interval(y_true, y_pred, list("aabbccdd"), list("aabbccdd"))
    >>> low < 0.75 < high
    True
    """
    from scipy.stats import bootstrap

    check_number(confidence_level, "confidence_level", Number(Real, 0, 1, closed="neither"))
    check_number(n_resamples, "n_resamples", COUNT)
    y_true, y_pred = as_classes(y_true, "y_true"), as_classes(y_pred, "y_pred")
    check_lengths(y_true=y_true, y_pred=y_pred, speakers=speakers, folds=folds)
    emotions, truth = np.unique(y_true, return_inverse=True)
    right = y_true == y_pred
    names, speaker = np.unique(as_speakers(speakers, "speakers"), return_inverse=True)
    if len(names) < 2:
        return None
    folds = np.zeros(len(truth)) if folds is None else np.asarray(folds)
    n_folds, fold = len(np.unique(folds)), np.unique(folds, return_inverse=True)[1]
    # How many predictions, and how many right ones, by speaker, fold and emotion.
    shape = (len(names), n_folds, len(emotions))
    total, hits = np.zeros(shape), np.zeros(shape)
    np.add.at(total, (speaker, fold, truth), 1)
    np.add.at(hits, (speaker, fold, truth), right)
    present = total.sum(axis=2) > 0
    share = present / present.sum(axis=0)
    there = total.sum(axis=0) > 0
    of_all = np.divide(hits.sum(axis=0), total.sum(axis=0), where=there, out=np.zeros(there.shape))

    def statistic(drawn: npt.NDArray[np.float64], axis: int = -1) -> npt.NDArray[np.float64]:
        drawn = np.moveaxis(np.atleast_1d(drawn), axis, -1).astype(int)
        times = (drawn[..., np.newaxis] == np.arange(len(names))).sum(axis=-2)
        counts = np.tensordot(times, total, axes=1)
        recalls = np.divide(
            np.tensordot(times, hits, axes=1),
            counts,
            where=counts > 0,
            out=np.broadcast_to(of_all, counts.shape).copy(),
        )
        uars = recalls.sum(axis=-1) / there.sum(axis=-1)
        weights = times @ share
        return (uars * weights).sum(axis=-1) / weights.sum(axis=-1)

    for method in ("BCa", "percentile"):
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")  # a degenerate resample is met with percentiles
            interval = bootstrap(
                (np.arange(len(names)),),
                statistic,
                confidence_level=confidence_level,
                n_resamples=n_resamples,
                method=method,
                rng=np.random.default_rng(random_state),
            ).confidence_interval
        if np.isfinite(interval).all():
            break
    return float(interval.low), float(interval.high)
