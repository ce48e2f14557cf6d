"""A clip's numbers in any batch are those it has alone; what is done for that is needed."""

import itertools
import threading
from pathlib import Path

import numpy as np
import pytest
import torch

from sklearn_ser import SSLEmbedder
from sklearn_ser._audio import as_clip
from sklearn_ser._extraction import SpeechExtractor, _extract
from sklearn_ser._models import _speech_model, load_model
from sklearn_ser._models._front_end import FrontEnd
from sklearn_ser._models._running import exact_products, pool_padded
from sklearn_ser._models._speech_model import SpeechModel
from sklearn_ser._store import RecordLock, Store
from sklearn_ser._utils import STATISTICS, pool
from sklearn_ser.embedders import _ssl
from sklearn_ser.exceptions import ClipError

RATE = 16000
# What their layers do across frames notices padding.
ONE_AT_A_TIME = ("data2vec", "SEW", "SEW-D", "Conformer-relative", "Conformer-rotary")


def assert_close(actual, desired, tolerance=1e-5):
    """Compare row by row: one a layer and statistic."""
    actual, desired = (x.reshape(-1, x.shape[-1]) for x in (actual, desired))
    errors = np.linalg.norm(actual - desired, axis=1) / np.linalg.norm(desired, axis=1)
    assert errors.max() <= tolerance


def model_of(folder):
    """Load a model that no other test has changed."""
    return SpeechModel(Path(folder), "cpu", "float32")


def may_batch(model):
    """Tell whether a model's clips may share a batch."""
    noise = np.random.default_rng(0).standard_normal(8000, dtype=np.float32) * 0.1
    return model.may_batch(model.prepare_input(noise))


@pytest.fixture(scope="module")
def ragged(speech):
    """Sixteen waveforms of 0.1 to 2.4 s, odd numbers of frames among them."""
    lengths = np.random.default_rng(0).integers(1600, 38400, 16)
    return [speech(i, n / RATE) for i, n in enumerate(lengths)]


@pytest.fixture
def sizes(monkeypatch):
    """Return the seconds of each clip of each batch that is run."""
    batches = []
    statistics = SpeechModel.statistics

    def noted(self, batch, last_layer=None):
        batches.append([clip.seconds for clip in batch])
        return statistics(self, batch, last_layer)

    monkeypatch.setattr(SpeechModel, "statistics", noted)
    return batches


@pytest.mark.one_in(5)
@pytest.mark.parametrize("n_clips", [2, 16])
def test_statistics_in_a_batch_are_those_alone(n_clips, family, tiny_model, ragged):
    model = model_of(tiny_model(family))
    inputs = [model.prepare_input(waveform) for waveform in ragged[:n_clips]]
    if family == "Whisper":
        inputs = inputs[:3]  # 30 s each
    assert {model.may_batch(clip) for clip in inputs} == {family not in ONE_AT_A_TIME}
    if family in ONE_AT_A_TIME:
        return
    alone = [model.statistics([clip])[0] for clip in inputs]
    order = np.random.default_rng(1).permutation(len(inputs))
    for indices in (range(len(inputs)), order):
        together = model.statistics([inputs[i] for i in indices])
        for i, record in zip(indices, together, strict=True):
            assert record.shape == (5, len(STATISTICS), 24)
            assert_close(record, alone[i])


@pytest.mark.parametrize("family", ONE_AT_A_TIME)
def test_a_family_that_is_not_exact_together_is_run_alone(family, tiny_model, clips, sizes):
    options = {"layer": "all", "cache": None}
    alone = SSLEmbedder(tiny_model(family), **options, batch_seconds=None).fit_transform(clips)
    sizes.clear()
    embedder = SSLEmbedder(tiny_model(family), **options, batch_seconds=60)
    np.testing.assert_array_equal(embedder.fit_transform(clips), alone)
    assert [len(batch) for batch in sizes] == [1] * len(clips)


def test_a_model_that_fails_together_is_run_alone(build_model, clips, sizes, monkeypatch):
    def fail(self, clips, last_layer):
        raise RuntimeError("no kernel for a batch")

    monkeypatch.setattr(SpeechModel, "_batch", fail)
    embedder = SSLEmbedder(str(build_model(seed=5)), cache=None, batch_seconds=60)
    assert np.isfinite(embedder.fit_transform(clips)).all()
    assert [len(batch) for batch in sizes] == [1] * len(clips)


@pytest.mark.one_in(4)
def test_embeddings_do_not_depend_on_batches(family, tiny_model, clips, tmp_path):
    folder = tiny_model(family)
    options = {"layer": "all", "pooling": list(STATISTICS)}
    expected = SSLEmbedder(folder, **options, cache=None, batch_seconds=None).fit_transform(clips)
    seconds = 100 if family == "Whisper" else 4
    for cache in (None, tmp_path):
        embedder = SSLEmbedder(folder, **options, cache=cache, batch_seconds=seconds, n_jobs=2)
        assert_close(
            embedder.fit_transform(clips).reshape(len(clips), -1, 24),
            expected.reshape(len(clips), -1, 24),
        )
    assert Store(tmp_path).size()[0] == len(clips)
    assert not list(tmp_path.rglob("*.lock"))


@pytest.mark.parametrize(
    "family", ["wav2vec2-base", "HuBERT-base", "WavLM-base", "UniSpeech-SAT-base"]
)
def test_group_norm_must_be_over_a_clips_own_samples(family, tiny_model, monkeypatch):
    assert may_batch(model_of(tiny_model(family)))

    def of_the_batch(self, waveforms, device):
        padded = torch.nn.utils.rnn.pad_sequence([w.samples for w in waveforms], batch_first=True)
        together = self.prepare(padded.flatten())
        for waveform in waveforms:
            waveform.weight, waveform.bias = together.weight, together.bias
        return own_statistics(self, waveforms, device)

    own_statistics = FrontEnd.__call__
    model = model_of(tiny_model(family))
    monkeypatch.setattr(FrontEnd, "__call__", of_the_batch)
    assert not may_batch(model)


@pytest.mark.parametrize("family", ["XLS-R", "WavLM-large", "Wav2Vec2-BERT"])
def test_attention_must_be_masked(family, tiny_model, monkeypatch):
    assert may_batch(model_of(tiny_model(family)))
    monkeypatch.setattr(
        _speech_model, "valid_frames", lambda n, length, device: torch.ones(len(n), length) > 0
    )
    assert not may_batch(model_of(tiny_model(family)))


def test_each_clip_must_be_normalised_alone(tiny_model, speech):
    """The feature extractor itself, given a batch, normalises over the padding."""
    model = load_model(Path(tiny_model("wav2vec2-base")), "cpu")
    waveforms = [speech(0, 1.0), speech(1, 0.4)]
    together = model.feature_extractor(
        waveforms, sampling_rate=RATE, padding=True, return_tensors="np"
    )["input_values"][1][: len(waveforms[1])]
    alone = model.prepare_input(waveforms[1]).parts[0].samples.numpy()
    assert np.linalg.norm(together - alone) > 0.1 * np.linalg.norm(alone)


def test_batches_keep_to_their_budget_and_pad_little(tiny_model, speech, sizes, monkeypatch):
    def as_on_a_gpu(*args, **options):
        extractor = SpeechExtractor(*args, **options)
        extractor.n_ahead = 8
        return extractor

    monkeypatch.setattr(_ssl, "SpeechExtractor", as_on_a_gpu)
    X = [(speech(i, 0.3 + 0.7 * (i % 2)), RATE) for i in range(24)] + [(speech(99, 6.0), RATE)]
    SSLEmbedder(tiny_model(), cache=None, batch_seconds=4.0).fit_transform(X)
    assert sum(map(len, sizes)) == 25
    assert max(map(len, sizes)) > 8
    for batch in sizes:
        assert len(batch) == 1 or len(batch) * max(batch) <= 4.0
    assert sum(len(set(batch)) > 1 for batch in sizes) <= 1  # where one length gives way to another


@pytest.mark.parametrize("on_error", ["raise", "warn", "nan"])
def test_a_bad_clip_among_others(on_error, tiny_model, speech, tmp_path):
    X = [(speech(i, 0.5), RATE) for i in range(6)]
    X[3] = (np.zeros(8000, np.float32), RATE)
    embedder = SSLEmbedder(
        tiny_model(), cache=tmp_path, batch_seconds=1.0, on_error=on_error, n_jobs=1
    )
    if on_error == "raise":
        with pytest.raises(ClipError, match=r"clip 3 .*silent"):
            embedder.fit_transform(X)
    else:
        if on_error == "warn":
            with pytest.warns(UserWarning, match="clip 3"):
                embedded = embedder.fit_transform(X)
        else:
            embedded = embedder.fit_transform(X)
        assert np.isnan(embedded).any(axis=1).tolist() == [i == 3 for i in range(6)]
        assert Store(tmp_path).size()[0] == 5
    assert not list(tmp_path.rglob("*.lock"))


def test_a_clip_without_finite_features_loses_none_of_its_batch(
    tiny_model, speech, tmp_path, monkeypatch
):
    X = [(speech(i, 0.5), RATE) for i in range(6)]
    statistics = SpeechModel.statistics

    def with_a_hole(self, batch, last_layer=None):
        found = statistics(self, batch, last_layer)
        if len(batch) > 1:
            found[0] = np.full_like(found[0], np.nan)
        return found

    monkeypatch.setattr(SpeechModel, "statistics", with_a_hole)
    embedder = SSLEmbedder(tiny_model(), cache=tmp_path, batch_seconds=3.0)
    with pytest.raises(ValueError, match=r"gives NaN or infinite values.*clip \d") as caught:
        embedder.fit_transform(X)
    assert not isinstance(caught.value, ClipError)
    assert Store(tmp_path).size()[0] == 5
    assert not list(tmp_path.rglob("*.lock"))


def test_who_holds_clips_does_not_wait_for_others(tiny_model, speech, tmp_path, monkeypatch):
    """Two that hold what the other one wants would wait for ever."""
    X = [(speech(i, 0.4), RATE) for i in range(4)]
    embedder = SSLEmbedder(tiny_model(), cache=tmp_path, batch_seconds=2.0)
    records = embedder.records()
    locks = [RecordLock(records.path(as_clip(x, 0).digest())) for x in X]
    for lock in locks[:2]:
        lock.acquire()
    free = []

    def look(seconds):
        for lock in locks[2:]:  # those that it holds are done, and released
            assert lock.acquire()
            free.append(lock)
            lock.release()
        for lock in locks[:2]:
            lock.release()

    monkeypatch.setattr(_extract.time, "sleep", look)
    assert embedder.fit_transform(X).shape[0] == 4
    assert free == locks[2:]


def test_what_another_process_holds_is_waited_for_last(tiny_model, speech, tmp_path):
    X = [(speech(i, 0.4), RATE) for i in range(4)]
    expected = SSLEmbedder(tiny_model(), cache=None).fit_transform(X)
    embedder = SSLEmbedder(tiny_model(), cache=tmp_path, batch_seconds=2.0)
    records = embedder.records()
    lock = RecordLock(records.path(as_clip(X[1], 1).digest()))
    lock.acquire()
    threading.Timer(0.5, lock.release).start()
    assert_close(embedder.fit_transform(X), expected)


def test_locks_taken_by_threads_are_given_back(tiny_model, speech, tmp_path):
    X = [(speech(i, 0.4), RATE) for i in range(6)]
    embedder = SSLEmbedder(tiny_model(), cache=tmp_path, batch_seconds=1.0, n_jobs=2)
    locks = []
    acquire = RecordLock.acquire
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(RecordLock, "acquire", lambda self: locks.append(self) or acquire(self))
        embedder.fit_transform(X)
    assert len(locks) == 6
    assert not list(tmp_path.rglob("*.lock"))
    assert all(lock.acquire() for lock in locks)


@pytest.fixture
def room_for_three(monkeypatch):
    """Let a device's memory hold three clips; return the sizes of batches that were tried."""
    sizes = []
    statistics = SpeechModel.statistics

    def with_room_for_three(self, batch, last_layer=None):
        sizes.append(len(batch))
        if len(batch) > 3:
            raise torch.cuda.OutOfMemoryError("out of memory")
        return statistics(self, batch, last_layer)

    monkeypatch.setattr(SpeechModel, "statistics", with_room_for_three)
    return sizes


def test_memory_that_runs_out_halves_the_batches(tiny_model, speech, room_for_three):
    X = [(speech(i, 0.5), RATE) for i in range(16)]
    expected = SSLEmbedder(tiny_model(), layer="all", cache=None, batch_seconds=None)
    embedder = SSLEmbedder(tiny_model(), layer="all", cache=None, batch_seconds=4.0)
    assert_close(embedder.fit_transform(X), expected.fit_transform(X))
    assert max(room_for_three) > 3
    assert sum(size for size in room_for_three if size <= 3) == 2 * 16


@pytest.mark.usefixtures("room_for_three")
def test_batches_to_come_are_no_smaller_than_memory_asks(tiny_model, speech):
    extractor = SpeechExtractor(
        model_of(tiny_model()),
        "auto",
        [0],
        as_frames=False,
        all_layers=True,
        batch_seconds=160.0,
        n_readers=None,
    )
    clips = [as_clip((speech(i, 0.5), RATE), i) for i in range(16)]
    prepared = [extractor.prepare(clip, clip.read()) for clip in clips]
    assert len(extractor.compute([clip.item for clip in prepared])) == 16
    seconds = prepared[0].seconds
    assert 2 * seconds <= extractor.batch_seconds <= 4 * seconds


@pytest.mark.parametrize("batch_seconds", [None, 4.0])
@pytest.mark.parametrize(
    "error",
    [
        torch.cuda.OutOfMemoryError("out of memory"),
        RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory"),
        MemoryError(),
    ],
)
def test_a_clip_too_large_for_memory_is_named(
    error, batch_seconds, tiny_model, speech, monkeypatch, tmp_path
):
    statistics = SpeechModel.statistics

    def full(self, batch, last_layer=None):
        if any(clip.n_frames[0] > 40 for clip in batch):
            raise error
        return statistics(self, batch, last_layer)

    monkeypatch.setattr(SpeechModel, "statistics", full)
    X = [(speech(i, 2.0 if i == 1 else 0.5), RATE) for i in range(4)]
    embedder = SSLEmbedder(tiny_model(), cache=tmp_path, batch_seconds=batch_seconds)
    with pytest.raises(ClipError, match=r"clip 1 .* memory. .*window=30"):
        embedder.fit_transform(X)
    embedded = embedder.set_params(on_error="nan").fit_transform(X)
    assert np.isnan(embedded).any(axis=1).tolist() == [False, True, False, False]
    assert Store(tmp_path).size()[0] == 3


def test_other_errors_of_a_model_come_through(tiny_model, speech, monkeypatch):
    def broken(self, batch, last_layer=None):
        raise RuntimeError("mat1 and mat2 shapes cannot be multiplied")

    monkeypatch.setattr(SpeechModel, "statistics", broken)
    for batch_seconds in (None, 4.0):
        with pytest.raises(RuntimeError, match="mat1 and mat2"):
            SSLEmbedder(tiny_model(), cache=None, batch_seconds=batch_seconds).fit_transform(
                [(speech(), RATE)]
            )


def test_what_was_computed_is_stored_when_the_next_batch_fails(
    tiny_model, speech, tmp_path, monkeypatch
):
    n_batches = itertools.count()
    statistics = SpeechModel.statistics

    def fail_at_the_third(self, batch, last_layer=None):
        if next(n_batches) == 2:
            raise KeyboardInterrupt
        return statistics(self, batch, last_layer)

    monkeypatch.setattr(SpeechModel, "statistics", fail_at_the_third)
    X = [(speech(i, 0.5), RATE) for i in range(8)]
    with pytest.raises(KeyboardInterrupt):
        SSLEmbedder(tiny_model(), cache=tmp_path, batch_seconds=1.0).fit_transform(X)
    assert Store(tmp_path).size()[0] in (4, 6)  # the fourth batch may have begun
    assert not list(tmp_path.rglob("*.lock"))


def test_the_callers_autocast_changes_nothing(tiny_model, clips):
    embedder = SSLEmbedder(tiny_model(), layer="all", cache=None, batch_seconds=None)
    expected = embedder.fit_transform(clips)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        np.testing.assert_array_equal(embedder.fit_transform(clips), expected)


def test_a_gpu_multiplies_exactly_and_its_settings_are_given_back():
    products = torch.backends.cuda.matmul
    before = products.allow_tf32
    products.allow_tf32 = True
    try:
        with exact_products(torch.device("cuda")):
            if hasattr(products, "fp32_precision"):  # where reading the older flag is an error
                assert products.fp32_precision == "ieee"
                assert torch.backends.cudnn.conv.fp32_precision == "ieee"
            else:
                assert not products.allow_tf32
                assert not torch.backends.cudnn.allow_tf32
        assert products.allow_tf32
    finally:
        products.allow_tf32 = before


@pytest.mark.parametrize("n_frames", [[7, 7], [1, 2, 3, 11], [10]])
def test_pooling_a_padded_batch_equals_pooling_each_clip(n_frames):
    frames = torch.randn(len(n_frames), 11, 5, generator=torch.Generator().manual_seed(0))
    pooled = pool_padded(frames, n_frames).numpy()
    for n, clip, found in itertools.zip_longest(n_frames, frames.numpy(), pooled):
        np.testing.assert_allclose(found, pool(clip[:n]), rtol=1e-6, atol=1e-7)
