import tracemalloc

import librosa
import numpy as np
import pytest
from sklearn.base import clone

from sklearn_ser import MFCCEmbedder
from sklearn_ser._utils import STATISTICS, _pooling
from sklearn_ser.embedders import _mfcc
from sklearn_ser.exceptions import ClipError

RATE = 16000
SETTINGS = [
    {},
    {"rate": 22050},
    {"rate": 8000, "n_mels": 40},
    {"n_fft": 512, "hop_length": 160, "n_mels": 64},
    {"n_fft": 400, "hop_length": 400, "n_mels": 40},
]


def frames_by_librosa(waveform, n_mfcc=40, deltas=0, rate=16000, n_fft=2048, **settings):
    mfcc = librosa.feature.mfcc(y=waveform, sr=rate, n_mfcc=n_mfcc, n_fft=n_fft, **settings)
    orders = [librosa.feature.delta(mfcc, order=i, mode="nearest") for i in range(1, deltas + 1)]
    return np.concatenate([mfcc, *orders]).T


@pytest.mark.parametrize("settings", SETTINGS, ids=repr)
@pytest.mark.parametrize("deltas", [0, 1, 2])
def test_frames_equal_librosa(deltas, settings, speech):
    rate = settings.get("rate", RATE)
    waveforms = [speech(seed, seconds=0.3 + 0.1 * seed, rate=rate) for seed in range(3)]
    embedder = MFCCEmbedder(20, deltas, pooling=None, cache=None, **settings)
    sequences = embedder.fit_transform([(waveform, rate) for waveform in waveforms])
    assert sequences.shape == (3,)
    assert sequences.dtype == object
    for sequence, waveform in zip(sequences, waveforms, strict=True):
        expected = frames_by_librosa(waveform, 20, deltas, **settings)
        assert sequence.dtype == np.float32
        np.testing.assert_allclose(sequence, expected, rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize("deltas", [0, 1, 2])
@pytest.mark.parametrize("pooling", ["mean", ("mean", "std"), ["median", "max", "min", "std"]])
def test_pooled_frames_equal_numpy(pooling, deltas, speech):
    waveform = speech()
    embedder = MFCCEmbedder(13, deltas, pooling)
    embedded = embedder.fit_transform([(waveform, RATE)])
    frames = frames_by_librosa(waveform, 13, deltas).reshape(-1, deltas + 1, 13)
    statistics = [pooling] if isinstance(pooling, str) else pooling
    expected = [
        getattr(np, statistic)(frames[:, order], axis=0)
        for order in range(deltas + 1)
        for statistic in statistics
    ]
    np.testing.assert_allclose(embedded, [np.concatenate(expected)], rtol=1e-4, atol=1e-3)
    assert embedded.dtype == np.float32
    assert list(embedder.get_feature_names_out()) == [
        f"{order}_{statistic}_{i:02d}"
        for order in ["mfcc", "delta", "delta2"][: deltas + 1]
        for statistic in statistics
        for i in range(13)
    ]


def test_selections_are_read_from_one_record(speech, counting_mfcc):
    X = [(speech(seed), RATE) for seed in range(3)]
    full = counting_mfcc(128, deltas=2, pooling="mean").fit_transform(X).reshape(3, 3, 128)
    assert counting_mfcc.n_extractions == 3
    for n_mfcc in (1, 13, 40, 127):
        for deltas in (0, 1, 2):
            selected = counting_mfcc(n_mfcc, deltas, pooling="mean").fit_transform(X)
            prefix = full[:, : deltas + 1, :n_mfcc].reshape(3, -1)
            np.testing.assert_array_equal(selected, prefix)
    for pooling in ("std", ["min", "max"], ["median"]):
        counting_mfcc(pooling=pooling).fit_transform(X)
    assert counting_mfcc.n_extractions == 3


@pytest.mark.parametrize(
    "computing", [{"rate": 8000}, {"n_fft": 1024}, {"hop_length": 256}, {"n_mels": 64}], ids=repr
)
def test_what_is_computed_is_part_of_the_key(computing, speech, counting_mfcc):
    X = [(speech(), RATE)]
    default = counting_mfcc().transform(X)
    other = counting_mfcc(**computing).transform(X)
    assert counting_mfcc.n_extractions == 2
    assert (default != other).any()
    np.testing.assert_array_equal(other, MFCCEmbedder(**computing, cache=None).transform(X))


def test_sequences_of_other_selections_are_other_records(speech, counting_mfcc):
    X = [(speech(), RATE)]
    for n_mfcc, deltas in [(13, 0), (20, 0), (13, 2), (13, 0)]:
        [sequence] = counting_mfcc(n_mfcc, deltas, pooling=None).transform(X)
        expected = frames_by_librosa(speech(), n_mfcc, deltas)
        np.testing.assert_allclose(sequence, expected, rtol=1e-4, atol=1e-3)
    assert counting_mfcc.n_extractions == 3


@pytest.mark.parametrize("pooling", [("mean", "std"), None])
@pytest.mark.parametrize("cache", ["auto", None])
@pytest.mark.parametrize("n_jobs", [2, 4, -1])
def test_threads_and_order_change_nothing(n_jobs, cache, pooling, speech):
    X = [(speech(seed, seconds=0.2 + 0.05 * seed), RATE) for seed in range(8)]
    X += X[:2]
    alone = [MFCCEmbedder(pooling=pooling, cache=None).transform([clip])[0] for clip in X]
    embedder = MFCCEmbedder(pooling=pooling, n_jobs=n_jobs, cache=cache)
    for _ in range(2):  # computed, then read
        for order in (slice(None), slice(None, None, -1)):
            embedded = embedder.fit_transform(X[order])
            for row, expected in zip(embedded, alone[order], strict=True):
                np.testing.assert_array_equal(row, expected)


@pytest.mark.parametrize(("n_fft", "n_samples"), [(2048, 2048), (512, 512)])
def test_shortest_clip(n_fft, n_samples, speech):
    waveform = speech()[:n_samples]
    embedder = MFCCEmbedder(n_fft=n_fft, n_mels=40, deltas=2, cache=None)
    assert np.isfinite(embedder.transform([(waveform, RATE)])).all()
    with pytest.raises(ClipError, match=rf"{n_samples - 1} samples .* \({n_fft} samples\)"):
        embedder.transform([(waveform[:-1], RATE)])


def test_bad_clip_among_sequences(speech):
    embedder = MFCCEmbedder(13, pooling=None, on_error="nan")
    good, bad = embedder.transform([(speech(), RATE), None])
    assert good.shape == (13, 13)
    assert bad.shape == (1, 13)
    assert np.isnan(bad).all()


def test_verbose_shows_a_bar_only_when_asked(speech, capfd):
    MFCCEmbedder(cache=None).transform([(speech(), RATE)])
    assert capfd.readouterr() == ("", "")
    MFCCEmbedder(cache=None, verbose=True).transform([(speech(), RATE)])
    assert "mfcc: 100%" in capfd.readouterr().err


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"n_mfcc": 129}, "n_mfcc=129 exceeds the 128 mel bands"),
        ({"n_mfcc": 0}, "'n_mfcc' parameter"),
        ({"deltas": 3}, "'deltas' parameter"),
        ({"pooling": "max-min"}, "'pooling' parameter"),
        ({"pooling": ["mean", "max-min"]}, "'pooling' parameter"),
        ({"pooling": []}, "'pooling' parameter"),
        ({"on_error": "ignore"}, "'on_error' parameter"),
        ({"rate": 0}, "'rate' parameter"),
    ],
    ids=repr,
)
def test_parameters_out_of_range(parameters, message, speech):
    with pytest.raises(ValueError, match=message):
        MFCCEmbedder(cache=None, **parameters).fit_transform([(speech(), RATE)])


def test_clone_gives_the_same_features(speech):
    X = [(speech(), RATE)]
    embedder = MFCCEmbedder(20, 1, ["min", "mean"], n_fft=1024, cache=None)
    np.testing.assert_array_equal(clone(embedder).transform(X), embedder.transform(X))


def test_features_that_are_not_finite_are_an_error_and_not_kept(speech, cache_folder):
    class NaNMFCC(MFCCEmbedder):
        def compute(self, waveform):
            frames = super().compute(waveform)
            frames[0, 1, 2] = np.nan
            return frames

    # One frame's coefficient makes each of the five statistics of it NaN.
    with pytest.raises(ClipError, match=r"clip 0 \(waveform\): 5 of its features are NaN"):
        NaNMFCC().transform([(speech(), RATE)])
    assert not list(cache_folder.rglob("*.npy"))


@pytest.mark.parametrize("pooling", ["mean", ["mean", "max"], None])
def test_fit_transform_leaves_what_fit_does(pooling, speech):
    X = [(speech(), RATE)]
    embedder = MFCCEmbedder(13, 1, pooling, cache=None)
    fitted = clone(embedder).fit(X)
    embedded = embedder.fit_transform(X)
    np.testing.assert_array_equal(embedded[0], fitted.transform(X)[0])
    assert vars(embedder) == vars(fitted)
    np.testing.assert_array_equal(embedder.get_feature_names_out(), fitted.get_feature_names_out())


@pytest.mark.parametrize("settings", SETTINGS, ids=repr)
def test_blocks_change_no_bit_and_differences_see_across_them(settings, speech, monkeypatch):
    waveform = speech(seconds=3, rate=settings.get("rate", RATE))
    embedder = MFCCEmbedder(20, 2, list(STATISTICS), cache=None, **settings)
    whole = embedder.compute(waveform)
    row = embedder.fit_transform([(waveform, settings.get("rate", RATE))])
    monkeypatch.setattr(_mfcc, "BLOCK", 16)
    monkeypatch.setattr(_pooling, "BLOCK", 500)
    np.testing.assert_array_equal(embedder.compute(waveform), whole)
    np.testing.assert_array_equal(
        embedder.fit_transform([(waveform, settings.get("rate", RATE))]), row
    )


@pytest.mark.parametrize("shape", [(1, 1), (3, 7), (900, 1), (900, 9), (900, 23), (2, 3, 500, 40)])
def test_pooling_some_dimensions_at_a_time_changes_no_bit(shape, monkeypatch):
    frames = np.random.default_rng(0).standard_normal(shape).astype(np.float32)
    for x in (frames, np.asfortranarray(frames)):
        whole = _pooling.pool(x)
        with monkeypatch.context() as patch:
            patch.setattr(_pooling, "BLOCK", 500)
            np.testing.assert_array_equal(_pooling.pool(x), whole)


def test_the_memory_of_a_long_clip_is_that_of_its_coefficients(speech):
    """Once, it was ten times the waveform's."""
    waveform = np.tile(speech(seconds=5), 60)
    embedder = MFCCEmbedder(cache=None)
    embedder.fit_transform([(waveform[: 5 * RATE], RATE)])
    tracemalloc.start()
    embedder.fit_transform([(waveform, RATE)])
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < waveform.nbytes + 2 * len(waveform) // 512 * 128 * 4 + 40e6
