"""Where a model's files are, and the digest of what they hold."""

from __future__ import annotations

import fnmatch
import functools
import os
from collections.abc import Sequence
from pathlib import Path

from sklearn_ser._utils import digest_of, file_digest

__all__ = ["BUNDLED", "find_model", "model_digest"]

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
WEIGHTS = ("model*.safetensors", "pytorch_model*.bin")


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
