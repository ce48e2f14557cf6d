"""Statistics over the frames of a clip, for embedders and speech models."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

STATISTICS = ("mean", "std", "min", "max", "median")
BLOCK = 1 << 21  # values that are copied at once
# Dimensions that are summed together at least: NumPy adds up a single one in another order.
MIN_DIMS = 8


def pool(frames: npt.NDArray[np.floating]) -> npt.NDArray[np.float32]:
    """Return every statistic of a clip over its frames.

    Parameters
    ----------
    frames : ndarray of shape (..., n_frames, n_dims)
        One or more frames; leading axes are kept.

    Returns
    -------
    pooled : ndarray of shape (..., n_statistics, n_dims), float32
        In the order of `STATISTICS`. The standard deviation is that of the population (no
        correction), so that a clip of one frame has 0. Sums run in float64.
    """
    if frames.size <= BLOCK:
        return _pool(frames).astype(np.float32)
    n_dims = frames.shape[-1]
    pooled = np.empty((*frames.shape[:-2], len(STATISTICS), n_dims), dtype=np.float32)
    # Some dimensions at a time, so that copies for sums and sorting stay small.
    width = max(MIN_DIMS, BLOCK // max(1, frames.shape[-2]))
    for index in np.ndindex(*frames.shape[:-2]):
        for first in range(0, max(1, n_dims - MIN_DIMS + 1), width):
            stop = n_dims if n_dims - first - width < MIN_DIMS else first + width
            pooled[index][:, first:stop] = _pool(frames[index][:, first:stop])
    return pooled


def _pool(frames: npt.NDArray[np.floating]) -> npt.NDArray[np.floating]:
    # What is not finite becomes an error where the record is checked, with the name of its clip.
    with np.errstate(invalid="ignore", over="ignore"):
        exact = frames.astype(np.float64)
        mean = exact.mean(axis=-2)
        exact -= mean[..., np.newaxis, :]
        # Each dimension's values side by side: four times as fast to sort.
        ordered = np.array(np.swapaxes(frames, -1, -2), order="C", copy=True)
        ordered.sort(axis=-1)
        n_frames = ordered.shape[-1]
        low, high = ordered[..., 0], ordered[..., -1]
        low = np.where(np.isnan(high), high, low)  # what is no number sorts last
        middle = ordered[..., (n_frames - 1) // 2].astype(np.float64) + ordered[..., n_frames // 2]
        return np.stack(
            [
                mean,
                np.sqrt(np.square(exact, out=exact).mean(axis=-2)),
                low,
                high,
                np.where(np.isnan(high), high, middle / 2),
            ],
            axis=-2,
        )
