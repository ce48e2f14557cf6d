"""The command line: a file for each command, or for two that are much alike.

To show help, no other room is imported: scikit-learn, pandas and rich take seconds.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from typing import Any

from sklearn_ser import __version__
from sklearn_ser.cli._audit import add_audit
from sklearn_ser.cli._compare import add_compare, add_cross
from sklearn_ser.cli._corpora import NAMED
from sklearn_ser.cli._embed import add_cache, add_embed
from sklearn_ser.cli._predict import add_predict
from sklearn_ser.cli._process import (
    Interrupted,
    can_be_mended,
    interruptible,
    one_line,
    printed_warnings,
    what_is_kept,
)
from sklearn_ser.cli._train import add_card, add_train

__all__ = ["NAMED", "main"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit status.

    Parameters
    ----------
    arguments : sequence of str, default=None
        What follows ``sklearn-ser``; by default the process's own arguments.

    Returns
    -------
    status : int
        0 if all went well; 1 if `audit` found a leak, a repeated comparison differs, or `predict`
        could not use a recording or draw any timeline that was asked for; 2 if the arguments or
        the data were not usable; 130 after Ctrl-C, and 143 after SIGTERM. A bug is raised, so that
        Python shows its traceback and exits with 1.

    See Also
    --------
    sklearn_ser.evaluation.compare : ``sklearn-ser compare`` in Python.
    """
    parser = _parser()
    options = parser.parse_args(arguments)
    options.arguments = [*(sys.argv[1:] if arguments is None else arguments)]
    if options.run is None:
        parser.print_help(sys.stderr)
        return 2
    if not sys.stderr.isatty():
        options.quiet = True  # progress bars draw over themselves, which files and pipes cannot
    try:
        with interruptible(), printed_warnings():
            return _run_command(options)
    except KeyboardInterrupt as stop:
        print(f"sklearn-ser: interrupted: {what_is_kept(options)}", file=sys.stderr)
        return 128 + (stop.number if isinstance(stop, Interrupted) else 2)
    except BrokenPipeError:  # as of `sklearn-ser … | head`; what was asked for is written by then
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except Exception as error:
        if not can_be_mended(error):
            raise
        print(f"sklearn-ser: error: {one_line(error)}", file=sys.stderr)
        return 2


def _run_command(options: argparse.Namespace) -> int:
    """Run the chosen command, which its `add_…` has set as `options.run`; return its status."""
    from sklearn_ser._utils import default_settings

    with default_settings():
        status = options.run(options)
    sys.stdout.flush()
    return status


class _StoreOnce(argparse._StoreAction):
    """Keeps an option's value; a second one would silently replace it."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: Any,
        option_string: str | None = None,
    ) -> None:
        given = namespace.__dict__.setdefault("given", set())
        if option_string is not None and self.dest in given:
            parser.error(f"{option_string} is given twice")
        given.add(self.dest)
        super().__call__(parser, namespace, values, option_string)


class _Parser(argparse.ArgumentParser):
    """A parser that refuses an option that is given twice."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.register("action", None, _StoreOnce)


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="sklearn-ser", description="Speech emotion recognition for scikit-learn.")
    parser.add_argument("--version", action="version", version=f"sklearn-ser {__version__}")
    # What commands write and keep, for the line that `what_is_kept` gives after Ctrl-C.
    parser.set_defaults(run=None, default_cache="none", results=None, fits=None)
    commands = parser.add_subparsers(
        title="commands", metavar="COMMAND", description="sklearn-ser COMMAND --help says more."
    )
    add_compare(commands)
    add_cross(commands)
    add_audit(commands)
    add_embed(commands)
    add_train(commands)
    add_predict(commands)
    add_card(commands)
    add_cache(commands)
    return parser
