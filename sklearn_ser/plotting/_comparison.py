"""The picture of a comparison: UAR by layer, with handcrafted features as levels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from sklearn_ser.evaluation import Row

__all__ = ["ComparisonDisplay"]


class ComparisonDisplay:
    """UAR of every feature set of a comparison: a curve over layers, a level for the others.

    Parameters
    ----------
    rows : list of Row
        Rows of a comparison.
    title : str
        What is written above.
    chance : float
        UAR of a guess: 1 / number of emotions.

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
    >>> display.ax_.get_ylabel()
    'UAR'
    """

    def __init__(self, rows: Sequence[Row], title: str, chance: float) -> None:
        self.rows = rows
        self.title = title
        self.chance = chance

    @classmethod
    def from_comparison(cls, comparison: Any, *, ax: Any = None) -> ComparisonDisplay:
        """Draw a comparison.

        Parameters
        ----------
        comparison : Comparison
            What `compare` returned.
        ax : matplotlib Axes, default=None
            Where to draw; a new figure by default.

        Returns
        -------
        display : ComparisonDisplay
        """
        return cls(comparison.rows, comparison.title, comparison.chance).plot(ax=ax)

    def plot(self, *, ax: Any = None) -> ComparisonDisplay:
        """Draw the scores.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            What to draw into; None is a new figure, which is not shown by itself.

        Returns
        -------
        display : ComparisonDisplay
            The display itself, with what was drawn.
        """
        if ax is None:
            from matplotlib.figure import Figure

            ax = Figure(figsize=(7.5, 4.5), layout="constrained").add_subplot()
        curves: dict[str, list[Row]] = {}
        levels = []
        for row in self.rows:
            if isinstance(row.layer, int):
                curves.setdefault(_label(row), []).append(row)
            else:
                levels.append(row)
        for color, (label, rows) in enumerate(curves.items()):
            rows = sorted(rows, key=lambda row: int(row.layer or 0))
            layers = [row.layer for row in rows]
            uars = [row.uar for row in rows]
            ax.plot(layers, uars, marker="o", color=f"C{color}", label=f"{label}, by layer")
            ax.fill_between(layers, *_intervals(rows), color=f"C{color}", alpha=0.15, linewidth=0)
        for color, row in enumerate(levels, start=len(curves)):
            style = {"color": f"C{color}", "label": _label(row)}
            if curves:
                ax.axhline(row.uar, linestyle="--", **style)
            else:
                ends = np.abs(_intervals([row]) - row.uar)
                ax.errorbar([_label(row)], [row.uar], yerr=ends, fmt="o", capsize=4, **style)
        ax.axhline(self.chance, color="grey", linestyle=":", label="chance")
        if curves:
            ax.set_xlabel("layer")
            ax.xaxis.get_major_locator().set_params(integer=True)
        else:
            ax.margins(x=0.5)
        pooled = any(row.is_pooled for row in self.rows)
        ax.set_ylabel("UAR, pooled over folds" if pooled else "UAR")
        ax.set_ylim(0, 1)
        ax.set_title(self.title, fontsize="medium", wrap=True)
        ax.legend(loc="lower right")
        self.ax_, self.figure_ = ax, ax.figure
        return self


def _label(row: Row) -> str:
    layer = f", layer {row.layer}" if isinstance(row.layer, str) else ""
    return f"{row.name}{layer}"


def _intervals(rows: Sequence[Row]) -> npt.NDArray[np.float64]:
    """Return the lower and upper ends, (2, n_rows); where there is no interval it has no width."""
    return np.array([row.uar_ci or [row.uar] * 2 for row in rows], dtype=float).T
