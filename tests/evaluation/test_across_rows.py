"""Ratings across corpora, differences of rows there, confounded ratings, rows not aligned."""

import numpy as np
import pandas as pd
import pytest
import soundfile
from scipy import stats
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.metrics import r2_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from sklearn.utils import Bunch

from sklearn_ser.audit import audit_split
from sklearn_ser.cli import main
from sklearn_ser.datasets import pool_corpora
from sklearn_ser.evaluation import (
    CrossComparison,
    RatingRow,
    compare,
    compare_across,
    compare_corpora,
    uar_score,
)
from sklearn_ser.plotting import ComparisonDisplay

N_SPEAKERS, N_CLIPS = 5, 12
FEATURES = {
    "a": FunctionTransformer(lambda X: np.asarray(X)[:, :2]),
    "b": FunctionTransformer(lambda X: np.asarray(X)[:, 1:]),
}
QUICK = {"audit": False, "n_jobs": 1}


def rated(seed, low=1.0, high=5.0):
    rng = np.random.default_rng(seed)
    y = rng.uniform(low, high, N_SPEAKERS * N_CLIPS)
    X = rng.normal(size=(len(y), 3))
    X[:, :2] += np.outer(y, [1, 0.5]) + 0.1 * seed
    groups = np.repeat([f"s{k}" for k in range(N_SPEAKERS)], N_CLIPS)
    return Bunch(name=f"rated {seed}", X=X, y=y, groups=groups)


def emotional(seed):
    corpus = rated(seed)
    y = np.array(["anger", "fear", "joy"])[np.digitize(corpus.y, [2.3, 3.7])]
    return Bunch(**{**corpus, "y": y})


def lin(y_true, y_pred):
    """Return the CCC as one less the mean squared difference by what it is without correlation."""
    y_true, y_pred = np.asarray(y_true), np.asarray(y_pred)
    expected = np.mean((y_true[:, None] - y_pred[None, :]) ** 2)
    return 1 - np.mean((y_true - y_pred) ** 2) / expected


CORPORA = {"one": rated(1), "two": rated(2), "three": rated(3)}


@pytest.fixture(scope="module")
def found():
    return compare_across(CORPORA, FEATURES, classifier=Ridge(), **QUICK)


@pytest.fixture(scope="module")
def of_emotions():
    corpora = {"one": emotional(1), "two": emotional(2)}
    logistic = LogisticRegression()
    return compare_across(corpora, FEATURES, scheme=None, classifier=logistic, **QUICK)


def test_ratings_across_corpora_equal_a_loop(found):
    matrix = found.matrix("a")
    for test, tested in CORPORA.items():
        for train, trained in CORPORA.items():
            X, X_test = trained.X[:, :2], tested.X[:, :2]
            predicted = Ridge().fit(X, trained.y).predict(X_test)
            if train == test:
                for speaker in np.unique(tested.groups):
                    own = tested.groups == speaker
                    predicted[own] = Ridge().fit(X[~own], tested.y[~own]).predict(X[own])
            assert matrix.loc[train, test] == pytest.approx(lin(tested.y, predicted), abs=1e-12)
        others = [corpus for name, corpus in CORPORA.items() if name != test]
        X, y = (np.concatenate([c[key] for c in others]) for key in ("X", "y"))
        predicted = Ridge().fit(X[:, :2], y).predict(tested.X[:, :2])
        assert matrix.loc["all others", test] == pytest.approx(lin(tested.y, predicted), abs=1e-12)
        (row,) = [
            row
            for row in found.rows
            if (row.features, row.train, row.test) == ("a", "all others", test)
        ]
        assert row.pearson == pytest.approx(np.corrcoef(tested.y, predicted)[0, 1], abs=1e-12)
        assert row.rmse == pytest.approx(np.sqrt(np.mean((tested.y - predicted) ** 2)), abs=1e-12)
        left_out = [
            lin(tested.y[kept], predicted[kept])
            for speaker in np.unique(tested.groups)
            for kept in [tested.groups != speaker]
        ]
        error = np.sqrt(4 / 5 * np.sum((left_out - np.mean(left_out)) ** 2))
        margin = stats.t.ppf(0.975, 4) * error / (1 - row.ccc**2)
        ends = np.tanh(np.arctanh(row.ccc) + np.array([-margin, margin]))
        assert row.ccc_ci == pytest.approx(ends, abs=1e-9)


def test_tables_of_ratings_name_the_score_and_the_ranges(found, tmp_path):
    assert {type(row) for row in found.rows} == {RatingRow}
    assert (found.emotions, found.scheme, found.chance) == ([], None, 0.0)
    lows = {name: (corpus.y.min(), corpus.y.max()) for name, corpus in CORPORA.items()}
    named = ", ".join(f"{name} {low:.3g} to {high:.3g}" for name, (low, high) in lows.items())
    shown = repr(found)
    assert f"A constant has 0. Ratings are from: {named}." in shown
    assert "CCC, 95 % interval for new speakers; a row for what was trained on" in shown
    assert "clips, ratings, Ridge" in shown
    assert "UAR" not in shown
    frame = found.to_frame()
    assert {"ccc", "ccc_low", "pearson", "rmse"} <= {*frame.columns}
    found.save(tmp_path)
    loaded = CrossComparison.load(tmp_path)
    assert loaded == found
    assert loaded.matrix("a").equals(found.matrix("a"))


def test_ratings_of_one_corpus_test_those_of_another():
    one, two = CORPORA["one"], CORPORA["two"]
    found = compare(None, FEATURES, train=one, test=two, classifier=Ridge(), **QUICK)
    predicted = Ridge().fit(one.X[:, :2], one.y).predict(two.X[:, :2])
    assert found.rows[0].ccc == pytest.approx(lin(two.y, predicted), abs=1e-12)
    aligned = compare(
        None, FEATURES, train=one, test=two, classifier=Ridge(), alignment="coral", **QUICK
    )
    assert aligned.rows[0].transductive


SCALED = {
    "pool_corpora": lambda one, two, **given: pool_corpora({"one": one, "two": two}, **given),
    "compare_across": lambda one, two, **given: compare_across(
        {"one": one, "two": two}, FEATURES, classifier=Ridge(), **QUICK, **given
    ),
    "compare": lambda one, two, **given: compare(
        None, FEATURES, train=one, test=two, classifier=Ridge(), **QUICK, **given
    ),
}


@pytest.mark.parametrize("call", SCALED.values(), ids=SCALED)
@pytest.mark.parametrize("scale", [(0, 1), (1, 7), (-1, 1), (0, 100), (2.5, 3.5)])
def test_ratings_on_different_scales_are_refused(call, scale):
    one, two = rated(1), rated(2, *scale)
    with pytest.raises(ValueError, match=r"not seem to be on one scale.*range from .* to .*same_s"):
        call(one, two)
    call(one, two, same_scale=True)
    low, high = scale
    call(one, Bunch(**{**two, "y": 1 + 4 * (two.y - low) / (high - low)}))


@pytest.mark.parametrize("call", SCALED.values(), ids=SCALED)
def test_ratings_and_emotions_are_not_put_together(call):
    with pytest.raises(ValueError, match=r"y of \w+( 1)? holds ratings .*, and y of .* emotions"):
        call(rated(1), emotional(2))


def test_what_has_no_effect_on_ratings_or_emotions_is_refused():
    emotions = {"one": emotional(1), "two": emotional(2)}
    with pytest.raises(ValueError, match="scheme='ekman' has no effect"):
        compare_across(CORPORA, FEATURES, scheme="ekman", **QUICK)
    with pytest.raises(ValueError, match="same_scale has no effect: it is for ratings"):
        compare_across(emotions, FEATURES, scheme=None, same_scale=True, **QUICK)
    with pytest.raises(ValueError, match="same_scale has no effect: it is for two corpora"):
        compare(rated(1), FEATURES, same_scale=True, **QUICK)
    with pytest.raises(ValueError, match="is a classifier, and y holds ratings"):
        compare_across(CORPORA, FEATURES, classifier="lda", **QUICK)
    whole = {name: Bunch(**{**c, "y": np.round(c.y)}) for name, c in CORPORA.items()}
    with pytest.warns(UserWarning, match="all 180 are whole numbers"):
        compare_across(whole, FEATURES, classifier=Ridge(), **QUICK)


@pytest.mark.parametrize("kind", ["found", "of_emotions"])
def test_rows_that_test_one_corpus_are_paired_by_its_speakers(kind, request):
    """Across and within corpora alike: the difference is that of the scores that are shown."""
    across = request.getfixturevalue(kind)
    score = lin if kind == "found" else uar_score

    def scored(row, without=None):
        lines = across.predictions[across.predictions["row"] == row]
        lines = lines[lines["speaker"] != without]
        if across.rows[row].averaging == "mean over folds":
            of_folds = lines.groupby("fold")
            return np.mean([score(its["emotion"], its["predicted"]) for _, its in of_folds])
        return score(lines["emotion"], lines["predicted"])

    reference = next(k for k, row in enumerate(across.rows) if row.test == "two")
    differences = across.differences(reference)
    rows = [k for k, row in enumerate(across.rows) if row.test == "two" and k != reference]
    assert differences["row"].tolist() == rows
    assert {"one", "two"} <= {*differences["train"]}
    assert set(differences["test"]) == {"two"}
    assert set(differences["n_speakers"]) == {5}
    speakers = np.unique(across.predictions.query("row == @reference")["speaker"])
    p_values = []
    for line in differences.to_dict("records"):
        row = line["row"]
        difference = scored(row) - scored(reference)
        left = np.array([scored(row, who) - scored(reference, who) for who in speakers])
        error = np.sqrt(4 / 5 * np.sum((left - left.mean()) ** 2))
        assert line["difference"] == pytest.approx(difference, abs=1e-12)
        shown = across.rows[row].score - across.rows[reference].score
        assert line["difference"] == pytest.approx(shown, abs=1e-12)
        if kind == "found":  # whose speakers weigh the same
            p_values.append(2 * stats.t.sf(abs(difference) / error, 4))
            assert line["p_value"] == pytest.approx(p_values[-1], rel=1e-6)
        half = (line["high"] - line["low"]) / 2
        assert half >= stats.t.ppf(0.975, 4) * error * (1 - 1e-9)
    (alone,) = across.differences(reference, [rows[0]]).to_dict("records")
    assert alone["p_holm"] == alone["p_value"] == differences["p_value"][0]


def test_differences_within_a_corpus_can_be_corrected(found):
    a, b = (
        next(k for k, row in enumerate(found.rows) if (row.features, row.train) == (name, "one"))
        for name in "ab"
    )
    assert found.rows[a].test == found.rows[b].test == "one"
    plain, wider = (
        found.differences(a, [b], correction=how).iloc[0] for how in (None, "nadeau-bengio")
    )
    ratio = (wider["high"] - wider["low"]) / (plain["high"] - plain["low"])
    assert ratio == pytest.approx(np.sqrt(1 + 5 / 4))


def test_rows_that_cannot_be_compared_are_named(found):
    one, two = (
        next(k for k, row in enumerate(found.rows) if row.test == name) for name in ("one", "two")
    )
    for arguments, match in [
        ((99,), "reference: 99 is no position among 24 rows"),
        ((True,), "reference: True is no position"),
        ((one, [-1]), "rows: -1 is no position"),
        ((one, [two]), rf"row {two} cannot be compared with row {one}, which tests one: it tests"),
        ((one, [one]), "it is that row"),
    ]:
        with pytest.raises(ValueError, match=match):
            found.differences(*arguments)
    with pytest.raises(ValueError, match="correction is for rows that have the same number"):
        found.differences(one, correction="nadeau-bengio")
    with pytest.raises(ValueError, match="correction='bonferroni'"):
        found.differences(one, correction="bonferroni")
    alone = compare_across(
        {"one": rated(1), "two": rated(2)}, {"a": FEATURES["a"]}, classifier=Ridge(),
        cv=[(np.arange(48), np.arange(48, 60))], **QUICK,
    )  # fmt: skip
    with pytest.raises(ValueError, match="no other row tests the clips that row 0 tests"):
        alone.differences(0)


def test_the_command_line_compares_ratings_across_tables(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    for name, low in (("first", 1.0), ("second", 1.0), ("other", 0.0)):
        rows = []
        for k in range(18):
            level = k % 6 / 5
            wave = (0.02 + 0.3 * level) * rng.normal(size=4000)
            soundfile.write(f"{name}{k}.wav", wave, 16000)
            value = 1.1 + 3.8 * level if low else level
            rows.append({"path": f"{name}{k}.wav", "arousal": value, "speaker": f"s{k // 6}"})
        pd.DataFrame(rows).to_csv(f"{name}.csv", index=False)
    common = ["--emotion-column", "arousal", "--features", "mfcc", "--classifier", "ridge"]
    common += ["--no-audio-audit", "--quiet", "--jobs", "1", "--cache", "none"]
    assert main(["cross", "table=first.csv", "table=second.csv", *common]) == 0
    assert "CCC" in capsys.readouterr().out
    assert {type(row) for row in CrossComparison.load("cross").rows} == {RatingRow}
    assert main(["cross", "table=first.csv", "table=other.csv", *common]) == 2
    assert "first 1.1 to 4.9, other 0 to 1" in " ".join(capsys.readouterr().err.split())
    assert main(["cross", "table=first.csv", "table=other.csv", "--same-scale", *common]) == 0


# Confounded ratings


def shifted(by, seed=0):
    """Ratings of which a part is the speaker's own level."""
    corpus = rated(seed)
    level = np.repeat(np.linspace(-1, 1, N_SPEAKERS), N_CLIPS)
    return Bunch(**{**corpus, "y": corpus.y + by * level})


@pytest.mark.parametrize(("by", "confounded"), [(0, False), (5, True), (50, True)])
def test_the_audit_says_how_well_ratings_follow_from_the_speaker(by, confounded):
    corpus = shifted(by)
    audit = audit_split(corpus, "loso", audio=False)
    predicted = np.array(
        [
            np.mean([y for j, y in enumerate(corpus.y) if j != i and corpus.groups[j] == own])
            for i, own in enumerate(corpus.groups)
        ]
    )
    assert audit.speaker_ccc == pytest.approx(lin(corpus.y, predicted), abs=1e-12)
    assert (r2_score(corpus.y, predicted) > 0.1) == confounded
    assert audit.confounded is confounded
    assert audit.speaker_uar is None
    assert audit.n_folds_lacking_emotions == 0
    said = f"predicts the rating with a CCC of {audit.speaker_ccc:.2f} (a constant has 0)"
    assert (said in audit.verdict) == confounded
    shared = [(np.arange(60)[np.arange(60) % 2 == k], np.flatnonzero(np.arange(60) % 2 != k))
              for k in (0, 1)]  # fmt: skip
    dependent = audit_split(corpus, shared, audio=False)
    assert dependent.speaker_ccc == pytest.approx(audit.speaker_ccc)
    assert ("may be that of recognising speakers" in dependent.verdict) == confounded
    first = audit.of_folds(0, 1)
    assert set(first.ratings["clip"]) == set(range(12))


def test_compare_marks_confounded_ratings(tmp_path):
    found = compare(shifted(50), FEATURES, classifier=Ridge(), **QUICK)
    assert "ratings CONFOUNDED with speaker" in found.title
    assert found.audit["confounded"] is True
    assert 0.9 < found.audit["speaker_ccc"] < 1
    assert found.audit["speaker_uar"] is None
    assert "CONFOUNDED: the speaker label alone" in found.to_html()
    found = compare(shifted(0), FEATURES, classifier=Ridge(), **QUICK)
    assert "CONFOUNDED" not in found.title
    emotions = compare(emotional(1), FEATURES, classifier="lda", **QUICK)
    assert emotions.audit["speaker_ccc"] is None


def test_speakers_of_one_clip_and_unknown_speakers_have_no_rating_of_their_own():
    corpus = shifted(5)
    corpus.groups[:2] = ["alone", "lonely"]
    audit = audit_split(corpus, [(np.arange(30, 60), np.arange(30))], audio=False)
    expected = (corpus.y.sum() - corpus.y[0]) / 59
    assert audit.ratings["predicted_by_speaker"][0] == pytest.approx(expected)
    groups = corpus.groups.astype(object)
    groups[3] = None
    audit = audit_split(Bunch(**{**corpus, "groups": groups}), [([1], [2, 3])], audio=False)
    assert (audit.speaker_ccc, audit.confounded) == (None, None)


# Rows that are not aligned


def whole(ratings):
    last = Ridge() if ratings else LogisticRegression()
    return make_pipeline(FunctionTransformer(), last)


@pytest.mark.parametrize("ratings", [False, True])
def test_classifiers_of_clips_are_said_not_to_be_aligned(ratings):
    make = rated if ratings else emotional
    features = {"a": FEATURES["a"], "net": whole(ratings)}
    corpora = {"one": make(1), "two": make(2)}
    given = {"classifier": Ridge() if ratings else "lda", **QUICK}
    with pytest.warns(UserWarning, match="coral has no effect on net: these are classifiers"):
        found = compare_across(corpora, features, scheme=None, alignment="coral", **given)
    aligned, bare = (table.title for table in found.tables())
    assert aligned.endswith("coral (transductive)")
    assert bare.endswith("not aligned (a classifier of clips)")
    assert found.matrix("a").equals(found.matrix("a", alignment="coral"))
    assert not any(row.alignment or row.transductive for row in found.rows if row.features == "net")
    pair = {"train": corpora["one"], "test": corpora["two"]}
    with pytest.warns(UserWarning, match="coral has no effect on net"):
        found = compare(None, features, **pair, alignment="coral", **given)
    assert "not aligned, nor scaled by speaker: net." in repr(found)
    with pytest.warns(UserWarning, match="speaker_scaling='own' has no effect on net"):
        found = compare(corpora["one"], features, speaker_scaling="own", **given)
    assert "not aligned, nor scaled by speaker: net." in repr(found)
    found = compare_across(corpora, features, scheme=None, **given)
    assert not any("not aligned (a" in table.title for table in found.tables())


def test_several_rated_corpora_are_still_compared_one_by_one():
    found = compare_corpora(CORPORA, FEATURES, classifier=Ridge(), **QUICK)
    assert found.chosen.shape == (2, 3)


def test_the_figure_of_rows_between_corpora_says_nothing_of_folds(found):
    labels = []
    for crosses in (True, False):
        rows = [row for row in found.rows if row.crosses is crosses and row.test == "one"]
        figure = ComparisonDisplay(rows, "title", found.chance).plot().figure_
        labels.append(figure.axes[0].get_xlabel())
    assert labels[0].startswith("CCC (95 % interval")
    assert labels[1].startswith("CCC, pooled over folds (95 % interval")
