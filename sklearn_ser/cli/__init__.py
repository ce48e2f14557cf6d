"""The command line: a file for each command, or for two that are much alike."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from typing import Any

from sklearn_ser import __version__
from sklearn_ser._utils import default_settings
from sklearn_ser.cli._audit import add_audit
from sklearn_ser.cli._cache import add_cache
from sklearn_ser.cli._compare import add_compare, add_cross
from sklearn_ser.cli._embed import add_embed
from sklearn_ser.cli._options import NAMED
from sklearn_ser.cli._predict import add_predict
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
        0 if all went well; 1 if `audit` found a leak, or `predict` could not use a recording or
        draw any timeline that was asked for; 2 if the arguments or the data were not usable.
    """
    options = _parser().parse_args(arguments)
    try:
        with default_settings():
            return options.run(options)
    except (ValueError, TypeError, OSError, ImportError) as error:
        print(f"sklearn-ser: error: {error}", file=sys.stderr)
        return 2


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
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    add_compare(commands)
    add_cross(commands)
    add_audit(commands)
    add_embed(commands)
    add_train(commands)
    add_predict(commands)
    add_card(commands)
    add_cache(commands)
    return parser
