"""The convolutions as products of matrices: the values of the model's own front end."""

import warnings
from pathlib import Path

import numpy as np
import pytest
import torch

from sklearn_ser import SSLEmbedder
from sklearn_ser._models import _speech_model, load_model
from sklearn_ser._models._front_end import (
    FrontEnd,
    OriginalFrontEnd,
    UnsupportedFrontEnd,
    _by_matmul,
)
from sklearn_ser._models._running import distance


@pytest.mark.parametrize("family", ["wav2vec2-base", "XLS-R", "data2vec", "SEW"])
def test_frames_are_those_of_the_model(family, build_model, speech):
    from transformers import AutoModel

    module = AutoModel.from_pretrained(build_model(family)).eval().requires_grad_(False)
    front_end = FrontEnd(module.feature_extractor)
    waveforms = [torch.from_numpy(speech(i, seconds)) for i, seconds in enumerate((0.025, 1.1, 2))]
    with torch.inference_mode():
        prepared = [front_end.prepare(waveform) for waveform in waveforms]
        together = front_end(prepared, "cpu")
        for waveform, one, frames in zip(waveforms, prepared, together, strict=True):
            expected = module.feature_extractor(waveform[None])[0].T
            assert front_end.n_frames(len(waveform)) == len(expected) >= 1
            assert distance(frames[: len(expected)], expected) <= 1e-5
            assert distance(front_end([one], "cpu")[0], expected) <= 1e-5


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize(("kernel", "stride"), [(10, 5), (3, 2), (2, 2), (1, 1), (4, 3)])
def test_a_product_of_matrices_is_the_convolution(kernel, stride, bias):
    torch.manual_seed(0)
    conv = torch.nn.Conv1d(8, 12, kernel, stride, bias=bias).double().requires_grad_(False)
    layer = _by_matmul(conv, None, torch.nn.GELU())
    with torch.inference_mode():
        for n_clips, n_steps in [(1, kernel), (1, 37), (3, 40)]:
            x = torch.randn(n_clips, n_steps, 8, dtype=torch.float64)
            before = x.clone()
            expected = torch.nn.functional.gelu(conv(x.mT).mT)
            assert distance(layer(x), expected) <= 1e-14
            assert torch.equal(x, before)


def test_a_layer_reads_from_where_its_steps_begin():
    """In memory they may follow others."""
    torch.manual_seed(0)
    x = torch.randn(1, 50, 8)
    with torch.inference_mode():
        layer = _by_matmul(torch.nn.Conv1d(8, 12, 3, 2), None, torch.nn.GELU())
        assert distance(layer(x[:, 9:]), layer(x[:, 9:].clone())) <= 1e-6


def no_stack(module):
    del module.conv_layers


def dilated(module):
    module.conv_layers[2].conv.dilation = (2,)


def late_group_norm(module):
    module.conv_layers[1].layer_norm = torch.nn.GroupNorm(16, 16)


def grouped_norm(module):
    module.conv_layers[0].layer_norm = torch.nn.GroupNorm(2, 16)


def scaled(module):
    module.register_forward_hook(lambda module, args, out: 1.01 * out)


@pytest.mark.parametrize("change", [no_stack, dilated, late_group_norm, grouped_norm, scaled])
def test_what_is_built_otherwise_or_gives_other_values_is_refused(change, build_model):
    from transformers import AutoModel

    module = AutoModel.from_pretrained(build_model()).eval().requires_grad_(False).feature_extractor
    FrontEnd(module)
    change(module)
    with pytest.raises(UnsupportedFrontEnd):
        FrontEnd(module)


@pytest.mark.parametrize("window", ["auto", 1.0])
@pytest.mark.parametrize("family", ["wav2vec2-base", "XLS-R", "SEW"])
def test_a_front_end_built_otherwise_is_left_to_the_model(
    build_model, clips, monkeypatch, family, window
):
    """Its frames are windowed, and share batches, as any others."""
    folder = str(build_model(family, seed=3))
    rows = SSLEmbedder(folder, layer="all", cache=None, window=window)
    frames = SSLEmbedder(folder, layer="all", pooling=None, cache=None, window=window)

    def embed():
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            found = [*frames.fit_transform(clips), *rows.fit_transform(clips)]
        return found, sorted(str(warning.message) for warning in caught)

    expected, told = embed()
    n_long = sum(len(waveform) > rate for waveform, rate in clips)
    assert len(told) == (2 * n_long if window == 1.0 else 0)

    def refuse(module):
        raise UnsupportedFrontEnd

    monkeypatch.setattr(_speech_model, "FrontEnd", refuse)
    _speech_model._load.cache_clear()
    found, told_again = embed()
    assert isinstance(load_model(Path(folder), "cpu").front_end, OriginalFrontEnd)
    _speech_model._load.cache_clear()
    assert told_again == told
    for one, other in zip(found, expected, strict=True):
        assert one.shape == other.shape
        assert np.linalg.norm(one - other) <= 1e-5 * np.linalg.norm(other)


def test_a_front_end_with_another_number_of_frames_is_an_error(build_model, clips, monkeypatch):
    folder = build_model("wav2vec2-base", seed=3, conv_stride=(5, 2, 2, 2, 2, 2, 1))
    monkeypatch.setattr(
        "transformers.models.wav2vec2.modeling_wav2vec2.Wav2Vec2FeatureEncoder.forward",
        lambda self, samples: samples[:, None].repeat(1, 16, 1)[..., ::320],
    )
    with pytest.raises(OSError, match=rf"{folder}.*frames for .* samples, not"):
        SSLEmbedder(str(folder), cache=None).fit_transform(clips)


def test_bfloat16_blocks_come_in_few_sizes(tiny_model):
    """oneDNN compiles a product for each number of rows that it sees."""
    from sklearn_ser._models._loading import read_encoder

    folder = Path(tiny_model("HuBERT-base"))
    front_end = FrontEnd(read_encoder(folder, "bfloat16").feature_extractor)
    exact = FrontEnd(read_encoder(folder).feature_extractor)
    *_, last = front_end.others
    sizes = set()

    def noted(x):
        y = last(x)
        sizes.add(y.shape[1])
        return y

    front_end.others[-1] = noted
    for n_samples in range(1000, 60000, 1999):
        noise = torch.randn(n_samples, generator=torch.Generator().manual_seed(n_samples)) * 0.1
        with torch.inference_mode():
            found = front_end([front_end.prepare(noise)], "cpu")[0]
            expected = exact([exact.prepare(noise)], "cpu")[0]
        assert found.shape == expected.shape
        assert distance(found, expected) <= 0.03
    assert sizes == {16, 32, 48, 64}
