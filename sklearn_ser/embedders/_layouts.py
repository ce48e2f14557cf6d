"""How a clip's record is laid out, and what of it becomes columns.

An embedder has one of these: a record is one vector (`VectorLayout`), or statistics over groups of
frames, or frames (`FrameLayout`). The base class selects by it; `docs/your_own_features.rst` shows
how a feature set of one's own does.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from sklearn_ser._utils import STATISTICS, pool

__all__ = ["FrameLayout", "VectorLayout", "check_pooling"]

Array = npt.NDArray[np.float32]


class VectorLayout:
    """One vector a clip, all of which is selected.

    Parameters
    ----------
    names : sequence of str
        The name of each feature.

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
            self.statistics = check_pooling(pooling)
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


def check_pooling(pooling: str | Sequence[str]) -> list[str]:
    """Return the statistics named, or raise a ValueError that says what can be."""
    statistics = [pooling] if isinstance(pooling, str) else list(pooling)
    if not statistics or any(statistic not in STATISTICS for statistic in statistics):
        raise ValueError(
            f"The 'pooling' parameter must be one or several of {list(STATISTICS)}, or None. Got "
            f"{pooling!r} instead."
        )
    if twice := [statistic for statistic in STATISTICS if statistics.count(statistic) > 1]:
        raise ValueError(
            f"pooling={pooling!r} names {twice[0]!r} more than once: name each statistic once."
        )
    return statistics
