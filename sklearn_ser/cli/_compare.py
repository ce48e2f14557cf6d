"""``sklearn-ser compare`` and ``sklearn-ser cross``."""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import importlib.util
import shlex
from pathlib import Path
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
    command.add_argument(
        "--from",
        dest="record",
        metavar="FILE",
        help="a results.json: repeat that comparison from its own record, fitting all of it again, "
        "and say what differs; takes only --out, --format, --jobs and --quiet",
    )
    command.set_defaults(run=_compare)


def _compare(options: argparse.Namespace) -> int:
    if options.record is not None:
        return _repeat(options)
    options.fits = check_out(options.out) / "fits"
    return _run(options)


def _repeat(options: argparse.Namespace) -> int:
    """Run the command that made results again, and print what differs."""
    others = vars(options)["given"] - {"record", "out", "jobs", "format"}
    others |= {"no_audio_audit"} & {name for name, value in vars(options).items() if value is True}
    if others:
        names = ", ".join(f"--{name.replace('_', '-')}" for name in sorted(others))
        names = names.replace("--model-window", "--window")
        raise ValueError(f"{names} has no effect with --from, which repeats its record's command.")
    from sklearn_ser._utils import existing_folder
    from sklearn_ser.cli import _parser
    from sklearn_ser.cli._tables import show
    from sklearn_ser.evaluation import Comparison, differences_of_runs

    record = Path(options.record).expanduser().resolve()
    folder = record if record.is_dir() else record.parent
    earlier = Comparison.load(folder)
    if earlier.command is None:
        raise ValueError(
            f"{options.record} was made in Python, and does not say how its corpus was loaded. "
            "Call compare again."
        )
    again = _parser().parse_args(earlier.command["arguments"])
    out = Path(options.out).resolve() if "out" in options.given else folder / "again"
    if out == folder:
        raise ValueError(f"--out {options.out} would overwrite the record that is repeated.")
    again.out, again.fits, again.quiet = str(out), None, options.quiet
    again.format = options.format or again.format
    again.arguments = earlier.command["arguments"]
    again.jobs = options.jobs or again.jobs
    with contextlib.chdir(existing_folder(earlier.command["directory"])):
        _run(again)
    options.results = again.results
    versions, differences = differences_of_runs(earlier, Comparison.load(out))
    for line in (*versions, *differences):
        show(f"Differs: {line}")
    if not differences:
        show(f"All scores and predictions of {folder} are the same.")
    return 1 if differences else 0


def _run(options: argparse.Namespace) -> int:
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
        memory=options.fits,
        verbose=not options.quiet,
        **embedding_parameters(options),
    )
    comparison = _with_command(comparison, options)
    with uninterrupted():
        written = comparison.save(
            options.out,
            corpus=corpus,
            command=shlex.join(["sklearn-ser", *options.arguments]),
            formats=options.format or ["png"],
        )
        options.results = f"results are written to {options.out}"
    print_table(comparison)
    print(f"Written to {options.out}: {', '.join(written)}")
    if importlib.util.find_spec("matplotlib") is None:
        print("No figures: matplotlib is missing; pip install 'sklearn-ser[plot]'.")
    return 0


def _with_command(comparison: Any, options: argparse.Namespace) -> Any:
    command = {"arguments": options.arguments, "directory": str(Path.cwd())}
    return dataclasses.replace(comparison, command=command)


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
    options.fits = check_out(options.out) / "fits"
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
        memory=options.fits,
        verbose=not options.quiet,
        **embedding_parameters(options),
    )
    comparison = _with_command(comparison, options)
    with uninterrupted():
        comparison.save(options.out)
        options.results = f"results are written to {options.out}"
    print_cross(comparison)
    print(f"Written to {options.out}: results.json, predictions.csv")
    return 0
