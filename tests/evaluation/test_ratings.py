"""Ratings (arousal, valence, dominance) are predicted by regressors, and scored by their CCC."""

import json
import re
from collections import Counter
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import soundfile
from scipy import stats
from sklearn.base import BaseEstimator, RegressorMixin, TransformerMixin, clone
from sklearn.compose import TransformedTargetRegressor
from sklearn.linear_model import LinearRegression, LogisticRegression, Ridge
from sklearn.model_selection import GridSearchCV, GroupKFold, LeaveOneGroupOut, StratifiedGroupKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from sklearn.svm import SVR
from sklearn.utils import Bunch

from sklearn_ser import MFCCEmbedder
from sklearn_ser.classifiers import PretrainedEmotionClassifier, PretrainedEmotionRegressor
from sklearn_ser.cli import main
from sklearn_ser.cli._tables import print_table
from sklearn_ser.datasets import load_table, pool_corpora
from sklearn_ser.evaluation import (
    Comparison,
    RatingRow,
    compare,
    compare_across,
    compare_corpora,
    concordance_interval,
    differences_of_runs,
    fit_classifier,
)
from sklearn_ser.evaluation import _fits as fits
from sklearn_ser.plotting import ComparisonDisplay, DifferencesDisplay, RecallDisplay
from sklearn_ser.recognition import EmotionRecognizer

N_SPEAKERS, N_CLIPS, RATE = 5, 12, 16000


def columns(*positions):
    return FunctionTransformer(lambda X: np.asarray(X)[:, list(positions)])


FEATURES = {"a": columns(0), "b": columns(1), "noise": columns(2)}


def made(seed=0, n_speakers=N_SPEAKERS):
    rng = np.random.default_rng(seed)
    y = rng.uniform(1, 5, n_speakers * N_CLIPS)
    X = rng.normal(size=(len(y), 3))
    X[:, :2] += np.outer(y, [1, 0.5])
    groups = np.repeat([f"s{k}" for k in range(n_speakers)], N_CLIPS)
    return Bunch(name="made", X=X, y=y, groups=groups)


def run(corpus=None, features=("a", "b", "noise"), **given):
    features = {name: FEATURES[name] for name in features}
    corpus = made() if corpus is None else corpus
    return compare(corpus, features, audit=False, **{"n_jobs": 1, **given})


def lin(y_true, y_pred):
    """Return the CCC as one less the mean squared difference by what it is without correlation."""
    expected = np.mean((y_true[:, None] - y_pred[None, :]) ** 2)
    return 1 - np.mean((y_true - y_pred) ** 2) / expected


@pytest.fixture(scope="module")
def found():
    return run(classifier=["ridge", "svr"])


def of_row(found, position):
    lines = found.predictions[found.predictions["row"] == position]
    return (lines[name].to_numpy() for name in ("emotion", "predicted", "fold", "speaker"))


def test_scores_equal_independent_formulas(found):
    assert len(found.rows) == 6
    for position, row in enumerate(found.rows):
        assert isinstance(row, RatingRow)
        y_true, y_pred, folds, speakers = of_row(found, position)
        assert row.ccc == pytest.approx(lin(y_true, y_pred), abs=1e-12)
        assert row.pearson == pytest.approx(stats.pearsonr(y_true, y_pred)[0], abs=1e-12)
        assert row.rmse == pytest.approx(np.linalg.norm(y_true - y_pred) / np.sqrt(60), abs=1e-12)
        each = [lin(y_true[folds == k], y_pred[folds == k]) for k in range(N_SPEAKERS)]
        assert row.fold_ccc == pytest.approx(each, abs=1e-12)
        assert row.ccc_ci == list(concordance_interval(y_true, y_pred, speakers))
        assert (row.score, row.score_ci, row.chance) == (row.ccc, row.ccc_ci, 0)
    assert found.best == np.argmax([row.ccc for row in found.rows])
    assert found.rows[0].ccc > found.rows[2].ccc > found.rows[4].ccc
    assert (found.emotions, found.emotions_not_tested, found.chance) == ([], [], 0.0)


GRIDS = {
    "ridge": (Ridge(), {"ridge__alpha": 10.0 ** np.arange(-1, 5)}),
    "svr": (
        TransformedTargetRegressor(SVR(), transformer=StandardScaler()),
        {"transformedtargetregressor__regressor__C": 10.0 ** np.arange(-2, 3)},
    ),
}


@pytest.mark.parametrize("name", GRIDS)
def test_the_parameter_is_chosen_by_the_ccc_of_all_inner_folds(name):
    corpus = made(3)
    X, y, groups = corpus.X[:, :2], corpus.y, corpus.groups
    estimator, grid = GRIDS[name]
    pipeline = make_pipeline(StandardScaler(), clone(estimator))
    ((parameter, choices),) = grid.items()
    predictions = np.empty(len(y))
    for train, test in LeaveOneGroupOut().split(X, y, groups):
        inner = []
        for choice in choices:
            told = np.empty(len(train))
            for a, b in GroupKFold(4).split(train, None, groups[train]):
                pipeline.set_params(**{parameter: choice}).fit(X[train][a], y[train][a])
                told[b] = pipeline.predict(X[train][b])
            inner.append(lin(y[train], told))
        pipeline.set_params(**{parameter: choices[np.argmax(inner)]}).fit(X[train], y[train])
        predictions[test] = pipeline.predict(X[test])
    features = {"ab": columns(0, 1)}
    (row,) = (result := compare(corpus, features, classifier=name, audit=False, n_jobs=1)).rows
    np.testing.assert_allclose(result.predictions["predicted"], predictions, rtol=1e-9)
    assert row.ccc == pytest.approx(lin(y, predictions), abs=1e-9)


@pytest.mark.parametrize("name", GRIDS)
def test_the_scale_of_the_ratings_changes_nothing(name):
    corpus, other = made(), made()
    other.y = 1000 + 0.01 * other.y
    scores = [run(each, ["a"], classifier=name).rows[0].ccc for each in (corpus, other)]
    assert scores[0] == pytest.approx(scores[1], abs=1e-4)  # as exact as libsvm


def test_differences_are_paired_by_speaker(found):
    """The t-test of the pseudo-values of leaving each speaker out."""
    best, other = found.best, 2
    values = {}
    for position in (best, other):
        y_true, y_pred, _, speakers = of_row(found, position)
        left = [lin(y_true[speakers != s], y_pred[speakers != s]) for s in np.unique(speakers)]
        values[position] = lin(y_true, y_pred), np.array(left)
    difference = values[other][0] - values[best][0]
    left = values[other][1] - values[best][1]
    n = N_SPEAKERS
    error = np.std(n * difference - (n - 1) * left, ddof=1) / np.sqrt(n)
    p_value = 2 * stats.t.sf(abs(difference) / error, n - 1)
    row = found.rows[other]
    assert row.difference == pytest.approx(difference, abs=1e-12)
    assert row.p_value == pytest.approx(p_value, rel=1e-9)
    margin = stats.t.ppf(0.975, n - 1) * error
    assert row.difference_ci == pytest.approx([difference - margin, difference + margin])
    assert row.p_holm >= row.p_value
    assert found.rows[best].difference is None
    corrected = found.differences(best, correction="nadeau-bengio").set_index("row").loc[other]
    assert corrected["high"] - corrected["low"] == pytest.approx(2 * margin * np.sqrt(1 + 5 / 4))


def test_fewer_than_four_speakers_have_no_interval_and_no_test():
    few = run(made(n_speakers=3), ["a", "b"])
    assert all(row.ccc_ci is None and row.p_holm is None for row in few.rows)
    assert "fewer than four speakers" in repr(few)


def test_rows_are_chosen_inside_the_training_folds(found):
    (of_a, *_) = found.nested
    lines = found.predictions.assign(chosen=lambda its: np.array(of_a.rows)[its["fold"]])
    lines = lines[lines["row"] == lines["chosen"]]
    assert set(of_a.rows) <= {0, 1}
    assert of_a.ccc == pytest.approx(lin(*(lines[k].to_numpy() for k in ("emotion", "predicted"))))
    # An estimator has no search of its own: it is scored by the CCC over inner folds.
    corpus = made()
    both = {"ridge 1": Ridge(1.0), "ridge 1e5": Ridge(1e5)}
    (chosen,) = run(corpus, ["a"], classifier=both).nested
    assert chosen.classifiers == ["ridge 1"] * N_SPEAKERS


@pytest.mark.slow
def test_a_feature_that_finds_noise_has_a_ccc_about_zero():
    rows = [run(made(seed, 8), ["noise"]).rows[0] for seed in range(5)]
    assert abs(np.mean([row.ccc for row in rows])) < 0.1
    assert sum(row.ccc_ci[0] < 0 < row.ccc_ci[1] for row in rows) >= 4


def test_results_are_saved_and_loaded_to_the_last_bit(found, tmp_path):
    written = found.save(tmp_path, corpus=made(), formats=["png"])
    assert {"ccc.png", "ratings.png", "differences.png", "speakers.png"} < set(written)
    assert not {"uar.png", "recall.png", "confusion_matrix.png"} & set(written)
    loaded = Comparison.load(tmp_path)
    assert loaded == found
    pd.testing.assert_frame_equal(loaded.predictions, found.predictions, check_exact=True)
    assert loaded.differences().equals(found.differences())
    assert differences_of_runs(found, loaded) == ([], [])
    (row, *_) = json.loads((tmp_path / "results.json").read_text())["rows"]
    assert {"ccc", "ccc_ci", "pearson", "rmse", "fold_ccc"} < set(row)
    assert not {"uar", "accuracy", "macro_f1"} & set(row)
    other = run(made(1), classifier=["ridge", "svr"])
    assert any("CCC" in line and "RMSE" in line for line in differences_of_runs(found, other)[1])


def test_tables_and_displays_show_the_ccc(found, capsys):
    number = f"{found.rows[0].ccc:.3f}"
    for text in (repr(found), found.to_latex(), found.to_markdown(), found._repr_html_()):
        assert number in text
        assert all(name in text for name in ("CCC", "Pearson", "RMSE", "ratings from 1.0"))
        assert not re.search("UAR|accuracy|macro F1|emotions", text)
    print_table(found)
    printed = capsys.readouterr().out
    assert number in printed
    assert "UAR" not in printed
    assert {"ccc", "ccc_low", "ccc_high", "pearson", "rmse"} < set(found.to_frame().columns)
    ax = ComparisonDisplay.from_comparison(found).ax_
    assert ax.get_xlabel().startswith("CCC, pooled over folds")
    lowest = min(row.ccc_ci[0] for row in found.rows)
    assert ax.get_xlim()[0] <= lowest < 0  # which a negative CCC is not cut off by
    xlabel = DifferencesDisplay.from_comparison(found).ax_.get_xlabel()
    assert xlabel.startswith("CCC less that of a, ")
    with pytest.raises(ValueError, match="ratings were compared, which have no recall"):
        RecallDisplay.from_comparison(found)


def test_the_report_shows_ratings(found):
    corpus = made()
    corpus.frame = pd.DataFrame({"sex": np.where(corpus.groups == "s0", "female", "male")})
    page = found.to_html(corpus=corpus)
    text = re.sub("<[^>]*>", "", page[page.index("<body>") : page.index('<section id="latex">')])
    assert f"{found.rows[0].ccc:.3f}" in text
    assert "Which features predict the ratings best on made?" in text
    assert "Tested clips by ratings" in text
    assert not re.search("UAR|Confusion|recognise emotion|emotions", text)
    other = made()
    other.y = other.y + 1e-9
    with pytest.raises(ValueError, match="is not the one that was compared"):
        found.to_html(corpus=other)


def test_an_extended_comparison_fits_only_what_is_missing(tmp_path, monkeypatch):
    counted, fit = [], fits.fit_classifier

    def counting(classifier, *given, **named):
        counted.append(classifier)
        return fit(classifier, *given, **named)

    monkeypatch.setattr(fits, "fit_classifier", counting)
    corpus = made()
    run(corpus, ["a"], classifier="ridge", memory=tmp_path)
    assert Counter(counted) == {"ridge": N_SPEAKERS}
    counted.clear()
    found = run(corpus, ["a", "b"], classifier=["ridge", "svr"], memory=tmp_path)
    assert Counter(counted) == {"ridge": N_SPEAKERS, "svr": 2 * N_SPEAKERS}
    counted.clear()
    again = run(corpus, ["a", "b"], classifier=["ridge", "svr"], memory=tmp_path)
    assert counted == []
    assert again.predictions.equals(found.predictions)
    corpus.y[0] = np.nextafter(corpus.y[0], 9)
    run(corpus, ["a"], classifier="ridge", memory=tmp_path)
    assert Counter(counted) == {"ridge": N_SPEAKERS}


def changed(**fields):
    return Bunch(**{**made(), **fields})


RATED = made().y
AS_RATINGS = {
    "float32": RATED.astype(np.float32),
    "float16": RATED.astype(np.float16),
    "list": RATED.tolist(),
    "list with integers": [1, *RATED[1:].tolist()],
    "Series": pd.Series(RATED, index=range(60, 0, -1)),
    "nullable": pd.Series(RATED, dtype="Float64"),
    "a column": RATED[:, np.newaxis],
}


@pytest.mark.parametrize("y", AS_RATINGS.values(), ids=AS_RATINGS)
def test_floats_are_ratings(y):
    found = run(changed(y=y), ["a"])
    expected = np.asarray(y, dtype=float).ravel()
    np.testing.assert_array_equal(found.predictions["emotion"], expected)


@pytest.mark.parametrize(
    "y",
    [
        np.arange(60) % 4,
        (np.arange(60) % 4).tolist(),
        pd.Series(np.arange(60) % 4, dtype="Int64"),
        RATED.astype(object),
        RATED.astype(str),
    ],
    ids=["integers", "a list", "nullable", "objects", "text"],
)
def test_emotions_as_numbers_are_refused(y):
    match = r"60 clips have a number as label.*taken? as floats.*|60 clips.*regression.*names"
    with pytest.raises(ValueError, match=match) as caught:
        run(changed(y=y), ["a"])
    assert "emotions' names" in str(caught.value)
    assert "floats" in str(caught.value)


def test_whole_floats_are_taken_with_a_warning():
    whole = np.round(RATED)
    with pytest.warns(UserWarning, match="all 60 are whole numbers, 5 of them different"):
        found = run(changed(y=whole), ["a"])
    assert found.of_ratings


def spoilt(value, *rows):
    y = RATED.copy()
    y[list(rows)] = value
    return y


@pytest.mark.parametrize(
    ("fields", "given", "message"),
    [
        ({"y": spoilt(np.nan, 3, 7)}, {}, r"2 of 60 clips have no rating \(rows 3, 7, counted"),
        ({"y": spoilt(np.inf, 3)}, {}, r"1 of 60 clips have an infinite rating \(row 3, counted"),
        ({"y": np.stack([RATED] * 3, axis=1)}, {}, "holds several ratings a clip"),
        ({"y": RATED[1:]}, {}, "X has 60, y has 59"),
        ({}, {"classifier": "lda"}, r"'lda' is a classifier, and y holds.*\['ridge', 'svr'\]"),
        ({}, {"classifier": ["ridge", LogisticRegression()]}, "LogisticRegression.* a classifier"),
        ({}, {"classifier": "ridgy"}, r"must be one of \['ridge', 'svr'\] or a scikit-learn regr"),
        ({"y": ["anger", "joy"] * 30}, {"classifier": "svr"}, "'svr' is a regressor, and y holds"),
        ({"y": ["anger", "joy"] * 30}, {"classifier": Ridge()}, "Ridge is a regressor, and y"),
        ({}, {"cv": StratifiedGroupKFold(3)}, "continuous"),
        ({}, {"cv": "balanced5"}, "continuous.*regression"),
        ({"y": np.full(60, 2.5)}, {}, "fold 0: all 48 training clips are 2.5, and a regressor ne"),
        (
            {"groups": ["a"] * 59 + ["b"]},
            {"cv": [([*range(59)], [59])]},
            "alpha of classifier='ridge' cannot be chosen",
        ),
        ({"groups": None}, {}, "needs speaker labels"),
    ],
)
def test_what_cannot_be_compared_is_refused(fields, given, message):
    with pytest.raises(ValueError, match=message):
        run(changed(**fields), ["a"], **given)


def test_a_clip_with_two_ratings_is_refused():
    corpus = Bunch(X=["a.wav", "b.wav", "a.wav"], y=[0.5, 1.5, 2.5], groups=["a", "b", "a"])
    with pytest.raises(ValueError, match=r"1 clips stand in several rows.*'0.5' in row 0"):
        compare(corpus, ["mfcc"])


class Nowhere(Ridge):
    def predict(self, X):
        return np.where(np.arange(len(X)) == 2, np.nan, super().predict(X))


def test_a_regressor_that_predicts_no_number_is_named():
    match = r"what Nowhere predicts: 1 of 12 clips have no rating \(row 2"
    with pytest.raises(ValueError, match=match):
        run(features=["a"], classifier=Nowhere())


ELSEWHERE = {
    "EmotionRecognizer": lambda corpus: EmotionRecognizer(MFCCEmbedder()).fit(
        corpus.X, corpus.y, corpus.groups
    ),
}


@pytest.mark.parametrize("call", ELSEWHERE.values(), ids=ELSEWHERE)
def test_ratings_are_refused_where_emotions_are_needed(call):
    with pytest.raises(ValueError, match=r"regression \(arousal.*compare takes as floats"):
        call(made())


def test_several_corpora_are_all_rated_or_none():
    corpora = {"one": made(0), "two": made(1)}
    found = compare_corpora(corpora, {"a": columns(0)}, audit=False, n_jobs=1)
    expected = [found[name].rows[0].ccc for name in corpora]
    assert found.chosen.loc["a"].tolist() == expected
    corpora["three"] = changed(y=["anger", "joy"] * 30)
    with pytest.raises(
        ValueError, match=r"y of one, two holds ratings \(floats\), and y of three em"
    ):
        compare_corpora(corpora, {"a": columns(0)})


def test_titles_name_what_the_ratings_are_of(tmp_path):
    """From a table's column to LaTeX, the report and the file, wherever scores go."""
    one, two = (made(k) for k in (0, 1))
    for k, corpus in enumerate((one, two)):
        rows = {"arousal": corpus.y, "speaker": corpus.groups}
        table = pd.DataFrame({"path": [f"{k}-{i}.wav" for i in range(len(corpus.y))], **rows})
        corpus.update(rating=load_table(table, emotion="arousal").rating)
    features = {"a": columns(0)}
    found = run(one, ["a"])
    assert (found.rating, run(features=["a"]).rating) == ("arousal", None)
    assert ", arousal from 1" in found.title
    found.save(tmp_path / "one")
    assert Comparison.load(tmp_path / "one") == found
    assert ", arousal from 1" in (tmp_path / "one" / "report.html").read_text()
    given = {"classifier": "ridge", "audit": False, "n_jobs": 1}
    several = compare_corpora({"one": one, "two": two}, features, **given)
    assert "CCC of arousal by corpus" in several.to_latex()
    across = compare_across({"one": one, "two": two}, features, **given)
    pair = compare(None, features, train=one, test=two, **given)
    for each in (across, pair):
        assert each.rating == "arousal"
        assert re.search(r"clips.*, arousal", repr(each).splitlines()[0])
    two.rating = "valence"
    mixed = compare_corpora({"one": one, "two": two}, features, **given)
    assert "CCC by corpus" in mixed.to_latex()
    assert pool_corpora({"one": one, "two": two}).rating == "arousal / valence"
    assert "rating" not in pool_corpora({"one": made(0), "two": made(1)})
    table = pd.DataFrame({"path": ["x.wav"], "label": ["joy"]})
    assert "rating" not in load_table(table, emotion="label")


def test_a_search_is_given_the_speakers():
    search = GridSearchCV(Ridge(), {"alpha": [1.0, 1e6]}, cv=GroupKFold(3))
    found = run(features=["a"], classifier=search)
    X, corpus = made().X[:, :1], made()
    fitted = fit_classifier(search, X, corpus.y, corpus.groups)
    assert fitted.best_params_ == {"alpha": 1.0}
    assert found.rows[0].classifier == "GridSearchCV"


# Clips whose loudness and pitch rise with arousal, which is drawn for each of them.
@pytest.fixture(scope="module")
def aroused(tmp_path_factory):
    folder, rng = tmp_path_factory.mktemp("aroused"), np.random.default_rng(0)
    rows = []
    for speaker in range(N_SPEAKERS):
        base = rng.uniform(100, 220)
        for clip in range(8):
            arousal = round(float(rng.uniform(0, 1)), 4)
            t = np.arange(RATE // 2) / RATE
            phase = 2 * np.pi * base * (1 + 0.5 * arousal) * t
            wave = sum(np.sin(k * phase) * (0.3 + 0.6 * arousal) ** k for k in range(1, 12))
            wave = 0.02 * 10**arousal * wave + rng.normal(0, 1e-3, len(t))
            soundfile.write(folder / f"{speaker}_{clip}.wav", wave, RATE)
            rows.append((f"{speaker}_{clip}.wav", arousal, f"s{speaker}", "joy"))
    table = pd.DataFrame(rows, columns=["path", "arousal", "speaker", "emotion"])
    table.to_csv(folder / "clips.csv", index=False)
    return SimpleNamespace(csv=folder / "clips.csv", table=table)


def test_arousal_by_construction_is_found(aroused, tmp_path):
    corpus = load_table(aroused.csv, emotion="arousal")
    np.testing.assert_array_equal(corpus.y, aroused.table["arousal"])
    assert "ratings: " in repr(corpus)
    found = compare(corpus, ["mfcc"], n_jobs=1, cache=tmp_path)
    (row,) = found.rows
    y_true, y_pred, *_ = of_row(found, 0)
    np.testing.assert_array_equal(y_true, corpus.y)
    assert row.ccc == pytest.approx(lin(y_true, y_pred), abs=1e-12)
    assert row.ccc > 0.8
    assert found.audit["speaker_independent"]
    assert found.audit["shares_audio"] is False
    assert found.audit["speaker_uar"] is None
    assert "CONFOUNDED" not in found.audit["verdict"]
    whole = make_pipeline(MFCCEmbedder(cache=None), StandardScaler(), LinearRegression())
    (clips,) = compare(corpus, {"whole": whole}, n_jobs=1, audit=False).rows
    assert clips.classifier is None
    with pytest.raises(ValueError, match=r"Pipeline is a regressor, and y holds emotions"):
        compare(Bunch(**{**corpus, "y": ["anger", "joy"] * 20, "frame": None}), {"whole": whole})
    with pytest.raises(ValueError, match=r"classifier=ridge has no effect.*Leave it out"):
        compare(corpus, {"whole": whole}, classifier="ridge")


def test_the_command_line_compares_ratings(aroused, tmp_path, capsys):
    command = ["compare", "--corpus", "table", "--data", str(aroused.csv), "--emotion-column"]
    rest = ["--features", "mfcc", "--out", str(tmp_path / "out"), "--jobs", "1", "--quiet"]
    rest += ["--cache", str(tmp_path / "cache"), "--format", "svg"]
    assert main([*command, "arousal", *rest, "--classifier", "ridge", "svr"]) == 0
    assert "CCC" in capsys.readouterr().out
    found = Comparison.load(tmp_path / "out")
    assert [row.classifier for row in found.rows] == ["ridge", "svr"]
    assert {"ccc.svg", "ratings.svg", "report.html"} < {
        p.name for p in (tmp_path / "out").iterdir()
    }
    assert main([*command, "arousal", *rest, "--classifier", "lda"]) == 2
    assert "'lda' is a classifier" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("path,arousal\na.wav,0.5\nb.wav,1\n", [0.5, 1]),
        ("path;arousal\na.wav;0,5\nb.wav;1\n", [0.5, 1]),
        ("path,arousal\na.wav,1.0\nb.wav,3.0\n", [1, 3]),
        ("path,arousal\na.wav,-1e-1\nb.wav,3\n", [-0.1, 3]),
        (
            "path,arousal\na.wav,1\nb.wav,3\n",
            "all 2 rows have a number as label.*astype.float.*map",
        ),
        ("path,arousal\na.wav,0.5\nb.wav,\n", r"1 of 2 clips have no rating \(row 1, counted"),
        ("path,arousal\na.wav,1\nb.wav,\n", r"1 of 2 clips have no label \(row 1, counted"),
        ("path,arousal\na.wav,0.5\nb.wav,high\n", r"'0.5'|regression|high"),
    ],
)
def test_ratings_in_a_table(tmp_path, text, expected):
    (tmp_path / "clips.csv").write_text(text)
    if isinstance(expected, str) and "high" in expected:  # labels, of which one is a number
        assert load_table(tmp_path / "clips.csv", emotion="arousal").y.tolist() == ["0.5", "high"]
    elif isinstance(expected, str):
        with pytest.raises(ValueError, match=expected):
            load_table(tmp_path / "clips.csv", emotion="arousal")
    else:
        corpus = load_table(tmp_path / "clips.csv", emotion="arousal")
        assert corpus.y.dtype == np.float64
        assert corpus.y.tolist() == corpus.frame["emotion"].tolist() == expected


@pytest.fixture
def published(monkeypatch):
    """Let a published model tell arousal from loudness, and count what is run."""
    runs = []

    def transform(self, X):
        runs.append(len(X))
        loud = np.array([np.abs(clip[0]).mean() for clip in X])
        return np.stack([np.zeros(len(X)), loud], axis=1)

    monkeypatch.setattr(PretrainedEmotionRegressor, "_outputs", lambda _: ["valence", "arousal"])
    monkeypatch.setattr(PretrainedEmotionRegressor, "transform", transform)
    settings = {"weights": "w"}
    monkeypatch.setattr(PretrainedEmotionRegressor, "compute_settings", lambda _: settings)
    return runs


def loud_clips():
    rng = np.random.default_rng(0)
    y = rng.uniform(0, 1, 24)
    clips = [(rng.normal(0, 0.1 + level, 4000), RATE) for level in y]
    return Bunch(name="loud", X=clips, y=y, groups=np.repeat(list("abcd"), 6))


@pytest.mark.parametrize("form", ["text", "object"])
def test_a_published_regressor_is_a_row_of_which_nothing_is_fitted(published, form):
    corpus, name = loud_clips(), "pretrained:a/b"
    features = {name: PretrainedEmotionRegressor("a/b", output="arousal")}
    given = {}
    if form == "text":
        features, given = [name], {"output": "arousal"}
    found = compare(corpus, features, audit=False, n_jobs=1, **given)
    assert published == [24]  # each clip once, whatever the folds
    (row,) = found.rows
    loud = np.array([np.abs(clip[0]).mean() for clip in corpus.X])
    assert found.predictions["predicted"].tolist() == loud.tolist()
    assert row.ccc == pytest.approx(lin(corpus.y, loud), abs=1e-12)
    assert (row.model, row.classifier, row.features) == ("a/b", None, name)
    assert row.embedder["parameters"]["output"] == "arousal"


@pytest.mark.parametrize(
    ("features", "message"),
    [
        (["pretrained:a/b"], "has the outputs valence, arousal, and y holds one rating a clip"),
        ([PretrainedEmotionRegressor("a/b", output="anger")], "'anger', which a/b does not have"),
        ([PretrainedEmotionClassifier("a/b")], "PretrainedEmotionClassifier is a classifier, and"),
    ],
)
def test_a_published_model_without_the_rating_is_refused(published, features, message):
    with pytest.raises(ValueError, match=message):
        compare(loud_clips(), features, audit=False)


class Loudness(RegressorMixin, TransformerMixin, BaseEstimator):
    def fit(self, X, y=None):
        return self

    def predict(self, X):
        return np.array([np.abs(clip[0]).mean() for clip in X])

    def transform(self, X):
        return self.predict(X)[:, np.newaxis]


def test_a_regressor_that_transforms_clips_gives_features_of_emotions():
    corpus = loud_clips()
    (row,) = compare(corpus, {"loudness": Loudness()}, audit=False, n_jobs=1).rows
    assert row.classifier is None
    corpus.y = np.where(corpus.y > 0.5, "anger", "sadness")
    given = {"classifier": "lda", "audit": False, "n_jobs": 1}
    (row,) = compare(corpus, {"loudness": Loudness()}, **given).rows
    assert (row.classifier, row.uar > 0.9) == ("lda", True)
