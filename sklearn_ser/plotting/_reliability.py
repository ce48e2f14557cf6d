"""The reliability diagram: accuracy by confidence, and how many clips have it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import pandas as pd

from sklearn_ser.evaluation import Confident, reliability
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
from sklearn_ser.plotting._style import CHANCE, FigureDisplay, series_style, wrapped

if TYPE_CHECKING:
    from sklearn_ser.evaluation import Comparison

__all__ = ["ReliabilityDisplay"]


class ReliabilityDisplay(FigureDisplay):
    """Accuracy by confidence, with the numbers of clips below: a reliability diagram.

    The confidence of a prediction is the probability that the classifier gives to the predicted
    emotion. Where probabilities are calibrated, curves follow the diagonal: of the clips that are
    predicted with a confidence of .8, 80 % are right. Below it, the classifier is overconfident.

    Parameters
    ----------
    bins : DataFrame
        A line a row of the comparison and bin that holds clips: name (of the row), low_edge and
        high_edge (of the bin, which holds its upper edge), n_clips (a clip counts each time that a
        fold tests it), confidence (mean of the bin), accuracy, low and high (95 % interval of the
        accuracy for new speakers, NaN with fewer than four in the bin).
    scores : DataFrame
        A line a row, indexed by its name: n_clips, n_predictions (more, where folds test clips
        again), n_speakers, confidence (mean), accuracy and ece, the expected calibration error.
    title : str
        What is written above.
    without : sequence of str, default=()
        Names of rows without probabilities.

    Attributes
    ----------
    ax_ : ndarray of two matplotlib Axes
        Of the accuracies, and of the numbers of clips.
    figure_ : matplotlib Figure

    See Also
    --------
    RiskCoverageDisplay : The error rate of the most confident predictions.
    sklearn.calibration.CalibrationDisplay : The same of two classes.

    Notes
    -----
    The expected calibration error [1]_ [2]_ is the mean over clips of the distance between the
    accuracy and the mean confidence of their bin. It is 0 for probabilities that are calibrated
    and many clips; with few clips chance alone makes it larger, so that those of different numbers
    of clips or bins cannot be compared.

    Intervals are those of :func:`~sklearn_ser.evaluation.speaker_interval`, of the clips of a bin.
    Error bars are drawn for up to three rows; ``bins`` holds all intervals.

    References
    ----------
    .. [1] M. Pakdaman Naeini, G. Cooper, M. Hauskrecht, "Obtaining well calibrated probabilities
       using Bayesian binning", AAAI 2015.
    .. [2] C. Guo, G. Pleiss, Y. Sun, K. Weinberger, "On calibration of modern neural networks",
       ICML 2017.

    Examples
    --------
    >>> from sklearn_ser.datasets import make_emotional_speech
    >>> from sklearn_ser.evaluation import compare
    >>> from sklearn_ser.plotting import ReliabilityDisplay
    >>> corpus = make_emotional_speech(n_speakers=4, n_sentences=2, random_state=0)
    >>> comparison = compare(corpus, ["mfcc"], classifier="lda", cache=None)
    >>> display = ReliabilityDisplay.from_comparison(comparison)
    >>> int(display.bins["n_clips"].sum()) == len(comparison.predictions)
    True
    """

    def __init__(
        self, bins: pd.DataFrame, scores: pd.DataFrame, title: str, without: Sequence[str] = ()
    ) -> None:
        self.bins = bins
        self.scores = scores
        self.title = title
        self.without = without

    @classmethod
    def from_comparison(
        cls,
        comparison: Comparison,
        rows: Sequence[int] | None = None,
        *,
        n_bins: int = 10,
        strategy: str = "uniform",
        figure: Any = None,
    ) -> ReliabilityDisplay:
        """Draw the predictions of all test folds together.

        Parameters
        ----------
        comparison : Comparison
            What `compare` returned.
        rows : sequence of int, default=None
            Positions; None is the best layer of each feature set. Rows without probabilities are
            listed in the legend.
        n_bins : int, default=10
            Number of bins.
        strategy : {"uniform", "quantile"}, default="uniform"
            Whether bins have the same width, or as many clips each.
        figure : matplotlib Figure, default=None
            Where to draw; a new one by default.

        Returns
        -------
        display : ReliabilityDisplay

        Raises
        ------
        ValueError
            If ratings were compared, no row has probabilities, or a parameter is none of these.
        """
        found, without = rows_with_confidence(comparison, rows)
        made = cls._of(found, comparison.title, without, n_bins=n_bins, strategy=strategy)
        return made.plot(figure=figure)

    @classmethod
    def from_predictions(
        cls,
        y_true: Any,
        y_pred: Any,
        confidence: Any,
        *,
        groups: Any = None,
        n_bins: int = 10,
        strategy: str = "uniform",
        name: str = "classifier",
        title: str = "",
        figure: Any = None,
    ) -> ReliabilityDisplay:
        """Draw predictions of clips that the classifier was not fitted on.

        Parameters
        ----------
        y_true, y_pred : array-like of shape (n_clips,)
            Emotions, and those predicted.
        confidence : array-like of shape (n_clips,)
            Probability of the predicted emotion, ``y_prob.max(axis=1)``.
        groups : array-like of shape (n_clips,), default=None
            Speaker labels; without them there are no intervals.
        n_bins : int, default=10
            Number of bins.
        strategy : {"uniform", "quantile"}, default="uniform"
            Whether bins have the same width, or as many clips each.
        name, title : str
            What the curve is called, and what is written above.
        figure : matplotlib Figure, default=None
            Where to draw; a new one by default.

        Returns
        -------
        display : ReliabilityDisplay

        Raises
        ------
        ValueError
            If labels are missing, lengths differ, there are no clips, a confidence is not between
            0 and 1, or a parameter is none of these.
        """
        found = {name: Confident.of(y_true, y_pred, confidence, groups)}
        return cls._of(found, title, n_bins=n_bins, strategy=strategy).plot(figure=figure)

    @classmethod
    def _of(
        cls, found: dict[str, Confident], title: str, without: Sequence[str] = (), **how: Any
    ) -> ReliabilityDisplay:
        made = {name: reliability(its, **how) for name, its in found.items()}
        bins = stacked({name: frame for name, (frame, _) in made.items()})
        return cls(
            bins, scores_frame({name: its for name, (_, its) in made.items()}), title, without
        )

    def _size(self) -> tuple[float, float]:
        return 7.5, 6.5

    def _draw(self, figure: Any) -> list[Any]:
        above, below = figure.subplots(2, 1, sharex=True, height_ratios=[3, 1])
        handles = above.plot([0, 1], [0, 1], label="calibrated", **CHANCE)
        bars, errors = len(self.scores) <= MAX_BARS, self.scores["ece"].to_dict()
        for k, (name, its) in enumerate(self.bins.groupby("name", sort=False)):
            label = f"{name}: ECE {errors[name]:.3f}"
            points = its["confidence"], its["accuracy"], its["low"], its["high"]
            handles.append(draw_points(above, k, label, *points, bars=bars))
            style = series_style(k)
            for line in its.itertuples():
                below.fill_between(
                    [line.low_edge, line.high_edge],
                    line.n_clips,
                    facecolor="none",
                    edgecolor=style["color"],
                    linestyle=style["linestyle"],
                    hatch=style["hatch"] if bars else None,
                )
        above.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02))
        above.set_ylabel(
            "accuracy" + interval_note(self.bins, self.scores, bars).replace(" (", "\n(")
        )
        above.set_title(wrapped(self.title, 6.3, 10), fontsize=10)
        note = numbers_note(self.scores)
        below.set_ylabel("predictions" if "predictions" in note else "clips")
        below.set_ylim(bottom=0)
        below.set_xlabel(f"confidence: probability of the predicted emotion ({note})")
        self.ax_ = figure.get_axes()
        return [*handles, *handles_without(self.without)]
