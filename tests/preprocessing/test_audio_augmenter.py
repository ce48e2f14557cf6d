"""What copies differ in, what they keep, and that they never cross into a test fold."""

import functools
import importlib.metadata
import inspect
import io
import os
import pickle
import random
import signal
import subprocess
import sys
import time
from collections import Counter

import audiomentations
import joblib
import numpy as np
import pandas as pd
import polars as pl
import pytest
import sklearn
import skops.io
import soundfile
from imblearn.base import is_sampler
from imblearn.pipeline import make_pipeline
from scipy.io import wavfile
from sklearn.base import BaseEstimator, TransformerMixin, clone
from sklearn.compose import make_column_transformer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, GroupKFold, KFold, cross_validate
from sklearn.pipeline import make_pipeline as make_sklearn_pipeline
from sklearn.preprocessing import StandardScaler

from sklearn_ser import MFCCEmbedder
from sklearn_ser._audio import as_clip
from sklearn_ser._store import Store
from sklearn_ser.cli import main
from sklearn_ser.datasets import make_emotional_speech
from sklearn_ser.exceptions import ClipError, StoreWarning
from sklearn_ser.preprocessing import AudioAugmenter, SpeakerScaler, _changes

RATE = 16000
CHANGES = ["noise", "stretch", "pitch", "gain", "room", "codec"]
CLASSIFIER = LogisticRegression(solver="liblinear")
only_posix = pytest.mark.skipif(os.name != "posix", reason="forks processes or sends SIGKILL")


def waveform(item):
    clip = as_clip(item, 0)
    return clip.waveform(clip.read(), RATE)


def copies_of(X, **parameters):
    """Return the waveforms of the copies alone."""
    resampled, _ = AudioAugmenter(**{"cache": None, **parameters}).fit_resample(X, [0] * len(X))
    assert len(resampled) > len(X)
    return [waveform(item) for item in resampled[len(X) :]]


def decibels(ratio):
    return 10 * np.log10(ratio)


def energy(samples):
    return float(np.sum(np.square(samples, dtype=float)))


def correlation(a, b):
    n = min(len(a), len(b))
    return float(a[:n] @ b[:n] / np.sqrt(energy(a[:n]) * energy(b[:n])))


def tone(frequency, seconds=1.0):
    time = np.arange(round(seconds * RATE)) / RATE
    return sum(0.2 / k * np.sin(2 * np.pi * k * frequency * time) for k in (1, 2, 3)).astype("f4")


def pitch_of(samples):
    """Return the frequency of the strongest peak of a tone's spectrum, in Hz."""
    middle = samples[len(samples) // 5 : -len(samples) // 5]
    spectrum = np.abs(np.fft.rfft(middle * np.hanning(len(middle)), 1 << 18))
    return spectrum.argmax() * RATE / (1 << 18)


@pytest.fixture
def clips(speech):
    return [(speech(seed), RATE) for seed in range(12)]


@pytest.fixture
def files(clips, tmp_path):
    paths = [str(tmp_path / f"{i:02d}.wav") for i in range(len(clips))]
    for path, (samples, rate) in zip(paths, clips, strict=True):
        soundfile.write(path, samples, rate, subtype="FLOAT")
    return paths


def stored(folder):
    return {path.name: path.read_bytes() for path in (folder / "augmented").glob("*/*")}


class TestChanges:
    def test_noise_is_10_to_30_db_below_the_clip(self, clips):
        copies = copies_of(clips, changes="noise", n_copies=3)
        sources = 3 * [samples for samples, _ in clips]
        ratios = [
            decibels(energy(source) / energy(copy - source))
            for source, copy in zip(sources, copies, strict=True)
        ]
        assert 9.8 < min(ratios) < 13
        assert 27 < max(ratios) < 30.2

    def test_noise_is_white(self, speech):
        source = speech(0, seconds=4)
        (copy,) = copies_of([(source, RATE)], changes="noise")
        power = np.abs(np.fft.rfft(copy - source)) ** 2
        bands = [band.mean() for band in np.array_split(power, 8)]
        assert max(bands) < 1.2 * min(bands)

    def test_stretch_changes_duration_and_keeps_pitch(self):
        frequencies = np.linspace(150, 400, 20)
        X = [(tone(frequency), RATE) for frequency in frequencies]
        copies = copies_of(X, changes="stretch")
        tempos = [RATE / len(copy) for copy in copies]
        assert 0.899 < min(tempos) < 0.94
        assert 1.06 < max(tempos) < 1.101
        np.testing.assert_allclose([pitch_of(copy) for copy in copies], frequencies, rtol=0.01)

    def test_pitch_moves_by_up_to_2_semitones_and_keeps_duration(self):
        frequencies = np.linspace(150, 400, 20)
        copies = copies_of([(tone(frequency), RATE) for frequency in frequencies], changes="pitch")
        semitones = 12 * np.log2([pitch_of(copy) for copy in copies] / frequencies)
        assert -2.1 < semitones.min() < -1
        assert 1 < semitones.max() < 2.1
        assert {len(copy) for copy in copies} == {RATE}

    def test_gain_is_one_factor_within_12_db(self, clips):
        quiet = [(samples / 10, rate) for samples, rate in clips]
        copies = copies_of(quiet, changes="gain", n_copies=3)
        gains = []
        for (source, _), copy in zip(3 * quiet, copies, strict=True):
            assert correlation(source, copy) > 0.999999
            gains.append(decibels(energy(copy) / energy(source)))
        assert -12.01 < min(gains) < -8
        assert 8 < max(gains) < 12.01

    def test_gain_never_exceeds_full_scale(self, clips):
        loud = [(samples / np.abs(samples).max() * 0.9, rate) for samples, rate in clips]
        peaks = [np.abs(copy).max() for copy in copies_of(loud, changes="gain", n_copies=4)]
        assert max(peaks) <= 1
        assert len({round(float(peak), 3) for peak in peaks}) > 40  # drawn below it, not cut at it

    @pytest.mark.parametrize("change", CHANGES)
    def test_no_change_exceeds_full_scale(self, speech, change):
        loud = speech(0) / np.abs(speech(0)).max()
        assert max(np.abs(c).max() for c in copies_of([(loud, RATE)] * 1, changes=change)) <= 1

    def test_room_decays_as_it_says(self):
        click = np.zeros(200, dtype=np.float32)
        click[0] = 0.5
        for response in copies_of([(click, RATE)], changes="room", n_copies=12):
            assert energy(response) == pytest.approx(0.25, rel=1e-3)
            tail = response[1:].astype(float)
            assert -0.1 < decibels(float(response[0]) ** 2 / energy(tail)) < 10.1
            decay = decibels(np.cumsum(tail[::-1] ** 2)[::-1] / energy(tail))  # Schroeder's
            usable = (decay < -5) & (decay > -30)
            slope = np.polyfit(np.flatnonzero(usable) / RATE, decay[usable], 1)[0]
            assert 0.17 < -60 / slope < 0.85

    def test_room_goes_on_after_the_clip_as_loud_as_it(self, clips):
        for (source, _), copy in zip(clips, copies_of(clips, changes="room"), strict=True):
            assert 0.2 <= (len(copy) - len(source)) / RATE <= 0.8
            assert energy(copy[len(source) :]) > 1e-4 * energy(source)
            assert energy(copy) == pytest.approx(energy(source), rel=1e-3)

    @pytest.mark.parametrize(
        ("codec", "alike"), [("G.711", 0.95), ("GSM 06.10", 0.8), ("MP3", 0.95), ("Opus", 0.9)]
    )
    def test_codec_loses_something_and_shifts_nothing(self, clips, monkeypatch, codec, alike):
        only = {codec: _changes.SETTINGS["codec"][codec]}
        monkeypatch.setitem(_changes.SETTINGS, "codec", only)
        X = [(samples / np.abs(samples).max(), rate) for samples, rate in clips[:4]]
        for (source, _), copy in zip(X, copies_of(X, changes="codec"), strict=True):
            assert len(copy) == len(source)
            assert alike < correlation(source, copy) < 0.9999
            power = np.abs(np.fft.rfft(copy)) ** 2
            above = power[len(power) // 2 :].sum() / power.sum()
            if codec in ("G.711", "GSM 06.10"):  # of telephones: nothing above 4 kHz
                assert above < 1e-4

    def test_every_codec_is_drawn(self, clips, monkeypatch):
        written = []
        write = soundfile.write

        def note(*arguments, **options):
            written.append(arguments[3])
            return write(*arguments, **options)

        monkeypatch.setattr(soundfile, "write", note)
        copies_of(clips, changes="codec", n_copies=2)
        assert set(written) == {"ULAW", "GSM610", "MPEG_LAYER_III", "OPUS"}

    def test_first_copies_of_a_clip_differ_in_their_changes(self, clips):
        names = []

        def note(name):
            def change(samples, rate):
                names.append(name)
                return samples

            return change

        copies_of(clips, changes=[note("a"), note("b"), note("c")], n_copies=6)
        rounds = np.reshape(names, (6, len(clips)))
        for clip in rounds.T:
            assert set(clip[:3]) == set(clip[3:]) == {"a", "b", "c"}
        assert len(set(rounds[0])) == 3  # not in the same order for every clip

    @pytest.mark.parametrize("change", CHANGES)
    @pytest.mark.parametrize("rate", [8000, 24414, 48000])
    def test_clips_of_any_rate_and_length_have_copies(self, speech, change, rate):
        X = [(speech(0, seconds, rate), rate) for seconds in (0.02, 0.3)]
        resampled, _ = AudioAugmenter(change, cache=None).fit_resample(X, [0, 1])
        for (source, _), (copy, copy_rate) in zip(X, resampled[2:], strict=True):
            assert copy_rate == rate
            assert copy.dtype == np.float32
            assert len(copy) >= 0.9 * len(source)


class TestOwnTransforms:
    def test_audiomentations_transforms_are_taken(self, clips):
        own = audiomentations.Compose(
            [audiomentations.Reverse(p=1), audiomentations.Gain(-6, -6, p=1)]
        )
        for (source, _), copy in zip(clips, copies_of(clips, changes=own), strict=True):
            np.testing.assert_allclose(copy, source[::-1] * 10 ** (-6 / 20), rtol=1e-5)
        assert own.transforms[0].parameters == {"should_apply": None}  # left as it was

    def test_they_are_repeatable(self, clips):
        own = audiomentations.OneOf(
            [audiomentations.AddColorNoise(p=1), audiomentations.TimeMask(p=1)], weights=[0.5, 0.5]
        )
        first, again = (copies_of(clips, changes=["gain", own], n_copies=2) for _ in range(2))
        for one, other in zip(first, again, strict=True):
            np.testing.assert_array_equal(one, other)

    def test_a_function_that_was_rewritten_is_run_again(self, files, cache_folder):
        for divisor, n_files in ((2, 1), (4, 2), (2, 2)):  # the same content is one file
            own = functools.partial(lambda by, samples, rate: samples / by, divisor)
            (copy,) = copies_of(files[:1], changes=own, cache="auto")
            np.testing.assert_array_equal(copy, waveform(files[0]) / divisor)
            assert len(stored(cache_folder)) == n_files

    @pytest.mark.parametrize(
        ("change", "cause"),
        [
            (lambda samples, rate: np.zeros_like(samples), "silent"),
            (lambda samples, rate: samples * np.nan, "NaN"),
            (lambda samples, rate: samples[:1], "one sample"),
            (lambda samples, rate: samples[None], "1-D"),
            (lambda samples, rate: None, "floats or integers"),
        ],
    )
    def test_what_they_make_is_checked(self, files, change, cause):
        with pytest.raises(ClipError, match=rf"clip 0 \(00.wav\): its copy number 0 .*{cause}"):
            AudioAugmenter(change).fit_resample(files, [0] * 12)


class TestContainers:
    @pytest.mark.parametrize(
        "container",
        [
            list,
            lambda paths: np.array(paths),
            lambda paths: np.array(paths, dtype=object),
            lambda paths: np.array(paths, dtype=object)[:, None],
            lambda paths: pd.Series(paths, index=range(50, 53), name="clip"),
            lambda paths: pl.Series("clip", paths),
            lambda paths: pd.DataFrame({"anything": paths}),
            lambda paths: pd.DataFrame({7: paths}),
            lambda paths: pl.DataFrame({"anything": paths}),
        ],
        ids=[
            "list",
            "str",
            "object",
            "column",
            "Series",
            "polars",
            "frame",
            "number",
            "polars frame",
        ],
    )
    @pytest.mark.parametrize("cache", ["auto", None])
    def test_the_kind_of_container_comes_back(self, files, container, cache):
        X = container(files[:3])
        y = pd.Series(list("abc"), index=range(12, 15), name="emotion")
        resampled, labels = AudioAugmenter("gain", cache=cache).fit_resample(X, y)
        assert type(resampled) is type(X)
        assert getattr(resampled, "ndim", 1) == getattr(X, "ndim", 1)
        assert getattr(resampled, "name", None) == getattr(X, "name", None)
        assert list(getattr(resampled, "columns", ())) == list(getattr(X, "columns", ()))
        assert len(resampled) == 6
        assert list(labels) == list("abcabc")
        assert list(labels.index) == list(range(6))
        embedded = MFCCEmbedder(cache=None).fit_transform(resampled)
        in_a_list, _ = AudioAugmenter("gain").fit_resample(files[:3], y)
        expected = MFCCEmbedder(cache=None).fit_transform(in_a_list)
        np.testing.assert_array_equal(embedded, expected)
        assert not (embedded[:3] == embedded[3:]).all(axis=1).any()

    @pytest.mark.parametrize("library", [pd, pl])
    @pytest.mark.parametrize("cache", ["auto", None])
    def test_copies_keep_all_else_of_their_row(self, files, library, cache):
        X = library.DataFrame(
            {
                "speaker": list("aabbccddeeff"),
                "path": files,
                "text": [f"text {i}" for i in range(12)],
                "age": range(20, 32),
            }
        )
        augmenter = AudioAugmenter("noise", n_copies=2, cache=cache)
        resampled, y = augmenter.fit_resample(X, list(range(12)))
        assert y == 3 * list(range(12))
        for column in ("speaker", "text", "age"):
            assert resampled[column].to_list() == 3 * X[column].to_list()
            assert resampled[column].dtype == X[column].dtype
        assert resampled["path"].to_list()[:12] == files
        assert X["path"].to_list() == files
        for i, item in enumerate(resampled["path"].to_list()):
            assert correlation(waveform(files[i % 12]), waveform(item)) > 0.9

    @pytest.mark.parametrize("library", [pd, pl])
    @pytest.mark.parametrize("cache", ["auto", None])
    def test_a_copy_of_a_segment_is_a_whole_clip(self, speech, tmp_path, library, cache):
        recording = np.stack([speech(0, 3), speech(1, 3)], axis=1)
        path = str(tmp_path / "recording.wav")
        soundfile.write(path, recording, RATE, subtype="FLOAT")
        segments = {"path": [path, path], "start": [0.5, 1.0], "end": [1.0, 2.5], "channel": [0, 1]}
        X = library.DataFrame({**segments, "speaker": ["a", "b"]})
        augmenter = AudioAugmenter(lambda samples, rate: samples / 2, cache=cache)
        resampled, _ = augmenter.fit_resample(X, [0, 1])
        assert resampled["speaker"].to_list() == ["a", "b", "a", "b"]
        parts = make_column_transformer((Samples(), list(segments))).fit_transform(resampled)
        for i, (begin, end) in enumerate([(8000, 16000), (16000, 40000)]):
            np.testing.assert_array_equal(parts[i, 0], recording[begin:end, i])
            np.testing.assert_array_equal(parts[2 + i, 0], recording[begin:end, i] / 2)

    def test_a_2_d_array_becomes_a_collection_of_clips(self, speech):
        X = np.stack([speech(seed) for seed in range(3)])
        augmenter = AudioAugmenter("stretch", waveform_rate=RATE)
        resampled, _ = augmenter.fit_resample(X, [0, 1, 2])
        assert resampled.shape == (6,)
        np.testing.assert_array_equal(np.stack(list(resampled[:3])), X)
        pipeline = make_pipeline(
            augmenter, MFCCEmbedder(waveform_rate=RATE), StandardScaler(), CLASSIFIER
        )
        assert pipeline.fit(X, ["a", "b", "b"]).predict(X).tolist() == ["a", "b", "b"]

    def test_the_column_may_be_named(self, clips):
        X = pd.DataFrame({"speaker": ["a"] * 12, "sound": clips, "path": ["elsewhere"] * 12})
        resampled, _ = AudioAugmenter("gain", column="sound", cache=None).fit_resample(X, range(12))
        assert resampled["path"].to_list() == ["elsewhere"] * 24
        assert correlation(clips[3][0], resampled["sound"][15][0]) > 0.999

    @pytest.mark.parametrize("column", [None, "sound"])
    def test_a_frame_without_a_column_of_clips_is_an_error(self, column):
        X = pd.DataFrame({"speaker": ["a"], "file": ["b"]})
        with pytest.raises(ValueError, match=r"no column of clips.*'speaker', 'file'.*Set column"):
            AudioAugmenter(column=column).fit_resample(X, [0])

    def test_clips_and_labels_must_be_equally_many(self, clips):
        with pytest.raises(ValueError, match="inconsistent numbers of samples"):
            AudioAugmenter().fit_resample(clips, [0] * 11)
        with pytest.raises(ValueError, match="requires y"):
            AudioAugmenter().fit_resample(clips, None)


class Samples(TransformerMixin, BaseEstimator):
    """Read the clips of a frame of segments."""

    def fit(self, X, y=None):
        return self

    def transform(self, X):
        column = np.empty((len(X), 1), dtype=object)
        for i, item in enumerate(X.to_dict("records") if hasattr(X, "iloc") else X.to_dicts()):
            column[i, 0] = waveform(item)
        return column


class TestBalance:
    @pytest.mark.parametrize(("n_copies", "each"), [(0, 7), (1, 14), (2, 21)])
    def test_emotions_become_equally_frequent(self, clips, n_copies, each):
        y = np.array(["joy"] * 7 + ["fear"] * 4 + ["anger"])
        augmenter = AudioAugmenter("gain", n_copies=n_copies, balance=True, cache=None)
        X, labels = augmenter.fit_resample(clips, y)
        assert Counter(labels.tolist()) == {"joy": each, "fear": each, "anger": each}
        rows = augmenter.sample_indices_
        assert len(X) == len(rows) == 3 * each
        np.testing.assert_array_equal(rows[:12], np.arange(12))
        np.testing.assert_array_equal(labels, y[rows])
        for emotion in ("joy", "fear", "anger"):
            times = np.bincount(rows, minlength=12)[y == emotion]
            assert times.max() - times.min() <= 1  # as evenly as can be

    def test_without_it_every_clip_has_as_many_copies(self, clips):
        augmenter = AudioAugmenter("gain", n_copies=3, cache=None)
        _, y = augmenter.fit_resample(clips, [0.5] * 7 + [1.5] * 5)
        assert Counter(augmenter.sample_indices_.tolist()) == dict.fromkeys(range(12), 4)
        assert Counter(y) == {0.5: 28, 1.5: 20}

    def test_no_copies_are_no_change(self, clips):
        X, y = AudioAugmenter("gain", n_copies=0, cache=None).fit_resample(clips, [0] * 12)
        assert all(one is other for one, other in zip(X, clips, strict=True))
        assert y == [0] * 12

    @pytest.mark.parametrize("kind", [int, str, bool, float])
    def test_labels_may_be_of_any_type(self, clips, kind):
        y = [kind(label) for label in [1] * 9 + [0] * 3]
        _, labels = AudioAugmenter("gain", balance=True, cache=None).fit_resample(clips, y)
        assert Counter(labels) == {kind(1): 18, kind(0): 18}

    def test_which_clips_have_more_copies_does_not_follow_from_where_they_stand(self, clips):
        y = np.array([0] * 8 + [1] * 4)
        augmenter = AudioAugmenter("gain", balance=True, cache=None)
        more = []
        for order in (np.arange(11), np.arange(11)[::-1]):  # 3 clips of 1 need 13 copies
            augmenter.fit_resample([clips[i] for i in order], y[order])
            times = np.bincount(order[augmenter.sample_indices_])
            more.append(np.flatnonzero(times == 6).tolist())
        assert more[0] == more[1]
        assert len(more[0]) == 1

    def test_numbers_cannot_be_balanced(self, clips):
        with pytest.raises(ValueError, match="Unknown label type"):
            AudioAugmenter(balance=True).fit_resample(clips, np.linspace(0, 1, 12))


class TestRepeatability:
    @pytest.mark.parametrize("change", CHANGES)
    def test_files_are_equal_to_the_byte(self, files, tmp_path, change):
        folders = [tmp_path / name for name in ("one", "other")]
        for folder in folders:
            AudioAugmenter(change, n_copies=2, cache=folder).fit_resample(files[:3], [0] * 3)
        one, other = map(stored, folders)
        assert len(one) == 6
        assert one == other

    def test_seeds_differ(self, clips):
        copies = [copies_of(clips[:1], changes="noise", random_state=seed)[0] for seed in (0, 1)]
        assert not np.array_equal(*copies)

    def test_without_a_seed_copies_differ_at_every_fit(self, clips):
        copies = [copies_of(clips[:1], changes="noise", random_state=None)[0] for _ in range(2)]
        assert not np.array_equal(*copies)

    def test_copies_do_not_depend_on_where_a_clip_stands(self, clips):
        few, all_of_them = clips[7:4:-1], clips
        parameters = {"changes": ["noise", "room"], "n_copies": 3}
        expected = np.reshape(np.array(copies_of(all_of_them, **parameters), dtype=object), (3, 12))
        found = np.reshape(np.array(copies_of(few, **parameters), dtype=object), (3, 3))
        for number in range(3):
            for place, clip in enumerate((7, 6, 5)):
                np.testing.assert_array_equal(found[number, place], expected[number, clip])

    def test_a_path_and_its_bytes_have_the_same_copies(self, files, cache_folder):
        with open(files[0], "rb") as file:
            content = file.read()
        for item in (files[0], {"bytes": content}, {"path": files[0]}):
            AudioAugmenter(["noise"]).fit_resample([item], [0])
        assert len(stored(cache_folder)) == 1

    def test_global_random_states_are_left_alone(self, clips):
        random.seed(7)
        np.random.seed(7)  # noqa: NPY002
        expected = random.random(), np.random.random()  # noqa: NPY002
        random.seed(7)
        np.random.seed(7)  # noqa: NPY002
        AudioAugmenter(CHANGES, n_copies=6, cache=None).fit_resample(clips[:2], [0, 0])
        assert (random.random(), np.random.random()) == expected  # noqa: NPY002

    def test_they_are_put_back_after_an_error(self, clips):
        def fail(samples, rate):
            raise RuntimeError("of its own")

        before = random.getstate()
        with pytest.raises(RuntimeError, match="of its own"):
            AudioAugmenter(fail, cache=None).fit_resample(clips, [0] * 12)
        assert random.getstate() == before

    def test_threads_make_the_same_copies(self, clips):
        with joblib.parallel_config("threading", n_jobs=4):
            threaded = copies_of(clips, changes=["noise", "room"], n_copies=4)
        for one, other in zip(
            threaded, copies_of(clips, changes=["noise", "room"], n_copies=4), strict=True
        ):
            np.testing.assert_array_equal(one, other)


class TestCache:
    def test_a_copy_is_made_once(self, files, cache_folder, monkeypatch):
        augmenter = AudioAugmenter(["noise", "gain"], n_copies=2)
        first, _ = augmenter.fit_resample(files, [0] * 12)
        written = stored(cache_folder)
        monkeypatch.setitem(sys.modules, "audiomentations", None)  # nothing is made again
        again, _ = augmenter.fit_resample(files, [0] * 12)
        assert again == first
        assert stored(cache_folder) == written
        assert len(written) == 24

    def test_copies_are_whole_mono_files_of_floats_at_the_clips_rate(self, speech, tmp_path):
        path = str(tmp_path / "stereo.wav")
        soundfile.write(path, np.stack([speech(0, 1, 24414), speech(1, 1, 24414)], axis=1), 24414)
        (_, copy), _ = AudioAugmenter("gain").fit_resample([path], [0])
        rate, samples = wavfile.read(copy)
        assert (rate, samples.dtype, samples.ndim) == (24414, np.float32, 1)
        mono = soundfile.read(path)[0].mean(axis=1)
        assert correlation(samples.astype(float), mono) > 0.999999

    def test_a_clip_that_changed_has_other_copies(self, files, speech):
        first, _ = AudioAugmenter("gain").fit_resample(files[:1], [0])
        soundfile.write(files[0], speech(99), RATE, subtype="FLOAT")
        again, _ = AudioAugmenter("gain").fit_resample(files[:1], [0])
        assert first[1] != again[1]
        assert correlation(waveform(again[1]), speech(99)) > 0.999

    def test_a_clip_that_changes_between_two_looks_has_copies_of_what_was_read(
        self, files, tmp_path
    ):
        clip = as_clip(files[0], 0)
        looked_up = _changes.Copy(clip, "0" * 32, 0, ("noise",), 0, str(tmp_path))
        read = _changes.Copy(clip, clip.digest(), 0, ("noise",), 0, str(tmp_path))
        assert looked_up.make() == read.find() is not None
        assert looked_up.find() is None

    def test_other_versions_and_settings_have_other_copies(self, files, cache_folder, monkeypatch):
        AudioAugmenter("noise").fit_resample(files[:1], [0])
        monkeypatch.setitem(_changes.SETTINGS, "noise", {"min_snr_db": 0.0, "max_snr_db": 1.0})
        AudioAugmenter("noise").fit_resample(files[:1], [0])
        monkeypatch.setattr(_changes, "_version", lambda library: "another")
        AudioAugmenter("noise").fit_resample(files[:1], [0])
        assert len(stored(cache_folder)) == 3

    @pytest.mark.parametrize("kept", [0, 20, 1000])
    def test_a_file_cut_short_is_made_again(self, files, kept):
        (_, copy), _ = AudioAugmenter("noise").fit_resample(files[:1], [0])
        with open(copy, "rb") as file:
            whole = file.read()
        with open(copy, "wb") as file:
            file.write(whole[:kept])
        AudioAugmenter("noise").fit_resample(files[:1], [0])
        with open(copy, "rb") as file:
            assert file.read() == whole

    def test_where_nothing_can_be_written_copies_stay_in_memory(self, files, tmp_path):
        (tmp_path / "full").write_text("no folder")
        augmenter = AudioAugmenter("noise", cache=tmp_path / "full")
        with pytest.warns(StoreWarning, match="copies cannot be stored in .*full.*in memory"):
            X, _ = augmenter.fit_resample(files[:1], [0])
        expected, _ = AudioAugmenter("noise").fit_resample(files[:1], [0])
        np.testing.assert_array_equal(waveform(X[1]), waveform(expected[1]))

    def test_a_relative_folder_gives_absolute_paths(self, files, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        (_, copy), _ = AudioAugmenter("noise", cache="here").fit_resample(files[:1], [0])
        assert os.path.isabs(copy)
        assert os.path.samefile(os.path.dirname(os.path.dirname(copy)), "here/augmented")

    def test_an_own_fractional_rate_is_made_a_whole_one(self, speech):
        (_, copy), _ = AudioAugmenter("noise").fit_resample([(speech(0), 15999.6)], [0])
        assert soundfile.info(copy).samplerate == 16000

    def test_clearing_the_store_removes_copies_and_nothing_else(self, files, tmp_path):
        parameters = {"changes": "noise", "cache": tmp_path}
        first, _ = AudioAugmenter(**parameters).fit_resample(files[:1], [0])
        own = tmp_path / "augmented" / "own.wav"
        own.write_text("of someone else")
        assert main(["cache", "--clear", "--cache", str(tmp_path)]) == 0
        assert list(own.parent.iterdir()) == [own]
        again, _ = AudioAugmenter(**parameters).fit_resample(files[:1], [0])
        assert again == first
        own.unlink()
        Store(tmp_path).clear()  # knows of records alone
        assert list(own.parent.iterdir()) != []
        AudioAugmenter(**parameters).clear_cache()
        assert not own.parent.exists()

    def test_a_search_makes_and_embeds_each_copy_once(self, corpus, cache_folder, counting_mfcc):
        pipeline = make_pipeline(
            AudioAugmenter(["noise", "gain"], n_copies=2),
            counting_mfcc(),
            StandardScaler(),
            CLASSIFIER,
        )
        grid = {"logisticregression__C": [0.1, 1], "countingmfcc__pooling": ["mean", "std"]}
        search = GridSearchCV(pipeline, grid, cv=GroupKFold(3))
        search.fit(corpus.X, corpus.y, groups=corpus.groups)
        assert counting_mfcc.n_extractions == len(corpus.X) * 3
        assert len(stored(cache_folder)) == len(corpus.X) * 2


PROCESSES = """
import hashlib, itertools, multiprocessing, sys
import numpy as np
from sklearn_ser.preprocessing import AudioAugmenter

X = [(row, 16000) for row in np.load(sys.argv[1])]
augmenter = AudioAugmenter(["noise", "gain"], n_copies=4, cache=sys.argv[2])

def work(start, results):
    start.wait()
    paths, _ = augmenter.fit_resample(X, [0] * len(X))
    content = b"".join(open(path, "rb").read() for path in paths[len(X):])
    results.put(hashlib.sha256(content).hexdigest())

AudioAugmenter("noise", cache=None).fit_resample(X[:1], [0])
context = multiprocessing.get_context("fork")
start, results = context.Barrier(8), context.Queue()
processes = [context.Process(target=work, args=(start, results)) for _ in range(8)]
for process in processes:
    process.start()
print(len({results.get() for _ in processes}), flush=True)
for process in processes:
    process.join()
for seed in itertools.count():
    AudioAugmenter("noise", cache=sys.argv[3], random_state=seed).fit_resample(X, [0] * len(X))
"""


@pytest.fixture(scope="module")
def processes(speech, tmp_path_factory):
    """Return the clips, and what eight processes and then a killed one have left."""
    folder = tmp_path_factory.mktemp("processes")
    waveforms = np.stack([speech(seed) for seed in range(10)])
    np.save(folder / "clips.npy", waveforms)
    paths = [str(folder / name) for name in ("clips.npy", "eight", "killed")]
    command = [sys.executable, "-c", PROCESSES, *paths]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "1\n", "their copies differ"
        deadline = time.monotonic() + 100
        while len(list(folder.glob("killed/augmented/*/*.wav"))) < 25:
            assert process.poll() is None, "it ended before it could be killed"
            assert time.monotonic() < deadline
            time.sleep(0.002)
        process.send_signal(signal.SIGKILL)
    assert process.returncode == -signal.SIGKILL
    return [(row, RATE) for row in waveforms], folder


@only_posix
class TestProcesses:
    def test_eight_may_make_the_same_copies(self, processes, tmp_path):
        X, folder = processes
        AudioAugmenter(["noise", "gain"], n_copies=4, cache=tmp_path).fit_resample(X, [0] * 10)
        assert stored(folder / "eight") == stored(tmp_path)

    def test_one_that_is_killed_leaves_whole_files(self, processes, tmp_path):
        X, folder = processes
        left = stored(folder / "killed")
        left = {name: content for name, content in left.items() if not name.endswith("tmp")}
        assert len(left) >= 25
        for content in left.values():
            rate, samples = wavfile.read(io.BytesIO(content))
            assert (rate, len(samples)) == (RATE, 6400)
        AudioAugmenter("noise", cache=tmp_path).fit_resample(X, [0] * 10)
        assert stored(tmp_path).items() <= left.items()

    def test_a_copy_is_the_same_wherever_it_is_sent(self, files, clips):
        for clip in (as_clip(files[0], 0), as_clip(clips[0], 0)):
            copy = _changes.Copy(clip, clip.digest(), 0, ("noise",), 0, None)
            (here, _), (there, _) = copy.make(), pickle.loads(pickle.dumps(copy)).make()
            np.testing.assert_array_equal(here, there)

    @pytest.mark.slow
    def test_n_jobs_change_nothing(self, clips, files):
        for X in (clips, files):
            alone, several = (
                copies_of(X, changes=["noise", "pitch"], n_copies=2, n_jobs=n) for n in (1, 2)
            )
            for one, other in zip(alone, several, strict=True):
                np.testing.assert_array_equal(one, other)


class TestUnusableClips:
    @pytest.fixture(params=["missing", "text", "silent"])
    def bad(self, request, files):
        if request.param == "missing":
            os.unlink(files[1])
        elif request.param == "text":
            with open(files[1], "w") as file:
                file.write("no sound")
        else:
            soundfile.write(files[1], np.zeros(8000), RATE)
        return files

    def test_they_are_named(self, bad):
        with pytest.raises(ClipError, match=r"clip 1 \(01.wav\): "):
            AudioAugmenter("noise").fit_resample(bad, [0] * 12)

    def test_they_may_stay_without_copies(self, bad):
        augmenter = AudioAugmenter("noise", n_copies=2, on_error="warn")
        with pytest.warns(UserWarning, match=r"clip 1 \(01.wav\): .* It has no copies"):
            X, _ = augmenter.fit_resample(bad, [0] * 12)
        assert X[:12] == bad
        others = [*range(1), *range(2, 12)]
        assert augmenter.sample_indices_.tolist() == [*range(12), *others, *others]

    def test_others_make_up_for_them_where_emotions_are_balanced(self, bad):
        augmenter = AudioAugmenter("noise", balance=True, on_error="ignore")
        _, y = augmenter.fit_resample(bad, ["fear"] * 3 + ["joy"] * 9)
        assert Counter(y) == {"fear": 18, "joy": 18}
        assert np.bincount(augmenter.sample_indices_)[:3].tolist() in ([8, 1, 9], [9, 1, 8])

    def test_an_emotion_without_any_other_cannot_be_balanced(self, bad):
        augmenter = AudioAugmenter("noise", balance=True, on_error="ignore")
        with pytest.raises(ValueError, match="No clip of fear can be used"):
            augmenter.fit_resample(bad, ["joy", "fear"] + ["joy"] * 10)


class TestContract:
    def test_parameters_are_constrained_and_documented(self):
        parameters = set(inspect.signature(AudioAugmenter).parameters)
        assert parameters == set(AudioAugmenter._parameter_constraints)
        documented = AudioAugmenter.__doc__.partition("Attributes")[0]
        assert all(f"    {name} : " in documented for name in parameters)
        assert all(f'"{name}" ' in documented for name in CHANGES)
        assert set(CHANGES) == set(_changes.SETTINGS) == set(_changes._FUNCTIONS)

    @pytest.mark.parametrize("changes", ["loud", [], ["noise", "loud"], ["noise", 3], [None], 3])
    def test_unknown_changes_are_named(self, clips, changes):
        with pytest.raises(ValueError, match="'changes' parameter of AudioAugmenter must be"):
            AudioAugmenter(changes).fit_resample(clips, [0] * 12)

    def test_it_is_pickled_dumped_and_cloned(self, clips):
        augmenter = AudioAugmenter(["noise", "gain"], n_copies=2, cache=None)
        expected, _ = augmenter.fit_resample(clips, [0] * 12)
        assert len(pickle.dumps(augmenter)) < 10_000
        name = "sklearn_ser.preprocessing._audio_augmenter.AudioAugmenter"
        for again in (
            pickle.loads(pickle.dumps(augmenter)),
            skops.io.loads(skops.io.dumps(augmenter), trusted=[name]),
            clone(augmenter),
        ):
            X, _ = again.fit_resample(clips, [0] * 12)
            for one, other in zip(X, expected, strict=True):
                np.testing.assert_array_equal(one[0], other[0])

    def test_it_says_what_is_not_installed(self, clips, monkeypatch):
        message = r"needs audiomentations: pip install 'sklearn-ser\[augment\]'"
        with monkeypatch.context() as patch:
            patch.setitem(sys.modules, "audiomentations", None)
            with pytest.raises(ModuleNotFoundError, match=message):
                AudioAugmenter(cache=None).fit_resample(clips, [0] * 12)

        def none_there(library):
            raise importlib.metadata.PackageNotFoundError(library)

        monkeypatch.setattr(_changes, "version", none_there)
        _changes._version.cache_clear()
        with pytest.raises(ModuleNotFoundError, match=message):
            AudioAugmenter().fit_resample(clips, [0] * 12)

    def test_progress_is_shown_if_asked_for(self, clips, capsys):
        AudioAugmenter("gain", verbose=True).fit_resample(clips, [0] * 12)
        assert "12/12" in capsys.readouterr().err
        AudioAugmenter("gain").fit_resample(clips, [0] * 12)
        assert not capsys.readouterr().err


class Listener(TransformerMixin, BaseEstimator):
    """Note which clips every fit gets, and which every prediction, by their sound alone."""

    log = []
    sources = []  # waveforms
    directions = None  # of these, shape (n_clips, n_samples)

    def fit(self, X, y=None):
        self.log.append({"fitted": self.heard(X), "predicted": []})
        return self

    def fit_transform(self, X, y=None):
        return self.fit(X).pass_on(X)

    def pass_on(self, X):
        return X

    def transform(self, X):
        self.log[-1]["predicted"] += self.heard(X)
        return X

    @classmethod
    def heard(cls, X):
        """Return the source of each clip, and whether it is the source itself."""
        found = []
        for item in X:
            samples = waveform(item)
            alike = cls.directions @ direction(samples)
            best = int(alike.argmax())
            assert alike[best] > 0.9, "this clip is a copy of none"
            found.append((best, np.array_equal(cls.sources[best], samples)))
        return found


def direction(samples):
    """Return the first second of a clip, scaled to norm 1."""
    return samples[:RATE] / np.linalg.norm(samples[:RATE])


@pytest.fixture(scope="module")
def corpus():
    return make_emotional_speech(
        n_speakers=6, n_sentences=1, emotions=["anger", "sadness"], random_state=0
    )


@pytest.fixture(params=["files", "memory"])
def listener(request, corpus, tmp_path, monkeypatch):
    """Return the clips, where copies are kept, and a listener that knows the clips."""
    X, cache = corpus.X, None
    if request.param == "files":
        X, cache = [str(tmp_path / f"{i}.wav") for i in range(len(corpus.X))], "auto"
        for path, (samples, rate) in zip(X, corpus.X, strict=True):
            soundfile.write(path, samples, rate, subtype="FLOAT")
    monkeypatch.setattr(Listener, "log", [])
    sources = [samples for samples, _ in corpus.X]
    monkeypatch.setattr(Listener, "sources", sources)
    monkeypatch.setattr(Listener, "directions", np.stack([direction(s) for s in sources]))
    return X, cache


def pipeline_of(*samplers):
    return make_pipeline(*samplers, Listener(), MFCCEmbedder(), StandardScaler(), CLASSIFIER)


def crossing(entry):
    """Return the clips that are predicted, and that were trained on or had a copy that was."""
    return {source for source, _ in entry["fitted"]} & {source for source, _ in entry["predicted"]}


class TestLeaks:
    """No test clip, nor a copy of one, is ever trained on."""

    def test_in_cross_validate(self, corpus, listener):
        X, cache = listener
        augmenter = AudioAugmenter(["noise", "gain"], n_copies=2, cache=cache)
        results = cross_validate(
            pipeline_of(augmenter),
            X,
            corpus.y,
            groups=corpus.groups,
            cv=GroupKFold(3),
            return_indices=True,
        )
        assert len(Listener.log) == 3
        folds = zip(results["indices"]["train"], results["indices"]["test"], strict=True)
        for entry, (train, test) in zip(Listener.log, folds, strict=True):
            originals = [source for source, same in entry["fitted"] if same]
            copies = [source for source, same in entry["fitted"] if not same]
            assert originals == train.tolist()
            assert copies == 2 * train.tolist()
            assert entry["predicted"] == [(clip, True) for clip in test]  # none is changed
            assert not crossing(entry)

    def test_in_a_search(self, corpus, listener):
        X, cache = listener
        augmenter = AudioAugmenter(["noise", "gain"], balance=True, cache=cache)
        rare = (corpus.y == "anger") & np.isin(corpus.groups, ["s01", "s04"])
        rows = np.flatnonzero(~rare)  # emotions of unequal frequency
        grid = {"audioaugmenter__n_copies": [0, 1], "logisticregression__C": [0.1, 1]}
        search = GridSearchCV(pipeline_of(augmenter), grid, cv=GroupKFold(3))
        search.fit([X[i] for i in rows], corpus.y[rows], groups=corpus.groups[rows])
        assert len(Listener.log) == 3 * 4 + 1
        for entry in Listener.log[:-1]:
            assert entry["predicted"]
            assert all(same for _, same in entry["predicted"])
            assert not crossing(entry)
            speakers = {
                part: {corpus.groups[source] for source, _ in entry[part]}
                for part in ("fitted", "predicted")
            }
            assert not speakers["fitted"] & speakers["predicted"]
        n_copies = [sum(not same for _, same in entry["fitted"]) for entry in Listener.log[:-1]]
        assert len(set(n_copies)) > 1
        assert Listener.log[-1]["predicted"] == []  # the refit on everything

    def test_augmenting_before_the_split_is_caught(self, corpus, listener):
        X, cache = listener
        augmenter = AudioAugmenter(["noise", "gain"], cache=cache)
        augmented, y = augmenter.fit_resample(X, corpus.y)
        cross_validate(pipeline_of(), augmented, y, cv=KFold(3, shuffle=True, random_state=0))
        assert any(crossing(entry) for entry in Listener.log)
        assert not all(same for entry in Listener.log for _, same in entry["predicted"])


class TestPipeline:
    def test_predictions_are_those_of_the_clips_themselves(self, corpus):
        augmenter = AudioAugmenter(["noise", "gain"], n_copies=2)
        pipeline = make_pipeline(augmenter, MFCCEmbedder(), StandardScaler(), CLASSIFIER)
        predicted = pipeline.fit(corpus.X, corpus.y).predict_proba(corpus.X)
        X, y = augmenter.fit_resample(corpus.X, corpus.y)
        by_hand = make_sklearn_pipeline(MFCCEmbedder(), StandardScaler(), CLASSIFIER)
        np.testing.assert_array_equal(by_hand.fit(X, y).predict_proba(corpus.X), predicted)

    def test_the_speaker_travels_along(self, corpus):
        X = pd.DataFrame({"clip": corpus.X, "speaker": corpus.groups})
        features = make_column_transformer((MFCCEmbedder(), "clip"), ("passthrough", ["speaker"]))
        pipeline = make_pipeline(
            AudioAugmenter("noise", n_copies=2), features, SpeakerScaler(unseen="global")
        )
        pipeline.fit(X, corpus.y)
        scaler = pipeline[-1]
        assert scaler.speakers_.tolist() == sorted(set(corpus.groups))
        rows = pipeline[0].sample_indices_
        np.testing.assert_array_equal(corpus.groups[rows], np.tile(corpus.groups, 3))

    def test_plain_pipelines_refuse_it(self, corpus):
        pipeline = make_sklearn_pipeline(AudioAugmenter(), MFCCEmbedder(), CLASSIFIER)
        with pytest.raises(TypeError, match="should be transformers"):
            pipeline.fit(corpus.X, corpus.y)

    def test_imbalanced_learn_knows_it_for_a_sampler(self, corpus):
        assert is_sampler(AudioAugmenter())
        assert AudioAugmenter().fit(corpus.X, corpus.y).get_params()["n_copies"] == 1
        pipeline = make_pipeline(AudioAugmenter(), MFCCEmbedder(), CLASSIFIER)
        assert "AudioAugmenter" in pipeline._repr_html_()

    def test_it_works_with_metadata_routing(self, corpus):
        with sklearn.config_context(enable_metadata_routing=True):
            pipeline = make_pipeline(
                AudioAugmenter("gain"), MFCCEmbedder(), StandardScaler(), CLASSIFIER
            )
            results = cross_validate(
                pipeline,
                corpus.X,
                corpus.y,
                params={"groups": corpus.groups},
                cv=GroupKFold(2),
                error_score="raise",
            )
        assert results["test_score"].shape == (2,)
