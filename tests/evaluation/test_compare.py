import json
from dataclasses import fields
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from sklearn.base import BaseEstimator, ClassifierMixin, TransformerMixin, clone
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import balanced_accuracy_score
from sklearn.model_selection import (
    GridSearchCV,
    GroupKFold,
    KFold,
    LeaveOneGroupOut,
    LeavePGroupsOut,
)
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from sklearn.utils import Bunch

from sklearn_ser import MFCCEmbedder
from sklearn_ser._models import BUNDLED
from sklearn_ser.audit import audit_pipeline
from sklearn_ser.classifiers import MLPHead
from sklearn_ser.datasets import make_emotional_speech
from sklearn_ser.evaluation import Comparison, Row, compare, compare_across, uar_score
from sklearn_ser.evaluation._classifiers import fit_classifier
from sklearn_ser.evaluation._features import feature_names, offline_feature_names
from sklearn_ser.evaluation._fits import ClipLabels, Task, fit_fold
from sklearn_ser.evaluation._named import CLASSIFIERS
from sklearn_ser.evaluation._published import published_beside
from sklearn_ser.evaluation._targets import scores
from sklearn_ser.exceptions import LeakageWarning
from sklearn_ser.model_selection import LeaveOneSessionOut, LeaveOneSpeakerOut, RAVDESSSplit
from sklearn_ser.plotting import ComparisonDisplay
from sklearn_ser.preprocessing import SpeakerScaler


@pytest.fixture(scope="module")
def corpus():
    return make_emotional_speech(n_speakers=5, n_sentences=2, random_state=0)


def test_scores_equal_plain_scikit_learn(corpus):
    embedder = MFCCEmbedder(13)
    X = embedder.fit_transform(corpus.X).astype(float)
    expected = []
    for train, test in LeaveOneGroupOut().split(X, corpus.y, corpus.groups):
        search = GridSearchCV(
            make_pipeline(StandardScaler(), LogisticRegression(max_iter=5000)),
            {"logisticregression__C": 10.0 ** np.arange(-4, 2)},
            scoring="balanced_accuracy",
            cv=GroupKFold(4),
        ).fit(X[train], corpus.y[train], groups=corpus.groups[train])
        expected.append(balanced_accuracy_score(corpus.y[test], search.predict(X[test])))
    (row,) = compare(corpus, [embedder]).results["rows"]
    assert row["fold_uar"] == pytest.approx(expected)
    assert row["uar"] == pytest.approx(np.mean(expected))
    assert row["uar_ci"][0] <= row["uar"] <= row["uar_ci"][1]


SIZES = [4, 3, 5, 4, 2, 3]  # clips of each speaker and emotion
FITS = []  # of each step that was fitted: its clips, and then those of each of its predictions


class Listening(BaseEstimator):
    """Writes down which clips it is fitted on, and is given later: the first feature names them."""

    def fit(self, X, y=None):
        self.own_ = [self._clips(X)]
        FITS.append(self.own_)
        return self

    def _clips(self, X):
        return set(np.round(X[:, 0]).astype(int).tolist())


class ListeningScaler(TransformerMixin, Listening):
    def transform(self, X):
        self.own_.append(self._clips(X))
        return X


class ListeningClassifier(ClassifierMixin, Listening):
    def __init__(self, C=1.0):
        self.C = C

    def fit(self, X, y):
        self.classes_ = np.unique(y)
        return super().fit(X, y)

    def predict(self, X):
        self.own_.append(self._clips(X))
        return np.repeat(self.classes_[:1], len(X))


@pytest.mark.one_in(3)
@pytest.mark.parametrize("classifier", ["logistic", "lda", "svm", "own", "own search"])
@pytest.mark.parametrize("cv", ["loso", "group5"])
def test_no_fit_sees_a_test_speaker(monkeypatch, classifier, cv):
    """Not of the test fold, nor, where C is chosen, of the fold that it is chosen by."""
    speakers = np.repeat([f"s{k}" for k in range(len(SIZES))], np.multiply(SIZES, 2))
    y = np.array(["anger", "fear"] * sum(SIZES))
    shuffled = np.random.default_rng(0).permutation(len(y))
    speakers, y = speakers[shuffled], y[shuffled]
    X = np.column_stack([np.arange(len(y)), np.random.default_rng(1).normal(size=len(y))])
    FITS.clear()
    n_choices = len((CLASSIFIERS.get(classifier) or (None, [1, 2]))[1] or [])
    if classifier in CLASSIFIERS:
        monkeypatch.setattr(
            "sklearn_ser.evaluation._classifiers.StandardScaler", lambda: ListeningScaler()
        )
    elif classifier == "own":
        classifier, n_choices = ListeningClassifier(), 0
    else:
        classifier = GridSearchCV(ListeningClassifier(), {"C": [1, 2]}, cv=GroupKFold(4))
    corpus = Bunch(X=X, y=y, groups=speakers)
    given = {"classifier": classifier, "cv": cv, "audit": False}
    comparison = compare(corpus, {"numbers": FunctionTransformer()}, **given)

    def whose(clips):
        return set(speakers[sorted(clips)])

    tested = [set(its) for _, its in comparison.predictions.groupby("fold")["clip"]]
    assert sorted(clip for its in tested for clip in its) == [*range(len(y))]
    fits = iter(FITS)
    for test in tested:
        everything = set(range(len(y))) - test
        assert not whose(everything) & whose(test)
        n_folds = 4 if isinstance(classifier, GridSearchCV) else len(whose(everything))
        chosen_by = []
        for _ in range(n_choices * n_folds):
            fitted, *given = next(fits)
            held_out = set.union(*given) - fitted
            assert fitted | held_out == everything
            assert held_out
            assert not whose(fitted) & whose(held_out)
            chosen_by.append(frozenset(held_out))
        assert len(set(chosen_by)) == (n_folds if n_choices else 0)
        fitted, *given = next(fits)
        assert fitted == everything
        assert set.union(*given) - fitted == test
    assert next(fits, None) is None


@pytest.mark.one_in(2)
@pytest.mark.parametrize("classifier", ["lda", "svm"])
def test_parallel_equals_serial(corpus, classifier):
    serial = compare(corpus, ["mfcc"], classifier=classifier)
    parallel = compare(corpus, ["mfcc"], classifier=classifier, n_jobs=2)
    assert serial.predictions.equals(parallel.predictions)


@pytest.mark.slow
def test_default_features_come_with_the_package(corpus):
    assert set(offline_feature_names()) == {*feature_names(), *BUNDLED} - {"ssl"}
    rows = compare(corpus, classifier="lda").results["rows"]
    found = [(row["features"], row["model"], row["layer"]) for row in rows]
    learned = [("nano", "nano", layer) for layer in range(5)]
    assert found == [("egemaps", None, None), ("mfcc", None, None), *learned]


def test_layers_of_a_bundled_model_can_be_chosen(corpus):
    rows = compare(corpus, ["nano"], layer=[1, 3], pooling="std", classifier="lda").results["rows"]
    assert [(row["layer"], row["pooling"]) for row in rows] == [(1, "std"), (3, "std")]


def test_saved_results_are_strict_json(corpus, tmp_path):
    comparison = compare(corpus, {"thirteen": MFCCEmbedder(13)}, classifier="lda")
    comparison.save(tmp_path)
    text = (tmp_path / "results.json").read_text()
    results = json.loads(text, parse_constant=pytest.fail)
    assert results == comparison.results
    written = pd.read_csv(tmp_path / "predictions.csv", dtype={"confidence": str})
    written["confidence"] = written["confidence"].map(float)  # pandas 2 rounds what it reads itself
    assert written.to_dict("list") == comparison.predictions.to_dict("list")
    assert {"corpus", "n_clips", "n_speakers", "cv", "classifier", "versions", "rows"} <= set(
        results
    )
    assert {
        "features", "model", "layer", "pooling", "uar", "uar_ci", "accuracy", "macro_f1",
        "fold_uar", "seconds_extract", "seconds_fit",
    } <= set(results["rows"][0])  # fmt: skip
    assert results["rows"][0]["pooling"] == "mean+std"


def test_splits_that_share_speakers_are_named(corpus):
    splitter = KFold(3, shuffle=True, random_state=0)
    with pytest.warns(LeakageWarning, match="3 of 3 folds"):
        compare(corpus, ["mfcc"], cv=splitter, classifier="lda")


def test_unusable_clips_are_left_out_of_every_row(corpus):
    broken = Bunch(**{**corpus, "X": ["missing.wav", *corpus.X[1:]]})
    comparison = compare(broken, ["mfcc", "egemaps"], classifier="lda", on_error="nan")
    assert comparison.results["n_clips"] == len(corpus.X) - 1
    assert comparison.results["n_clips_left_out"] == 1
    assert set(comparison.predictions["clip"]) == {*range(1, len(corpus.X))}


@pytest.mark.parametrize(
    ("change", "arguments", "message"),
    [
        ({"groups": None, "frame": None}, {}, "needs speaker labels, and the corpus has none"),
        ({"groups": None}, {}, r"\(groups is None\), and its frame has a column speaker"),
        ({}, {"cv": "random"}, "cv='random'"),
        ({}, {"cv": [([0], [99])]}, "fold 0: test must hold positions of the 40 clips"),
        ({}, {"speaker_scaling": "both"}, "speaker_scaling='both'"),
        ({"groups": [None] * 3 + ["a"] * 37}, {}, r"3 of 40 clips have no speaker .rows 0, 1, 2"),
        ({}, {"classifier": "forest"}, "classifier='forest'"),
        ({}, {"features": ["wav2vec"]}, "unknown features 'wav2vec'"),
        ({}, {"features": ["mfcc", "mfcc"]}, "two feature sets"),
    ],
)
def test_unusable_arguments(corpus, change, arguments, message):
    with pytest.raises(ValueError, match=message):
        compare(Bunch(**{**corpus, **change}), **{"features": ["mfcc"], **arguments})


def test_display_shows_every_row():
    def row(features, layer, uar):
        known = {"features": features, "layer": layer, "uar": uar, "uar_ci": [uar - 0.1, uar + 0.1]}
        return Row(**{**dict.fromkeys(field.name for field in fields(Row)), **known})

    known = {
        "corpus": "c",
        "n_clips": 9,
        "n_speakers": 3,
        "cv": "loso",
        "classifier": "lda",
        "emotions": ["a", "b"],
        "chance": 0.5,
        "speaker_scaling": "own",
        "alignment": "coral",
        "rows": [row("ssl", 1, 0.5), row("ssl", 0, 0.4), row("mfcc", None, 0.3)],
        "audit": {"speaker_independent": False, "shares_audio": True},
    }
    found = Comparison(**{**dict.fromkeys(field.name for field in fields(Comparison)), **known})
    ax = ComparisonDisplay.from_comparison(found).ax_
    assert " ".join(ax.get_title().split()) == (
        "c: 9 clips of 3 speakers, 2 emotions, loso, lda, scaled per speaker (transductive), "
        "aligned by coral (transductive), "
        "NOT speaker-independent, SAME AUDIO trained on and tested"
    )
    drawn = {line.get_label(): line.get_ydata() for line in ax.get_lines()}
    assert list(drawn["ssl, by layer"]) == [0.4, 0.5]
    assert set(drawn["mfcc"]) == {0.3}
    assert set(drawn["chance"]) == {0.5}


def test_audit_is_part_of_the_results(corpus):
    assert compare(corpus, ["mfcc"], classifier="lda").results["audit"] == {
        "speaker_independent": True,
        "shares_audio": False,
        "verdict": "Speaker-independent: no speaker is both trained on and tested. 5 of 5 folds "
        "test sentences that they were trained on. No audio is in both training and test set.",
        "speaker_uar": 0.0,
        "speaker_ccc": None,
        "confounded": False,
        "n_folds_lacking_emotions": 0,
    }
    unlooked = compare(corpus, ["mfcc"], classifier="lda", audit=False).results["audit"]
    assert unlooked["shares_audio"] is None


def test_copies_of_a_clip_under_another_speaker_are_warned_of(corpus):
    copied = Bunch(
        X=[*corpus.X, corpus.X[0]], y=[*corpus.y, corpus.y[0]], groups=[*corpus.groups, "s99"]
    )
    with pytest.warns(LeakageWarning, match="LEAK: the audio of 2 test clips"):
        found = compare(copied, ["mfcc"], classifier="lda")
    assert "SAME AUDIO" in found.title
    assert found.results["audit"]["speaker_independent"] is True


@pytest.mark.parametrize("unseen", ["own", "global"])
def test_speaker_scaling_equals_plain_scikit_learn(corpus, unseen):
    found = compare(corpus, ["mfcc"], classifier="lda", speaker_scaling=unseen)
    X = MFCCEmbedder().fit_transform(corpus.X).astype(float)
    X = np.column_stack([X, [int(speaker[1:]) for speaker in corpus.groups]])
    pipeline = make_pipeline(
        SpeakerScaler(unseen=unseen),
        LinearDiscriminantAnalysis(solver="lsqr", shrinkage="auto"),
    )
    expected = [
        balanced_accuracy_score(corpus.y[b], pipeline.fit(X[a], corpus.y[a]).predict(X[b]))
        for a, b in LeaveOneGroupOut().split(X, corpus.y, corpus.groups)
    ]
    assert found.results["rows"][0]["fold_uar"] == pytest.approx(expected)
    assert found.results["transductive"] is (unseen == "own")
    assert f"per speaker ({'transductive' if unseen == 'own' else 'inductive'})" in found.title


EMOTIONS = {
    4: "anger happiness neutral sadness",
    7: "anger disgust fear happiness neutral sadness surprise",
    8: "anger calm disgust fear happiness neutral sadness surprise",
}


def results_of(corpus, n_clips, n_emotions, speaker_scaling=None):
    return SimpleNamespace(
        corpus=corpus,
        n_clips=n_clips,
        emotions=EMOTIONS[n_emotions].split(),
        speaker_scaling=speaker_scaling,
        rows=[SimpleNamespace(is_pooled=False)],
    )


@pytest.mark.parametrize("name", ["IEMOCAP", "EmoBox iemocap"])
def test_published_figures_stand_beside_what_was_run_alike(name):
    rows, note = published_beside(results_of(name, 5531, 4), LeaveOneSessionOut())
    values = {(row["features"], row["source"][:6], row["metric"]): row["value"] for row in rows}
    assert values["WavLM-large", "SUPERB", "accuracy"] == 0.7
    assert values["WavLM-large", "EmoBox", "uar"] == 0.695
    assert {row["scaling"] for row in rows} == {"train", "clip", "unknown"}
    assert note == (
        "1 published figures were scaled by the test speakers' own clips, unlike these."
    )
    rows, _ = published_beside(results_of(name, 5531, 4, "own"), LeaveOneSessionOut())
    assert [(row["value"], row["spread"]) for row in rows] == [(0.672, 0.007)]


@pytest.mark.parametrize(
    ("results", "splitter", "note"),
    [
        (
            ("EmoDB", 339, 4),
            LeaveOneSpeakerOut(),
            "3 published figures hold for 535 clips of anger",
        ),
        (("IEMOCAP", 7000, 4), LeaveOneSessionOut(), "here are 7000 of anger happiness"),
        (("RAVDESS", 1440, 8), RAVDESSSplit(), "hold for 1440 clips of anger disgust fear"),
        (("RAVDESS", 1440, 7), RAVDESSSplit("validation"), ""),
        (("IEMOCAP", 5531, 4), LeaveOneSpeakerOut(), ""),
        (("IEMOCAP", 5531, 4), GroupKFold(5), ""),
        (("a folder", 9, 4), LeaveOneSpeakerOut(), ""),
    ],
)
def test_published_figures_of_anything_else_are_refused(results, splitter, note):
    rows, why = published_beside(results_of(*results), splitter)
    assert rows == []
    assert note in why
    assert bool(note) is bool(why)


def test_as_many_emotions_are_not_the_same_emotions():
    results = results_of("RAVDESS", 1440, 7)
    assert len(published_beside(results, RAVDESSSplit())[0]) == 4
    results.emotions[-1] = "calm"
    rows, note = published_beside(results, RAVDESSSplit())
    assert rows == []
    assert "here are 1440 of anger disgust fear happiness neutral sadness calm" in note


def test_bare_waveforms_are_audited_at_their_rate(corpus):
    shortest = min(len(waveform) for waveform, _ in corpus.X)
    X = np.stack([waveform[:shortest] for waveform, _ in corpus.X])
    bare = Bunch(X=X, y=corpus.y, groups=corpus.groups)
    found = compare(bare, ["mfcc"], classifier="lda", waveform_rate=16000)
    assert found.results["audit"]["shares_audio"] is False
    ready_made = compare(bare, {"own": MFCCEmbedder(waveform_rate=16000)}, classifier="lda")
    assert ready_made.results["audit"]["shares_audio"] is False
    assert ready_made.results["digests"] == found.results["digests"]
    assert found.results["digests"]["audio"]


@pytest.mark.parametrize("scaling", [pytest.param(None, marks=pytest.mark.slow), "own"])
def test_what_compare_fits_learns_nothing_from_the_test_fold(corpus, scaling):
    """Its own code, with the choice of C and with scaling by speaker."""
    X = MFCCEmbedder(n_mfcc=5).fit_transform(corpus.X).astype(float)

    def experiment(X, y, train, test):
        task = Task(0, 0, X, train, test, "logistic", scaling)
        return fit_fold(task, ClipLabels(y, corpus.groups))[0]

    audit = audit_pipeline(experiment, X, corpus.y, cv="loso", groups=corpus.groups, max_folds=1)
    assert not audit.leaks, audit.verdict


def test_own_pipelines_are_scaled_by_speaker_too(corpus):
    own = LinearDiscriminantAnalysis(solver="lsqr", shrinkage="auto")
    found = compare(corpus, ["mfcc"], classifier=own, speaker_scaling="own")
    named = compare(corpus, ["mfcc"], classifier="lda", speaker_scaling="own")
    assert found.results["rows"][0]["fold_uar"] == named.results["rows"][0]["fold_uar"]
    assert named.frame[["speaker_scaling", "transductive"]].to_numpy().tolist() == [["own", True]]


def test_a_network_may_be_trained_on_one_speaker():
    three = make_emotional_speech(n_speakers=3, n_sentences=3, random_state=0)
    head = MLPHead(max_epochs=1, random_state=0)
    with pytest.warns(UserWarning, match="no speaker labels"):
        found = compare(three, ["mfcc"], classifier=head, cv=LeavePGroupsOut(2))
    assert len(found.results["rows"][0]["fold_uar"]) == 3


def test_a_network_is_told_who_speaks(corpus):
    """Else it would hold clips out of training, not speakers, and warn of that."""
    head = MLPHead(max_epochs=2, random_state=0)
    found = compare(corpus, ["mfcc"], classifier=head)
    X = MFCCEmbedder().fit_transform(corpus.X).astype(float)
    uars = [
        uar_score(
            corpus.y[test],
            clone(head).fit(X[train], corpus.y[train], corpus.groups[train]).predict(X[test]),
        )
        for train, test in LeaveOneGroupOut().split(X, corpus.y, corpus.groups)
    ]
    assert sorted(found.results["rows"][0]["fold_uar"]) == pytest.approx(sorted(uars))


def test_scores_of_predictions_by_hand():
    """An emotion that is never tested counts in no score; a fold's seconds are counted once."""
    predictions = pd.DataFrame(
        {
            "fold": [0, 0, 0, 0, 1, 1],
            "speaker": list("ssttuu"),
            "emotion": list("aabbab"),
            "predicted": list("acbbaa"),
            "seconds": [2.0] * 4 + [3.0] * 2,
        }
    )
    found = scores(predictions)
    assert found["seconds_fit"] == 5.0
    assert found["fold_uar"] == [0.75, 0.5]
    assert found["uar"] == pytest.approx((0.75 + 0.5) / 2)
    assert found["accuracy"] == pytest.approx((3 / 4 + 1 / 2) / 2)
    assert found["macro_f1"] == pytest.approx(((2 / 3 + 1) / 2 + (2 / 3 + 0) / 2) / 2)


@pytest.mark.parametrize(
    ("name", "step", "choices"),
    [
        ("logistic", "logisticregression", [1e-4, 1e-3, 1e-2, 1e-1, 1, 10]),
        ("svm", "svc", [1e-2, 1e-1, 1, 10, 100]),
    ],
)
def test_values_of_c_to_choose_from(name, step, choices):
    X = np.random.default_rng(0).normal(size=(12, 2))
    fitted = fit_classifier(name, X, np.tile(["a", "b"], 6), np.repeat(["s", "t", "u"], 4))
    assert fitted.param_grid == {f"{step}__C": choices}
    assert len(fitted.cv) == 3


def test_results_count_speakers(corpus):
    results = compare(corpus, ["mfcc"], classifier="lda").results
    assert results["n_speakers"] == results["n_folds"] == 5


@pytest.mark.parametrize("function", [compare, compare_across])
def test_nothing_is_random_but_what_estimators_are(function, corpus):
    given = corpus if function is compare else {"a": corpus, "b": corpus}
    with pytest.raises(TypeError, match="random_state"):
        function(given, ["mfcc"], random_state=0)


def test_the_best_row_has_the_highest_uar():
    for uars in ([0.2, 0.9, 0.5], [0.9, 0.2], [0.2, 0.9]):
        known = {"rows": [SimpleNamespace(score=uar) for uar in uars]}
        names = [field.name for field in fields(Comparison)]
        assert uars[Comparison(**{**dict.fromkeys(names), **known}).best] == 0.9
