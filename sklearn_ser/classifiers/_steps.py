"""Steps of training: of more clips than fit into memory at once, smaller at first, and shown."""

from __future__ import annotations

import math
from typing import Any

import torch
from skorch import NeuralNet
from skorch.callbacks import Callback, ProgressBar

__all__ = ["Progress", "WarmUp", "in_parts"]


def in_parts(size: int) -> type[NeuralNet]:
    """Return a kind of net that adds up the gradients of so many clips at a time to one step."""

    class InParts(NeuralNet):
        def train_step(self, batch: Any, **fit_params: Any) -> dict[str, Any]:
            inputs, codes = batch
            weight = self.criterion_.weight
            # What each clip counts in the mean over all of them.
            counts = torch.ones(len(codes)) if weight is None else weight.cpu()[codes]
            found = []
            self.optimizer_.zero_grad()
            for start in range(0, len(codes), size):
                part = slice(start, start + size)
                given = {name: values[part] for name, values in inputs.items()}
                step = self._backward(given, codes[part], float(counts[part].sum() / counts.sum()))
                found.append(step)
            self.optimizer_.step()
            losses, scores = zip(*found, strict=True)
            return {"loss": torch.stack(losses).sum(), "y_pred": torch.cat(scores)}

        def _backward(self, inputs: Any, codes: Any, share: float) -> tuple[Any, Any]:
            self.module_.train()
            scores = self.infer(inputs)
            loss = self.get_loss(scores, codes, X=inputs, training=True) * share
            loss.backward()
            return loss.detach(), scores.detach()

    return InParts


class WarmUp(Callback):
    """Raises the learning rates from step to step, over the first share of all steps.

    Parameters
    ----------
    share : float
    n_steps : int
        Of an epoch.
    max_epochs : int
    """

    def __init__(self, share: float, n_steps: int, max_epochs: int) -> None:
        self.share, self.n_steps, self.max_epochs = share, n_steps, max_epochs

    def on_train_begin(self, net: Any, **_: Any) -> None:
        """Remember the full rates."""
        self.rates_ = [group["lr"] for group in net.optimizer_.param_groups]

    def on_batch_begin(self, net: Any, training: bool = False, **_: Any) -> None:
        """Set the rates of a step, which its number alone tells."""
        if not training:
            return
        last = math.ceil(self.share * self.n_steps * self.max_epochs)
        step = (len(net.history) - 1) * self.n_steps + len(net.history[-1]["batches"])
        factor = min(1.0, step / last) if last else 1.0
        for group, rate in zip(net.optimizer_.param_groups, self.rates_, strict=True):
            group["lr"] = factor * rate


class Progress(ProgressBar):
    """A bar for each epoch, put away when training stops within one."""

    def on_train_end(self, net: Any, **_: Any) -> None:
        """Put the bar away."""
        if hasattr(self, "pbar_"):
            self.pbar_.close()
