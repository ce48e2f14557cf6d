"""UARs with each speaker left out in turn, which intervals and tests are computed from."""

from __future__ import annotations

from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from scipy import stats

from sklearn_ser._utils import as_speakers

__all__ = ["MIN_SPEAKERS", "Counts", "Estimate", "SpeakerRecalls"]

# With fewer speakers nothing is known of how speakers vary: no interval, and no test.
MIN_SPEAKERS = 4
ROUNDING = 1e-12  # a standard error below it is that of speakers who are all alike

Array = npt.NDArray[np.float64]


class Estimate(NamedTuple):
    """A score, or a difference of two, and how it varies with the speakers."""

    value: float
    standard_error: float
    freedom: float

    def margin(self, confidence_level: float) -> float:
        """Return half the width of the symmetric interval."""
        return float(stats.t.ppf(0.5 + confidence_level / 2, self.freedom) * self.standard_error)


class Counts:
    """How many predictions there are, by speaker, fold and emotion.

    Parameters
    ----------
    emotions, speakers, folds : array-like of shape (n_predictions,)
        Without folds, all predictions are of one.
    """

    def __init__(self, emotions: Any, speakers: Any, folds: Any = None) -> None:
        folds = np.zeros(len(emotions)) if folds is None else np.asarray(folds)
        names, speaker = np.unique(as_speakers(speakers, "speakers"), return_inverse=True)
        self.n_speakers = len(names)
        _, fold = np.unique(folds, return_inverse=True)
        _, emotion = np.unique(emotions, return_inverse=True)
        self.place = (speaker, fold, emotion)
        shape = tuple(max(codes, default=-1) + 1 for codes in self.place)
        self.total: Array = np.zeros(shape)
        np.add.at(self.total, self.place, 1)

    def hits(self, right: Any) -> Array:
        """Return how many predictions are right, shaped as `total`."""
        hits = np.zeros_like(self.total)
        np.add.at(hits, self.place, right)
        return hits

    @cached_property
    def clip_weights(self) -> Array:
        """What one clip of a fold and emotion adds to the UAR, of shape (1, folds, emotions)."""
        return _weights(self.total.sum(axis=0)[np.newaxis], np.ones((1, self.total.shape[1])))

    @cached_property
    def without(self) -> Array:
        """The same with each speaker left out, of shape (speakers, folds, emotions).

        A fold counts by the share of its speakers who are left. What only the speaker who is left
        out has, an emotion of a fold or a fold, is left out too.
        """
        present = self.total.sum(axis=2) > 0
        shares = 1 - present / present.sum(axis=0)
        return _weights(self.total.sum(axis=0) - self.total, shares)

    @cached_property
    def freedom(self) -> float:
        """Effective number of speakers, by Kish, less one: one less than those who weigh alike."""
        weights = (self.total * self.clip_weights).sum(axis=(1, 2))
        return max(float(1 / np.sum(weights**2)) - 1, 1.0)

    def difference(self, first: Array, second: Array) -> Estimate:
        """Return how much the UAR of the first hits is above that of the second."""
        hits = first - second
        if self.n_speakers < MIN_SPEAKERS:
            return Estimate(float((hits * self.clip_weights).sum()), np.nan, np.nan)
        return self.estimate(hits)

    def estimate(self, hits: Array) -> Estimate:
        """Return the UAR and its jackknife standard error; of differences of hits, theirs."""
        value = float((hits * self.clip_weights).sum())
        left = ((hits.sum(axis=0) - hits) * self.without).sum(axis=(1, 2))
        n = self.n_speakers
        error = float(np.sqrt((n - 1) / n * np.sum((left - left.mean()) ** 2)))
        return Estimate(value, error if error > ROUNDING else 0.0, self.freedom)


class SpeakerRecalls:
    """The UAR of one row, and that without each speaker in turn.

    Parameters
    ----------
    counts : Counts
        Of the row's predictions.
    right : ndarray of bool of shape (n_predictions,)
        Which of them are.
    """

    def __init__(self, counts: Counts, right: Any) -> None:
        self.n_speakers = counts.n_speakers
        self.freedom = counts.freedom
        hits = counts.hits(right)
        self.uar = float((hits * counts.clip_weights).sum())
        self.without = np.full(self.n_speakers, np.nan)
        if self.n_speakers >= MIN_SPEAKERS:
            left = hits.sum(axis=0) - hits
            self.without = (left * counts.without).sum(axis=(1, 2))

    @staticmethod
    def difference(first: SpeakerRecalls, second: SpeakerRecalls) -> Estimate:
        """Return how much the UAR of the first is above that of the second, of the same clips.

        Folds may be others: those of a row that was trained on another corpus.
        """
        value, n = first.uar - second.uar, first.n_speakers
        if n < MIN_SPEAKERS:
            return Estimate(value, np.nan, np.nan)
        left = first.without - second.without
        error = float(np.sqrt((n - 1) / n * np.sum((left - left.mean()) ** 2)))
        freedom = min(first.freedom, second.freedom)
        return Estimate(value, error if error > ROUNDING else 0.0, freedom)


def _weights(counts: Array, shares: Array) -> Array:
    """Return what a clip adds to the mean over folds of the mean recall of their emotions."""
    there = counts > 0
    n_emotions = there.sum(axis=2)
    shares = np.where(n_emotions > 0, shares, 0)
    shares = shares / shares.sum(axis=1, keepdims=True)
    of_emotion = np.divide(shares, n_emotions, where=n_emotions > 0, out=np.zeros(shares.shape))
    return np.divide(of_emotion[..., np.newaxis], counts, where=there, out=np.zeros(counts.shape))
