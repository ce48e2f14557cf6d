"""Rows are compared with the best one, and any other, paired by speaker."""

import itertools

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import balanced_accuracy_score
from sklearn.model_selection import GridSearchCV, GroupKFold
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from sklearn.utils import Bunch

from sklearn_ser._utils import speaker_folds
from sklearn_ser.cli._tables import print_table
from sklearn_ser.evaluation import Comparison, compare
from sklearn_ser.evaluation import _runner as runner
from sklearn_ser.evaluation._differences import compare_rows, holm
from sklearn_ser.evaluation._feature_tables import Embedded, FeatureTable
from sklearn_ser.evaluation._jackknife import Counts


def columns(*positions):
    return FunctionTransformer(lambda X: np.asarray(X)[:, list(positions)])


def corpus_of(n_speakers, n_clips=6, seed=0):
    """Column 0 tells the emotion well, 1 badly, others nothing."""
    rng = np.random.default_rng(seed)
    y = np.tile(np.repeat(["anger", "fear"], n_clips), n_speakers)
    X = rng.normal(size=(len(y), 4))
    X[:, :2] += np.outer(y == "fear", [2.5, 0.7])
    return Bunch(name="made", X=X, y=y, groups=np.repeat(np.arange(n_speakers), 2 * n_clips))


def run(corpus, **given):
    features = {"good": columns(0), "bad": columns(1), "none": columns(2, 3)}
    return compare(corpus, features, classifier="lda", audit=False, **given)


def test_differences_of_speakers_left_out_are_the_paired_t_test(tmp_path):
    found = run(corpus_of(8))
    uars = np.array([row.fold_uar for row in found.rows])
    lines = found.differences()
    assert lines["row"].tolist() == [1, 2]
    assert set(lines["reference"]) == {0}
    assert set(lines["n_speakers"]) == {8}
    p_values = {}
    for a, b in itertools.combinations(range(3), 2):
        p_values[a, b] = stats.ttest_rel(uars[b], uars[a]).pvalue
    ordered = sorted(p_values.values())
    for line in lines.itertuples():
        expected = stats.ttest_rel(uars[line.row], uars[0])
        interval = expected.confidence_interval(0.95)
        assert line.p_value == pytest.approx(expected.pvalue)
        assert line.difference == pytest.approx(uars[line.row].mean() - uars[0].mean())
        assert (line.low, line.high) == pytest.approx((interval.low, interval.high))
        steps = [p * (3 - k) for k, p in enumerate(ordered) if p <= expected.pvalue * (1 + 1e-9)]
        assert line.p_holm == pytest.approx(min(max(steps), 1))
        row = found.rows[line.row]
        assert row.difference == line.difference
        assert row.difference_ci == [line.low, line.high]
        assert (row.p_value, row.p_holm) == (line.p_value, line.p_holm)
        assert row.not_worse_than_best is bool(line.p_holm >= 0.05)
    best = found.rows[0]
    assert (best.difference, best.p_value, best.p_holm) == (None, None, None)
    assert best.not_worse_than_best is True
    found.save(tmp_path)
    pd.testing.assert_frame_equal(Comparison.load(tmp_path).differences(), lines)


def test_a_given_reference_is_compared_with_all_others_only():
    found = run(corpus_of(8))
    uars = np.array([row.fold_uar for row in found.rows])
    lines = found.differences(1)
    p_values = [stats.ttest_rel(uars[k], uars[1]).pvalue for k in (0, 2)]
    assert lines["row"].tolist() == [0, 2]
    assert lines["p_value"].tolist() == pytest.approx(p_values)
    expected = [2 * min(p_values), max(2 * min(p_values), max(p_values))]
    assert sorted(lines["p_holm"]) == pytest.approx(np.minimum(expected, 1))


def test_nadeau_and_bengio_widen_the_standard_error():
    found = run(corpus_of(10), cv=GroupKFold(5))
    plain, corrected = found.differences(), found.differences(correction="nadeau-bengio")
    widths = [(each["high"] - each["low"]).to_numpy() for each in (plain, corrected)]
    assert widths[1] == pytest.approx(widths[0] * np.sqrt(1 + 5 / 4))
    assert (corrected["p_value"] > plain["p_value"]).all()


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"reference": 3}, "reference=3 is no position among 3 rows"),
        ({"reference": "good"}, "reference='good'"),
        ({"reference": True}, "reference=True"),
        ({"correction": "bonferroni"}, "correction='bonferroni'"),
    ],
)
def test_other_references_and_corrections_are_refused(given, message):
    with pytest.raises(ValueError, match=message):
        run(corpus_of(4)).differences(**given)


def test_one_fold_has_nothing_to_correct_for():
    corpus = corpus_of(8)
    found = run(corpus, cv=[(np.arange(48), np.arange(48, 96))])
    with pytest.raises(ValueError, match="there is one fold"):
        found.differences(correction="nadeau-bengio")


def test_with_few_speakers_differences_have_no_test(capsys):
    found = run(corpus_of(3))
    for row in found.rows[1:]:
        assert row.difference is not None
        assert (row.difference_ci, row.p_value, row.p_holm) == (None, None, None)
        assert row.not_worse_than_best is None
    print_table(found)
    printed = " ".join(capsys.readouterr().out.split())
    assert "none: fewer than four speakers" in printed
    assert "≈" not in printed


def test_the_table_marks_neither_the_best_nor_what_is_different_from_it(capsys):
    found = compare(
        corpus_of(8, 20),
        {"good": columns(0), "also": columns(0, 3), "none": columns(2, 3)},
        classifier="lda",
        audit=False,
    )
    print_table(found)
    printed = capsys.readouterr().out
    marked = {
        name: "≈" in next(line for line in printed.splitlines() if f"│ {name} " in line)
        for name in ("good", "also", "none")
    }
    good, also, none = found.rows
    assert good.uar == also.uar > none.uar  # both are the best, and bold
    assert marked == {"good": False, "also": False, "none": False}
    assert [row.not_worse_than_best for row in found.rows] == [True, True, False]


def test_speakers_who_all_differ_alike_have_the_p_value_of_the_sign_test():
    corpus = corpus_of(5)
    corpus.X[:, 0] = 10.0 * (corpus.y == "fear")
    features = {"perfect": columns(0), "constant": FunctionTransformer(lambda X: np.ones((60, 1)))}
    found = compare(corpus, features, classifier=LogisticRegression(), audit=False)
    row = found.rows[1]
    assert row.difference_ci == [-0.5, -0.5]
    signs = stats.permutation_test(
        (np.full(5, 0.5), np.zeros(5)), lambda a, b: np.mean(a - b), permutation_type="samples"
    )
    assert row.p_value == pytest.approx(signs.pvalue)


def test_holm_by_hand():
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.6, 0.5]).tolist() == [1, 1]


@pytest.mark.parametrize(("n_speakers", "effect", "low", "high"), [
    (4, 0, 0.02, 0.08), (10, 0, 0.02, 0.08), (10, 0.2, 0.8, 1),
])  # fmt: skip
def test_level_and_power(n_speakers, effect, low, high):
    rng = np.random.default_rng(0)
    speakers = np.repeat(np.arange(n_speakers), 40)
    emotions = np.tile(np.repeat(np.arange(4), 10), n_speakers)
    counts = Counts(emotions, speakers, speakers)
    told = 0
    for _ in range(500):
        rates = np.clip(rng.beta(4.2, 1.8, n_speakers) + rng.normal(0, 0.08, (2, n_speakers)), 0, 1)
        rates = rates * (1 - effect)
        rates[1] += effect
        hits = [counts.hits(rng.random(len(speakers)) < each[speakers]) for each in rates]
        told += compare_rows(counts, hits, 0)["p_value"].iloc[1] < 0.05
    assert low <= told / 500 <= high


def with_layers(monkeypatch, layers):
    """Let an embedder of several layers have given these tables."""

    def embed(corpus, sets):
        tables = [
            FeatureTable(
                {"features": "many", "model": "m", "layer": k, "pooling": None, "embedder": {}},
                values,
                0.0,
            )
            for k, values in enumerate(layers)
        ]
        return Embedded(tables, np.arange(len(corpus.y)), [], None)

    monkeypatch.setattr(runner, "embed", embed)


@pytest.mark.one_in(3)
@pytest.mark.parametrize("kind", ["logistic", "lda", "search"])
def test_the_layer_is_chosen_inside_the_training_folds(monkeypatch, kind, tmp_path, capsys):
    """As a search over the layers' columns does, by the same folds."""
    corpus = corpus_of(4, 8, seed=3)
    layers = [corpus.X[:, [k]] for k in (2, 1, 0)]
    layers[2] = layers[2] * 0.3 + np.random.default_rng(1).normal(size=layers[2].shape)
    with_layers(monkeypatch, layers)
    search = GridSearchCV(LogisticRegression(), {"C": [0.1, 1]}, scoring="balanced_accuracy", cv=3)
    classifier = search if kind == "search" else kind
    found = compare(corpus, ["mfcc"], classifier=classifier, audit=False)
    (nested,) = found.nested
    told, chosen = [], []
    for fold, name in enumerate(np.unique(corpus.groups)):
        train = corpus.groups != name
        y, groups = corpus.y[train], corpus.groups[train]
        best = []
        for X in (layer[train] for layer in layers):
            if kind == "search":
                best.append(search.fit(X, y).best_score_)
                continue
            estimator = (
                LogisticRegression(max_iter=5000)
                if kind == "logistic"
                else LinearDiscriminantAnalysis(solver="lsqr", shrinkage="auto")
            )
            grid = {"logisticregression__C": 10.0 ** np.arange(-4, 2)} if kind == "logistic" else {}
            inner = GridSearchCV(
                make_pipeline(StandardScaler(), estimator),
                grid,
                scoring="balanced_accuracy",
                cv=speaker_folds(groups, 5),
            )
            best.append(inner.fit(X, y).best_score_)
        chosen.append(int(np.argmax(best)))
        lines = found.predictions
        lines = lines[(lines["row"] == chosen[-1]) & (lines["fold"] == fold)]
        told.append(balanced_accuracy_score(lines["emotion"], lines["predicted"]))
    assert nested.rows == nested.layers == chosen
    assert nested.fold_uar == pytest.approx(told)
    assert nested.uar == pytest.approx(np.mean(told))
    assert nested.uar_ci[0] < nested.uar < nested.uar_ci[1]
    print_table(found)
    printed = " ".join(capsys.readouterr().out.split())
    assert f"layer chosen inside the training folds: UAR {nested.uar:.3f}" in printed
    found.save(tmp_path)
    assert Comparison.load(tmp_path) == found


@pytest.mark.slow
def test_of_thirteen_layers_of_noise_the_best_is_flattered_and_the_nested_one_is_not(monkeypatch):
    best, nested = [], []
    for seed in range(5):
        corpus = corpus_of(4, 8)
        layers = np.random.default_rng(seed).normal(size=(13, len(corpus.y), 2))
        with_layers(monkeypatch, layers)
        found = compare(corpus, ["mfcc"], classifier=GaussianNB(), audit=False)
        best.append(found.rows[found.best].uar)
        nested.append(found.nested[0].uar)
    assert np.mean(best) > 0.56
    assert abs(np.mean(nested) - 0.5) < 3 * np.std(nested, ddof=1) / np.sqrt(len(nested))
    assert np.mean(best) - np.mean(nested) > 0.06


def test_one_layer_or_speakers_who_cannot_be_split_have_no_nested_score(monkeypatch):
    corpus = corpus_of(5)
    with_layers(monkeypatch, [corpus.X[:, :1]])
    assert compare(corpus, ["mfcc"], classifier="lda", audit=False).nested == []
    with_layers(monkeypatch, [corpus.X[:, :1], corpus.X[:, 1:]])
    given = {"classifier": "lda", "audit": False}
    assert compare(corpus, ["mfcc"], nested=False, **given).nested == []
    halves = [np.flatnonzero(corpus.groups == k) for k in (0, 1)]
    found = compare(corpus, ["mfcc"], cv=[tuple(halves)], **given)
    assert found.nested == []
