"""OutOfDomainDetector: out-of-distribution scores, calibrated on held-out speakers.

Used by `EmotionRecognizer`.
"""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
from sklearn.base import BaseEstimator, clone
from sklearn.covariance import LedoitWolf
from sklearn.preprocessing import StandardScaler
from sklearn.utils.validation import check_is_fitted

from sklearn_ser._utils import (
    as_classes,
    as_speakers,
    check_lengths,
    default_settings,
    fit_context,
    held_out_folds,
)
from sklearn_ser.embedders import MFCCEmbedder, SSLEmbedder

__all__ = ["OutOfDomainDetector", "check_targets"]

Array = npt.NDArray[np.float64]


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


class ClassDistance(BaseEstimator):
    """Mahalanobis distance to the nearest emotion, with one covariance for all of them [1]_.

    The covariance, of many features and few clips, is shrunk as Ledoit and Wolf show.

    References
    ----------
    .. [1] K. Lee et al., "A simple unified framework for detecting out-of-distribution samples
       and adversarial attacks", NeurIPS 2018.
    """

    def fit(self, X: Any, y: Any) -> ClassDistance:
        """Learn the mean of each emotion, and the covariance within emotions."""
        self.scaler_ = StandardScaler().set_output(transform="default").fit(X)
        scaled, y = self.scaler_.transform(X), np.asarray(y)
        emotions, codes = np.unique(y, return_inverse=True)
        self.means_ = np.array([scaled[codes == k].mean(axis=0) for k in range(len(emotions))])
        self.precision_ = LedoitWolf().fit(scaled - self.means_[codes]).precision_
        return self

    def distances(self, X: Any) -> Array:
        """Return the distance of each row, of shape (n_clips,)."""
        scaled = self.scaler_.transform(X)
        squares = [
            np.einsum("ij,jk,ik->i", scaled - mean, self.precision_, scaled - mean, optimize=True)
            for mean in self.means_
        ]
        return np.sqrt(np.min(squares, axis=0))


class OutOfDomainDetector(BaseEstimator):
    """Score how much speech differs from the speech of training: out-of-distribution scores.

    A clip is compared with the training clips in several feature views: its MFCCs, which depend on
    the room, the line and the microphone, and a speech model, which depends on how it is spoken.
    Its score is the larger of the distances. Which scores are usual is learned from training
    speakers who were held out, each compared with the others.

    Parameters
    ----------
    views : list of embedders, default=None
        The feature views. None: the MFCCs' mean and deviation, and the middle layer of "nano".

    Attributes
    ----------
    views_ : list of embedders
    distances_ : list of estimators
        One a view, fitted on all clips.
    medians_, spreads_ : ndarray of shape (n_views,)
        Median distance of held-out speakers' clips in each view, and from there to their 95 %
        quantile: the unit of the scores.
    held_out_ : ndarray of shape (n_clips,)
        Out-of-distribution scores of held-out speakers' clips, sorted.

    See Also
    --------
    EmotionRecognizer : Has one, and abstains by it.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_ser.datasets import make_emotional_speech
    >>> from sklearn_ser.recognition import OutOfDomainDetector
    >>> corpus = make_emotional_speech(n_speakers=6, n_sentences=3, random_state=0)
    >>> detector = OutOfDomainDetector().fit(corpus.X, corpus.y, corpus.groups)
    >>> noise = np.random.default_rng(0).normal(size=16000).clip(-3, 3) / 4
    >>> detector.quantiles([(noise, 16000)])
    array([1.])
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "views": [list, None],
    }

    __metadata_request__fit = {"groups": True}

    def __init__(self, views: list[Any] | None = None) -> None:
        self.views = views

    @fit_context(prefer_skip_nested_validation=False)
    def fit(self, X: Any, y: Any, groups: Any = None) -> OutOfDomainDetector:
        """Learn the distribution of the training clips, and the scores of held-out speakers.

        Parameters
        ----------
        X : sequence of n_clips clips
        y : array-like of shape (n_clips,)
            Emotions.
        groups : array-like of shape (n_clips,)
            Speaker labels.

        Returns
        -------
        self : object

        Raises
        ------
        ValueError
            If emotions or speakers are missing, an emotion is spoken by one speaker only, or
            held-out clips do not differ in a view.
        """
        y, groups = check_targets(X, y, groups)
        views = [MFCCEmbedder(), SSLEmbedder("nano")] if self.views is None else self.views
        self.views_ = [clone(view) for view in views]
        folds = held_out_folds(y, groups)
        with default_settings():
            values = [np.asarray(view.fit_transform(X), dtype=np.float64) for view in self.views_]
        held_out = np.empty((len(y), len(values)))
        for column, of_view in enumerate(values):
            for train, test in folds:
                fitted = ClassDistance().fit(of_view[train], y[train])
                held_out[test, column] = fitted.distances(of_view[test])
        self.distances_ = [ClassDistance().fit(of_view, y) for of_view in values]
        self.medians_ = np.median(held_out, axis=0)
        self.spreads_ = np.quantile(held_out, 0.95, axis=0) - self.medians_
        flat = self.spreads_ <= 1e-9 * self.medians_  # but for rounding
        if flat.any():
            names = [type(self.views_[column]).__name__ for column in np.flatnonzero(flat)]
            raise ValueError(
                "half of the held-out clips, or nearly, are at one distance from the others in the "
                f"feature view {', '.join(names)}, so that there is no unit of distance. Leave out "
                "copies of clips, or the view, if its features are constant."
            )
        self.held_out_ = np.sort(self._score(held_out))
        return self

    def _score(self, distances: Array) -> Array:
        """Return the score of each clip, of its distances in the views: (n_clips, n_views)."""
        return ((distances - self.medians_) / self.spreads_).max(axis=1)

    def quantiles(self, X: Any) -> Array:
        """Return the quantile of the held-out scores that each clip's score is at.

        Parameters
        ----------
        X : sequence of n_clips clips

        Returns
        -------
        quantiles : ndarray of shape (n_clips,)
            From 0 to 1, the share of held-out speakers' clips with a lower score; NaN for a clip
            that a view cannot embed, if its ``on_error`` is "nan".
        """
        check_is_fitted(self)
        distances = np.full((len(X), len(self.views_)), np.nan)
        for column, (view, fitted) in enumerate(zip(self.views_, self.distances_, strict=True)):
            with default_settings():
                values = np.asarray(view.transform(X), dtype=np.float64)
            usable = np.isfinite(values).all(axis=1)
            if usable.any():
                distances[usable, column] = fitted.distances(values[usable])
        scores = self._score(distances)
        quantiles = np.searchsorted(self.held_out_, scores) / len(self.held_out_)
        return np.where(np.isnan(scores), np.nan, quantiles)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = False  # of what rate its waveforms are is not known
        tags.target_tags.required = True
        return tags
