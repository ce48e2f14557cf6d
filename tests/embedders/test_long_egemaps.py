"""openSMILE's features of long recordings: in blocks, in little memory, and the same to the bit."""

import json
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import opensmile
import pytest
import soundfile

from sklearn_ser import EGeMAPSEmbedder
from sklearn_ser.embedders import _egemaps, _opensmile
from sklearn_ser.embedders._egemaps import FEATURE_SETS
from sklearn_ser.exceptions import ClipWarning

RATE = 16000
LEVELS = {
    "functionals": opensmile.FeatureLevel.Functionals,
    "lld": opensmile.FeatureLevel.LowLevelDescriptors,
}


def by_opensmile(waveform, feature_set="eGeMAPSv02", level="functionals", rate=RATE):
    with warnings.catch_warnings():  # of its earlier versions
        warnings.filterwarnings("ignore", "Feature set .* is deprecated", UserWarning)
        smile = opensmile.Smile(opensmile.FeatureSet[feature_set], LEVELS[level])
    return smile.process_signal(waveform, rate).to_numpy()


@pytest.fixture
def in_blocks(monkeypatch):
    """Compute all clips in blocks; return how many were. Less is kept, so that it is used again."""
    calls = []

    class Counted(_opensmile.BlockwiseSmile):
        def __call__(self, waveform, rate):
            calls.append(len(waveform))
            return super().__call__(waveform, rate)

    monkeypatch.setattr(_egemaps, "LONG", 0)
    monkeypatch.setattr(_egemaps, "BlockwiseSmile", Counted)
    monkeypatch.setattr(_opensmile, "KEPT", 8.0)
    monkeypatch.setattr(_opensmile, "BLOCK", 0.5)
    _egemaps._blockwise.cache_clear()
    yield calls
    _egemaps._blockwise.cache_clear()


def embedder(feature_set="eGeMAPSv02", level="functionals", **settings):
    if level == "lld":
        settings["pooling"] = None
    return EGeMAPSEmbedder(feature_set, level, cache=None, **settings)


@pytest.mark.one_in(5)
@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("feature_set", FEATURE_SETS)
def test_blocks_equal_the_whole_for_every_set_and_level(feature_set, level, speech, in_blocks):
    waveform = np.concatenate([speech(seed, 1.7) for seed in range(7)])  # more than is kept
    (found,) = embedder(feature_set, level).fit_transform([(waveform, RATE)])
    expected = by_opensmile(waveform, feature_set, level)
    np.testing.assert_array_equal(np.atleast_2d(found), expected)
    assert in_blocks[-1] == len(waveform)


# Samples for which the frames of one level or another are as many as openSMILE gives at once, which
# are 100; a sample fewer and more; and the end of the waveform within a frame, a step and a block.
@pytest.mark.one_in(7)
@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize(
    "n_samples",
    [
        *(160 * n + extra for n in (196, 200, 201, 205, 206) for extra in (0, 159)),
        *(8000 * 4 + extra for extra in (-1, 0, 1)),
        48292,
    ],
)
def test_blocks_equal_the_whole_wherever_a_clip_ends(n_samples, level, speech, in_blocks):
    waveform = speech(1, n_samples / RATE + 1)[:n_samples]
    (found,) = embedder(level=level).fit_transform([(waveform, RATE)])
    np.testing.assert_array_equal(np.atleast_2d(found), by_opensmile(waveform, level=level))
    assert in_blocks[-1] == n_samples


@pytest.mark.one_in(3)
@pytest.mark.parametrize("rate", [8000, 11025, 22050, 44100])
@pytest.mark.parametrize("feature_set", ["eGeMAPSv02", "ComParE_2016"])
def test_blocks_equal_the_whole_at_every_rate(feature_set, rate, speech, in_blocks):
    waveform = speech(2, 9.3, rate)
    (found,) = embedder(feature_set, rate=rate).fit_transform([(waveform, rate)])
    np.testing.assert_array_equal(found[None], by_opensmile(waveform, feature_set, rate=rate))


def noise(n_samples):
    return np.random.default_rng(0).standard_normal(n_samples).astype(np.float32) / 10


@pytest.mark.one_in(3)
@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize(
    "make",
    [
        lambda speech: noise(RATE * 12),
        lambda speech: np.concatenate([speech(0, 2), np.zeros(RATE * 10, np.float32)]),
        lambda speech: np.concatenate([np.zeros(RATE * 10, np.float32), speech(0, 2)]),
    ],
    ids=["noise", "speech before silence", "speech after silence"],
)
def test_blocks_equal_the_whole_where_nothing_is_voiced(make, level, speech, in_blocks):
    waveform = make(speech)
    (found,) = embedder(level=level).fit_transform([(waveform, RATE)])
    np.testing.assert_array_equal(np.atleast_2d(found), by_opensmile(waveform, level=level))


def test_threads_change_nothing(speech, in_blocks):
    X = [(speech(seed, 2 + seed / 7), RATE) for seed in range(5)]
    found = embedder(n_jobs=3).fit_transform(X)
    np.testing.assert_array_equal(found, [by_opensmile(waveform)[0] for waveform, _ in X])


def test_what_exceeds_full_scale_is_counted_and_clipped_in_blocks(speech, in_blocks, monkeypatch):
    monkeypatch.setattr(_egemaps, "BLOCK", 999)
    waveform = speech(0, 2)
    waveform *= 1.1 / np.abs(waveform).max()
    n_clipped = np.count_nonzero(np.abs(waveform) > 1)
    assert n_clipped > 0
    with pytest.warns(ClipWarning, match=rf"in 1 clip, {n_clipped} of {len(waveform)} "):
        found = embedder().fit_transform([(waveform, RATE)])
    clipped = np.clip(waveform, -1, 32767 / 32768)
    np.testing.assert_array_equal(found, by_opensmile(clipped))


@pytest.mark.parametrize("kind", [MemoryError, KeyboardInterrupt])
def test_an_error_between_blocks_is_raised(kind, speech, in_blocks, monkeypatch):
    smile = embedder()
    smile.fit_transform([(speech(0, 2), RATE)])
    n_blocks, to_16_bits = 0, _opensmile.to_16_bits

    def failing(waveform):
        nonlocal n_blocks
        n_blocks += 1
        if n_blocks == 20:  # openSMILE is running
            raise kind("between blocks")
        return to_16_bits(waveform)

    monkeypatch.setattr(_opensmile, "to_16_bits", failing)
    with pytest.raises(kind, match="between blocks"):
        smile.compute(noise(RATE * 15))


@pytest.mark.one_in(3)
@pytest.mark.parametrize("n_jobs", [1, 3])
@pytest.mark.parametrize(
    "other",
    [
        lambda *args: lambda waveform, rate: np.zeros((1, 88), np.float32),
        lambda *args: 1 / 0,
    ],
    ids=["other values", "other files"],
)
def test_another_opensmile_computes_long_clips_whole_and_says_so(
    other, n_jobs, speech, in_blocks, monkeypatch
):
    monkeypatch.setattr(_egemaps, "BlockwiseSmile", other)
    waveform = speech(0, 2)
    clips = [(waveform, RATE), *((waveform[k:], RATE) for k in (1, 2, 3))]
    with pytest.warns(RuntimeWarning, match="does not compute eGeMAPSv02 in blocks") as caught:
        found = embedder(n_jobs=n_jobs).fit_transform(clips)
    assert len(caught) == 1
    np.testing.assert_array_equal(found[:1], by_opensmile(waveform))


PEAK = """
import json, sys
from pathlib import Path
import numpy as np
from sklearn_ser import EGeMAPSEmbedder

def peak():
    (line,) = [x for x in Path("/proc/self/status").read_text().splitlines() if "VmHWM" in x]
    return int(line.split()[1]) / 1024

path, level = sys.argv[1:]
embedder = EGeMAPSEmbedder(level=level, cache=None)
embedder.fit_transform([(np.sin(np.arange(16000.0)) / 2, 16000)])  # imports
before = peak()
row = embedder.transform([path])
print(json.dumps([peak() - before, row[0].tolist()]))
"""


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads the peak from /proc")
@pytest.mark.parametrize("level", LEVELS)
def test_twenty_minutes_take_little_memory(level, speech, tmp_path):
    """openSMILE as it is takes 790 and 840 MiB; the waveform is 73 MiB."""
    path = tmp_path / "long.wav"
    parts = [(speech(seed, 2.3) * 32767).astype(np.int16) for seed in range(20)]
    with soundfile.SoundFile(path, "w", RATE, 1, subtype="PCM_16") as file:
        while file.frames < 20 * 60 * RATE:
            file.write(parts[file.frames % 19])
    done = subprocess.run(
        [sys.executable, "-c", PEAK, str(path), level], capture_output=True, text=True, check=True
    )
    mebibytes, row = json.loads(done.stdout)
    assert mebibytes < 250
    assert np.isfinite(row).all()
