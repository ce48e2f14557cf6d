"""Scores of predicted ratings (arousal, valence, dominance), with intervals for new speakers."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from sklearn_ser._utils import as_speakers, check_lengths
from sklearn_ser.evaluation._jackknife import MIN_SPEAKERS, ROUNDING, Estimate

__all__ = [
    "SpeakerMoments",
    "ccc_score",
    "concordance_interval",
    "moments_score",
    "pearson",
    "pooled_cccs",
    "root_mean_square",
]

SUMS = ("n", "true", "predicted", "true2", "predicted2", "product")

Array = npt.NDArray[np.float64]


def ccc_score(y_true: npt.ArrayLike, y_pred: npt.ArrayLike) -> float:
    r"""Return Lin's concordance correlation coefficient (CCC) of ratings and predictions.

    .. math::

        \frac{2 \operatorname{cov}(y, \hat y)}
             {\operatorname{var} y + \operatorname{var} \hat y + (\bar y - \bar{\hat y})^2}

    with variances and covariance divided by the number of clips, as in challenges on emotion
    (AVEC, MSP-Podcast) and in Lin's definition [1]_.

    Parameters
    ----------
    y_true, y_pred : array-like of shape (n_clips,)
        Ratings, and those predicted.

    Returns
    -------
    ccc : float
        From -1 to 1; 0 if one of them is constant, but 1 if both are the same constant.

    Raises
    ------
    ValueError
        If they are not numbers, not finite, of different lengths or empty.

    See Also
    --------
    concordance_interval : Its interval for new speakers.
    uar_score : The score of emotions.

    References
    ----------
    .. [1] L. Lin, "A concordance correlation coefficient to evaluate reproducibility",
       Biometrics 45, 1989.

    Examples
    --------
    >>> from sklearn_ser.evaluation import ccc_score
    >>> ccc_score([1.0, 2.0, 3.0], [1.0, 2.0, 3.0])
    1.0
    >>> ccc_score([1.0, 2.0, 3.0], [2.0, 3.0, 4.0])
    0.571...
    """
    moments = _moments(_ratings(y_true, "y_true"), _ratings(y_pred, "y_pred"))
    return float(_ccc(moments))


def pearson(y_true: Array, y_pred: Array) -> float:
    """Return Pearson's correlation of ratings that are checked; 0 if one of them is constant."""
    deviations = y_true - y_true.mean(), y_pred - y_pred.mean()
    norm = float(np.linalg.norm(deviations[0]) * np.linalg.norm(deviations[1]))
    return float(deviations[0] @ deviations[1]) / norm if norm else 0.0


def root_mean_square(y_true: Array, y_pred: Array) -> float:
    """Return the root mean square error of ratings that are checked."""
    return float(np.sqrt(np.mean((y_true - y_pred) ** 2)))


def concordance_interval(
    y_true: npt.ArrayLike,
    y_pred: npt.ArrayLike,
    speakers: npt.ArrayLike,
    *,
    confidence_level: float = 0.95,
) -> tuple[float, float] | None:
    r"""Return a confidence interval of the CCC for the population that the speakers are from.

    As :func:`speaker_interval`, by leaving each speaker out, on Fisher's
    :math:`z = \operatorname{artanh} \mathrm{CCC}` [1]_, whose standard error is that of the CCC by
    :math:`1 - \mathrm{CCC}^2`, with Student's t.

    Parameters
    ----------
    y_true, y_pred, speakers : array-like of shape (n_predictions,)
        Ratings, those predicted, and speaker labels.
    confidence_level : float, default=0.95
        Coverage wanted.

    Returns
    -------
    interval : (float, float) or None
        None with fewer than four speakers, of whom it would say nothing.

    See Also
    --------
    ccc_score : The coefficient.
    speaker_interval : The interval of the UAR.

    References
    ----------
    .. [1] L. Lin, "A concordance correlation coefficient to evaluate reproducibility",
       Biometrics 45, 1989.

    Examples
    --------
    >>> from sklearn_ser.evaluation import concordance_interval
    >>> y_true = [1.0, 2.0, 3.0, 4.0] * 4
    >>> y_pred = [1.0, 2.5, 3.0, 4.0, 1.0, 2.0, 3.5, 4.0, 1.0, 2.0, 3.0, 3.0, 2.0, 2.0, 3.0, 4.0]
    >>> low, high = concordance_interval(y_true, y_pred, list("aaaabbbbccccdddd"))
    >>> low < 0.9 < high
    True
    """
    moments = SpeakerMoments(speakers, y_true, y_pred)
    if moments.n_speakers < MIN_SPEAKERS:
        return None
    value = moments.ccc
    if abs(value) > 1 - ROUNDING:
        return value, value
    # Values without a speaker may be 1, whose z is infinite.
    margin = moments.estimate().margin(confidence_level) / (1 - value**2)
    low, high = np.tanh(np.arctanh(value) + np.array([-margin, margin])).tolist()
    return low, high


class SpeakerMoments:
    """Sums of ratings and predictions by speaker, of which a CCC without one of them is made.

    Parameters
    ----------
    speakers, y_true, y_pred : array-like of shape (n_predictions,)
    """

    def __init__(self, speakers: Any, y_true: Any, y_pred: Any) -> None:
        y_true, y_pred = _ratings(y_true, "y_true"), _ratings(y_pred, "y_pred")
        check_lengths(y_true=y_true, y_pred=y_pred, speakers=speakers)
        names, codes = np.unique(as_speakers(speakers, "speakers"), return_inverse=True)
        self.n_speakers = len(names)
        # Around their means, so that sums of squares keep their digits.
        y_true, y_pred = y_true - y_true.mean(), y_pred - y_true.mean()
        sums = (np.ones(len(codes)), y_true, y_pred, y_true**2, y_pred**2, y_true * y_pred)
        self.sums: Array = np.array([np.bincount(codes, weights=each) for each in sums])

    @property
    def ccc(self) -> float:
        """Of all predictions."""
        return float(_ccc(self.sums.sum(axis=1)))

    @property
    def without(self) -> Array:
        """The CCC with each speaker left out in turn, of shape (n_speakers,)."""
        return _ccc(self.sums.sum(axis=1, keepdims=True) - self.sums)

    def estimate(self) -> Estimate:
        """Return the CCC with its jackknife standard error."""
        return jackknife(self.ccc, self.without, self.sums[0])

    @staticmethod
    def difference(first: SpeakerMoments, second: SpeakerMoments) -> Estimate:
        """Return how much the CCC of the first is above that of the second, of the same clips."""
        value = first.ccc - second.ccc
        if first.n_speakers < MIN_SPEAKERS:
            return Estimate(value, np.nan, np.nan)
        return jackknife(value, first.without - second.without, first.sums[0])


def moments_score(center: float, estimator: Any, X: Any, y: Any) -> dict[str, float]:
    """Return the sums of which a CCC is made, of ratings around `center`, as scores of a search."""
    y_true, y_pred = y - center, np.asarray(estimator.predict(X)).ravel() - center
    return dict(zip(SUMS, map(float, _sums(y_true, y_pred)), strict=True))


def pooled_cccs(results: dict[str, Any]) -> Array:
    """Return the CCC over all folds of each candidate of a search; means have the ratio of sums."""
    return np.asarray(_ccc(np.array([results[f"mean_test_{name}"] for name in SUMS])))


def jackknife(value: float, without: Array, n_clips: Array) -> Estimate:
    """Return an estimate with its standard error, of values with each speaker left out."""
    n, weights = len(without), n_clips / n_clips.sum()
    error = float(np.sqrt((n - 1) / n * np.sum((without - without.mean()) ** 2)))
    freedom = max(float(1 / np.sum(weights**2)) - 1, 1.0)
    return Estimate(value, error if error > ROUNDING else 0.0, freedom)


def _moments(y_true: Array, y_pred: Array) -> Array:
    check_lengths(y_true=y_true, y_pred=y_pred)
    return _sums(y_true - y_true.mean(), y_pred - y_true.mean())


def _sums(y_true: Array, y_pred: Array) -> Array:
    sums = (np.ones(len(y_true)), y_true, y_pred, y_true**2, y_pred**2, y_true * y_pred)
    return np.array([each.sum() for each in sums])


def _ccc(sums: Array) -> Any:
    """Return the CCC of sums over clips: 1, y, p, y², p², y p, along the first axis."""
    n, *means = sums
    true, predicted, true2, predicted2, product = (each / n for each in means)
    covariance = product - true * predicted
    spread = (true2 - true**2) + (predicted2 - predicted**2) + (true - predicted) ** 2
    alike = spread <= ROUNDING * np.maximum(true2 + predicted2, 1)
    return np.where(alike, 1.0, 2 * covariance / np.where(alike, 1.0, spread))


def _ratings(values: Any, name: str) -> Array:
    """Return ratings as numbers, one a clip."""
    try:
        ratings = np.asarray(values, dtype=float)
    except (TypeError, ValueError):
        raise ValueError(f"{name} holds ratings that are no numbers: {values!r:.80}") from None
    if ratings.ndim != 1 or not len(ratings):
        raise ValueError(f"{name} has the shape {ratings.shape}; one rating a clip is needed.")
    if n_missing := int((~np.isfinite(ratings)).sum()):
        raise ValueError(f"{n_missing} of {len(ratings)} ratings in {name} are not finite.")
    return ratings
