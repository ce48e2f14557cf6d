"""Statistics over frames where the frames are: on the GPU, in threads, or window by window."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import numpy.typing as npt
import torch

from sklearn_ser._models._running import to_device, valid_frames
from sklearn_ser._utils import pool

__all__ = ["frames_of", "pool_padded", "pool_states"]

Array = npt.NDArray[np.float32]


def pool_padded(frames: torch.Tensor, n_frames: Sequence[int]) -> torch.Tensor:
    """Return what `pool` does, for a padded batch, on its own device.

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
    low, below, above, high = ordered.gather(1, index).unbind(1)
    median = (below.double() + above) / 2
    return torch.stack([mean.float(), std.float(), low, high, median.float()], dim=1)


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
