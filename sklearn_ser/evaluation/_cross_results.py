"""What `compare_across` found, as a schema, and the square of corpora that it makes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from sklearn_ser.evaluation._formats import Table
from sklearn_ser.evaluation._rows import Row
from sklearn_ser.evaluation._saved_results import Results

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
        Those that all corpora have.
    chance : float
        UAR of a guess: 1 / number of emotions.
    cv, cv_parameters, cv_folds : str, dict or None, dict or None
        The folds within a corpus; positions are by corpus.
    classifier, classifier_parameters : str, dict
        As in :class:`Comparison`.
    audit : str
        Where training and test sets overlap, in words.
    versions : dict of str to str
        Of Python and the libraries that scores depend on.
    rows : list of Row
        One a feature set, layer, classifier, alignment, training and test corpus.
    nested : list of Nested
        As in :class:`Comparison`, one a pair of corpora and alignment, too.
    predictions : DataFrame
        One line a row and a tested clip: row, fold, clip (its position among the clips put
        together), speaker, emotion, predicted.
    corpora : dict of str to int
        Clips of each corpus that were compared.
    scheme : str or None
        The labels that all corpora were given.
    command : dict or None
        As in :class:`Comparison`.

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
        """Return the UAR of each pair of corpora: a row for what was trained on.

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
        uar : DataFrame
            On its diagonal that of the folds within a corpus, which are never aligned: their mean,
            or pooled over them where they lack emotions (``averaging`` in the rows);
            elsewhere one UAR over all clips of the tested corpus. The last row, "all others",
            trains on all corpora but the one that is tested.

        Raises
        ------
        ValueError
            If there is no such row.
        """
        selected = self.select(features, layer, alignment, classifier)
        names = [
            name for name in [*self.corpora, ALL_OTHERS] if any(r.train == name for r in selected)
        ]
        uar = pd.DataFrame(np.nan, index=names, columns=list(self.corpora))
        for row in selected:
            uar.loc[row.train, row.test] = row.uar
        return uar.rename_axis(index="train", columns="test")

    def select(
        self,
        features: str | None = None,
        layer: Any = None,
        alignment: str | None = None,
        classifier: str | None = None,
    ) -> list[Row]:
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
        rows : list of Row

        Raises
        ------
        ValueError
            If there is no such row.
        """
        between = [row for row in self.rows if row.crosses]
        alignments = list(dict.fromkeys(row.alignment for row in between))
        if alignment is None and None not in alignments:
            alignment = alignments[0]
        uars: dict[tuple[Any, ...], list[float]] = {}
        for row in between:
            if (
                row.alignment == alignment
                and features in (None, row.features)
                and layer in (None, row.layer)
                and classifier in (None, row.classifier)
            ):
                uars.setdefault(_what(row), []).append(row.uar)
        if not uars:
            raise ValueError(
                f"no rows of features={features!r}, layer={layer!r}, "
                f"classifier={classifier!r}, alignment={alignment!r}; there are features "
                f"{sorted({row.features for row in self.rows})}, alignments {alignments} and "
                f"classifiers {sorted({row.classifier or '' for row in self.rows})}."
            )
        best = max(uars, key=lambda key: float(np.mean(uars[key])))
        return [
            row
            for row in self.rows
            if _what(row) == best and (not row.crosses or row.alignment == alignment)
        ]


def _what(row: Row) -> tuple[Any, ...]:
    """Return what is compared, whatever the corpora."""
    return row.features, row.layer, row.pooling, row.classifier


def _tables_of(comparison: Any, digits: int) -> list[Table]:
    """Return a square of UARs for each feature set and alignment, at its best layer."""
    rows = comparison.rows
    leaky = {
        (row.train, row.test) for row in rows if not row.speaker_independent or row.shares_audio
    }
    counts = ", ".join(f"{name} {count}" for name, count in comparison.corpora.items())
    shown = {(row.features, row.alignment) for row in rows if row.crosses}
    tables = []
    for features, how in sorted(shown, key=lambda pair: (pair[0], pair[1] or "")):
        uar = comparison.matrix(features, alignment=how)
        row = comparison.select(features, None, how)[0]
        layer = "" if row.layer is None else f", layer {row.layer}"
        cells = [
            [
                str(trained),
                *(
                    ""
                    if np.isnan(value)
                    else f"{value:.{digits}f}" + "*" * ((trained, tested) in leaky)
                    for tested, value in values.items()
                ),
            ]
            for trained, values in uar.iterrows()
        ]
        title = (
            f"{row.name}{layer}: {counts} clips, {len(comparison.emotions)} emotions, "
            f"{row.classifier}" + (f", {how} (transductive)" if how else "")
        )
        notes = [
            "UAR; a row for what was trained on. Within a corpus "
            f"{_averaging_within(rows)}, {comparison.cv}, not aligned; elsewhere over all clips. "
            f"Chance is {comparison.chance:.3f}. * training and test clips share speakers or audio."
        ]
        tables.append(
            Table(title, ["trained on", *(f"tested on {name}" for name in uar)], cells, notes)
        )
    return tables


def _averaging_within(rows: list[Row]) -> str:
    pooled = dict.fromkeys(row.train for row in rows if row.is_pooled and not row.crosses)
    why = f" ({', '.join(pooled)}: pooled over folds, as folds lack emotions)" if pooled else ""
    return f"mean over folds{why}"
