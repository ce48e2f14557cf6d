"""Critical differences: mean ranks over corpora, and what is not told apart."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from sklearn_ser.plotting._style import INK, AxesDisplay, check_comparison, wrapped

if TYPE_CHECKING:
    from sklearn_ser.evaluation import CorporaComparison, Ranks

__all__ = ["RanksDisplay"]

NAMES = 2.4  # inches for names, on either side
STEP = 0.34  # inches a name


class RanksDisplay(AxesDisplay):
    """Mean ranks of feature sets over corpora, as a critical-difference diagram [1]_.

    The best is on the right, at rank 1. Thick lines join feature sets whose ranks differ by less
    than Nemenyi's critical difference, which is drawn above.

    Parameters
    ----------
    ranks : Ranks
        What `CorporaComparison.ranks` returned.

    Attributes
    ----------
    ax_ : matplotlib Axes
    figure_ : matplotlib Figure

    See Also
    --------
    sklearn_ser.evaluation.compare_corpora : Compares on several corpora.

    References
    ----------
    .. [1] J. Demšar, "Statistical comparisons of classifiers over multiple data sets", JMLR 7,
       2006.

    Examples
    --------
    >>> from sklearn_ser.datasets import make_emotional_speech
    >>> from sklearn_ser.evaluation import compare_corpora
    >>> from sklearn_ser.plotting import RanksDisplay
    >>> corpora = {
    ...     f"speech {seed}": make_emotional_speech(3, 1, random_state=seed) for seed in range(2)
    ... }
    >>> found = compare_corpora(corpora, ["mfcc", "egemaps"], classifier="lda", cache=None)
    >>> RanksDisplay.from_comparison(found).ax_.get_xlabel()
    'mean rank over 2 corpora, 1 is the best'
    """

    def __init__(self, ranks: Ranks) -> None:
        self.ranks = ranks

    @classmethod
    def from_comparison(cls, comparison: CorporaComparison, *, ax: Any = None) -> RanksDisplay:
        """Draw the ranks of feature sets over the corpora of a comparison.

        Parameters
        ----------
        comparison : CorporaComparison
            What `compare_corpora` returned.
        ax : matplotlib Axes, default=None
            Where to draw; a new figure by default.

        Returns
        -------
        display : RanksDisplay
        """
        check_comparison(comparison, "CorporaComparison")
        return cls(comparison.ranks()).plot(ax=ax)

    def _size(self) -> tuple[float, float]:
        names = self.ranks.mean_ranks.index
        n_lines = sum(wrapped(name, NAMES).count("\n") + 1 for name in names)
        return 8.0, 1.6 + 0.3 * len(self.ranks.groups) + STEP * n_lines

    def _draw(self, ax: Any) -> list[Any]:
        ranks = self.ranks.mean_ranks
        n = len(ranks)
        low, high = 1, max(n, 2)
        ax.set_xlim(high + 0.1, low - 0.1)  # the best on the right
        ax.set_xticks(range(low, high + 1))
        ax.xaxis.set_ticks_position("top")
        ax.xaxis.set_label_position("top")
        ax.set_xlabel(f"mean rank over {self.ranks.n_corpora} corpora, 1 is the best")
        for side in ("left", "right", "bottom"):
            ax.spines[side].set_visible(False)
        ax.set_yticks([])
        top = 0.0
        if np.isfinite(self.ranks.critical_difference):
            width = min(self.ranks.critical_difference, high - low)
            ax.plot([high, high - width], [-0.5, -0.5], color=INK, linewidth=1.5, marker="|")
            difference = f"critical difference: {self.ranks.critical_difference:.2f}"
            ax.text(high, -0.65, difference, va="top", ha="left", fontsize=8)
            top = -1.2
        for k, group in enumerate(self.ranks.groups):
            ends = [ranks[name] for name in (group[0], group[-1])]
            y = top - 0.4 * k - 0.2
            ax.plot([ends[0] - 0.05, ends[1] + 0.05], [y, y], color=INK, linewidth=4)
        first = top - 0.4 * len(self.ranks.groups) - 0.5
        right = (n + 1) // 2
        for k, (name, rank) in enumerate(ranks.items()):
            is_right = k < right
            row = k if is_right else n - 1 - k
            y, end = first - 0.8 * row, low - 0.1 if is_right else high + 0.1
            ax.plot([rank, rank, end], [0, y, y], color=INK, linewidth=1, clip_on=False)
            text = f"{wrapped(name, NAMES)} ({rank:.2f})"
            place = {"ha": "left" if is_right else "right", "va": "center", "fontsize": 9}
            ax.annotate(
                text,
                (end, y),
                xytext=(4 if is_right else -4, 0),
                textcoords="offset points",
                **place,
            )
        ax.set_ylim(first - 0.8 * max(right, n - right), 0)
        return []
