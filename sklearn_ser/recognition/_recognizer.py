"""EmotionRecognizer: an embedder and a calibrated classifier, with scores for new speakers.

`_file` saves and loads it, `_recordings` runs it on recordings of any length.
"""

from __future__ import annotations

from typing import Any, ClassVar

import joblib
import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.special import softmax
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.metrics import log_loss
from sklearn.utils.validation import check_is_fitted
from threadpoolctl import threadpool_limits

from sklearn_ser._audio import as_clips, items_of, need_clips
from sklearn_ser._utils import (
    WHOLE_NUMBER,
    HasMethods,
    default_settings,
    fit_context,
    held_out_folds,
    is_search,
    most_probable,
)
from sklearn_ser.audit import audit_split
from sklearn_ser.classifiers import temperature_of
from sklearn_ser.embedders import SSLEmbedder
from sklearn_ser.evaluation import check_classifier, check_fits, fit_classifier, scores
from sklearn_ser.recognition._domain import OutOfDomainDetector, check_targets
from sklearn_ser.recognition._recordings import check_emotions, frame_of, rows_of

__all__ = ["EmotionRecognizer"]

Array = npt.NDArray[np.float64]


class EmotionRecognizer(ClassifierMixin, BaseEstimator):
    """An embedder and a classifier, with their scores for speakers who are not in the training set.

    `fit` holds speakers out to compute the scores (`scores_`), to calibrate the probabilities, and
    to learn which out-of-distribution scores new speakers have (`detector_`). Then it fits on all
    clips.

    Parameters
    ----------
    embedder : transformer, default=None
        Makes rows of features of clips. None is ``SSLEmbedder("nano")``.
    classifier : {"logistic", "lda", "svm"} or classifier, default="logistic"
        A name stands for StandardScaler and that classifier, its C (if it has one) chosen by a
        search whose folds share no speaker.
    detector : OutOfDomainDetector, default=None
        Gives out-of-distribution scores. None is ``OutOfDomainDetector()``.
    n_jobs : int, default=None
        Number of folds that are fitted at once.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
    embedder_, classifier_, detector_ : estimators
        Fitted on all clips.
    temperature_ : float
        What the classifier's scores are divided by, to maximise the likelihood of held-out
        speakers' emotions.
    scores_ : dict
        uar, uar_ci (95 %, None with fewer than four speakers), averaging, accuracy, macro_f1,
        fold_uar and log_loss, of speakers held out of training, as
        :func:`~sklearn_ser.evaluation.compare` computes them; speaker_uar and confounded, of what
        the speaker label alone predicts (:class:`~sklearn_ser.audit.SplitAudit`).
    seconds_ : tuple of float
        Median and maximum duration of the clips.

    See Also
    --------
    load_recognizer, save_recognizer : Keep it in a file.

    Examples
    --------
    >>> from sklearn_ser.datasets import make_emotional_speech
    >>> from sklearn_ser.recognition import EmotionRecognizer
    >>> corpus = make_emotional_speech(n_speakers=6, n_sentences=3, random_state=0)
    >>> recognizer = EmotionRecognizer(classifier="lda").fit(corpus.X, corpus.y, corpus.groups)
    >>> recognizer.predict(corpus.X[:2]).shape
    (2,)
    >>> recognizer.recognize(corpus.X[:1]).columns.tolist()[:4]
    ['recording', 'start', 'end', 'emotion']
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "embedder": [HasMethods(["fit", "transform"]), None],
        "classifier": [str, HasMethods(["fit", "predict"])],
        "detector": [HasMethods(["fit", "quantiles"]), None],
        "n_jobs": [WHOLE_NUMBER, None],
    }

    __metadata_request__fit = {"groups": True}

    def __init__(
        self,
        embedder: Any = None,
        classifier: Any = "logistic",
        *,
        detector: Any = None,
        n_jobs: int | None = None,
    ) -> None:
        self.embedder = embedder
        self.classifier = classifier
        self.detector = detector
        self.n_jobs = n_jobs

    @fit_context(prefer_skip_nested_validation=False)
    def fit(self, X: Any, y: Any, groups: Any = None) -> EmotionRecognizer:
        """Measure on held-out speakers, then fit on all clips.

        Parameters
        ----------
        X : sequence of n_clips clips
        y : array-like of shape (n_clips,)
            Emotions.
        groups : array-like of shape (n_clips,)
            Speaker labels. Whatever part of the classifier takes groups is given them, such as a
            network that holds speakers out of training to stop early.

        Returns
        -------
        self : object

        Raises
        ------
        ValueError
            If emotions or speakers are missing, an emotion is spoken by one speaker only, or is
            called as another column of `recognize`, or C of a classifier's name cannot be chosen,
            as no split of the training speakers leaves two emotions.
        """
        check_classifier(self.classifier)
        need_clips(X)
        y, groups = check_targets(X, y, groups)
        check_emotions(np.unique(y))
        folds = held_out_folds(y, groups)
        check_fits(self.classifier, folds, y, groups)
        self.classes_, codes = np.unique(y, return_inverse=True)
        durations = [clip.seconds() for clip in as_clips(items_of(X))]
        self.seconds_ = (float(np.median(durations)), float(np.max(durations)))
        self.embedder_ = SSLEmbedder("nano") if self.embedder is None else clone(self.embedder)
        with default_settings():
            values = np.asarray(self.embedder_.fit_transform(X), dtype=np.float64)
        found = joblib.Parallel(self.n_jobs)(
            joblib.delayed(held_out_scores)(self.classifier, values, y, groups, *fold)
            for fold in folds
        )
        held_out = np.empty((len(y), len(self.classes_)))
        fold_of = np.empty(len(y), dtype=int)
        for k, ((_, test), of_fold) in enumerate(zip(folds, found, strict=True)):
            held_out[test], fold_of[test] = of_fold, k
        self.temperature_ = temperature_of(held_out, codes)
        emotions = [f"emotion {each}" for each in y]  # which may be codes
        frame = pd.DataFrame({"emotion": emotions, "speaker": groups})
        audited = audit_split(frame, folds, audio=False)
        self.scores_ = {
            **self._scores(held_out, fold_of, y, groups),
            "speaker_uar": audited.speaker_uar,
            "confounded": audited.confounded,
        }
        with default_settings(), threadpool_limits(1):
            fitted = fit_classifier(self.classifier, values, y, groups)
        self.classifier_ = fitted.best_estimator_ if is_search(fitted) else fitted
        detector = OutOfDomainDetector() if self.detector is None else clone(self.detector)
        self.detector_ = detector.fit(X, y, groups)
        return self

    def _scores(self, held_out: Array, fold_of: Any, y: Any, groups: Any) -> dict[str, Any]:
        """Return what `scores_` tells of the decision scores of held-out speakers."""
        predictions = pd.DataFrame(
            {
                "fold": fold_of,
                "speaker": groups,
                "emotion": y,
                "predicted": most_probable(self.classes_, held_out),
                "seconds": 0.0,
            }
        )
        found = scores(predictions)
        del found["seconds_fit"]
        probabilities = softmax(held_out / self.temperature_, axis=1)
        return {**found, "log_loss": float(log_loss(y, probabilities, labels=self.classes_))}

    def predict_proba(self, X: Any) -> Array:
        """Return the probability of each emotion, calibrated for speech like that of training.

        Parameters
        ----------
        X : sequence of n_clips clips

        Returns
        -------
        probabilities : ndarray of shape (n_clips, n_classes)
            NaN for a clip that cannot be used, if the embedder's ``on_error`` is "nan".
        """
        check_is_fitted(self)
        with default_settings():
            values = np.asarray(self.embedder_.transform(X), dtype=np.float64)
            usable = np.isfinite(values).all(axis=1)
            probabilities = np.full((len(values), len(self.classes_)), np.nan)
            if usable.any():
                found = decision_scores(self.classifier_, values[usable])
                probabilities[usable] = softmax(found / self.temperature_, axis=1)
        return probabilities

    def predict(self, X: Any) -> npt.NDArray[Any]:
        """Return the most probable emotion of each clip, whatever its out-of-distribution score.

        Parameters
        ----------
        X : sequence of n_clips clips

        Returns
        -------
        emotions : ndarray of shape (n_clips,)

        Raises
        ------
        ValueError
            If a clip cannot be used, though the embedder's ``on_error`` is "nan": it has no
            emotion. `predict_proba` gives NaN for it, and `recognize` a row that says why.
        """
        check_is_fitted(self)
        return most_probable(self.classes_, self.predict_proba(X))

    def recognize(
        self,
        recordings: Any,
        *,
        window: float | str | None = "auto",
        hop: float | None = None,
        abstain: float | None = 0.95,
        verbose: bool = False,
    ) -> pd.DataFrame:
        """Return a row for each recording, or for each window of a long one.

        Parameters
        ----------
        recordings : sequence of clips
            Paths of files of any length, waveforms, …
        window : float, "auto" or None, default="auto"
            Seconds that are taken at once. "auto": a recording that is longer than every training
            clip is cut into windows as long as their median. None: whole recordings.
        hop : float, default=None
            Seconds from one window's start to the next one's; None is the window's length. Not for
            whole recordings.
        abstain : float or None, default=0.95
            Clips whose out-of-distribution score is above this quantile of the held-out scores get
            neither emotion nor probabilities. None never abstains.
        verbose : bool, default=False
            Whether to show a progress bar.

        Returns
        -------
        rows : DataFrame
            recording, start and end (seconds), emotion (missing if abstained), a column of
            probabilities for each emotion, out_of_domain (the quantile of the held-out scores that
            its out-of-distribution score is at) and note (why there is no emotion).
        """
        parts = rows_of(self, recordings, window=window, hop=hop, abstain=abstain, verbose=verbose)
        return frame_of([row for part in parts for row in part])

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = False  # of what rate its waveforms are is not known
        return tags


def decision_scores(classifier: Any, X: Array) -> Array:
    """Return scores of shape (n_clips, n_classes), of which softmax makes probabilities."""
    if not hasattr(classifier, "decision_function"):
        return np.log(np.clip(classifier.predict_proba(X), 1e-12, None))
    found = np.asarray(classifier.decision_function(X), dtype=np.float64)
    if found.ndim == 1:
        return np.column_stack([np.zeros(len(found)), found])
    last = classifier
    while is_search(last) or hasattr(last, "steps"):
        last = last.best_estimator_ if is_search(last) else last.steps[-1][1]
    of_pairs = getattr(last, "decision_function_shape", None) == "ovo"
    if of_pairs or found.shape[1] != len(classifier.classes_):
        raise ValueError(
            f"the decision function of {type(last).__name__} gives {found.shape[1]} scores, not "
            f"one for each of the {len(classifier.classes_)} emotions. Set "
            "decision_function_shape='ovr'."
        )
    return found


def held_out_scores(classifier: Any, X: Array, y: Any, groups: Any, train: Any, test: Any) -> Array:
    """Return the scores of test clips by a classifier that was fitted on training clips."""
    with default_settings(), threadpool_limits(1):
        fitted = fit_classifier(classifier, X[train], y[train], groups[train])
        return decision_scores(fitted, X[test])
