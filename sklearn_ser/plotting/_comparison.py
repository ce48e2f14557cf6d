"""Displays of a comparison: scores by layer, differences, recall by emotion, scores by speaker."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from sklearn_ser.plotting._style import CHANCE, INK, AxesDisplay, series_style, wrapped

if TYPE_CHECKING:
    from sklearn_ser.evaluation import Comparison, Row

__all__ = [
    "ComparisonDisplay",
    "DifferencesDisplay",
    "RecallDisplay",
    "SpeakersDisplay",
    "best_of_each",
]

NAMES = 2.6  # inches for names on the left
INTERVAL = {"capsize": 3, "elinewidth": 1.2, "capthick": 1.2}


def _name(row: Row, *, layer: bool = True) -> str:
    """Return what a row is called among those of other features, layers and classifiers."""
    parts = [row.name, getattr(row, "classifier", None)]
    if layer and row.layer is not None:
        parts.append(f"layer {row.layer}")
    return ", ".join(part for part in parts if part)


def _series(row: Row) -> str:
    """Return what a row is called, with the others that are drawn as one curve."""
    return _name(row, layer=not isinstance(row.layer, int))


def best_of_each(rows: Sequence[Row]) -> list[int]:
    """Return the positions of the best layer of each feature set (and classifier)."""
    best: dict[str, int] = {}
    for position, row in enumerate(rows):
        key = _series(row)
        if key not in best or row.uar > rows[best[key]].uar:
            best[key] = position
    return list(best.values())


def _ends(rows: Sequence[Row]) -> Any:
    """Return how far intervals reach below and above, (2, n_rows); NaN where there is none."""
    ends = np.array([row.uar_ci or [np.nan] * 2 for row in rows], dtype=float).T
    uar = np.array([row.uar for row in rows])
    return np.abs(ends - uar)


class _RowsDisplay(AxesDisplay):
    """A display with a line for each of some names, from the top."""

    title: str

    def _lines(self) -> list[str]:
        raise NotImplementedError

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


class ComparisonDisplay(_RowsDisplay):
    """UAR of every row of a comparison with its interval: by layer, or side by side.

    Feature sets with several layers are curves with a band, the others levels with an error bar on
    the right. Without layers, every row is a point with an error bar.

    Parameters
    ----------
    rows : list of Row
        Rows of a comparison.
    title : str
        What is written above.
    chance : float
        UAR of a guess: 1 / number of emotions.
    relative_depth : bool, default=False
        Whether layers are counted from 0 to 1, the deepest one that was compared, so that models
        with different numbers of layers can be compared.

    Attributes
    ----------
    ax_ : matplotlib Axes
    figure_ : matplotlib Figure

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
        self, rows: Sequence[Row], title: str, chance: float, *, relative_depth: bool = False
    ) -> None:
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
        display = cls(
            comparison.rows, comparison.title, comparison.chance, relative_depth=relative_depth
        )
        return display.plot(ax=ax)

    def _curves(self) -> dict[str, list[Row]]:
        curves: dict[str, list[Row]] = {}
        for row in self.rows:
            if isinstance(row.layer, int):
                curves.setdefault(_series(row), []).append(row)
        return curves

    def _levels(self) -> list[Row]:
        return [row for row in self.rows if not isinstance(row.layer, int)]

    def _lines(self) -> list[str]:
        return [_name(row) for row in self._levels()]

    def _size(self) -> tuple[float, float]:
        return (7.5, 4.5) if self._curves() else super()._size()

    def _draw(self, ax: Any) -> list[Any]:
        pooled = any(row.is_pooled for row in self.rows)
        none = all(row.uar_ci is None for row in self.rows)
        kind = (
            "no intervals: fewer than four speakers" if none else "95 % interval for new speakers"
        )
        label = f"UAR{', pooled over folds' if pooled else ''} ({kind})"
        if not self._curves():
            for y, row in enumerate(self._levels()):
                style = series_style(y)
                marker = {"fmt": style["marker"], "color": style["color"]}
                ax.errorbar(
                    [row.uar], [y], xerr=_ends([row]), label=_name(row), **marker, **INTERVAL
                )
            chance = ax.axvline(self.chance, label="chance", **CHANCE)
            ax.set_xlim(0, 1)
            self._set_lines(ax, label)
            return [chance]
        handles = self._draw_layers(ax)
        ax.set_ylabel(label)
        ax.set_ylim(0, 1)
        ax.set_title(wrapped(self.title, 6.3, 10), fontsize=10)
        return handles

    def _draw_layers(self, ax: Any) -> list[Any]:
        """Draw curves over layers, and on their right the rows that have no layers."""
        order = list(dict.fromkeys(_series(row) for row in self.rows))
        handles, end = [], 0.0
        for name, rows in self._curves().items():
            rows = sorted(rows, key=lambda row: int(row.layer or 0))
            x = np.array([row.layer for row in rows], dtype=float)
            x /= max(x.max(), 1) if self.relative_depth else 1
            uar, (below, above) = np.array([row.uar for row in rows]), _ends(rows)
            style = series_style(order.index(name))
            hatch, color = style.pop("hatch"), style["color"]
            handles += ax.plot(x, uar, label=f"{name}, by layer", markersize=5, **style)
            ax.fill_between(
                x, uar - below, uar + above, facecolor=color, alpha=0.15, linewidth=0, hatch=hatch
            )
            if len(rows) == 1:  # which has no band
                ax.errorbar(x, uar, yerr=_ends(rows), fmt="none", ecolor=color, **INTERVAL)
            end = max(end, x.max())
        step = 0.04 * (1 if self.relative_depth else max(end, 5))
        for k, row in enumerate(self._levels(), start=1):
            style = series_style(order.index(_series(row)))
            look = {"color": style["color"], "label": _name(row)}
            ax.axhline(row.uar, linestyle=style["linestyle"], linewidth=1, **look)
            bar = {"yerr": _ends([row]), "fmt": style["marker"], "markersize": 5}
            handles.append(ax.errorbar([end + k * step], [row.uar], **bar, **look, **INTERVAL))
        handles.append(ax.axhline(self.chance, label="chance", **CHANCE))
        if self.relative_depth:
            ax.set_xlabel("layer, relative to the deepest one compared")
        else:
            ax.set_xlabel("layer")
            ax.xaxis.get_major_locator().set_params(integer=True)
        return handles


class DifferencesDisplay(_RowsDisplay):
    """Differences in UAR to one row, paired by speaker, with their intervals: a forest plot.

    Parameters
    ----------
    differences : DataFrame
        As `Comparison.differences` returns it, with a column ``name``.
    reference : str
        What the row is called that others are compared with.
    title : str
        What is written above.

    Attributes
    ----------
    ax_ : matplotlib Axes
    figure_ : matplotlib Figure
    """

    def __init__(self, differences: pd.DataFrame, reference: str, title: str) -> None:
        self.differences = differences
        self.reference = reference
        self.title = title

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
        rows = comparison.rows
        if len(rows) < 2:
            raise ValueError("there is one row, so that there are no differences to draw.")
        differences = comparison.differences(reference, correction=correction)
        differences["name"] = [_name(rows[k]) for k in differences["row"]]
        name = _name(rows[int(differences["reference"].iloc[0])])
        return cls(differences, name, comparison.title).plot(ax=ax)

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
        n_speakers = found["n_speakers"].iloc[0]
        self._set_lines(
            ax,
            f"UAR less that of {self.reference} (95 % interval, paired by speaker, "
            f"n = {n_speakers}; Holm's p; filled: p < .05)",
        )
        return []


class RecallDisplay(_RowsDisplay):
    """Recall of each emotion with its interval, over all tested clips.

    Parameters
    ----------
    recalls : DataFrame
        A line an emotion and row: name (of the row), emotion, recall, low, high and n_clips.
    title : str
        What is written above.

    Attributes
    ----------
    ax_ : matplotlib Axes
    figure_ : matplotlib Figure
    """

    def __init__(self, recalls: pd.DataFrame, title: str) -> None:
        self.recalls = recalls
        self.title = title

    @classmethod
    def from_comparison(
        cls, comparison: Comparison, rows: Sequence[int] | None = None, *, ax: Any = None
    ) -> RecallDisplay:
        """Draw the recalls of some rows of a comparison.

        Parameters
        ----------
        comparison : Comparison
            What `compare` returned.
        rows : sequence of int, default=None
            Positions; None is the best layer of each feature set.
        ax : matplotlib Axes, default=None
            Where to draw; a new figure by default.

        Returns
        -------
        display : RecallDisplay
        """
        from sklearn_ser.evaluation import speaker_interval

        lines = []
        for position in best_of_each(comparison.rows) if rows is None else rows:
            predictions = comparison.predictions
            predictions = predictions[predictions["row"] == position]
            for emotion, tested in predictions.groupby("emotion"):
                right = tested["emotion"] == tested["predicted"]
                interval = speaker_interval(
                    tested["emotion"], tested["predicted"], tested["speaker"]
                )
                low, high = (np.nan, np.nan) if interval is None else interval
                lines.append(
                    {
                        "name": _name(comparison.rows[position]),
                        "emotion": emotion,
                        "recall": right.mean(),
                        "low": low,
                        "high": high,
                        "n_clips": len(tested),
                    }
                )
        return cls(pd.DataFrame(lines), comparison.title).plot(ax=ax)

    def _lines(self) -> list[str]:
        first = self.recalls.drop_duplicates("emotion")
        return [f"{line.emotion} (n = {line.n_clips})" for line in first.itertuples()]

    def _size(self) -> tuple[float, float]:
        width, height = super()._size()
        n_rows = self.recalls["name"].nunique()
        return width, height + 0.12 * n_rows * self.recalls["emotion"].nunique()

    def _draw(self, ax: Any) -> list[Any]:
        emotions = list(dict.fromkeys(self.recalls["emotion"]))
        handles = []
        of_rows = self.recalls.groupby("name", sort=False)
        for k, (name, found) in enumerate(of_rows):
            style = series_style(k)
            shift = 0.7 * ((k + 0.5) / len(of_rows) - 0.5)
            handles.append(
                ax.errorbar(
                    found["recall"],
                    [emotions.index(emotion) + shift for emotion in found["emotion"]],
                    xerr=[found["recall"] - found["low"], found["high"] - found["recall"]],
                    fmt=style["marker"],
                    color=style["color"],
                    label=name,
                    **INTERVAL,
                )
            )
        ax.set_xlim(-0.02, 1.02)
        self._set_lines(ax, "recall, over all tested clips (95 % interval for new speakers)")
        return handles


class SpeakersDisplay(_RowsDisplay):
    """UAR of each speaker as a point, in a strip for each row, with the median.

    Parameters
    ----------
    scores : DataFrame
        A line a speaker and row: name (of the row), speaker and uar.
    title : str
        What is written above.

    Attributes
    ----------
    ax_ : matplotlib Axes
    figure_ : matplotlib Figure
    """

    def __init__(self, scores: pd.DataFrame, title: str) -> None:
        self.scores = scores
        self.title = title

    @classmethod
    def from_comparison(
        cls, comparison: Comparison, rows: Sequence[int] | None = None, *, ax: Any = None
    ) -> SpeakersDisplay:
        """Draw the scores of each speaker, over the emotions that the speaker has.

        Parameters
        ----------
        comparison : Comparison
            What `compare` returned.
        rows : sequence of int, default=None
            Positions; None is the best layer of each feature set.
        ax : matplotlib Axes, default=None
            Where to draw; a new figure by default.

        Returns
        -------
        display : SpeakersDisplay
        """
        lines = []
        for position in best_of_each(comparison.rows) if rows is None else rows:
            predictions = comparison.predictions
            predictions = predictions[predictions["row"] == position]
            right = predictions["emotion"] == predictions["predicted"]
            recalls = right.groupby([predictions["speaker"], predictions["emotion"]]).mean()
            uar = recalls.groupby("speaker").mean().rename("uar").reset_index()
            lines.append(uar.assign(name=_name(comparison.rows[position])))
        return cls(pd.concat(lines, ignore_index=True), comparison.title).plot(ax=ax)

    def _lines(self) -> list[str]:
        return list(dict.fromkeys(self.scores["name"]))

    def _draw(self, ax: Any) -> list[Any]:
        jitter = np.random.default_rng(0)
        median = None
        for k, (_, found) in enumerate(self.scores.groupby("name", sort=False)):
            style = series_style(k)
            y = k + jitter.uniform(-0.22, 0.22, len(found))
            ax.scatter(
                found["uar"],
                y,
                s=22,
                marker=style["marker"],
                color=style["color"],
                alpha=0.8,
                linewidth=0,
            )
            middle = found["uar"].median()
            (median,) = ax.plot([middle] * 2, [k - 0.32, k + 0.32], color=INK, label="median")
        ax.set_xlim(-0.02, 1.02)
        n_speakers = self.scores["speaker"].nunique()
        self._set_lines(ax, f"UAR of each speaker (n = {n_speakers}), over the speaker's emotions")
        return [median]
