"""Windows over a clip too long for every frame to attend to every other, and their statistics.

Attention grows with the square of the number of frames. Beyond a limit it runs in windows that
look a little further on both sides than the frames they give; each frame is given once.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from sklearn_ser._utils import pool

__all__ = ["CONTEXT", "FULL", "LENGTH", "Moments", "Window", "windows"]

Array = npt.NDArray[np.float32]

FULL = 40.0  # seconds up to which attention is over the whole clip, by default
LENGTH = 30.0  # seconds of a window, context included
CONTEXT = 2.0  # seconds on each side
MEDIAN_FRAMES = 6000  # two minutes


@dataclass(frozen=True)
class Window:
    """Frames to run, ``start:stop``, and those of them to keep, ``keep`` counted from `start`."""

    start: int
    stop: int
    keep: slice


def windows(n_frames: int, length: int, context: int, multiple: int = 1) -> list[Window]:
    """Return windows of about equal length, into which frames are cut.

    Parameters
    ----------
    n_frames : int
        Frames of the clip.
    length, context : int
        Maximal number of frames of a window, and how many of them are context on each side.
    multiple : int
        Windows start at multiples of it, as the model joins so many frames to one.
    """
    kept = max(multiple, length - 2 * context)
    count = -(-n_frames // kept)
    size = -(-n_frames // count)
    size = -(-size // multiple) * multiple
    context = -(-context // multiple) * multiple
    found = []
    for first in range(0, n_frames, size):
        start, last = max(0, first - context), min(n_frames, first + size)
        stop = min(n_frames, last + context)
        keep = slice((first - start) // multiple, (last - start) // multiple)
        if keep.start < keep.stop:  # a last frame that cannot be joined to another is none
            found.append(Window(start, stop, keep))
    return found


class Moments:
    """Statistics of a clip whose frames come window by window and are not kept.

    Mean and deviation are merged in float64. The median of more than two minutes is taken over
    every k-th frame, k the smallest that keeps `MEDIAN_FRAMES` or fewer.

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
        self._min: Any
        self._max: Any
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
        low, high = frames.min(axis=-2), frames.max(axis=-2)
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
            self._min = np.minimum(self._min, low)
            self._max = np.maximum(self._max, high)
        else:
            self._mean, self._squares, self._min, self._max = mean, squares, low, high
        self._seen += n_new

    def statistics(self) -> Array:
        """Return the statistics, of shape (..., n_statistics, n_dims), in `pool`'s order."""
        std = np.sqrt(self._squares / self._seen)
        sampled = self._sampled[..., : self._n_sampled, :]
        median = np.stack([pool(frames)[-1] for frames in sampled])
        return np.stack([self._mean, std, self._min, self._max, median], axis=-2).astype("f4")
