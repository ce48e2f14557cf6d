"""Reading a checkpoint: its feature extractor and its weights; used by all kinds of models."""

from __future__ import annotations

import contextlib
import math
import threading
from collections.abc import Iterator
from numbers import Integral
from pathlib import Path
from typing import Any

from sklearn_ser._models._files import EXTRACTORS, FAMILIES, read_config, read_speech_config
from sklearn_ser._utils import COUNT, HIGHEST_RATE, LOWEST_RATE, Number

__all__ = [
    "check_weights",
    "fold_weight_norms",
    "frames_per_second",
    "read_encoder",
    "read_feature_extractor",
    "read_weights",
    "reading",
]

# Weights that only training uses; fine-tuned checkpoints leave them out.
UNUSED_WEIGHTS = ("masked_spec_embed",)
# Settings of feature extractors that are whole numbers.
SIZES = ("feature_size", "num_mel_bins", "stride", "hop_length", "chunk_length", "n_fft")
# In config.json, the name of a file of weights that transformers reads in place of the usual one.
WEIGHTS_FILE = "transformers_weights"
# How the matrices are called that a weight norm splits a weight into.
MATRICES = ("weight", "original0", "original1", "weight_g", "weight_v")


def read_feature_extractor(folder: Path) -> Any:
    """Return the feature extractor of a speech model.

    Raises
    ------
    OSError
        If it cannot be read, is not its family's, or its settings are none that it can have.
    """
    from transformers import AutoFeatureExtractor, FeatureExtractionMixin

    family, expected = FAMILIES[read_speech_config(folder).model_type]
    with reading(folder):
        settings, _ = FeatureExtractionMixin.get_feature_extractor_dict(
            folder, local_files_only=True
        )
    _check_sizes(settings, folder)
    with reading(folder):
        extractor = AutoFeatureExtractor.from_pretrained(
            folder, local_files_only=True, trust_remote_code=False
        )
    if type(extractor).__name__ != expected:
        raise OSError(
            f"the model in {folder} comes with a {type(extractor).__name__}, but those of its "
            f"family ({family}) take the features of a {expected}. Save it with its own."
        )
    return extractor


def frames_per_second(folder: Path) -> float:
    """Return how many frames the layers of the speech model in a folder give a second."""
    config, extractor = read_speech_config(folder), read_feature_extractor(folder)
    if strides := getattr(config, "conv_stride", None):
        hop = math.prod(strides) * getattr(config, "squeeze_factor", 1)
    else:  # of a spectrogram, which has a frame each 160 samples, two are joined
        hop = 160 * getattr(extractor, "stride", 2)
    return float(extractor.sampling_rate / hop)


def _check_sizes(settings: Any, folder: Path) -> None:
    """Raise an OSError if a feature extractor's settings are not the numbers that they have to be.

    What transformers makes of others is an error that names neither, or nonsense.
    """
    rate = Number(Integral, LOWEST_RATE, HIGHEST_RATE, closed="both")
    for name, allowed in {"sampling_rate": rate, **dict.fromkeys(SIZES, COUNT)}.items():
        if name in settings and not allowed.is_satisfied_by(settings[name]):
            files = " or ".join(
                str(folder / each) for each in EXTRACTORS if (folder / each).exists()
            )
            raise OSError(
                f"{files} says {name}={settings[name]!r}, which must be {allowed}. Correct it, or "
                "save the feature extractor again."
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
        If it holds no model, or not all of its weights, or damaged ones.
    """
    from transformers import AutoModel

    with reading(folder):
        model, report = read_weights(AutoModel, folder, dtype)
        if model.config.is_encoder_decoder:
            model, prefix = model.get_encoder(), "encoder."
        else:
            prefix = ""
    check_weights(model, report, folder, unused, prefix)
    return model.eval().requires_grad_(False)


def read_weights(kind: Any, folder: Path, dtype: str = "float32") -> tuple[Any, dict[str, Any]]:
    """Return the model of a class of transformers, and its report of what the files lack."""
    import torch

    if (folder / "adapter_config.json").exists():
        # Transformers would add it, or even read another model in place of this one.
        raise OSError(
            "it holds an adapter of peft beside the model (adapter_config.json); move that out, "
            "or save the model with the adapter merged into it (merge_and_unload)"
        )
    named = getattr(read_config(folder), WEIGHTS_FILE, None)
    if named is not None:  # no digest would notice
        raise OSError(
            f"its config.json has {WEIGHTS_FILE}={named!r}; save it as save_pretrained does"
        )
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
    model: Any, report: dict[str, Any], folder: Path, unused: tuple[str, ...], prefix: str = ""
) -> None:
    """Raise an OSError if weights would be random, or hold no weights.

    Parameters
    ----------
    model : torch.nn.Module
    report : dict
        What transformers says of the files.
    folder : Path
    unused : tuple of str
        How the names of weights end that nothing depends on.
    prefix : str
        How the names of the model's weights begin in the report.
    """
    misshapen = [name for name, _, _ in report["mismatched_keys"]]
    missing = [
        name
        for name in {*report["missing_keys"], *misshapen}
        if name.startswith(prefix) and not name.endswith(unused)
    ]
    if missing:
        raise OSError(
            f"the files in {folder} lack {len(missing)} of the model's weights, or have them "
            f"in another shape ({_some(missing)}); they would be random. "
            "Use the checkpoint that belongs to its config.json, with all that it is used for."
        )
    damaged = [name for name in damaged_weights(model) if not name.endswith(unused)]
    if damaged:
        dtype = str(next(model.parameters()).dtype).rpartition(".")[2]
        lower = "" if dtype == "float32" else f', or use dtype="float32" if {dtype} overflows'
        raise OSError(
            f"the weights of the model in {folder} are damaged: NaN, infinite or all the same in "
            f"{len(damaged)} of {len(list(model.parameters()))} tensors "
            f"({_some([prefix + name for name in damaged])}): what it gives would mean nothing. "
            f"Download or save it again{lower}."
        )


def _some(names: list[str]) -> str:
    return ", ".join([*sorted(names)[:3], *(["…"] if len(names) > 3 else [])])


def damaged_weights(model: Any) -> list[str]:
    """Return the names of weights that no training can have left so.

    They are those with a value that is not finite, matrices of layers that are constant, and scales
    of norms that are zero. Biases may be zero, as may tables that a text model has but does not
    use: RoBERTa's single token type is zero in every checkpoint.
    """
    import torch

    tokens = _token_embeddings(model)
    norms = (torch.nn.LayerNorm, torch.nn.GroupNorm, torch.nn.BatchNorm1d)
    found = []
    for name, module in model.named_modules():
        is_table = isinstance(module, torch.nn.Embedding) and module is not tokens
        is_layer = not is_table or model.config.model_type in FAMILIES
        weights = (*module.named_parameters(recurse=False), *module.named_buffers(recurse=False))
        for weight_name, weight in weights:
            if not weight.is_floating_point() or not weight.numel():
                continue
            low, high = (float(value) for value in torch.aminmax(weight.detach()))
            finite = math.isfinite(low) and math.isfinite(high)
            if weight.ndim > 1:
                constant = is_layer and low == high and weight.numel() > 1
            else:
                constant = isinstance(module, norms) and low == high == 0
            if not finite or (constant and weight_name in MATRICES):
                found.append(f"{name}.{weight_name}".lstrip("."))
    return found


def _token_embeddings(model: Any) -> Any:
    """Return the table of a text model's tokens; None of a speech model."""
    try:
        return model.get_input_embeddings()
    except (AttributeError, NotImplementedError):
        return None


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


_changing_settings = threading.RLock()  # of transformers, which are those of the process


@contextlib.contextmanager
def quiet_loading() -> Iterator[None]:
    """Keep transformers' progress bar, and its reports of weights left unused, off the screen.

    Checkpoints that were published have a head, which an encoder leaves unused. What the reports
    say of missing weights, `check_weights` raises. One thread at a time loads, so that each finds
    the settings as they were.
    """
    from huggingface_hub import constants
    from transformers.utils import logging

    with _changing_settings:
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
