"""The risk-coverage curve: the error rate of those predictions that are most confident."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import pandas as pd

from sklearn_ser.evaluation import Confident, risk_coverage
from sklearn_ser.plotting._confidence import (
    MAX_BARS,
    draw_points,
    handles_without,
    interval_note,
    numbers_note,
    rows_with_confidence,
    scores_frame,
    stacked,
)
from sklearn_ser.plotting._style import AxesDisplay, series_style, wrapped

if TYPE_CHECKING:
    from sklearn_ser.evaluation import Comparison

__all__ = ["RiskCoverageDisplay"]


class RiskCoverageDisplay(AxesDisplay):
    """Error rate of the most confident predictions, by the share of clips that are predicted.

    It shows what abstaining is worth: a classifier that predicts only clips above a threshold of
    the confidence, the probability of the predicted emotion, has this share of clips left
    (coverage), and is wrong on this share of them (risk). Where confidence says nothing, the curve
    is level; the lower on the left, the better are errors found by their confidence.

    Parameters
    ----------
    curves : DataFrame
        A line a row of the comparison and number of clips: name (of the row), coverage and risk.
    points : DataFrame
        A line a row and tenth of the clips: name, coverage, threshold (the lowest confidence that
        is kept), n_clips (a clip counts each time that a fold tests it), risk, low and high (95 %
        interval of the risk for new speakers, NaN with fewer than four).
    scores : DataFrame
        A line a row, indexed by its name: n_clips, n_predictions (more, where folds test clips
        again), n_speakers, confidence (mean), accuracy and aurc, the area under the curve.
    title : str
        What is written above.
    without : sequence of str, default=()
        Names of rows without probabilities.

    Attributes
    ----------
    ax_ : matplotlib Axes
    figure_ : matplotlib Figure

    See Also
    --------
    ReliabilityDisplay : Whether confidence is what it says it is.

    Notes
    -----
    The risk is 1 less the accuracy of the clips that are kept [1]_ [2]_, and not of the UAR: the
    fewer clips are kept, the fewer emotions are among them. The area under the curve (AURC) [3]_
    is the mean of the risks over all numbers of clips; it depends on the error rate at full
    coverage, too. Clips of the same confidence count as the mean of all orders of them.

    Intervals are those of :func:`~sklearn_ser.evaluation.speaker_interval`, of the clips above a
    threshold that is taken as given, though it was chosen by these clips. Error bars are drawn for
    up to three rows; ``points`` holds all intervals.

    References
    ----------
    .. [1] R. El-Yaniv, Y. Wiener, "On the foundations of noise-free selective classification",
       Journal of Machine Learning Research 11, 2010.
    .. [2] Y. Geifman, R. El-Yaniv, "Selective classification for deep neural networks",
       NeurIPS 2017.
    .. [3] Y. Geifman, G. Uziel, R. El-Yaniv, "Bias-reduced uncertainty estimation for deep neural
       classifiers", ICLR 2019.

    Examples
    --------
    >>> from sklearn_ser.plotting import RiskCoverageDisplay
    >>> display = RiskCoverageDisplay.from_predictions(
    ...     ["anger", "fear", "fear", "anger"], ["anger", "fear", "anger", "anger"],
    ...     [0.9, 0.8, 0.4, 0.7], groups=["a", "a", "b", "b"])
    >>> display.curves["risk"].tolist()
    [0.0, 0.0, 0.0, 0.25]
    """

    def __init__(
        self,
        curves: pd.DataFrame,
        points: pd.DataFrame,
        scores: pd.DataFrame,
        title: str,
        without: Sequence[str] = (),
    ) -> None:
        self.curves = curves
        self.points = points
        self.scores = scores
        self.title = title
        self.without = without

    @classmethod
    def from_comparison(
        cls, comparison: Comparison, rows: Sequence[int] | None = None, *, ax: Any = None
    ) -> RiskCoverageDisplay:
        """Draw the predictions of all test folds together.

        Parameters
        ----------
        comparison : Comparison
            What `compare` returned.
        rows : sequence of int, default=None
            Positions; None is the best layer of each feature set. Rows without probabilities are
            listed in the legend.
        ax : matplotlib Axes, default=None
            Where to draw; a new figure by default.

        Returns
        -------
        display : RiskCoverageDisplay

        Raises
        ------
        ValueError
            If ratings were compared, or no row has probabilities.
        """
        found, without = rows_with_confidence(comparison, rows)
        return cls._of(found, comparison.title, without).plot(ax=ax)

    @classmethod
    def from_predictions(
        cls,
        y_true: Any,
        y_pred: Any,
        confidence: Any,
        *,
        groups: Any = None,
        name: str = "classifier",
        title: str = "",
        ax: Any = None,
    ) -> RiskCoverageDisplay:
        """Draw predictions of clips that the classifier was not fitted on.

        Parameters
        ----------
        y_true, y_pred : array-like of shape (n_clips,)
            Emotions, and those predicted.
        confidence : array-like of shape (n_clips,)
            Probability of the predicted emotion, ``y_prob.max(axis=1)``.
        groups : array-like of shape (n_clips,), default=None
            Speaker labels; without them there are no intervals.
        name, title : str
            What the curve is called, and what is written above.
        ax : matplotlib Axes, default=None
            Where to draw; a new figure by default.

        Returns
        -------
        display : RiskCoverageDisplay

        Raises
        ------
        ValueError
            If labels are missing, lengths differ, there are no clips, or a confidence is not
            between 0 and 1.
        """
        found = {name: Confident.of(y_true, y_pred, confidence, groups)}
        return cls._of(found, title).plot(ax=ax)

    @classmethod
    def _of(
        cls, found: dict[str, Confident], title: str, without: Sequence[str] = ()
    ) -> RiskCoverageDisplay:
        made = {name: risk_coverage(its) for name, its in found.items()}
        curves = stacked({name: its.curve for name, its in made.items()})
        points = stacked({name: its.points for name, its in made.items()})
        scores = scores_frame({name: its.scores for name, its in made.items()})
        return cls(curves, points, scores, title, without)

    def _size(self) -> tuple[float, float]:
        return 7.5, 4.5

    def _draw(self, ax: Any) -> list[Any]:
        handles = []
        bars, areas = len(self.scores) <= MAX_BARS, self.scores["aurc"].to_dict()
        for k, (name, its) in enumerate(self.points.groupby("name", sort=False)):
            style = series_style(k)
            curve = self.curves[self.curves["name"] == name]
            ax.plot(curve["coverage"], curve["risk"], color=style["color"], linewidth=1)
            label = f"{name}: AURC {areas[name]:.3f}"
            points = its["coverage"], its["risk"], its["low"], its["high"]
            handles.append(draw_points(ax, k, label, *points, bars=bars, line=False))
        ax.set(xlim=(0, 1.02), ylim=(-0.02, None))
        ax.set_xlabel(f"coverage: share of clips kept, by confidence ({numbers_note(self.scores)})")
        ax.set_ylabel(
            "risk: error rate" + interval_note(self.points, self.scores, bars).replace(" (", "\n(")
        )
        ax.set_title(wrapped(self.title, 6.3, 10), fontsize=10)
        return [*handles, *handles_without(self.without)]
