"""The one way from a corpus to rows of scores: for `compare` and for `compare_across`.

Each clip is embedded once by each feature set; every table of features is then fitted and scored on
the folds of each cell, a pair of training and test corpus.
"""

from __future__ import annotations

import inspect
import itertools
import os
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.utils import Bunch

from sklearn_ser._utils import Folds, are_ratings, restrict_folds, safe_indexing, warn
from sklearn_ser.audit import SplitAudit, audit_split
from sklearn_ser.evaluation._classifiers import check_fits, check_target
from sklearn_ser.evaluation._clip_classifiers import (
    AsPredicted,
    is_clip_classifier,
    is_published,
    warn_of_classes,
)
from sklearn_ser.evaluation._differences import differences_to_best
from sklearn_ser.evaluation._feature_tables import FeatureTable, embed
from sklearn_ser.evaluation._features import feature_sets, offline_feature_names
from sklearn_ser.evaluation._fits import ClipLabels, Task, fit_all, speakers_to_keep_apart
from sklearn_ser.evaluation._recipes import (
    installed_versions,
    recipe_of_classifier,
    recipe_of_splitter,
)
from sklearn_ser.evaluation._rows import FOLDS, POOLED, SPEAKERS, best_with_features
from sklearn_ser.evaluation._targets import scores, target_of

__all__ = ["Cell", "Run", "Setup", "chance_of", "run"]


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
    classifiers: Mapping[str, Any]
    classifiers_are_asked_for: bool  # whether any are asked for, and not taken by default
    nested: bool
    audit: bool
    n_jobs: int | None
    verbose: bool
    parameters: Mapping[str, Any]  # of embedders
    memory: str | os.PathLike[str] | None = None
    speaker_scaling: str | None = None
    alignments: Sequence[str | None] = (None,)

    def describe(self) -> dict[str, Any]:
        """Return the fields of the results that say what was asked for."""
        if not self.classifiers:
            return {
                "cv_parameters": recipe_of_splitter(self.cv),
                "classifier": "",
                "classifier_parameters": {},
                "versions": installed_versions(),
            }
        names, (first, *others) = list(self.classifiers), self.classifiers.values()
        one = first if isinstance(first, str) else repr(first)
        recipes = [recipe_of_classifier(each) for each in (first, *others)]
        return {
            "cv_parameters": recipe_of_splitter(self.cv),
            "classifier": ", ".join(names) if others else one,
            "classifier_parameters": (
                dict(zip(names, recipes, strict=True)) if others else recipes[0]
            ),
            "versions": installed_versions(),
        }


class Run(NamedTuple):
    """Rows of scores, and what they were made of."""

    rows: list[Any]  # `Row`, or `RatingRow`, by the `Target`
    #: Of each feature set with several layers or classifiers, chosen inside the training folds.
    nested: list[Any]
    #: Predictions of all rows; `clip` is the position in the corpus that was given.
    predictions: pd.DataFrame
    #: Features of the best row that has some, a line a clip, by its position.
    embeddings: pd.DataFrame | None
    #: The clips that all feature sets could embed, and their positions in the one given.
    corpus: Bunch
    usable: npt.NDArray[np.intp]
    left_out: list[dict[str, Any]]
    #: What training and test set of each cell share.
    audits: list[SplitAudit]
    n_folds: list[int]
    waveform_rate: float | None
    #: What `Setup.describe` returned.
    asked: dict[str, Any]


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
    if are_ratings(corpus.y) and np.array_equal(corpus.y, np.round(corpus.y)):
        warn(
            f"y holds floats, and is taken as ratings: all {len(corpus.y)} are whole numbers, "
            f"{len(np.unique(corpus.y))} of them different. If these are codes of emotions, "
            "replace them by the emotions' names.",
        )
    sets = feature_sets(
        offline_feature_names() if setup.features is None else setup.features,
        caller_parameters=[*inspect.signature(setup.caller).parameters],
        ratings=are_ratings(corpus.y),
        defaults={"layer": "all", "n_jobs": setup.n_jobs, "verbose": setup.verbose},
        **({} if setup.layer is None else {"layer": setup.layer}),
        **setup.parameters,
    )
    target = target_of(corpus.y)
    clip_classifiers = [s for s in sets if is_clip_classifier(s[1], are_ratings(corpus.y))]
    for _, each in clip_classifiers:
        check_target(each, are_ratings(corpus.y))
    if len(clip_classifiers) == len(sets):
        setup = _without_features(setup)
    _warn_of_no_effect(setup, [name for name, _ in clip_classifiers])
    fitted = [
        *setup.classifiers.values(),
        *(each for _, each in clip_classifiers if not is_published(each)),
    ]
    _check_cells(cells, corpus, fitted)
    tables, usable, left_out, waveform_rate = embed(corpus, sets)
    if left_out:
        n_clips = len(corpus.y)
        cells = [cell._replace(folds=restrict_folds(cell.folds, usable, n_clips)) for cell in cells]
        corpus = _subset(corpus, usable)
        _check_cells(cells, corpus, fitted)
    for table in tables:
        if isinstance(table.classifier, AsPredicted) and not are_ratings(corpus.y):
            name, recipe = (table.description[key] for key in ("features", "embedder"))
            predicted = table.classifier.predict(table.values)
            warn_of_classes(name, recipe, predicted, corpus.y)
    audits = _audit(cells, corpus, setup, waveform_rate)
    corpora = corpus.frame["corpus"].to_numpy(dtype=str) if "corpus" in corpus.frame else None
    speakers_known = corpus.groups is not None
    descriptions, tasks = _plan(tables, cells, audits, setup, chance_of(corpus.y), speakers_known)
    predictions = fit_all(
        tasks,
        ClipLabels(corpus.y, corpus.groups, corpora),
        n_jobs=setup.n_jobs,
        verbose=setup.verbose,
        memory=setup.memory,
        waveform_rate=waveform_rate,
    )
    of_row = [lines for _, lines in predictions.groupby("row")]
    scored = [scores(lines) for lines in of_row]
    for positions in _positions_by(descriptions, "train", "test"):
        found = differences_to_best(
            [of_row[k] for k in positions],
            [scored[k][target.row.score_field] for k in positions],
            pooled=[scored[k]["averaging"] == POOLED for k in positions],
        )
        for position, difference in zip(positions, found, strict=True):
            scored[position] |= difference
    rows = [target.row(**each, **of_it) for each, of_it in zip(descriptions, scored, strict=True)]
    nested = []
    for positions in _positions_by(descriptions, "features", "train", "test", "alignment"):
        if chosen := _choose([of_row[k] for k in positions]):
            nested.append(target.nested.of_rows(rows, *chosen))
    embedded = best_with_features(rows)
    best = None if embedded is None else next(t.values for t in tasks if t.row == embedded)
    predictions["clip"] = usable[predictions["clip"]]
    predictions = predictions.drop(columns=["seconds", "inner_score"])
    return Run(
        rows=rows,
        nested=nested,
        predictions=predictions,
        embeddings=None if best is None else pd.DataFrame(best.copy(), index=usable),
        corpus=corpus,
        usable=usable,
        left_out=left_out,
        audits=audits,
        n_folds=[len(cell.folds) for cell in cells],
        waveform_rate=waveform_rate,
        asked=setup.describe(),
    )


def chance_of(emotions: Any) -> float:
    """Return the UAR of a guess; of ratings the CCC of a constant, which is 0."""
    return 0.0 if are_ratings(emotions) else 1 / len(np.unique(emotions))


def _plan(
    tables: Sequence[FeatureTable],
    cells: Sequence[Cell],
    audits: Sequence[SplitAudit],
    setup: Setup,
    chance: float,
    speakers_known: bool,
) -> tuple[list[dict[str, Any]], list[Task]]:
    """Return what each row is, and the fits that it takes."""
    descriptions: list[dict[str, Any]] = []
    tasks: list[Task] = []
    n_tables = Counter(table.description["features"] for table in tables)
    pairs = [
        (table, *named)
        for table in tables
        for named in (
            setup.classifiers.items() if table.classifier is None else [(None, table.classifier)]
        )
    ]
    for table, name, classifier in pairs:
        takes_clips = table.classifier is not None
        scaling = None if takes_clips else setup.speaker_scaling
        inner: Literal["own", "same"] | None = None
        n_rows = n_tables[table.description["features"]] * len(setup.classifiers)
        if setup.nested and n_rows > 1 and not takes_clips:
            inner = "own" if len(setup.classifiers) == 1 else "same"
        for cell, audit in zip(cells, audits, strict=True):
            aligned = len(cells) == 1 or cell.train != cell.test
            for alignment in setup.alignments if aligned and not takes_clips else [None]:
                row = len(descriptions)
                tasks += [
                    Task(row, fold, table.values, *sides, classifier, scaling, alignment, inner)
                    for fold, sides in enumerate(cell.folds)
                ]
                descriptions.append(
                    {
                        **table.description,
                        **_describe_cell(cell, audit, chance, speakers_known),
                        "classifier": name,
                        "speaker_scaling": scaling,
                        "alignment": alignment,
                        "transductive": scaling == "own" or alignment is not None,
                        "seconds_extract": round(table.seconds, 3),
                    }
                )
    return descriptions, tasks


def _positions_by(descriptions: list[dict[str, Any]], *names: str) -> list[list[int]]:
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
    inner = lines.groupby(["fold", "row"])["inner_score"].first().unstack()
    if len(of_row) < 2 or inner.isna().any(axis=None):
        return None
    chosen = inner.idxmax(axis=1)  # the first of those that are as good
    return chosen.tolist(), scores(lines[lines["row"] == lines["fold"].map(chosen)])


def _without_features(setup: Setup) -> Setup:
    """Return what is asked for where all rows are classifiers of clips."""
    if setup.speaker_scaling is not None or any(setup.alignments):
        raise ValueError(
            "speaker_scaling and alignment have no effect: they are for features, and all rows are "
            "classifiers of clips."
        )
    if setup.classifiers_are_asked_for:
        raise ValueError(
            f"classifier={', '.join(setup.classifiers)} has no effect: it is for features, and all "
            "rows are classifiers of clips. Leave it out."
        )
    return setup._replace(classifiers={})


def _warn_of_no_effect(setup: Setup, names: list[str]) -> None:
    """Warn of rows that are neither aligned nor scaled: classifiers of clips with these names."""
    named = [name for name in setup.alignments if name is not None]
    if setup.speaker_scaling is not None:
        named.append(f"speaker_scaling={setup.speaker_scaling!r}")
    if names and named:
        warn(
            f"{' and '.join(named)} has no effect on {', '.join(names)}: these are classifiers "
            "of clips, whose rows are not aligned, nor scaled by speaker.",
        )


def _check_cells(cells: Sequence[Cell], corpus: Bunch, classifiers: Sequence[Any]) -> None:
    """Raise the error of a classifier that a training fold is too small for."""
    for cell, classifier in itertools.product(cells, classifiers):
        try:
            check_fits(classifier, cell.folds, corpus.y, speakers_to_keep_apart(corpus.groups))
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
        groups=None if corpus.groups is None else corpus.groups[usable],
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


def _describe_cell(
    cell: Cell, audit: SplitAudit, chance: float, speakers_known: bool
) -> dict[str, Any]:
    """Return the fields of a row that its cell says."""
    return {
        "train": cell.train,
        "test": cell.test,
        "n_train": min(len(train) for train, _ in cell.folds),
        "n_test": sum(len(test) for _, test in cell.folds),
        "chance": chance,
        "speaker_independent": audit.speaker_independent,
        "shares_audio": audit.shares_audio,
        "units": SPEAKERS if speakers_known else FOLDS,
    }
