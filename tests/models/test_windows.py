"""Long clips: blocks of the front end, windows of attention, pieces of Whisper."""

from pathlib import Path

import numpy as np
import pytest
import torch
import transformers

from sklearn_ser import SSLEmbedder
from sklearn_ser._models import _front_end, _windows, find_model, load_model
from sklearn_ser._models._front_end import standardise
from sklearn_ser._models._windows import Moments, windows
from sklearn_ser._utils import STATISTICS, pool
from sklearn_ser.exceptions import ClipWarning

RATE = 16000


def error(actual, desired):
    return np.linalg.norm(actual - desired) / np.linalg.norm(desired)


@pytest.mark.parametrize("multiple", [1, 2])
@pytest.mark.parametrize(("length", "context"), [(10, 0), (10, 2), (50, 12)])
def test_windows_give_each_frame_once(length, context, multiple):
    for n_frames in range(1, 200):
        kept, longest = [], 0
        for window in windows(n_frames, length, context, multiple):
            assert 0 <= window.start < window.stop <= n_frames
            assert window.start % multiple == 0
            frames = np.arange(window.start // multiple, window.stop // multiple)
            assert 0 <= window.keep.start < window.keep.stop <= len(frames)
            kept += frames[window.keep].tolist()
            longest = max(longest, window.stop - window.start)
            first, last = window.start + multiple * window.keep.start, window.stop
            assert window.start == 0 or first - window.start >= context
            del last
        assert kept == list(range(n_frames // multiple))
        assert longest <= length + 2 * multiple


@pytest.mark.parametrize("block", [1, 7, 10_000])
@pytest.mark.parametrize("family", ["wav2vec2-base", "XLS-R", "SEW"])
def test_blocks_of_the_front_end_change_nothing(family, block, tiny_model, speech, monkeypatch):
    model = load_model(Path(tiny_model(family)), "cpu")
    clips = [
        model.prepare_input(speech(i, seconds)).parts[0] for i, seconds in enumerate((1.3, 0.7))
    ]
    with torch.inference_mode():
        whole = model.front_end(clips, "cpu")
        monkeypatch.setattr(_front_end, "BLOCK", block)
        monkeypatch.setattr(_front_end, "MOMENTS_BLOCK", 100)
        again = [model.front_end.prepare(clip.samples) for clip in clips]
        blocks = model.front_end(again, "cpu")
    for clip, found, expected in zip(clips, blocks, whole, strict=True):
        n_frames = model.front_end.n_frames(len(clip.samples))
        assert error(found[:n_frames].numpy(), expected[:n_frames].numpy()) <= 1e-6


@pytest.fixture
def long_clip(speech):
    return [(speech(3, 5.33), RATE)]


WINDOWED = ("wav2vec2-base", "XLS-R", "WavLM-base", "data2vec", "SEW", "Wav2Vec2-BERT")


@pytest.mark.parametrize("family", WINDOWED)
def test_windows_give_every_frame_and_its_statistics(family, tiny_model, long_clip):
    folder = tiny_model(family)
    options = {"layer": "all", "cache": None}
    full = SSLEmbedder(folder, pooling=None, window=None, **options).fit_transform(long_clip)[0]
    windowed = SSLEmbedder(folder, pooling=None, window=2.0, **options)
    with pytest.warns(ClipWarning, match=r"clip 0 \(waveform\) is 5 s long.* windows"):
        frames = windowed.fit_transform(long_clip)[0]
    assert frames.shape == full.shape
    assert 1e-6 < error(frames, full) < 0.5
    with pytest.warns(ClipWarning):
        row = windowed.set_params(pooling=list(STATISTICS)).fit_transform(long_clip)[0]
    expected = pool(frames.reshape(len(frames), 4, -1).swapaxes(0, 1))
    assert error(row.reshape(expected.shape), expected) <= 1e-6


def test_each_window_is_the_model_on_its_frames(tiny_model, long_clip):
    """A window's frames are those of the features under it, front end over the whole clip."""
    folder = tiny_model("XLS-R")
    model = load_model(Path(folder), "cpu")
    prepared = model.prepare_input(long_clip[0][0], 2.0)
    assert len(prepared.windows) > 2
    with torch.inference_mode():
        features = model._features(prepared.parts)
        expected = []
        for window in prepared.windows:
            inside = features[:, window.start : window.stop]
            states = model._hidden_states(inside, [inside.shape[1]], 3)
            expected.append(states[2][0, window.keep].numpy())
    np.testing.assert_array_equal(model.frames(prepared, [2])[0], np.concatenate(expected))


def test_short_clips_are_not_cut_and_windows_have_records_of_their_own(
    tiny_model, speech, tmp_path, recwarn
):
    clips = [(speech(0, 1.0), RATE)]
    embedded = {
        window: SSLEmbedder(tiny_model(), window=window, cache=tmp_path).fit_transform(clips)
        for window in ("auto", None, 2.0)
    }
    for found in embedded.values():
        np.testing.assert_array_equal(found, embedded["auto"])
    assert len(list(tmp_path.glob("ssl-*"))) == 3
    assert not [w for w in recwarn if issubclass(w.category, ClipWarning)]


def test_by_default_40_seconds_attend_to_themselves_at_once(tiny_model, speech):
    model = load_model(Path(tiny_model()), "cpu")
    assert model.prepare_input(speech(0, 39.9)).windows == []
    found = model.prepare_input(speech(0, 60)).windows
    assert len(found) == 3
    assert max(window.stop - window.start for window in found) <= 30 * 50


@pytest.mark.parametrize("step", [1, 3])
@pytest.mark.parametrize("lengths", [[5], [1, 1, 1], [4, 7, 2, 9]])
def test_moments_are_those_of_all_frames(lengths, step, monkeypatch):
    frames = np.random.default_rng(0).normal(3, 2, (2, sum(lengths), 4)).astype("f4")
    monkeypatch.setattr(_windows, "MEDIAN_FRAMES", -(-sum(lengths) // step))
    moments = Moments(sum(lengths))
    for part in np.split(frames, np.cumsum(lengths)[:-1], axis=1):
        moments.add(part)
    expected = pool(frames)
    found = moments.statistics()
    np.testing.assert_allclose(found[:, :-1], expected[:, :-1], rtol=1e-6, atol=1e-6)
    expected = np.median(frames[:, :: moments.step], axis=1)
    np.testing.assert_allclose(found[:, -1], expected, rtol=1e-6)


class TestWhisperOnTheClipAlone:
    """window="clip": the encoder without the silence that fills 30 s."""

    def expected(self, folder, waveform):
        """Run an encoder whose positions end where the clip does."""
        extractor = transformers.AutoFeatureExtractor.from_pretrained(folder)
        mel = extractor(
            waveform, sampling_rate=RATE, padding=False, return_tensors="pt"
        ).input_features
        whole = transformers.AutoModel.from_pretrained(folder).get_encoder()
        n_frames = (mel.shape[-1] - 1) // 2 + 1
        config = transformers.AutoConfig.from_pretrained(folder)
        config.max_source_positions = n_frames
        encoder = type(whole)(config).eval()
        weights = whole.state_dict()
        weights["embed_positions.weight"] = weights["embed_positions.weight"][:n_frames]
        encoder.load_state_dict(weights)
        with torch.no_grad():
            states = encoder(mel, output_hidden_states=True).hidden_states
        return np.stack([state[0].numpy() for state in states])

    @pytest.mark.parametrize("n_samples", [32000, 8320])
    def test_frames(self, n_samples, tiny_model, speech):
        waveform = speech(1, n_samples / RATE)
        folder = tiny_model("Whisper")
        expected = self.expected(folder, waveform)
        embedder = SSLEmbedder(folder, "all", None, window="clip", cache=None)
        (frames,) = embedder.fit_transform([(waveform, RATE)])
        found = frames.reshape(len(frames), 4, -1).swapaxes(0, 1)
        assert found.shape == expected.shape
        for layer, wanted in zip(found, expected, strict=True):
            assert error(layer, wanted) <= 1e-5

    def test_it_has_records_of_its_own_and_may_be_long(self, tiny_model, speech, tmp_path):
        clips = [(speech(1, 31.0), RATE), (speech(2, 0.5), RATE), (speech(3, 30.02), RATE)]
        embedded = [
            SSLEmbedder(
                tiny_model("Whisper"), window=window, cache=tmp_path, batch_seconds=seconds
            ).fit_transform(clips)
            for window, seconds in (("auto", None), ("clip", None), ("clip", 100))
        ]
        assert error(embedded[1], embedded[0]) > 1e-3
        np.testing.assert_array_equal(embedded[2], embedded[1])
        assert len(list(tmp_path.glob("ssl-*"))) == 2


@pytest.mark.parametrize("cache", [None, "auto"])
@pytest.mark.parametrize("method", ["fit", "transform", "fit_transform"])
def test_windows_that_a_family_does_not_have_are_refused(family, method, cache, tiny_model, speech):
    whisper = family == "Whisper"
    message = "Whisper takes 30 s" if whisper else "window='clip' is for Whisper.* family '.*auto"
    for window in [None, 10.0] if whisper else ["clip"]:
        embedder = SSLEmbedder(tiny_model(family), window=window, cache=cache)
        with pytest.raises(ValueError, match=message):
            getattr(embedder, method)([(speech(), RATE)])


@pytest.mark.parametrize("n_samples", [100, (1 << 20) + 13, 5_000_001])
def test_a_long_waveform_is_standardised_as_transformers_does(n_samples):
    waveform = np.random.default_rng(0).normal(0.01, 0.1, n_samples).astype(np.float32)
    extractor = transformers.Wav2Vec2FeatureExtractor()
    (expected,) = extractor(waveform, sampling_rate=16000).input_values
    standardise(waveform)
    np.testing.assert_array_equal(waveform, expected)


@pytest.mark.parametrize("seconds", [41, 100.3])
def test_frames_of_windows_are_those_of_the_whole_to_the_bit(seconds):
    model = load_model(find_model("nano"), "cpu")
    waveform = np.random.default_rng(0).normal(0, 0.1, int(seconds * 16000)).astype(np.float32)
    clip = model.prepare_input(waveform)
    (part,) = clip.parts
    assert len(clip.windows) > 1
    with torch.inference_mode():
        whole = model._features([part])
        for window, inside in model._windowed(part, clip.windows):
            assert torch.equal(inside, whole[:, window.start : window.stop])
