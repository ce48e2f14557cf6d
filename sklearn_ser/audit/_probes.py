"""Linear probes and silhouettes: what a matrix of embeddings says of emotions and of speakers.

For :func:`~sklearn_ser.audit.diagnose` and for the embedding map of ``sklearn_ser.plotting``.
"""

from __future__ import annotations

import warnings
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from sklearn_ser._utils import Folds, default_settings, speaker_folds

__all__ = ["Probe", "probe_labels", "probe_values", "silhouettes", "standardized"]

N_FOLDS = 5
MAX_CLIPS = 2000  # in silhouettes, which take the distances of all pairs

Array = npt.NDArray[Any]


class Probe(NamedTuple):
    """How well a linear model reads something from embeddings of clips that it was not fitted on.

    Parameters
    ----------
    score : float
        UAR of labels; of numbers, the share of their variance that is predicted (R²).
    chance : float
        1 / number of labels; of numbers 0.
    interval : (float, float) or None
        Of the UAR, at 95 %, for new speakers; None where there is none.
    n_clips : int
        Number of clips that were predicted.
    """

    score: float
    chance: float
    interval: tuple[float, float] | None
    n_clips: int


def standardized(X: Array) -> npt.NDArray[np.float32]:
    """Return columns of mean 0 and standard deviation 1, without those that are constant."""
    mean, scale = X.mean(axis=0, dtype=np.float64), X.std(axis=0, dtype=np.float64)
    varies = scale > 1e-6 * np.abs(X).max(axis=0, initial=0)
    return ((X[:, varies] - mean[varies]) / scale[varies]).astype(np.float32)


def silhouettes(X: Array, *labels: Array, random_state: Any = 0) -> list[float]:
    """Return the mean silhouette of each clustering of standardised embeddings.

    Parameters
    ----------
    X : ndarray of shape (n_clips, n_features)
    *labels : ndarray of shape (n_clips,)
    random_state : int, RandomState or None
        Draws 2,000 clips if there are more.

    Returns
    -------
    silhouettes : list of float
        NaN where all labels are one, or none is that of two clips.
    """
    from sklearn.metrics import euclidean_distances, silhouette_score
    from sklearn.utils import check_random_state

    rows = np.arange(len(X))
    if len(rows) > MAX_CLIPS:
        rows = check_random_state(random_state).choice(rows, MAX_CLIPS, replace=False)
    distances = euclidean_distances(standardized(X)[rows])
    np.fill_diagonal(distances, 0)
    found = []
    for given in labels:
        taken = given[rows]
        possible = 1 < len(np.unique(taken)) < len(taken)
        found.append(
            float(silhouette_score(distances, taken, metric="precomputed"))
            if possible
            else float("nan")
        )
    return found


def probe_labels(
    X: Array, labels: Array, speakers: Array | None = None, random_state: Any = 0
) -> Probe | None:
    """Predict labels by ridge classification, of speakers that it was not fitted on.

    Columns are standardised within each training set, labels weigh the same, and the penalty is
    the number of columns.

    Parameters
    ----------
    X : ndarray of shape (n_clips, n_features)
    labels : ndarray of shape (n_clips,)
        Of which those of one clip only are left out.
    speakers : ndarray of shape (n_clips,) or None
        None is stratified folds of clips, as for labels that are the speakers'.
    random_state : int, RandomState or None

    Returns
    -------
    probe : Probe or None
        None if it cannot be fitted: fewer than two labels, or one speaker. With fewer than four
        speakers, or none, the interval is that of new clips.
    """
    from sklearn.linear_model import RidgeClassifier

    from sklearn_ser.evaluation import speaker_interval, uar_score  # which imports this room

    _, codes, counts = np.unique(labels, return_inverse=True, return_counts=True)
    kept = np.flatnonzero(counts[codes] > 1)
    if len(np.unique(codes[kept])) < 2:
        return None
    X, codes = X[kept], codes[kept]
    speakers = None if speakers is None else speakers[kept]
    model = RidgeClassifier(alpha=X.shape[1], class_weight="balanced")
    predicted = _predict(model, X, codes, _folds(codes, speakers, random_state))
    if predicted is None:
        return None
    units = np.arange(len(codes)) if speakers is None else speakers
    if speakers is not None and len(np.unique(speakers)) < 4:
        units = np.arange(len(codes))
    interval = speaker_interval(codes, predicted, units)
    n_labels = len(np.unique(codes))
    return Probe(uar_score(codes, predicted), 1 / n_labels, interval, len(codes))


def probe_values(
    X: Array, values: Array, speakers: Array | None = None, random_state: Any = 0
) -> Probe | None:
    """Predict numbers, such as durations, by ridge regression; see `probe_labels`."""
    from sklearn.linear_model import Ridge

    values = np.asarray(values, dtype=np.float64)  # as predictions, which are stored alike
    if np.ptp(values) == 0:
        return None
    model = Ridge(alpha=X.shape[1])
    codes = np.zeros(len(values), dtype=int)
    predicted = _predict(model, X, values, _folds(codes, speakers, random_state))
    if predicted is None:
        return None
    score = 1 - np.mean((values - predicted) ** 2) / np.var(values)
    return Probe(float(score), 0.0, None, len(values))


def _folds(codes: Array, speakers: Array | None, random_state: Any) -> Folds:
    from sklearn.model_selection import StratifiedKFold

    if speakers is not None:
        return speaker_folds(speakers, N_FOLDS, y=codes, random_state=random_state)
    n_folds = min(N_FOLDS, int(np.bincount(codes).max()))
    splitter = StratifiedKFold(n_folds, shuffle=True, random_state=random_state)
    with warnings.catch_warnings():  # of labels with fewer clips than folds
        warnings.filterwarnings("ignore", "The least populated class", UserWarning)
        return list(splitter.split(codes, codes))


def _predict(model: Any, X: Array, y: Array, folds: Folds) -> Array | None:
    """Return a prediction of each clip; None without folds, or if a training set has one label."""
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    if not folds or any(len(np.unique(y[train])) < 2 for train, _ in folds):
        return None
    predicted = np.empty_like(y)
    with default_settings():
        for train, test in folds:
            fitted = make_pipeline(StandardScaler(), model).fit(X[train], y[train])
            predicted[test] = fitted.predict(X[test])
    return predicted
