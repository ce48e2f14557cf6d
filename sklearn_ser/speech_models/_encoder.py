"""From features to states: the part of a speech model that is a transformer."""

from __future__ import annotations

import contextlib
import inspect
from collections.abc import Sequence
from typing import Any, Protocol

import torch
from torch.nn import functional

from sklearn_ser.speech_models._batching import cured, own
from sklearn_ser.speech_models._front_end import FrontEnd, OwnFrontEnd
from sklearn_ser.speech_models._joining import joined
from sklearn_ser.speech_models._states import Captured, transformer_layers

__all__ = ["Encoder", "TorchEncoder"]


class Encoder(Protocol):
    """Whatever runs the transformer layers."""

    def __call__(
        self, features: torch.Tensor, n_frames: Sequence[int], upto: int
    ) -> list[torch.Tensor]:
        """Return the states of layers 0 to `upto`, each (n_clips, n_states, n_dims).

        Parameters
        ----------
        features : tensor of shape (n_clips, n_frames, n_channels)
            What the front end gives, or a feature extractor's own features; of a model that hears
            in its own way, whatever it takes.
        n_frames : sequence of int
            How many frames are each clip's own; the others are padding. If these are more than
            there are rows in `features`, clips lie end to end in one row.
        upto : int
            The last layer wanted.
        """
        ...


class TorchEncoder:
    """Runs the layers as transformers has them, cured of what clips notice of each other."""

    def __init__(self, model: Any, front_end: FrontEnd | OwnFrontEnd | None) -> None:
        self.model = model
        self.front_end = front_end

    def __call__(
        self, features: torch.Tensor, n_frames: Sequence[int], upto: int
    ) -> list[torch.Tensor]:
        """Return the states of layers 0 to `upto`; see `Encoder`."""
        together: Any = contextlib.nullcontext()
        if len(n_frames) > len(features):
            together = joined(n_frames)
            n_frames = [sum(n_frames)]
        with together, cured(self.model, n_frames), Captured(self.model, upto) as states:
            self.run(features, n_frames)
        return states

    def run(self, features: torch.Tensor, n_frames: Sequence[int] = (0,)) -> None:
        """Run the model; the states are left to whoever captures them."""
        if self.model.config.model_type == "whisper":
            self._run_whisper(features)
            return
        mask = None
        if len(set(n_frames)) > 1:
            mask = own(n_frames, features.shape[1], features.device).long()
        if self.model.main_input_name == "input_features":
            self.model(input_features=features, attention_mask=mask)
        elif self.front_end is None:
            self.model(features)  # samples: its own front end follows
        else:
            if mask is not None:  # the model wants to know the number of samples
                n_samples = [self.front_end.n_samples(n) for n in n_frames]
                mask = own(n_samples, max(n_samples), features.device).long()
            self.model(features.transpose(1, 2), attention_mask=mask)

    def _run_whisper(self, mel: torch.Tensor) -> None:
        model = self.model
        if mel.shape[-1] == 2 * model.config.max_source_positions:
            model(mel)
            return
        # Fewer frames than the 30 s that the model insists on.
        x = functional.gelu(model.conv2(functional.gelu(model.conv1(mel)))).transpose(1, 2)
        x = x + model.embed_positions.weight[: x.shape[1]]
        for layer in transformer_layers(model):
            takes = inspect.signature(layer.forward).parameters
            absent = {name: None for name in ("attention_mask", "layer_head_mask") if name in takes}
            out = layer(x, **absent)
            x = out[0] if isinstance(out, tuple) else out
        model.layer_norm(x)
