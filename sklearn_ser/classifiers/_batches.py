"""Batches of sequences, padded to the longest."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.utils.data import Dataset

__all__ = ["Sequences", "padded"]

Array = npt.NDArray[Any]


class Sequences(Dataset[Any]):
    """Pairs of a clip's frames and its emotion's code, read a batch at a time.

    Parameters
    ----------
    clips : indexable by an ndarray of int
        Gives arrays of shape (n_frames, n_features).
    rows : ndarray of int
        Which of them.
    targets : ndarray of shape (n_rows,), int
        Codes of their emotions.
    inputs : callable
        What is done to a clip's frames.
    """

    def __init__(
        self, clips: Any, rows: Array, targets: Array, inputs: Callable[[Array], Array]
    ) -> None:
        self.clips, self.rows, self.targets, self.inputs = clips, rows, targets, inputs

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, i: int) -> tuple[Array, int]:
        return self.__getitems__([i])[0]

    def __getitems__(self, batch: list[int]) -> list[tuple[Array, int]]:
        """Return the pairs of a batch, all read at once."""
        found = self.clips[self.rows[np.asarray(batch)]]
        return [
            (self.inputs(frames), int(self.targets[i]))
            for frames, i in zip(found, batch, strict=True)
        ]


def padded(pairs: list[tuple[Array, int]]) -> tuple[dict[str, Tensor], Tensor]:
    """Return padded frames with a mask of what is not padding, and codes."""
    frames = [torch.from_numpy(values) for values, _ in pairs]
    lengths = torch.tensor([len(values) for values in frames])
    mask = torch.arange(int(lengths.max()))[None, :] < lengths[:, None]
    batch = torch.nn.utils.rnn.pad_sequence(frames, batch_first=True)
    return {"frames": batch, "mask": mask}, torch.tensor([code for _, code in pairs])
