"""Corpora whose speakers are unknown: the folds of a protocol count in place of the speakers."""

import json

import numpy as np
import pytest
import soundfile
from scipy import stats
from scipy.special import expit, logit
from sklearn.dummy import DummyClassifier
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.model_selection import GroupKFold, KFold
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from sklearn.utils import Bunch

from sklearn_ser.audit import audit_split
from sklearn_ser.cli import main
from sklearn_ser.datasets import load_emobox
from sklearn_ser.evaluation import (
    Comparison,
    ccc_score,
    compare,
    compare_corpora,
    uar_score,
)
from sklearn_ser.exceptions import LeakageWarning
from sklearn_ser.model_selection import EmoBoxFolds
from sklearn_ser.plotting import DifferencesDisplay, RecallDisplay, SpeakersDisplay

Y = np.tile(["anger", "fear", "joy", "neutral"], 30)
FEATURES = {"made": FunctionTransformer(), "worse": FunctionTransformer(lambda X: X[:, 1:])}


def made(ratings=False, **given):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(120, 4))
    X[:, 0] += np.unique(Y, return_inverse=True)[1]
    X[:, 1] += 0.7 * np.unique(Y, return_inverse=True)[1]
    y = X[:, :2].sum(axis=1) + rng.normal(size=120) if ratings else Y
    return Bunch(**{"name": "made", "X": X, "y": y, "groups": None, **given})


def folds(n_folds=6):
    number = np.arange(120) // 4 % n_folds
    return [(np.flatnonzero(number != k), np.flatnonzero(number == k)) for k in range(n_folds)]


@pytest.fixture(autouse=True)
def told():
    """All of these comparisons warn that leakage cannot be ruled out."""
    with pytest.warns(LeakageWarning, match="leakage of speakers .* cannot be ruled out"):
        yield


def compared(n_folds=6, *, ratings=False, **parameters):
    parameters = {"cv": folds(n_folds), "audit": False, "n_jobs": 1, **parameters}
    return compare(made(ratings), FEATURES, **parameters)


def scores_of(found, row, score):
    lines = found.predictions[found.predictions["row"] == row]
    return np.array([score(f["emotion"], f["predicted"]) for _, f in lines.groupby("fold")])


def test_the_interval_is_that_of_the_folds():
    found = compared(classifier="lda")
    for k, row in enumerate(found.rows):
        of_folds = scores_of(found, k, uar_score)
        mean = of_folds.mean()
        error = of_folds.std(ddof=1) / np.sqrt(6) / (mean * (1 - mean))
        ends = expit(logit(mean) + np.array([-1, 1]) * stats.t.ppf(0.975, 5) * error)
        assert row.uar == pytest.approx(mean, abs=1e-12)
        assert row.uar_ci == pytest.approx(ends, abs=1e-12)


@pytest.mark.parametrize("correction", [None, "nadeau-bengio"])
def test_rows_are_paired_by_fold_with_the_correction_for_overlap(correction):
    found = compared(classifier="lda")
    of_rows = [scores_of(found, k, uar_score) for k in range(2)]
    difference = of_rows[1] - of_rows[0]
    error = difference.std(ddof=1) * np.sqrt(1 / 6 + 1 / 5)
    p_value = stats.t.sf(abs(difference.mean()) / error, 5) * 2
    (line,) = found.differences(0, correction=correction).to_dict("records")
    assert line["difference"] == pytest.approx(difference.mean(), abs=1e-12)
    assert line["p_value"] == pytest.approx(p_value, rel=1e-9)
    assert line["n_speakers"] is None
    worse = found.rows[1]
    assert worse.p_value == pytest.approx(p_value, rel=1e-9)
    assert worse.difference_ci == pytest.approx([line["low"], line["high"]], abs=1e-12)


def test_ratings_leave_out_folds_too():
    found = compared(ratings=True, classifier="ridge")
    row, lines = found.rows[0], found.predictions[found.predictions["row"] == 0]
    left_out = np.array(
        [
            ccc_score(rest["emotion"], rest["predicted"])
            for k in range(6)
            for rest in [lines[lines["fold"] != k]]
        ]
    )
    error = np.sqrt(5 / 6 * np.sum((left_out - left_out.mean()) ** 2))
    margin = stats.t.ppf(0.975, 5) * error / (1 - row.ccc**2)
    ends = np.tanh(np.arctanh(row.ccc) + np.array([-margin, margin]))
    assert row.ccc_ci == pytest.approx(ends, abs=1e-9)
    assert row.units == "folds (speakers unknown)"


def test_with_fewer_than_four_folds_there_is_neither_interval_nor_test():
    found = compared(3, classifier="lda")
    assert found.rows[0].uar_ci is None
    assert found.rows[1].p_value is None
    assert "none: fewer than four folds" in repr(found)
    assert found.differences(0)["p_value"].isna().all()


def test_everything_that_is_shown_says_that_speakers_are_unknown(tmp_path):
    found = compared(classifier="lda")
    assert found.n_speakers is None
    assert "120 clips, speakers unknown, 4 emotions" in found.title
    assert "NOT speaker-independent" not in found.title
    for shown in (repr(found), found.to_latex(), found.to_markdown(), found._repr_html_()):
        assert "speakers unknown" in shown
        assert "n = 6 folds, 120 clips" in shown
        assert "new speakers" not in shown.partition("Audit: ")[0]
    found.save(tmp_path, corpus=made())
    results = json.loads((tmp_path / "results.json").read_text())
    assert [row["units"] for row in results["rows"]] == ["folds (speakers unknown)"] * 2
    assert [row["speaker_independent"] for row in results["rows"]] == [None] * 2
    assert "Speakers unknown" in results["audit"]["verdict"]
    report = (tmp_path / "report.html").read_text()
    assert "the test folds (speakers unknown)" in report
    for claim in ("speakers who are not in the training set", "held-out", 'id="speakers"'):
        assert claim not in report
    loaded = Comparison.load(tmp_path)
    assert loaded == found
    assert set(loaded.predictions["speaker"]) == {""}
    assert loaded.differences(0).equals(found.differences(0))
    with pytest.raises(ValueError, match="is not the one that was compared"):
        found.to_html(corpus=made(groups=np.repeat(["a", "b"], 60)))


def test_displays_say_that_they_are_over_folds():
    found = compared(classifier="lda")
    label = DifferencesDisplay.from_comparison(found).ax_.get_xlabel()
    assert "paired by fold, n = 6" in " ".join(label.split())
    label = RecallDisplay.from_comparison(found).ax_.get_xlabel()
    assert "interval over folds" in " ".join(label.split())
    with pytest.raises(ValueError, match=r"speakers of the clips .* are unknown"):
        SpeakersDisplay.from_comparison(found)


def test_results_without_units_are_those_of_speakers():
    found = compared(classifier="lda")
    results = found.to_dict()
    for row in results["rows"]:
        del row["units"]
    rows = Comparison.from_dict(results, found.predictions).rows
    assert {row.units for row in rows} == {"speakers"}
    del results["rows"][0]["uar"]
    with pytest.raises(ValueError, match="missing or unknown: uar"):
        Comparison.from_dict(results, found.predictions)


class Counted(DummyClassifier):
    """Writes down the clips that it was fitted on, by their last feature."""

    def fit(self, X, y):
        FITTED.append(sorted(np.asarray(X)[:, -1].tolist()))
        return super().fit(X, y)


FITTED = []


def test_rows_are_chosen_by_inner_folds_of_training_clips():
    classifiers = {"a": Counted(), "b": KNeighborsClassifier()}
    FITTED.clear()
    found = compared(classifier=classifiers)
    X = made().X[:, -1]
    assert len(FITTED) == 2 * 6 * (1 + 5)  # rows, folds, the fit itself and five inner ones
    for clips in FITTED:
        fold = next(k for k, (train, _) in enumerate(folds()) if set(clips) <= {*X[train]})
        assert len(clips) in (100, 80)  # all of the training fold, or four fifths of it
        assert not {*clips} & {*X[folds()[fold][1]]}
    assert len(found.nested) == 2
    assert all(len(each.rows) == 6 for each in found.nested)


@pytest.mark.parametrize("classifier", ["logistic", "svm"])
def test_what_is_chosen_does_not_hang_on_the_run(classifier):
    one, other = (compared(2, classifier=classifier) for _ in range(2))
    assert one.predictions.equals(other.predictions)
    assert one.rows[0].uar > 0.4


def test_corpora_of_one_speaker_choose_by_folds_of_clips():
    """As EMNS and PAVOQUE of EmoBox are: training and test set always share the speaker."""
    alone = made(groups=np.repeat("her", 120))
    with pytest.warns(LeakageWarning, match="NOT speaker-independent: 6 of 6 folds"):
        found = compare(alone, FEATURES, cv=folds(), audit=False, n_jobs=1)
    assert found.rows[0].uar > 0.5
    assert found.n_speakers == 1
    assert found.rows[0].uar_ci is None
    assert found.rows[0].units == "speakers"
    compared(classifier="lda")  # which warns of unknown speakers


@pytest.mark.parametrize("cv", ["loso", "group5", "balanced5", "ravdess", GroupKFold(3)])
def test_what_splits_by_speaker_needs_speakers(cv):
    with pytest.raises(ValueError, match=r"(needs|splits by) speaker"):
        compared(cv=cv)
    assert "cannot be ruled out" in audit_split(made(), folds(), audio=False).verdict
    compared(classifier="lda")


def test_speaker_scaling_and_speaker_columns_need_speakers():
    with pytest.raises(ValueError, match=r"speaker_scaling='own' needs speaker labels"):
        compared(speaker_scaling="own")
    from sklearn_ser.preprocessing import SpeakerScaler

    network = make_pipeline(SpeakerScaler(speaker="speaker"), LogisticRegression())
    with pytest.raises(ValueError, match=r"net needs speaker labels \(speaker='speaker'\)"):
        compare(made(), {"net": network}, cv=folds(), audit=False, n_jobs=1)
    compared(classifier="lda")


def test_splitters_that_need_no_speakers_are_taken():
    found = compared(cv=KFold(4, shuffle=True, random_state=0), classifier="lda")
    assert found.n_units == found.n_folds == 4


def test_each_corpus_has_its_own_folds():
    known = made(groups=np.repeat([f"s{k}" for k in range(6)], 20), name="known")
    corpora = {"known": known, "unknown": made()}
    parameters = {"classifier": "lda", "audit": False, "n_jobs": 1}
    found = compare_corpora(
        corpora, FEATURES, cv={"known": "loso", "unknown": folds()}, **parameters
    )
    assert found["known"].cv == "loso"
    assert found["unknown"].n_speakers is None
    assert "over folds where speakers are unknown: unknown" in repr(found)
    with pytest.raises(ValueError, match=r"cv is for known, and the corpora are known, unknown"):
        compare_corpora(corpora, FEATURES, cv={"known": "loso"}, **parameters)


@pytest.fixture
def emobox(tmp_path):
    """RESD, whose names say nothing of speakers, in four folds; with sound."""
    rng = np.random.default_rng(0)
    rows = []
    for k in range(32):
        path = f"downloads/resd/train/{k}_x_{k:03d}.wav"
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        pitch = [200, 400][k % 2] * rng.uniform(0.8, 1.2)
        wave = np.sin(2 * np.pi * pitch * np.arange(8000) / 16000) + 0.1 * rng.normal(size=8000)
        soundfile.write(tmp_path / path, 0.3 * wave, 16000)
        rows.append({"key": f"k{k}", "wav": path, "emo": ["anger", "fear"][k % 2], "channel": 1})
    for fold in range(4):
        place = tmp_path / "data" / "resd" / f"fold_{fold + 1}"
        place.mkdir(parents=True)
        for split in ("train", "test"):
            lines = [
                json.dumps(row)
                for k, row in enumerate(rows)
                if (k // 2 % 4 == fold) == (split == "test")
            ]
            file = place / f"resd_{split}_fold_{fold + 1}.jsonl"
            file.write_text("\n".join(lines) + "\n")
    return tmp_path


def test_emobox_is_compared_on_its_own_folds(emobox, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    corpus = load_emobox(emobox, "resd")
    assert corpus.groups is None
    found = compare(
        corpus,
        ["mfcc"],
        cv=EmoBoxFolds(emobox, "resd"),
        classifier="lda",
        cache=None,
        audit=False,
        n_jobs=1,
    )
    assert (found.n_clips, found.n_folds, found.n_speakers) == (32, 4, None)
    common = ["--features", "mfcc", "--classifier", "lda", "--cache", "none", "--quiet"]
    common += ["--jobs", "1", "--no-audio-audit", "--out", "found"]
    for cv in ([], ["--cv", "emobox"]):
        assert main(["compare", f"emobox:resd={emobox}", *common, *cv]) == 0
        shown = " ".join(capsys.readouterr().out.split())
        assert "speakers unknown" in shown
        assert Comparison.load("found").rows[0].uar == found.rows[0].uar
    assert main(["compare", "--from", "found", "--out", "again", "--quiet", "--jobs", "1"]) == 0
    capsys.readouterr()
    assert main(["audit", f"emobox:resd={emobox}", "--no-audio"]) == 1
    assert "Speakers unknown" in capsys.readouterr().out
    assert main(["compare", f"emobox:resd={emobox}", *common, "--cv", "loso"]) == 2
    assert "cv='loso' needs speaker labels" in capsys.readouterr().err
    assert main(["compare", "synthetic", *common, "--cv", "emobox"]) == 2
    assert "--cv emobox has no effect on synthetic" in capsys.readouterr().err


def test_a_regressor_of_clips_is_given_no_speakers():
    network = make_pipeline(FunctionTransformer(), Ridge())
    found = compare(made(ratings=True), {"net": network}, cv=folds(), audit=False, n_jobs=1)
    assert found.rows[0].ccc > 0.5


def test_curves_of_confidence_have_no_intervals_where_speakers_are_unknown():
    from sklearn_ser.plotting import ReliabilityDisplay, RiskCoverageDisplay

    found = compared(classifier="logistic")
    for display in (ReliabilityDisplay, RiskCoverageDisplay):
        drawn = display.from_comparison(found)
        assert drawn.scores["n_speakers"].isna().all()
        texts = " ".join(ax.get_ylabel().replace("\n", " ") for ax in drawn.figure_.axes)
        assert "no intervals: speakers unknown" in texts
    assert "not drawn where speakers are unknown" in found.to_html(corpus=made())
