"""What the benchmarks of whole systems share: options, folds, scores, and a table of them.

A system is a plain estimator of a frame with the columns clip and speaker.
"""

import argparse
import sys
import time
from collections.abc import Callable
from operator import itemgetter
from pathlib import Path
from typing import Any, NamedTuple

import _report
import numpy as np
import pandas as pd
from sklearn.model_selection import StratifiedKFold
from sklearn.preprocessing import FunctionTransformer
from tqdm.auto import tqdm

from sklearn_ser.cli._corpora import add_corpus, load_corpus
from sklearn_ser.cli._options import _layer
from sklearn_ser.evaluation._targets import scores
from sklearn_ser.model_selection import RAVDESSSplit, corpus_folds

NOT_PUBLISHED = "not published"
CLIPS = FunctionTransformer(itemgetter("clip"))  # the first step where speakers are not needed
FEWEST = 5  # speakers whose resampling tells something


class System(NamedTuple):
    """What is run, and what its author got."""

    name: str
    #: Returns a new estimator, from a seed.
    make: Callable[[int], Any]
    author: str = NOT_PUBLISHED
    #: Whether it is a network: seeds change it, and it takes long enough to run only some folds.
    network: bool = False
    #: Whether it is run on random folds, too.
    random: bool = True


def parser(doc):
    """Return a parser with the options that all systems have."""
    found = argparse.ArgumentParser(
        description=doc, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add_corpus(found)
    found.add_argument("--out", type=Path, help="also write the report to this file")
    return found


def add_training(found):
    """Add the options of systems that are trained on embeddings."""
    found.add_argument("--layer", type=_layer, default="middle", help="default: middle")
    found.add_argument("--seeds", type=int, default=3, metavar="N", help="runs of networks")
    found.add_argument("--folds", type=int, metavar="N", help="networks: only the first N folds")
    found.add_argument("--epochs", type=int, default=100, metavar="N", help="networks: at most")


def corpus_of(options):
    """Return the corpus that the options name."""
    corpus = load_corpus(options)
    if corpus.groups is None:
        raise SystemExit("there are no speaker labels: load the corpus with its speakers")
    return corpus


def named(model):
    """Return what a model is called, without where it lies."""
    return Path(model).name if Path(model).is_dir() else model


def about(corpus):
    """Return what was run on, as Markdown."""
    emotions, counts = np.unique(corpus.y, return_counts=True)
    told = ", ".join(f"{emotion} {count}" for emotion, count in zip(emotions, counts, strict=True))
    return (
        f"{len(corpus.y)} clips of {corpus.name} by {len(np.unique(corpus.groups))} speakers: "
        f"{told}. Chance is a UAR of {1 / len(emotions):.3f}.\n"
    )


def compared(systems, corpus, options):
    """Return a table of the systems: random folds, then folds of unseen speakers."""
    X = pd.DataFrame({"clip": corpus.X, "speaker": corpus.groups})
    y = np.asarray(corpus.y)
    options.cv = options.cv or "loso"
    cv = RAVDESSSplit(train_on_validation=True) if options.cv == "ravdess" else options.cv
    speakers = corpus_folds(corpus, cv)
    random = list(StratifiedKFold(5, shuffle=True, random_state=0).split(X, y))
    runs = []
    for system in systems:
        some = slice(options.folds if system.network else None)
        seeds = range(options.seeds if system.network else 1)
        runs.append((system, random[some] if system.random else [], speakers[some], seeds))
    beside = any(known for _, known, *_ in runs)
    rows = []
    with tqdm(total=sum(len(seeds) * (len(r) + len(s)) for _, r, s, seeds in runs)) as progress:
        for system, known, new, seeds in runs:
            progress.set_description(system.name)
            started = time.process_time()
            cells = ["not run"] * 2 if beside else []
            if known:
                cells = cells_of(predictions(system, X, y, known, seeds, progress))
            found = predictions(system, X, y, new, seeds, progress)
            cells += [*cells_of(found), within(found), len(new), system.author]
            rows.append([system.name, *cells, f"{time.process_time() - started:.0f}"])
            progress.write(" | ".join(map(str, rows[-1])), file=sys.stderr)
    header = ["random: accuracy", "random: UAR"] if beside else []
    header = ["system", *header, "accuracy", "UAR", "95 %", "folds", "its author got", "CPU s"]
    text = f"New speakers by cv={options.cv}, {len(speakers)} folds"
    text += "; random: 5 folds in which test speakers are known. " if beside else ". "
    text += "Means over folds; 95 %: interval of the UAR, resampling speakers."
    if any(system.network for system in systems):
        text += f" Networks: {options.seeds} seed(s), at most {options.epochs} epochs."
    return f"{text}\n\n{_report.table(header, rows)}"


def predictions(system, X, y, folds, seeds, progress):
    """Return what is predicted, a line a seed and test clip."""
    parts = []
    for seed in seeds:
        for k, (train, test) in enumerate(folds):
            fitted = system.make(seed).fit(X.iloc[train], y[train])
            found = {
                "seed": seed,
                "fold": k,
                "speaker": X["speaker"].to_numpy()[test],
                "emotion": y[test],
                "predicted": fitted.predict(X.iloc[test]),
                "seconds": 0.0,
            }
            parts.append(pd.DataFrame(found))
            progress.update()
    return pd.concat(parts, ignore_index=True)


def cells_of(found):
    """Return accuracy and UAR, means over folds, with their deviation over seeds."""
    each = [scores(of_seed) for _, of_seed in found.groupby("seed")]
    cells = []
    for name in ("accuracy", "uar"):
        values = [of_seed[name] for of_seed in each]
        varies = f" ± {np.std(values):.3f}" if len(values) > 1 else ""
        cells.append(f"{np.mean(values):.3f}{varies}")
    return cells


def within(found):
    """Return the interval of the UAR; a clip counts once a seed, so that seeds are averaged."""
    if (n_speakers := found["speaker"].nunique()) < FEWEST:
        return f"{n_speakers} speaker(s)"
    return "{:.3f}–{:.3f}".format(*scores(found)["uar_ci"])
