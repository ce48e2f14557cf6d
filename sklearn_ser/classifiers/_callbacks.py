"""What is added to skorch's loop: weights of clips, accumulated gradients, warm-up, checkpoints.

Used by the training of networks and by `FineTunedClassifier`.
"""

from __future__ import annotations

import hashlib
import io
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import torch
from skorch import NeuralNet
from skorch.callbacks import Callback, ProgressBar
from torch.nn.functional import cross_entropy

from sklearn_ser._utils import warn, write_atomically

__all__ = ["Checkpoint", "EpochProgress", "Net", "WarmUp", "WeightedLoss", "in_parts"]


class WeightedLoss(torch.nn.CrossEntropyLoss):
    """Mean of the clips' losses, each times the weight of its emotion, whatever batch it is in.

    PyTorch's own divides by the weights in a batch: in a batch of one emotion they would cancel.
    """

    def forward(self, scores: torch.Tensor, codes: torch.Tensor) -> torch.Tensor:
        return cross_entropy(scores, codes, weight=self.weight, reduction="none").mean()


class Net(NeuralNet):
    """skorch's, which takes Ctrl-C for the end of training: `interrupt_` is what ended it, if any.

    Early stopping ends training in the same way.
    """

    interrupt_: KeyboardInterrupt | None = None

    def fit_loop(self, *args: Any, **fit_params: Any) -> Net:
        """Train until the epochs or the patience are over, or someone interrupts."""
        try:
            super().fit_loop(*args, **fit_params)
        except KeyboardInterrupt as interrupt:
            stop = _early_stopping(self)
            if stop.misses_ < stop.patience:
                self.interrupt_ = interrupt
            raise
        return self


def in_parts(size: int) -> type[Net]:
    """Return a kind of net that adds up the gradients of so many clips at a time to one step."""

    class InParts(Net):
        def train_step(self, batch: Any, **fit_params: Any) -> dict[str, Any]:
            inputs, codes = batch
            found = []
            self.optimizer_.zero_grad()
            for start in range(0, len(codes), size):
                part = slice(start, start + size)
                part_inputs = {name: values[part] for name, values in inputs.items()}
                found.append(self._backward(part_inputs, codes[part], len(codes)))
            self.optimizer_.step()
            losses, scores = zip(*found, strict=True)
            return {"loss": torch.stack(losses).sum(), "y_pred": torch.cat(scores)}

        def _backward(self, inputs: Any, codes: Any, n_clips: int) -> tuple[Any, Any]:
            self.module_.train()
            scores = self.infer(inputs)
            share = len(codes) / n_clips
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
        """Set the rates of a step, which depends on its number alone."""
        if not training:
            return
        last = math.ceil(self.share * self.n_steps * self.max_epochs)
        step = (len(net.history) - 1) * self.n_steps + len(net.history[-1]["batches"])
        factor = min(1.0, step / last) if last else 1.0
        for group, rate in zip(net.optimizer_.param_groups, self.rates_, strict=True):
            group["lr"] = factor * rate


class EpochProgress(ProgressBar):
    """A bar for each epoch, put away when training stops within one."""

    def on_train_end(self, net: Any, **_: Any) -> None:
        """Put the bar away."""
        if hasattr(self, "pbar_"):
            self.pbar_.close()


DIGEST = 32  # bytes at the start of a file


class Checkpoint(Callback):
    """Keeps what training needs to resume after each epoch.

    What is drawn at random in an epoch depends on the seed and the number of the epoch alone, so
    that a resumed run is the same as one that was never interrupted.

    Parameters
    ----------
    path : Path or None
        A file, which is complete whenever the process dies. None
        keeps nothing.
    seed : int
    max_epochs : int
    """

    def __init__(self, path: Path | None, seed: int, max_epochs: int) -> None:
        self.path, self.seed, self.max_epochs = path, seed, max_epochs

    def on_train_begin(self, net: Any, **_: Any) -> None:
        """Resume from what is kept, if anything."""
        state = self._read()
        if state is None:
            return
        stop = _early_stopping(net)
        curves, (stop.misses_, stop.dynamic_threshold_, stop.best_epoch_) = json.loads(state["run"])
        stop.best_model_weights_ = state["best"]
        net.history.extend(curves)
        net.module_.load_state_dict(state["weights"])
        if state["optimizer"] is None:
            net.max_epochs = 0
        else:
            net.optimizer_.load_state_dict(state["optimizer"])
            net.max_epochs = self.max_epochs - len(curves)

    def on_epoch_begin(self, net: Any, **_: Any) -> None:
        """Seed what is drawn in this epoch."""
        seeds = np.random.SeedSequence([self.seed, len(net.history)]).generate_state(2)
        torch.manual_seed(int(seeds[0]))
        net.iterator_train__generator.manual_seed(int(seeds[1]))

    def on_epoch_end(self, net: Any, **_: Any) -> None:
        """Keep the state after an epoch."""
        best = _early_stopping(net).best_model_weights_
        self._write(net, {"best": best, "optimizer": net.optimizer_.state_dict()})

    def on_train_end(self, net: Any, **_: Any) -> None:
        """Keep the result alone, which the best weights now are."""
        if net.interrupt_ is None:
            self._write(net, {"best": None, "optimizer": None})

    def _write(self, net: Any, state: dict[str, Any]) -> None:
        if self.path is None:
            return
        stop = _early_stopping(net)
        stopping = (stop.misses_, stop.dynamic_threshold_, stop.best_epoch_)
        run = json.dumps([_curves(net), stopping])
        buffer = io.BytesIO()
        torch.save({"run": run, "weights": net.module_.state_dict(), **state}, buffer)
        self.path.parent.mkdir(parents=True, exist_ok=True)
        content = buffer.getbuffer()
        write_atomically(self.path, hashlib.sha256(content).digest(), content, sync=True)

    def _read(self) -> Any:
        if self.path is None or not self.path.exists():
            return None
        content = self.path.read_bytes()
        if hashlib.sha256(content[DIGEST:]).digest() != content[:DIGEST]:
            warn(
                f"the checkpoint {self.path} is damaged; training starts anew and overwrites it.",
            )
            return None
        return torch.load(io.BytesIO(content[DIGEST:]), map_location="cpu", weights_only=True)


def _early_stopping(net: Any) -> Any:
    return dict(net.callbacks_)["stop"]


def _curves(net: Any) -> list[dict[str, Any]]:
    """Return the history of the epochs that were finished, without that of their batches."""
    return [
        {name: value for name, value in epoch.items() if isinstance(value, (int, float))}
        for epoch in net.history
        if "valid_loss" in epoch
    ]
