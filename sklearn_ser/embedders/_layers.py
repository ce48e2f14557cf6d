"""What all embedders of a pretrained model's layers have in common."""

from __future__ import annotations

import functools
from abc import abstractmethod
from numbers import Integral
from pathlib import Path
from typing import Any, ClassVar

from sklearn_ser._utils import WHOLE_NUMBER, StrOptions, is_number
from sklearn_ser.embedders._base import POOLING
from sklearn_ser.embedders._layouts import FrameLayout

__all__ = ["ModelLayers"]


class ModelLayers:
    """What makes the layers of a pretrained model, and after them their mean, groups of frames.

    Embedders that inherit from it, before the base class, have the parameters `model`, `layer`,
    `revision`, `device` and `pooling`.
    """

    model: str
    layer: Any
    device: str
    pooling: Any

    layer_constraints: ClassVar[dict[str, list[Any]]] = {
        "model": [str],
        "layer": [WHOLE_NUMBER, StrOptions({"middle", "mean", "all"}), "array-like"],
        "revision": [str, None],
        "device": [str],
        "pooling": POOLING,
    }

    @abstractmethod
    def model_folder(self) -> Path:
        """Return where the model's files are, which may be downloaded for this.

        Returns
        -------
        folder : Path
        """

    @property
    def n_layers(self) -> int:
        """Number of the model's transformer layers."""
        return int(self._config().num_hidden_layers)

    def _config(self) -> Any:
        from sklearn_ser._models import read_config

        return read_config(self.model_folder())

    def layout(self) -> FrameLayout:
        """Return the selected layers as groups.

        Returns
        -------
        layout : FrameLayout
        """
        return FrameLayout(self._layers(), _numbers(self._config().hidden_size), self.pooling)

    def _layers(self) -> list[tuple[int, str]]:
        n_layers = self.n_layers
        if is_number(self.layer):
            layers = [self.layer]
        elif not isinstance(self.layer, str):
            layers = list(self.layer)
        elif self.layer == "mean":
            return [(n_layers + 1, "layermean")]
        else:
            layers = [n_layers // 2] if self.layer == "middle" else list(range(n_layers + 1))
        there = range(-n_layers - 1, n_layers + 1)
        if not layers or not all(is_number(k, Integral) and k in there for k in layers):
            raise ValueError(
                f"layer={self.layer!r}, but {self.model} has layers 0 to {n_layers} (or "
                f"{-n_layers - 1} to -1, from the end)."
            )
        layers = [int(k) % (n_layers + 1) for k in layers]
        if twice := {k for k in layers if layers.count(k) > 1}:
            raise ValueError(
                f"layer={self.layer!r} names layer {min(twice)} of {self.model} more than once: "
                "name each layer once."
            )
        return [(k, f"layer{k}") for k in layers]


@functools.cache  # asked for by every fold of a search
def _numbers(n_dims: int) -> tuple[str, ...]:
    return tuple(f"{i:04d}" for i in range(n_dims))
