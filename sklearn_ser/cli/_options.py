"""Options that several commands have, and what they stand for."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sklearn_ser.datasets._corpus import AUDIO_SUFFIXES

__all__ = [
    "NAMED",
    "SCHEMES",
    "add_corpora",
    "add_corpus",
    "add_cv",
    "add_embedding",
    "add_evaluation",
    "audio_files",
    "embedding_parameters",
    "load_corpora",
    "load_corpus",
]

SCHEMES = ("four", "ekman", "arousal", "valence", "quadrants")
# Corpora with a loader of their own, which takes a folder.
NAMED = ("cremad", "emodb", "esd", "iemocap", "meld", "ravdess", "savee", "tess")


def add_corpus(command: Any) -> None:
    command.add_argument(
        "--corpus", default="synthetic", choices=["synthetic", *NAMED, "folder", "table"]
    )
    command.add_argument("--data", metavar="PATH", help="the corpus's folder, or its CSV file")
    command.add_argument(
        "--speaker",
        metavar="REGEX",
        help="with --corpus folder: finds the speaker in a clip's path",
    )
    add_cv(command, "ravdess")


def add_corpora(command: Any) -> None:
    command.add_argument(
        "corpora",
        nargs="+",
        metavar="CORPUS[=PATH]",
        help=f"synthetic, or one of {', '.join((*NAMED, 'folder', 'table'))} and its place",
    )
    command.add_argument("--speaker", metavar="REGEX", help="as for compare")


def add_cv(command: Any, *more: str) -> None:
    command.add_argument(
        "--cv",
        default="loso",
        choices=["loso", "group5", "balanced5", "session", "sentence", *more],
        help="folds: loso leaves one speaker out (the default), group5 makes five of speakers, …",
    )


def add_evaluation(command: Any) -> None:
    command.add_argument(
        "--no-audio-audit",
        action="store_true",
        help="do not look for the same audio on both sides of the folds",
    )
    command.add_argument(
        "--features",
        nargs="+",
        metavar="NAME",
        help='mfcc, egemaps, nano, ssl, or your own as "module:Class" or "file.py:Class"',
    )
    add_embedding(command, layer="all")
    command.add_argument("--classifier", default="logistic", choices=["logistic", "lda", "svm"])


def add_embedding(command: Any, layer: str) -> None:
    command.add_argument("--model", metavar="ID", help="for ssl: a hub id or a folder")
    command.add_argument(
        "--layer",
        type=_layer,
        metavar="LAYER",
        help=f'for ssl and nano: a number, several as "3,4", middle, mean or all; default: {layer}',
    )
    command.add_argument("--pooling", nargs="+", metavar="STATISTIC", help="mean, std, min, …")
    command.add_argument("--waveform-rate", type=float, help=argparse.SUPPRESS)
    command.add_argument(
        "--cache", default="auto", metavar="DIR", help='where records are kept, or "none"'
    )
    command.add_argument("--on-error", default="raise", choices=["raise", "warn", "nan"])
    command.add_argument("--jobs", type=int, metavar="N", help="threads and processes at once")
    command.add_argument("--quiet", action="store_true", help="no progress bars")


def _layer(text: str) -> int | str | list[int]:
    if text in ("middle", "mean", "all"):
        return text
    try:
        layers = [int(part) for part in text.split(",")]
    except ValueError:
        message = f'{text!r} is not a number, several as "3,4", middle, mean or all'
        raise argparse.ArgumentTypeError(message) from None
    return layers if len(layers) > 1 else layers[0]


def embedding_parameters(options: argparse.Namespace) -> dict[str, Any]:
    parameters = {
        "cache": None if options.cache == "none" else options.cache,
        "on_error": options.on_error,
    }
    if options.model is not None:
        parameters["model"] = options.model
    if options.pooling is not None:
        parameters["pooling"] = options.pooling
    return parameters


def load_corpus(name: str, data: str | None, speaker: str | None) -> Any:
    from sklearn_ser import datasets

    if name == "synthetic":
        corpus = datasets.make_emotional_speech(random_state=0)
        corpus.name = "synthetic speech"
        return corpus
    if data is None:
        raise ValueError(f"the corpus {name} needs its folder or file: --data PATH, or {name}=PATH")
    if name in NAMED:
        return getattr(datasets, f"load_{name}")(data)
    if name == "table":
        return datasets.load_table(data)
    if name == "folder":
        return datasets.load_folder(data, speaker=speaker)
    raise ValueError(
        f"unknown corpus {name!r}; known are synthetic, {', '.join((*NAMED, 'folder', 'table'))}"
    )


def load_corpora(given: Sequence[str], speaker: str | None) -> dict[str, Any]:
    """Return corpora by name, of "CORPUS" or "CORPUS=PATH"."""
    corpora: dict[str, Any] = {}
    for text in given:
        name, _, data = text.partition("=")
        corpus = load_corpus(name, data or None, speaker)
        if corpus.name in corpora:
            raise ValueError(f"two corpora are called {corpus.name!r}")
        corpora[corpus.name] = corpus
    return corpora


def audio_files(path: Path) -> list[str]:
    """Return the path itself, or the audio files of a folder; a bad file is named later."""
    if not path.is_dir():
        return [str(path)]
    found = [p for p in sorted(path.rglob("*")) if p.suffix.lower() in AUDIO_SUFFIXES]
    if not found:
        raise FileNotFoundError(f"no audio files in {path}")
    return [str(p) for p in found]
