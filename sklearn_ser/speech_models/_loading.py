"""Reading a checkpoint: its configuration, its feature extractor and its weights."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from sklearn_ser.speech_models._files import file_digest

__all__ = ["fold_weight_norms", "read_checkpoint", "read_config", "read_encoder", "reading"]

# Weights that only training uses; fine-tuned checkpoints leave them out.
UNUSED_WEIGHTS = ("masked_spec_embed",)
# Those of which it is known what they pad, and so which frames are the clip's own.
EXTRACTORS = ("Wav2Vec2FeatureExtractor", "SeamlessM4TFeatureExtractor", "WhisperFeatureExtractor")


def read_config(folder: Path) -> Any:
    """Return a model's configuration, to be left as it is."""
    return _read_config(folder, file_digest(folder / "config.json"))


@functools.lru_cache(maxsize=16)
def _read_config(folder: Path, digest: str) -> Any:
    from transformers import AutoConfig

    try:
        return AutoConfig.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    except Exception as error:
        raise OSError(f"{folder / 'config.json'} is of no known model ({error})") from error


def read_checkpoint(folder: Path, dtype: str) -> tuple[Any, Any]:
    """Return the feature extractor and the encoder that a folder holds.

    Raises
    ------
    OSError
        If it holds no speech model, or not all of its weights.
    """
    from transformers import AutoFeatureExtractor

    with reading(folder):
        extractor = AutoFeatureExtractor.from_pretrained(
            folder, local_files_only=True, trust_remote_code=False
        )
    model = read_encoder(folder, dtype)
    if model.main_input_name not in ("input_values", "input_features"):
        raise OSError(f"the model in {folder} takes {model.main_input_name}, not speech.")
    check_extractor(extractor, folder)
    return extractor, model


def check_extractor(extractor: Any, folder: Path) -> None:
    """Raise an OSError if clips cannot be fed to a model as its feature extractor wants."""
    if type(extractor).__name__ not in EXTRACTORS:
        raise OSError(
            f"the model in {folder} takes its input from a {type(extractor).__name__}; known are "
            f"{', '.join(EXTRACTORS)}."
        )


def read_encoder(
    folder: Path, dtype: str = "float32", unused: tuple[str, ...] = UNUSED_WEIGHTS
) -> Any:
    """Return the encoder that a folder holds, in evaluation mode.

    Parameters
    ----------
    folder : Path
    dtype : str
    unused : tuple of str
        How the names of weights end that no layer depends on, and so may be missing.

    Raises
    ------
    OSError
        If it holds no model, or not all of its weights.
    """
    from transformers import AutoModel

    with reading(folder):
        model, report = read_weights(AutoModel, folder, dtype)
    if model.config.is_encoder_decoder:
        model, prefix = model.get_encoder(), "encoder."
    else:
        prefix = ""
    check_weights(report, folder, unused, prefix)
    return model.eval().requires_grad_(False)


def read_weights(kind: Any, folder: Path, dtype: str = "float32") -> tuple[Any, dict[str, Any]]:
    """Return the model of a class of transformers, and its report of what the files lack."""
    import torch

    with quiet_loading():
        model, report = kind.from_pretrained(
            folder,
            local_files_only=True,
            trust_remote_code=False,
            dtype=getattr(torch, dtype),
            ignore_mismatched_sizes=True,  # reported, with those that are missing
            output_loading_info=True,
        )
    return model, report


def check_weights(
    report: dict[str, Any], folder: Path, unused: tuple[str, ...], prefix: str = ""
) -> None:
    """Raise an OSError if weights would be random, but for those whose names end in `unused`."""
    misshapen = [  # transformers 5 tells the shapes too
        key if isinstance(key, str) else key[0] for key in report["mismatched_keys"]
    ]
    missing = [
        name
        for name in {*report["missing_keys"], *misshapen}
        if name.startswith(prefix) and not name.endswith(unused)
    ]
    if missing:
        raise OSError(
            f"the files in {folder} lack {len(missing)} of the model's weights, or have them "
            f"in another shape ({', '.join(sorted(missing)[:3])}, …); they would be random. "
            "Use the checkpoint that belongs to its config.json, with all that it is used for."
        )


@contextlib.contextmanager
def reading(folder: Path) -> Iterator[None]:
    """Say of any error in it that this folder's model cannot be loaded."""
    try:
        yield
    except Exception as error:
        raise OSError(
            f"the model in {folder} cannot be loaded ({type(error).__name__}: {error}). "
            "Download or save it again, with its feature extractor or tokenizer."
        ) from error


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


def fold_weight_norms(model: Any) -> None:
    """Compute weights that are given as direction and length once, not at every pass."""
    from torch.nn.utils import parametrize

    for module in model.modules():
        if parametrize.is_parametrized(module):
            for name in list(module.parametrizations):
                parametrize.remove_parametrizations(module, name)
