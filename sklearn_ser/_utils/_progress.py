"""How far an extraction is: clips, hours of audio, times real time, time left."""

from __future__ import annotations

import time
from typing import Any

from tqdm.auto import tqdm

__all__ = ["Progress"]


class Progress:
    """A progress bar in a terminal or a notebook, or nothing.

    Parameters
    ----------
    n_clips : int
    description : str
        What is extracted.
    shown : bool
        Whether to show it.
    """

    def __init__(self, n_clips: int, description: str, shown: bool) -> None:
        self._bar = tqdm(total=n_clips, desc=description, unit="clip", disable=not shown)
        self._shown = shown
        self._seconds = 0.0
        self._started = time.perf_counter()

    def update(self, clip: Any) -> None:
        """Count one clip."""
        if self._shown and (seconds := clip.seconds()):  # a transcript has none
            self._seconds += seconds
            speed = self._seconds / (time.perf_counter() - self._started)
            done = f"{self._seconds / 3600:.2f} h of audio, {speed:.1f}× real time"
            self._bar.set_postfix_str(done, refresh=False)
        self._bar.update()

    def __enter__(self) -> Progress:
        return self

    def __exit__(self, *exception: Any) -> None:
        self._bar.close()
