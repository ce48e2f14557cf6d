"""What `compare_across` found, as a schema, and the square of corpora that it makes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from sklearn_ser.evaluation._differences import row_differences
from sklearn_ser.evaluation._formats import Table
from sklearn_ser.evaluation._results_base import Results
from sklearn_ser.evaluation._rows import features_name, score_cell

__all__ = ["ALL_OTHERS", "CrossComparison"]

ALL_OTHERS = "all others"


@dataclass(frozen=True, repr=False)
class CrossComparison(Results):
    """What :func:`compare_across` found.

    Its fields are what ``results.json`` holds, as those of :class:`Comparison`, by corpus.

    Parameters
    ----------
    n_speakers : dict of str to int
        Speakers of each corpus.
    n_clips_left_out, clips_left_out : int, list of dict
        As in :class:`Comparison`, with the corpus.
    digests : dict
        By corpus.
    emotions : list of str
        Those that all corpora have; none of ratings.
    chance : float
        UAR of a guess: 1 / number of emotions. Of ratings the CCC of a constant: 0.
    cv, cv_parameters, cv_folds : str, dict or None, dict or None
        The folds within a corpus; positions are by corpus.
    classifier, classifier_parameters : str, dict
        As in :class:`Comparison`.
    audit : str
        Where training and test sets overlap, in words.
    versions : dict of str to str
        Of Python and the libraries that scores depend on.
    rows : list of Row or RatingRow
        One a feature set, layer, classifier, alignment, training and test corpus.
    nested : list of Nested or RatingNested
        As in :class:`Comparison`, one a pair of corpora and alignment, too.
    predictions : DataFrame
        One line a row and a tested clip: row, fold, clip (its position among the clips put
        together), speaker, emotion, predicted, confidence; of ratings, emotion and predicted
        are floats, and there is no confidence.
    corpora : dict of str to int
        Clips of each corpus that were compared.
    scheme : str or None
        The labels that all corpora were given; None of ratings.
    command : dict or None
        As in :class:`Comparison`.
    rating : str or None
        What the ratings are of: the name of their column, such as "arousal", if it is known.

    See Also
    --------
    compare_across : Makes it.

    Examples
    --------
    >>> from sklearn_ser.datasets import make_emotional_speech
    >>> from sklearn_ser.evaluation import compare_across
    >>> corpora = {
    ...     name: make_emotional_speech(n_speakers=3, n_sentences=1, random_state=seed)
    ...     for seed, name in enumerate(["one", "two"])
    ... }
    >>> found = compare_across(corpora, ["mfcc"], classifier="lda", cache=None)
    >>> found.matrix().shape
    (2, 2)
    """

    kind = "compare_across"
    corpora: dict[str, int]
    scheme: str | None

    def _tables(self, digits: int, timings: bool) -> list[Table]:
        return _tables_of(self, digits)

    def matrix(
        self,
        features: str | None = None,
        layer: Any = None,
        alignment: str | None = None,
        classifier: str | None = None,
    ) -> pd.DataFrame:
        """Return the score of each pair of corpora: a row for what was trained on.

        The score is the UAR, or of ratings the CCC.

        Parameters
        ----------
        features : str, default=None
            Which feature set; by default that of the best row between corpora.
        layer : int or str, default=None
            Which layer; by default its best.
        alignment : str, default=None
            Which alignment; by default none, or the first if all rows are aligned.
        classifier : str, default=None
            Which classifier; by default that of the best row, as its layer.

        Returns
        -------
        scores : DataFrame
            On its diagonal that of the folds within a corpus, which are never aligned: their mean,
            or pooled over them for ratings, and where they lack emotions (``averaging`` in the
            rows); elsewhere one score over all clips of the tested corpus. The last row, "all
            others", trains on all corpora but the one that is tested.

        Raises
        ------
        ValueError
            If there is no such row.
        """
        selected = self.select(features, layer, alignment, classifier)
        names = [
            name for name in [*self.corpora, ALL_OTHERS] if any(r.train == name for r in selected)
        ]
        scores = pd.DataFrame(np.nan, index=names, columns=list(self.corpora))
        for row in selected:
            scores.loc[row.train, row.test] = row.score
        return scores.rename_axis(index="train", columns="test")

    def differences(
        self,
        reference: int,
        rows: Sequence[int] | None = None,
        *,
        correction: str | None = None,
    ) -> pd.DataFrame:
        """Return the difference of other rows' scores to that of one, within one test corpus.

        Rows are paired by the speakers of the test corpus, as in :meth:`Comparison.differences`,
        whatever they were trained on, and however they were aligned.

        Parameters
        ----------
        reference : int
            Position of a row, chosen before the scores were seen.
        rows : sequence of int, default=None
            Positions of the rows that are compared with it; None is all others that test the same
            clips.
        correction : {"nadeau-bengio"}, default=None
            As in :meth:`Comparison.differences`, for rows within the corpus, which have folds.

        Returns
        -------
        differences : DataFrame
            A line each other row: row and reference (their positions), train, test, features,
            layer, classifier, alignment, difference, low and high (95 %), p_value, p_holm (among
            these lines) and n_speakers. NaN where there are fewer than four speakers.

        Raises
        ------
        ValueError
            If there are no such rows, or they test other clips than the reference; or `correction`
            is unknown, or has no effect, as a row has one fold.
        """
        if correction not in (None, "nadeau-bengio"):
            raise ValueError(f'correction={correction!r}; it must be None or "nadeau-bengio".')
        tested = [self.predictions[self.predictions["row"] == k] for k in range(len(self.rows))]
        clips = [frozenset(lines["clip"]) for lines in tested]
        for name, position in [("reference", reference), *(("rows", k) for k in rows or ())]:
            if isinstance(position, bool) or position not in range(len(self.rows)):
                raise ValueError(f"{name}: {position!r} is no position among {len(tested)} rows.")
        same = [k for k, its in enumerate(clips) if its == clips[reference] and k != reference]
        chosen = same if rows is None else list(dict.fromkeys(rows))
        if others := [k for k in chosen if k not in same]:
            raise ValueError(
                f"row {others[0]} cannot be compared with row {reference}, which tests "
                f"{self.rows[reference].test}: "
                + (
                    "it is that row."
                    if others[0] == reference
                    else f"it tests other clips, of {self.rows[others[0]].test}."
                )
            )
        if not chosen:
            raise ValueError(f"no other row tests the clips that row {reference} tests.")
        positions = [reference, *chosen]
        n_folds = {int(tested[k]["fold"].nunique()) for k in positions}
        if correction is not None and (len(n_folds) > 1 or 1 in n_folds):
            raise ValueError(
                "correction is for rows that have the same number of folds, two or more: those "
                "within a corpus."
            )
        found = row_differences(
            [tested[k] for k in positions],
            0,
            pooled=[self.rows[k].is_pooled for k in positions],
            chosen=False,
            corrected=correction is not None,
        )
        columns = ("train", "test", "features", "layer", "classifier", "alignment")
        named = {name: [getattr(self.rows[k], name) for k in positions] for name in columns}
        described = pd.DataFrame({"row": positions, "reference": reference, **named})
        n_speakers = tested[reference]["speaker"].nunique()
        found = pd.concat([described, found], axis=1).assign(n_speakers=n_speakers)
        return found.drop(0).reset_index(drop=True)

    def select(
        self,
        features: str | None = None,
        layer: Any = None,
        alignment: str | None = None,
        classifier: str | None = None,
    ) -> list[Any]:
        """Return the rows of one feature set, layer, classifier and alignment, as `matrix` does.

        Parameters
        ----------
        features : str, default=None
            See `matrix`.
        layer : int or str, default=None
            See `matrix`.
        alignment : str, default=None
            See `matrix`.
        classifier : str, default=None
            See `matrix`.

        Returns
        -------
        rows : list of Row or RatingRow

        Raises
        ------
        ValueError
            If there is no such row.
        """
        between = [row for row in self.rows if row.crosses]
        alignments = list(
            dict.fromkeys(row.alignment for row in between if features in (None, row.features))
        )
        if alignment is None and None not in alignments and alignments:
            alignment = alignments[0]
        scores: dict[tuple[Any, ...], list[float]] = {}
        for row in between:
            if (
                row.alignment == alignment
                and features in (None, row.features)
                and layer in (None, row.layer)
                and classifier in (None, row.classifier)
            ):
                scores.setdefault(_what(row), []).append(row.score)
        if not scores:
            raise ValueError(
                f"no rows of features={features!r}, layer={layer!r}, "
                f"classifier={classifier!r}, alignment={alignment!r}; there are features "
                f"{sorted({row.features for row in self.rows})}, alignments {alignments} and "
                f"classifiers {sorted({row.classifier or '' for row in self.rows})}."
            )
        best = max(scores, key=lambda key: float(np.mean(scores[key])))
        return [
            row
            for row in self.rows
            if _what(row) == best and (not row.crosses or row.alignment == alignment)
        ]


def _what(row: Any) -> tuple[Any, ...]:
    """Return what is compared, whatever the corpora."""
    return row.features, row.layer, row.pooling, row.classifier


def _tables_of(comparison: Any, digits: int) -> list[Table]:
    """Return a square of scores for each feature set and alignment, at its best layer."""
    rows = comparison.rows
    leaky = {
        (row.train, row.test) for row in rows if not row.speaker_independent or row.shares_audio
    }
    counts = ", ".join(f"{name} {count}" for name, count in comparison.corpora.items())
    shown = list(dict.fromkeys((row.features, row.alignment) for row in rows if row.crosses))
    metric, what = rows[0].metric, f"{len(comparison.emotions)} emotions"
    explained = f"Chance is {comparison.chance:.3f}."
    if comparison.of_ratings:
        of_test = comparison.predictions.groupby(
            comparison.predictions["row"].map(lambda k: rows[k].test), sort=False
        )["emotion"]
        ranges = [f"{name} {its.min():.3g} to {its.max():.3g}" for name, its in of_test]
        what = comparison.rating or "ratings"
        explained = f"A constant has 0. Ratings are from: {', '.join(ranges)}."
    any_aligned = any(how for _, how in shown)
    interval = ", 95 % interval for new speakers" * any(row.score_ci for row in rows)
    tables = []
    for features, how in shown:
        square = comparison.matrix(features, alignment=how)
        selected = comparison.select(features, None, how)
        row, by_pair = selected[0], {(its.train, its.test): its for its in selected}
        layer = "" if row.layer is None else f", layer {row.layer}"
        cells = [
            [
                str(trained),
                *(
                    score_cell(by_pair[trained, tested], digits, "*" * ((trained, tested) in leaky))
                    if (trained, tested) in by_pair
                    else ""
                    for tested in square
                ),
            ]
            for trained in square.index
        ]
        title = (
            f"{features_name(row, rows)}{layer}: {counts} clips, {what}"
            + (f", {row.classifier}" if row.classifier else "")
            + (f", {how} (transductive)" if how else "")
            + (
                ", not aligned (a classifier of clips)"
                if any_aligned and row.classifier is None
                else ""
            )
        )
        notes = [
            f"{metric}{interval}; a row for what was trained on. Within a corpus "
            f"{_averaging_within(rows)}, {comparison.cv}, not aligned; elsewhere over all clips. "
            f"{explained} * training and test clips share speakers or audio."
        ]
        tables.append(
            Table(title, ["trained on", *(f"tested on {name}" for name in square)], cells, notes)
        )
    return tables


def _averaging_within(rows: list[Any]) -> str:
    if rows[0].metric == "CCC":
        return "pooled over folds"
    pooled = dict.fromkeys(row.train for row in rows if row.is_pooled and not row.crosses)
    why = f" ({', '.join(pooled)}: pooled over folds, as folds lack emotions)" if pooled else ""
    return f"mean over folds{why}"
