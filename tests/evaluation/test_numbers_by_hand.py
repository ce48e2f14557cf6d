"""Numbers of tables that people have: repeated folds, namesakes, ties, numbers beside text."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from sklearn.base import BaseEstimator, ClassifierMixin, TransformerMixin
from sklearn.model_selection import (
    LeaveOneGroupOut,
    RepeatedStratifiedKFold,
    ShuffleSplit,
    StratifiedKFold,
)
from sklearn.naive_bayes import GaussianNB
from sklearn.tree import DecisionTreeClassifier
from sklearn.utils import Bunch

from sklearn_ser.evaluation import (
    Comparison,
    CorporaComparison,
    compare,
    compare_across,
    compare_corpora,
    concordance_interval,
    row_name,
    speaker_interval,
    uar_score,
)
from sklearn_ser.evaluation._formats import frame_of
from sklearn_ser.evaluation._ranks import rank
from sklearn_ser.plotting import ComparisonDisplay, ReliabilityDisplay, SpeakersDisplay

QUICK = {"classifier": GaussianNB(), "audit": False, "n_jobs": 1}
LEAKS = pytest.mark.filterwarnings("ignore::sklearn_ser.evaluation.LeakageWarning")


class Columns(TransformerMixin, BaseEstimator):
    """Features are columns of the table."""

    def __init__(self, first=0):
        self.first = first

    def fit(self, X, y=None):
        return self

    def transform(self, X):
        return np.asarray(X)[:, self.first :]


FEATURES = {"all": Columns(), "some": Columns(2)}


def table(emotions="abc", n_speakers=8, n_clips=9, *, speakers=True, seed=0):
    rng = np.random.default_rng(seed)
    y = np.resize(list(emotions), n_speakers * n_clips)
    X = rng.normal(0, 1.5, (len(y), 5)) + np.array([ord(each) - 97 for each in y])[:, np.newaxis]
    groups = np.repeat([f"s{k}" for k in range(n_speakers)], n_clips) if speakers else None
    return Bunch(X=X, y=y, groups=groups, name="table")


def uar(lines):
    """Return the mean over folds of the UAR, counted one by one."""
    return np.mean(
        [
            np.mean([np.mean(of["predicted"] == name) for name, of in fold.groupby("emotion")])
            for _, fold in lines.groupby("fold")
        ]
    )


@LEAKS
@pytest.mark.parametrize(
    "cv",
    [
        StratifiedKFold(5, shuffle=True, random_state=0),
        RepeatedStratifiedKFold(n_splits=5, n_repeats=4, random_state=0),
    ],
    ids=["once", "repeated"],
)
def test_folds_that_test_clips_again_are_no_more_units(cv):
    found = compare(table(n_speakers=12, speakers=False), FEATURES, cv=cv, **QUICK)
    of_row = [found.predictions[found.predictions["row"] == k] for k in (0, 1)]
    units = [set(of_row[0].loc[of_row[0]["fold"] == k, "clip"]) for k in range(5)]
    assert found.n_units == 5
    for row, lines in zip(found.rows, of_row, strict=True):
        left = np.array([uar(lines[~lines["clip"].isin(unit)]) for unit in units])
        error = np.sqrt(4 / 5 * np.sum((left - left.mean()) ** 2))
        logit = np.log(row.uar / (1 - row.uar))
        margin = stats.t.ppf(0.975, 4) * error / (row.uar * (1 - row.uar))
        ends = 1 / (1 + np.exp(-(logit + np.array([-margin, margin]))))
        assert row.uar_ci == pytest.approx(ends, abs=2e-3)  # clips of units differ by one
    worst = min(found.rows, key=lambda row: row.uar)
    low, high = worst.difference_ci
    assert low < 0 < high
    assert worst.p_value > 0.05


@LEAKS
@pytest.mark.parametrize(
    ("cv", "n_folds"),
    [
        (StratifiedKFold(4, shuffle=True, random_state=0), 4),
        (RepeatedStratifiedKFold(n_splits=4, n_repeats=5, random_state=0), 4),
        (ShuffleSplit(30, test_size=0.5, random_state=0), 2),
    ],
    ids=["once", "repeated", "halves"],
)
def test_the_correction_is_of_the_share_that_is_tested_and_not_of_repeats(cv, n_folds):
    found = compare(table(), FEATURES, cv=cv, **QUICK)
    widths = [
        np.ptp(found.differences(0, correction=name)[["low", "high"]].to_numpy())
        for name in (None, "nadeau-bengio")
    ]
    assert (widths[1] / widths[0]) ** 2 == pytest.approx(1 + n_folds / (n_folds - 1), rel=1e-9)


def test_the_correction_is_refused_where_every_fold_tests_all_clips():
    everything = np.arange(72)
    with pytest.warns(match="NOT speaker-independent"):
        found = compare(table(), FEATURES, cv=[(everything[:40], everything)] * 2, **QUICK)
    with pytest.raises(ValueError, match="every fold tests all"):
        found.differences(0, correction="nadeau-bengio")


@pytest.fixture(scope="module")
def namesakes():
    """Rows of two models in folders that are called the same."""
    found = compare(table(), FEATURES, **QUICK)
    rows = [
        replace(
            row, features=f"ssl:/runs/{run}/checkpoint-500", model=f"/runs/{run}/checkpoint-500"
        )
        for row, run in zip(found.rows, "ab", strict=True)
    ]
    return replace(found, rows=rows)


def test_features_that_are_called_the_same_are_told_apart_everywhere(namesakes):
    names = [f"ssl:/runs/{run}/checkpoint-500" for run in "ab"]
    assert [row_name(row, namesakes.rows) for row in namesakes.rows] == names
    assert row_name(namesakes.rows[0], namesakes.rows[:1]) == "ssl:checkpoint-500"
    assert frame_of(namesakes)["features"].tolist() == names
    assert all(name in str(namesakes) for name in names)
    both = CorporaComparison({"one": namesakes, "two": namesakes})
    assert both.frame.index.tolist() == both.chosen.index.tolist() == names
    assert sorted(both.ranks().mean_ranks.index) == names
    assert SpeakersDisplay.from_comparison(namesakes).scores["name"].unique().tolist() == names
    assert set(ReliabilityDisplay.from_comparison(namesakes).scores.index) == set(names)
    assert len(ComparisonDisplay.from_comparison(namesakes).ax_.get_yticklabels()) == 2


@pytest.mark.parametrize(
    ("y_true", "y_pred"),
    [(["1", "2", "x", "y"], [1, 2, 1, 2]), (["True", "False"] * 2, [True, False] * 2)],
)
def test_text_is_not_compared_with_numbers(y_true, y_pred):
    speakers, right = list("abcd"), [0.5] * 4
    for score in (
        lambda *labels: uar_score(*labels),
        lambda *labels: speaker_interval(*labels, speakers),
        lambda *labels: ReliabilityDisplay.from_predictions(*labels, right),
    ):
        for labels in ((y_true, y_pred), (y_pred, y_true)):
            with pytest.raises(ValueError, match="text is never equal to a number"):
                score(*labels)


class Codes(ClassifierMixin, BaseEstimator):
    """Predicts the codes that it makes of labels."""

    def fit(self, X, y):
        self.network_ = GaussianNB().fit(X, np.unique(y, return_inverse=True)[1])
        return self

    def predict(self, X):
        return self.network_.predict(X)


class Column(GaussianNB):
    """Predicts a column, as CatBoost does."""

    def predict(self, X):
        return super().predict(X)[:, np.newaxis]


def test_predictions_are_labels_or_an_error():
    given = {"features": {"all": Columns()}, "audit": False, "n_jobs": 1}
    with pytest.raises(ValueError, match="Codes predicts is no emotion for 9 of 9 clips"):
        compare(table(), **given, classifier=Codes())
    column, plain = (compare(table(), **given, classifier=c()) for c in (Column, GaussianNB))
    assert column.rows[0].uar == plain.rows[0].uar


def test_scores_that_differ_in_their_last_bit_share_ranks():
    recalls = [0.1, 0.2, 0.3]
    assert np.mean(recalls) != np.mean(recalls[::-1])
    scores = {"a": np.mean(recalls), "b": np.mean(recalls[::-1]), "c": 0.1}
    found = rank(pd.DataFrame(dict.fromkeys("pqr", scores)))
    assert found.mean_ranks.to_dict() == {"a": 1.5, "b": 1.5, "c": 3.0}


@pytest.mark.parametrize("n_corpora", [2, 3, 4])
def test_corpora_that_agree_are_as_probable_as_by_chance(n_corpora):
    scores = pd.DataFrame({k: {"a": 0.9, "b": 0.8, "c": 0.7} for k in range(n_corpora)})
    # Of the six orders of three, all corpora but the first have the one of the first.
    assert rank(scores).p_value == pytest.approx((1 / 6) ** (n_corpora - 1))


def test_an_interval_of_the_ccc_is_wide_where_one_speaker_alone_is_wrong():
    y_true, speakers = np.tile([1.0, 2.0, 3.0], 5), np.repeat(list("abcde"), 3)
    y_pred = y_true.copy()
    y_pred[0] = 2.5
    low, high = concordance_interval(y_true, y_pred, speakers)
    assert low < 0.5 < 0.95 < high < 1


def test_given_folds_across_corpora_are_positions_in_each_corpus():
    one, two = table("abc", 5, 12, seed=1), table("dabc", 5, 12, seed=2)
    folds = [(np.arange(12, 48), np.arange(12)), (np.arange(12, 48), np.arange(48, 60))]
    found = compare_across(
        {"one": one, "two": two}, {"all": Columns()}, scheme=None, cv=folds, **QUICK
    )
    (row,) = (k for k, row in enumerate(found.rows) if row.train == row.test == "two")
    lines = found.predictions[found.predictions["row"] == row]
    kept = two.y != "d"
    for fold, (train, test) in enumerate(folds):
        tested = lines[lines["fold"] == fold]
        assert (tested["clip"] - len(one.y)).tolist() == test[kept[test]].tolist()
        fitted = GaussianNB().fit(two.X[train[kept[train]]], two.y[train[kept[train]]])
        assert tested["predicted"].tolist() == fitted.predict(two.X[test[kept[test]]]).tolist()


def test_units_are_those_of_predictions_that_are_read_back(tmp_path):
    cv = RepeatedStratifiedKFold(n_splits=5, n_repeats=2, random_state=0)
    with pytest.warns(match="Speakers unknown"):
        found = compare(table(speakers=False), FEATURES, cv=cv, **QUICK)
    found.save(tmp_path)
    read = Comparison.load(tmp_path)
    assert read.n_units == found.n_units == 5
    columns = ["difference", "low", "high", "p_value"]
    pd.testing.assert_frame_equal(read.differences(0)[columns], found.differences(0)[columns])


class Unusable(Columns):
    """Has no features of the clips of one speaker."""

    def transform(self, X):
        X = np.asarray(X)
        return np.where(X[:, :1] > 90, np.nan, X)


def test_folds_of_the_results_are_those_that_predictions_name():
    corpora = {name: table(n_speakers=5, seed=k) for k, name in enumerate(("one", "two"))}
    for corpus in corpora.values():
        corpus.X[corpus.groups == "s1"] = 99
    within = compare(corpora["one"], {"all": Unusable()}, cv=LeaveOneGroupOut(), **QUICK)
    across = compare_across(
        corpora, {"all": Unusable()}, scheme=None, cv=LeaveOneGroupOut(), **QUICK
    )
    (row,) = (k for k, row in enumerate(across.rows) if row.train == row.test == "one")
    of_row = across.predictions[across.predictions["row"] == row]
    for lines, folds in (
        (within.predictions, within.cv_folds),
        (of_row, across.cv_folds["one"]),
    ):
        tested = [fold["clip"].tolist() for _, fold in lines.groupby("fold")]
        assert tested == [fold["test"] for fold in folds]
        assert len(folds) == 4


@pytest.mark.slow
def test_feature_sets_without_a_score_on_every_corpus_are_named_and_not_ranked(tmp_path):
    corpora = {"one": table(n_speakers=5), "two": table(n_speakers=2, n_clips=18)}
    halves = [(np.arange(18), np.arange(18, 36)), (np.arange(18, 36), np.arange(18))]
    several = {"bayes": GaussianNB(), "tree": DecisionTreeClassifier(max_depth=2, random_state=0)}
    found = compare_corpora(
        corpora, FEATURES, cv={"one": "loso", "two": halves}, **{**QUICK, "classifier": several}
    )
    assert [len(each.nested) for each in found.values()] == [2, 0]
    assert found.ranks().mean_ranks.empty
    assert "Not ranked, as not all corpora have that score: all, nested, some, nested" in str(found)
    found.save(tmp_path)
    assert "none has one score on every corpus" in (tmp_path / "report.html").read_text("utf-8")
