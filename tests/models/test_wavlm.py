"""WavLM's attention by torch's fused kernel, where it gives the same; else transformers' own."""

import inspect
import textwrap

import numpy as np
import pytest
import torch
from torch.nn import functional
from transformers.models.wavlm import modeling_wavlm

from sklearn_ser import SSLEmbedder
from sklearn_ser._models import _trainable
from sklearn_ser._models._running import distance, transformer_layers
from sklearn_ser._models._wavlm import FusedAttention, fuse_attention

FAMILIES = ["WavLM-base", "WavLM-large"]


def plain_model(folder):
    from transformers import AutoModel

    return AutoModel.from_pretrained(folder).eval().requires_grad_(False)


def attention_of(embedder):
    return {type(layer.attention) for layer in transformer_layers(embedder._loaded()._model)}


def assert_same_as_transformers(folder, clips, kind):
    """Check embeddings by plain transformers, and which attention gave them."""
    embedder = SSLEmbedder(str(folder), layer="all", cache=None)
    found = embedder.fit_transform(clips)
    assert {one is FusedAttention for one in attention_of(embedder)} == {kind == "fused"}
    model = plain_model(folder)
    extractor = embedder._loaded().feature_extractor
    for (waveform, rate), row in zip(clips, found, strict=True):
        inputs = extractor(waveform, sampling_rate=rate, return_tensors="pt")
        with torch.no_grad():
            states = model(inputs["input_values"], output_hidden_states=True).hidden_states
        expected = np.concatenate([state[0].mean(dim=0).numpy() for state in states])
        assert np.linalg.norm(row - expected) <= 1e-5 * np.linalg.norm(expected)


@pytest.mark.filterwarnings("ignore:Support for mismatched key_padding_mask")  # of transformers
def test_layers_attend_as_those_of_transformers(build_model):
    model = plain_model(build_model("WavLM-base"))
    before = [layer.attention for layer in transformer_layers(model)]
    fuse_attention(model)
    x = torch.randn(2, 13, 24)
    mask = torch.ones(2, 13, dtype=torch.long)
    mask[1, 9:] = 0
    bias = old_bias = None
    for old, layer in zip(before, transformer_layers(model), strict=True):
        assert isinstance(layer.attention, FusedAttention)
        expected, _, old_bias = old(x, attention_mask=mask, position_bias=old_bias)
        found, _, bias = layer.attention(x, attention_mask=mask, position_bias=bias)
        assert distance(found[0], expected[0]) <= 1e-6
        assert distance(found[1, :9], expected[1, :9]) <= 1e-6
        x = functional.layer_norm(expected.nan_to_num(), (24,))


@pytest.mark.parametrize("family", FAMILIES)
def test_embeddings_are_those_of_transformers(family, tiny_model, clips):
    assert_same_as_transformers(tiny_model(family), clips, "fused")


def renamed(class_, old, new):
    """Return a class of transformers as it would be with another name in it."""
    source = textwrap.dedent(inspect.getsource(class_))
    assert old in source
    names = dict(vars(modeling_wavlm))
    exec(source.replace(old, new), names)
    return names[class_.__name__]


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize(
    "name",
    [
        "compute_bias",
        "gru_rel_pos_linear",
        "q_proj",
        "num_heads",
    ],
)
def test_where_a_part_has_another_name_it_is_left_to_transformers(
    name, family, build_model, clips, monkeypatch
):
    attention = renamed(modeling_wavlm.WavLMAttention, f".{name}", f".its_{name}")
    if name == "compute_bias":
        attention.its_compute_bias = attention.compute_bias
        del attention.compute_bias
    monkeypatch.setattr(modeling_wavlm, "WavLMAttention", attention)
    assert_same_as_transformers(build_model(family), clips, "own")


def test_the_name_of_the_embedding_of_distances_does_not_matter(build_model, clips, monkeypatch):
    attention = renamed(modeling_wavlm.WavLMAttention, ".rel_attn_embed", ".its_embedding")
    monkeypatch.setattr(modeling_wavlm, "WavLMAttention", attention)
    assert_same_as_transformers(build_model("WavLM-base"), clips, "fused")


def test_where_it_is_called_otherwise_it_is_left_to_transformers(build_model, clips, monkeypatch):
    for class_, argument in [
        (modeling_wavlm.WavLMAttention, "position_bias"),
        (modeling_wavlm.WavLMEncoderLayer, "position_bias=position_bias"),
    ]:
        new = argument.replace("position_bias", "pair_bias", 1)
        forward = renamed(class_, argument, new).forward
        monkeypatch.setattr(class_, "forward", forward)
    assert_same_as_transformers(build_model("WavLM-base"), clips, "own")


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("n_padded", [0, 1])
def test_where_values_differ_it_is_left_to_transformers(
    n_padded, family, build_model, clips, monkeypatch
):
    forward = FusedAttention.forward

    def differs(self, hidden_states, attention_mask=None, *args, **kwargs):
        out, *others = forward(self, hidden_states, attention_mask, *args, **kwargs)
        is_padded = attention_mask is not None
        return (1.01 * out if is_padded == bool(n_padded) else out, *others)

    monkeypatch.setattr(FusedAttention, "forward", differs)
    assert_same_as_transformers(build_model(family), clips, "own")


def test_last_layers_to_train_are_fused_too(tiny_model):
    layers = _trainable.last_layers(SSLEmbedder(tiny_model("WavLM-base")).model_folder(), 2)
    assert {type(layer.attention) for layer in layers.layers} == {FusedAttention}
