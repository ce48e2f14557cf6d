"""Windows over a clip too long for every frame to attend to every other.

Attention grows with the square of the number of frames. Beyond a limit it runs in windows that
look a little further on both sides than the frames they give; each frame is given once.
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["CONTEXT", "FULL", "LENGTH", "Window", "windows"]

FULL = 40.0  # seconds up to which attention is over the whole clip, by default
LENGTH = 30.0  # seconds of a window, context included
CONTEXT = 2.0  # seconds on each side


@dataclass(frozen=True)
class Window:
    """Frames to run, ``start:stop``, and those of them to keep, ``keep`` counted from `start`."""

    start: int
    stop: int
    keep: slice


def windows(n_frames: int, length: int, context: int, multiple: int = 1) -> list[Window]:
    """Cut frames into windows of about equal length.

    Parameters
    ----------
    n_frames : int
        Frames of the clip.
    length, context : int
        Most frames of a window, and how many of them only lend context on each side.
    multiple : int
        Windows start at multiples of it, as the model joins so many frames to one.
    """
    most = max(multiple, length - 2 * context)
    count = -(-n_frames // most)
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
