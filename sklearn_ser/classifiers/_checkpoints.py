"""Training that may be killed at any time, and goes on from its last epoch."""

from __future__ import annotations

import hashlib
import io
import json
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import torch
from skorch.callbacks import Callback

from sklearn_ser._utils import write_atomically

__all__ = ["Checkpoint"]

DIGEST = 32  # bytes at the start of a file


class Checkpoint(Callback):
    """Keeps what training needs to go on after each epoch.

    What is drawn at random in an epoch depends on the seed and the number of the epoch alone, so
    that a run which went on is the same as one that was never interrupted.

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
        """Go on from what is kept, if anything."""
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
        stop = _early_stopping(net)
        if stop.misses_ < stop.patience and len(_curves(net)) < self.max_epochs:
            raise KeyboardInterrupt  # the user's own, which skorch takes for the end of training
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
            warnings.warn(
                f"the checkpoint {self.path} is damaged; training starts anew and overwrites it.",
                stacklevel=2,
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
