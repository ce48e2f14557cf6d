"""``sklearn-ser train`` and ``sklearn-ser card``."""

from __future__ import annotations

import argparse
from typing import Any

from sklearn_ser.cli._corpora import add_corpora, load_corpora
from sklearn_ser.cli._options import (
    CLASSIFIERS,
    FEATURES,
    SCHEMES,
    add_embedding,
    check_out,
    embedding_parameters,
    trusted_classes,
)
from sklearn_ser.cli._process import uninterrupted

__all__ = ["add_card", "add_train"]


def add_train(commands: Any) -> None:
    command = commands.add_parser(
        "train",
        help="train a recognizer on corpora, for predict",
        description="Train on all clips of the corpora. Before, on held-out speakers: score the "
        "recognizer, calibrate its probabilities, and fit its out-of-distribution score.",
    )
    add_corpora(command)
    command.add_argument(
        "--scheme",
        choices=SCHEMES,
        help="what the corpora's labels are mapped to; default: one corpus keeps its own, several "
        "get four (anger, happiness, neutral, sadness)",
    )
    command.add_argument(
        "--features",
        nargs="+",
        default=["nano"],
        metavar="NAME",
        help=f"{', '.join(FEATURES)}, or your own, as for compare; the columns of several are "
        "joined; default: nano",
    )
    # Every clip has to be usable: the recognizer is trained on all of them.
    add_embedding(command, layer="middle", on_error=False)
    command.add_argument(
        "--classifier",
        default="lda",
        choices=CLASSIFIERS,
        help="default: lda; predict takes networks and others, too, saved in Python",
    )
    command.add_argument(
        "--no-audio-audit",
        action="store_true",
        help="do not look for the same audio under two speaker labels",
    )
    command.add_argument("--out", required=True, metavar="FILE", help="ends in .skops")
    command.set_defaults(run=_train)


def add_card(commands: Any) -> None:
    command = commands.add_parser(
        "card", help="show what a recognizer was trained on, and its scores"
    )
    command.add_argument("recognizer", metavar="FILE", help="what sklearn-ser train wrote")
    command.add_argument("--trust", nargs="+", default=[], metavar="CLASS", help="as for predict")
    command.add_argument("--model", metavar="ID", help="as for predict")
    command.set_defaults(run=_card)


def _train(options: argparse.Namespace) -> int:
    out = check_out(options.out, ".skops", needs="skops:'sklearn-ser[skops]'")
    from sklearn.pipeline import FeatureUnion

    from sklearn_ser.cli._tables import print_card
    from sklearn_ser.datasets import pool_corpora
    from sklearn_ser.evaluation import as_embedders
    from sklearn_ser.recognition import EmotionRecognizer, card_of, save_recognizer

    embedders = as_embedders(
        options.features,
        defaults={"n_jobs": options.jobs, "verbose": not options.quiet},
        needed=["fit", "transform"],
        **embedding_parameters(options),
    )
    corpora = load_corpora(options)
    corpus = pool_corpora(corpora, options.scheme or (None if len(corpora) == 1 else "four"))
    if not options.no_audio_audit:
        cache = embedding_parameters(options).get("cache", "auto")
        _audit(corpus, n_jobs=options.jobs, cache=cache)
    else:
        _audit(corpus, audio=False)
    single = next(iter(embedders.values()))
    recognizer = EmotionRecognizer(
        single if len(embedders) == 1 else FeatureUnion(list(embedders.items())),
        options.classifier,
        n_jobs=options.jobs,
    )
    recognizer.fit(corpus.X, corpus.y, corpus.groups)
    parts = _parts(corpus)
    with uninterrupted():
        out.parent.mkdir(parents=True, exist_ok=True)
        save_recognizer(recognizer, out, parts)
        options.results = f"the recognizer is written to {out}"
    print_card(card_of(recognizer, parts))
    print(f"Written to {out}: {out.stat().st_size / 1e6:.1f} MB, without the speech model")
    return 0


def _parts(corpus: Any) -> list[Any]:
    """Return the training clips of each corpus, for the card."""
    from sklearn.utils import Bunch

    return [
        Bunch(name=name, y=corpus.y[rows], groups=corpus.groups[rows])
        for name, rows in corpus.frame.groupby("corpus", sort=False).indices.items()
    ]


def _audit(corpus: Any, **how: Any) -> None:
    """Warn if held-out speakers are in training under another speaker label."""
    from sklearn_ser._utils import held_out_folds, warn
    from sklearn_ser.audit import audit_split
    from sklearn_ser.exceptions import LeakageWarning

    folds = held_out_folds(corpus.y, corpus.groups)
    found = audit_split(corpus, folds, **how)
    if found.leaks:
        warn(f"held-out speakers: {found.verdict}", LeakageWarning)


def _card(options: argparse.Namespace) -> int:
    from sklearn_ser.cli._tables import print_card
    from sklearn_ser.recognition import load_recognizer

    trusted = trusted_classes(options.trust)
    print_card(load_recognizer(options.recognizer, model=options.model, trusted=trusted).card_)
    return 0
