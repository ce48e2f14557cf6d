"""How much each layer counts."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["LayerWeightsDisplay"]


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
        if ax is None:
            from matplotlib.figure import Figure

            ax = Figure(figsize=(6, 3.5), layout="constrained").add_subplot()
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
