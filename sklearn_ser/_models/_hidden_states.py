"""Hidden states between a model's transformer layers.

Layer 0 is what enters the first transformer layer, layer k the output of layer k, before any
normalisation that follows the last layer. Whisper's last layer is the exception: it is taken
after the final normalisation, as its decoder reads it.
"""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch.nn import functional

__all__ = ["hidden_states", "transformer_layers", "truncated"]


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
            "transformer layers; exactly one is needed to tell its layers apart."
        )
    return found[0]
