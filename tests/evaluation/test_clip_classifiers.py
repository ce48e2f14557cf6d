"""Rows that are whole classifiers of clips, on the same folds and clips as all others."""

import json

import numpy as np
import pytest
import soundfile
from imblearn.pipeline import make_pipeline as make_sampling_pipeline
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.compose import make_column_transformer
from sklearn.dummy import DummyClassifier
from sklearn.ensemble import RandomForestClassifier
from sklearn.metrics import balanced_accuracy_score
from sklearn.model_selection import GridSearchCV, LeaveOneGroupOut
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline
from sklearn.utils import Bunch

from sklearn_ser import EGeMAPSEmbedder, MFCCEmbedder, SSLEmbedder
from sklearn_ser.classifiers import (
    FineTunedClassifier,
    PretrainedEmotionClassifier,
    SequenceClassifier,
)
from sklearn_ser.cli._tables import print_cross, print_table
from sklearn_ser.datasets import make_emotional_speech
from sklearn_ser.evaluation import Comparison, compare, compare_across
from sklearn_ser.evaluation._features import as_embedders
from sklearn_ser.exceptions import ClipError
from sklearn_ser.preprocessing import AudioAugmenter


@pytest.fixture(scope="module")
def corpus():
    return make_emotional_speech(n_speakers=4, n_sentences=1, random_state=0)


def head(**given):
    return SequenceClassifier(max_epochs=2, random_state=0, patience=2, **given)


def frames(**given):
    return SSLEmbedder("nano", layer=2, pooling=None, **given)


WHOLE = {
    "forest": make_pipeline(EGeMAPSEmbedder(), RandomForestClassifier(20, random_state=0)),
    "frames": make_pipeline(frames(), head()),
    "network": head(embedder=frames()),
    "search": GridSearchCV(
        make_pipeline(MFCCEmbedder(), RandomForestClassifier(5, random_state=0)),
        {"mfccembedder__n_mfcc": [5, 13]},
        cv=LeaveOneGroupOut(),
    ),
}


@pytest.fixture(scope="module")
def found(corpus):
    features = {"egemaps": "egemaps", **WHOLE}
    return compare(corpus, features, classifier="lda", audit=False, n_jobs=1)


@pytest.mark.one_in(3)
@pytest.mark.parametrize("name", WHOLE)
def test_a_classifier_of_clips_is_fitted_on_each_folds_clips(found, corpus, name):
    expected = []
    for train, test in LeaveOneGroupOut().split(corpus.X, corpus.y, corpus.groups):
        clips = [[corpus.X[i] for i in side] for side in (train, test)]
        groups = {"groups": corpus.groups[train]}
        if name in ("forest", "frames"):
            embedder, classifier = (clone(step) for _, step in WHOLE[name].steps)
            clips = [embedder.fit_transform(side) for side in clips]
        else:
            classifier = clone(WHOLE[name])
        classifier.fit(clips[0], corpus.y[train], **({} if name == "forest" else groups))
        expected.append(balanced_accuracy_score(corpus.y[test], classifier.predict(clips[1])))
    row = next(row for row in found.rows if row.features == name)
    assert row.fold_uar == pytest.approx(expected)
    assert (row.classifier, row.layer, row.speaker_scaling, row.alignment) == (None,) * 4


def test_it_is_paired_with_all_other_rows(found, tmp_path, monkeypatch, capsys):
    assert [(row.features, row.classifier) for row in found.rows] == [
        ("egemaps", "lda"), *((name, None) for name in WHOLE)
    ]  # fmt: skip
    lines = found.predictions.groupby("row")["clip"].apply(list)
    assert all(clips == lines[0] for clips in lines)
    assert found.differences()["p_value"].notna().all()
    found.save(tmp_path)
    assert Comparison.load(tmp_path) == found
    recipe = json.loads((tmp_path / "results.json").read_text())["rows"][2]["embedder"]
    (_, embedder), (_, network) = recipe["parameters"]["steps"]
    assert embedder["computed"]["weights"]
    assert network["parameters"]["max_epochs"] == 2
    monkeypatch.setenv("COLUMNS", "120")
    print_table(found)
    assert "forest" in capsys.readouterr().out


@pytest.mark.slow
def test_beside_several_classifiers_and_across_corpora(corpus, capsys):
    features = {"mfcc": "mfcc", "forest": WHOLE["forest"]}
    given = {"audit": False, "n_jobs": 1}
    longer = make_emotional_speech(n_speakers=4, n_sentences=2, random_state=0)
    with pytest.warns(UserWarning, match="speaker_scaling='own' has no effect on forest"):
        found = compare(longer, features, classifier=["lda", "svm"], speaker_scaling="own", **given)
    assert [(row.classifier, row.speaker_scaling, row.transductive) for row in found.rows] == [
        ("lda", "own", True), ("svm", "own", True), (None, None, False)
    ]  # fmt: skip
    other = make_emotional_speech(n_speakers=4, n_sentences=1, random_state=1)
    corpora = {"a": corpus, "b": other}
    with pytest.warns(UserWarning, match="coral has no effect on forest"):
        across = compare_across(
            corpora, features, classifier="lda", alignment=[None, "coral"], **given
        )
    told = [(row.train, row.test, row.alignment) for row in across.rows if row.features == "forest"]
    assert told == [("a", "a", None), ("a", "b", None), ("b", "a", None), ("b", "b", None)]
    fitted = clone(WHOLE["forest"]).fit(corpus.X, corpus.y)
    uar = balanced_accuracy_score(other.y, fitted.predict(other.X))
    assert across.matrix("forest").loc["a", "b"] == pytest.approx(uar)
    print_cross(across)
    assert "forest" in capsys.readouterr().out


SEEN = []


class Copies(BaseEstimator):
    """A sampler that repeats every clip."""

    def fit_resample(self, X, y):
        rows = [*range(len(X))] * 2
        return X.iloc[rows], y[rows]

    def fit(self, X, y):
        return self


class Listener(ClassifierMixin, BaseEstimator):
    """Takes speaker labels, as networks do, and writes down what it is given."""

    def __init__(self, speaker=None):
        self.speaker = speaker

    def fit(self, X, y, groups=None):
        SEEN.append((X, groups))
        self.classes_ = np.unique(y)
        return self

    def predict(self, X):
        return np.repeat(self.classes_[:1], len(X))


def test_speakers_are_given_as_groups_or_as_the_column_that_is_named(corpus):
    features = {
        "groups": Listener(),
        "column": Listener("who"),
        "copies": make_sampling_pipeline(Copies(), Listener("who")),
    }
    SEEN.clear()
    compare(corpus, features, audit=False, n_jobs=1)
    told = iter(SEEN)
    folds = [*LeaveOneGroupOut().split(corpus.X, corpus.y, corpus.groups)]
    for train, _ in folds:
        X, groups = next(told)
        assert [clip is corpus.X[i] for clip, i in zip(X, train, strict=True)] == [True] * len(
            train
        )
        assert groups.tolist() == corpus.groups[train].tolist()
    for n_copies in (1, 2):
        for train, _ in folds:
            X, groups = next(told)
            assert groups is None
            assert list(X.columns) == ["clip", "who"]
            assert X["who"].tolist() == corpus.groups[train].tolist() * n_copies
            assert all(
                clip is corpus.X[i] for clip, i in zip(X["clip"], [*train] * n_copies, strict=True)
            )


def test_augmentation_inside_of_a_row(corpus):
    network = head(embedder=frames(), speaker="speaker")
    augmented = make_sampling_pipeline(AudioAugmenter(["gain"]), network)
    found = compare(corpus, {"plain": network, "augmented": augmented}, audit=False, n_jobs=1)
    expected = []
    X = corpus.frame.assign(clip=[*corpus.X])[["clip", "speaker"]]
    for train, test in LeaveOneGroupOut().split(X, corpus.y, corpus.groups):
        fitted = clone(augmented).fit(X.iloc[train], corpus.y[train])
        expected.append(balanced_accuracy_score(corpus.y[test], fitted.predict(X.iloc[test])))
    assert found.rows[1].fold_uar == pytest.approx(expected)
    assert found.classifier == ""
    assert "loso" in found.title
    assert found.title.count(", ") == 2


BROKEN = {2: "missing.wav", 5: (np.zeros(16000, dtype=np.float32), 16000)}


@pytest.mark.one_in(2)
@pytest.mark.parametrize(
    "feature",
    [
        make_pipeline(EGeMAPSEmbedder(on_error="nan"), RandomForestClassifier(random_state=0)),
        head(embedder=frames(on_error="nan")),
    ],
    ids=["pipeline", "network"],
)
def test_clips_that_fail_are_left_out_of_all_rows(corpus, feature):
    broken = Bunch(**{**corpus, "X": [BROKEN.get(i, clip) for i, clip in enumerate(corpus.X)]})
    given = {"classifier": "lda", "audit": False, "n_jobs": 1}
    found = compare(broken, {"mfcc": MFCCEmbedder(on_error="nan"), "whole": feature}, **given)
    assert found.n_clips_left_out == 2
    assert [each["clip"] for each in found.clips_left_out] == [2, 5]
    assert found.clips_left_out[0]["reasons"].keys() == {"mfcc", "whole"}
    assert "no such file" in found.clips_left_out[0]["reasons"]["whole"]
    kept = np.setdiff1d(np.arange(len(corpus.y)), [2, 5])
    whole = Bunch(
        X=[corpus.X[i] for i in kept], y=corpus.y[kept], groups=corpus.groups[kept], name="x"
    )
    expected = compare(whole, {"mfcc": MFCCEmbedder(), "whole": feature}, **given)
    assert [row.fold_uar for row in found.rows] == [row.fold_uar for row in expected.rows]
    assert found.predictions["clip"].tolist() == kept[expected.predictions["clip"]].tolist()


@pytest.mark.parametrize(
    "feature",
    [
        make_pipeline(EGeMAPSEmbedder(), RandomForestClassifier()),
        make_pipeline(EGeMAPSEmbedder(cache=None), RandomForestClassifier()),
        head(embedder=frames()),
        FineTunedClassifier(max_epochs=1, random_state=0),
    ],
    ids=["stored", "not stored", "network", "fine-tuned"],
)
@pytest.mark.parametrize("position", [1, 13])
def test_a_clip_that_fails_is_named_by_its_position_in_the_corpus(corpus, feature, position):
    broken = Bunch(**{**corpus, "X": [*corpus.X]})
    broken.X[position] = "missing.wav"
    with pytest.raises(ClipError, match=f"clip {position} .*no such file"):
        compare(broken, {"whole": feature}, audit=False, n_jobs=1)


@pytest.fixture
def published(monkeypatch):
    """Let the published model tell from loudness, and count what is run."""
    labels = ["ang", "sad", "calm"]
    runs = []

    def transform(self, X):
        runs.append(len(X))
        loud = np.array(
            [np.abs(clip[0]).mean() if isinstance(clip, tuple) else np.nan for clip in X]
        )
        scores = np.stack([loud, 0.03 - loud, np.full(len(X), 0.02)], axis=1)
        return np.where(np.isnan(loud)[:, None], np.nan, scores)

    cls = PretrainedEmotionClassifier
    monkeypatch.setattr(cls, "_outputs", lambda self: labels)
    monkeypatch.setattr(cls, "transform", transform)
    monkeypatch.setattr(cls, "compute_settings", lambda self: {"weights": "w"})
    return runs


@pytest.mark.parametrize("form", ["text", "object"])
def test_a_published_model_is_a_row_of_which_nothing_is_fitted(corpus, published, form):
    name = "pretrained:a/b"
    features = ["mfcc", name]
    if form == "object":
        features = {"mfcc": "mfcc", name: PretrainedEmotionClassifier("a/b")}
    with pytest.warns(UserWarning, match="pretrained:a/b has") as warned:
        found = compare(corpus, features, classifier="lda", audit=False, n_jobs=1)
    assert published == [len(corpus.y)]  # each clip once, whatever the folds
    loud = np.array([np.abs(clip[0]).mean() for clip in corpus.X])
    predicted = np.array(["anger", "sadness", "calm"])[
        np.argmax([loud, 0.03 - loud, np.full(len(loud), 0.02)], axis=0)
    ]
    row = found.rows[1]
    recalls = [
        np.mean([np.mean(predicted[one & (corpus.y == e)] == e) for e in found.emotions])
        for one in (corpus.groups == name for name in np.unique(corpus.groups))
    ]
    assert row.fold_uar == pytest.approx(recalls)
    lines = found.predictions.query("row == 1").sort_values("clip")
    assert lines["predicted"].tolist() == predicted.tolist()
    assert (row.model, row.classifier) == ("a/b", None)
    assert row.embedder["classes"] == ["anger", "calm", "sadness"]
    told = [str(warning.message) for warning in warned]
    lacking = np.isin(corpus.y, ["happiness", "neutral"]).sum()
    assert f"has no class for happiness, neutral: {lacking} of {len(corpus.y)} clips" in told[0]
    extra = np.sum(predicted == "calm")
    assert f"that the corpus lacks (calm): {extra} of {len(corpus.y)} clips" in told[1]


def test_a_published_model_needs_no_training_clips(corpus, published):
    first = corpus.groups == corpus.groups[0]
    one = [(np.flatnonzero(first & (corpus.y == "anger")), np.flatnonzero(~first))]
    with pytest.warns(UserWarning, match="pretrained:m"):
        found = compare(corpus, ["pretrained:m"], cv=one, audit=False)
    assert found.rows[0].n_test == np.sum(~first)
    with pytest.raises(ValueError, match="all 1 training clips are anger"):
        compare(corpus, {"a": "pretrained:m", "b": DummyClassifier()}, cv=one, audit=False)


def test_clips_that_a_published_model_cannot_use_are_left_out(corpus, published):
    broken = Bunch(**{**corpus, "X": [BROKEN.get(i, clip) for i, clip in enumerate(corpus.X)]})
    broken.X[5] = corpus.X[5]
    given = {"classifier": "lda", "on_error": "nan", "audit": False, "n_jobs": 1}
    with pytest.warns(UserWarning, match="pretrained:m has"):
        found = compare(broken, ["mfcc", "pretrained:m"], **given)
    assert [each["clip"] for each in found.clips_left_out] == [2]
    assert len(found.predictions) == 2 * (len(corpus.y) - 1)


@pytest.mark.parametrize(
    ("features", "given", "message"),
    [
        (["egemaps+pretrained:m"], {}, "is a classifier, and no features"),
        (["pretrained:"], {}, "no model is named"),
        ([WHOLE["forest"], WHOLE["forest"]], {}, "two feature sets are called 'RandomForest"),
        ({"a": WHOLE["forest"]}, {"speaker_scaling": "own"}, "speaker_scaling and alignment have"),
        ({"a": head(speaker=1)}, {}, "speaker=1: give the column of speaker labels a name"),
        (
            {"a": make_sampling_pipeline(AudioAugmenter(), head(embedder=frames()))},
            {},
            "speaker of SequenceClassifier is None",
        ),
    ],
)
def test_what_cannot_be_a_row_is_refused(corpus, features, given, message):
    with pytest.raises(ValueError, match=message):
        compare(corpus, features, audit=False, **given)


def test_a_classifier_of_features_is_no_classifier_of_clips(corpus):
    with pytest.raises(ValueError, match=r"GaussianNB, a classifier among .*It needs an embedder"):
        compare(corpus, {"x": GaussianNB()}, audit=False)


def test_an_error_of_what_lacks_an_embedder_does_not_list_the_clips(corpus, tmp_path):
    paths = [str(tmp_path / f"clip{k}.wav") for k in range(len(corpus.X))]
    for path, (waveform, rate) in zip(paths, corpus.X, strict=True):
        soundfile.write(path, waveform, rate)
    of_columns = make_pipeline(make_column_transformer((MFCCEmbedder(), "path")), GaussianNB())
    with pytest.raises(ValueError, match="without the other columns") as found:
        compare(Bunch(X=paths, y=corpus.y, groups=corpus.groups), {"x": of_columns}, audit=False)
    assert "clip0.wav" not in str(found.value)
    assert "\n" not in str(found.value)


def test_recognizers_and_matrices_take_no_classifiers():
    with pytest.raises(ValueError, match="is a classifier, and no features"):
        as_embedders(["pretrained:m"])
    with pytest.raises(TypeError, match="it lacks fit_transform"):
        as_embedders({"a": WHOLE["forest"]})
