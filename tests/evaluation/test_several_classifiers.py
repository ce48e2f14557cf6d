"""Several classifiers: each a row of every feature set, and chosen inside the training folds."""

import itertools
import json

import numpy as np
import pytest
from scipy import stats
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import balanced_accuracy_score
from sklearn.model_selection import GridSearchCV, LeaveOneGroupOut
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from sklearn.svm import SVC
from sklearn.utils import Bunch

from sklearn_ser._utils import speaker_folds
from sklearn_ser.cli import main
from sklearn_ser.cli._tables import print_cross, print_table
from sklearn_ser.datasets import make_emotional_speech
from sklearn_ser.evaluation import Comparison, compare, compare_across


def columns(*positions):
    return FunctionTransformer(lambda X: np.asarray(X)[:, list(positions)])


@pytest.fixture(scope="module")
def corpus():
    """Of which one column separates the emotions by its mean, and one by its variance."""
    rng = np.random.default_rng(0)
    y = np.tile(np.repeat(["anger", "fear"], 8), 6)
    X = rng.normal(size=(len(y), 3))
    X[:, 0] += 1.5 * (y == "fear")
    X[:, 1] *= np.where(y == "fear", 3, 0.3)
    return Bunch(name="made", X=X, y=y, groups=np.repeat(np.arange(6), 16))


FEATURES = {"mean": columns(0), "variance": columns(1)}
OWN = {"naive": GaussianNB(), "wide": make_pipeline(StandardScaler(), SVC(C=3))}


@pytest.mark.one_in(4)
@pytest.mark.parametrize(
    ("classifier", "names"),
    [
        (["lda", "svm"], ["lda", "svm"]),
        (("lda", GaussianNB(), OWN["wide"]), ["lda", "GaussianNB", "SVC"]),
        ({"a": "lda", **OWN}, ["a", "naive", "wide"]),
        (np.array(["lda"]), ["lda"]),
        ("lda", ["lda"]),
        (OWN["wide"], ["SVC"]),
    ],
)
def test_each_classifier_is_a_row_of_each_feature_set(corpus, classifier, names):
    found = compare(corpus, FEATURES, classifier=classifier, audit=False)
    expected = list(itertools.product(FEATURES, names))
    assert [(row.features, row.classifier) for row in found.rows] == expected
    given = classifier.values() if isinstance(classifier, dict) else classifier
    given = [classifier] if len(names) == 1 else given
    for row, (features, one) in zip(
        found.rows, itertools.product(FEATURES.items(), given), strict=True
    ):
        alone = compare(corpus, dict([features]), classifier=one, audit=False).rows[0]
        assert row.fold_uar == alone.fold_uar


def test_rows_of_all_classifiers_are_compared_with_the_best(corpus):
    found = compare(corpus, FEATURES, classifier={"lda": "lda", **OWN}, audit=False)
    uars = np.array([row.fold_uar for row in found.rows])
    assert found.best == uars.mean(axis=1).argmax()
    of_pairs = [found.differences(k).query("row > reference")["p_value"] for k in range(6)]
    ordered = np.sort(np.concatenate(of_pairs))
    assert len(ordered) == 15
    lines = found.differences()
    assert lines["classifier"].tolist() == [
        row.classifier for k, row in enumerate(found.rows) if k != found.best
    ]
    for line in lines.itertuples():
        p_value = stats.ttest_rel(uars[line.row], uars[found.best]).pvalue
        assert line.p_value == pytest.approx(p_value)
        steps = [p * (15 - k) for k, p in enumerate(ordered) if p <= p_value * (1 + 1e-9)]
        assert line.p_holm == pytest.approx(min(max(steps), 1))


@pytest.mark.parametrize("own_search", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_the_classifier_is_chosen_inside_the_training_folds(corpus, own_search):
    """By the UAR of the same inner folds, whatever a search of one's own maximises."""
    other = GaussianNB()
    if own_search:  # whose own score is far below any UAR
        other = GridSearchCV(other, {"var_smoothing": [1e-9]}, scoring="neg_log_loss", cv=2)
    given = {"lda": "lda", "other": other, "logistic": "logistic"}
    found = compare(corpus, FEATURES, classifier=given, audit=False)
    scaled = {
        "lda": LinearDiscriminantAnalysis(solver="lsqr", shrinkage="auto"),
        "logistic": LogisticRegression(max_iter=5000),
    }
    candidates = {
        "other": (GaussianNB(), {}),
        "lda": (make_pipeline(StandardScaler(), scaled["lda"]), {}),
        "logistic": (
            make_pipeline(StandardScaler(), scaled["logistic"]),
            {"logisticregression__C": 10.0 ** np.arange(-4, 2)},
        ),
    }
    for k, (nested, column) in enumerate(zip(found.nested, (0, 1), strict=True)):
        chosen, told = [], []
        for train, test in LeaveOneGroupOut().split(corpus.X, corpus.y, corpus.groups):
            X, y = corpus.X[train][:, [column]], corpus.y[train]
            folds = speaker_folds(corpus.groups[train], 5)
            searches = {
                name: GridSearchCV(
                    candidates[name][0], candidates[name][1], scoring="balanced_accuracy", cv=folds
                ).fit(X, y)
                for name in given
            }
            best = max(searches, key=lambda name: searches[name].best_score_)
            predicted = searches[best].predict(corpus.X[test][:, [column]])
            chosen.append(best)
            told.append(balanced_accuracy_score(corpus.y[test], predicted))
        assert nested.classifiers == chosen
        assert nested.rows == [3 * k + list(given).index(name) for name in chosen]
        assert nested.fold_uar == pytest.approx(told)
    assert set(found.nested[1].classifiers) == {"other"}  # alone sees a difference of variances
    assert found.nested[0].layers == [None] * 6


def test_table_and_results_hold_the_classifiers(corpus, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", "160")
    found = compare(corpus, FEATURES, classifier={"lda": "lda", **OWN}, audit=False)
    print_table(found)
    printed = " ".join(capsys.readouterr().out.split())
    assert "┃ features ┃ classifier ┃" in printed
    assert "│ mean │ naive │" in printed
    assert "accuracy" in printed
    assert "variance, classifier chosen inside the training folds" in printed
    monkeypatch.setenv("COLUMNS", "80")
    print_table(found)
    printed = " ".join(capsys.readouterr().out.split())
    assert "┃ features ┃ classifier ┃ layer ┃ UAR ┃ 95 % interval ┃" in printed
    assert "In results.json: accuracy, macro F1, seconds." in printed
    assert found.classifier == "lda, naive, wide"
    assert "lda, naive, wide" in found.title
    found.save(tmp_path)
    assert Comparison.load(tmp_path) == found
    recipes = json.loads((tmp_path / "results.json").read_text())["classifier_parameters"]
    assert list(recipes) == ["lda", "naive", "wide"]
    assert recipes["lda"]["name"] == "lda"
    assert recipes["naive"]["class"] == "sklearn.naive_bayes.GaussianNB"
    assert recipes["wide"]["parameters"]["steps"][1][1]["parameters"]["C"] == 3


def test_across_corpora_too(corpus, capsys):
    other = Bunch(**{**corpus, "groups": corpus.groups + 10})
    given = {"features": FEATURES, "scheme": None, "audit": False}
    found = compare_across({"a": corpus, "b": other}, classifier=["lda", OWN["naive"]], **given)
    for name in ("lda", "GaussianNB"):
        alone = {"lda": "lda", "GaussianNB": OWN["naive"]}[name]
        expected = compare_across({"a": corpus, "b": other}, classifier=alone, **given)
        for features in FEATURES:
            shown = found.matrix(features, classifier=name)
            assert shown.equals(expected.matrix(features))
    assert {row.classifier for row in found.select("variance")} == {"GaussianNB"}
    print_cross(found)
    assert "2 emotions, GaussianNB" in " ".join(capsys.readouterr().out.split())
    with pytest.raises(ValueError, match="classifiers \\['GaussianNB', 'lda'\\]"):
        found.matrix(classifier="svm")


@pytest.mark.parametrize(
    ("classifier", "error", "message"),
    [
        ([], ValueError, "classifier is empty"),
        ({}, ValueError, "classifier is empty"),
        (["lda", "lda"], ValueError, "two classifiers are called 'lda'"),
        ([SVC(), SVC(C=2)], ValueError, "two classifiers are called 'SVC'; pass a dict"),
        (["lda", "forest"], ValueError, "classifier='forest'"),
        ([SVC], TypeError, "is not a scikit-learn classifier"),
        ({"a": StandardScaler()}, TypeError, "is not a scikit-learn classifier"),
        ({1: "lda"}, TypeError, "1 is no name"),
        ({"lda"}, TypeError, "is not a scikit-learn classifier"),
    ],
)
def test_other_classifiers_are_refused(corpus, classifier, error, message):
    for run in (compare, lambda one, *given, **named: compare_across({"a": one, "b": one}, *given,
                                                                     **named)):  # fmt: skip
        with pytest.raises(error, match=message):
            run(corpus, FEATURES, classifier=classifier, audit=False)


@pytest.mark.slow
def test_the_command_line_takes_several(tmp_path, monkeypatch, capsys):
    small = make_emotional_speech(n_speakers=4, n_sentences=1, random_state=0)
    monkeypatch.setattr(
        "sklearn_ser.datasets.make_emotional_speech", lambda **_: Bunch(**{**small})
    )
    given = "compare --features mfcc --no-audio-audit --classifier lda logistic --quiet --out"
    assert main([*given.split(), str(tmp_path)]) == 0
    found = Comparison.load(tmp_path)
    assert [row.classifier for row in found.rows] == ["lda", "logistic"]
    assert len(found.nested) == 1
    assert "mfcc, classifier chosen inside" in " ".join(capsys.readouterr().out.split())
