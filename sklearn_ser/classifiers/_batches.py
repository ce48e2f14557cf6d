"""Batches of sequences, padded to the longest, for networks that read frames.

Used by `SequenceClassifier`, `FineTunedClassifier` and the training loop.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler

__all__ = ["ByLength", "ReadAhead", "Sequences", "padded"]

Array = npt.NDArray[Any]
SORTED = 4  # batches; of more, those of long clips would hold other emotions than the rest


class Sequences(Dataset[Any]):
    """Pairs of a clip's frames and its emotion's code, read a batch at a time.

    Parameters
    ----------
    clips : indexable by an ndarray of int
        Gives arrays of shape (n_frames, n_features).
    rows : ndarray of int
        Which of them.
    codes : ndarray of shape (n_clips,), int, or None
        Codes of the emotions of all clips; None in prediction.
    check : callable, default=None
        Raises an error if a clip's frames are not what they should be; takes them, and the clip's
        row.
    """

    def __init__(
        self,
        clips: Any,
        rows: Array,
        codes: Array | None,
        check: Callable[[Array, int], None] | None = None,
    ) -> None:
        self.clips, self.rows, self.check = clips, rows, check
        self.targets = np.zeros(len(rows), np.int64) if codes is None else codes[rows]

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, i: int) -> tuple[Array, int]:
        return self.__getitems__([i])[0]

    def __getitems__(self, batch: list[int]) -> list[tuple[Array, int]]:
        """Return the pairs of a batch, all read at once."""
        rows = self.rows[np.asarray(batch)]
        found = self.clips[rows]
        if self.check is not None:
            for frames, row in zip(found, rows.tolist(), strict=True):
                self.check(frames, row)
        return [(frames, int(self.targets[i])) for frames, i in zip(found, batch, strict=True)]


def padded(pairs: list[tuple[Array, int]], scaler: Any = None) -> tuple[dict[str, Tensor], Tensor]:
    """Return padded frames with a mask of what is not padding, and codes.

    Parameters
    ----------
    pairs : list of (ndarray of shape (n_frames,) or (n_frames, n_features), int)
    scaler : StandardScaler, default=None
        What frames are standardised by.
    """
    lengths = np.array([len(values) for values, _ in pairs])
    mask = torch.from_numpy(np.arange(lengths.max()) < lengths[:, None])
    # NumPy, unlike torch, asks for large pages, and touching memory is most of what this takes.
    frames = np.empty((*mask.shape, *pairs[0][0].shape[1:]), np.float32)
    if scaler is not None:
        mean, scale = (x.astype(np.float32) for x in (scaler.mean_, scaler.scale_))
    for clip, (values, _) in zip(frames, pairs, strict=True):
        valid = clip[: len(values)]
        clip[len(values) :] = 0
        if scaler is None:
            valid[...] = values
        else:
            np.subtract(values, mean, out=valid)
            valid /= scale
    codes = torch.tensor([code for _, code in pairs])
    return {"frames": torch.from_numpy(frames), "mask": mask}, codes


class ByLength(Sampler[int]):
    """Draws clips so that those of a batch are about equally long, and little of it is padding.

    All clips are shuffled, a few batches' worth sorted, and these batches shuffled: a batch is
    another one in every epoch.

    Parameters
    ----------
    lengths : ndarray of shape (n_clips,), int
        Numbers of frames.
    batch_size : int
    generator : torch.Generator
    """

    def __init__(self, lengths: Array, batch_size: int, generator: torch.Generator) -> None:
        self.lengths, self.batch_size, self.generator = lengths, batch_size, generator

    def __len__(self) -> int:
        return len(self.lengths)

    def __iter__(self) -> Iterator[int]:
        order = torch.randperm(len(self), generator=self.generator).numpy()
        whole, rest = np.split(order, [len(order) - len(order) % self.batch_size])
        batches: list[Array] = []
        for start in range(0, len(whole), SORTED * self.batch_size):
            some = whole[start : start + SORTED * self.batch_size]
            some = some[np.argsort(self.lengths[some], kind="stable")]
            batches.extend(some.reshape(-1, self.batch_size))
        for i in torch.randperm(len(batches), generator=self.generator).tolist():
            yield from batches[i].tolist()
        yield from rest.tolist()


class ReadAhead(DataLoader[Any]):
    """Reads the next batch in a thread while the network trains on the last one."""

    def __iter__(self) -> Iterator[Any]:  # type: ignore[override]
        batches = super().__iter__()
        with ThreadPoolExecutor(1) as thread:
            ahead = thread.submit(next, batches, None)
            while (batch := ahead.result()) is not None:
                ahead = thread.submit(next, batches, None)
                yield batch
