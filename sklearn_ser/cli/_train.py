"""``sklearn-ser train`` and ``sklearn-ser card``."""

from __future__ import annotations

import argparse
import warnings
from typing import Any

from sklearn.utils import Bunch

from sklearn_ser.cli._options import (
    SCHEMES,
    add_corpora,
    add_embedding,
    check_out,
    embedding_parameters,
    load_corpora,
)

__all__ = ["add_card", "add_train"]


def add_train(commands: Any) -> None:
    command = commands.add_parser(
        "train",
        help="train a recognizer on corpora, to be used on anyone's recordings",
        description="Train on all clips of the corpora, after measuring on speakers held out of "
        "training how well, how surely and how far that holds.",
    )
    add_corpora(command)
    command.add_argument(
        "--scheme",
        choices=SCHEMES,
        help="what labels are made of the corpora's; by default one corpus keeps its own, and "
        "several have the four of the field",
    )
    command.add_argument(
        "--features",
        nargs="+",
        default=["nano"],
        metavar="NAME",
        help="as for compare; several stand side by side; default: nano",
    )
    # Every clip has to be usable: the recognizer is trained on all of them.
    add_embedding(command, layer="middle", on_error=False)
    command.add_argument("--classifier", default="lda", choices=["logistic", "lda", "svm"])
    command.add_argument(
        "--no-audio-audit",
        action="store_true",
        help="do not look for the same audio spoken by two speakers",
    )
    command.add_argument("--out", required=True, metavar="FILE", help="ends in .skops")
    command.set_defaults(run=_train)


def add_card(commands: Any) -> None:
    command = commands.add_parser(
        "card", help="what a recognizer was trained on, and how well it does"
    )
    command.add_argument("recognizer", metavar="FILE")
    command.add_argument("--trust", nargs="+", default=[], metavar="CLASS", help="as for predict")
    command.add_argument("--model", metavar="ID", help="as for predict")
    command.set_defaults(run=_card)


def _train(options: argparse.Namespace) -> int:
    from sklearn.pipeline import FeatureUnion

    from sklearn_ser.cli._tables import print_card
    from sklearn_ser.datasets import pool_corpora
    from sklearn_ser.evaluation import as_embedders
    from sklearn_ser.recognition import EmotionRecognizer, card_of, save_recognizer

    out = check_out(options.out, ".skops", needs="skops:'sklearn-ser[skops]'")
    corpora = load_corpora(options)
    corpus = pool_corpora(corpora, options.scheme or (None if len(corpora) == 1 else "four"))
    _audit(corpus, audio=not options.no_audio_audit, n_jobs=options.jobs)
    embedders = as_embedders(
        options.features,
        defaults={"n_jobs": options.jobs, "verbose": not options.quiet},
        needed=["fit", "transform"],
        **embedding_parameters(options),
    )
    single = next(iter(embedders.values()))
    recognizer = EmotionRecognizer(
        single if len(embedders) == 1 else FeatureUnion(list(embedders.items())),
        options.classifier,
        n_jobs=options.jobs,
    )
    recognizer.fit(corpus.X, corpus.y, corpus.groups)
    out.parent.mkdir(parents=True, exist_ok=True)
    parts = _parts(corpus)
    save_recognizer(recognizer, out, parts)
    print_card(card_of(recognizer, parts))
    print(f"Written to {out}: {out.stat().st_size / 1e6:.1f} MB, without the speech model")
    return 0


def _parts(corpus: Any) -> list[Bunch]:
    """Return what was trained on of each corpus, for the card."""
    return [
        Bunch(name=name, y=corpus.y[rows], groups=corpus.groups[rows])
        for name, rows in corpus.frame.groupby("corpus", sort=False).indices.items()
    ]


def _audit(corpus: Any, *, audio: bool, n_jobs: int | None) -> None:
    """Warn if speakers who are held out are in training by another name."""
    from sklearn_ser._utils import held_out_folds
    from sklearn_ser.audit import audit_split
    from sklearn_ser.exceptions import LeakageWarning

    folds = held_out_folds(corpus.y, corpus.groups)
    found = audit_split(corpus, folds, audio=audio, n_jobs=n_jobs)
    if found.leaks:
        warnings.warn(f"held-out speakers: {found.verdict}", LeakageWarning, stacklevel=2)


def _card(options: argparse.Namespace) -> int:
    from sklearn_ser.cli._tables import print_card
    from sklearn_ser.recognition import load_recognizer

    print_card(
        load_recognizer(options.recognizer, model=options.model, trusted=options.trust).card_
    )
    return 0
