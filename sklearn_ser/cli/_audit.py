"""``sklearn-ser audit``."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from sklearn_ser.cli._options import add_corpus, check_out, load_corpus, refuse_unused

__all__ = ["add_audit"]


def add_audit(commands: Any) -> None:
    command = commands.add_parser(
        "audit",
        help="what training and test folds of a split share: speakers, sentences, the same audio",
        description="Exits with 1 if training and test folds share speakers or audio, else with 0.",
    )
    add_corpus(command)
    command.add_argument("--no-audio", action="store_true", help="do not read the clips")
    command.add_argument("--on-error", choices=["raise", "warn"], help="default: raise")
    command.add_argument("--jobs", type=int, metavar="N", help="threads at once")
    command.add_argument("--out", metavar="DIR", help="write folds.csv and pairs.csv there")
    command.set_defaults(run=_audit)


def _audit(options: argparse.Namespace) -> int:
    from sklearn_ser.audit import audit_split
    from sklearn_ser.cli._tables import print_audit

    if options.no_audio:
        refuse_unused(options, ["on_error", "jobs"], "with --no-audio, as no clip is read")
    if options.out is not None:
        check_out(options.out)
    corpus = load_corpus(options)
    audit = audit_split(
        corpus,
        options.cv,
        audio=not options.no_audio,
        n_jobs=options.jobs,
        on_error=options.on_error or "raise",
    )
    print_audit(audit)
    if options.out is not None:
        Path(options.out).mkdir(parents=True, exist_ok=True)
        audit.folds.to_csv(Path(options.out, "folds.csv"), index=False)
        audit.pairs.to_csv(Path(options.out, "pairs.csv"), index=False)
        print(f"Written to {options.out}: folds.csv, pairs.csv")
    return int(audit.leaks)
