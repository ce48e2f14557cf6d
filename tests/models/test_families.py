"""Every family's numbers, against transformers called clip by clip."""

import functools
import itertools
import warnings
from typing import Any

import numpy as np
import pytest
import torch
import transformers

from sklearn_ser import SSLEmbedder
from sklearn_ser._utils import STATISTICS
from sklearn_ser.exceptions import ClipError

POOL = {
    "mean": lambda frames: frames.mean(axis=0, dtype=np.float64),
    "std": lambda frames: frames.std(axis=0, dtype=np.float64),
    "min": lambda frames: frames.min(axis=0),
    "max": lambda frames: frames.max(axis=0),
    "median": lambda frames: np.median(frames, axis=0),
}
TOLERANCE = 1e-5


def own_frames(family: str, n_samples: int) -> int | None:
    """Return how many frames hold something of the clip, where some do not."""
    if family == "Whisper":
        return -(-n_samples // 320)
    if family == "Wav2Vec2-BERT":
        return ((n_samples - 400) // 160 + 1) // 2
    return None


@functools.lru_cache(maxsize=2)
def load(folder: str) -> tuple[Any, Any]:
    extractor = transformers.AutoFeatureExtractor.from_pretrained(folder)
    return extractor, transformers.AutoModel.from_pretrained(folder).eval()


def hidden_states(folder: str, family: str, waveform: np.ndarray) -> list[np.ndarray]:
    """Return the frames of each layer, as a user of transformers would get them."""
    extractor, model = load(folder)
    if family == "Whisper":
        model = model.encoder
    inputs = extractor(waveform, sampling_rate=16000, return_tensors="pt")
    with torch.no_grad(), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Support for mismatched key_padding_mask")  # of WavLM
        states = model(**inputs, output_hidden_states=True).hidden_states
    n_frames = own_frames(family, len(waveform))
    return [state[0, :n_frames].numpy() for state in states]


@pytest.fixture(scope="session")
def expected(clips, family, tiny_model) -> list[list[np.ndarray]]:
    """For each clip, the frames of each layer."""
    return [hidden_states(tiny_model(family), family, waveform) for waveform, _ in clips]


def assert_close(actual: np.ndarray, desired: np.ndarray) -> None:
    error = np.linalg.norm(actual - desired) / np.linalg.norm(desired)
    assert error <= TOLERANCE


def split(row: np.ndarray, n_layers: int) -> np.ndarray:
    """Return (layer, statistic, dimension) of a row that holds all of them."""
    return row.reshape(n_layers + 1, len(STATISTICS), -1)


def all_of(folder: str, **options: Any) -> SSLEmbedder:
    return SSLEmbedder(folder, layer="all", pooling=list(STATISTICS), **options)


def test_layers_differ(expected):
    assert len(expected[0]) > 2
    for before, after in itertools.pairwise(expected[0]):
        assert np.linalg.norm(after - before) > 0.1 * np.linalg.norm(before)


def test_every_layer_and_statistic_is_that_of_transformers(clips, family, tiny_model, expected):
    embedded = all_of(tiny_model(family), cache=None).fit_transform(clips)
    for row, layers in zip(embedded, expected, strict=True):
        parts = split(row, len(layers) - 1)
        for part, frames in zip(parts, layers, strict=True):
            for values, statistic in zip(part, STATISTICS, strict=True):
                assert_close(values, POOL[statistic](frames))


def test_frames_are_the_hidden_states(clips, family, tiny_model, expected):
    embedder = SSLEmbedder(tiny_model(family), layer="all", pooling=None, cache=None)
    for sequence, layers in zip(embedder.fit_transform(clips), expected, strict=True):
        assert sequence.shape == (len(layers[0]), len(layers) * layers[0].shape[1])
        assert_close(sequence, np.concatenate(layers, axis=1))


def test_mean_of_layers_is_over_frames_of_all(clips, family, tiny_model, expected):
    embedder = SSLEmbedder(tiny_model(family), layer="mean", pooling=["std", "max"], cache=None)
    for row, layers in zip(embedder.fit_transform(clips), expected, strict=True):
        frames = np.mean(layers, axis=0)
        assert_close(row, np.concatenate([POOL["std"](frames), POOL["max"](frames)]))


@pytest.mark.one_in(4)
def test_embedding_does_not_depend_on_company_order_threads_or_cache(
    clips, family, tiny_model, tmp_path
):
    folder = tiny_model(family)
    together = all_of(folder, cache=None).fit_transform(clips)
    others = {
        "alone": np.vstack([all_of(folder, cache=None).fit_transform([clip]) for clip in clips]),
        "reversed": all_of(folder, cache=None).fit_transform(clips[::-1])[::-1],
        "two threads": all_of(folder, cache=None, n_jobs=2).fit_transform(clips),
        "being stored": all_of(folder, cache=tmp_path, n_jobs=2).fit_transform(clips),
        "from the store": all_of(folder, cache=tmp_path).fit_transform(clips[::-1])[::-1],
    }
    for how, embedded in others.items():
        assert embedded.shape == together.shape, how
        for row, desired in zip(embedded, together, strict=True):
            for part, wanted in zip(split(row, 3), split(desired, 3), strict=True):
                assert_close(part, wanted)


def test_shortest_clip_has_a_frame_and_a_shorter_one_is_an_error(family, tiny_model, speech):
    embedder = all_of(tiny_model(family), cache=None)
    shortest = speech(0, 1)[:720]
    (frames, *_) = hidden_states(tiny_model(family), family, shortest)
    assert len(frames) >= 1
    embedded = embedder.fit_transform([(shortest, 16000)])
    assert_close(split(embedded[0], 3)[0, 0], frames.mean(axis=0))
    with pytest.raises(ClipError, match="clip 0"):
        embedder.fit_transform([(shortest[:-1], 16000)])


@pytest.mark.one_in(4)
def test_layer_drop_and_adapters_change_nothing(build_model, clips, family):
    if family == "Whisper":
        options = {"encoder_layerdrop": 0.5, "decoder_layerdrop": 0.5}
    elif family.startswith("SEW"):
        options = {"layerdrop": 0.5}
    else:
        # As many layers in the adapter as in the transformer, and with the same name.
        options = {"layerdrop": 0.5, "add_adapter": True, "num_adapter_layers": 3}
    folder = str(build_model(family, **options))
    once, again = (
        SSLEmbedder(folder, layer="all", cache=None).fit_transform(clips[:1]) for _ in range(2)
    )
    np.testing.assert_array_equal(once, again)
    states = hidden_states(folder, family, clips[0][0])
    assert len(states) == 4
    assert_close(once[0].reshape(4, -1), np.stack([frames.mean(axis=0) for frames in states]))


def test_long_clips_are_heard_by_whisper_in_pieces(tiny_model, speech):
    waveform = speech(5, 67.3)
    folder = tiny_model("Whisper")
    length = 30 * 16000
    pieces = [
        np.concatenate(hidden_states(folder, "Whisper", waveform[i : i + length]), axis=1)
        for i in range(0, len(waveform), length)
    ]
    assert [len(piece) for piece in pieces] == [1500, 1500, 365]
    (sequence,) = SSLEmbedder(folder, "all", None, cache=None).fit_transform([(waveform, 16000)])
    assert_close(sequence, np.concatenate(pieces))
