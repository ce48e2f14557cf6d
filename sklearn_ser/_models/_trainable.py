"""A speech model's last layers with a head on them, to be trained on the states before them.

What comes before these layers stays as it is, so what a clip is there never changes: it is
computed once, exactly, by whoever runs the model otherwise. Only the last layers run at every
step. They run apart from their model, which is checked against it when they are read.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from sklearn_ser._models._files import model_digest
from sklearn_ser._models._loading import read_encoder
from sklearn_ser._models._running import distance, hidden_states, transformer_layers
from sklearn_ser._models._wavlm import FusedAttention, fuse_attention
from sklearn_ser._utils import once

__all__ = ["FineTunedNetwork", "LastLayers", "add_lora", "last_layers"]

AT_ONCE = 2000  # frames that attend to each other, 40 s of most models
PIECE = 1500  # of clips with more; all that Whisper can take
HIDDEN = 256
# Of attention; the second are those of conformers.
PROJECTIONS = r".*\.((q|k|v|out)_proj|linear_(q|k|v|out))"
# How far the layers apart may be from those in their model: built alike, they differ by rounding.
CLOSE = 1e-3


def last_layers(folder: Path, n_last: int) -> LastLayers:
    """Return a copy of the last layers of the model in a folder.

    Raises
    ------
    OSError
        If there is no such model, or its layers cannot be run apart from it.
    """
    # Whoever asks, they may be trained later; and nobody's draws depend on whether they were read.
    with torch.inference_mode(False), torch.random.fork_rng(devices=[]):
        return copy.deepcopy(_read(folder, model_digest(folder), n_last))


@once(maxsize=1)
def _read(folder: Path, digest: str, n_last: int) -> LastLayers:
    model = read_encoder(folder)
    fuse_attention(model)
    layers = LastLayers(model, n_last)
    layers.check(model, folder)
    return layers


class LastLayers(nn.Module):
    """The last layers of a model, from the state that enters them to the model's last.

    Parameters
    ----------
    model : torch.nn.Module
        An encoder, as `read_encoder` returns it.
    n_last : int
        How many of its layers.
    """

    def __init__(self, model: Any, n_last: int) -> None:
        super().__init__()
        every = transformer_layers(model)
        self.layers = nn.ModuleList(every[len(every) - n_last :]).requires_grad_()
        is_whisper = model.config.model_type == "whisper"
        self.norm = model.layer_norm.requires_grad_() if is_whisper else nn.Identity()
        self.at_once = PIECE if is_whisper else AT_ONCE
        self.positions = getattr(getattr(model, "encoder", None), "embed_positions", None)
        # Only WavLM's first layer has the embedding of distances, which the others use.
        first = getattr(every[0], "attention", None)
        self._position_bias = None
        if isinstance(first, FusedAttention):
            self._position_bias = first.position_bias
            if n_last < len(every):  # so that it moves to the device with the layers
                self.distances = first.buckets

    def check(self, model: Any, folder: Path) -> None:
        """Compare with the model."""
        noise = torch.Generator().manual_seed(0)
        kind, config = model.config.model_type, model.config
        shape = {
            "whisper": (1, getattr(config, "num_mel_bins", 0), 100),
            "wav2vec2-bert": (1, 50, getattr(config, "feature_projection_input_dim", 0)),
        }.get(kind, (1, 16000))
        n_layers = config.num_hidden_layers
        with torch.no_grad():
            inputs = {model.main_input_name: torch.randn(shape, generator=noise) * 0.1}
            states = hidden_states(model, **inputs)
            start, end = states[n_layers - len(self.layers)], states[n_layers]
            try:
                error = distance(self(start), end)
            except Exception as reason:  # whatever a layer that wants more than its input raises
                error, cause = 1.0, f" ({type(reason).__name__})"
            else:
                cause = ""
        if not error < CLOSE:
            raise OSError(
                f"the last layers of the model in {folder} ({kind}) cannot be run apart from "
                f"it{cause}, so that they cannot be trained. Use a model of another family."
            )

    def forward(self, frames: Tensor) -> Tensor:
        """Return the last states, of the shape of the frames: (1, n_frames, n_dims)."""
        given: dict[str, Any] = {"attention_mask": None}
        if self.positions is not None:
            given["relative_position_embeddings"] = self.positions(frames)
        if self._position_bias is not None:
            given["position_bias"] = self._position_bias(frames.shape[1])
        for layer in self.layers:
            out = layer(frames, **given)
            frames = out[0] if isinstance(out, tuple) else out  # of WavLM, with the bias
        return self.norm(frames)

    def run(self, clips: Sequence[Tensor]) -> list[Tensor]:
        """Return the last states of clips of shape (n_frames, n_dims), each as if it were alone."""
        return [self(clip[None])[0] for clip in clips]


def add_lora(layers: LastLayers, rank: int) -> None:
    """Freeze layers, and give the projections of their attention low-rank matrices to train.

    E. Hu et al., "LoRA: low-rank adaptation of large language models", ICLR 2022.
    """
    try:
        from peft import LoraConfig, inject_adapter_in_model
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            f"lora={rank} needs peft: pip install 'sklearn-ser[lora]' ({error})"
        ) from None
    config = LoraConfig(r=rank, lora_alpha=2 * rank, target_modules=PROJECTIONS)
    inject_adapter_in_model(config, layers)


class Head(nn.Module):
    """Layer norm, mean over a clip's frames, and two linear layers between dropouts."""

    def __init__(self, n_dims: int, n_classes: int, dropout: float) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(n_dims)
        self.dropout = nn.Dropout(dropout)
        self.projection = nn.Linear(n_dims, HIDDEN)
        self.output = nn.Linear(HIDDEN, n_classes)

    def forward(self, clips: Sequence[Tensor]) -> Tensor:
        """Return scores of shape (n_clips, n_classes), of clips of shape (n_frames, n_dims)."""
        pooled = self.dropout(torch.stack([self.norm(frames).mean(dim=0) for frames in clips]))
        return self.output(self.dropout(torch.tanh(self.projection(pooled))))


class FineTunedNetwork(nn.Module):
    """The layers that are trained, and the head; their state is only what is trained.

    Parameters
    ----------
    encoder : LastLayers or None
        None trains the head alone.
    n_dims, n_classes : int
    dropout : float
        In the head.
    longest : int or None
        Frames of a longer clip that training sees, wherever they begin.
    dtype : str
        What products of matrices are computed in.
    """

    def __init__(
        self,
        encoder: LastLayers | None,
        n_dims: int,
        n_classes: int,
        *,
        dropout: float,
        longest: int | None = None,
        dtype: str = "float32",
    ) -> None:
        super().__init__()
        self.encoder = encoder
        self.head = Head(n_dims, n_classes, dropout)
        self._longest, self._dtype = longest, getattr(torch, dtype)

    def forward(self, frames: Tensor, mask: Tensor) -> Tensor:
        """Return scores of shape (n_clips, n_classes).

        Parameters
        ----------
        frames : tensor of shape (n_clips, n_frames, n_dims)
            States that enter the layers, padded.
        mask : tensor of shape (n_clips, n_frames)
            The padding mask: True for valid frames, those at the start.
        """
        clips = [clip[:n] for clip, n in zip(frames, mask.sum(dim=1).tolist(), strict=True)]
        if self.training and self._longest is not None:
            clips = [_stretch(clip, self._longest) for clip in clips]
        low = self._dtype != torch.float32
        with torch.autocast(frames.device.type, self._dtype if low else None, enabled=low):
            if self.encoder is not None:
                pieces = [_pieces(clip, self.encoder.at_once) for clip in clips]
                found = iter(self.encoder.run([piece for clip in pieces for piece in clip]))
                clips = [torch.cat([next(found) for _ in clip]) for clip in pieces]
            return self.head(clips).float()

    def train(self, mode: bool = True) -> FineTunedNetwork:
        """Set training mode, but for statistics of batches: here a batch is one clip."""
        super().train(mode)
        for module in self.modules():
            if isinstance(
                module, (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d, nn.SyncBatchNorm)
            ):
                module.eval()
        return self

    def state_dict(self, *args: Any, **kwargs: Any) -> dict[str, Any]:  # type: ignore[override]
        """Return what is trained, by name."""
        trained = [name for name, weight in self.named_parameters() if weight.requires_grad]
        state = super().state_dict(*args, **kwargs)
        return {name: state[name] for name in trained}

    def load_state_dict(self, state_dict: Mapping[str, Any], *args: Any, **kwargs: Any) -> Any:
        """Load what `state_dict` returned; the rest stays as the checkpoint has it."""
        if strange := set(state_dict) ^ set(self.state_dict()):
            raise ValueError(
                f"{len(strange)} weights are not those of this network: {min(strange)}, …"
            )
        return super().load_state_dict({**super().state_dict(), **state_dict}, *args, **kwargs)


def _stretch(clip: Tensor, longest: int) -> Tensor:
    """Return some of a clip's frames, drawn anew each time."""
    if len(clip) <= longest:
        return clip
    start = int(torch.randint(len(clip) - longest + 1, ()))
    return clip[start : start + longest]


def _pieces(clip: Tensor, at_once: int) -> Sequence[Tensor]:
    """Cut a clip too long for every frame to attend to every other."""
    if len(clip) <= at_once:
        return [clip]
    if at_once == PIECE:  # where Whisper, which counts positions anew, cut it before
        return clip.split(PIECE)
    return clip.tensor_split(-(-len(clip) // PIECE))
