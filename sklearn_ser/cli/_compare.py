"""``sklearn-ser compare`` and ``sklearn-ser cross``."""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import importlib.util
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sklearn_ser.cli._corpora import (
    add_corpora,
    add_corpus,
    in_places,
    load_corpora,
    put_elsewhere,
    splitters,
)
from sklearn_ser.cli._options import (
    SCHEMES,
    add_cv,
    add_evaluation,
    check_features,
    check_out,
    embedding_parameters,
    on_backend,
)
from sklearn_ser.cli._process import uninterrupted

if TYPE_CHECKING:
    from sklearn_ser.evaluation import Comparison

__all__ = ["add_compare", "add_cross"]

# Options of a repeated comparison, beside its record: where it runs, and what it writes.
ANEW = {"record", "out", "jobs", "format", "backend", "scheduler"}
# And those that say where its corpora lie here.
PLACES = {"corpora", "corpus", "data"}


def add_compare(commands: Any) -> None:
    command = commands.add_parser(
        "compare",
        help="compare features on a corpus, by scores on held-out speakers",
        description="Compare features on a corpus, with folds that share no speaker. Without "
        "arguments: a synthetic corpus, and all features that come with this package.",
    )
    add_corpus(command, several=True)
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
        "and say what differs; takes only --out, --format, --jobs, --backend, --scheduler and "
        "--quiet, and, where it was made elsewhere, CORPUS=PLACE and --root: where the corpora lie "
        "here",
    )
    command.set_defaults(run=_compare)


def _compare(options: argparse.Namespace) -> int:
    """Compare with fits kept in ``--out``, or repeat what ``--from`` names; return the status."""
    if options.record is not None:
        return _repeat(options)
    options.fits = Path(options.out) / "fits"
    return _compare_and_write(options)


def _repeat(options: argparse.Namespace) -> int:
    """Run the command that made results again, and print what differs."""
    others = vars(options)["given"] - ANEW
    others -= set() if options.corpora else {"corpora"}
    moved = bool(others & PLACES)
    others -= {*PLACES, "root"} if moved else set()
    others |= {"no_audio_audit"} & {name for name, value in vars(options).items() if value is True}
    if others:
        names = ", ".join(f"--{name.replace('_', '-')}" for name in sorted(others))
        names = names.replace("--model-window", "--window")
        raise ValueError(f"{names} has no effect with --from, which repeats its record's command.")
    from sklearn_ser.cli import _parser
    from sklearn_ser.cli._tables import show
    from sklearn_ser.evaluation import differences_of_runs

    record = Path(options.record).expanduser().resolve()
    folder = record if record.is_dir() else record.parent
    if not record.is_dir() and record.name not in ("results.json", "corpora.json"):
        raise FileNotFoundError(
            f"--from {options.record} is neither a folder of results nor a results.json."
        )
    earlier = _load_results(folder)
    command = next(iter(earlier.values())).command
    if command is None:
        raise ValueError(
            f"{options.record} was made in Python, and does not say how its corpus was loaded. "
            "Call compare again."
        )
    again = _parser().parse_args(command["arguments"])
    out = Path(options.out).resolve() if "out" in options.given else folder / "again"
    if out == folder:
        raise ValueError(f"--out {options.out} would overwrite the record that is repeated.")
    again.out, again.fits, again.quiet = str(out), None, options.quiet
    again.format = options.format or again.format
    again.arguments, again.command = command["arguments"], command
    again.jobs = options.jobs or again.jobs
    again.backend, again.scheduler = options.backend, options.scheduler
    place = Path.cwd() if moved else Path(command["directory"])
    if moved:
        put_elsewhere(again, options)
    elif not place.is_dir():
        raise FileNotFoundError(
            f"{options.record} was made in {place}, which is not here. Say where its corpora lie: "
            f"sklearn-ser compare {in_places(again)} --from {options.record}"
        )
    with contextlib.chdir(place):
        _compare_and_write(again)
    options.results = again.results
    differences = []
    for name, one, other in _pairs(earlier, _load_results(out)):
        if moved:  # the name may be that of a folder
            other = dataclasses.replace(other, corpus=one.corpus)
        versions, found = differences_of_runs(one, other)
        differences += found
        for line in (*versions, *found):
            show(f"Differs: {line}" if len(earlier) == 1 else f"Differs, {name}: {line}")
    if not differences:
        show(f"All scores and predictions of {folder} are the same.")
    return 1 if differences else 0


def _load_results(folder: Path) -> Mapping[str, Comparison]:
    """Return the comparisons of a folder by corpus."""
    from sklearn_ser.evaluation import Comparison, CorporaComparison

    if (folder / "corpora.json").is_file():
        return CorporaComparison.load(folder)
    comparison: Comparison = Comparison.load(folder)
    return {comparison.corpus: comparison}


def _pairs(
    earlier: Mapping[str, Comparison], later: Mapping[str, Comparison]
) -> list[tuple[str, Comparison, Comparison]]:
    """Return both results of each corpus of the record, by its name.

    It may hold one of several that its command compared.
    """
    if len(earlier) == len(later):
        return [(*one, other) for one, other in zip(earlier.items(), later.values(), strict=True)]
    pairs = []
    for name, one in earlier.items():
        found = [each for each in later.values() if each.corpus == name]
        found += [
            each for each in later.values() if each.digests["labels"] == one.digests["labels"]
        ]
        if not found:
            raise ValueError(
                f"the record holds {name}, which is none of the corpora here, {', '.join(later)}: "
                "call its folder, or its corpus column's value, as it was called there."
            )
        pairs.append((name, one, found[0]))
    return pairs


def _compare_and_write(options: argparse.Namespace) -> int:
    """Compare as options say, write all files to ``--out``, and return the exit status."""
    check_out(options.out, needs=options.format and "matplotlib:'sklearn-ser[plot]'")
    check_features(options)
    from sklearn_ser.cli._tables import print_ranks, print_table
    from sklearn_ser.evaluation import compare, compare_corpora

    corpora = load_corpora(options)
    parameters: dict[str, Any] = {
        "cv": splitters(options, corpora),
        "classifier": options.classifier,
        "speaker_scaling": options.speaker_scaling,
        "audit": not options.no_audio_audit,
        "n_jobs": options.jobs,
        "memory": options.fits,
        "verbose": not options.quiet,
        **embedding_parameters(options),
    }
    in_report: dict[str, Any] = {
        "command": shlex.join(["sklearn-ser", *options.arguments]),
        "formats": options.format or ["png"],
    }
    if len(corpora) > 1:
        with on_backend(options):
            found = compare_corpora(corpora, options.features, **parameters)
        found = found.with_command(_command(options))
        with uninterrupted():
            written = found.save(options.out, corpora=corpora, **in_report)
            options.results = f"results are written to {options.out}"
        for comparison in found.values():
            print_table(comparison)
        print_ranks(found)
    else:
        (corpus,) = corpora.values()
        (parameters["cv"],) = parameters["cv"].values()
        with on_backend(options):
            comparison = compare(corpus, options.features, **parameters)
        comparison = dataclasses.replace(comparison, command=_command(options))
        with uninterrupted():
            written = comparison.save(options.out, corpus=corpus, **in_report)
            options.results = f"results are written to {options.out}"
        print_table(comparison)
    print(f"Written to {options.out}: {', '.join(written)}")
    if importlib.util.find_spec("matplotlib") is None:
        print("No figures: matplotlib is missing; pip install 'sklearn-ser[plot]'.")
    return 0


def _command(options: argparse.Namespace) -> dict[str, Any]:
    """Return the record of the command, by which ``--from`` repeats it."""
    made: dict[str, Any] = {"arguments": options.arguments, "directory": str(Path.cwd())}
    return getattr(options, "command", made)  # a repeated one stays that of its record


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
    command.add_argument(
        "--same-scale",
        action="store_true",
        help="ratings are on one scale, although their ranges differ much between corpora",
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

    with on_backend(options):
        comparison = compare_across(
            load_corpora(options),
            options.features,
            scheme=options.scheme,
            same_scale=options.same_scale,
            alignment=[None if name == "none" else name for name in options.align],
            cv=options.cv,
            classifier=options.classifier,
            audit=not options.no_audio_audit,
            n_jobs=options.jobs,
            memory=options.fits,
            verbose=not options.quiet,
            **embedding_parameters(options),
        )
    comparison = dataclasses.replace(comparison, command=_command(options))
    with uninterrupted():
        comparison.save(options.out)
        options.results = f"results are written to {options.out}"
    print_cross(comparison)
    print(f"Written to {options.out}: results.json, predictions.csv")
    return 0
