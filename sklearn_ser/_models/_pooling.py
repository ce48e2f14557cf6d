"""Statistics over frames where the frames are: on the GPU, in threads, or window by window."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from sklearn_ser._models._batching import valid_frames
from sklearn_ser._models._front_end import to_device
from sklearn_ser._utils import pool

__all__ = ["Moments", "frames_of", "pool_padded", "pool_states"]

Array = npt.NDArray[np.float32]

MEDIAN_FRAMES = 6000  # two minutes


def pool_padded(frames: torch.Tensor, n_frames: Sequence[int]) -> torch.Tensor:
    """Return what `sklearn_ser._utils._pooling.pool` does, for a padded batch, on its own device.

    Parameters
    ----------
    frames : tensor of shape (n_clips, n_frames, n_dims)
    n_frames : sequence of int
        How many frames of each clip are valid.

    Returns
    -------
    pooled : tensor of shape (n_clips, n_statistics, n_dims), float32
    """
    mask = valid_frames(n_frames, frames.shape[1], frames.device)[..., None]
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
        self._n_frames, self._seen = n_frames, 0
        self._mean: Any
        self._squares: Any
        self._least: Any
        self._most: Any
        self._sampled: Array
        self._n_sampled = 0

    def add(self, frames: Array) -> None:
        """Add frames of shape (..., n_frames, n_dims), in order."""
        with np.errstate(invalid="ignore", over="ignore"):
            self._add(frames)

    def _add(self, frames: Array) -> None:
        n_new = frames.shape[-2]
        mean = frames.mean(axis=-2, dtype=np.float64)
        squares = np.square(frames - mean[..., np.newaxis, :]).sum(axis=-2)
        least, most = frames.min(axis=-2), frames.max(axis=-2)
        sampled = frames[..., -self._seen % self.step :: self.step, :]
        if not self._seen:  # all at once: what is kept piece by piece leaves holes in memory
            n_all = -(-self._n_frames // self.step)
            shape = (*frames.shape[:-2], n_all, frames.shape[-1])
            self._sampled = np.empty(shape, frames.dtype)
        first, self._n_sampled = self._n_sampled, self._n_sampled + sampled.shape[-2]
        self._sampled[..., first : self._n_sampled, :] = sampled
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

    def statistics(self) -> Array:
        """Return the statistics, of shape (..., n_statistics, n_dims), in `pool`'s order."""
        std = np.sqrt(self._squares / self._seen)
        sampled = self._sampled[..., : self._n_sampled, :]
        median = np.stack([_pool(frames)[-1] for frames in sampled])
        return np.stack([self._mean, std, self._least, self._most, median], axis=-2).astype("f4")


def frames_of(states: Sequence[torch.Tensor], layers: Sequence[int]) -> Array:
    """Return some layers of a batch of one clip, of shape (len(layers), n_frames, n_dims)."""
    return np.stack([_numpy(state[0]) for state in _select(states, layers)])


def pool_states(
    states: Sequence[torch.Tensor], n_frames: Sequence[int], layers: Sequence[int]
) -> list[Array]:
    """Return every statistic of some layers of a padded batch, one array a clip.

    Parameters
    ----------
    states : sequence of tensors of shape (n_clips, n_frames, n_dims)
        Of layer 0 and those after it.
    n_frames : sequence of int
        How many frames of each clip are valid.
    layers : sequence of int
        One more than there are states is their mean.
    """
    if states[0].is_cuda:
        pooled = [pool_padded(state, n_frames) for state in _select(states, layers)]
        return list(torch.stack(pooled, dim=1).cpu().numpy())
    of_clips = [[state[i, :n] for state in states] for i, n in enumerate(n_frames)]
    # What is not finite becomes an error where the record is checked, with the name of its clip.
    # Converted here: a thread that calls torch gets threads of its own from it.
    arrays = (map(_numpy, _select(of_clip, layers)) for of_clip in of_clips)
    if torch.get_num_threads() == 1:
        return [np.stack(list(map(_pool, of_clip))) for of_clip in arrays]
    with ThreadPoolExecutor(torch.get_num_threads()) as threads:  # sorting for the median
        found = [threads.map(_pool, of_clip) for of_clip in arrays]
        return [np.stack(list(of_clip)) for of_clip in found]


def _pool(frames: Array) -> Array:
    with np.errstate(invalid="ignore", over="ignore"):
        return pool(frames)


def _select(states: Sequence[torch.Tensor], layers: Sequence[int]) -> Iterator[torch.Tensor]:
    for layer in layers:
        if layer < len(states):
            yield states[layer]
        else:
            yield sum(state.float() for state in states) / len(states)  # type: ignore[misc]


def _numpy(state: torch.Tensor) -> Array:
    array: Array = state.float().cpu().numpy()
    return array
