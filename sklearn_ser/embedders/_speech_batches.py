"""Batches of clips through a speech model."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from sklearn_ser.audio import Clip

__all__ = ["SpeechBatches"]

Array = npt.NDArray[np.float32]


class SpeechBatches:
    """Says how a speech model extracts several clips at once; see `Batched`.

    Parameters
    ----------
    load : callable
        Returns the model.
    hear : callable
        Maps a clip and its content to what the model's feature extractor makes of it.
    upto : int or None
        The last layer wanted.
    seconds : float
        Of audio in one batch; less once memory has run out.
    ahead : float
        How many batches' worth of clips to read ahead.
    """

    def __init__(
        self,
        load: Callable[[], Any],
        hear: Callable[[Clip, Any], Any],
        upto: int | None,
        seconds: float,
        ahead: float,
    ) -> None:
        self._load, self._hear, self._upto = load, hear, upto
        self.seconds, self.ahead = seconds, ahead

    def prepare(self, clip: Clip, content: Any) -> tuple[Any, float, bool]:
        """Return what the model hears, its seconds, and whether it may share a batch."""
        model = self._load()
        heard = self._hear(clip, content)
        return heard, model.seconds(heard), model.may_batch(heard)

    def start(self, items: Sequence[Any]) -> _Results:
        """Begin a batch; if it does not fit into memory, halve it, and those to come."""
        from torch import OutOfMemoryError

        model = self._load()
        try:
            return _Results([model.statistics(items, self._upto)])
        except OutOfMemoryError:
            if len(items) == 1:
                raise
        self.seconds /= 2
        model.free_memory()
        middle = len(items) // 2
        return _Results([self.start(items[:middle]), self.start(items[middle:])])


class _Results:
    """The records of one batch, which may have been computed in parts."""

    def __init__(self, parts: Sequence[Any]) -> None:
        self._parts = parts

    def result(self) -> list[Array]:
        """Return one record a clip, of shape (n_rows, n_dims)."""
        return [r.reshape(-1, r.shape[-1]) for part in self._parts for r in part.result()]
