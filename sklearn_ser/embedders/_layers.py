"""What all embedders of a pretrained model's layers have in common."""

from __future__ import annotations

import functools
from abc import abstractmethod
from numbers import Integral
from pathlib import Path
from typing import Any

import numpy as np

from sklearn_ser._utils import StrOptions
from sklearn_ser.embedders._base import BaseEmbedder

__all__ = ["LayerEmbedder"]


class LayerEmbedder(BaseEmbedder):
    """Base of the embedders whose groups are a model's layers, and after them the layers' mean.

    Subclasses have the parameters `model`, `layer`, `revision` and `device` too.
    """

    _parameter_constraints = {
        **BaseEmbedder._parameter_constraints,
        "model": [str],
        "layer": [Integral, StrOptions({"middle", "mean", "all"}), "array-like"],
        "revision": [str, None],
        "device": [str],
    }

    @abstractmethod
    def _folder(self) -> Path:
        """Return where the model's files are."""

    @property
    def n_layers(self) -> int:
        """Number of the model's transformer layers."""
        return int(self._config().num_hidden_layers)

    def _config(self) -> Any:
        from sklearn_ser._models import read_config

        return read_config(self._folder())

    def _groups(self) -> list[tuple[int, str]]:
        n_layers = self.n_layers
        if not isinstance(self.layer, str):
            layers = list(np.atleast_1d(self.layer))
        elif self.layer == "mean":
            return [(n_layers + 1, "layermean")]
        else:
            layers = [n_layers // 2] if self.layer == "middle" else list(range(n_layers + 1))
        there = range(-n_layers - 1, n_layers + 1)
        if not layers or not all(isinstance(k, Integral) and k in there for k in layers):
            raise ValueError(
                f"layer={self.layer!r}, but {self.model} has layers 0 to {n_layers} (or "
                f"{-n_layers - 1} to -1, from the end)."
            )
        layers = [int(k) % (n_layers + 1) for k in layers]
        return [(k, f"layer{k}") for k in layers]

    def _dims(self) -> list[str]:
        return list(_numbers(self._config().hidden_size))


@functools.cache  # asked for by every fold of a search
def _numbers(n_dims: int) -> tuple[str, ...]:
    return tuple(f"{i:04d}" for i in range(n_dims))
