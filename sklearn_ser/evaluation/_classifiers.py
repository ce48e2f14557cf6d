"""The classifiers, and of ratings the regressors, that features are compared with."""

from __future__ import annotations

import functools
import inspect
import warnings
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn import config_context
from sklearn.base import BaseEstimator, clone, is_classifier, is_regressor
from sklearn.ensemble import StackingClassifier
from sklearn.model_selection import BaseCrossValidator, GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.metadata_routing import get_routing_for_object

from sklearn_ser._utils import (
    are_ratings,
    clip_folds,
    interrupted_by_ctrl_c,
    is_search,
    speaker_folds,
)
from sklearn_ser.evaluation._concordance import moments_score, pooled_cccs
from sklearn_ser.evaluation._metrics import mean_recall
from sklearn_ser.evaluation._named import CLASSIFIERS, INNER_FOLDS, REGRESSORS, named
from sklearn_ser.preprocessing import SpeakerScaler

__all__ = [
    "best_inner_score",
    "check_classifier",
    "check_fits",
    "check_target",
    "classifier_name",
    "fit_classifier",
    "inner_folds",
    "named_classifiers",
    "speaker_columns",
]


def check_target(classifier: Any, ratings: bool) -> None:
    """Raise an error if a classifier is to predict ratings, or a regressor emotions."""
    others = CLASSIFIERS if ratings else REGRESSORS
    is_other = is_classifier if ratings else is_regressor
    known = isinstance(classifier, str) and classifier in others
    is_estimator = hasattr(classifier, "get_params") and not isinstance(classifier, type)
    if known or (is_estimator and is_other(classifier)):
        given = repr(classifier) if known else type(classifier).__name__
        if ratings:
            raise ValueError(
                f"{given} is a classifier, and y holds ratings (floats), which are predicted by "
                f"{sorted(REGRESSORS)} or another scikit-learn regressor."
            )
        raise ValueError(
            f"{given} is a regressor, and y holds emotions, which are predicted by "
            f"{sorted(CLASSIFIERS)} or another scikit-learn classifier. Ratings are floats."
        )


def check_classifier(classifier: Any, *, on_clips: bool = False, ratings: bool = False) -> None:
    """Raise an error if `classifier` is neither a known name nor a classifier.

    With `ratings`, a regressor. Or if a part of it looks for speaker labels in a column of its
    input: it is given them as ``groups``, and the column, a feature like the others, would be
    dropped. Of clips, there is a column of that name.
    """
    what, known = ("regressor", REGRESSORS) if ratings else ("classifier", CLASSIFIERS)
    is_one = is_regressor if ratings else is_classifier
    check_target(classifier, ratings)
    if isinstance(classifier, str):
        if classifier not in known:
            raise ValueError(
                f"classifier={classifier!r}; it must be one of {sorted(known)} or a "
                f"scikit-learn {what}."
            )
    elif isinstance(classifier, type) or not (
        hasattr(classifier, "get_params") and is_one(classifier)
    ):
        raise TypeError(f"{classifier!r} is not a scikit-learn {what}.")
    elif on_clips:
        parts = _parts(classifier)
        takers = [part for part in parts if _takes_groups(part) and part.speaker is None]
        if takers and any(hasattr(part, "fit_resample") for part in parts):
            raise ValueError(
                f"speaker of {type(takers[0]).__name__} is None, so that it would be given the "
                "speakers as groups, and copies of clips have none. Set it to a name, such as "
                '"speaker": a column of speaker labels is given to it then.'
            )
    else:
        for part in _parts(classifier):
            speaker = getattr(part, "speaker", None)
            if speaker is not None and _takes_groups(part):
                raise ValueError(
                    f"speaker={speaker!r} of {type(part).__name__} would have no effect but to "
                    "drop a feature: speaker labels are passed as groups. Leave it None."
                )


def named_classifiers(classifier: Any, *, ratings: bool = False) -> dict[str, Any]:
    """Return name → classifier (of ratings, regressor) of one, several, or a mapping, each checked.

    None is "logistic", or "ridge".
    An estimator is called by its class, a pipeline by that of its last step.
    """
    if classifier is None:
        classifier = "ridge" if ratings else "logistic"
    given: list[tuple[Any, Any]] = [(None, classifier)]
    if isinstance(classifier, Mapping):
        given = list(classifier.items())
        if unnamed := [name for name, _ in given if not isinstance(name, str) or not name]:
            raise TypeError(f"classifier: {unnamed[0]!r} is no name; keys must be texts.")
    elif isinstance(classifier, (list, tuple, np.ndarray)):
        given = [(None, each) for each in classifier]
    if not given:
        raise ValueError("classifier is empty: name a classifier, or pass an estimator.")
    found: dict[str, Any] = {}
    for name, each in given:
        check_classifier(each, ratings=ratings)
        name = classifier_name(each) if name is None else name
        if name in found:
            raise ValueError(f"two classifiers are called {name!r}; pass a dict of names.")
        found[name] = each
    return found


def classifier_name(classifier: Any) -> str:
    """Return the name, or the class of an estimator, or of a pipeline's last step."""
    last = classifier.steps[-1][1] if hasattr(classifier, "steps") else classifier
    return str(classifier) if isinstance(classifier, str) else type(last).__name__


def speaker_columns(classifier: Any) -> list[str]:
    """Return what parts of a classifier of clips call their column of speaker labels."""
    parts = [classifier, *classifier.get_params().values()]
    names = [each for part in parts if (each := getattr(part, "speaker", None)) is not None]
    if numbers := [name for name in names if not isinstance(name, str)]:
        raise ValueError(f"speaker={numbers[0]!r}: give the column of speaker labels a name.")
    return list(dict.fromkeys(names))


def _parts(classifier: Any) -> list[Any]:
    """Return a classifier and what it is made of, as far as it is given the speakers."""
    parts = [classifier, *classifier.get_params().values()]
    # A stack gives what it is told to its last estimator too, whether or not that takes it.
    return [] if any(isinstance(part, StackingClassifier) for part in parts) else parts


def _takes_groups(part: Any) -> bool:
    """Tell whether an estimator's `fit` takes groups, unless its user has decided against it."""
    if not hasattr(part, "set_fit_request"):
        return False
    requested = part.get_metadata_routing().fit.requests.get("groups")
    return requested is not False and "groups" in inspect.signature(part.fit).parameters


def check_fits(classifier: Any, folds: Sequence[tuple[Any, Any]], y: Any, groups: Any) -> None:
    """Raise an error that names the fold on whose training clips `classifier` cannot be fitted."""
    y = np.asarray(y)
    for fold, (train, _) in enumerate(folds):
        try:
            its_groups = None if groups is None else np.asarray(groups)[train]
            _check_training_clips(classifier, y[train], its_groups)
        except ValueError as error:
            raise ValueError(f"fold {fold}: {error}") from None


def _check_training_clips(classifier: Any, y: Any, groups: Any) -> None:
    """Raise an error if a classifier cannot be fitted on clips with these labels."""
    emotions = np.unique(y)
    ratings = are_ratings(y)
    what = "ratings" if ratings else "emotions"
    if len(emotions) < 2:
        one = f"all {len(y)} training clips are {emotions[0]}" if len(y) else "no training clips"
        raise ValueError(
            f"{one}, and a {'regressor' if ratings else 'classifier'} needs two {what} or more. "
            f"Use other folds, or more speakers{'' if ratings else ' of each emotion'}."
        )
    searched = isinstance(classifier, str) and named(classifier).choices is not None
    if searched and not inner_folds(y, groups):
        parameter = named(classifier).parameter.rpartition("__")[2]
        units = f"{len(y)} training clips"
        if groups is not None:
            units = f"{len(np.unique(groups))} training speakers"
        lda = "" if ratings else 'classifier="lda", which has nothing to choose, or '
        raise ValueError(
            f"{parameter} of classifier={classifier!r} cannot be chosen: the {units} cannot be "
            f"split so that two {what} are "
            f"left to train on. Use {lda}an estimator with {parameter} of your own."
        )


def inner_folds(y: Any, groups: Any) -> list[tuple[npt.NDArray[Any], npt.NDArray[Any]]]:
    """Return the folds that C is chosen by: of speakers, with two emotions or more to train on.

    Of ratings, with two that differ. Where speakers are not known, they are folds of clips.
    """
    folds = clip_folds(y, INNER_FOLDS) if groups is None else speaker_folds(groups, INNER_FOLDS)
    return [(train, test) for train, test in folds if len(np.unique(y[train])) > 1]


def fit_classifier(
    classifier: Any, X: Any, y: Any, groups: Any, *, speaker_scaling: str | None = None
) -> Any:
    """Return a fitted classifier or regressor; what it chooses, it chooses inside these clips.

    Parameters
    ----------
    classifier : {"logistic", "lda", "svm", "ridge", "svr"} or estimator
        A name stands for StandardScaler and that classifier, its C (if it has one) chosen by a
        search whose folds share no speaker: by the mean over folds of the UAR, or, where folds
        lack emotions, by the UAR of recalls pooled over folds. Ratings are predicted by "ridge",
        whose alpha is chosen, or "svr", by the CCC of all folds' predictions. An estimator is
        cloned and fitted as it is. Whatever part of it takes ``groups`` (a splitter of a search, a
        network that holds speakers out of training) is given the speakers, however deep it is
        nested in pipelines and searches. Parts of a StackingClassifier are not: it gives its last
        estimator whatever its others are given. Nor are those of estimators that scikit-learn
        routes no metadata through.
    X : ndarray of shape (n_clips, n_features)
    y, groups : ndarray of shape (n_clips,)
        Emotions, or ratings as floats, and speakers; None where these are not known, whereupon C
        is chosen by folds of clips.
    speaker_scaling : {"own", "global"}, default=None
        Scale by speaker, the last column of X; with a name, instead of StandardScaler.

    Raises
    ------
    ValueError
        If there is one emotion only, or C cannot be chosen as no split of the speakers leaves two.
    """
    ratings = are_ratings(y)
    check_classifier(classifier, on_clips=hasattr(X, "columns"), ratings=ratings)
    _check_training_clips(classifier, y, groups)
    scaler = None if speaker_scaling is None else SpeakerScaler(unseen=speaker_scaling)
    if not isinstance(classifier, str):
        own = clone(classifier)
        return _fit_with_groups(own if scaler is None else make_pipeline(scaler, own), X, y, groups)
    estimator, choices, parameter = named(classifier)
    pipeline = make_pipeline(scaler or StandardScaler(), clone(estimator))
    if choices is None:
        with warnings.catch_warnings():  # of an emotion with one clip, which has no covariance
            warnings.filterwarnings("ignore", "Only one sample available", UserWarning)
            return pipeline.fit(X, y)
    folds, emotions = inner_folds(y, groups), np.unique(y)
    scoring: Any = _scored
    refit: Any = True
    if ratings:
        scoring, refit = functools.partial(moments_score, float(y.mean())), _best_of_pooled_cccs
    elif any(len(np.unique(y[test])) < len(emotions) for _, test in folds):
        scoring, refit = functools.partial(_recalled, emotions), _best_of_pooled_recalls
    name = pipeline.steps[-1][0]
    search = GridSearchCV(
        pipeline,
        {f"{name}__{parameter}": choices},
        scoring=scoring,
        refit=refit,
        cv=folds,
        error_score="raise",
    )
    return search.fit(X, y)


def _scored(estimator: Any, X: Any, y: Any) -> float:
    return mean_recall(y, estimator.predict(X))


def _recalled(emotions: npt.NDArray[Any], estimator: Any, X: Any, y: Any) -> dict[str, float]:
    """Return, of each emotion, how many clips there are and how many are recognised."""
    right = estimator.predict(X) == y
    counts = {f"clips_{k}": float(np.sum(y == name)) for k, name in enumerate(emotions)}
    hits = {f"hits_{k}": float(np.sum(right[y == name])) for k, name in enumerate(emotions)}
    return {**counts, **hits}


def best_inner_score(fitted: Any) -> float | None:
    """Return the score by which a search chose; None if it is no search, or has no such score."""
    if not is_search(fitted):
        return None
    if fitted.refit is _best_of_pooled_recalls:
        return float(_pooled_uars(fitted.cv_results_).max())
    if fitted.refit is _best_of_pooled_cccs:
        return float(pooled_cccs(fitted.cv_results_).max())
    score = getattr(fitted, "best_score_", None)
    return None if score is None or not np.isfinite(score) else float(score)


def _best_of_pooled_recalls(results: dict[str, Any]) -> int:
    """Return the candidate with the highest UAR."""
    return int(_pooled_uars(results).argmax())


def _best_of_pooled_cccs(results: dict[str, Any]) -> int:
    """Return the candidate with the highest CCC."""
    return int(pooled_cccs(results).argmax())


def _pooled_uars(results: dict[str, Any]) -> npt.NDArray[np.float64]:
    """Return the UAR of each candidate; means over folds have the ratio of sums."""
    n_emotions = sum(key.startswith("mean_test_clips_") for key in results)
    recalls = [
        results[f"mean_test_hits_{k}"] / results[f"mean_test_clips_{k}"]
        for k in range(n_emotions)
        if results[f"mean_test_clips_{k}"][0] > 0
    ]
    return np.asarray(np.mean(recalls, axis=0))


@interrupted_by_ctrl_c()
def _fit_with_groups(estimator: Any, X: Any, y: Any, groups: Any) -> Any:
    """Fit, with the speakers for whatever part of the estimator takes them.

    It is scikit-learn's metadata routing that finds a way to them through pipelines and searches,
    whether or not the caller has switched it on.
    """
    parts = _parts(estimator)
    if not parts:
        return estimator.fit(X, y)
    # A network holds speakers out, and with one has to make do with clips.
    several = groups is not None and len(np.unique(groups)) > 1
    with config_context(enable_metadata_routing=True):
        for part in parts:
            if getattr(part, "speaker", None) is not None and _takes_groups(part):
                part.set_fit_request(groups=False)  # it is given them in a column
            elif isinstance(part, BaseEstimator) and several:
                _request(part, "fit")
            if is_search(part):
                part.error_score = "raise"  # or it would choose by scores of which some are NaN
            if hasattr(cv := getattr(part, "cv", None), "split"):
                part.cv = _requesting_splitter(cv)
        try:
            takers = get_routing_for_object(estimator).consumes("fit", ["groups"])
        except NotImplementedError:  # a meta-estimator that scikit-learn cannot route through yet
            takers = set()
        try:
            fitted = estimator.fit(X, y, **({"groups": groups} if takers and several else {}))
        except ValueError as error:
            if not any(is_search(part) for part in parts):
                raise
            raise ValueError(
                f"a fit inside of {type(estimator).__name__} failed: {error} Its inner folds may "
                "lack emotions or speakers; give it others."
            ) from error
    _forget_requests(fitted)
    return fitted


def _request(part: Any, method: str) -> None:
    """Request groups for a method that takes them, unless its user has decided."""
    setter = getattr(part, f"set_{method}_request", None)
    if setter is None or "groups" not in inspect.signature(getattr(part, method)).parameters:
        return
    if getattr(part.get_metadata_routing(), method).requests.get("groups") is None:
        setter(groups=True)


def _forget_requests(value: Any) -> None:
    """Remove requests, which point back at their estimator, from what may be written to a file."""
    if isinstance(value, (BaseEstimator, BaseCrossValidator)):
        vars(value).pop("_metadata_request", None)
        value = vars(value)
    if isinstance(value, dict):
        value = value.values()
    elif not isinstance(value, (list, tuple)):
        return
    for part in list(value):
        _forget_requests(part)


def _requesting_splitter(cv: Any) -> Any:
    if not hasattr(cv, "get_metadata_routing"):
        return _SpeakerSplitter(cv)
    _request(cv, "split")
    return cv


class _SpeakerSplitter(BaseCrossValidator):
    """A splitter that knows nothing of metadata routing, as one that requests groups."""

    __metadata_request__split = {"groups": True}

    def __init__(self, cv: Any) -> None:
        self.cv = cv

    def split(self, X: Any, y: Any = None, groups: Any = None) -> Iterator[Any]:
        yield from self.cv.split(X, y, groups)

    def get_n_splits(self, X: Any = None, y: Any = None, groups: Any = None) -> int:
        return int(self.cv.get_n_splits(X, y, groups))
