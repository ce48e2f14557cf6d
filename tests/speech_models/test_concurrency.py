"""Clips side by side, a core each: the same numbers, one set of weights, nobody's state mixed."""

import threading
import time
import weakref
from pathlib import Path

import numpy as np
import pytest
import torch

from sklearn_ser import SSLEmbedder
from sklearn_ser.audio import ClipError
from sklearn_ser.pooling import STATISTICS
from sklearn_ser.speech_models import _cpu, _model, _workers
from sklearn_ser.speech_models._model import SpeechModel
from sklearn_ser.speech_models._states import transformer_layers
from sklearn_ser.store import Store

RATE = 16000
pytestmark = pytest.mark.usefixtures("three_cores")


@pytest.fixture
def where(monkeypatch):
    """Return the (thread, torch's threads in it, clips) of every pass."""
    passes = []
    statistics = SpeechModel.statistics

    def noted(self, clips, upto=None):
        passes.append((threading.current_thread(), torch.get_num_threads(), len(clips)))
        return statistics(self, clips, upto)

    monkeypatch.setattr(SpeechModel, "statistics", noted)
    return passes


def test_clips_side_by_side_get_what_they_get_alone(family, tiny_model, speech, where):
    rng = np.random.default_rng(0)
    X = [(speech(i, s), RATE) for i, s in enumerate(rng.uniform(0.2, 2.0, 12))]
    options = {"layer": "all", "pooling": list(STATISTICS), "cache": None, "backend": "torch"}
    expected = SSLEmbedder(tiny_model(family), **options, batch_seconds=None).fit_transform(X)
    assert {(thread, n) for thread, n, _ in where} == {(threading.main_thread(), 3)}
    where.clear()
    found = SSLEmbedder(tiny_model(family), **options, batch_seconds=1.5).fit_transform(X)
    assert sum(n_clips for _, _, n_clips in where) == 12
    assert len({thread for thread, _, _ in where}) > 1
    assert threading.main_thread() not in {thread for thread, _, _ in where}
    assert {n for _, n, _ in where} == {1}
    found, expected = (x.reshape(12, -1, 24) for x in (found, expected))
    errors = np.linalg.norm(found - expected, axis=2) / np.linalg.norm(expected, axis=2)
    assert errors.max() <= 1e-5


def test_by_default_clips_are_run_side_by_side(tiny_model, speech, where, monkeypatch):
    monkeypatch.setattr(_model, "SIDE_BY_SIDE", 1.0)
    X = [(speech(i, 0.5), RATE) for i in range(12)]
    SSLEmbedder(tiny_model(), cache=None).fit_transform(X)
    assert len({thread for thread, _, _ in where}) == 3
    assert max(n_clips for _, _, n_clips in where) == 2


@pytest.mark.parametrize("family", ["Whisper", "Conformer-relative"])
def test_what_cannot_be_joined_is_run_clip_by_clip(family, tiny_model, speech, where):
    X = [(speech(i, 0.5), RATE) for i in range(6)]
    SSLEmbedder(tiny_model(family), cache=None).fit_transform(X)
    assert {n_clips for _, _, n_clips in where} == {1}
    assert threading.main_thread() not in {thread for thread, _, _ in where}


def test_the_last_batches_are_smaller(tiny_model, speech, where):
    """Or all cores but one would wait for it."""
    X = [(speech(i, 0.5), RATE) for i in range(16)]
    SSLEmbedder(tiny_model(), cache=None, batch_seconds=20).fit_transform(X)
    assert [n_clips for _, _, n_clips in where] == [10, 6]
    where.clear()
    SSLEmbedder(tiny_model(), cache=None, batch_seconds=8).fit_transform(X)
    assert [n_clips for _, _, n_clips in where] == [4, 4, 4, 4]


def test_a_clip_that_is_alone_has_all_cores(tiny_model, speech, where):
    SSLEmbedder(tiny_model(), cache=None).fit_transform([(speech(0, 1.0), RATE)])
    assert where == [(threading.main_thread(), 3, 1)]


@pytest.mark.filterwarnings("ignore:.*attend to each other within:UserWarning")
def test_a_clip_heard_in_pieces_has_all_cores(tiny_model, speech, where):
    X = [(speech(i, s), RATE) for i, s in enumerate([1.0, 4.0, 0.5, 0.7])]
    SSLEmbedder(tiny_model(), cache=None, window=2.0, batch_seconds=1.0).fit_transform(X)
    by_all = [n for thread, n, _ in where if thread is threading.main_thread()]
    assert by_all == [3]
    assert len(where) > 2


def test_a_twin_has_the_weights_but_not_the_modules(family, tiny_model):
    model = SpeechModel(Path(tiny_model(family)), "cpu", "float32", "torch")
    original = model._encoder.model
    with model.worker() as worker:
        twin = worker._encoder.model
        assert not set(map(id, original.modules())) & set(map(id, twin.modules()))
        for mine, its in zip(original.parameters(), twin.parameters(), strict=True):
            assert mine is its
        for mine, its in zip(original.buffers(), twin.buffers(), strict=True):
            assert mine is its
    tensors = {id(t) for t in (*original.parameters(), *original.buffers())}
    copied = [
        f"{name}.{attribute}"
        for name, module in twin.named_modules()
        for attribute, value in vars(module).items()
        if isinstance(value, torch.Tensor) and id(value) not in tensors
    ]
    assert not [name for name in copied if not name.endswith(".pe")]  # positions, no weights


def test_packed_weights_are_shared():
    if _cpu.onednn_ops() is None:
        pytest.skip("this torch has no oneDNN")
    packed = _cpu.PackedLinear(torch.nn.Linear(8, 8).requires_grad_(False))
    twin = _workers.Twins(packed).take()
    assert twin is not packed
    assert twin._packed is packed._packed


def test_twins_are_used_again(tiny_model):
    model = SpeechModel(Path(tiny_model()), "cpu", "float32", "torch")
    with model.worker() as first:
        with model.worker() as second:
            assert first._encoder.model is not second._encoder.model
        with model.worker() as third:
            assert third._encoder.model is second._encoder.model


def test_modules_that_remember_do_not_mix_clips_up(build_model, speech, monkeypatch):
    """A layer may note something while it runs and read it later."""
    folder = str(build_model(seed=7))
    model = SpeechModel(Path(folder), "cpu", "float32", "torch")
    kind = type(transformer_layers(model._encoder.model)[0])
    forward, mixed = kind.forward, []

    def remembers(self, *args, **kwargs):
        self.noted = threading.get_ident()
        time.sleep(0.005)
        mixed.append(self.noted != threading.get_ident())
        return forward(self, *args, **kwargs)

    monkeypatch.setattr(kind, "forward", remembers)
    X = [(speech(i, 0.4), RATE) for i in range(9)]
    SSLEmbedder(folder, "all", cache=None, batch_seconds=0.5).fit_transform(X)
    assert len(mixed) >= 27
    assert not any(mixed)


def test_torch_has_its_threads_back(tiny_model, speech, where):
    X = [(speech(i, 0.5), RATE) for i in range(6)]
    SSLEmbedder(tiny_model(), cache=None, batch_seconds=0.5).fit_transform(X)
    assert {n for _, n, _ in where} == {1}
    found = [torch.get_num_threads()]
    new = threading.Thread(target=lambda: found.append(torch.get_num_threads()))
    new.start()
    new.join()
    assert found == [3, 3]


def test_workers_end_with_the_call(tiny_model, speech):
    before = set(threading.enumerate())
    X = [(speech(i, 0.5), RATE) for i in range(6)]
    embedder = SSLEmbedder(tiny_model(), cache=None, batch_seconds=0.5)
    embedder.fit_transform(X)
    X[2] = (np.zeros(8000, np.float32), RATE)
    with pytest.raises(ClipError, match=r"clip 2 .*silent"):
        embedder.fit_transform(X)
    assert set(threading.enumerate()) <= before


def test_an_error_in_a_worker_loses_nothing_computed(tiny_model, speech, tmp_path, monkeypatch):
    statistics, begun = SpeechModel.statistics, []

    def fails_later(self, clips, upto=None):
        begun.append(clips)
        if len(begun) == 5:
            raise RuntimeError("a cosmic ray")
        return statistics(self, clips, upto)

    monkeypatch.setattr(SpeechModel, "statistics", fails_later)
    X = [(speech(i, 0.5), RATE) for i in range(12)]
    embedder = SSLEmbedder(tiny_model(), cache=tmp_path, batch_seconds=0.5)
    with pytest.raises(RuntimeError, match="a cosmic ray"):
        embedder.fit_transform(X)
    assert Store(tmp_path).size()[0] >= 4
    assert not list(tmp_path.rglob("*.lock"))
    assert torch.get_num_threads() == 3


def test_many_cores_are_shared_by_a_few_workers(monkeypatch):
    monkeypatch.setattr(_workers.torch, "get_num_threads", lambda: 64)
    asked = []
    monkeypatch.setattr(_workers.torch, "set_num_threads", asked.append)
    assert _workers.n_workers() == 16
    workers = _workers.Workers(16)
    workers.submit(lambda: None).result()
    workers.close()
    assert asked == [4, 64]


def test_the_attention_it_replaces_is_not_kept(build_model):
    """Its weights, packed again, would be in memory twice."""
    from sklearn_ser.speech_models._loading import read_encoder
    from sklearn_ser.speech_models._wavlm import fuse_attention

    model = read_encoder(Path(build_model("WavLM-base")))
    replaced = weakref.ref(transformer_layers(model)[0].attention)
    fuse_attention(model)
    assert replaced() is None
