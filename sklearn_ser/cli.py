"""The command line: ``sklearn-ser compare``, ``cross``, ``audit``, ``embed`` and ``cache``."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from sklearn_ser import __version__
from sklearn_ser.datasets._corpus import AUDIO_SUFFIXES

__all__ = ["main"]

# Corpora with a loader of their own, which takes a folder.
NAMED = ("cremad", "emodb", "esd", "iemocap", "meld", "ravdess", "savee", "tess")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit status.

    Parameters
    ----------
    arguments : sequence of str, default=None
        What follows ``sklearn-ser``; by default the process's own arguments.

    Returns
    -------
    status : int
        0 if all went well, 1 if `audit` found a leak, 2 if the arguments or the data were not
        usable.
    """
    options = _parser().parse_args(arguments)
    try:
        return options.run(options)
    except (ValueError, TypeError, OSError, ImportError) as error:
        print(f"sklearn-ser: error: {error}", file=sys.stderr)
        return 2


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="sklearn-ser", description="Speech emotion recognition for scikit-learn."
    )
    parser.add_argument("--version", action="version", version=f"sklearn-ser {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    _add_compare(commands)
    _add_cross(commands)
    _add_audit(commands)
    _add_embed(commands)
    _add_cache(commands)
    return parser


def _add_compare(commands: Any) -> None:
    command = commands.add_parser(
        "compare",
        help="which features recognise emotion best, for speakers never heard before",
        description="Compare features on a corpus, with folds that share no speaker. Without "
        "arguments: a synthetic corpus, and all features that come with this package.",
    )
    _add_corpus(command)
    _add_evaluation(command)
    command.add_argument(
        "--speaker-scaling",
        choices=["own", "global"],
        help="standardise each speaker: those tested by their own clips (transductive), or by all "
        "of the training fold",
    )
    command.add_argument("--out", default="comparison", metavar="DIR", help="default: comparison")
    command.set_defaults(run=_compare)


def _add_corpus(command: Any) -> None:
    command.add_argument(
        "--corpus", default="synthetic", choices=["synthetic", *NAMED, "folder", "table"]
    )
    command.add_argument("--data", metavar="PATH", help="the corpus's folder, or its CSV file")
    command.add_argument(
        "--speaker",
        metavar="REGEX",
        help="with --corpus folder: finds the speaker in a clip's path",
    )
    _add_cv(command, "ravdess")


def _add_cv(command: Any, *more: str) -> None:
    command.add_argument(
        "--cv",
        default="loso",
        choices=["loso", "group5", "balanced5", "session", "sentence", *more],
        help="folds: loso leaves one speaker out (the default), group5 makes five of speakers, …",
    )


def _add_evaluation(command: Any) -> None:
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
    _add_embedding(command, layer="all")
    command.add_argument("--classifier", default="logistic", choices=["logistic", "lda", "svm"])


def _add_cross(commands: Any) -> None:
    command = commands.add_parser(
        "cross",
        help="train on one corpus, test on another",
        description="Compare features across corpora, with labels that mean the same in all.",
    )
    command.add_argument(
        "corpora",
        nargs="+",
        metavar="CORPUS[=PATH]",
        help=f"synthetic, or one of {', '.join((*NAMED, 'folder', 'table'))} and its place",
    )
    command.add_argument(
        "--scheme", default="four", choices=["four", "ekman", "arousal", "valence", "quadrants"]
    )
    command.add_argument(
        "--align",
        nargs="+",
        default=["none"],
        choices=["none", "standardize", "coral"],
        help="how features are aligned to the corpus that is tested (transductive), or none; "
        "several make a table each",
    )
    command.add_argument("--speaker", metavar="REGEX", help="as for compare")
    _add_cv(command)
    _add_evaluation(command)
    command.add_argument("--out", default="cross", metavar="DIR", help="default: cross")
    command.set_defaults(run=_cross)


def _add_audit(commands: Any) -> None:
    command = commands.add_parser(
        "audit",
        help="what stands on both sides of a split: speakers, sentences, the same audio",
        description="Exits with 1 if speakers or audio stand on both sides, else with 0.",
    )
    _add_corpus(command)
    command.add_argument("--no-audio", action="store_true", help="do not read the clips")
    command.add_argument("--on-error", default="raise", choices=["raise", "warn"])
    command.add_argument("--jobs", type=int, metavar="N", help="threads at once")
    command.add_argument("--out", metavar="DIR", help="write folds.csv and pairs.csv there")
    command.set_defaults(run=_audit)


def _add_embedding(command: Any, layer: str) -> None:
    command.add_argument("--model", metavar="ID", help="for ssl: a hub id or a folder")
    command.add_argument(
        "--layer",
        default=layer,
        type=_layer,
        metavar="LAYER",
        help='for ssl and nano: a number, several as "3,4", middle, mean or all; default: '
        "%(default)s",
    )
    command.add_argument("--pooling", nargs="+", metavar="STATISTIC", help="mean, std, min, …")
    command.add_argument("--waveform-rate", type=float, help=argparse.SUPPRESS)
    command.add_argument(
        "--cache", default="auto", metavar="DIR", help='where records are kept, or "none"'
    )
    command.add_argument("--on-error", default="raise", choices=["raise", "warn", "nan"])
    command.add_argument("--jobs", type=int, metavar="N", help="threads and processes at once")
    command.add_argument("--quiet", action="store_true", help="no progress bars")


def _add_embed(commands: Any) -> None:
    command = commands.add_parser("embed", help="write a matrix of features for a list of clips")
    command.add_argument("clips", nargs="+", metavar="CLIP", help="audio files, or folders of them")
    command.add_argument("--features", required=True, metavar="NAME")
    _add_embedding(command, layer="middle")
    command.add_argument(
        "--out", required=True, metavar="FILE", help="ends in .parquet, .csv or .npz"
    )
    command.set_defaults(run=_embed)


def _add_cache(commands: Any) -> None:
    command = commands.add_parser("cache", help="show or clear the store of clip records")
    command.add_argument("--cache", default="auto", metavar="DIR")
    command.add_argument("--clear", action="store_true", help="delete every record")
    command.set_defaults(run=_cache)


def _layer(text: str) -> int | str | list[int]:
    if text in ("middle", "mean", "all"):
        return text
    try:
        layers = [int(part) for part in text.split(",")]
    except ValueError:
        message = f'{text!r} is not a number, several as "3,4", middle, mean or all'
        raise argparse.ArgumentTypeError(message) from None
    return layers if len(layers) > 1 else layers[0]


def _embedding_parameters(options: argparse.Namespace) -> dict[str, Any]:
    parameters = {
        "cache": None if options.cache == "none" else options.cache,
        "on_error": options.on_error,
    }
    if options.model is not None:
        parameters["model"] = options.model
    if options.pooling is not None:
        parameters["pooling"] = options.pooling
    return parameters


def _load_corpus(name: str, data: str | None, speaker: str | None) -> Any:
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


def _compare(options: argparse.Namespace) -> int:
    from sklearn_ser.evaluation import compare
    from sklearn_ser.evaluation._report import print_table, save_figures

    comparison = compare(
        _load_corpus(options.corpus, options.data, options.speaker),
        options.features,
        layer=options.layer,
        cv=options.cv,
        classifier=options.classifier,
        speaker_scaling=options.speaker_scaling,
        audit=not options.no_audio_audit,
        n_jobs=options.jobs,
        verbose=not options.quiet,
        **_embedding_parameters(options),
    )
    comparison.save(options.out)
    print_table(comparison)
    written = ["results.json", "predictions.csv", *save_figures(comparison, options.out)]
    print(f"Written to {options.out}: {', '.join(written)}")
    return 0


def _cross(options: argparse.Namespace) -> int:
    from sklearn_ser.evaluation import compare_across
    from sklearn_ser.evaluation._report import print_cross

    corpora = {}
    for given in options.corpora:
        name, _, data = given.partition("=")
        corpus = _load_corpus(name, data or None, options.speaker)
        if corpus.name in corpora:
            raise ValueError(f"two corpora are called {corpus.name!r}")
        corpora[corpus.name] = corpus
    comparison = compare_across(
        corpora,
        options.features,
        scheme=options.scheme,
        alignment=[None if name == "none" else name for name in options.align],
        layer=options.layer,
        cv=options.cv,
        classifier=options.classifier,
        audit=not options.no_audio_audit,
        n_jobs=options.jobs,
        verbose=not options.quiet,
        **_embedding_parameters(options),
    )
    comparison.save(options.out)
    print_cross(comparison)
    print(f"Written to {options.out}: results.json, predictions.csv")
    return 0


def _audit(options: argparse.Namespace) -> int:
    from sklearn_ser.evaluation._report import print_audit
    from sklearn_ser.model_selection import audit_split

    corpus = _load_corpus(options.corpus, options.data, options.speaker)
    audit = audit_split(
        corpus,
        options.cv,
        audio=not options.no_audio,
        n_jobs=options.jobs,
        on_error=options.on_error,
    )
    print_audit(audit)
    if options.out is not None:
        Path(options.out).mkdir(parents=True, exist_ok=True)
        audit.folds.to_csv(Path(options.out, "folds.csv"), index=False)
        audit.pairs.to_csv(Path(options.out, "pairs.csv"), index=False)
        print(f"Written to {options.out}: folds.csv, pairs.csv")
    return int(audit.leaks)


def _embed(options: argparse.Namespace) -> int:
    from sklearn_ser.evaluation._features import as_embedders

    out = Path(options.out)
    if out.suffix not in (".parquet", ".csv", ".npz"):
        raise ValueError(f"--out {out} must end in .parquet, .csv or .npz")
    (embedder,) = as_embedders(
        [options.features],
        layer=options.layer,
        n_jobs=options.jobs,
        verbose=not options.quiet,
        **_embedding_parameters(options),
    ).values()
    clips = [path for clip in options.clips for path in _audio_files(Path(clip))]
    matrix = embedder.fit_transform(clips)
    names = embedder.get_feature_names_out()
    out.parent.mkdir(parents=True, exist_ok=True)
    if out.suffix == ".npz":
        np.savez_compressed(out, X=matrix, clips=np.array(clips), features=names.astype(str))
    else:
        import pandas as pd

        frame = pd.DataFrame(matrix, columns=names)
        frame.insert(0, "clip", clips)
        frame.to_parquet(out) if out.suffix == ".parquet" else frame.to_csv(out, index=False)
    print(f"Written to {out}: {matrix.shape[0]} clips × {matrix.shape[1]} features")
    return 0


def _audio_files(path: Path) -> list[str]:
    """Return the path itself, or the audio files of a folder; a bad file is named later."""
    if not path.is_dir():
        return [str(path)]
    found = [p for p in sorted(path.rglob("*")) if p.suffix.lower() in AUDIO_SUFFIXES]
    if not found:
        raise FileNotFoundError(f"no audio files in {path}")
    return [str(p) for p in found]


def _cache(options: argparse.Namespace) -> int:
    from sklearn_ser.evaluation._report import print_store
    from sklearn_ser.store import Store

    store = Store(options.cache)
    print_store(store)
    if options.clear:
        store.clear()
        print("Cleared.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
