"""Whatever part of a classifier takes groups is given the speakers, however deep it is nested."""

import numpy as np
import pytest
import sklearn
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.dummy import DummyClassifier
from sklearn.ensemble import VotingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, GroupKFold, LeaveOneGroupOut, StratifiedKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from sklearn.utils import Bunch

from sklearn_ser.classifiers import LayerWeightedClassifier, MLPHead
from sklearn_ser.evaluation import compare, compare_across, uar_score
from sklearn_ser.evaluation._classifiers import fit_classifier
from sklearn_ser.model_selection import BalancedSpeakerKFold, LeaveOneSpeakerOut
from sklearn_ser.recognition import (
    EmotionRecognizer,
    OutOfDomainDetector,
    load_recognizer,
    save_recognizer,
)

SPEAKERS = np.repeat([f"s{k}" for k in range(6)], 6)
Y = np.tile(["anger", "anger", "fear", "fear", "joy", "joy"], 6)
TOLD = []  # the speakers of each fit, and the rows' own, which stand in the first feature


class Listener(DummyClassifier):
    """Writes down the speakers that it is told."""

    def __init__(self, strategy="prior", random_state=None, constant=None):
        super().__init__(strategy=strategy, random_state=random_state, constant=constant)

    def fit(self, X, y, groups=None):
        own = [f"s{round(k)}" for k in np.asarray(X)[:, 0]]
        TOLD.append((own, None if groups is None else list(groups)))
        return super().fit(X, y)


class OwnSplitter:
    """One that knows neither scikit-learn's base class nor its metadata routing."""

    def split(self, X, y=None, groups=None):
        return GroupKFold(2).split(X, y, groups)

    def get_n_splits(self, X=None, y=None, groups=None):
        return 2


def corpus():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(36, 4))
    X[:, 0] = [int(name[1:]) for name in SPEAKERS]
    X[:, 1] += np.unique(Y, return_inverse=True)[1]
    return Bunch(name="made", X=X, y=Y, groups=SPEAKERS)


NUMBERS = {"numbers": FunctionTransformer()}
AS_IT_IS = FunctionTransformer()
GRID = {"strategy": ["prior", "stratified"]}
DEEP = {"listener__strategy": ["prior", "stratified"]}
# The classifier, and how often its listener is fitted on a training fold.
CLASSIFIERS = {
    "itself": (Listener(), 1),
    "in a pipeline": (make_pipeline(AS_IT_IS, Listener()), 1),
    "in a pipeline in one": (make_pipeline(AS_IT_IS, make_pipeline(AS_IT_IS, Listener())), 1),
    "in a search": (GridSearchCV(Listener(), GRID, cv=GroupKFold(2)), 5),
    "in a search that splits by class": (GridSearchCV(Listener(), GRID, cv=StratifiedKFold(2)), 5),
    "in a pipeline in a search": (
        GridSearchCV(make_pipeline(AS_IT_IS, Listener()), DEEP, cv=GroupKFold(2)),
        5,
    ),
    "in a search in a pipeline": (
        make_pipeline(AS_IT_IS, GridSearchCV(Listener(), GRID, cv=OwnSplitter())),
        5,
    ),
    "in a vote": (VotingClassifier([("a", Listener()), ("b", LogisticRegression())]), 1),
    "in a calibration": (CalibratedClassifierCV(Listener(), cv=GroupKFold(2), ensemble=False), 3),
}


@pytest.mark.one_in(5)
@pytest.mark.parametrize("routing", [False, True])
@pytest.mark.parametrize("speaker_scaling", [None, "global"])
@pytest.mark.parametrize("name", CLASSIFIERS)
def test_speakers_reach_every_fit(name, speaker_scaling, routing, monkeypatch):
    classifier, n_fits = CLASSIFIERS[name]
    if speaker_scaling is not None:  # else the first feature would be scaled
        monkeypatch.setattr(
            "sklearn_ser.evaluation._classifiers.SpeakerScaler",
            lambda unseen: FunctionTransformer(lambda X: X[:, :-1]),
        )
    TOLD.clear()
    with sklearn.config_context(enable_metadata_routing=routing):
        compare(
            corpus(), NUMBERS, classifier=classifier, audit=False, speaker_scaling=speaker_scaling
        )
    assert len(TOLD) == 6 * n_fits
    assert all(own == told for own, told in TOLD)
    assert {len(set(own)) for own, _ in TOLD if len(own) == 30} == {5}


def test_no_request_stays_on_the_users_estimator_or_on_what_is_fitted():
    classifier, _ = CLASSIFIERS["in a pipeline in a search"]
    fitted = fit_classifier(classifier, corpus().X, Y, SPEAKERS)
    for estimator in (classifier, fitted, fitted.best_estimator_):
        parts = [estimator, *estimator.get_params().values()]
        assert not any("_metadata_request" in getattr(part, "__dict__", {}) for part in parts)


@pytest.mark.parametrize("cv", [GroupKFold(2), LeaveOneGroupOut(), LeaveOneSpeakerOut(),
                                BalancedSpeakerKFold(2), OwnSplitter()])  # fmt: skip
def test_a_searchs_folds_share_no_speaker(cv):
    search = GridSearchCV(Listener(), GRID, cv=cv)
    TOLD.clear()
    fit_classifier(search, corpus().X, Y, SPEAKERS)
    expected = [set(SPEAKERS[train]) for train, _ in cv.split(Y, Y, SPEAKERS)]
    assert [set(own) for own, _ in TOLD] == expected * 2 + [set(SPEAKERS)]


@pytest.mark.parametrize("head", [MLPHead, lambda **given: LayerWeightedClassifier(2, **given)])
@pytest.mark.parametrize("deep", [False, True])
def test_heads_behind_a_scaler_equal_a_plain_loop(head, deep):
    """And do not warn, as they would if they were not told who speaks."""
    own = head(max_epochs=2, random_state=0)
    pipeline = make_pipeline(StandardScaler(), own)
    X, y, groups = (corpus()[name] for name in ("X", "y", "groups"))
    expected = []
    for train, test in LeaveOneGroupOut().split(X, y, groups):
        scaler = StandardScaler().fit(X[train])
        fitted = clone(own).fit(scaler.transform(X[train]), y[train], groups=groups[train])
        expected.append(uar_score(y[test], fitted.predict(scaler.transform(X[test]))))
    name = pipeline.steps[-1][0]
    if deep:
        pipeline = GridSearchCV(pipeline, {f"{name}__max_epochs": [2]}, cv=GroupKFold(2))
    found = compare(corpus(), NUMBERS, classifier=pipeline, audit=False)
    assert found.results["rows"][0]["fold_uar"] == pytest.approx(expected)


def test_across_corpora_speakers_reach_every_fit():
    TOLD.clear()
    both = {"one": corpus(), "two": corpus()}
    classifier, _ = CLASSIFIERS["in a pipeline"]
    compare_across(both, NUMBERS, scheme=None, classifier=classifier, audit=False)
    assert len(TOLD) == 6 + 1 + 1 + 6
    assert all([name.split("/")[1] for name in told] == own for own, told in TOLD)


@pytest.mark.parametrize("routing", [False, True])
@pytest.mark.parametrize("name", ["itself", "in a pipeline", "in a search in a pipeline"])
def test_a_recognizers_classifier_is_told(name, routing):
    TOLD.clear()
    classifier, n_fits = CLASSIFIERS[name]
    detector = OutOfDomainDetector([FunctionTransformer()])
    recognizer = EmotionRecognizer(FunctionTransformer(), classifier, detector=detector)
    with sklearn.config_context(enable_metadata_routing=routing):
        recognizer.fit(corpus().X, Y, SPEAKERS)
    assert len(TOLD) == (6 + 1) * n_fits
    assert all(own == told for own, told in TOLD)


def test_a_recognizer_with_a_head_in_a_pipeline_is_written_and_read(tmp_path):
    head = make_pipeline(StandardScaler(), MLPHead(max_epochs=1, random_state=0))
    detector = OutOfDomainDetector([FunctionTransformer()])
    recognizer = EmotionRecognizer(FunctionTransformer(), head, detector=detector)
    recognizer.fit(corpus().X, Y, SPEAKERS)
    save_recognizer(recognizer, tmp_path / "r.skops")
    loaded = load_recognizer(tmp_path / "r.skops")
    expected = recognizer.predict_proba(corpus().X)
    np.testing.assert_array_equal(loaded.predict_proba(corpus().X), expected)


@pytest.mark.parametrize("classifier", ["logistic", "lda", DummyClassifier()])
def test_classifiers_that_take_no_groups_do_without(classifier):
    with sklearn.config_context(enable_metadata_routing=True):
        found = compare(corpus(), NUMBERS, classifier=classifier, audit=False)
    plain = compare(corpus(), NUMBERS, classifier=classifier, audit=False)
    assert found.predictions.equals(plain.predictions)


def test_a_search_whose_fits_fail_is_an_error_and_chooses_nothing():
    speakers = np.repeat(list("abcdef"), 6)
    y = np.where(np.isin(speakers, ["b", "c"]), "depressed", "control")
    X, kept = np.random.default_rng(0).normal(size=(36, 3)), ~np.isin(speakers, ["a", "b"])
    search = GridSearchCV(LogisticRegression(), {"C": [1e-6, 1]}, cv=LeaveOneGroupOut())
    with pytest.raises(ValueError, match=r"a fit inside of GridSearchCV failed: .* lack emotions"):
        fit_classifier(search, X[kept], y[kept], speakers[kept])


def test_a_search_over_a_network_may_train_on_one_speaker():
    search = GridSearchCV(
        MLPHead(max_epochs=2, random_state=0), {"dropout": [0.9, 0.1]}, cv=GroupKFold(2)
    )
    two = np.isin(SPEAKERS, np.unique(SPEAKERS)[:2])
    X = np.random.default_rng(0).normal(size=(len(Y), 4))
    with pytest.warns(UserWarning, match="there is one speaker, so that"):
        fitted = fit_classifier(search, X[two], np.asarray(Y)[two], np.asarray(SPEAKERS)[two])
    assert np.isfinite(fitted.cv_results_["mean_test_score"]).all()
