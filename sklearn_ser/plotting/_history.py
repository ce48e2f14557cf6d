"""The curves of training."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

__all__ = ["HistoryDisplay"]


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
        if figure is None:
            from matplotlib.figure import Figure

            figure = Figure(figsize=(9, 3.5), layout="constrained")
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
