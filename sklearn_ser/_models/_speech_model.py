"""A pretrained speech model in memory: from a waveform to statistics of its hidden states."""

from __future__ import annotations

import contextlib
import functools
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from sklearn_ser._models._files import model_digest
from sklearn_ser._models._front_end import (
    FrontEnd,
    OriginalFrontEnd,
    UnsupportedFrontEnd,
    standardise,
)
from sklearn_ser._models._loading import (
    fold_weight_norms,
    frames_per_second,
    read_encoder,
    read_feature_extractor,
    reading,
)
from sklearn_ser._models._running import (
    exact_products,
    frames_of,
    hidden_states,
    is_exact,
    pool_states,
    running,
    to_device,
    transformer_layers,
    truncated,
    valid_frames,
    whisper_length,
)
from sklearn_ser._models._wavlm import fuse_attention
from sklearn_ser._models._windows import CONTEXT, FULL, LENGTH, Moments, Window, windows
from sklearn_ser._utils import once

__all__ = ["ModelInput", "SpeechModel", "load_model"]

Array = npt.NDArray[np.float32]

# Of any model, in seconds: SEW and Wav2Vec2-BERT make one frame of two.
SHORTEST = 0.045
LONG = 1 << 22  # samples, of a clip of which the feature extractor's copies would take much memory


def load_model(folder: Path, device: str, dtype: str = "float32") -> SpeechModel:
    """Return the model in `folder`, shared by everything in this process that asks for it."""
    return _load(folder, model_digest(folder), device, dtype)


@once(maxsize=2)
def _load(folder: Path, digest: str, device: str, dtype: str) -> SpeechModel:
    return SpeechModel(folder, device, dtype)


@dataclass
class ModelInput:
    """A clip as its model's feature extractor prepares it."""

    parts: list[Any]  # `FrontEndInput`, or spectrograms: for Whisper several of a long clip
    n_frames: list[int]  # valid frames of each part, before the layers
    windows: list[Window]  # where one part is too long for all frames to attend to each other
    seconds: float  # how much audio its passes see, padding included


class SpeechModel:
    """A speech model's encoder in evaluation mode, with its feature extractor.

    A clip takes three steps: `prepare_input` (the model's own feature extractor), the
    convolutional front end, and the transformer layers, whose hidden states are what is wanted.
    Threads may call all methods at once.

    Parameters
    ----------
    folder : Path
        Where the model's files are.
    device : str
        "cpu", "cuda", "cuda:1", …
    dtype : str
        "float32", or a lower precision.
    """

    def __init__(self, folder: Path, device: str, dtype: str) -> None:
        self.folder = folder
        self.feature_extractor, model = read_feature_extractor(folder), read_encoder(folder, dtype)
        self.config = model.config
        self.dtype = getattr(torch, dtype)
        self.n_layers = len(transformer_layers(model))
        self.is_whisper = self.config.model_type == "whisper"  # which takes 30 s at a time
        self.rate = int(self.feature_extractor.sampling_rate)  # Hz, that it was trained at
        # How many frames the layers join to one.
        self._squeeze = int(getattr(self.config, "squeeze_factor", 1))
        self._measuring = threading.Lock()
        self._shorter: dict[int, Any] = {}  # the model, ending after fewer layers
        self._model = model = model.to(device)
        self.device = next(model.parameters()).device  # "cuda" means another one tomorrow
        fold_weight_norms(model)
        fuse_attention(model)
        self.front_end: FrontEnd | OriginalFrontEnd | None = None
        if model.main_input_name == "input_values":
            module = model.feature_extractor  # convolutions; ours prepares what enters them
            with exact_products(self.device):
                try:
                    self.front_end = FrontEnd(module)
                except UnsupportedFrontEnd:
                    with reading(folder):
                        self.front_end = OriginalFrontEnd(module, model.config)
            model.feature_extractor = torch.nn.Identity()  # the front end has run by then
        # Fewest samples that give a frame of every layer.
        reach = 0 if self.front_end is None else self.front_end.reach
        self.shortest = max(int(SHORTEST * self.rate), reach)
        # That enter the layers, before these join some.
        self._frames_per_second = self._squeeze * frames_per_second(folder)
        # Threads share the modules; those that keep a state let one thread in at a time.
        self._one_thread: Any = threading.RLock()
        self._check_layers(folder)
        self.is_thread_safe = self._keeps_no_state()
        if self.is_thread_safe:
            self._one_thread = contextlib.nullcontext()

    def prepare_input(
        self, waveform: Array, window: float | str | None = "auto", *, overwrite: bool = False
    ) -> ModelInput:
        """Return a clip as the feature extractor prepares it, alone.

        Parameters
        ----------
        waveform : ndarray of shape (n_samples,), float32, at `rate`
        window : float, "auto", "clip" or None
            See `SSLEmbedder`.
        overwrite : bool
            Whether the waveform may be changed, which saves memory if it is long.
        """
        if self.is_whisper:
            length = self.feature_extractor.n_samples
            starts = range(0, len(waveform), length)
            if window == "clip":  # a rest too short for one frame of the spectrogram is left out
                starts = range(0, max(1, len(waveform) - self.feature_extractor.n_fft), length)
            pieces = [waveform[i : i + length] for i in starts]
            prepared = [self._whisper_mel(piece, window == "clip") for piece in pieces]
            mels, n_valid = zip(*prepared, strict=True)
            return ModelInput(list(mels), list(n_valid), [], 30.0 * len(pieces))
        inputs: Any = {}
        if overwrite and self.front_end is not None and len(waveform) > LONG:
            if self.feature_extractor.do_normalize:
                standardise(waveform)
            inputs["input_values"] = torch.from_numpy(waveform)[None]
        else:
            inputs = self.feature_extractor(waveform, sampling_rate=self.rate, return_tensors="pt")
        if self.front_end is None:
            # One pads an odd number of frames to an even one; attention must not see it.
            n_frames = int(inputs["attention_mask"].sum())
            part: Any = inputs["input_features"][0, :n_frames]
        else:
            part = self.front_end.prepare(inputs["input_values"][0])
            n_frames = self.front_end.n_frames(len(part.samples))
        a_second, found = self._frames_per_second, list[Window]()
        full, length = (FULL, LENGTH) if isinstance(window, str) else (window, window)
        if full is not None and length is not None and n_frames > round(full * a_second):
            size = max(round(length * a_second), 4 * self._squeeze)
            context = min(round(CONTEXT * a_second), size // 4)
            found = windows(n_frames, size, context, self._squeeze)
        return ModelInput([part], [n_frames], found, n_frames / a_second)

    def _whisper_mel(self, piece: Array, only_clip: bool) -> tuple[torch.Tensor, int]:
        """Return the spectrogram of a piece, and how many frames of the layers are valid."""
        options = {"padding": False} if only_clip else {"return_attention_mask": True}
        inputs = self.feature_extractor(
            piece, sampling_rate=self.rate, return_tensors="pt", **options
        )
        mel = inputs["input_features"][0]
        n_mels = mel.shape[1] if only_clip else int(inputs["attention_mask"].sum())
        return mel, (n_mels - 1) // 2 + 1  # of the second, strided convolution

    def _features(self, parts: Sequence[Any]) -> torch.Tensor:
        """Return what enters the layers: the front end's frames, or padded spectrograms."""
        if self.front_end is not None:
            return self.front_end(parts, self.device)
        stacked = torch.nn.utils.rnn.pad_sequence(list(parts), batch_first=True)
        return to_device(stacked, self.device).to(self.dtype)

    def _hidden_states(
        self, features: torch.Tensor, n_frames: Sequence[int], last_layer: int
    ) -> Sequence[torch.Tensor]:
        """Return the hidden states of layers 0 to `last_layer`, each (n_clips, n_states, n_dims).

        Parameters
        ----------
        features : tensor of shape (n_clips, n_frames, n_channels)
            What the front end gives, or the feature extractor's own features, or samples.
        n_frames : sequence of int
            How many frames of each clip are valid; the others are padding.
        last_layer : int
        """
        n_layers = max(1, last_layer)
        if n_layers not in self._shorter:  # several threads may get here
            self._shorter.setdefault(n_layers, truncated(self._model, n_layers))
        model = self._shorter[n_layers]
        if self.is_whisper:
            return hidden_states(model, input_features=features)[: last_layer + 1]
        mask = None
        if len(set(n_frames)) > 1:
            mask = valid_frames(n_frames, features.shape[1], features.device).long()
        if self.front_end is None:
            states = hidden_states(model, input_features=features, attention_mask=mask)
            return states[: last_layer + 1]
        if mask is not None:  # the model wants to know the number of samples
            n_samples = [self.front_end.n_samples(n) for n in n_frames]
            mask = valid_frames(n_samples, max(n_samples), features.device).long()
        states = hidden_states(model, input_values=features.transpose(1, 2), attention_mask=mask)
        return states[: last_layer + 1]

    def _passes(
        self, clip: ModelInput, last_layer: int
    ) -> Iterator[tuple[Sequence[torch.Tensor], int]]:
        """Yield the hidden states of each pass of a clip, and how many are valid: all of them."""
        for part, n_valid in zip(clip.parts, clip.n_frames, strict=True):
            for window, inside in self._windowed(part, clip.windows):
                states = self._hidden_states(inside, [inside.shape[1]], last_layer)
                if self.is_whisper:
                    states = [state[:, :n_valid] for state in states]
                states = [state[:, window.keep] for state in states]
                yield states, states[0].shape[1]

    def _windowed(
        self, part: Any, windows: Sequence[Window]
    ) -> Iterator[tuple[Window, torch.Tensor]]:
        """Yield each window, and the features in it; one that holds all if there are none."""
        front_end = self.front_end
        if windows and front_end is not None and not isinstance(front_end, OriginalFrontEnd):
            inside = front_end.in_windows(part, windows, self.device)
            yield from zip(windows, inside, strict=True)
            return
        features = self._features([part])
        for window in windows or [Window(0, features.shape[1], slice(None))]:
            yield window, features[:, window.start : window.stop]

    def _batch(
        self, clips: Sequence[ModelInput], last_layer: int
    ) -> tuple[Sequence[torch.Tensor], list[int]]:
        """Return the hidden states of a padded batch, and how many of each clip are valid."""
        n_frames = [clip.n_frames[0] for clip in clips]
        features = self._features([clip.parts[0] for clip in clips])
        states = self._hidden_states(features, n_frames, last_layer)
        return states, [n // self._squeeze for n in n_frames]

    def frames(self, clip: ModelInput, layers: Sequence[int]) -> Array:
        """Return the frames of some layers.

        Parameters
        ----------
        clip : ModelInput
        layers : sequence of int
            ``n_layers + 1`` is the mean of all layers.

        Returns
        -------
        frames : ndarray of shape (len(layers), n_frames, n_dims), float32
            Only the clip's valid frames, none of padding.
        """
        with self._one_thread, running(self.device):
            passes = self._passes(clip, self._last(layers))
            parts = [frames_of(states, layers) for states, _ in passes]
        return parts[0] if len(parts) == 1 else np.concatenate(parts, axis=1)

    def _last(self, layers: Sequence[int]) -> int:
        """Return the last layer that must run."""
        return self.n_layers if max(layers) > self.n_layers else max(layers)

    def statistics(self, clips: Sequence[ModelInput], last_layer: int | None = None) -> list[Array]:
        """Return every statistic of every layer, and of the layers' mean, for a batch of clips.

        Parameters
        ----------
        clips : sequence of ModelInput
            Several only if `may_batch`.
        last_layer : int or None
            The last layer wanted; None means all layers, and their mean after the last.

        Returns
        -------
        statistics : list of ndarray of shape (n_layers, n_statistics, n_dims), float32
            One a clip.
        """
        last = self.n_layers if last_layer is None else last_layer
        with_mean = [self.n_layers + 1] if last == self.n_layers else []
        layers = [*range(last + 1), *with_mean]
        with self._one_thread, running(self.device):
            if len(clips) > 1:
                return pool_states(*self._batch(clips, last), layers)
            (clip,) = clips
            if clip.windows or len(clip.parts) > 1:
                return [self._merged(clip, layers)]
            ((states, n_frames),) = self._passes(clip, last)
            return pool_states(states, [n_frames], layers)

    def _merged(self, clip: ModelInput, layers: Sequence[int]) -> Array:
        """Return the statistics of a clip that takes several passes."""
        if clip.windows:
            total = sum(window.keep.stop - window.keep.start for window in clip.windows)
        else:
            total = sum(clip.n_frames)
        moments = Moments(total)
        for states, _ in self._passes(clip, self._last(layers)):
            moments.add(frames_of(states, layers))
        return moments.statistics()

    def may_batch(self, clip: ModelInput) -> bool:
        """Return whether a clip may share a padded batch with others: measured, the first time."""
        if clip.windows or len(clip.parts) > 1:
            return False
        if self.is_whisper and clip.parts[0].shape[1] < whisper_length(self._model):
            return False
        with self._measuring:
            return self._batches_are_exact

    @functools.cached_property
    def _batches_are_exact(self) -> bool:
        """Whether clips get the same hidden states in a padded batch as alone: measured, once."""

        def alone(clip: ModelInput) -> list[torch.Tensor]:
            ((states, _),) = self._passes(clip, self.n_layers)
            return [state[0] for state in states]

        def together(clips: Sequence[ModelInput]) -> list[list[torch.Tensor]]:
            states, n_frames = self._batch(clips, self.n_layers)
            return [[state[i, :n] for state in states] for i, n in enumerate(n_frames)]

        with self._one_thread, running(self.device):
            return is_exact(alone, together, self._probes((1, 0.63, 0.86)), self.dtype)

    def _check_layers(self, folder: Path) -> None:
        """Check that the last hidden state is what the last layer gives; Whisper's is normalised.

        This is the first pass, after which transformers changes nothing in the modules to return
        hidden states.
        """
        given: list[torch.Tensor] = []

        def keep(module: Any, args: Any, output: Any) -> None:
            given.append(output[0] if isinstance(output, tuple) else output)

        hook = transformer_layers(self._model)[-1].register_forward_hook(keep)
        (probe,) = self._probes((0.2,))
        with hook, running(self.device):
            ((states, _),) = self._passes(probe, self.n_layers)
        # What is not finite is an error once it is computed of a clip.
        last, expected = states[-1].nan_to_num(), given[0].nan_to_num()
        if not self.is_whisper and not torch.equal(last, expected):
            raise OSError(
                f"transformers returns something else than what the last layer of the model in "
                f"{folder} ({self.config.model_type}) gives. Install transformers 5.16 or newer; "
                "if it is, the model cannot be used."
            )

    def _keeps_no_state(self) -> bool:
        """Return whether no module remembers anything of a clip, which threads would mix up.

        Conformers keep what they computed of positions, outside of their weights or at a pass.
        """
        saved = self._model.state_dict().keys()
        if any(name not in saved for name, _ in self._model.named_buffers()):
            return False
        first, second = self._probes((0.2, 0.3), "clip")
        with running(self.device):
            list(self._passes(first, self.n_layers))
            before = _attributes(self._model)
            list(self._passes(second, self.n_layers))
            after = _attributes(self._model)
        return all(x is y for x, y in zip(before, after, strict=True)) and not any(
            isinstance(value, torch.Tensor) for value in after
        )

    def _probes(self, shares: Sequence[float], window: str = "auto") -> list[ModelInput]:
        """Return clips of noise, an odd number of frames among them."""
        noise = np.random.default_rng(0).standard_normal(self.rate, dtype=np.float32) * 0.1
        return [self.prepare_input(noise[: int(share * len(noise))], window) for share in shares]


def _attributes(model: Any) -> list[Any]:
    """Return what a model's modules hold, but for its weights."""
    return [value for module in model.modules() for value in vars(module).values()]
