"""A comparison keeps the probability of each predicted emotion, of classifiers that give one."""

import numpy as np
import pytest
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GroupKFold, LeaveOneGroupOut
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from sklearn.svm import SVC
from sklearn.utils import Bunch

from sklearn_ser.classifiers import MLPHead, PretrainedEmotionClassifier
from sklearn_ser.evaluation import Comparison, compare, compare_across

IDENTITY = FunctionTransformer()


class Undecided(ClassifierMixin, BaseEstimator):
    """Predicts a class that has not the highest probability, as calibrated SVMs may."""

    def fit(self, X, y):
        self.classes_ = np.unique(y)
        return self

    def predict(self, X):
        return np.resize(self.classes_, len(X))

    def predict_proba(self, X):
        return np.tile([0.2, 0.3, 0.5], (len(X), 1))


def made(seed=0, n_speakers=5):
    rng = np.random.default_rng(seed)
    y = np.tile(np.repeat(["anger", "fear", "joy"], 4), n_speakers)
    X = rng.normal(size=(len(y), 3)) + np.outer(y == "fear", [1.5, 0.7, 0])
    groups = np.repeat([f"{seed}{k}" for k in range(n_speakers)], 12)
    return Bunch(name=f"made {seed}", X=X, y=y, groups=groups)


def run(corpus, classifier, **given):
    return compare(corpus, {"a": IDENTITY}, classifier=classifier, audit=False, **given)


@pytest.fixture(scope="module")
def corpus():
    return made()


NETWORK = MLPHead(max_epochs=2, random_state=0)


@pytest.mark.parametrize("classifier", [LogisticRegression(C=0.1), GaussianNB(), NETWORK])
def test_it_is_the_highest_probability_of_each_test_clip(corpus, classifier):
    lines = run(corpus, classifier).predictions.set_index("clip")
    for train, test in LeaveOneGroupOut().split(corpus.X, corpus.y, corpus.groups):
        known = {"groups": corpus.groups[train]} if classifier is NETWORK else {}
        fitted = clone(classifier).fit(corpus.X[train], corpus.y[train], **known)
        probabilities = fitted.predict_proba(corpus.X[test])
        found = lines.loc[test, "confidence"]
        np.testing.assert_allclose(found, probabilities.max(axis=1), rtol=1e-6)
        predicted = fitted.classes_[probabilities.argmax(axis=1)]
        assert lines.loc[test, "predicted"].tolist() == predicted.tolist()


def test_it_is_that_of_the_predicted_emotion_and_not_the_highest(corpus):
    lines = run(corpus, Undecided()).predictions
    expected = lines["predicted"].map({"anger": 0.2, "fear": 0.3, "joy": 0.5})
    assert lines["confidence"].tolist() == expected.tolist()


def test_classifiers_without_probabilities_have_none(corpus):
    found = run(corpus, ["lda", "svm", SVC()])
    known = found.predictions.groupby("row")["confidence"].agg(lambda its: its.notna().mean())
    assert known.tolist() == [1, 0, 0]


def test_the_svm_that_the_error_names_has_probabilities(corpus):
    calibrated = CalibratedClassifierCV(SVC(), cv=GroupKFold(2))
    assert run(corpus, calibrated).predictions["confidence"].between(1 / 3, 1).all()


def test_ratings_have_no_confidence(corpus):
    ratings = Bunch(**{**corpus, "y": corpus.X @ [1.0, 2, 3] / 7})
    found = run(ratings, "ridge")
    assert "confidence" not in found.predictions
    assert "of which regressors give no" in str(refusal(found))


def refusal(found):
    from sklearn_ser.plotting import ReliabilityDisplay

    with pytest.raises(ValueError, match="ratings were compared") as told:
        ReliabilityDisplay.from_comparison(found)
    return told.value


def test_between_corpora_it_is_kept_too(corpus):
    found = compare_across(
        {"a": corpus, "b": made(1)}, {"a": IDENTITY}, scheme=None, classifier="lda", audit=False
    )
    assert found.predictions["confidence"].between(1 / 3, 1).all()


@pytest.mark.one_in(2)
@pytest.mark.parametrize("classifier", ["lda", "svm"])
def test_it_is_kept_and_saved_to_the_last_bit(corpus, classifier, tmp_path):
    found = run(corpus, classifier, memory=tmp_path / "fits")
    again = run(corpus, classifier, memory=tmp_path / "fits")
    assert again.predictions.equals(found.predictions)
    found.save(tmp_path / "out")
    loaded = Comparison.load(tmp_path / "out").predictions
    np.testing.assert_array_equal(loaded["confidence"], found.predictions["confidence"])
    assert loaded["confidence"].dtype == float


def test_of_a_published_model_it_is_that_of_its_own_probabilities(corpus, monkeypatch):
    def predict_proba(self, X):
        first = 1 / (1 + np.exp(-np.asarray(X)[:, 0]))
        return np.column_stack([first, 1 - first])

    classes = property(lambda self: np.array(["anger", "calm"]))
    monkeypatch.setattr(PretrainedEmotionClassifier, "classes_", classes)
    monkeypatch.setattr(PretrainedEmotionClassifier, "fit", lambda self, X, y=None: self)
    monkeypatch.setattr(PretrainedEmotionClassifier, "predict_proba", predict_proba)
    settings = {"weights": "w"}
    monkeypatch.setattr(PretrainedEmotionClassifier, "compute_settings", lambda self: settings)
    with pytest.warns(UserWarning, match="m has"):
        found = compare(corpus, {"a": IDENTITY, "m": "pretrained:m"}, audit=False)
    lines = found.predictions.query("row == 1").sort_values("clip")
    first = 1 / (1 + np.exp(-corpus.X[:, 0]))
    np.testing.assert_allclose(lines["confidence"], np.maximum(first, 1 - first))
    assert lines["predicted"].tolist() == np.where(first >= 0.5, "anger", "calm").tolist()


@pytest.mark.slow
def test_features_of_the_best_row_stay_at_hand_and_are_not_saved(corpus, tmp_path):
    features = {"noise": FunctionTransformer(np.zeros_like), "a": IDENTITY}
    clips = make_pipeline(FunctionTransformer(), GaussianNB())
    found = compare(corpus, {**features, "whole": clips}, classifier="lda", audit=False)
    np.testing.assert_array_equal(found.embeddings, corpus.X)
    assert found.embeddings.index.tolist() == list(range(len(corpus.y)))
    found.save(tmp_path)
    again = Comparison.load(tmp_path)
    assert again == found
    assert again.embeddings is None
    assert compare(corpus, {"whole": clips}, audit=False).embeddings is None
