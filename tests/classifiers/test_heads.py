"""Networks against a few lines of torch, whatever they are padded with."""

import numpy as np
import pytest
import torch
from torch import nn

from sklearn_ser.classifiers._heads import HEADS, LayerWeightedHead, SUPERBHead, WeightedLayers

N_LAYERS, N_DIMS, N_OTHERS, N_CLASSES = 3, 6, 5, 4


@pytest.fixture
def clips():
    """Frames of three clips of different length."""
    rng = np.random.default_rng(0)
    return [
        torch.from_numpy(rng.normal(size=(n, N_LAYERS * N_DIMS + N_OTHERS)).astype(np.float32))
        for n in (5, 9, 2)
    ]


def head(name):
    torch.manual_seed(0)
    layers = WeightedLayers(N_LAYERS, N_DIMS, N_OTHERS)
    module = HEADS[name](layers, N_CLASSES, 0.3).eval()
    nn.init.normal_(module.layers.logits)
    return module


def padded(clips, filling=0.0, extra=0):
    n_frames = max(map(len, clips)) + extra
    frames = torch.full((len(clips), n_frames, clips[0].shape[1]), filling, dtype=clips[0].dtype)
    mask = torch.zeros(len(clips), n_frames, dtype=torch.bool)
    for i, clip in enumerate(clips):
        frames[i, : len(clip)] = clip
        mask[i, : len(clip)] = True
    return frames, mask


def weighted(module, clip):
    weights = torch.exp(module.layers.logits) / torch.exp(module.layers.logits).sum()
    layers = clip[:, : N_LAYERS * N_DIMS].reshape(-1, N_LAYERS, N_DIMS)
    average = sum(w * layers[:, i] for i, w in enumerate(weights))
    return torch.cat([average, clip[:, N_LAYERS * N_DIMS :]], dim=1)


def pepino(module, clip):
    """Convolutions of width 1 over time, as the paper has them."""
    one, two = module.frames[0], module.frames[3]
    x = weighted(module, clip).T[None]
    for layer in (one, two):
        x = torch.relu(nn.functional.conv1d(x, layer.weight[:, :, None], layer.bias))
    return module.output(x[0].mean(dim=1))


def emobox(module, clip):
    x = weighted(module, clip)
    x = nn.functional.layer_norm(x, x.shape)
    return module.output(torch.relu(module.projection(x)).mean(dim=0))


def superb(module, clip):
    return module.output(module.projection(weighted(module, clip)).mean(dim=0))


def attention(module, clip):
    hidden = torch.relu(module.projection(weighted(module, clip)))
    weights = torch.softmax(module.attention(hidden)[:, 0], dim=0)
    mean = weights @ hidden
    deviation = torch.sqrt(weights @ hidden**2 - mean**2 + 1e-8)
    return module.output(torch.cat([mean, deviation]))


def lstm(module, clip):
    both = torch.nn.LSTM(64, 64, batch_first=True, bidirectional=True).double()
    both.load_state_dict(
        module.forward_lstm.state_dict()
        | {f"{name}_reverse": values for name, values in module.backward_lstm.state_dict().items()}
    )
    hidden, _ = both(module.projection(weighted(module, clip))[None])
    return module.output(hidden[0].mean(dim=0))


@pytest.mark.parametrize("reference", [pepino, emobox, superb, attention, lstm])
@torch.no_grad()
def test_heads_equal_a_reference(reference, clips):
    module = head(reference.__name__).double()  # in single precision, either rounds by more
    clips = [clip.double() for clip in clips]
    found = module(*padded(clips))
    expected = torch.stack([reference(module, clip) for clip in clips])
    torch.testing.assert_close(found, expected, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("name", list(HEADS))
@torch.no_grad()
def test_padding_changes_nothing(name, clips):
    module = head(name)
    expected = module(*padded(clips))
    torch.testing.assert_close(module(*padded(clips, 7.0, extra=4)), expected, rtol=0, atol=1e-6)
    alone = torch.cat([module(*padded([clip])) for clip in clips])
    torch.testing.assert_close(alone, expected, rtol=0, atol=1e-6)


@torch.no_grad()
def test_superbs_head_may_as_well_take_averaged_frames(clips):
    layers = WeightedLayers(N_LAYERS, N_DIMS, N_OTHERS)
    sequence = SUPERBHead(layers, N_CLASSES, 0.0)
    pooled = LayerWeightedHead(layers, N_CLASSES, 256, 0.0)
    pooled.load_state_dict(sequence.state_dict())
    means = torch.stack([clip.mean(dim=0) for clip in clips])
    torch.testing.assert_close(pooled(means), sequence(*padded(clips)), rtol=1e-5, atol=1e-6)


def test_published_sizes():
    module = HEADS["pepino"](WeightedLayers(13, 768), 4, 0.2)
    linear = [layer for layer in module.frames if isinstance(layer, nn.Linear)]
    assert [(layer.in_features, layer.out_features) for layer in linear] == [(768, 128), (128, 128)]
    assert HEADS["emobox"](WeightedLayers(1, 768), 7, 0).projection.out_features == 128
    assert HEADS["superb"](WeightedLayers(13, 768), 4, 0).projection.out_features == 256
