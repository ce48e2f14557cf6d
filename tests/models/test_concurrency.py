"""Clips side by side, a core each: the same numbers, and nobody's state mixed."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch

from sklearn_ser import SSLEmbedder
from sklearn_ser._extraction import SpeechExtractor
from sklearn_ser._models._running import transformer_layers
from sklearn_ser._models._speech_model import SpeechModel
from sklearn_ser._store import Store
from sklearn_ser._utils import STATISTICS
from sklearn_ser.exceptions import ClipError

RATE = 16000
KEEP_STATE = ("Conformer-relative", "Conformer-rotary")  # they keep what they know of positions
pytestmark = pytest.mark.usefixtures("three_cores")


def errors(actual, desired):
    """Return the relative error of each clip's statistics, row by row."""
    actual, desired = (x.reshape(len(x), -1, 24) for x in (actual, desired))
    return np.linalg.norm(actual - desired, axis=2) / np.linalg.norm(desired, axis=2)


@pytest.fixture
def where(monkeypatch):
    """Return the (thread, torch's threads in it, clips) of every pass."""
    passes = []
    statistics = SpeechModel.statistics

    def noted(self, clips, last_layer=None):
        passes.append((threading.current_thread(), torch.get_num_threads(), len(clips)))
        return statistics(self, clips, last_layer)

    monkeypatch.setattr(SpeechModel, "statistics", noted)
    return passes


def threads_of(passes):
    return {thread for thread, _, _ in passes}


@pytest.mark.one_in(5)
@pytest.mark.parametrize("batch_seconds", ["auto", 1.5])
def test_clips_side_by_side_get_what_they_get_alone(
    batch_seconds, family, tiny_model, speech, where
):
    rng = np.random.default_rng(0)
    X = [(speech(i, s), RATE) for i, s in enumerate(rng.uniform(0.2, 2.0, 12))]
    options = {"layer": "all", "pooling": list(STATISTICS), "cache": None}
    expected = SSLEmbedder(tiny_model(family), **options, batch_seconds=None).fit_transform(X)
    assert {(thread, n) for thread, n, _ in where} == {(threading.main_thread(), 3)}
    where.clear()
    embedder = SSLEmbedder(tiny_model(family), **options, batch_seconds=batch_seconds)
    found = embedder.fit_transform(X)
    assert sum(n_clips for _, _, n_clips in where) == 12
    if family in KEEP_STATE:
        assert {(thread, n) for thread, n, _ in where} == {(threading.main_thread(), 3)}
    else:
        assert len(threads_of(where)) > 1
        assert threading.main_thread() not in threads_of(where)
        assert {n for _, n, _ in where} == {1}
    assert errors(found, expected).max() <= 1e-5


def test_by_default_every_core_has_a_clip_of_its_own(tiny_model, speech, monkeypatch):
    together, sizes = threading.Barrier(3, timeout=30), []
    statistics = SpeechModel.statistics

    def meet(self, clips, last_layer=None):
        sizes.append(len(clips))
        if len(sizes) <= 3:
            together.wait()  # breaks, unless three are in here at once
        return statistics(self, clips, last_layer)

    monkeypatch.setattr(SpeechModel, "statistics", meet)
    X = [(speech(i, 0.5), RATE) for i in range(12)]
    SSLEmbedder(tiny_model(), cache=None).fit_transform(X)
    assert sizes == [1] * 12


def test_the_last_batches_are_smaller(tiny_model, speech, where):
    """Or all cores but one would wait for it."""
    X = [(speech(i, 0.5), RATE) for i in range(16)]
    SSLEmbedder(tiny_model(), cache=None, batch_seconds=20).fit_transform(X)
    assert sorted(n_clips for _, _, n_clips in where) == [6, 10]
    where.clear()
    SSLEmbedder(tiny_model(), cache=None, batch_seconds=8).fit_transform(X)
    assert sorted(n_clips for _, _, n_clips in where) == [3, 4, 4, 5]


def test_a_clip_that_is_alone_has_all_cores(tiny_model, speech, where):
    SSLEmbedder(tiny_model(), cache=None).fit_transform([(speech(0, 1.0), RATE)])
    assert where == [(threading.main_thread(), 3, 1)]


@pytest.mark.filterwarnings("ignore:.*attend to each other within:UserWarning")
def test_a_clip_in_windows_has_all_cores(tiny_model, speech, where):
    X = [(speech(i, s), RATE) for i, s in enumerate([1.0, 4.0, 0.5, 0.7])]
    SSLEmbedder(tiny_model(), cache=None, window=2.0, batch_seconds=1.0).fit_transform(X)
    by_all = [n for thread, n, _ in where if thread is threading.main_thread()]
    assert by_all == [3]
    assert len(where) > 2


def test_only_models_that_keep_no_state_are_run_by_several_threads(family, tiny_model):
    model = SpeechModel(Path(tiny_model(family)), "cpu", "float32")
    assert model.is_thread_safe == (family not in KEEP_STATE)


@pytest.mark.one_in(4)
def test_many_callers_at_once_get_what_each_gets_alone(family, tiny_model, speech):
    parts = [
        [(speech(3 * i + j, 0.3 + 0.13 * i + 0.3 * j), RATE) for j in range(3)] for i in range(8)
    ]
    embedders = [
        SSLEmbedder(tiny_model(family), layer="all", pooling=list(STATISTICS), cache=None)
        for _ in parts
    ]
    expected = [e.fit_transform(part) for e, part in zip(embedders, parts, strict=True)]
    with ThreadPoolExecutor(8) as callers:
        found = list(callers.map(SSLEmbedder.transform, embedders, parts))
    if family in KEEP_STATE:  # run by as many cores as the caller has
        assert max(errors(*pair).max() for pair in zip(found, expected, strict=True)) <= 1e-6
    else:
        np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("kind", ["attribute", "buffer"])
def test_modules_that_remember_do_not_mix_clips_up(kind, build_model, speech, monkeypatch):
    """A layer may note something while it runs and read it later."""
    folder = str(build_model(seed=7))
    model = SpeechModel(Path(folder), "cpu", "float32")
    layer = type(transformer_layers(model._model)[0])
    forward, mixed = layer.forward, []

    def remembers(self, x, *args, **kwargs):
        if kind == "buffer" and not hasattr(self, "noted"):
            self.register_buffer("noted", None, persistent=False)
        self.noted = torch.tensor([threading.get_ident()])
        time.sleep(0.002)
        mixed.append(int(self.noted) != threading.get_ident())
        return forward(self, x, *args, **kwargs)

    monkeypatch.setattr(layer, "forward", remembers)
    assert not SpeechModel(Path(folder), "cpu", "float32").is_thread_safe
    X = [(speech(i, 0.4), RATE) for i in range(9)]
    with ThreadPoolExecutor(3) as callers:
        embedder = SSLEmbedder(folder, "all", cache=None)
        list(callers.map(embedder.transform, [X[:3], X[3:6], X[6:]]))
    assert len(mixed) >= 27
    assert not any(mixed)


def threads_in_a_new_thread():
    found = []
    new = threading.Thread(target=lambda: found.append(torch.get_num_threads()))
    new.start()
    new.join()
    return found[0]


def test_torch_has_its_threads_back(tiny_model, speech, where):
    X = [(speech(i, 0.5), RATE) for i in range(6)]
    SSLEmbedder(tiny_model(), cache=None, batch_seconds=0.5).fit_transform(X)
    assert {n for _, n, _ in where} == {1}
    assert [torch.get_num_threads(), threads_in_a_new_thread()] == [3, 3]


def test_a_caller_that_starts_while_another_runs_has_all_cores(tiny_model, speech, monkeypatch):
    """Torch takes what the first one's threads set as the wish of all new threads."""
    statistics, extractors = SpeechModel.statistics, []
    began, go_on = [threading.Semaphore(0) for _ in range(2)], [threading.Event() for _ in range(2)]

    def held(self, clips, last_layer=None):
        which = int(clips[0].n_frames[0] > 40)
        began[which].release()
        assert go_on[which].wait(30)
        return statistics(self, clips, last_layer)

    init = SpeechExtractor.__init__
    monkeypatch.setattr(
        SpeechExtractor,
        "__init__",
        lambda self, *args, **options: extractors.append(self) or init(self, *args, **options),
    )
    embedder = SSLEmbedder(tiny_model(), cache=None)
    embedder.fit_transform([(speech(), RATE)])
    monkeypatch.setattr(SpeechModel, "statistics", held)
    callers = []
    for which, seconds in enumerate((0.5, 1.5)):
        X = [(speech(i, seconds), RATE) for i in range(4)]
        callers.append(threading.Thread(target=embedder.transform, args=(X,)))
        callers[-1].start()
        assert began[which].acquire(timeout=30)
    for caller, event in zip(callers, go_on, strict=True):
        event.set()
        caller.join()
    assert [extractor.n_concurrent for extractor in extractors] == [3, 3, 3]
    assert threads_in_a_new_thread() == 3


def test_threads_end_with_the_call(tiny_model, speech):
    before = {*threading.enumerate()}
    X = [(speech(i, 0.5), RATE) for i in range(6)]
    embedder = SSLEmbedder(tiny_model(), cache=None, batch_seconds=0.5)
    embedder.fit_transform(X)
    X[2] = (np.zeros(8000, np.float32), RATE)
    with pytest.raises(ClipError, match=r"clip 2 .*silent"):
        embedder.fit_transform(X)
    left = [thread.name for thread in threading.enumerate() if thread not in before]
    assert set(left) <= {"tqdm_monitor"}  # which tqdm starts once and keeps


def test_an_error_in_a_thread_loses_nothing_computed(tiny_model, speech, tmp_path, monkeypatch):
    statistics, begun = SpeechModel.statistics, []

    def fails_later(self, clips, last_layer=None):
        begun.append(clips)
        if len(begun) == 5:
            raise RuntimeError("a cosmic ray")
        return statistics(self, clips, last_layer)

    monkeypatch.setattr(SpeechModel, "statistics", fails_later)
    X = [(speech(i, 0.5), RATE) for i in range(12)]
    embedder = SSLEmbedder(tiny_model(), cache=tmp_path, batch_seconds=0.5)
    with pytest.raises(RuntimeError, match="a cosmic ray"):
        embedder.fit_transform(X)
    assert Store(tmp_path).size()[0] >= 4
    assert not list(tmp_path.rglob("*.lock"))
    assert torch.get_num_threads() == 3


def test_many_cores_are_shared_by_a_few_threads(tiny_model, monkeypatch):
    model = SpeechModel(Path(tiny_model()), "cpu", "float32")
    monkeypatch.setattr(torch, "get_num_threads", lambda: 64)
    asked = []
    monkeypatch.setattr(torch, "set_num_threads", asked.append)
    options = {"as_frames": False, "all_layers": True, "batch_seconds": "auto", "n_readers": None}
    extractor = SpeechExtractor(model, "auto", [0], **options)
    assert extractor.n_concurrent == 16
    with extractor.running():
        extractor.start_worker()
        extractor.start_reader()
    assert asked == [4, 1, 64]
