"""The classifiers that features are compared with."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, clone, is_classifier
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import make_scorer
from sklearn.model_selection import GridSearchCV, GroupKFold
from sklearn.model_selection._search import BaseSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC
from sklearn.utils.validation import has_fit_parameter

from sklearn_ser.evaluation._metrics import uar_score
from sklearn_ser.preprocessing import SpeakerScaler

__all__ = ["CLASSIFIERS", "fit_classifier"]

# Name: the classifier, and the values of C to choose from inside the training folds.
CLASSIFIERS: dict[str, tuple[BaseEstimator, list[float] | None]] = {
    "logistic": (LogisticRegression(max_iter=5000), [1e-4, 1e-3, 1e-2, 1e-1, 1.0, 10.0]),
    "lda": (LinearDiscriminantAnalysis(solver="lsqr", shrinkage="auto"), None),
    "svm": (SVC(), [1e-2, 1e-1, 1.0, 10.0, 100.0]),
}
INNER_FOLDS = 5


def fit_classifier(
    classifier: Any, X: Any, y: Any, groups: Any, *, speaker_scaling: str | None = None
) -> Any:
    """Return a fitted classifier; whatever it chooses, it chooses inside these clips.

    Parameters
    ----------
    classifier : {"logistic", "lda", "svm"} or estimator
        A name stands for StandardScaler and that classifier, its C (if it has one) chosen by a
        search whose folds share no speaker. An estimator is cloned and fitted as it is; a
        search, or a network that holds speakers out, is given the speakers.
    X : ndarray of shape (n_clips, n_features)
    y, groups : ndarray of shape (n_clips,)
        Emotions and speakers.
    speaker_scaling : {"own", "global"}, default=None
        Scale by speaker, told by the last column of X; with a name, instead of StandardScaler.
    """
    scaler = None if speaker_scaling is None else SpeakerScaler(unseen=speaker_scaling)
    if isinstance(classifier, str):
        if classifier not in CLASSIFIERS:
            raise ValueError(
                f"classifier={classifier!r}; it must be one of {sorted(CLASSIFIERS)} or a "
                "scikit-learn classifier."
            )
        estimator, choices = CLASSIFIERS[classifier]
        pipeline = make_pipeline(scaler or StandardScaler(), clone(estimator))
        if choices is None:
            return pipeline.fit(X, y)
        name = pipeline.steps[-1][0]
        search = GridSearchCV(
            pipeline,
            {f"{name}__C": choices},
            scoring=make_scorer(uar_score),
            cv=GroupKFold(min(INNER_FOLDS, len(np.unique(groups)))),
        )
        return search.fit(X, y, groups=groups)
    if not is_classifier(classifier):
        raise TypeError(f"{classifier!r} is not a scikit-learn classifier.")
    pipeline = make_pipeline(*([] if scaler is None else [scaler]), clone(classifier))
    # A network holds speakers out, and with one speaker has to make do with clips, and says so.
    told = has_fit_parameter(classifier, "groups") and len(np.unique(groups)) > 1
    if isinstance(classifier, BaseSearchCV) or told:
        return pipeline.fit(X, y, **{f"{pipeline.steps[-1][0]}__groups": groups})
    return pipeline.fit(X, y)
