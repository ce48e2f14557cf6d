import warnings

import numpy as np
import opensmile
import pytest
from sklearn.base import clone

from sklearn_ser import EGeMAPSEmbedder
from sklearn_ser.embedders._egemaps import FEATURE_SETS
from sklearn_ser.exceptions import ClipError, ClipWarning

RATE = 16000
LEVELS = {
    "functionals": opensmile.FeatureLevel.Functionals,
    "lld": opensmile.FeatureLevel.LowLevelDescriptors,
}


def by_opensmile(waveform, rate=RATE, feature_set="eGeMAPSv02", level="functionals"):
    with warnings.catch_warnings():  # of its earlier versions
        warnings.filterwarnings("ignore", "Feature set .* is deprecated", UserWarning)
        smile = opensmile.Smile(opensmile.FeatureSet[feature_set], LEVELS[level])
    return smile.process_signal(waveform, rate)


@pytest.fixture
def counting_egemaps():
    class CountingEGeMAPS(EGeMAPSEmbedder):
        n_extractions = 0

        def compute(self, waveform):
            type(self).n_extractions += 1
            return super().compute(waveform)

    return CountingEGeMAPS


@pytest.mark.one_in(5)
@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("feature_set", FEATURE_SETS)
def test_every_set_and_level_equals_opensmile(feature_set, level, speech):
    waveforms = [speech(seed, seconds=0.5 + 0.1 * seed) for seed in range(2)]
    embedder = EGeMAPSEmbedder(feature_set, level, **({"pooling": None} if level == "lld" else {}))
    embedded = embedder.fit_transform([(waveform, RATE) for waveform in waveforms])
    for row, waveform in zip(embedded, waveforms, strict=True):
        expected = by_opensmile(waveform, feature_set=feature_set, level=level)
        assert row.dtype == np.float32
        assert np.atleast_2d(row).shape == expected.shape
        assert (expected.to_numpy() != 0).any()
        np.testing.assert_array_equal(np.atleast_2d(row), expected.to_numpy())
        assert list(embedder.get_feature_names_out()) == list(expected.columns)


@pytest.mark.one_in(3)
@pytest.mark.parametrize(
    ("feature_set", "n_functionals", "n_descriptors"),
    [
        ("GeMAPSv01b", 62, 18),
        ("eGeMAPSv01b", 88, 23),
        ("eGeMAPSv02", 88, 25),
        ("ComParE_2016", 6373, 65),
    ],
)
def test_number_of_features_is_the_published_one(feature_set, n_functionals, n_descriptors, speech):
    X = [(speech(), RATE)]
    assert EGeMAPSEmbedder(feature_set).fit_transform(X).shape == (1, n_functionals)
    descriptors = EGeMAPSEmbedder(feature_set, "lld", pooling=["max", "std", "mean"])
    assert descriptors.fit_transform(X).shape == (1, 3 * n_descriptors)
    assert len(descriptors.get_feature_names_out()) == 3 * n_descriptors


@pytest.mark.parametrize("pooling", ["mean", ("mean", "std"), ["median", "max", "min"]])
def test_pooled_descriptors_equal_numpy(pooling, speech):
    waveform = speech(seconds=0.6)
    embedder = EGeMAPSEmbedder(level="lld", pooling=pooling)
    embedded = embedder.fit_transform([(waveform, RATE)])
    frames = by_opensmile(waveform, level="lld")
    statistics = [pooling] if isinstance(pooling, str) else pooling
    values = frames.to_numpy(np.float64)
    expected = np.concatenate([getattr(np, name)(values, axis=0) for name in statistics])
    np.testing.assert_allclose(embedded, [expected], rtol=1e-5, atol=1e-6)
    assert list(embedder.get_feature_names_out()) == [
        f"{column}_{statistic}" for statistic in statistics for column in frames.columns
    ]


@pytest.mark.one_in(3)
@pytest.mark.parametrize("rate", [8000, 22050, 44100])
def test_rate_is_the_one_opensmile_is_told(rate, speech):
    waveform = speech(rate=rate, seconds=0.6)
    embedded = EGeMAPSEmbedder(rate=rate).fit_transform([(waveform, rate)])
    np.testing.assert_array_equal(embedded, by_opensmile(waveform, rate))
    resampled = EGeMAPSEmbedder().fit_transform([(waveform, rate)])
    assert (resampled != embedded).any()


def test_full_scale_does_not_wrap(speech):
    waveform = speech(seconds=0.6)
    waveform /= np.abs(waveform).max()
    if waveform.max() < 1:
        waveform = -waveform
    assert waveform.max() == 1
    embedded = EGeMAPSEmbedder().fit_transform([(waveform, RATE)])
    scaled = by_opensmile(waveform * np.float32(0.9999)).to_numpy()
    # A hair below full scale is the same sound; a sample that wraps to -1 is another one.
    np.testing.assert_allclose(embedded, scaled, rtol=0.01, atol=0.02)
    assert np.abs(by_opensmile(waveform).to_numpy() - scaled).max() > 0.05


def scaled(waveform, peak):
    return (waveform * np.float32(peak / np.abs(waveform).max())).astype(np.float32)


def standardised(waveform):
    return (waveform - waveform.mean()) / waveform.std()


@pytest.mark.one_in(5)
@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("feature_set", ["GeMAPSv01b", "eGeMAPSv02", "ComParE_2016"])
def test_samples_beyond_full_scale_are_reported_once_with_their_share(feature_set, level, speech):
    waveforms = [scaled(speech(i, 0.5), peak) for i, peak in enumerate((0.9, 1.02, 1.2, 1.0))]
    counts = [np.count_nonzero(np.abs(w) > 1) for w in waveforms]
    assert np.argmax(counts) == 2
    embedder = EGeMAPSEmbedder(feature_set, level, cache=None, n_jobs=2)
    message = rf"clipped in 2 clips, at most {counts[2]} of 8000 .* in clip 2 \(waveform\)"
    with pytest.warns(ClipWarning, match=message) as caught:
        embedded = embedder.fit_transform([(waveform, RATE) for waveform in waveforms])
    assert len(caught) == 1
    assert caught[0].filename == __file__
    clipped = [(np.clip(waveform, -1, 1), RATE) for waveform in waveforms]
    np.testing.assert_array_equal(embedder.transform(clipped), embedded)  # and nothing is told


def test_one_clip_that_overshoots_is_named(speech):
    waveform = scaled(speech(0, 0.5), 1.1)
    count = np.count_nonzero(np.abs(waveform) > 1)
    with pytest.warns(ClipWarning, match=rf"in 1 clip, {count} of 8000 .* in clip 1 \("):
        EGeMAPSEmbedder().fit_transform([(speech(1, 0.5), RATE), (waveform, RATE)])


@pytest.mark.one_in(5)
@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize(
    "rescale",
    [standardised, lambda waveform: scaled(waveform, 3), lambda waveform: scaled(waveform, 128)],
    ids=["standardised", "peak 3", "8 bits"],
)
def test_a_waveform_of_another_scale_is_an_error_that_names_the_clip(level, rescale, speech):
    waveform = rescale(speech(3, 0.5))
    X = [(speech(0, 0.5), RATE), (waveform, RATE)]
    embedder = EGeMAPSEmbedder(level=level, cache=None)
    share, peak = np.mean(np.abs(waveform) > 1), np.abs(waveform).max()
    message = rf"clip 1 \(waveform\): {share:.1%} .*full scale \(±1\), by up to {peak:.3g} times"
    with pytest.raises(ClipError, match=message):
        embedder.fit_transform(X)
    rows = embedder.set_params(on_error="nan").fit_transform(X)
    assert np.isnan(rows).all(axis=1).tolist() == [False, True]


def test_a_distorted_recording_may_overshoot_often_by_a_little(speech):
    """Resampling makes plateaus at full scale ring: many samples, hardly any energy."""
    waveform = np.clip(scaled(speech(0, 0.6, 44100), 6), -1, 1)
    embedder = EGeMAPSEmbedder(cache=None)
    with pytest.warns(ClipWarning, match=r"clipped in 1 clip, \d{3,} of 9600 \(0\.[1-9]"):
        overshooting = embedder.fit_transform([(waveform, 44100)])
    quieter = embedder.transform([(waveform * 0.8, 44100)])
    voiced = list(embedder.get_feature_names_out()).index("F0semitoneFrom27.5Hz_sma3nz_amean")
    assert overshooting[0, voiced] == pytest.approx(quieter[0, voiced], rel=0.01)


def test_selections_are_read_from_one_record(speech, counting_egemaps):
    X = [(speech(seconds=0.5), RATE)]
    for pooling in ("mean", ["std", "max"], "mean"):
        counting_egemaps(level="lld", pooling=pooling).fit_transform(X)
    assert counting_egemaps.n_extractions == 1
    for _ in range(2):
        assert counting_egemaps().fit_transform(X).shape == (1, 88)
    assert counting_egemaps.n_extractions == 2
    counting_egemaps("GeMAPSv01b").fit_transform(X)
    counting_egemaps(rate=8000).fit_transform(X)
    assert counting_egemaps.n_extractions == 4


@pytest.mark.one_in(5)
@pytest.mark.parametrize("method", ["fit", "transform", "fit_transform"])
@pytest.mark.parametrize("pooling", ["max", ["std", "mean"], ("mean",), None])
@pytest.mark.parametrize("feature_set", ["eGeMAPSv02", "ComParE_2016"])
def test_pooling_of_functionals_is_refused(feature_set, pooling, method, speech, counting_egemaps):
    embedder = clone(counting_egemaps(feature_set)).set_params(pooling=pooling)
    with pytest.raises(ValueError, match=f'no effect: the functionals of {feature_set}.*"lld"'):
        getattr(embedder, method)([(speech(), RATE)])
    assert counting_egemaps.n_extractions == 0
    embedder.set_params(level="lld").fit_transform([(speech(), RATE)])


@pytest.mark.parametrize("pooling", [("mean", "std"), ["mean", "std"]])
def test_the_default_pooling_goes_with_functionals(pooling, speech):
    embedder = clone(EGeMAPSEmbedder(pooling=pooling))
    assert embedder.get_params()["pooling"] == pooling
    assert embedder.fit_transform([(speech(seconds=0.5), RATE)]).shape == (1, 88)


@pytest.mark.one_in(5)
@pytest.mark.parametrize("rate", [8000, 16000])
@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("feature_set", ["GeMAPSv01b", "eGeMAPSv02", "ComParE_2016"])
def test_shortest_clip(feature_set, level, rate, speech):
    waveform = speech(rate=rate)[: round(0.06 * rate)]
    embedder = EGeMAPSEmbedder(feature_set, level, rate=rate, cache=None)
    assert np.isfinite(embedder.transform([(waveform, rate)])).all()
    with pytest.raises(ClipError, match="shorter than the extractor can take"):
        embedder.transform([(waveform[:-1], rate)])
    with pytest.warns(UserWarning, match="Segment too short"):
        assert by_opensmile(waveform[:-1], rate, feature_set, level).isna().all(axis=None)


@pytest.mark.one_in(2)
@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("n_jobs", [2, pytest.param(4, marks=pytest.mark.slow)])
def test_threads_and_order_change_nothing(n_jobs, level, speech):
    X = [(speech(seed, seconds=0.3 + 0.05 * seed), RATE) for seed in range(6)]
    alone = np.concatenate([EGeMAPSEmbedder(level=level, cache=None).transform([x]) for x in X])
    embedder = EGeMAPSEmbedder(level=level, n_jobs=n_jobs, cache=None)
    np.testing.assert_array_equal(embedder.fit_transform(X), alone)
    np.testing.assert_array_equal(embedder.fit_transform(X[::-1]), alone[::-1])
    stored = EGeMAPSEmbedder(level=level, n_jobs=n_jobs)
    for _ in range(2):
        np.testing.assert_array_equal(stored.fit_transform(X), alone)
