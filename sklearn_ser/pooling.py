"""Statistics over the frames of a clip."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

__all__ = ["STATISTICS", "pool"]

STATISTICS = ("mean", "std", "min", "max", "median")


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
    exact = frames.astype(np.float64)
    return np.stack(
        [
            exact.mean(axis=-2),
            exact.std(axis=-2),
            frames.min(axis=-2),
            frames.max(axis=-2),
            np.median(frames, axis=-2),
        ],
        axis=-2,
    ).astype(np.float32)
