"""Batches of clips through a speech model."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from sklearn_ser.audio import Clip, ClipError
from sklearn_ser.embedders._layers import finite_or_error

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
        Of audio in one batch, 0 for one clip; less once memory has run out.
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
        self._workers: Any = None

    @property
    def pads(self) -> bool:
        """Whether clips in a batch are padded to one length."""
        return bool(self._model.batching != "joined")

    @property
    def in_flight(self) -> int:
        """How many batches may be on their way while another is begun: some more than run."""
        n_workers: int = self._model.n_workers
        return n_workers + n_workers // 2

    def prepare(self, clip: Clip, content: Any) -> tuple[Any, float, bool]:
        """Return what the model hears, its seconds, and whether it may share a batch."""
        heard = self._hear(clip, content)
        shares = self.seconds > 0 and self._model.may_batch(heard)
        return (clip, heard), self._model.seconds(heard), shares

    def start(self, items: Sequence[Any], beside: bool = False) -> Any:
        """Begin a batch, in a thread of its own if there are others and the model is for that."""
        ((_, first), *_) = items
        if not beside or self._model.n_workers == 1 or self._model.takes_all(first):
            return self._start(self._model, items)
        if self._workers is None:
            from sklearn_ser.speech_models._workers import Workers

            self._workers = Workers(self._model.n_workers)
        return self._workers.submit(functools.partial(self._work, items))

    def close(self) -> None:
        """End the threads."""
        if self._workers is not None:
            self._workers.close()
            self._workers = None

    def _work(self, items: Sequence[Any]) -> list[Array | Exception]:
        with self._model.worker() as model:
            return self._start(model, items).result()

    def _start(self, model: Any, items: Sequence[Any]) -> _Results:
        """Begin a batch; if it does not fit into memory, halve it, and those to come."""
        heard = [heard for _, heard in items]
        try:
            records = model.statistics(heard, self._upto)
            return _Results([_Checked(records, [clip for clip, _ in items], self._model)])
        except Exception as error:
            if not (unusable := out_of_memory(items[0][0], error)):
                raise
            if len(items) == 1:
                return _Results([_Unusable(unusable)])
        # Outside of the handler, which would keep what was computed so far in memory.
        padded = len(items) * max(self._model.seconds(clip) for clip in heard)
        self.seconds = min(self.seconds, padded / 2)
        middle = len(items) // 2
        return _Results([self._start(model, items[:middle]), self._start(model, items[middle:])])


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

    def result(self) -> list[Array | Exception]:
        """Return one record a clip, of shape (n_rows, n_dims), or what is wrong with it."""
        return [
            r if isinstance(r, Exception) else r.reshape(-1, r.shape[-1])
            for part in self._parts
            for r in part.result()
        ]


class _Checked:
    """The records of clips that ran together, checked once they are there."""

    def __init__(self, records: Any, clips: Sequence[Clip], model: Any) -> None:
        self._records, self._clips, self._model = records, clips, model

    def result(self) -> list[Array | ValueError]:
        """Return one record a clip, or the error if the model gives NaN."""
        return [
            finite_or_error(clip, record, self._model)
            for clip, record in zip(self._clips, self._records.result(), strict=True)
        ]


class _Unusable:
    def __init__(self, error: ClipError) -> None:
        self._error = error

    def result(self) -> list[ClipError]:
        return [self._error]
