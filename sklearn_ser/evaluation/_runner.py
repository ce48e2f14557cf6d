"""The one way from a corpus to rows of scores: for `compare` and for `compare_across`.

Each clip is embedded once by each feature set; every table of features is then fitted and scored on
the folds of each cell, a pair of training and test corpus.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.utils import Bunch

from sklearn_ser._utils import Folds, restrict_folds, safe_indexing
from sklearn_ser.audit import SplitAudit, audit_split
from sklearn_ser.evaluation._classifiers import check_fits
from sklearn_ser.evaluation._comparisons import differences_to_best
from sklearn_ser.evaluation._feature_tables import embed
from sklearn_ser.evaluation._fits import Targets, Task, fit_all, scores
from sklearn_ser.evaluation._recipes import recipe_of_classifier, recipe_of_splitter
from sklearn_ser.evaluation._results import installed_versions
from sklearn_ser.evaluation._rows import POOLED, Nested, Row

__all__ = ["Cell", "Run", "Setup", "run"]


class Cell(NamedTuple):
    """Training and test corpus, and the folds over which a score is averaged."""

    train: str
    test: str
    folds: Folds


class Setup(NamedTuple):
    """What is asked for, but for the corpus: parameters that both callers have."""

    caller: Callable[..., Any]  # whose parameters a keyword may be a misspelling of
    features: Any
    layer: Any
    cv: Any
    classifier: Any
    nested: bool
    audit: bool
    n_jobs: int | None
    verbose: bool
    parameters: Mapping[str, Any]  # of embedders
    speaker_scaling: str | None = None
    alignments: Sequence[str | None] = (None,)

    def describe(self) -> dict[str, Any]:
        """Return the fields of the results that say what was asked for."""
        classifier = self.classifier
        return {
            "cv_parameters": recipe_of_splitter(self.cv),
            "classifier": classifier if isinstance(classifier, str) else repr(classifier),
            "classifier_parameters": recipe_of_classifier(classifier),
            "versions": installed_versions(),
        }


class Run(NamedTuple):
    """Rows of scores, and what they were made of."""

    rows: list[Row]
    #: Of each feature set with several layers, with one of them chosen inside the training folds.
    nested: list[Nested]
    #: Predictions of all rows; `clip` is the position in the corpus that was given.
    predictions: pd.DataFrame
    #: The clips that all feature sets could embed, and their positions.
    corpus: Bunch
    usable: npt.NDArray[np.intp]
    left_out: list[dict[str, Any]]
    #: What training and test set of each cell share.
    audits: list[SplitAudit]
    n_folds: list[int]
    waveform_rate: float | None


def run(corpus: Bunch, cells: Sequence[Cell], setup: Setup) -> Run:
    """Return the scores of every feature set and layer, on every cell, in every alignment.

    Parameters
    ----------
    corpus : Bunch
        With X, y, groups and frame, checked; with several corpora, the frame has the column corpus.
    cells : sequence of Cell
        Folds are positions in the corpus. Within a corpus nothing is aligned.
    setup : Setup
    """
    _check_cells(cells, corpus, setup.classifier)
    tables, usable, left_out, waveform_rate = embed(
        corpus.X,
        setup.features,
        n_clips=len(corpus.y),
        layer=setup.layer,
        n_jobs=setup.n_jobs,
        verbose=setup.verbose,
        caller_parameters=[*inspect.signature(setup.caller).parameters],
        **setup.parameters,
    )
    if left_out:
        n_clips = len(corpus.y)
        cells = [cell._replace(folds=restrict_folds(cell.folds, usable, n_clips)) for cell in cells]
        corpus = _subset(corpus, usable)
        _check_cells(cells, corpus, setup.classifier)
    audits = _audit(cells, corpus, setup, waveform_rate)
    corpora = corpus.frame["corpus"].to_numpy(dtype=str) if "corpus" in corpus.frame else None
    descriptions: list[dict[str, Any]] = []
    tasks: list[Task] = []
    for table in tables:
        for cell, audit in zip(cells, audits, strict=True):
            aligned = len(cells) == 1 or cell.train != cell.test
            for alignment in setup.alignments if aligned else [None]:
                row = len(descriptions)
                descriptions.append(
                    {
                        **table.description,
                        **_describe_cell(cell, audit, len(np.unique(corpus.y))),
                        "speaker_scaling": setup.speaker_scaling,
                        "alignment": alignment,
                        "transductive": setup.speaker_scaling == "own" or alignment is not None,
                        "seconds_extract": round(table.seconds, 3),
                    }
                )
                several = (
                    sum(
                        other.description["features"] == table.description["features"]
                        for other in tables
                    )
                    > 1
                )
                tasks += [
                    Task(row, fold, table.values, *sides, alignment, setup.nested and several)
                    for fold, sides in enumerate(cell.folds)
                ]
    predictions = fit_all(
        tasks,
        setup.classifier,
        Targets(corpus.y, corpus.groups, corpora),
        speaker_scaling=setup.speaker_scaling,
        n_jobs=setup.n_jobs,
        verbose=setup.verbose,
    )
    of_row = [lines for _, lines in predictions.groupby("row")]
    scored = [scores(lines) for lines in of_row]
    for positions in _together(descriptions, "train", "test"):
        found = differences_to_best(
            [of_row[k] for k in positions],
            [scored[k]["uar"] for k in positions],
            pooled=scored[positions[0]]["averaging"] == POOLED,
        )
        for position, difference in zip(positions, found, strict=True):
            scored[position] |= difference
    rows = [Row(**each, **of_it) for each, of_it in zip(descriptions, scored, strict=True)]
    nested = []
    for positions in _together(descriptions, "features", "train", "test", "alignment"):
        if chosen := _choose([of_row[k] for k in positions]):
            nested.append(Nested.of_rows(rows, *chosen))
    predictions["clip"] = usable[predictions["clip"]]
    predictions = predictions.drop(columns=["seconds", "inner_uar"])
    n_folds = [len(cell.folds) for cell in cells]
    return Run(rows, nested, predictions, corpus, usable, left_out, audits, n_folds, waveform_rate)


def _together(descriptions: list[dict[str, Any]], *names: str) -> list[list[int]]:
    """Return the positions of the rows that have the same values of some fields."""
    found: dict[tuple[Any, ...], list[int]] = {}
    for position, description in enumerate(descriptions):
        found.setdefault(tuple(description[name] for name in names), []).append(position)
    return list(found.values())


def _choose(of_row: list[pd.DataFrame]) -> tuple[list[int], dict[str, Any]] | None:
    """Return the row that inner folds choose in each fold, and the scores of its predictions.

    None if there is nothing to choose from, or training speakers could not be split.
    """
    lines = pd.concat(of_row)
    inner = lines.groupby(["fold", "row"])["inner_uar"].first().unstack()
    if len(of_row) < 2 or inner.isna().any(axis=None):
        return None
    chosen = inner.idxmax(axis=1)  # the first of those that are as good
    return chosen.tolist(), scores(lines[lines["row"] == lines["fold"].map(chosen)])


def _check_cells(cells: Sequence[Cell], corpus: Bunch, classifier: Any) -> None:
    for cell in cells:
        try:
            check_fits(classifier, cell.folds, corpus.y, corpus.groups)
        except ValueError as error:
            if len(cells) == 1:
                raise
            raise ValueError(f"{cell.train} → {cell.test}, {error}") from None


def _subset(corpus: Bunch, usable: npt.NDArray[np.intp]) -> Bunch:
    """Return the usable clips of a corpus."""
    return Bunch(
        name=corpus.name,
        X=safe_indexing(corpus.X, usable),
        y=corpus.y[usable],
        groups=corpus.groups[usable],
        frame=corpus.frame.iloc[usable].reset_index(drop=True),
    )


def _audit(
    cells: Sequence[Cell], corpus: Bunch, setup: Setup, waveform_rate: float | None
) -> list[SplitAudit]:
    """Return what training and test sets of each cell share; the audio is read once."""
    folds = [fold for cell in cells for fold in cell.folds]
    read: dict[str, Any] = {}
    if setup.audit:
        read = {"waveform_rate": waveform_rate, "cache": setup.parameters.get("cache", "auto")}
    found = audit_split(corpus, folds, audio=setup.audit, n_jobs=setup.n_jobs, **read)
    ends = np.cumsum([len(cell.folds) for cell in cells])
    starts = ends - [len(cell.folds) for cell in cells]
    return [found.of_folds(start, end) for start, end in zip(starts, ends, strict=True)]


def _describe_cell(cell: Cell, audit: SplitAudit, n_emotions: int) -> dict[str, Any]:
    return {
        "train": cell.train,
        "test": cell.test,
        "n_train": min(len(train) for train, _ in cell.folds),
        "n_test": sum(len(test) for _, test in cell.folds),
        "chance": 1 / n_emotions,
        "speaker_independent": audit.speaker_independent,
        "shares_audio": audit.shares_audio,
    }
