"""The documented example of a new feature set is a full citizen."""

import json
from pathlib import Path

import librosa
import numpy as np
import pytest
from sklearn.utils.estimator_checks import parametrize_with_checks

from sklearn_ser import embedders
from sklearn_ser.cli import main
from sklearn_ser.datasets import make_emotional_speech
from sklearn_ser.evaluation._features import as_embedders, embedder_class

FILE = Path(__file__).parents[1] / "docs" / "examples" / "logmel_embedder.py"
LogMelEmbedder = embedder_class(f"{FILE}:LogMelEmbedder")

SILENT_ROW = {"check_estimators_dtypes": "one row of its integers is all zeros: a silent clip"}


def test_it_is_one_short_file():
    assert len(FILE.read_text().splitlines()) < 80


@parametrize_with_checks(
    [LogMelEmbedder(n_mels=8, waveform_rate=30)], expected_failed_checks=lambda _: SILENT_ROW
)
def test_scikit_learn_checks(estimator, check):
    check(estimator)


def test_it_uses_the_store(cache_folder):
    corpus = make_emotional_speech(n_speakers=1, n_sentences=1, random_state=0)
    embedded = LogMelEmbedder(pooling="mean").fit_transform(corpus.X)
    (folder,) = cache_folder.glob("logmel-*")
    assert len(list(folder.glob("*/*.npy"))) == len(corpus.X)
    waveform, rate = corpus.X[0]
    mel = librosa.feature.melspectrogram(y=waveform, sr=rate, n_fft=1024, hop_length=160, n_mels=64)
    expected = librosa.power_to_db(mel).mean(axis=1)
    np.testing.assert_allclose(embedded[0], expected, rtol=1e-4)


def test_command_line_takes_it(tmp_path, monkeypatch):
    small = make_emotional_speech(n_speakers=4, n_sentences=1, random_state=0)
    monkeypatch.setattr("sklearn_ser.datasets.make_emotional_speech", lambda **_: small)
    arguments = ["compare", "--features", "mfcc", f"{FILE}:LogMelEmbedder", "--quiet"]
    assert main([*arguments, "--classifier", "lda", "--out", str(tmp_path)]) == 0
    rows = json.loads((tmp_path / "results.json").read_text())["rows"]
    assert [row["features"] for row in rows] == ["mfcc", "logmel"]


def test_an_export_is_all_it_takes_to_have_a_name(monkeypatch):
    monkeypatch.setattr(embedders, "LogMelEmbedder", LogMelEmbedder, raising=False)
    monkeypatch.setattr(embedders, "__all__", [*embedders.__all__, "LogMelEmbedder"])
    assert isinstance(as_embedders(["logmel"])["logmel"], LogMelEmbedder)
    with pytest.raises(ValueError, match="logmel"):
        as_embedders(["unknown"])
