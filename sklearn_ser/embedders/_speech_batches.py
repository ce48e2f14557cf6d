"""Batches of clips through a speech model."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from sklearn_ser.audio import Clip, ClipError

__all__ = ["SpeechBatches", "out_of_memory"]

Array = npt.NDArray[np.float32]


class SpeechBatches:
    """Says how a speech model extracts several clips at once; see `Batched`.

    Parameters
    ----------
    model : SpeechModel
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
        model: Any,
        hear: Callable[[Clip, Any], Any],
        upto: int | None,
        seconds: float,
        ahead: float,
    ) -> None:
        self._model, self._hear, self._upto = model, hear, upto
        self.seconds, self.ahead = seconds, ahead

    def prepare(self, clip: Clip, content: Any) -> tuple[Any, float, bool]:
        """Return what the model hears, its seconds, and whether it may share a batch."""
        heard = self._hear(clip, content)
        return (clip, heard), self._model.seconds(heard), self._model.may_batch(heard)

    def start(self, items: Sequence[Any]) -> _Results:
        """Begin a batch; if it does not fit into memory, halve it, and those to come."""
        heard = [heard for _, heard in items]
        try:
            return _Results([self._model.statistics(heard, self._upto)])
        except Exception as error:
            if not (unusable := out_of_memory(items[0][0], error)):
                raise
            if len(items) == 1:
                return _Results([_Unusable(unusable)])
        # Outside of the handler, which would keep what was computed so far in memory.
        padded = len(items) * max(self._model.seconds(clip) for clip in heard)
        self.seconds = min(self.seconds, padded / 2)
        middle = len(items) // 2
        return _Results([self.start(items[:middle]), self.start(items[middle:])])


def out_of_memory(clip: Clip, error: Exception) -> ClipError | None:
    """Return what to tell of a clip that does not fit into memory; None if that is not it."""
    import torch

    if isinstance(error, (torch.cuda.OutOfMemoryError, MemoryError)):
        device = "the GPU's" if isinstance(error, RuntimeError) else "this machine's"
    elif isinstance(error, RuntimeError) and "DefaultCPUAllocator" in str(error):
        device = "this machine's"
    else:
        return None
    return clip.error(
        f"does not fit into {device} memory",
        "Let the model hear it in windows (window=30, say), cut it, or leave it out.",
    )


class _Results:
    """The records of one batch, which may have been computed in parts."""

    def __init__(self, parts: Sequence[Any]) -> None:
        self._parts = parts

    def result(self) -> list[Array | ClipError]:
        """Return one record a clip, of shape (n_rows, n_dims), or what is wrong with it."""
        return [
            r if isinstance(r, ClipError) else r.reshape(-1, r.shape[-1])
            for part in self._parts
            for r in part.result()
        ]


class _Unusable:
    def __init__(self, error: ClipError) -> None:
        self._error = error

    def result(self) -> list[ClipError]:
        return [self._error]
