"""Displays of a comparison: scores by layer with intervals, and differences to one row."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from sklearn_ser.evaluation import row_name
from sklearn_ser.plotting._style import (
    CHANCE,
    INK,
    AxesDisplay,
    check_comparison,
    series_style,
    wrapped,
)

if TYPE_CHECKING:
    from sklearn_ser.evaluation import Comparison, RatingRow, Row

    Scored = Row | RatingRow

__all__ = [
    "INTERVAL",
    "ComparisonDisplay",
    "DifferencesDisplay",
    "RowsDisplay",
    "best_of_each",
]

NAMES = 2.6  # inches for names on the left
INTERVAL = {"capsize": 3, "elinewidth": 1.2, "capthick": 1.2}


def _series(row: Scored, rows: Sequence[Scored]) -> str:
    """Return what a row is called, with the others that are drawn as one curve."""
    return row_name(row, rows, layer=not isinstance(row.layer, int))


def best_of_each(rows: Sequence[Scored]) -> list[int]:
    """Return the positions of the best layer of each feature set, pooling and classifier."""
    best: dict[str, int] = {}
    for position, row in enumerate(rows):
        key = _series(row, rows)
        if key not in best or row.score > rows[best[key]].score:
            best[key] = position
    return list(best.values())


def _ends(rows: Sequence[Scored]) -> Any:
    """Return how far intervals reach below and above, (2, n_rows); NaN where there is none."""
    ends = np.array([row.score_ci or [np.nan] * 2 for row in rows], dtype=float).T
    return np.abs(ends - np.array([row.score for row in rows]))


def lowest_score(rows: Sequence[Scored]) -> float:
    """Return where an axis of scores begins: at 0, or below what is negative, as CCCs may be."""
    ends = [end for row in rows for end in (row.score, *(row.score_ci or ()))]
    return min(0.0, np.floor(10 * min(ends)) / 10)


class RowsDisplay(AxesDisplay):
    """A display with a line for each of some names, from the top."""

    title: str

    @abstractmethod
    def _lines(self) -> list[str]:
        """Return the names of the lines, from the top."""

    def _size(self) -> tuple[float, float]:
        height = sum(0.3 + 0.16 * name.count("\n") for name in self._wrapped())
        return 7.5, 1.6 + max(height, 0.9)

    def _wrapped(self) -> list[str]:
        return [wrapped(line, NAMES) for line in self._lines()]

    def _set_lines(self, ax: Any, xlabel: str) -> None:
        """Name the lines, which are at 0, 1, … from the top."""
        names = self._wrapped()
        ax.set_yticks(range(len(names)), names, fontsize=9)
        ax.set_ylim(len(names) - 0.4, -0.6)
        ax.grid(axis="y", color=INK, alpha=0.12)
        ax.set_axisbelow(True)
        ax.set_xlabel(wrapped(xlabel, 7.1 - NAMES, 10))
        ax.set_title(wrapped(self.title, 7.1 - NAMES, 10), fontsize=10)


class ComparisonDisplay(RowsDisplay):
    """Score of every row of a comparison with its interval: by layer, or side by side.

    The score is the UAR, or of ratings the CCC.

    Feature sets with several layers are curves with a band, those without layers are levels with an
    error bar on the right. If none has several layers, every row is a point with an error bar.

    Parameters
    ----------
    rows : list of Row or RatingRow
        Rows of a comparison.
    title : str
        What is written above.
    chance : float
        UAR of a guess: 1 / number of emotions. Of ratings the CCC of a constant: 0.
    relative_depth : bool, default=False
        Whether layers are counted from 0 to 1, the deepest one that was compared, so that models
        with different numbers of layers can be compared.

    Attributes
    ----------
    ax_ : matplotlib Axes
    figure_ : matplotlib Figure

    See Also
    --------
    DifferencesDisplay : Differences between rows.
    RecallDisplay : Recall of each emotion.

    Examples
    --------
    >>> from sklearn_ser.datasets import make_emotional_speech
    >>> from sklearn_ser.evaluation import compare
    >>> from sklearn_ser.plotting import ComparisonDisplay
    >>> corpus = make_emotional_speech(n_speakers=4, n_sentences=2, random_state=0)
    >>> comparison = compare(corpus, ["mfcc"], classifier="lda", cache=None)
    >>> display = ComparisonDisplay.from_comparison(comparison)
    >>> display.ax_.get_xlabel()
    'UAR (95 % interval for new speakers)'
    """

    def __init__(
        self, rows: Sequence[Scored], title: str, chance: float, *, relative_depth: bool = False
    ) -> None:
        if not rows:
            raise ValueError("there are no rows to draw.")
        self.rows = rows
        self.title = title
        self.chance = chance
        self.relative_depth = relative_depth

    @classmethod
    def from_comparison(
        cls, comparison: Any, *, relative_depth: bool = False, ax: Any = None
    ) -> ComparisonDisplay:
        """Draw a comparison.

        Parameters
        ----------
        comparison : Comparison
            What `compare` returned.
        relative_depth : bool, default=False
            Whether layers are counted from 0 to 1.
        ax : matplotlib Axes, default=None
            Where to draw; a new figure by default.

        Returns
        -------
        display : ComparisonDisplay
        """
        check_comparison(comparison)
        display = cls(
            comparison.rows, comparison.title, comparison.chance, relative_depth=relative_depth
        )
        return display.plot(ax=ax)

    def _curves(self) -> dict[str, list[Scored]]:
        """Return the rows that are drawn over layers; none if no feature set has several."""
        curves: dict[str, list[Scored]] = {}
        for row in self.rows:
            if isinstance(row.layer, int):
                curves.setdefault(_series(row, self.rows), []).append(row)
        return curves if any(len(rows) > 1 for rows in curves.values()) else {}

    def _levels(self) -> list[Scored]:
        curves = self._curves()
        return [row for row in self.rows if not (curves and isinstance(row.layer, int))]

    def _lines(self) -> list[str]:
        return [row_name(row, self.rows) for row in self._levels()]

    def _size(self) -> tuple[float, float]:
        return (7.5, 4.5) if self._curves() else super()._size()

    def _chance_name(self) -> str:
        return "chance" if self.rows[0].metric == "UAR" else "a constant"

    def _draw(self, ax: Any) -> list[Any]:
        pooled = any(row.is_pooled and not row.crosses for row in self.rows)
        none = all(row.score_ci is None for row in self.rows)
        unknown = self.rows[0].is_over_folds
        over = "over folds, speakers unknown" if unknown else "for new speakers"
        unit = "folds, speakers unknown" if unknown else "speakers"
        kind = f"no intervals: fewer than four {unit}" if none else f"95 % interval {over}"
        label = f"{self.rows[0].metric}{', pooled over folds' if pooled else ''} ({kind})"
        if not self._curves():
            for y, row in enumerate(self._levels()):
                style = series_style(y)
                marker = {"fmt": style["marker"], "color": style["color"]}
                ax.errorbar(
                    [row.score],
                    [y],
                    xerr=_ends([row]),
                    label=row_name(row, self.rows),
                    **marker,
                    **INTERVAL,
                )
            chance = ax.axvline(self.chance, label=self._chance_name(), **CHANCE)
            ax.set_xlim(lowest_score(self.rows), 1)
            self._set_lines(ax, label)
            return [chance]
        handles = self._draw_layers(ax)
        ax.set_ylabel(label)
        ax.set_ylim(lowest_score(self.rows), 1)
        ax.set_title(wrapped(self.title, 6.3, 10), fontsize=10)
        return handles

    def _draw_layers(self, ax: Any) -> list[Any]:
        """Draw curves over layers, and on their right the rows that have no layers."""
        order = list(dict.fromkeys(_series(row, self.rows) for row in self.rows))
        handles, end = [], 0.0
        for name, rows in self._curves().items():
            rows = sorted(rows, key=lambda row: int(row.layer or 0))
            x = np.array([row.layer for row in rows], dtype=float)
            x /= max(x.max(), 1) if self.relative_depth else 1
            score, (below, above) = np.array([row.score for row in rows]), _ends(rows)
            style = series_style(order.index(name))
            color = style["color"]
            del style["hatch"]
            handles += ax.plot(x, score, label=f"{name}, by layer", markersize=5, **style)
            ax.fill_between(
                x, score - below, score + above, facecolor=color, alpha=0.15, linewidth=0
            )
            if len(rows) == 1:  # which has no band
                ax.errorbar(x, score, yerr=_ends(rows), fmt="none", ecolor=color, **INTERVAL)
            end = max(end, x.max())
        step = 0.04 * (1 if self.relative_depth else max(end, 5))
        for k, row in enumerate(self._levels(), start=1):
            style = series_style(order.index(_series(row, self.rows)))
            look = {"color": style["color"], "label": row_name(row, self.rows)}
            ax.axhline(row.score, linestyle=style["linestyle"], linewidth=1, **look)
            bar = {"yerr": _ends([row]), "fmt": style["marker"], "markersize": 5}
            handles.append(ax.errorbar([end + k * step], [row.score], **bar, **look, **INTERVAL))
        handles.append(ax.axhline(self.chance, label=self._chance_name(), **CHANCE))
        if self.relative_depth:
            ax.set_xlabel("layer, relative to the deepest one compared")
        else:
            ax.set_xlabel("layer")
            ax.xaxis.get_major_locator().set_params(integer=True)
        return handles


class DifferencesDisplay(RowsDisplay):
    """Differences in the score to one row, paired by speaker, with their intervals: a forest plot.

    Parameters
    ----------
    differences : DataFrame
        As `Comparison.differences` returns it, with a column ``name``.
    reference : str
        What the row is called that others are compared with.
    title : str
        What is written above.
    metric : str, default="UAR"
        What the score is called.

    Attributes
    ----------
    ax_ : matplotlib Axes
    figure_ : matplotlib Figure

    See Also
    --------
    ComparisonDisplay : The scores themselves.

    Examples
    --------
    >>> from sklearn_ser.datasets import make_emotional_speech
    >>> from sklearn_ser.evaluation import compare
    >>> corpus = make_emotional_speech(n_speakers=3, n_sentences=1, random_state=0)
    >>> from sklearn_ser.plotting import DifferencesDisplay
    >>> comparison = compare(corpus, ["mfcc", "nano"], layer=2, classifier="lda", audit=False)
    >>> DifferencesDisplay.from_comparison(comparison).reference in {"mfcc", "nano"}
    True
    """

    def __init__(
        self, differences: pd.DataFrame, reference: str, title: str, metric: str = "UAR"
    ) -> None:
        self.differences = differences
        self.reference = reference
        self.title = title
        self.metric = metric

    @classmethod
    def from_comparison(
        cls,
        comparison: Comparison,
        reference: int | None = None,
        *,
        correction: str | None = None,
        ax: Any = None,
    ) -> DifferencesDisplay:
        """Draw how far rows of a comparison are from one of them.

        Parameters
        ----------
        comparison : Comparison
            What `compare` returned; of two rows or more.
        reference : int, default=None
            Position of a row, chosen before the scores were seen. None is the best row.
        correction : {"nadeau-bengio"}, default=None
            As in :meth:`Comparison.differences`.
        ax : matplotlib Axes, default=None
            Where to draw; a new figure by default.

        Returns
        -------
        display : DifferencesDisplay

        Raises
        ------
        ValueError
            If there is one row only.
        """
        check_comparison(comparison)
        rows = comparison.rows
        if len(rows) < 2:
            raise ValueError("there is one row, so that there are no differences to draw.")
        differences = comparison.differences(reference, correction=correction)
        differences["name"] = [row_name(rows[k], rows) for k in differences["row"]]
        if comparison.n_speakers is None:
            differences["n_folds"] = comparison.n_units
        name = row_name(rows[int(differences["reference"].iloc[0])], rows)
        return cls(differences, name, comparison.title, rows[0].metric).plot(ax=ax)

    def _lines(self) -> list[str]:
        p_values = [
            "" if np.isnan(p) else f", p {'< .001' if p < 0.001 else f'= {p:.3f}'}"
            for p in self.differences["p_holm"]
        ]
        return [f"{n}{p}" for n, p in zip(self.differences["name"], p_values, strict=True)]

    def _draw(self, ax: Any) -> list[Any]:
        found = self.differences
        color = series_style(0)["color"]
        for y, line in enumerate(found.to_dict("records")):
            value = line["difference"]
            reach = [[value - line["low"]], [line["high"] - value]]
            filled = color if line["p_holm"] < 0.05 else "none"
            ax.errorbar(
                [value], [y], xerr=reach, fmt="o", color=color, markerfacecolor=filled, **INTERVAL
            )
        ax.axvline(0, **CHANCE)
        unit = "fold" if "n_folds" in found else "speaker"
        self._set_lines(
            ax,
            f"{self.metric} less that of {self.reference} (95 % interval, paired by {unit}, "
            f"n = {found[f'n_{unit}s'].iloc[0]}; Holm's p; filled: p < .05)",
        )
        return []
