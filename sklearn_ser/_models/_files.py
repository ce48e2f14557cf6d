"""Where a model's files are, the digest of what they hold, and the configuration among them."""

from __future__ import annotations

import fnmatch
import functools
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from sklearn_ser._utils import digest_of, file_digest

__all__ = [
    "BUNDLED",
    "EXTRACTORS",
    "FAMILIES",
    "TOKENIZERS",
    "find_model",
    "model_digest",
    "read_config",
    "read_speech_config",
]

BUNDLED = ("nano",)  # each a folder beside this file, with its model card

# The feature extractor's settings; which of the two depends on what saved them.
EXTRACTORS = ("preprocessor_config.json", "processor_config.json")
# A tokenizer's, likewise.
TOKENIZERS = (
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.txt",
    "vocab.json",
    "merges.txt",
    "bpe.codes",
    "spiece.model",
    "spm.model",
    "sentencepiece.bpe.model",
    "tokenizer.model",
    "sentencepiece.model",
    "source.spm",
    "target.spm",
    "vocab-src.json",
    "vocab-tgt.json",
    "prophetnet.tokenizer",
    "dict.txt",
    "emoji.json",
    "byte_maps.json",
    "normalizer.json",
    "word_shape.json",
    "word_pronunciation.json",
    "entity_vocab.json",
)
# Numbers in config.json up to this are never too large: they may be tokens of a large vocabulary.
FREE = 1_000_000
WEIGHTS = ("model*.safetensors", "pytorch_model*.bin")
SAMPLES, SPECTROGRAM = "Wav2Vec2FeatureExtractor", "SeamlessM4TFeatureExtractor"
# The families that are read: `model_type` in config.json → what the family is called, and its
# feature extractor. Of these it is tested that every layer's frames are those of transformers.
FAMILIES = {
    "wav2vec2": ("wav2vec 2.0, XLS-R, MMS", SAMPLES),
    "hubert": ("HuBERT", SAMPLES),
    "wavlm": ("WavLM", SAMPLES),
    "unispeech": ("UniSpeech", SAMPLES),
    "unispeech-sat": ("UniSpeech-SAT", SAMPLES),
    "data2vec-audio": ("data2vec-audio", SAMPLES),
    "sew": ("SEW", SAMPLES),
    "sew-d": ("SEW-D", SAMPLES),
    "wav2vec2-conformer": ("Wav2Vec2-Conformer", SAMPLES),
    "wav2vec2-bert": ("Wav2Vec2-BERT", SPECTROGRAM),
    "whisper": ("Whisper", "WhisperFeatureExtractor"),
}


def find_model(model: str, revision: str | None = None, front: Sequence[str] = EXTRACTORS) -> Path:
    """Return the folder that holds a model's files, downloading them if need be.

    Parameters
    ----------
    model : str
        The name of a bundled model, a local folder as `save_pretrained` writes it, or the id of a
        model on the Hugging Face hub. What the hub's cache holds already is used without asking
        the hub.
    revision : str or None
        Branch, tag or commit on the hub.
    front : sequence of str
        The files, one at least, of what prepares the model's input.

    Returns
    -------
    folder : Path

    Raises
    ------
    OSError
        If the model is neither here nor to be had; it says what was tried and what would work.
    """
    folder = Path(__file__).with_name(model) if model in BUNDLED else Path(model).expanduser()
    if folder.is_dir():
        if revision is not None:
            raise ValueError(f"revision={revision!r} is of models on the hub; {model} is a folder.")
        _check_complete(folder, tuple(front), folder.stat().st_mtime_ns)
        return folder
    return _from_hub(model, revision, front)


@functools.lru_cache(maxsize=64)  # a search asks in every fold
def _check_complete(folder: Path, front: tuple[str, ...], changed: int) -> None:
    """Raise an OSError if a folder, last changed then, lacks files of a model."""
    if missing := _missing(folder, front):
        raise OSError(
            f"{folder} is not a model's folder: it lacks {missing}. Write it with "
            "save_pretrained of the model and of its feature extractor or tokenizer."
        )


def _from_hub(model: str, revision: str | None, front: Sequence[str]) -> Path:
    from huggingface_hub import snapshot_download

    tried = []
    for local, where in ((True, "the hub's cache"), (False, "the hub")):
        for weights in WEIGHTS:  # the safe format first; the other only where it is missing
            try:
                folder = Path(
                    snapshot_download(
                        model,
                        revision=revision,
                        allow_patterns=["config.json", *front, weights, f"{weights}.index.json"],
                        local_files_only=local,
                    )
                )
            except Exception as error:  # whatever its network library raises comes through
                tried.append(f"{where} ({str(error).splitlines()[0] if str(error) else error!r})")
                break
            if not (missing := _missing(folder, front)):
                return folder
        else:
            tried.append(f"{where} (it lacks {missing})")
    raise OSError(
        f"model {model!r} is not a folder here, and not to be had from {' nor '.join(tried)}. "
        "Give a folder that save_pretrained wrote, the right id, or the name of a bundled model "
        f"({', '.join(BUNDLED)}), or go online once: what is downloaded is used offline afterwards."
    )


def _missing(folder: Path, front: Sequence[str]) -> str:
    """Name what a model's folder lacks."""
    there = os.listdir(folder)
    needed = (("config.json",), front, WEIGHTS)  # one of each
    lacking = [" or ".join(names) for names in needed if not _first_of(names, there)]
    return ", ".join(lacking)


def _first_of(patterns: Sequence[str], names: Sequence[str]) -> list[str]:
    """Return the names that fit the first pattern that any fits."""
    for pattern in patterns:
        if found := sorted(fnmatch.filter(names, pattern)):
            return found
    return []


def model_digest(folder: Path, front: Sequence[str] = EXTRACTORS) -> str:
    """Return a 128-bit hash of a model's configuration, what prepares its input, and weights."""
    there = os.listdir(folder)
    names = ["config.json", *front, *_first_of(WEIGHTS, there)]
    return digest_of(*(f"{name} {file_digest(folder / name)}\n" for name in names if name in there))


def read_config(folder: Path) -> Any:
    """Return the configuration of a model with a stack of layers, to be left as it is.

    Raises
    ------
    OSError
        If it cannot be read, or does not say how many layers there are, and of which size.
    """
    return _read_config(folder, file_digest(folder / "config.json"), _size_of(folder), speech=False)


def read_speech_config(folder: Path) -> Any:
    """Return the configuration of a speech model of a family that is read.

    Raises
    ------
    OSError
        If it is of another family, or as by `read_config`.
    """
    return _read_config(folder, file_digest(folder / "config.json"), _size_of(folder), speech=True)


@functools.lru_cache(maxsize=32)
def _read_config(folder: Path, digest: str, n_bytes: int, *, speech: bool) -> Any:
    from transformers import AutoConfig

    try:
        config = AutoConfig.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    except Exception as error:
        raise OSError(f"{folder / 'config.json'} is of no known model ({error})") from error
    if speech and config.model_type not in FAMILIES:
        if isinstance(getattr(config, "num_hidden_layers", None), int):
            reason = "its input and its layers are none that are computed, and tested, here"
        else:
            reason = "it has no single stack of transformer layers"
        raise OSError(
            f"the model in {folder} is of the family {config.model_type!r}, which is not read: "
            f"{reason}. Those that are read are {', '.join(name for name, _ in FAMILIES.values())}."
        )
    for name in ("num_hidden_layers", "hidden_size"):
        value = getattr(config, name, None)
        if not isinstance(value, int) or value < 1:
            raise OSError(
                f"{folder / 'config.json'} is that of a {config.model_type!r} model with "
                f"{name}={value!r}, so that it has no stack of layers whose states could be "
                "features. Use a speech or text encoder."
            )
    _refuse_more_than_weights(config, folder, n_bytes)
    return config


def _size_of(folder: Path) -> int:
    """Return how many bytes a model's weights have."""
    names = _first_of(WEIGHTS, os.listdir(folder))
    return sum((folder / name).stat().st_size for name in names)


def _refuse_more_than_weights(config: Any, folder: Path, n_bytes: int) -> None:
    """Raise an OSError, before any memory is taken, if a model is larger than its weights.

    Transformers would make what the files lack, at random.
    """
    asked = {name: max(_integers(value), default=0) for name, value in config.to_dict().items()}
    layers = "num_hidden_layers × hidden_size²"
    asked[layers] = config.num_hidden_layers * config.hidden_size**2  # fewer than any layer has
    most = max(n_bytes, FREE)
    if wrong := [f"{name} = {value:,}" for name, value in asked.items() if value > most]:
        raise OSError(
            f"{folder / 'config.json'} asks for a larger model than its weights, of {n_bytes:,} "
            f"bytes, can be: {', '.join(wrong)}. Use the config.json that belongs to them."
        )


def _integers(value: Any) -> Iterator[int]:
    """Yield the whole numbers in a value of a configuration."""
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list | tuple):
        for each in value:
            yield from _integers(each)
    elif isinstance(value, int):
        yield value
