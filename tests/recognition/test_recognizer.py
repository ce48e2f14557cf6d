"""A recognizer knows what it is worth for new speakers, and for speech unlike that of training."""

import importlib
import json
import shutil
import sys
import zipfile

import numpy as np
import pandas as pd
import pytest
import skops.io
import soundfile
import soxr
from safetensors.torch import load_file, save_file
from scipy.special import softmax
from sklearn.base import clone
from sklearn.covariance import LedoitWolf
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss, recall_score
from sklearn.model_selection import GridSearchCV, GroupKFold
from sklearn.pipeline import FeatureUnion, make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from sklearn.svm import SVC
from sklearn.utils import Bunch

from sklearn_ser import MFCCEmbedder, SSLEmbedder
from sklearn_ser._models import find_model
from sklearn_ser.cli import main
from sklearn_ser.datasets import make_emotional_speech
from sklearn_ser.evaluation._classifiers import fit_classifier
from sklearn_ser.recognition import (
    EmotionRecognizer,
    OutOfDomainDetector,
    _file,
    load_recognizer,
    save_recognizer,
)


@pytest.fixture(scope="module")
def corpus():
    return make_emotional_speech(n_speakers=6, n_sentences=3, random_state=0)


@pytest.fixture(scope="module")
def recognizer(corpus, tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SKLEARN_SER_CACHE", str(tmp_path_factory.mktemp("records")))
        return EmotionRecognizer(classifier="lda").fit(corpus.X, corpus.y, corpus.groups)


@pytest.fixture
def nano(tmp_path):
    """Return a function that writes a model's folder, with other weights if asked to."""

    def write(name, other=False):
        folder = shutil.copytree(find_model("nano"), tmp_path / name)
        if other:
            weights = load_file(folder / "model.safetensors")
            weights[min(weights)] += 1
            save_file(weights, folder / "model.safetensors", {"format": "pt"})
        return folder

    return write


@pytest.fixture
def path(recognizer, corpus, tmp_path):
    corpus.name = "synthetic"
    save_recognizer(recognizer, tmp_path / "model.skops", [corpus])
    return tmp_path / "model.skops"


def lda(X, y):
    return fit_classifier("lda", X, y, None)


@pytest.mark.parametrize("confounded", [True, False])
def test_what_the_speaker_alone_predicts_is_said(corpus, tmp_path, capsys, confounded):
    """Where every speaker has an emotion of their own, scores may tell speakers apart."""
    speaker = np.unique(corpus.groups, return_inverse=True)[1]
    own = np.unique(corpus.y)[speaker % 2]
    rows = np.flatnonzero((corpus.y == own) | (np.arange(len(own)) % 7 == 0) | (not confounded))
    X, y, groups = [corpus.X[i] for i in rows], corpus.y[rows], corpus.groups[rows]
    recognizer = EmotionRecognizer(MFCCEmbedder(), "lda").fit(X, y, groups)
    counts = pd.crosstab(groups, y).to_numpy()
    others = counts[:, None, :] - np.eye(counts.shape[1], dtype=int)  # of a clip's speaker
    most = others == others.max(axis=2, keepdims=True)
    right = np.einsum("sjj->sj", most / most.sum(axis=2, keepdims=True))
    uar = ((counts * right).sum(axis=0) / counts.sum(axis=0)).mean()
    assert recognizer.scores_["speaker_uar"] == pytest.approx(uar)
    assert recognizer.scores_["confounded"] == (uar > 0.35) == confounded
    save_recognizer(recognizer, tmp_path / "model.skops", [Bunch(name="own", y=y, groups=groups)])
    assert main(["card", str(tmp_path / "model.skops")]) == 0
    printed = " ".join(capsys.readouterr().out.split())
    assert ("CONFOUNDED" in printed) == (f"a UAR of {uar:.3f}" in printed) == confounded


def test_scores_are_those_of_held_out_speakers(recognizer, corpus):
    X = SSLEmbedder("nano").fit_transform(corpus.X).astype(np.float64)
    held_out = np.empty((len(X), 4))
    recalls = []
    for train, test in GroupKFold(6).split(X, corpus.y, corpus.groups):
        fitted = lda(X[train], corpus.y[train])
        held_out[test] = fitted.decision_function(X[test])
        predicted = fitted.classes_[held_out[test].argmax(axis=1)]
        recalls.append(recall_score(corpus.y[test], predicted, average="macro", zero_division=0))
    assert recognizer.scores_["uar"] == pytest.approx(np.mean(recalls))
    found = recognizer.scores_["log_loss"]
    assert found == pytest.approx(
        log_loss(corpus.y, softmax(held_out / recognizer.temperature_, axis=1))
    )
    for other in (1, recognizer.temperature_ * 1.1, recognizer.temperature_ / 1.1):
        assert found < log_loss(corpus.y, softmax(held_out / other, axis=1))


def test_predictions_are_the_classifiers(recognizer, corpus):
    X = SSLEmbedder("nano").fit_transform(corpus.X).astype(np.float64)
    fitted = lda(X, corpus.y)
    np.testing.assert_array_equal(recognizer.predict(corpus.X), fitted.predict(X))
    expected = softmax(fitted.decision_function(X) / recognizer.temperature_, axis=1)
    np.testing.assert_allclose(recognizer.predict_proba(corpus.X), expected)


@pytest.mark.parametrize("classifier", ["svm", LogisticRegression()])
def test_two_emotions_and_any_classifier(corpus, classifier):
    two = np.isin(corpus.y, ["anger", "sadness"])
    clips = [corpus.X[i] for i in np.flatnonzero(two)]
    detector = OutOfDomainDetector([MFCCEmbedder()])
    fitted = EmotionRecognizer(MFCCEmbedder(), classifier, detector=detector)
    fitted.fit(clips, corpus.y[two], corpus.groups[two])
    chances = fitted.predict_proba(clips)
    assert chances.shape == (two.sum(), 2)
    np.testing.assert_allclose(chances.sum(axis=1), 1)
    np.testing.assert_array_equal(fitted.predict(clips) == "sadness", chances[:, 1] > 0.5)


def test_distance_is_a_quantile_of_held_out_speakers(corpus):
    detector = OutOfDomainDetector([MFCCEmbedder()]).fit(corpus.X, corpus.y, corpus.groups)
    X = MFCCEmbedder().fit_transform(corpus.X).astype(np.float64)

    def distances(train, rows):
        scaler = StandardScaler().fit(X[train])
        Z, y = scaler.transform(X), corpus.y
        means = {k: Z[train][y[train] == k].mean(axis=0) for k in np.unique(y)}
        inside = LedoitWolf().fit(Z[train] - [means[k] for k in y[train]])
        found = [
            LedoitWolf.mahalanobis(inside, Z[rows] - m + inside.location_) for m in means.values()
        ]
        return np.sqrt(np.min(found, axis=0))

    held_out = np.empty(len(X))
    for train, test in GroupKFold(6).split(X, corpus.y, corpus.groups):
        held_out[test] = distances(train, test)
    own = distances(np.arange(len(X)), np.arange(len(X)))
    expected = [(held_out < distance).mean() for distance in own]
    np.testing.assert_allclose(detector.quantiles(corpus.X), expected, atol=1.5 / len(X))


def test_speech_unlike_that_of_training_is_far(recognizer, corpus):
    rng = np.random.default_rng(0)
    noise = [(rng.normal(0, 0.1, 16000), 16000) for _ in range(10)]
    narrow = [(soxr.resample(x, rate, 6000), 6000) for x, rate in corpus.X[:20]]
    other = make_emotional_speech(n_speakers=4, n_sentences=2, random_state=9).X
    assert (recognizer.detector_.quantiles(noise) > 0.95).all()
    assert (recognizer.detector_.quantiles(narrow) > 0.95).mean() > 0.9
    assert (recognizer.detector_.quantiles(other) > 0.95).mean() < 0.4  # new voices, same kind


def test_it_abstains_where_it_cannot_know(recognizer, corpus):
    noise = np.random.default_rng(0).normal(0, 0.1, 16000)
    rows = recognizer.recognize([corpus.X[0], (noise, 16000)], abstain=0.95)
    told = rows.iloc[0]
    chances = recognizer.predict_proba(corpus.X[:1])[0]
    assert told["emotion"] == recognizer.classes_[chances.argmax()]
    np.testing.assert_allclose(told[recognizer.classes_].astype(float), chances)
    assert pd.isna(rows.loc[1, "emotion"])
    assert rows.loc[1, recognizer.classes_].isna().all()
    assert rows.loc[1, "note"].startswith("abstained")
    always = recognizer.recognize([(noise, 16000)], abstain=None)
    assert always.loc[0, "emotion"] in recognizer.classes_
    assert always.loc[0, "out_of_domain"] == rows.loc[1, "out_of_domain"] == 1


@pytest.mark.parametrize("suffix", ["wav", "mp3"])
def test_a_window_is_recognised_as_the_clip_that_is_cut(recognizer, corpus, tmp_path, suffix):
    joined = np.concatenate([x for x, _ in corpus.X[:12]])
    long = tmp_path / f"long.{suffix}"
    soundfile.write(long, joined, 16000)
    rows = recognizer.recognize([long], window=1.5, hop=1.1, abstain=None)
    assert len(rows) > 5
    decoded, rate = soundfile.read(long, dtype="float32")
    for _, row in rows.iterrows():
        cut = tmp_path / "cut.wav"
        clip = decoded[round(row["start"] * rate) : round(row["end"] * rate)]
        soundfile.write(cut, clip, rate, subtype="FLOAT")
        alone = recognizer.predict_proba([cut])[0]
        np.testing.assert_allclose(row[recognizer.classes_].astype(float), alone, atol=1e-4)


def test_long_recordings_are_heard_in_windows_like_the_training_clips(recognizer, corpus):
    median, longest = recognizer.seconds_
    lengths = [len(x) / rate for x, rate in corpus.X]
    assert median == pytest.approx(np.median(lengths))
    assert longest == pytest.approx(max(lengths))
    joined = np.concatenate([x for x, _ in corpus.X])
    inside = round(longest * 16000)
    rows = recognizer.recognize([(joined[:inside], 16000), (joined[: 3 * inside], 16000)])
    assert rows["start"].tolist()[:2] == [0, 0]
    assert rows.loc[0, "end"] == pytest.approx(longest, abs=1e-3)
    np.testing.assert_allclose((rows["end"] - rows["start"])[1:], median, atol=1e-4)
    assert rows["end"].iloc[-1] == pytest.approx(3 * inside / 16000, abs=0.1 * median)


def test_progress_tells_seconds_of_audio(recognizer, corpus, capsys):
    """Windows that overlap are not counted twice."""
    speech = np.concatenate([samples for samples, _ in corpus.X[:8]])[: 7 * 16000]
    recognizer.recognize([(speech, 16000)], window=2.0, hop=0.7)
    assert capsys.readouterr().err == ""
    recognizer.recognize([(speech, 16000)], window=2.0, hop=0.7, verbose=True)
    first, *_, last = [line for line in capsys.readouterr().err.split("\r") if line.strip()]
    assert "0/7 s of audio" in first
    assert "100%" in last
    assert "7/7 s of audio" in last


def test_a_recording_that_cannot_be_used_is_a_row_that_says_why(recognizer, corpus, tmp_path):
    good = tmp_path / "good.wav"
    soundfile.write(good, *corpus.X[0])
    bad = tmp_path / "bad.wav"
    bad.write_bytes(good.read_bytes()[:1000])
    tiny = tmp_path / "tiny.wav"
    soundfile.write(tiny, corpus.X[0][0][4000:4100], 16000)
    rows = recognizer.recognize([bad, tiny, tmp_path / "nowhere.wav", good])
    assert rows["emotion"].notna().tolist() == [False, False, False, True]
    assert "clip 0 (bad.wav): truncated" in rows.loc[0, "note"]
    assert "clip 1 (tiny.wav): lasts" in rows.loc[1, "note"]
    assert "clip 2 (nowhere.wav): no such file" in rows.loc[2, "note"]
    assert rows.loc[3, "note"] == ""


def test_a_file_brings_back_the_same(recognizer, corpus, path):
    loaded = load_recognizer(path, cache=None)
    pd.testing.assert_frame_equal(
        loaded.recognize(corpus.X[:5]), recognizer.recognize(corpus.X[:5])
    )
    assert loaded.embedder_.cache is None
    card = loaded.card_
    assert card.emotions == recognizer.classes_.tolist()
    assert card.new_speakers["uar"] == recognizer.scores_["uar"]
    assert card.training == [
        {
            "corpus": "synthetic",
            "n_clips": 72,
            "n_speakers": 6,
            "emotions": dict.fromkeys(["anger", "happiness", "neutral", "sadness"], 18),
        }
    ]
    assert set(card.versions) >= {"scikit-learn", "torch", "sklearn-ser"}
    (features,) = card.features
    assert features["model"] == "nano"
    assert len(features["computed"]["weights"]) == 32


OWN = """
from sklearn.linear_model import LogisticRegression
from sklearn_ser import MFCCEmbedder

class Own(MFCCEmbedder):
    pass

class OwnClassifier(LogisticRegression):
    pass
"""


@pytest.mark.parametrize("part", ["embedder", "classifier", "view"])
def test_code_of_ones_own_that_has_changed_is_warned_of(
    corpus, tmp_path, monkeypatch, capsys, part
):
    (tmp_path / "own_recognizer.py").write_text(OWN)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "own_recognizer", raising=False)
    own = importlib.import_module("own_recognizer")
    recognizer = EmotionRecognizer(
        own.Own(5) if part == "embedder" else MFCCEmbedder(5),
        make_pipeline(StandardScaler(), own.OwnClassifier()) if part == "classifier" else "lda",
        detector=OutOfDomainDetector([own.Own(5) if part == "view" else MFCCEmbedder(5)]),
    )
    path, trusted = tmp_path / "own.skops", ["own_recognizer.Own"]
    if part == "classifier":
        trusted = ["own_recognizer.OwnClassifier"]
    save_recognizer(recognizer.fit(corpus.X, corpus.y, corpus.groups), path)
    (file,) = load_recognizer(path, trusted=trusted).card_["files"].values()  # with no warning
    assert file["path"] == str((tmp_path / "own_recognizer.py").resolve())
    assert main(["card", str(path), "--trust", *trusted]) == 0
    assert "code of own_recognizer" in capsys.readouterr().out
    (tmp_path / "own_recognizer.py").write_text(OWN + "\n# otherwise\n")
    with pytest.warns(UserWarning, match="1 of 1 modules of your own: own_recognizer"):
        load_recognizer(path, trusted=trusted)


def test_a_file_holds_no_weights_of_the_speech_model(path):
    assert path.stat().st_size < 5e6  # nano alone is larger
    with zipfile.ZipFile(path) as file:
        names = file.namelist()
        schema = json.loads(file.read("schema.json"))
    assert {name.rpartition(".")[2] for name in names} == {"json", "npy"}
    assert '"__module__": "torch' not in json.dumps(schema)


def test_another_model_is_refused(corpus, tmp_path, nano):
    folder, other = nano("trained with"), nano("other", other=True)
    fitted = EmotionRecognizer(SSLEmbedder(str(folder)), "lda").fit(
        corpus.X, corpus.y, corpus.groups
    )
    save_recognizer(fitted, tmp_path / "own.skops")
    expected = fitted.predict(corpus.X[:4])
    with pytest.raises(ValueError, match=r"computed otherwise here \(weights '.*' then, '.*' now"):
        load_recognizer(tmp_path / "own.skops", model=str(other))
    moved = folder.rename(tmp_path / "moved")
    with pytest.raises(ValueError, match=r"own\.skops .* is not a folder here"):
        load_recognizer(tmp_path / "own.skops")
    loaded = load_recognizer(tmp_path / "own.skops", model=str(moved))
    assert loaded.embedder_.model == str(moved)
    np.testing.assert_array_equal(loaded.predict(corpus.X[:4]), expected)


def test_a_file_that_could_run_code_is_refused(recognizer, path, tmp_path):
    evil = clone(recognizer).set_params(embedder=FunctionTransformer(np.save))
    skops.io.dump({"card": "{}", "recognizer": evil}, tmp_path / "evil.skops")
    with pytest.raises(ValueError, match=r"numpy.save.*, which could run code"):
        load_recognizer(tmp_path / "evil.skops")
    path.write_bytes(path.read_bytes()[:5000])
    with pytest.raises(ValueError, match="not a recognizer that save_recognizer wrote"):
        load_recognizer(path)
    with pytest.raises(FileNotFoundError):
        load_recognizer(tmp_path / "nowhere.skops")


def test_a_model_on_the_hub_is_kept_with_its_commit(recognizer, tmp_path, nano, monkeypatch):
    commit = tmp_path / "models--a--b" / "snapshots" / "0123abc"
    commit.parent.mkdir(parents=True)
    nano("downloaded").rename(commit)
    monkeypatch.setattr("sklearn_ser._models.find_model", lambda model, revision: commit)
    hub = clone(recognizer)
    hub.__dict__.update(recognizer.__dict__)
    hub.embedder_ = SSLEmbedder("a/b")
    save_recognizer(hub, tmp_path / "hub.skops")
    loaded = load_recognizer(tmp_path / "hub.skops")
    assert loaded.embedder_.revision == "0123abc"
    assert loaded.card_.features[0]["computed"]["revision"] == "0123abc"
    assert hub.embedder_.revision is None


def test_several_features_stand_side_by_side(corpus, tmp_path):
    union = FeatureUnion([("mfcc", MFCCEmbedder()), ("nano", SSLEmbedder("nano"))])
    fitted = EmotionRecognizer(union, "lda").fit(corpus.X, corpus.y, corpus.groups)
    save_recognizer(fitted, tmp_path / "both.skops")
    loaded = load_recognizer(tmp_path / "both.skops", n_jobs=2)
    assert [each["features"] for each in loaded.card_.features] == ["mfcc", "ssl"]
    assert loaded.embedder_.get_params()["nano__n_jobs"] == 2
    np.testing.assert_array_equal(loaded.predict(corpus.X[:9]), fitted.predict(corpus.X[:9]))


def test_new_speakers_cannot_be_judged_without_speakers(corpus):
    with pytest.raises(ValueError, match="no speaker labels"):
        EmotionRecognizer(MFCCEmbedder()).fit(corpus.X, corpus.y)
    one = np.where(corpus.y == "anger", "s00", corpus.groups)
    with pytest.raises(ValueError, match="anger is spoken by one speaker only"):
        EmotionRecognizer(MFCCEmbedder()).fit(corpus.X, corpus.y, one)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"window": 0.0}, "window=0.0; it must be a positive number of seconds"),
        ({"window": "long"}, "window='long'; it must be seconds"),
        ({"hop": -1.0}, "hop=-1.0; it must be a positive"),
        ({"abstain": 2.0}, "abstain=2.0; it must be a share"),
    ],
)
def test_parameters_are_checked(recognizer, corpus, parameters, message):
    with pytest.raises(ValueError, match=message):
        recognizer.recognize(corpus.X[:1], **parameters)


def test_it_is_a_classifier(recognizer, corpus):
    assert recognizer.score(corpus.X, corpus.y) > 0.9
    assert make_pipeline(clone(recognizer)).steps[0][1].classifier == "lda"


NAMES = ["sklearn_ser.cli.__main__.x", "sklearn_ser.cli.main", "sklearn_ser.store.Store"]
NAMES += ["sklearn_ser.classifiers.MLPHead", "antigravity.x", "own_module.Own"]


@pytest.mark.parametrize("name", NAMES)
def test_nothing_is_imported_because_a_file_names_it(name, path, tmp_path, monkeypatch):
    """Once, any module of the package was; sklearn_ser.cli.__main__ runs the command line."""
    module, _, attribute = name.rpartition(".")
    (tmp_path / "own_module.py").write_text("raise SystemExit")
    monkeypatch.syspath_prepend(tmp_path)
    with zipfile.ZipFile(path) as archive:
        members = {each: archive.read(each) for each in archive.namelist()}
    schema = json.loads(members["schema.json"])
    schema["content"]["recognizer"] |= {"__module__": module, "__class__": attribute}
    members["schema.json"] = json.dumps(schema)
    with zipfile.ZipFile(path, "w") as archive:
        for each, content in members.items():
            archive.writestr(each, content)
    imported = []
    monkeypatch.setattr(_file, "skops_io", lambda: skops.io)
    monkeypatch.setattr(importlib, "import_module", lambda *args, **_: imported.append(args))
    with pytest.raises(ValueError, match=f"{path} holds {name}, which could run code"):
        load_recognizer(path)
    assert imported == []


def test_classes_that_a_file_may_name_are_there():
    for name in _file.OURS:
        module, _, attribute = name.rpartition(".")
        found = getattr(importlib.import_module(module), attribute)
        assert f"{found.__module__}.{found.__qualname__}" == name


def test_a_classifier_that_scores_pairs_of_emotions_is_refused(corpus):
    """Three emotions have three pairs, whose scores would be taken for those of the emotions."""
    kept = np.flatnonzero(corpus.y != corpus.y[0])
    X, y, groups = [corpus.X[i] for i in kept], corpus.y[kept], corpus.groups[kept]
    assert len(set(y)) == 3
    detector = OutOfDomainDetector([MFCCEmbedder(cache=None)])
    pairs = make_pipeline(StandardScaler(), SVC(decision_function_shape="ovo"))
    for classifier in (pairs, GridSearchCV(pairs, {"svc__C": [1.0]}, cv=2)):
        recognizer = EmotionRecognizer(MFCCEmbedder(cache=None), classifier, detector=detector)
        with pytest.raises(ValueError, match="Set decision_function_shape='ovr'"):
            recognizer.fit(X, y, groups)
    pairs.set_params(svc__decision_function_shape="ovr")
    recognizer = EmotionRecognizer(MFCCEmbedder(cache=None), pairs, detector=detector)
    recognizer.fit(X, y, groups)
    features = MFCCEmbedder(cache=None).fit_transform(X)
    np.testing.assert_array_equal(recognizer.predict(X), recognizer.classifier_.predict(features))


def test_codes_of_emotions_stay_whole_numbers_beside_abstentions(corpus, tmp_path, capsys):
    codes = np.unique(corpus.y, return_inverse=True)[1] + 1
    detector = OutOfDomainDetector([MFCCEmbedder(cache=None)])
    recognizer = EmotionRecognizer(MFCCEmbedder(cache=None), "lda", detector=detector)
    recognizer.fit(corpus.X, codes, corpus.groups)
    noise = np.random.default_rng(0).normal(size=16000).clip(-3, 3) / 4
    clips = [*corpus.X[:3], (noise, 16000)]
    expected = [*recognizer.predict(corpus.X[:3]).tolist(), None]
    paths = []
    for k, (samples, rate) in enumerate(clips):
        paths.append(str(tmp_path / f"{k}.wav"))
        soundfile.write(paths[-1], samples, rate, subtype="FLOAT")
    rows = recognizer.recognize(clips, window=None, abstain=0.9)
    assert rows["emotion"].tolist() == expected
    assert all(type(code) is int for code in rows["emotion"][:3])
    file, training = tmp_path / "codes.skops", {"name": "c", "y": codes, "groups": corpus.groups}
    save_recognizer(recognizer, file, [training])
    for suffix in ("csv", "jsonl", "json"):
        out = str(tmp_path / f"rows.{suffix}")
        assert main(["predict", str(file), *paths, "--abstain", "0.9", "--out", out]) == 0
    table = pd.read_csv(tmp_path / "rows.csv", dtype=str, keep_default_na=False)
    assert table["emotion"].tolist() == [*map(str, expected[:3]), ""]
    lines = (tmp_path / "rows.jsonl").read_text().splitlines()
    for written in (map(json.loads, lines), json.loads((tmp_path / "rows.json").read_text())):
        assert [row["emotion"] for row in written] == expected
    capsys.readouterr()
    assert main(["predict", str(file), *paths, "--abstain", "0.9"]) == 0
    cells = [line.split("│") for line in capsys.readouterr().out.splitlines() if ".wav" in line]
    assert [cell[3].strip() for cell in cells] == [*map(str, expected[:3]), ""]
    assert main(["card", str(file)]) == 0
    assert "1, 2, 3, 4" in capsys.readouterr().out


@pytest.mark.parametrize("name", ["recording", "start", "end", "emotion", "out_of_domain", "note"])
def test_an_emotion_called_as_a_column_of_rows_is_refused(recognizer, corpus, name, monkeypatch):
    y = np.where(corpus.y == "anger", name, corpus.y)
    with pytest.raises(ValueError, match=f"the emotions .'{name}'. are called as other columns"):
        EmotionRecognizer(MFCCEmbedder(), "lda").fit(corpus.X, y, corpus.groups)
    monkeypatch.setattr(recognizer, "classes_", np.unique(y))  # as of an earlier file
    with pytest.raises(ValueError, match="are called as other columns"):
        recognizer.recognize(corpus.X[:1])


@pytest.mark.parametrize("constant", [True, False])
def test_held_out_clips_that_are_all_at_one_distance_are_refused(corpus, constant):
    view = FunctionTransformer(lambda X: np.ones((len(X), 3))) if constant else MFCCEmbedder()
    X = corpus.X if constant else [corpus.X[0]] * len(corpus.X)
    with pytest.raises(ValueError, match=f"in the feature view {type(view).__name__}, so"):
        OutOfDomainDetector([MFCCEmbedder(), view] if constant else [view]).fit(
            X, corpus.y, corpus.groups
        )
