"""Differences between rows of a comparison, paired by speaker."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import stats

from sklearn_ser.evaluation._jackknife import MIN_SPEAKERS, Estimate
from sklearn_ser.evaluation._targets import target_of, units_of

__all__ = ["LEVEL", "compare_rows", "differences_to_best", "holm", "row_differences"]

LEVEL = 0.95


def compare_rows(
    counts: Any,
    hits: Sequence[Any],
    reference: int,
    *,
    chosen: bool = False,
    n_folds: float | None = None,
) -> pd.DataFrame:
    """Return the difference of each row's score to that of a reference, and whether it is one.

    Parameters
    ----------
    counts : Counts, SpeakerRecalls or SpeakerMoments
        Has n_speakers, and makes the difference of two rows.
    hits : sequence of (ndarray, SpeakerRecalls or SpeakerMoments)
        Of each row, what the difference of two of them is made of: which predictions are right, as
        `Counts.hits` returns it, or the scores without each speaker.
    reference : int
        Position of the row that others are compared with.
    chosen : bool, default=False
        Whether it is the reference as its score is the highest. Any pair might have been looked at
        then, so that Holm's p-values are those of all pairs of rows.
    n_folds : float, default=None
        Correct for training sets that overlap, as Nadeau and Bengio do for so many folds that test
        each clip once.

    Returns
    -------
    differences : DataFrame
        A row each: difference, low, high, p_value and p_holm; NaN of the reference, and without
        enough speakers.
    """
    pairs = [(row, reference) for row in range(len(hits)) if row != reference]
    if chosen:
        pairs += [(a, b) for a in range(len(hits)) for b in range(a) if reference not in (a, b)]
    found = {
        pair: _difference(
            counts.difference(hits[pair[0]], hits[pair[1]]), counts.n_speakers, n_folds
        )
        for pair in pairs
    }
    adjusted = holm([p_value for *_, p_value in found.values()])
    lines = np.full((len(hits), 5), np.nan)
    for ((row, other), of_pair), p_holm in zip(found.items(), adjusted, strict=True):
        if other == reference:
            lines[row] = (*of_pair, p_holm)
    return pd.DataFrame(lines, columns=["difference", "low", "high", "p_value", "p_holm"])


def _difference(found: Estimate, n_speakers: int, n_folds: float | None) -> tuple[float, ...]:
    """Return a difference, its interval, and the p-value of Student's t."""
    if n_speakers < MIN_SPEAKERS:
        return found.value, np.nan, np.nan, np.nan
    if n_folds is not None:
        found = found._replace(
            standard_error=found.standard_error * np.sqrt(1 + n_folds / (n_folds - 1))
        )
    value, error, freedom = found
    margin = found.margin(LEVEL)
    if error:
        p_value = 2 * float(stats.t.sf(abs(value) / error, freedom))
    else:  # all speakers alike: the sign test
        p_value = 2.0 ** (1 - n_speakers) if abs(value) > 1e-12 else 1.0
    return value, value - margin, value + margin, p_value


def holm(p_values: Sequence[float]) -> npt.NDArray[np.float64]:
    """Return Holm's adjusted p-values; all NaN if one is."""
    given = np.asarray(p_values, dtype=float)
    order = np.argsort(given)
    steps = np.maximum.accumulate(given[order] * np.arange(len(given), 0, -1))
    adjusted = np.empty_like(given)
    adjusted[order] = np.minimum(steps, 1)
    return adjusted


def row_differences(
    of_row: Sequence[pd.DataFrame],
    reference: int,
    *,
    pooled: Sequence[bool],
    chosen: bool,
    corrected: bool = False,
) -> pd.DataFrame:
    """Return what `compare_rows` does, of the predictions that rows made for the same clips.

    Of each row, `pooled` says whether its score is pooled over folds. Where speakers are not known,
    rows are paired by fold, and corrected for training sets that overlap.
    """
    of_row = [lines.sort_values(["fold", "clip"]) for lines in of_row]
    lines, n_folds = of_row[0], None
    units = units_of(lines)
    if corrected or (units.name == "fold" and units.nunique() > 1):
        # A fold trains on what it does not test: of repeated or random splits, the number of folds
        # does not say how much that is.
        n_folds = lines["clip"].nunique() / lines.groupby("fold").size().mean()
        if n_folds == 1:
            raise ValueError("correction is not defined: every fold tests all of the clips.")
    counts, hits = target_of(of_row[0]["emotion"]).paired(of_row, pooled)
    return compare_rows(counts, hits, reference, chosen=chosen, n_folds=n_folds)


def differences_to_best(
    of_row: Sequence[pd.DataFrame], scores: Sequence[float], *, pooled: Sequence[bool]
) -> list[dict[str, Any]]:
    """Return the fields of rows that say how far they are from the best of them."""
    best = int(np.argmax(scores))
    found = row_differences(of_row, best, pooled=pooled, chosen=True)
    found = found.astype(object).where(found.notna(), None)
    return [
        {
            "difference": line["difference"],
            "difference_ci": None if line["low"] is None else [line["low"], line["high"]],
            "p_value": line["p_value"],
            "p_holm": line["p_holm"],
            "not_worse_than_best": True
            if row == best
            else None
            if line["p_holm"] is None
            else bool(line["p_holm"] >= 1 - LEVEL),
        }
        for row, line in enumerate(found.to_dict("records"))
    ]
