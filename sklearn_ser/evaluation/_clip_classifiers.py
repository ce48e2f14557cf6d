"""Rows that are whole classifiers or regressors of clips: fitted on each fold, or published."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.base import BaseEstimator, ClassifierMixin, clone, is_classifier, is_regressor
from sklearn.utils import Bunch

from sklearn_ser._audio import items_of
from sklearn_ser._utils import are_ratings, most_probable, safe_indexing, warn
from sklearn_ser.embedders import RecordEmbedder
from sklearn_ser.evaluation._classifiers import check_classifier, speaker_columns
from sklearn_ser.evaluation._recipes import recipe_of
from sklearn_ser.exceptions import ClipError

__all__ = [
    "AsPredicted",
    "at_position",
    "classify_clips",
    "is_clip_classifier",
    "is_published",
    "usable_clips",
    "warn_of_classes",
]

AT_ONCE = 256  # clips looked at, so that memory stays bounded


class AsPredicted(ClassifierMixin, BaseEstimator):
    """Gives its input back, what a published model computed for all clips before.

    Parameters
    ----------
    classes : ndarray of shape (n_classes,), default=None
        Of the probabilities that are its input; None of ratings.
    """

    def __init__(self, classes: Any = None) -> None:
        self.classes = classes

    @property
    def classes_(self) -> Any:
        """The classes of the published model."""
        return self.classes

    def predict(self, X: Any) -> Any:
        """Return the ratings that X holds, or the class with the highest probability."""
        return X if self.classes is None else most_probable(self.classes, X)

    def predict_proba(self, X: Any) -> Any:
        """Return the probabilities that X holds."""
        return X


def is_clip_classifier(feature: Any, ratings: bool = False) -> bool:
    """Tell whether what is passed among features is a classifier or regressor, no embedder.

    What a regressor transforms clips into may be features of emotions.
    """
    if isinstance(feature, (str, type)) or not hasattr(feature, "get_params"):
        return False
    if is_regressor(feature):
        return ratings or not hasattr(feature, "fit_transform")
    return bool(is_classifier(feature))


def is_published(classifier: Any) -> bool:
    """Tell whether an estimator is a published model, of which nothing is fitted."""
    from sklearn_ser.classifiers import PretrainedEmotionClassifier, PretrainedEmotionRegressor

    return isinstance(classifier, (PretrainedEmotionClassifier, PretrainedEmotionRegressor))


def classify_clips(name: str, classifier: Any, corpus: Bunch) -> dict[str, Any]:
    """Return the fields of the table of a row that is a classifier of clips.

    Its values are the clips or, of a published model, the probabilities or ratings of them.
    """
    started = time.perf_counter()
    values: Any
    fitted: Any
    if is_published(classifier) and are_ratings(corpus.y):
        classifier = clone(classifier).fit(corpus.X, corpus.y)
        values = _one_output(name, classifier, corpus.X)
        is_usable = np.isfinite(values)
        fitted, recipe = AsPredicted(), recipe_of(classifier)
    elif is_published(classifier):
        classifier = clone(classifier).fit(corpus.X, corpus.y)
        values = np.asarray(classifier.predict_proba(corpus.X))
        is_usable = np.isfinite(values).all(axis=1)
        fitted = AsPredicted(classifier.classes_)
        recipe = {**recipe_of(classifier), "classes": classifier.classes_.tolist()}
    else:
        check_classifier(classifier, on_clips=True, ratings=are_ratings(corpus.y))
        fitted, recipe, values = classifier, recipe_of(classifier), corpus.X
        is_usable = usable_clips(classifier, corpus.X, len(corpus.y))
        if columns := speaker_columns(classifier):
            if corpus.groups is None:
                raise ValueError(
                    f"{name} needs speaker labels (speaker={columns[0]!r}), and the corpus has no "
                    "speaker labels (groups is None)."
                )
            items = list(corpus.X) if isinstance(corpus.X, np.ndarray) else items_of(corpus.X)
            values = pd.DataFrame({"clip": pd.Series(items, dtype=object)})
            values = values.assign(**dict.fromkeys(columns, corpus.groups))
    description = {
        "features": name,
        "model": getattr(classifier, "model", None),
        "layer": None,
        "pooling": None,
        "embedder": recipe,
    }
    seconds = time.perf_counter() - started
    return {
        "description": description,
        "values": values,
        "seconds": seconds,
        "classifier": fitted,
        "is_usable": is_usable,
    }


def _one_output(name: str, regressor: Any, X: Any) -> npt.NDArray[np.float64]:
    """Return what a published regressor predicts, which has to be one value a clip."""
    outputs = regressor.outputs_.tolist()
    if regressor.output is None and len(outputs) > 1:
        raise ValueError(
            f"{name} has the outputs {', '.join(outputs)}, and y holds one rating a clip: say "
            f"which it is, such as output={outputs[0]!r}."
        )
    return np.asarray(regressor.predict(X), dtype=np.float64).ravel()


def usable_clips(classifier: Any, X: Any, n_clips: int) -> npt.NDArray[np.bool_]:
    """Tell which clips the embedders inside of a classifier can embed; they are stored then."""
    is_usable = np.ones(n_clips, dtype=bool)
    for part in classifier.get_params().values():
        if not isinstance(part, RecordEmbedder):
            continue
        embedder = clone(part)
        for start in range(0, n_clips, AT_ONCE):
            rows = np.arange(start, min(start + AT_ONCE, n_clips))
            try:
                embedded = embedder.fit_transform(safe_indexing(X, rows))
            except ClipError as error:
                raise at_position(error, start + error.position) from None
            is_usable[rows] &= [bool(len(e := np.atleast_1d(each)) and np.isfinite(e).all())
                             for each in embedded]  # fmt: skip
    return is_usable


def at_position(error: ClipError, position: int) -> ClipError:
    """Return the error of a clip with its position in the corpus."""
    return type(error)(position, error.name, error.cause, error.cure)


def warn_of_classes(name: str, recipe: dict[str, Any], predicted: Any, y: Any) -> None:
    """Warn of emotions that a published model lacks, and of those that only it has."""
    classes, emotions = set(recipe["classes"]), set(y)
    if lacking := sorted(emotions - classes):
        n_clips = int(np.isin(y, lacking).sum())
        warn(
            f"{name} has no class for {', '.join(lacking)}: {n_clips} of {len(y)} clips are "
            "counted as wrong.",
        )
    if others := sorted(classes - emotions):
        n_clips = int(np.isin(predicted, others).sum())
        warn(
            f"{name} has classes that the corpus lacks ({', '.join(others)}): {n_clips} of "
            f"{len(y)} clips, predicted to be of these, are counted as wrong.",
        )
