"""What displays of confidence share: rows with probabilities, points with error bars, notes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from sklearn_ser.evaluation import Confident, confident_rows
from sklearn_ser.plotting._comparison import INTERVAL, best_of_each
from sklearn_ser.plotting._style import check_comparison, series_style

if TYPE_CHECKING:
    from sklearn_ser.evaluation import Comparison

__all__ = [
    "MAX_BARS",
    "draw_points",
    "handles_without",
    "interval_note",
    "numbers_note",
    "rows_with_confidence",
    "scores_frame",
    "stacked",
]

MAX_BARS = 3  # curves with error bars in one figure, which hide each other otherwise


def rows_with_confidence(
    comparison: Comparison, rows: Sequence[int] | None
) -> tuple[dict[str, Confident], list[str]]:
    """Return the predictions of rows by name, and the names of those without probabilities."""
    check_comparison(comparison)
    chosen = best_of_each(comparison.rows) if rows is None else rows
    found, without = confident_rows(comparison, chosen)
    if not found:
        raise ValueError(
            f"no row has probabilities: {', '.join(without)}. Use a classifier that has "
            'predict_proba: "logistic", "lda", or, of support vector machines, '
            "CalibratedClassifierCV(SVC(), cv=GroupKFold(5))."
        )
    return found, without


def stacked(frames: dict[str, pd.DataFrame]) -> pd.DataFrame:
    """Return the lines of all rows, with the names of the rows as first column."""
    named = [frame.assign(name=name) for name, frame in frames.items()]
    stacked = pd.concat(named, ignore_index=True)
    return stacked[["name", *stacked.columns.drop("name")]]


def scores_frame(scores: dict[str, dict[str, Any]]) -> pd.DataFrame:
    return pd.DataFrame.from_dict(scores, orient="index").rename_axis("name")


def draw_points(
    ax: Any,
    k: int,
    label: str,
    x: Any,
    y: Any,
    low: Any,
    high: Any,
    *,
    bars: bool,
    line: bool = True,
) -> Any:
    """Draw points of the k-th row, with error bars if they are asked for, and return them."""
    style = series_style(k)
    del style["hatch"]
    style["linestyle"] = style["linestyle"] if line else "none"
    x, y = np.asarray(x), np.asarray(y)  # of a Series with one value, matplotlib 3.8 takes float()
    (handle,) = ax.plot(x, y, label=label, markersize=5, **style)
    if bars:
        reach = np.maximum(np.stack([y - low, high - y]), 0)
        ax.errorbar(x, y, yerr=reach, fmt="none", ecolor=style["color"], **INTERVAL)
    return handle


def interval_note(lines: pd.DataFrame, scores: pd.DataFrame, bars: bool) -> str:
    """Return what is said of intervals on an axis."""
    if lines["low"].isna().all():
        unknown = scores["n_speakers"].isna().all()
        reason = "speakers unknown" if unknown else "fewer than four speakers"
        return f" (no intervals: {reason})"
    return " (95 % interval for new speakers)" if bars else ""


def numbers_note(scores: pd.DataFrame) -> str:
    """Return how many clips and speakers there are; all rows are tested on the same clips.

    And how many predictions, where folds test clips again.
    """
    first = scores.iloc[0]
    n_clips = int(first["n_clips"])
    n_predictions = int(first.get("n_predictions", n_clips))
    repeated = "" if n_clips == n_predictions else f"{n_predictions} predictions of "
    speakers = "" if pd.isna(first["n_speakers"]) else f" of {first['n_speakers']:.0f} speakers"
    return f"n = {repeated}{n_clips} clips{speakers}"


def handles_without(names: Sequence[str]) -> list[Any]:
    """Return what the legend says of rows without probabilities."""
    from matplotlib.lines import Line2D

    return [
        Line2D([], [], linestyle="none", label=f"{name}: no probabilities, not drawn")
        for name in names
    ]
