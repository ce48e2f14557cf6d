"""How a model is run: torch's settings, padding, hidden states, and their statistics.

Layer 0 is what enters the first transformer layer, layer k the output of layer k, before any
normalisation that follows the last layer. Whisper's last layer is the exception: it is taken
after the final normalisation, as its decoder reads it.

A batch is padded to its longest clip. Attention is kept from the padding by a mask, the front end
normalises each clip by itself, and so does the feature extractor. Whether that is enough for a
model is measured, by `is_exact`, before it is batched at all: convolutions over frames, say, may
see the padding.
"""

from __future__ import annotations

import contextlib
import copy
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch.nn import functional

from sklearn_ser._utils import pool

__all__ = [
    "distance",
    "exact_products",
    "frames_of",
    "hidden_states",
    "is_exact",
    "pool_padded",
    "pool_states",
    "running",
    "to_device",
    "tolerance",
    "transformer_layers",
    "truncated",
    "valid_frames",
    "whisper_length",
]

Array = npt.NDArray[np.float32]

TOLERANCE = 1e-5

# One pass at a time on GPUs: it fills the device, and the settings of torch that make it exact are
# those of the whole process.
_on_gpu = threading.RLock()


@contextlib.contextmanager
def running(device: torch.device) -> Iterator[None]:
    """Run a model for the same numbers whatever the caller's settings of torch."""
    with torch.inference_mode(), torch.autocast(device.type, enabled=False):
        if device.type == "cpu":
            yield
        else:
            with _on_gpu, exact_products(device):
                yield


@contextlib.contextmanager
def exact_products(device: torch.device) -> Iterator[None]:
    """Keep a GPU from rounding float32 factors to 10 bits in convolutions, as it does unasked."""
    if device.type != "cuda":
        yield
        return
    cuda: Any = torch.backends.cuda.matmul
    cudnn: Any = torch.backends.cudnn
    name: str
    exact: Any
    if hasattr(cuda, "fp32_precision"):  # from torch 2.9, and not to be mixed with the older one
        products, name, exact = (cuda, cudnn.conv), "fp32_precision", "ieee"
    else:
        products, name, exact = (cuda, cudnn), "allow_tf32", False
    before = [getattr(product, name) for product in products]
    for product in products:
        setattr(product, name, exact)
    try:
        yield
    finally:
        for product, value in zip(products, before, strict=True):
            setattr(product, name, value)


def to_device(tensor: torch.Tensor, device: Any) -> torch.Tensor:
    """Move a tensor without waiting for the GPU."""
    if torch.device(device).type == "cuda" and tensor.device.type == "cpu":
        return tensor.pin_memory().to(device, non_blocking=True)
    return tensor.to(device)


def distance(found: torch.Tensor, expected: torch.Tensor) -> float:
    """Return the relative L2 error."""
    found, expected = found.cpu().double(), expected.cpu().double()
    norm = torch.linalg.norm(expected)
    return float(torch.linalg.norm(found - expected) / norm.clamp(min=1e-30))


def tolerance(dtype: torch.dtype) -> float:
    """Return the largest error that rounding explains."""
    return TOLERANCE if dtype == torch.float32 else 0.03


def valid_frames(n_frames: Sequence[int], length: int, device: Any) -> torch.Tensor:
    """Return the padding mask: True for frames of the clip, of shape (n_clips, length)."""
    counts = to_device(torch.as_tensor(n_frames), device)
    return torch.arange(length, device=device) < counts[:, None]


@torch.inference_mode()
def is_exact(
    alone: Callable[[Any], list[torch.Tensor]],
    together: Callable[[Sequence[Any]], list[list[torch.Tensor]]],
    clips: Sequence[Any],
    dtype: torch.dtype,
) -> bool:
    """Return whether clips get the same states together as alone.

    Parameters
    ----------
    alone, together : callable
        Map a clip, or several, to the states of each: tensors of shape (n_frames, n_dims).
    clips : sequence
        Two or more, of different lengths.
    dtype : torch.dtype
        Of the model; it sets how much rounding may explain.
    """
    try:
        found = together(clips)
    except Exception:  # whatever a model that cannot be batched raises
        return False
    return all(
        one.shape == many.shape and distance(many, one) <= tolerance(dtype)
        for clip, of_clip in zip(clips, found, strict=True)
        for one, many in zip(alone(clip), of_clip, strict=True)
    )


def hidden_states(model: Any, **inputs: Any) -> tuple[torch.Tensor, ...]:
    """Return the hidden states of layer 0 and all that follow, each (n_clips, n_frames, n_dims).

    Parameters
    ----------
    model : torch.nn.Module
        An encoder, or what `truncated` makes of one.
    **inputs
        What the model takes. Of Whisper also ``input_features`` that are shorter than the 30 s on
        which transformers insists.
    """
    if model.config.model_type == "whisper":
        mel = inputs["input_features"]
        if mel.shape[-1] != whisper_length(model):
            return _short_whisper(model, mel)
    states: tuple[torch.Tensor, ...] = model(**inputs, output_hidden_states=True).hidden_states
    return states


def truncated(model: Any, n_layers: int) -> Any:
    """Return a model that ends after some layers and shares the given one's weights.

    Parameters
    ----------
    model : torch.nn.Module
        An encoder that has run once with ``output_hidden_states=True``.
    n_layers : int
        At least 1.
    """
    if n_layers >= model.config.num_hidden_layers:
        return model
    held = [value for module in model.modules() for value in vars(module).values()]
    tensors = [value for value in held if isinstance(value, torch.Tensor)]  # computed at a pass
    tensors += [*model.parameters(), *model.buffers()]
    shorter = copy.deepcopy(model, {id(tensor): tensor for tensor in tensors})
    del transformer_layers(shorter)[n_layers:]
    if model.config.model_type == "whisper":  # whose final normalisation belongs to the last layer
        shorter.layer_norm = torch.nn.Identity()
    return shorter


def whisper_length(model: Any) -> int:
    """Return how many frames of a spectrogram Whisper's encoder takes: 30 s."""
    return 2 * int(model.config.max_source_positions)


def _short_whisper(model: Any, mel: torch.Tensor) -> tuple[torch.Tensor, ...]:
    """Run Whisper's encoder on fewer frames than it insists on, with as many positions."""
    x = functional.gelu(model.conv2(functional.gelu(model.conv1(mel)))).transpose(1, 2)
    x = x + model.embed_positions.weight[: x.shape[1]]
    states = [x]
    for layer in model.layers:
        x = layer(x, attention_mask=None)
        states.append(x)
    states[-1] = model.layer_norm(states[-1])
    return tuple(states)


def transformer_layers(model: Any) -> Any:
    """Return the list of a model's transformer layers, found by its name, length and content."""
    from transformers.modeling_layers import GradientCheckpointingLayer

    found = [
        module
        for name, module in model.named_modules()
        if isinstance(module, torch.nn.ModuleList)
        and name.rpartition(".")[2] in ("layers", "layer")
        and len(module) == model.config.num_hidden_layers
        and isinstance(module[0], GradientCheckpointingLayer)  # no adapter, no convolution
    ]
    if len(found) != 1:
        raise OSError(
            f"{type(model).__name__} has {len(found)} stacks of {model.config.num_hidden_layers} "
            "transformer layers; exactly one is needed to know its layers."
        )
    return found[0]


def pool_padded(frames: torch.Tensor, n_frames: Sequence[int]) -> torch.Tensor:
    """Return what `pool` does, for a padded batch, on its own device.

    Parameters
    ----------
    frames : tensor of shape (n_clips, n_frames, n_dims)
    n_frames : sequence of int
        How many frames of each clip are valid.

    Returns
    -------
    pooled : tensor of shape (n_clips, n_statistics, n_dims), float32
    """
    mask = valid_frames(n_frames, frames.shape[1], frames.device)[..., None]
    counts = to_device(torch.as_tensor(n_frames), frames.device)
    frames = frames.float()
    exact = frames.double().masked_fill_(~mask, 0)  # padding may hold anything
    mean = exact.sum(1) / counts[:, None]
    deviations = (exact - mean[:, None]).square_() * mask
    std = (deviations.sum(1) / counts[:, None]).sqrt()
    ordered = frames.masked_fill(~mask, float("inf")).sort(dim=1).values
    index = torch.stack([torch.zeros_like(counts), (counts - 1) // 2, counts // 2, counts - 1])
    index = index.T[..., None].expand(-1, -1, frames.shape[2])
    low, below, above, high = ordered.gather(1, index).unbind(1)
    median = (below.double() + above) / 2
    return torch.stack([mean.float(), std.float(), low, high, median.float()], dim=1)


def frames_of(states: Sequence[torch.Tensor], layers: Sequence[int]) -> Array:
    """Return some layers of a batch of one clip, of shape (len(layers), n_frames, n_dims)."""
    return np.stack([state[0].float().cpu().numpy() for state in _select(states, layers)])


def pool_states(
    states: Sequence[torch.Tensor], n_frames: Sequence[int], layers: Sequence[int]
) -> list[Array]:
    """Return every statistic of some layers of a padded batch, one array a clip.

    Parameters
    ----------
    states : sequence of tensors of shape (n_clips, n_frames, n_dims)
        Of layer 0 and those after it.
    n_frames : sequence of int
        How many frames of each clip are valid.
    layers : sequence of int
        One more than there are states is their mean.
    """
    if states[0].is_cuda:
        pooled = [pool_padded(state, n_frames) for state in _select(states, layers)]
        return list(torch.stack(pooled, dim=1).cpu().numpy())
    states_of = [[state[i, :n] for state in states] for i, n in enumerate(n_frames)]
    # Converted here: a thread that calls torch gets threads of its own from it.
    arrays = (
        (state.float().cpu().numpy() for state in _select(of_clip, layers)) for of_clip in states_of
    )
    if torch.get_num_threads() == 1:
        return [np.stack(list(map(pool, of_clip))) for of_clip in arrays]
    with ThreadPoolExecutor(torch.get_num_threads()) as threads:  # sorting for the median
        found = [threads.map(pool, of_clip) for of_clip in arrays]
        return [np.stack(list(of_clip)) for of_clip in found]


def _select(states: Sequence[torch.Tensor], layers: Sequence[int]) -> Iterator[torch.Tensor]:
    """Yield the states of some layers; the one after the last is the mean of all."""
    for layer in layers:
        if layer < len(states):
            yield states[layer]
        else:
            yield sum(state.float() for state in states) / len(states)  # type: ignore[misc]
