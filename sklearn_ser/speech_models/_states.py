"""The states between a model's transformer layers, read while it runs.

Layer 0 is what enters the first transformer layer, layer k the output of layer k, before any
normalisation that follows the last layer. Whisper's last layer is the exception: it is taken
after the final normalisation, as its decoder reads it. Transformers 5 returns these states;
transformers 4 normalises the last state of pre-norm models too, so they are read from the layers
themselves, which also means that a run can stop after any of them.
"""

from __future__ import annotations

from typing import Any

__all__ = ["Captured", "transformer_layers"]


class _Enough(Exception):
    """The last layer that is wanted has run."""


class Captured(list[Any]):
    """Collects the states of a model's layers while it runs inside a ``with`` block.

    Parameters
    ----------
    model : torch.nn.Module
    upto : int
        The last layer wanted; the model stops after it, ending the block.
    stop : bool
        Whether to stop at all; a model that is traced must run to its end.
    """

    def __init__(self, model: Any, upto: int, *, stop: bool = True) -> None:
        super().__init__()
        layers = transformer_layers(model)
        self._upto, self._stop = upto, stop
        # Whisper's last state is that after its final normalisation.
        self._normalised = model.config.model_type == "whisper" and upto == len(layers)
        self._hooks = [layers[0].register_forward_pre_hook(self._enter, with_kwargs=True)]
        self._hooks += [layer.register_forward_hook(self._leave) for layer in layers[:upto]]
        if self._normalised:
            self._hooks.append(model.layer_norm.register_forward_hook(self._normalise))

    def _enter(self, module: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        self.append(args[0] if args else kwargs["hidden_states"])
        self._end()

    def _leave(self, module: Any, args: tuple[Any, ...], output: Any) -> None:
        self.append(output[0] if isinstance(output, tuple) else output)
        if not self._normalised:
            self._end()

    def _normalise(self, module: Any, args: tuple[Any, ...], output: Any) -> None:
        self[-1] = output
        self._end()

    def _end(self) -> None:
        if self._stop and len(self) > self._upto:
            raise _Enough

    def __enter__(self) -> Captured:
        return self

    def __exit__(self, kind: Any, error: Any, traceback: Any) -> bool:
        for hook in self._hooks:
            hook.remove()
        return kind is _Enough


def transformer_layers(model: Any) -> Any:
    """Return the list of a model's transformer layers, found by its name, length and content."""
    import torch
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
