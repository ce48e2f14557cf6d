"""The bundled model: there without a network, exact, small, and described."""

import os
import shutil
from pathlib import Path

import numpy as np
import pytest

import sklearn_ser
from sklearn_ser import SSLEmbedder
from sklearn_ser._models import BUNDLED, find_model, load_model
from sklearn_ser.datasets import make_emotional_speech
from sklearn_ser.exceptions import ClipError

RATE = 16000


@pytest.fixture(scope="module")
def waveforms():
    corpus = make_emotional_speech(n_speakers=3, n_sentences=1, random_state=0)
    lengths = np.random.default_rng(0).integers(RATE // 3, 3 * RATE, len(corpus.X))
    return [(waveform[:n], rate) for (waveform, rate), n in zip(corpus.X, lengths, strict=True)]


@pytest.mark.parametrize("name", BUNDLED)
def test_a_bundled_model_is_in_the_package_and_small(name):
    folder = find_model(name)
    assert folder.is_relative_to(Path(sklearn_ser.__file__).parent)
    files = {path.name: path.stat().st_size for path in folder.iterdir()}
    assert set(files) == {
        "README.md",
        "config.json",
        "model.safetensors",
        "preprocessor_config.json",
    }
    assert sum(files.values()) <= 10e6


@pytest.mark.parametrize("name", BUNDLED)
def test_its_card_says_what_one_must_know(name):
    card = (find_model(name) / "README.md").read_text(encoding="utf-8")
    for heading in ("What it is", "Training", "Licences", "Good for", "Not good for", "Measured"):
        assert f"## {heading}" in card


def test_a_bundled_name_is_not_a_folder_that_is_called_alike(tmp_path, monkeypatch):
    (tmp_path / "nano").mkdir()
    monkeypatch.chdir(tmp_path)
    assert find_model("nano").is_relative_to(Path(sklearn_ser.__file__).parent)
    with pytest.raises(OSError, match=r"lacks config\.json"):
        find_model("./nano")


def test_no_network_is_asked(waveforms, monkeypatch):
    import socket

    def refuse(*args, **options):
        raise AssertionError("it asks the network")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    embedded = SSLEmbedder("nano", layer="all", cache=None).fit_transform(waveforms)
    assert embedded.shape == (len(waveforms), 5 * 256)
    assert np.isfinite(embedded).all()


def test_embeddings_do_not_depend_on_company_order_or_padding(waveforms):
    options = {"layer": "all", "pooling": ["mean", "std", "median"], "cache": None}
    alone = SSLEmbedder("nano", **options, batch_seconds=None).fit_transform(waveforms)
    order = np.random.default_rng(1).permutation(len(waveforms))
    for seconds in (4.0, 30.0):
        together = SSLEmbedder("nano", **options, batch_seconds=seconds)
        found = together.fit_transform([waveforms[i] for i in order])
        errors = np.linalg.norm(found - alone[order], axis=1) / np.linalg.norm(alone, axis=1)
        assert errors.max() <= 1e-5


def test_padded_batches_are_exact_too(waveforms):
    model = load_model(find_model("nano"), "cpu")
    inputs = [model.prepare_input(waveform) for waveform, _ in waveforms]
    assert all(map(model.may_batch, inputs))
    for clip, found in zip(inputs, model.statistics(inputs), strict=True):
        (alone,) = model.statistics([clip])
        errors = np.linalg.norm(found - alone, axis=2) / np.linalg.norm(alone, axis=2)
        assert errors.max() <= 1e-5


def test_the_shortest_clip_has_a_frame():
    noise = 0.1 * np.random.default_rng(0).standard_normal(880).astype(np.float32)
    embedder = SSLEmbedder("nano", cache=None)
    assert np.isfinite(embedder.fit_transform([(noise, RATE)])).all()
    with pytest.raises(ClipError, match="shorter than the extractor can take \\(880 samples"):
        embedder.fit_transform([(noise[:-1], RATE)])


def test_a_folder_is_looked_at_again_when_it_has_changed(tmp_path):
    folder = shutil.copytree(find_model("nano"), tmp_path / "model")
    aside = tmp_path / "aside.json"
    for moment in range(2):
        (folder / "config.json").rename(aside)
        os.utime(folder, (0, 2 * moment))  # as if a while had passed
        with pytest.raises(OSError, match=r"lacks config\.json"):
            find_model(str(folder))
        aside.rename(folder / "config.json")
        os.utime(folder, (0, 2 * moment + 1))
        assert find_model(str(folder)) == folder
