"""Displays of training: loss and UAR by epoch, and the weights that were given to layers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from sklearn_ser.plotting._style import CHANCE, INK, AxesDisplay, FigureDisplay, series_style

__all__ = ["HistoryDisplay", "LayerWeightsDisplay"]


class HistoryDisplay(FigureDisplay):
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

    See Also
    --------
    sklearn_ser.classifiers.MLPHead : A network that it draws the training of.

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

    def _size(self) -> tuple[float, float]:
        return 9, 3.5

    def _draw(self, figure: Any) -> list[Any]:
        loss, uar = figure.subplots(1, 2)
        names = {"train": "trained on", "valid": "held out", "test": "tested"}
        sides = list(dict.fromkeys([*names, *(name.rpartition("_")[0] for name in self.history)]))
        handles: dict[str, Any] = {}
        for ax, end in ((loss, "_loss"), (uar, "_uar")):
            for name in (name for name in self.history if name.endswith(end)):
                side = name.removesuffix(end)
                label = names.get(side, side)
                style = series_style(sides.index(side))
                del style["hatch"]
                (line,) = ax.plot(
                    self.history["epoch"],
                    self.history[name],
                    markevery=0.1,
                    markersize=4,
                    label=label,
                    **style,
                )
                handles.setdefault(label, line)
            if self.n_epochs is not None:
                kept = ax.axvline(self.n_epochs, label="weights kept", **CHANCE)
                handles["weights kept"] = kept
            ax.set_xlabel("epoch")
            ax.xaxis.get_major_locator().set_params(integer=True)
        loss.set_ylabel("loss")
        uar.set(ylabel="UAR", ylim=(0, 1))
        self.ax_ = [loss, uar]
        return list(handles.values())


class LayerWeightsDisplay(AxesDisplay):
    """Weights that a classifier, or several, gave to layers.

    Parameters
    ----------
    weights : ndarray of shape (n_classifiers, n_layers)
        Each row sums to 1.
    layers : sequence of int, default=None
        Numbers of the layers; None counts them from 0.

    Attributes
    ----------
    ax_ : matplotlib Axes
    figure_ : matplotlib Figure

    See Also
    --------
    sklearn_ser.classifiers.LayerWeightedClassifier : Learns the weights.

    Examples
    --------
    >>> from sklearn_ser.plotting import LayerWeightsDisplay
    >>> LayerWeightsDisplay([[0.2, 0.5, 0.3]]).plot().ax_.get_xlabel()
    'layer'
    """

    def __init__(self, weights: npt.ArrayLike, layers: Sequence[int] | None = None) -> None:
        self.weights = np.atleast_2d(np.asarray(weights, dtype=float))
        self.layers = list(range(self.weights.shape[1]) if layers is None else layers)

    @classmethod
    def from_estimators(
        cls, *estimators: Any, layers: Sequence[int] | None = None, ax: Any = None
    ) -> LayerWeightsDisplay:
        """Draw the weights of fitted classifiers.

        Parameters
        ----------
        *estimators : LayerWeightedClassifier or SequenceClassifier
            One, or those of several folds or seeds, of the same layers.
        layers : sequence of int, default=None
            Numbers of the layers. None takes those in the names of the columns that they were
            fitted on (``layer4_…``), and counts from 0 where columns have no names.
        ax : matplotlib Axes, default=None
            Where to draw; a new figure by default.

        Returns
        -------
        display : LayerWeightsDisplay

        Raises
        ------
        ValueError
            If they were fitted on other layers each, or `layers` are not as many as theirs.
        """
        weights = [each.layer_weights_ for each in estimators]
        named = [tuple(getattr(each, "layers_", range(len(weights[0])))) for each in estimators]
        if layers is not None:
            named = [tuple(layers)]
        if len(set(named)) > 1 or any(len(each) != len(named[0]) for each in weights):
            given = " and ".join(str(list(each)) for each in dict.fromkeys(named))
            raise ValueError(
                f"{len(weights)} classifiers, with {', '.join(str(len(each)) for each in weights)} "
                f"weights, and the layers {given}: these are not the same layers. Draw each by "
                "itself."
            )
        return cls(weights, named[0]).plot(ax=ax)

    def _size(self) -> tuple[float, float]:
        return 6, 3.5

    def _draw(self, ax: Any) -> list[Any]:
        """Draw the mean weights as bars, and their ranges as whiskers."""
        mean = self.weights.mean(axis=0)
        low, high = mean - self.weights.min(axis=0), self.weights.max(axis=0) - mean
        n_classifiers = len(self.weights)
        several = n_classifiers > 1
        ranges = [low, high] if several else None
        color = series_style(0)["color"]
        ax.bar(self.layers, mean, yerr=ranges, capsize=3, color=color, ecolor=INK)
        equal = ax.axhline(1 / len(mean), label="all layers alike", **CHANCE)
        mean_of = f"weight (mean and range of {n_classifiers} classifiers)" if several else "weight"
        ax.set(xlabel="layer", ylabel=mean_of)
        ax.xaxis.get_major_locator().set_params(integer=True)
        return [equal]
