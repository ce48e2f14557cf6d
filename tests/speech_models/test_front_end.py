"""The convolutions as products of matrices: the values of the model's own front end."""

from pathlib import Path

import numpy as np
import pytest
import torch

from sklearn_ser import SSLEmbedder
from sklearn_ser.speech_models import _model
from sklearn_ser.speech_models._front_end import (
    FrontEnd,
    UnsupportedFrontEnd,
    _by_matmul,
    distance,
)
from sklearn_ser.speech_models._model import SpeechModel


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


def test_a_front_end_built_otherwise_is_left_to_the_model(build_model, clips, monkeypatch):
    folder = str(build_model("wav2vec2-base", seed=3))
    expected = SSLEmbedder(folder, layer="all", cache=None).fit_transform(clips)

    def refuse(module):
        raise UnsupportedFrontEnd

    monkeypatch.setattr(_model, "FrontEnd", refuse)
    model = SpeechModel(Path(folder), "cpu", "float32")
    assert model.front_end is None
    inputs = [model.prepare_input(waveform) for waveform, _ in clips]
    assert not any(map(model.may_batch, inputs))  # its group norm would see padding
    for clip, row in zip(inputs, expected, strict=True):
        means = model.statistics([clip])[0][:4, 0]
        assert np.linalg.norm(means - row.reshape(4, -1)) <= 1e-5 * np.linalg.norm(row)


def test_bfloat16_blocks_come_in_few_sizes(tiny_model):
    """oneDNN compiles a product for each number of rows that it sees."""
    from sklearn_ser.speech_models._loading import read_encoder

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
