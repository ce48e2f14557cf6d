"""``sklearn-ser audit``."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from sklearn_ser.cli._corpora import add_corpus, load_corpus, splitters
from sklearn_ser.cli._options import (
    add_jobs,
    check_out,
    embedding_parameters,
    refuse_unused,
)
from sklearn_ser.cli._process import uninterrupted

__all__ = ["add_audit"]


def add_audit(commands: Any) -> None:
    command = commands.add_parser(
        "audit",
        help="find speakers, sentences and audio in training and test set",
        description="Exits with 1 if training and test folds share speakers or audio, else with 0.",
    )
    add_corpus(command, several=True)
    command.add_argument("--no-audio", action="store_true", help="do not read the clips")
    command.add_argument("--on-error", choices=["raise", "warn"], help="default: raise")
    command.add_argument(
        "--cache", metavar="DIR", help='where audio fingerprints are kept, or "none"; default: auto'
    )
    add_jobs(command, "number of threads")
    command.add_argument("--out", metavar="DIR", help="write folds.csv and pairs.csv there")
    command.set_defaults(run=_audit, default_cache="auto")


def _audit(options: argparse.Namespace) -> int:
    if options.no_audio:
        refuse_unused(options, ["on_error", "jobs", "cache"], "with --no-audio, as no clip is read")
    if options.out is not None:
        check_out(options.out)
    from sklearn_ser._utils import replacing
    from sklearn_ser.audit import audit_split
    from sklearn_ser.cli._tables import print_audit

    corpus = load_corpus(options)
    read = {} if options.no_audio else embedding_parameters(options)
    (cv,) = splitters(options, {corpus.name: corpus}).values()
    audit = audit_split(corpus, cv, audio=not options.no_audio, n_jobs=options.jobs, **read)
    if options.out is not None:
        with uninterrupted():
            Path(options.out).mkdir(parents=True, exist_ok=True)
            for name, table in (("folds", audit.folds), ("pairs", audit.pairs)):
                with replacing(Path(options.out, f"{name}.csv")) as file:
                    table.to_csv(file, index=False)
            options.results = f"results are written to {options.out}"
    print_audit(audit)
    if options.out is not None:
        print(f"Written to {options.out}: folds.csv, pairs.csv")
    return int(audit.leaks)
