"""Speech models with the head they were fine-tuned with: from a waveform to a few numbers."""

from __future__ import annotations

import re
import threading
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from sklearn_ser._models._files import model_digest
from sklearn_ser._models._loading import (
    UNUSED_WEIGHTS,
    check_weights,
    fold_weight_norms,
    read_feature_extractor,
    read_weights,
)
from sklearn_ser._models._running import running
from sklearn_ser._models._speech_model import SHORTEST
from sklearn_ser._models._wavlm import fuse_attention
from sklearn_ser._models._windows import FULL, LENGTH
from sklearn_ser._utils import once

__all__ = ["FineTunedModel", "load_fine_tuned"]

Array = npt.NDArray[np.float32]

DENSE_HEAD = {"classifier.dense.weight", "classifier.out_proj.weight"}


def load_fine_tuned(folder: Path, device: str) -> FineTunedModel:
    """Return the model in `folder`, shared by everything in this process that asks for it."""
    return _load(folder, model_digest(folder), device)


@once(maxsize=2)
def _load(folder: Path, digest: str, device: str) -> FineTunedModel:
    return FineTunedModel(folder, device)


class FineTunedModel:
    """A speech model with its head, in evaluation mode, and its feature extractor.

    It runs one clip at a time, unpadded, which is exact for every family; Whisper takes 30 s,
    padded with silence, as its feature extractor makes them.

    Parameters
    ----------
    folder : Path
        Where the model's files are.
    device : str
        "cpu", "cuda", "cuda:1", …

    Raises
    ------
    OSError
        If the folder holds no fine-tuned speech model, or not all of its weights.
    """

    def __init__(self, folder: Path, device: str) -> None:
        self.folder, self.dtype = folder, torch.float32
        self.feature_extractor, model = read_fine_tuned(folder)
        self._model = model.to(device)
        self.device = next(model.parameters()).device
        fold_weight_norms(model)
        fuse_attention(model)
        self._one_thread = threading.Lock()  # a pass has all cores
        self._full, self._length = (round(seconds * self.rate) for seconds in (FULL, LENGTH))
        if model.config.model_type == "whisper":
            self._full = self._length = self.feature_extractor.n_samples

    @property
    def rate(self) -> int:
        """Sampling rate, in Hz, that the model was trained at."""
        return int(self.feature_extractor.sampling_rate)

    @property
    def shortest(self) -> int:
        """Fewest samples that the model can take."""
        return int(SHORTEST * self.rate)

    def __call__(self, waveform: Array) -> Array:
        """Return what the head gives for a clip, or for each piece of a long one.

        Parameters
        ----------
        waveform : ndarray of shape (n_samples,), float32, mono, at `rate`
            Beyond 40 s (Whisper: 30 s) it is cut into equal pieces of at most 30 s.

        Returns
        -------
        outputs : ndarray of shape (n_pieces, n_outputs), float32
        """
        n_pieces = 1 if len(waveform) <= self._full else -(-len(waveform) // self._length)
        with self._one_thread, running(self.device):
            return np.concatenate([self._run(p) for p in np.array_split(waveform, n_pieces)])

    def _run(self, piece: Array) -> Array:
        inputs = self.feature_extractor(piece, sampling_rate=self.rate, return_tensors="pt")
        outputs: Array = self._model(**inputs.to(self.device)).logits.cpu().numpy()
        return outputs


def read_fine_tuned(folder: Path) -> tuple[Any, Any]:
    """Return the feature extractor and the model, with its head, that a folder holds."""
    from transformers import AutoModelForAudioClassification

    extractor = read_feature_extractor(folder)
    try:
        model, report = read_weights(AutoModelForAudioClassification, folder)
        if DENSE_HEAD.issubset(report["unexpected_keys"]):
            model, report = read_weights(_with_dense_head(type(model)), folder)
    except Exception as error:
        reason = (str(error).splitlines() or [""])[0][:300]
        raise OSError(
            f"the model in {folder} cannot be loaded for audio classification "
            f"({type(error).__name__}: {reason}). Use a checkpoint that was fine-tuned for it, "
            "with its feature extractor."
        ) from error
    check_weights(model, report, folder, UNUSED_WEIGHTS)
    if _ended_after_norm(model.config):
        model.base_model.register_forward_hook(_normalise_last_state)
    return extractor, model.eval().requires_grad_(False)


def _with_dense_head(kind: type[Any]) -> type[Any]:
    """Return a model class whose head is dense → tanh → out_proj on the mean of the frames.

    Public emotion models have it that were trained with classes of their own, of which only the
    names of the weights are left.
    """

    class WithDenseHead(kind):
        def __init__(self, config: Any) -> None:
            super().__init__(config)
            if getattr(config, "pooling_mode", "mean") != "mean":
                raise ValueError(f"pooling_mode={config.pooling_mode!r}; known is 'mean'")
            self.projector = torch.nn.Identity()  # what kind gives its mean over frames of
            self.classifier = DenseHead(config.hidden_size, config.num_labels)

    return WithDenseHead


class DenseHead(torch.nn.Module):
    """Two layers on the mean of a clip's frames."""

    def __init__(self, n_dims: int, n_outputs: int) -> None:
        super().__init__()
        self.dense = torch.nn.Linear(n_dims, n_dims)
        self.out_proj = torch.nn.Linear(n_dims, n_outputs)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return outputs of shape (n_clips, n_outputs)."""
        y: torch.Tensor = self.out_proj(torch.tanh(self.dense(x)))
        return y


def _ended_after_norm(config: Any) -> bool:
    """Return whether weights of layers were learned with the last state after the final norm.

    Transformers gave it so before 5.16, and gives it before the norm since, in models that have
    such a norm; the same checkpoint would say something else.
    """
    has_norm = getattr(config, "do_stable_layer_norm", False) or "conformer" in config.model_type
    saved_by = re.findall(r"\d+", str(config.transformers_version or "4.0"))
    return has_norm and tuple(map(int, saved_by[:2])) < (5, 16)


def _normalise_last_state(module: Any, args: Any, output: Any) -> Any:
    if output.hidden_states is not None:
        output.hidden_states = (*output.hidden_states[:-1], output.last_hidden_state)
    return output
