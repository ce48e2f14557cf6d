"""Displays in scikit-learn's way: of a comparison, a training history, layer weights, a recording.

Used in notebooks and by the command line.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

__all__ = ["ComparisonDisplay", "HistoryDisplay", "LayerWeightsDisplay", "TimelineDisplay"]

if TYPE_CHECKING:
    from sklearn_ser.evaluation import Row


def _new_figure(width: float, height: float) -> Any:
    """Return a figure of that size in inches, which is not shown by itself."""
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout="constrained")


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
        from sklearn_ser.evaluation import varying

        ax = ax or _new_figure(7.5, 4.5).add_subplot()
        curves: dict[str, list[Row]] = {}
        levels = []
        alternatives = [name for name in varying(self.rows) if name != "layer"]

        def label(row: Row) -> str:
            return ", ".join([_label(row), *(str(getattr(row, name)) for name in alternatives)])

        for row in self.rows:
            if isinstance(row.layer, int):
                curves.setdefault(label(row), []).append(row)
            else:
                levels.append(row)
        for color, (name, rows) in enumerate(curves.items()):
            rows = sorted(rows, key=lambda row: int(row.layer or 0))
            layers = [row.layer for row in rows]
            uars = [row.uar for row in rows]
            ax.plot(layers, uars, marker="o", color=f"C{color}", label=f"{name}, by layer")
            ax.fill_between(layers, *_intervals(rows), color=f"C{color}", alpha=0.15, linewidth=0)
        for color, row in enumerate(levels, start=len(curves)):
            style = {"color": f"C{color}", "label": label(row)}
            if curves:
                ax.axhline(row.uar, linestyle="--", **style)
            else:
                ends = np.abs(_intervals([row]) - row.uar)
                ax.errorbar([label(row)], [row.uar], yerr=ends, fmt="o", capsize=4, **style)
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


class HistoryDisplay:
    """Loss and UAR by epoch, of clips trained on and of speakers held out of training.

    Parameters
    ----------
    history : mapping of str to sequence
        epoch, train_loss, valid_loss and valid_uar, as a fitted network's ``history_``; curves
        of UAR by other names that end in ``_uar`` are drawn too.
    n_epochs : int or None
        The epoch whose weights were kept.

    Attributes
    ----------
    ax_ : list of two matplotlib Axes
        Of the losses, and of the UAR.
    figure_ : matplotlib Figure

    Examples
    --------
    >>> from sklearn_ser.plotting import HistoryDisplay
    >>> history = {"epoch": [1, 2], "train_loss": [1.4, 1.0], "valid_loss": [1.4, 1.1],
    ...            "valid_uar": [0.3, 0.6]}
    >>> [ax.get_ylabel() for ax in HistoryDisplay(history, 2).plot().ax_]
    ['loss', 'UAR']
    """

    def __init__(self, history: Mapping[str, Sequence[float]], n_epochs: int | None = None) -> None:
        self.history = history
        self.n_epochs = n_epochs

    @classmethod
    def from_estimator(cls, estimator: Any, *, figure: Any = None) -> HistoryDisplay:
        """Draw the curves of a fitted network.

        Parameters
        ----------
        estimator : MLPHead, LayerWeightedClassifier, SequenceClassifier, …
        figure : matplotlib Figure, default=None
            Where to draw; a new one by default.

        Returns
        -------
        display : HistoryDisplay
        """
        return cls(estimator.history_, estimator.n_epochs_).plot(figure=figure)

    def plot(self, *, figure: Any = None) -> HistoryDisplay:
        """Draw the loss and the UAR by epoch.

        Parameters
        ----------
        figure : matplotlib Figure, default=None
            What to draw into; None is a new one, which is not shown by itself.

        Returns
        -------
        display : HistoryDisplay
            The display itself, with what was drawn.
        """
        figure = figure or _new_figure(9, 3.5)
        loss, uar = figure.subplots(1, 2)
        names = {"train": "trained on", "valid": "held out", "test": "tested"}
        for ax, end in ((loss, "_loss"), (uar, "_uar")):
            for name in (name for name in self.history if name.endswith(end)):
                side = name.removesuffix(end)
                color = f"C{list(names).index(side)}" if side in names else None
                label = names.get(side, side)
                ax.plot(self.history["epoch"], self.history[name], color=color, label=label)
            if self.n_epochs is not None:
                ax.axvline(self.n_epochs, color="grey", linestyle=":", label="weights kept")
            ax.set_xlabel("epoch")
            ax.xaxis.get_major_locator().set_params(integer=True)
            ax.legend()
        loss.set_ylabel("loss")
        uar.set(ylabel="UAR", ylim=(0, 1))
        self.ax_, self.figure_ = [loss, uar], figure
        return self


class LayerWeightsDisplay:
    """Weights that a classifier, or several, gave to layers.

    Parameters
    ----------
    weights : ndarray of shape (n_classifiers, n_layers)
        Each row sums to 1.

    Attributes
    ----------
    ax_ : matplotlib Axes
    figure_ : matplotlib Figure

    Examples
    --------
    >>> from sklearn_ser.plotting import LayerWeightsDisplay
    >>> LayerWeightsDisplay([[0.2, 0.5, 0.3]]).plot().ax_.get_xlabel()
    'layer'
    """

    def __init__(self, weights: npt.ArrayLike) -> None:
        self.weights = np.atleast_2d(np.asarray(weights, dtype=float))

    @classmethod
    def from_estimators(cls, *estimators: Any, ax: Any = None) -> LayerWeightsDisplay:
        """Draw the weights of fitted classifiers.

        Parameters
        ----------
        *estimators : LayerWeightedClassifier or SequenceClassifier
            One, or those of several folds or seeds.
        ax : matplotlib Axes, default=None
            Where to draw; a new figure by default.

        Returns
        -------
        display : LayerWeightsDisplay
        """
        return cls([each.layer_weights_ for each in estimators]).plot(ax=ax)

    def plot(self, *, ax: Any = None) -> LayerWeightsDisplay:
        """Draw the mean weights as bars, and their ranges as whiskers.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            What to draw into; None is a new figure, which is not shown by itself.

        Returns
        -------
        display : LayerWeightsDisplay
            The display itself, with what was drawn.
        """
        ax = ax or _new_figure(6, 3.5).add_subplot()
        mean = self.weights.mean(axis=0)
        low, high = mean - self.weights.min(axis=0), self.weights.max(axis=0) - mean
        several = len(self.weights) > 1
        ax.bar(range(len(mean)), mean, yerr=[low, high] if several else None, capsize=3)
        ax.axhline(1 / len(mean), color="grey", linestyle=":", label="all layers alike")
        ax.set(xlabel="layer", ylabel="weight")
        ax.xaxis.get_major_locator().set_params(integer=True)
        ax.legend()
        self.ax_, self.figure_ = ax, ax.figure
        return self


class TimelineDisplay:
    """Probabilities of emotions along a recording, and its out-of-distribution scores.

    Parameters
    ----------
    rows : DataFrame
        Rows of one recording, in order, as `EmotionRecognizer.recognize` gives them.
    emotions : sequence of str
        The columns of probabilities.

    Attributes
    ----------
    ax_ : ndarray of two matplotlib Axes
        Of the probabilities, and of the out-of-distribution scores.
    figure_ : matplotlib Figure

    Examples
    --------
    >>> import pandas as pd
    >>> from sklearn_ser.plotting import TimelineDisplay
    >>> rows = pd.DataFrame({"recording": "a.wav", "start": [0.0, 2.0], "end": [2.0, 4.0],
    ...     "emotion": ["anger", None], "anger": [0.9, None], "neutral": [0.1, None],
    ...     "out_of_domain": [0.5, 0.99], "note": ["", "abstained"]})
    >>> TimelineDisplay.from_rows(rows, ["anger", "neutral"]).ax_[1].get_xlabel()
    'seconds'
    """

    def __init__(self, rows: Any, emotions: Sequence[str]) -> None:
        self.rows = rows
        self.emotions = emotions

    @classmethod
    def from_rows(
        cls, rows: Any, emotions: Sequence[str], *, figure: Any = None
    ) -> TimelineDisplay:
        """Draw the rows of one recording.

        Parameters
        ----------
        rows : DataFrame
        emotions : sequence of str
        figure : matplotlib Figure, default=None
            Where to draw; a new one by default.

        Returns
        -------
        display : TimelineDisplay
        """
        return cls(rows, emotions).plot(figure=figure)

    def plot(self, *, figure: Any = None) -> TimelineDisplay:
        """Draw the probabilities, and the out-of-distribution scores.

        Parameters
        ----------
        figure : matplotlib Figure, default=None
            What to draw into; None is a new one, which is not shown by itself.

        Returns
        -------
        display : TimelineDisplay
            The display itself, with what was drawn.
        """
        figure = figure or _new_figure(10, 4.5)
        probabilities, distance = figure.subplots(2, sharex=True, height_ratios=[3, 1])
        rows = self.rows[self.rows["start"].notna() & self.rows["end"].notna()]
        starts, ends = (rows[name].to_numpy(dtype=float) for name in ("start", "end"))
        # A window reaches into the next one if they overlap, so that it is drawn up to there.
        stops = np.append(np.minimum(ends[:-1], starts[1:]), ends[-1:])
        style = {"align": "edge", "width": stops - starts, "linewidth": 0}
        bottom = np.zeros(len(rows))
        for color, emotion in enumerate(self.emotions):
            heights = rows[emotion].to_numpy(dtype=float)
            probabilities.bar(
                starts,
                np.nan_to_num(heights),
                bottom=bottom,
                color=f"C{color}",
                label=emotion,
                **style,
            )
            bottom += np.nan_to_num(heights)
        blank = rows["emotion"].isna().to_numpy()
        probabilities.bar(
            starts[blank],
            np.ones(blank.sum()),
            color="0.9",
            label="no emotion",
            **{**style, "width": (stops - starts)[blank]},
        )
        distance.bar(starts, rows["out_of_domain"].to_numpy(dtype=float), color="0.4", **style)
        probabilities.set(ylabel="probability", ylim=(0, 1))
        distance.set(ylabel="out of\ndomain", ylim=(0, 1), xlabel="seconds")
        probabilities.set_title(str(self.rows["recording"].iloc[0]), fontsize="medium", wrap=True)
        probabilities.legend(loc="center left", bbox_to_anchor=(1, 0.5))
        self.ax_, self.figure_ = np.array([probabilities, distance]), figure
        return self
