"""How a clip's record is laid out, and what of it becomes columns.

An embedder has one of these: a record is one vector (`VectorLayout`), or statistics over groups of
frames, or frames (`FrameLayout`). The base class selects by it; `docs/your_own_features.rst` shows
how a feature set of one's own does. `ModelLayers` makes the layers of a pretrained model groups.
"""

from __future__ import annotations

import functools
from abc import abstractmethod
from collections.abc import Sequence
from numbers import Integral
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from sklearn_ser._utils import STATISTICS, WHOLE_NUMBER, StrOptions, is_number, pool

__all__ = [
    "POOLING",
    "FrameLayout",
    "ModelLayers",
    "VectorLayout",
    "stack_rows",
    "stack_sequences",
]

Array = npt.NDArray[np.float32]

POOLING = [StrOptions(set(STATISTICS)), list, tuple, None]


class VectorLayout:
    """One vector a clip, all of which is selected.

    Parameters
    ----------
    names : sequence of str
        The name of each feature.

    See Also
    --------
    FrameLayout : Statistics over frames, or the frames.
    BaseEmbedder : Base of embedders, which have a layout.

    Examples
    --------
    >>> from sklearn_ser.embedders import VectorLayout
    >>> VectorLayout(["loudness", "pitch"]).feature_names()
    ['loudness', 'pitch']
    """

    gives_sequences = False

    def __init__(self, names: Sequence[str]) -> None:
        self.names = list(names)
        self.rows = [0]  # of the record
        self.n_columns = len(self.names)
        self.key: dict[str, Any] = {}  # what it adds to the settings that lead to a record

    @property
    def n_features(self) -> int:
        """Number of features of a row."""
        return self.n_columns

    def feature_names(self) -> list[str]:
        """Return the name of each feature.

        Returns
        -------
        names : list of str
        """
        return self.names

    def make_record(self, computed: Array) -> Array:
        """Return the record of a clip.

        Parameters
        ----------
        computed : ndarray of shape (n_features,)
            What the embedder computed of the clip.

        Returns
        -------
        record : ndarray of shape (1, n_features), float32
        """
        vector = np.asarray(computed, dtype=np.float32).reshape(1, -1)
        if vector.shape[1] != self.n_columns:
            raise ValueError(
                f"{vector.shape[1]} values were computed of a clip, but the layout names "
                f"{self.n_columns} features."
            )
        return vector


class FrameLayout:
    """Groups of frames, pooled over time by every statistic, from which some are selected.

    A group is a sequence of frames out of the same pass over a clip: a layer of a network, the
    differences of a coefficient. A record holds all statistics of all groups, so that choosing
    others computes nothing.

    Parameters
    ----------
    groups : sequence of (int, str)
        Index and name of each group that is selected.
    dims : sequence of str
        Names of the dimensions that are selected: the first ones of those computed.
    pooling : str, sequence of str, or None
        Statistics that are selected: "mean", "std", "min", "max", "median". None selects the
        frames themselves; these are stored of the selected groups and dimensions only.

    Raises
    ------
    ValueError
        If `pooling` is none of these.

    See Also
    --------
    VectorLayout : One vector a clip.
    BaseEmbedder : Base of embedders, which have a layout.

    Examples
    --------
    >>> from sklearn_ser.embedders import FrameLayout
    >>> FrameLayout([(0, "mfcc")], ["00", "01"], ["mean", "std"]).feature_names()
    ['mfcc_mean_00', 'mfcc_mean_01', 'mfcc_std_00', 'mfcc_std_01']
    """

    def __init__(
        self,
        groups: Sequence[tuple[int, str]],
        dims: Sequence[str],
        pooling: str | Sequence[str] | None,
    ) -> None:
        self.groups, self.dims = list(groups), dims
        self.gives_sequences = pooling is None
        self.n_columns = len(dims)
        self.statistics: list[str] = []
        self.rows: list[int] | None = None  # of the record; None is all of them
        self.key: dict[str, Any] = {}
        if pooling is None:
            # Frames of every group would fill a disk.
            self.key = {"frames": {"groups": [i for i, _ in groups], "n_dims": len(dims)}}
        else:
            self.statistics = [pooling] if isinstance(pooling, str) else list(pooling)
            if not self.statistics or any(each not in STATISTICS for each in self.statistics):
                raise ValueError(
                    f"The 'pooling' parameter must be one or several of {list(STATISTICS)}, or "
                    f"None. Got {pooling!r} instead."
                )
            if twice := [each for each in STATISTICS if self.statistics.count(each) > 1]:
                raise ValueError(
                    f"pooling={pooling!r} names {twice[0]!r} more than once: name each statistic "
                    "once."
                )
            numbers = [STATISTICS.index(statistic) for statistic in self.statistics]
            self.rows = [len(STATISTICS) * i + k for i, _ in groups for k in numbers]

    @property
    def n_features(self) -> int:
        """Number of features of a row, or of a frame."""
        return self.n_columns * len(self.groups if self.rows is None else self.rows)

    def feature_names(self) -> list[str]:
        """Return the name of each feature: group_statistic_dim, or dim_statistic without a group.

        Returns
        -------
        names : list of str
        """
        return [
            "_".join(part for part in ((group, k, dim) if group else (dim, k)) if part)
            for _, group in self.groups
            for k in self.statistics or [""]
            for dim in self.dims
        ]

    def make_record(self, computed: Array) -> Array:
        """Return the record of a clip.

        Parameters
        ----------
        computed : ndarray of shape (n_groups, n_frames, n_dims)
            All frames that the embedder computed of the clip.

        Returns
        -------
        record : ndarray of shape (n_groups * n_statistics, n_dims), float32
            Or the frames of the selected groups side by side, of shape (n_frames, n_features).
        """
        computed = np.asarray(computed)
        last = max(i for i, _ in self.groups)
        if computed.ndim != 3 or len(computed) <= last or computed.shape[2] < self.n_columns:
            raise ValueError(
                f"frames of the shape {computed.shape} were computed of a clip, but the layout "
                f"selects up to group {last} and {self.n_columns} dimensions: the shape is "
                "(n_groups, n_frames, n_dims)."
            )
        if self.gives_sequences:
            frames = [computed[i][:, : self.n_columns] for i, _ in self.groups]
            return np.concatenate(frames, axis=1)
        return pool(computed).reshape(-1, computed.shape[-1])


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
        """Return the model's configuration, without reading its weights."""
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
        """Return index and name of each layer that `layer` selects: a layout's groups."""
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


def stack_rows(
    parts: Sequence[Array | None], layout: VectorLayout | FrameLayout, fill_value: float
) -> Array:
    """Return the selected columns of each clip's rows, of shape (n_clips, n_features)."""
    usable = [part for part in parts if part is not None]
    if usable and len(usable) == len(parts):  # hundreds of times in a search: no second copy
        found = np.concatenate(usable).reshape(len(usable), -1, usable[0].shape[1])
        return found[:, :, : layout.n_columns].reshape(len(usable), -1)
    embedded = np.full((len(parts), layout.n_features), fill_value, dtype=np.float32)
    for row, part in zip(embedded, parts, strict=True):
        if part is not None:
            row[:] = part[:, : layout.n_columns].ravel()
    return embedded


def stack_sequences(
    parts: Sequence[Array | None], layout: VectorLayout | FrameLayout, fill_value: float
) -> npt.NDArray[np.object_]:
    """Return the frames of each clip."""
    sequences = np.empty(len(parts), dtype=object)
    given = set()
    for i, part in enumerate(parts):
        if part is None:
            part = np.full((1, layout.n_features), fill_value, dtype=np.float32)
        # Nobody may change what the store remembers, or another clip with equal content.
        shared = not part.flags.writeable or id(part) in given
        sequences[i] = part.copy() if shared else part
        given.add(id(part))
    return sequences
