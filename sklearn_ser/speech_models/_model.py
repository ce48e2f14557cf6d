"""A pretrained speech model in memory, and its one pass over a waveform."""

from __future__ import annotations

import contextlib
import functools
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["SpeechModel", "load_model"]

Array = npt.NDArray[np.float32]

# Weights that only training uses; fine-tuned checkpoints leave them out.
UNUSED_WEIGHTS = ("masked_spec_embed",)
# Those of which it is known what they pad, and so which frames are the clip's own.
EXTRACTORS = ("Wav2Vec2FeatureExtractor", "SeamlessM4TFeatureExtractor", "WhisperFeatureExtractor")
_loading = threading.Lock()


def load_model(folder: Path, device: str, dtype: str = "float32") -> SpeechModel:
    """Return the model in `folder`, shared by everything in this process that asks for it."""
    from sklearn_ser.speech_models._files import model_digest

    with _loading:
        return _load(folder, model_digest(folder), device, dtype)


@functools.lru_cache(maxsize=2)
def _load(folder: Path, digest: str, device: str, dtype: str) -> SpeechModel:
    return SpeechModel(folder, device, dtype)


def read_config(folder: Path) -> Any:
    """Return a model's configuration, to be left as it is."""
    from sklearn_ser.speech_models._files import file_digest

    return _read_config(folder, file_digest(folder / "config.json"))


@functools.lru_cache(maxsize=16)
def _read_config(folder: Path, digest: str) -> Any:
    from transformers import AutoConfig

    try:
        return AutoConfig.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    except Exception as error:
        raise OSError(f"{folder / 'config.json'} is of no known speech model ({error})") from error


@contextlib.contextmanager
def quiet_loading() -> Iterator[None]:
    """Keep transformers' progress bar, and its table of weights left unused, off the screen."""
    from huggingface_hub import constants
    from transformers.utils import logging

    verbosity = logging.get_verbosity()
    # Whoever sets the environment variable has chosen, either way.
    shows = logging.is_progress_bar_enabled() and constants.HF_HUB_DISABLE_PROGRESS_BARS is None
    logging.set_verbosity_error()
    if shows:
        logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(verbosity)
        if shows:
            logging.enable_progress_bar()


class SpeechModel:
    """A speech model's encoder in evaluation mode, with its feature extractor.

    Layer 0 is what enters the first transformer layer, layer k the output of layer k, before
    any normalisation that follows the last layer. Whisper's last layer is the exception: it is
    taken after the final normalisation, as its decoder reads it. These are the states that
    transformers 5 returns; transformers 4 normalises the last state of pre-norm models too, so
    they are read from the layers themselves.

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
        import torch
        from transformers import AutoFeatureExtractor, AutoModel

        self.config = read_config(folder)
        try:
            self.feature_extractor = AutoFeatureExtractor.from_pretrained(
                folder, local_files_only=True, trust_remote_code=False
            )
            with quiet_loading():
                model, report = AutoModel.from_pretrained(
                    folder,
                    local_files_only=True,
                    trust_remote_code=False,
                    dtype=getattr(torch, dtype),
                    ignore_mismatched_sizes=True,  # reported below, with those that are missing
                    output_loading_info=True,
                )
        except Exception as error:
            raise OSError(
                f"the model in {folder} cannot be loaded ({type(error).__name__}: {error}). "
                "Download or save it again, with its feature extractor."
            ) from error
        if self.config.is_encoder_decoder:
            model, prefix = model.get_encoder(), "encoder."
        else:
            prefix = ""
        misshapen = [  # transformers 5 tells the shapes too
            key if isinstance(key, str) else key[0] for key in report["mismatched_keys"]
        ]
        missing = [
            name
            for name in {*report["missing_keys"], *misshapen}
            if name.startswith(prefix) and not name.endswith(UNUSED_WEIGHTS)
        ]
        if missing:
            raise OSError(
                f"the files in {folder} lack {len(missing)} of the model's weights, or have them "
                f"in another shape ({', '.join(sorted(missing)[:3])}, …); they would be random. "
                "Use the checkpoint that belongs to its config.json."
            )
        if model.main_input_name not in ("input_values", "input_features"):
            raise OSError(f"the model in {folder} takes {model.main_input_name}, not speech.")
        extractor = type(self.feature_extractor).__name__
        if extractor not in EXTRACTORS:
            raise OSError(
                f"the model in {folder} hears through a {extractor}; known are "
                f"{', '.join(EXTRACTORS)}."
            )
        self.model = model.to(device).eval().requires_grad_(False)
        self.device = device
        self.is_whisper = model.config.model_type == "whisper"
        self._running = threading.Lock()

    @property
    def rate(self) -> int:
        """Sampling rate, in Hz, that the model was trained at."""
        return int(self.feature_extractor.sampling_rate)

    def layers(self, waveform: Array) -> Array:
        """Return the frames of every layer for one clip.

        Parameters
        ----------
        waveform : ndarray of shape (n_samples,), float32, at `rate`

        Returns
        -------
        frames : ndarray of shape (1 + n_layers, n_frames, n_dims), float32
            Only the clip's own frames, none of padding.
        """
        if self.is_whisper:
            # Whisper hears 30 s at a time; a longer clip is cut into pieces of that length.
            length = self.feature_extractor.n_samples
            pieces = [waveform[i : i + length] for i in range(0, len(waveform), length)]
            return np.concatenate([self._layers(piece) for piece in pieces], axis=1)
        return self._layers(waveform)

    def _layers(self, waveform: Array) -> Array:
        import torch

        inputs = self.feature_extractor(
            waveform,
            sampling_rate=self.rate,
            return_tensors="pt",
            return_attention_mask=self.model.main_input_name == "input_features",
        )
        mask = inputs.pop("attention_mask", None)
        inputs = {k: v.to(self.device, self.model.dtype) for k, v in inputs.items()}
        if mask is None or self.is_whisper:
            n_frames = None
        else:
            # One pads an odd number of frames to an even one; attention must not see it.
            n_frames = int(mask.sum())
            inputs["attention_mask"] = mask.to(self.device)
        with self._running, torch.inference_mode(), Captured(self.model, self.is_whisper) as states:
            self.model(**inputs)
        if self.is_whisper:
            n_frames = (int(mask.sum()) - 1) // 2 + 1  # of the second, strided convolution
        return np.stack([state[0, :n_frames].float().cpu().numpy() for state in states])


class Captured(list[Any]):
    """Collects the states of a model's transformer layers while it runs."""

    def __init__(self, model: Any, is_whisper: bool) -> None:
        super().__init__()
        layers = transformer_layers(model)
        self._hooks = [layers[0].register_forward_pre_hook(self._enter, with_kwargs=True)]
        self._hooks += [layer.register_forward_hook(self._leave) for layer in layers]
        if is_whisper:
            self._hooks.append(model.layer_norm.register_forward_hook(self._normalise))

    def _enter(self, module: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        self.append(args[0] if args else kwargs["hidden_states"])

    def _leave(self, module: Any, args: tuple[Any, ...], output: Any) -> None:
        self.append(output[0] if isinstance(output, tuple) else output)

    def _normalise(self, module: Any, args: tuple[Any, ...], output: Any) -> None:
        self[-1] = output

    def __enter__(self) -> Captured:
        return self

    def __exit__(self, *exception: object) -> None:
        for hook in self._hooks:
            hook.remove()


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
