"""``sklearn-ser compare`` and ``sklearn-ser cross``."""

from __future__ import annotations

import argparse
import importlib.util
from typing import Any

from sklearn_ser.cli._options import (
    SCHEMES,
    add_corpora,
    add_corpus,
    add_cv,
    add_evaluation,
    check_features,
    check_out,
    embedding_parameters,
    load_corpora,
    load_corpus,
)
from sklearn_ser.cli._process import uninterrupted

__all__ = ["add_compare", "add_cross"]


def add_compare(commands: Any) -> None:
    command = commands.add_parser(
        "compare",
        help="compare features on a corpus, by scores on held-out speakers",
        description="Compare features on a corpus, with folds that share no speaker. Without "
        "arguments: a synthetic corpus, and all features that come with this package.",
    )
    add_corpus(command)
    add_evaluation(command)
    command.add_argument(
        "--speaker-scaling",
        choices=["own", "global"],
        help="standardise each speaker: those tested by their own clips (transductive), or by all "
        "of the training fold",
    )
    command.add_argument("--out", default="comparison", metavar="DIR", help="default: comparison")
    command.add_argument(
        "--format",
        nargs="+",
        choices=["png", "pdf", "svg"],
        help="of the figures beside the report; default: png",
    )
    command.set_defaults(run=_compare)


def _compare(options: argparse.Namespace) -> int:
    check_out(options.out, needs=options.format and "matplotlib:'sklearn-ser[plot]'")
    check_features(options)
    from sklearn_ser.cli._tables import print_table
    from sklearn_ser.evaluation import compare

    corpus = load_corpus(options)
    comparison = compare(
        corpus,
        options.features,
        cv=options.cv,
        classifier=options.classifier,
        speaker_scaling=options.speaker_scaling,
        audit=not options.no_audio_audit,
        n_jobs=options.jobs,
        verbose=not options.quiet,
        **embedding_parameters(options),
    )
    with uninterrupted():
        written = comparison.save(
            options.out,
            corpus=corpus,
            command=options.command_line,
            formats=options.format or ["png"],
        )
        options.results = f"results are written to {options.out}"
    print_table(comparison)
    print(f"Written to {options.out}: {', '.join(written)}")
    if importlib.util.find_spec("matplotlib") is None:
        print("No figures: matplotlib is missing; pip install 'sklearn-ser[plot]'.")
    return 0


def add_cross(commands: Any) -> None:
    command = commands.add_parser(
        "cross",
        help="train on one corpus, test on another",
        description="Compare features across corpora, with labels that mean the same in all.",
    )
    add_corpora(command)
    command.add_argument("--scheme", default="four", choices=SCHEMES)
    command.add_argument(
        "--align",
        nargs="+",
        default=["none"],
        choices=["none", "standardize", "coral"],
        help="how features are aligned to the corpus that is tested (transductive), or none; "
        "several make a table each",
    )
    add_cv(command)
    add_evaluation(command)
    command.add_argument("--out", default="cross", metavar="DIR", help="default: cross")
    command.set_defaults(run=_cross)


def _cross(options: argparse.Namespace) -> int:
    check_out(options.out)
    check_features(options)
    from sklearn_ser.cli._tables import print_cross
    from sklearn_ser.evaluation import compare_across

    comparison = compare_across(
        load_corpora(options),
        options.features,
        scheme=options.scheme,
        alignment=[None if name == "none" else name for name in options.align],
        cv=options.cv,
        classifier=options.classifier,
        audit=not options.no_audio_audit,
        n_jobs=options.jobs,
        verbose=not options.quiet,
        **embedding_parameters(options),
    )
    with uninterrupted():
        comparison.save(options.out)
        options.results = f"results are written to {options.out}"
    print_cross(comparison)
    print(f"Written to {options.out}: results.json, predictions.csv")
    return 0
