"""Statistics over frames where the frames are: on the GPU, or window by window."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from sklearn_ser.pooling import pool
from sklearn_ser.speech_models._batching import own
from sklearn_ser.speech_models._front_end import to_device

__all__ = ["Moments", "pool_padded"]

MEDIAN_FRAMES = 6000  # two minutes


def pool_padded(frames: torch.Tensor, n_frames: Sequence[int]) -> torch.Tensor:
    """Return what `sklearn_ser.pooling.pool` does, for a padded batch, on its own device.

    Parameters
    ----------
    frames : tensor of shape (n_clips, n_frames, n_dims)
    n_frames : sequence of int
        How many of them are each clip's own.

    Returns
    -------
    pooled : tensor of shape (n_clips, n_statistics, n_dims), float32
    """
    mask = own(n_frames, frames.shape[1], frames.device)[..., None]
    counts = to_device(torch.as_tensor(n_frames), frames.device)
    frames = frames.float()
    exact = frames.double().masked_fill_(~mask, 0)  # padding may hold anything
    mean = exact.sum(1) / counts[:, None]
    deviations = (exact - mean[:, None]).square_() * mask
    std = (deviations.sum(1) / counts[:, None]).sqrt()
    ordered = frames.masked_fill(~mask, float("inf")).sort(dim=1).values
    index = torch.stack([torch.zeros_like(counts), (counts - 1) // 2, counts // 2, counts - 1])
    index = index.T[..., None].expand(-1, -1, frames.shape[2])
    least, below, above, most = ordered.gather(1, index).unbind(1)
    median = (below.double() + above) / 2
    return torch.stack([mean.float(), std.float(), least, most, median.float()], dim=1)


class Moments:
    """Statistics of a clip whose frames come window by window and are not kept.

    Mean and deviation are merged in float64. The median of more than two minutes is taken over
    every k-th frame, k the least that keeps `MEDIAN_FRAMES` or fewer.

    Parameters
    ----------
    n_frames : int
        Number of frames that will come.
    """

    def __init__(self, n_frames: int) -> None:
        self.step = -(-n_frames // MEDIAN_FRAMES)
        self._seen = 0
        self._mean: Any
        self._squares: Any
        self._least: Any
        self._most: Any
        self._sampled: list[npt.NDArray[np.float32]] = []

    def add(self, frames: npt.NDArray[np.float32]) -> None:
        """Add frames of shape (..., n_frames, n_dims), in order."""
        n_new = frames.shape[-2]
        mean = frames.mean(axis=-2, dtype=np.float64)
        squares = np.square(frames - mean[..., np.newaxis, :]).sum(axis=-2)
        least, most = frames.min(axis=-2), frames.max(axis=-2)
        self._sampled.append(frames[..., -self._seen % self.step :: self.step, :].copy())
        if self._seen:
            n_all = self._seen + n_new
            shift = mean - self._mean
            self._mean = self._mean + shift * (n_new / n_all)
            self._squares += squares + np.square(shift) * (self._seen * n_new / n_all)
            self._least = np.minimum(self._least, least)
            self._most = np.maximum(self._most, most)
        else:
            self._mean, self._squares, self._least, self._most = mean, squares, least, most
        self._seen += n_new

    def statistics(self) -> npt.NDArray[np.float32]:
        """Return the statistics, of shape (..., n_statistics, n_dims), in `pool`'s order."""
        std = np.sqrt(self._squares / self._seen)
        median = np.stack(
            [pool(np.concatenate(parts, axis=-2))[-1] for parts in zip(*self._sampled, strict=True)]
        )
        return np.stack([self._mean, std, self._least, self._most, median], axis=-2).astype("f4")
