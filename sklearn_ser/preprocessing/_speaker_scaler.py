"""SpeakerScaler: standardise the features of each speaker."""

from __future__ import annotations

from numbers import Integral
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils.validation import check_array, check_is_fitted, validate_data

from sklearn_ser._utils import (
    WHOLE_NUMBER,
    Number,
    StrOptions,
    as_speakers,
    check_feature_names_in,
    find_speaker_column,
    fit_context,
    refuse_masked,
    warn,
)

__all__ = ["SpeakerScaler"]

Array = npt.NDArray[np.float64]


class SpeakerScaler(TransformerMixin, BaseEstimator):
    """Standardise the features of each speaker: mean 0 and variance 1, speaker by speaker.

    Voices differ more than emotions do; what is left after this is how a clip differs from its
    speaker's other clips. Speaker labels are a column of X, which is dropped.

    Parameters
    ----------
    speaker : int, str or None, default=-1
        The column of X with speaker labels: its position, or, in a frame, its name (or the end
        of its name, after the ``__`` that ColumnTransformer puts there). None where speakers come
        as metadata: ``fit(X, y, speakers=…)`` and ``transform(X, speakers=…)``.
    unseen : {"own", "global"}, default="own"
        How speakers that are not in `fit` are scaled. "own": by the clips of theirs that are
        transformed together, which needs several of them and makes a prediction depend on them,
        though not on labels: it is transductive, and has to be reported as such. "global": by the
        mean and standard deviation of all clips in `fit`, which is inductive.
    min_clips : int, default=5
        A speaker with fewer clips, in `fit` or, with ``unseen="own"``, later, is scaled by the mean
        and standard deviation of all clips in `fit`, with a warning.
    with_std : bool, default=True
        Whether to divide by the standard deviation.

    Attributes
    ----------
    speakers_ : ndarray of str of shape (n_speakers,)
        Speakers in `fit`, sorted. A number is its digits, so that 1, 1.0 and "1" are one speaker.
    means_, scales_ : ndarray of shape (n_speakers, n_features)
        Mean and standard deviation that each of them is standardised by.
    mean_, scale_ : ndarray of shape (n_features,)
        The same over all clips in `fit`.
    n_features_in_ : int
        Number of columns of X, that of the speaker included.
    feature_names_in_ : ndarray of shape (n_columns,)
        Their names, if X was a frame.

    See Also
    --------
    AudioAugmenter : Adds changed copies of clips.

    Notes
    -----
    A speaker who is in `fit` is always scaled as in `fit`. A constant feature is centred
    only.

    References
    ----------
    B. Schuller et al., "Cross-corpus acoustic emotion recognition: variances and strategies",
    IEEE Transactions on Affective Computing 1(2), 2010.

    Examples
    --------
    >>> import pandas as pd
    >>> from sklearn_ser.preprocessing import SpeakerScaler
    >>> X = pd.DataFrame({"f0": [100.0, 120.0, 200.0, 240.0], "speaker": ["a", "a", "b", "b"]})
    >>> SpeakerScaler("speaker", min_clips=2).fit_transform(X)
    array([[-1.],
           [ 1.],
           [-1.],
           [ 1.]])

    In a pipeline, beside an embedder:

    >>> from sklearn.compose import make_column_transformer
    >>> from sklearn.linear_model import LogisticRegression
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn_ser import MFCCEmbedder
    >>> from sklearn_ser.datasets import make_emotional_speech
    >>> corpus = make_emotional_speech(n_speakers=3, n_sentences=2, random_state=0)
    >>> X = pd.DataFrame({"clip": corpus.X, "speaker": corpus.groups})
    >>> features = make_column_transformer(
    ...     (MFCCEmbedder(cache=None), "clip"), ("passthrough", ["speaker"])
    ... )
    >>> pipeline = make_pipeline(features, SpeakerScaler(), LogisticRegression())
    >>> pipeline.fit(X, corpus.y).predict(X).shape
    (24,)
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "speaker": [WHOLE_NUMBER, str, None],
        "unseen": [StrOptions({"own", "global"})],
        "min_clips": [Number(Integral, 2, None, closed="left")],
        "with_std": ["boolean"],
    }

    def __init__(
        self,
        speaker: int | str | None = -1,
        *,
        unseen: str = "own",
        min_clips: int = 5,
        with_std: bool = True,
    ) -> None:
        self.speaker = speaker
        self.unseen = unseen
        self.min_clips = min_clips
        self.with_std = with_std

    @fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: Any, y: Any = None, speakers: Any = None) -> SpeakerScaler:
        """Learn the mean and standard deviation of each speaker, and of all clips.

        Parameters
        ----------
        X : DataFrame or array-like of shape (n_clips, n_features + 1)
            Features and speaker labels; of shape (n_clips, n_features) where `speakers` is given.
        y : None
            Ignored.
        speakers : array-like of shape (n_clips,), default=None
            Speaker labels, where X does not hold them.

        Returns
        -------
        self : SpeakerScaler
        """
        values, labels = self._split_speakers(X, speakers, reset=True)
        self.mean_, self.scale_ = self._mean_and_scale(values)
        self.speakers_, code, counts = np.unique(labels, return_inverse=True, return_counts=True)
        moments = [
            self._mean_and_scale(values[code == k])
            if count >= self.min_clips
            else (self.mean_, self.scale_)
            for k, count in enumerate(counts)
        ]
        self.means_ = np.array([mean for mean, _ in moments])
        self.scales_ = np.array([scale for _, scale in moments])
        self._warn_of_few("of the", self.speakers_[counts < self.min_clips])
        return self

    def transform(self, X: Any, speakers: Any = None) -> Array:
        """Standardise clips by their speaker.

        Parameters
        ----------
        X : DataFrame or array-like of shape (n_clips, n_features + 1)
            Features and speaker labels; of shape (n_clips, n_features) where `speakers` is given.
        speakers : array-like of shape (n_clips,), default=None
            Speaker labels, where X does not hold them.

        Returns
        -------
        X_out : ndarray of shape (n_clips, n_features)
            Without the speaker's column.

        Warns
        -----
        UserWarning
            If unseen speakers have too few clips to be scaled by them.
        """
        check_is_fitted(self)
        values, labels = self._split_speakers(X, speakers, reset=False)
        known = {speaker: k for k, speaker in enumerate(self.speakers_.tolist())}
        few: list[str] = []
        for speaker in np.unique(labels).tolist():
            of_speaker = np.asarray(labels == speaker)
            mean, scale = self.mean_, self.scale_
            if speaker in known:
                mean, scale = self.means_[known[speaker]], self.scales_[known[speaker]]
            elif self.unseen == "own" and np.count_nonzero(of_speaker) >= self.min_clips:
                mean, scale = self._mean_and_scale(values[of_speaker])
            elif self.unseen == "own":
                few.append(speaker)
            values[of_speaker] = (values[of_speaker] - mean) / scale
        self._warn_of_few("unseen", few)
        return values

    def fit_transform(self, X: Any, y: Any = None, speakers: Any = None) -> Any:
        """Learn from clips, and standardise them: see `fit` and `transform`.

        Parameters
        ----------
        X : DataFrame or array-like of shape (n_clips, n_features + 1)
            Features and speaker labels; of shape (n_clips, n_features) where `speakers` is given.
        y : None
            Ignored.
        speakers : array-like of shape (n_clips,), default=None
            Speaker labels, where X does not hold them.

        Returns
        -------
        X_out : ndarray of shape (n_clips, n_features)
            Without the speaker's column.
        """
        return self.fit(X, y, speakers).transform(X, speakers)

    def get_feature_names_out(self, input_features: Any = None) -> npt.NDArray[np.object_]:
        """Return the names of the features, without that of the speaker.

        Parameters
        ----------
        input_features : array-like of str of shape (n_columns,), default=None
            Names of the columns of X; by default those seen in `fit`.

        Returns
        -------
        names : ndarray of shape (n_features,), dtype object
        """
        check_is_fitted(self)
        names = check_feature_names_in(self, input_features)
        return names if self._column is None else np.delete(names, self._column)

    @property
    def _n_features_out(self) -> int:
        return len(self.mean_)

    def _split_speakers(self, X: Any, speakers: Any, reset: bool) -> tuple[Array, npt.NDArray[Any]]:
        """Return a copy of the features, and the speaker labels."""
        refuse_masked(X)
        X = validate_data(self, X, reset=reset, dtype=None, ensure_all_finite=False)
        if reset:
            self._column = self._find_column(X.shape[1], speakers)
        elif (speakers is None) != (self._column is not None):
            raise ValueError("speakers must be passed to transform if, and only if, to fit.")
        if self._column is None:
            labels = as_speakers(speakers, "speakers")
        else:
            # With features in this column, each clip is a speaker, which `_warn_of_few` reports.
            name = f"column {self.speaker!r} of X"
            labels = as_speakers(X[:, self._column], name, fractions=True)
            X = np.delete(X, self._column, axis=1)
        if labels.shape != (len(X),):
            raise ValueError(f"{labels.shape} speakers do not match {len(X)} clips.")
        values = check_array(X, dtype=np.float64, copy=True, input_name="X", estimator=self)
        return values, labels

    def _find_column(self, n_columns: int, speakers: Any) -> int | None:
        if speakers is not None:
            return None
        if self.speaker is None:
            raise ValueError("speaker=None needs the speakers as metadata: fit(X, y, speakers=…).")
        names = list(getattr(self, "feature_names_in_", []))
        return find_speaker_column(self.speaker, n_columns, names)

    def _warn_of_few(self, which: str, speakers: Any) -> None:
        if len(speakers):
            some = ", ".join([*speakers[:5], *(["…"] if len(speakers) > 5 else [])])
            warn(
                f"{len(speakers)} {which} speakers ({some}) have fewer than min_clips="
                f"{self.min_clips} clips and are scaled by the mean and standard deviation of all "
                "clips in fit. Pass a speaker's clips together, or lower min_clips; if these are "
                "no speakers, set speaker.",
            )

    def _mean_and_scale(self, values: Array) -> tuple[Array, Array]:
        mean = values.mean(axis=0)
        if not self.with_std:
            return mean, np.ones_like(mean)
        scale = values.std(axis=0)
        # The deviation of a constant feature is rounding error, and is not divided by.
        scale[scale <= 10 * np.finfo(np.float64).eps * np.abs(mean)] = 1.0
        return mean, scale
