"""OpenVINO and ONNX Runtime, where they are installed, and what is said where they are not."""

import threading
from pathlib import Path

import numpy as np
import pytest
import torch

from sklearn_ser import SSLEmbedder
from sklearn_ser.speech_models import _exported
from sklearn_ser.speech_models._model import SpeechModel, _load

# It keeps rotations from one call to the next, which tracing cannot follow.
REFUSED = {("openvino", "Conformer-rotary")}
ALL = {"layer": "all", "pooling": ["mean", "std", "min", "max", "median"]}


@pytest.fixture(params=_exported.BACKENDS)
def backend(request):
    if not _exported.installed(request.param):
        pytest.skip(f"{request.param} is not installed: it is an extra")
    return request.param


def test_every_family_is_exact_or_refused(backend, family, tiny_model, clips):
    """A backend that cannot run a family says so; none may give other numbers."""
    folder = tiny_model(family)
    expected = SSLEmbedder(folder, **ALL, backend="torch", cache=None).fit_transform(clips)
    embedder = SSLEmbedder(folder, **ALL, backend=backend, cache=None)
    if (backend, family) in REFUSED:
        with pytest.raises(OSError, match=f"{backend} does not run"):
            embedder.fit_transform(clips)
        return
    found = embedder.fit_transform(clips)
    assert embedder._loaded().choices["backend"] == backend
    for row, wanted in zip(found.reshape(-1, 24), expected.reshape(-1, 24), strict=True):
        assert np.linalg.norm(row - wanted) <= 1e-5 * np.linalg.norm(wanted)


@pytest.fixture
def where(monkeypatch):
    """Return the threads in which exported layers ran, after their models were loaded."""
    ran = []
    call = _exported.ExportedEncoder.__call__

    def noted(self, features, n_frames, upto):
        ran.append(threading.current_thread())
        return call(self, features, n_frames, upto)

    monkeypatch.setattr(_exported.ExportedEncoder, "__call__", noted)
    return ran


@pytest.mark.usefixtures("three_cores")
@pytest.mark.parametrize("kind", ["wav2vec2-base", "Whisper"])
def test_clips_are_run_side_by_side(kind, backend, tiny_model, speech, where):
    X = [(speech(i, 0.3 + 0.1 * i), 16000) for i in range(12)]
    folder = tiny_model(kind)
    expected = SSLEmbedder(folder, **ALL, backend="torch", cache=None).fit_transform(X)
    embedder = SSLEmbedder(folder, **ALL, backend=backend, cache=None)
    embedder._loaded()
    where.clear()
    found = embedder.fit_transform(X)
    assert len(where) == 12
    assert len(set(where)) > 1
    assert threading.main_thread() not in where
    for row, wanted in zip(found.reshape(-1, 24), expected.reshape(-1, 24), strict=True):
        assert np.linalg.norm(row - wanted) <= 1e-5 * np.linalg.norm(wanted)


@pytest.mark.usefixtures("three_cores")
def test_on_several_cores_a_clip_that_is_alone_is_left_to_torch(backend, tiny_model, clips, where):
    embedder = SSLEmbedder(tiny_model(), **ALL, backend=backend, cache=None)
    embedder._loaded()
    where.clear()
    embedder.fit_transform(clips[:1])
    assert not where
    torch.set_num_threads(1)
    embedder.fit_transform(clips[:1])
    assert where == [threading.main_thread()]


def test_an_export_is_made_once(backend, tiny_model, cache_folder, clips, monkeypatch):
    folder = Path(tiny_model())
    SpeechModel(folder, "cpu", "float32", backend)
    kept = {path: path.stat().st_mtime_ns for path in cache_folder.rglob("states.*")}
    assert kept
    SpeechModel(folder, "cpu", "float32", backend)
    assert kept == {path: path.stat().st_mtime_ns for path in cache_folder.rglob("states.*")}
    assert not list(cache_folder.rglob("*.tmp"))


def test_a_damaged_export_is_made_again(backend, tiny_model, cache_folder):
    folder = Path(tiny_model())
    SpeechModel(folder, "cpu", "float32", backend)
    sizes = {path: path.stat().st_size for path in cache_folder.rglob("states.*")}
    for path in sizes:
        path.write_bytes(b"\0" * 100)
    assert SpeechModel(folder, "cpu", "float32", backend).choices["backend"] == backend
    assert {path: path.stat().st_size for path in cache_folder.rglob("states.*")} == sizes


def test_what_cannot_be_exported_is_refused_with_its_name(
    backend, tiny_model, cache_folder, monkeypatch
):
    def fail(*args):
        raise RuntimeError("no such operator")

    monkeypatch.setitem(_exported.BACKENDS, backend, (_exported.BACKENDS[backend][0], fail))
    with pytest.raises(OSError, match=r"no such operator.*backend='torch'"):
        SpeechModel(Path(tiny_model()), "cpu", "float32", backend)


def test_padded_batches_and_early_stops_are_left_to_torch(backend, tiny_model, clips):
    folder = tiny_model("XLS-R")
    for options in ({"layer": 1}, {"layer": "all", "batch_seconds": 10}):
        expected, found = (
            SSLEmbedder(folder, **options, backend=name, cache=None).fit_transform(clips)
            for name in ("torch", backend)
        )
        assert np.linalg.norm(found - expected) <= 1e-5 * np.linalg.norm(expected)


@pytest.mark.parametrize("name", _exported.BACKENDS)
def test_a_missing_backend_is_named_with_its_extra(name, tiny_model, clips, monkeypatch):
    monkeypatch.setattr(_exported, "installed", lambda name: False)
    embedder = SSLEmbedder(tiny_model("HuBERT-base"), backend=name, cache=None)
    with pytest.raises(ImportError, match=rf"pip install sklearn-ser\[{name}\]"):
        embedder.fit_transform(clips[:1])


def test_auto_takes_the_fastest_that_is_exact(tiny_model, monkeypatch):
    """Backends of our own: a wrong one, a broken one, and one that is right and fast."""

    def wrong(encoder, example, shape, folder):
        return lambda features: [
            1.01 * state.numpy() for state in encoder(torch.from_numpy(features), [1], 3)
        ]

    def broken(encoder, example, shape, folder):
        raise RuntimeError("no kernel for this layer")

    def fast(encoder, example, shape, folder):
        memory = {}

        def run(features):
            key = features.tobytes()
            if key not in memory:
                memory[key] = [s.numpy() for s in encoder(torch.from_numpy(features), [1], 3)]
            return memory[key]

        return run

    asked = []

    def unneeded(*args):
        asked.append(args)
        raise RuntimeError("one was found before")

    monkeypatch.setattr(_exported, "SMALLEST", 0)
    folder = Path(tiny_model())
    for made, chosen in (
        ({"wrong": wrong, "broken": broken}, "torch"),
        ({"wrong": wrong, "fast": fast, "unneeded": unneeded}, "fast"),
    ):
        backends = {name: ((), compile_states) for name, compile_states in made.items()}
        monkeypatch.setattr(_exported, "BACKENDS", backends)
        assert SpeechModel(folder, "cpu", "float32", "auto").choices["backend"] == chosen
    assert not asked
    with pytest.raises(OSError, match=r"wrong does not run .* \(its states differ\)"):
        SpeechModel(folder, "cpu", "float32", "wrong")


@pytest.mark.usefixtures("three_cores")
def test_what_fails_side_by_side_is_left_to_torch(tiny_model, monkeypatch):
    def alone(encoder, example, shape, folder):
        def run(features):
            if threading.current_thread() is not threading.main_thread():
                raise RuntimeError("no memory for another stream")
            return [state.numpy() for state in encoder(torch.from_numpy(features), [1], 3)]

        return run

    monkeypatch.setattr(_exported, "SMALLEST", 0)
    monkeypatch.setattr(_exported, "BACKENDS", {"alone": ((), alone)})
    model = SpeechModel(Path(tiny_model()), "cpu", "float32", "auto")
    assert model.choices["backend"] == "torch"
    assert torch.get_num_threads() == 3


@pytest.mark.parametrize(
    ("options", "tried"),
    [
        ({"layer": 1, "cache": None}, False),
        ({"layer": 1, "pooling": None}, False),
        ({"layer": 1}, True),  # what is kept has all layers
        ({"layer": -1, "cache": None}, True),
        ({"layer": "mean", "cache": None}, True),
        ({"layer": -1, "pooling": None}, False),  # one clip after another
        ({"layer": -1, "batch_seconds": None}, False),
    ],
)
def test_auto_exports_only_what_will_run(options, tried, tiny_model, clips, monkeypatch):
    calls = []

    def never(*args):
        calls.append(args)
        raise RuntimeError("not this time")

    monkeypatch.setattr(_exported, "SMALLEST", 0)
    monkeypatch.setattr(_exported, "BACKENDS", {"never": ((), never)})
    _load.cache_clear()
    SSLEmbedder(tiny_model("WavLM-base"), **options).fit_transform(clips[:1])
    _load.cache_clear()  # nobody else should be given a model that was not compared
    assert bool(calls) == tried


@pytest.mark.parametrize("why", ["it is small", "nothing else is installed"])
def test_a_model_is_loaded_once_however_many_layers_are_run(why, tiny_model, monkeypatch):
    if why != "it is small":
        monkeypatch.setattr(_exported, "SMALLEST", 0)
        monkeypatch.setattr(_exported, "installed", lambda name: False)
    folder = tiny_model("HuBERT-base")
    whole, early = SSLEmbedder(folder), SSLEmbedder(folder, layer=1, cache=None)
    assert early._stops_early()
    assert not whole._stops_early()
    assert early._loaded() is whole._loaded()


def test_auto_does_not_export_small_models(tiny_model, monkeypatch):
    def never(*args):
        raise AssertionError("exported")

    monkeypatch.setattr(_exported, "BACKENDS", {"never": ((), never)})
    assert SpeechModel(Path(tiny_model()), "cpu", "float32", "auto").choices["backend"] == "torch"
