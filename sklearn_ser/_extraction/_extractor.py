"""What is computed of a clip, or of several at once."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from sklearn_ser._audio import Clip
from sklearn_ser.exceptions import ClipError

__all__ = ["BatchExtractor", "Extractor", "Prepared", "WaveformExtractor"]

Array = npt.NDArray[np.float32]

MAX_READERS = 8


class Prepared(NamedTuple):
    """A clip that is read, decoded and ready to be computed."""

    item: Any
    seconds: float = 0.0  # what it takes of a batch's budget
    may_batch: bool = False
    takes_all_cores: bool = False  # so long that it is computed by the calling thread


class Extractor(ABC):
    """Computes the records of clips.

    Parameters
    ----------
    n_readers : int or None
        Number of threads that prepare clips; None is one a core, and 8 at most.
    n_concurrent : int
        Number of batches that are computed at once, in threads; 0 is by the calling thread.
    batch_seconds : float
        Seconds that share a batch, padding included; 0 is one clip at a time.
    n_ahead : int
        Batches' worth of clips to prepare before a batch is chosen, so that its clips are about
        equally long.
    model : object or None
        With `folder` and `dtype`: the pretrained model that is run, if any.
    """

    def __init__(
        self,
        n_readers: int | None = None,
        n_concurrent: int = 1,
        batch_seconds: float = 0.0,
        n_ahead: int = 1,
        model: Any = None,
    ) -> None:
        self.n_readers = n_readers or min(MAX_READERS, os.cpu_count() or 1)
        self.n_concurrent = n_concurrent
        self.batch_seconds = batch_seconds
        self.n_ahead = n_ahead
        self.model = model

    @abstractmethod
    def prepare(self, clip: Clip, content: Any) -> Prepared:
        """Decode a clip's content; several threads do this at once.

        Raises
        ------
        ClipError
            If the clip cannot be used.
        """

    @abstractmethod
    def compute(self, items: Sequence[Any]) -> list[Array | ClipError]:
        """Return the record of each clip of a batch, or what is wrong with it.

        Records are of shape (n_rows, n_columns), float32, rows of all clips alike.
        """

    def not_finite(self, clip: Clip, record: Array) -> Exception:
        """Return the error of a record that holds NaN or infinite values.

        If a model gives them, that is no fault of the clip, so that it is no ClipError.
        """
        if self.model is None:
            return clip.error(
                f"{np.count_nonzero(~np.isfinite(record))} of its features are NaN or infinite",
                "It is most likely too short or too quiet for these features; leave it out.",
            )
        dtype = str(self.model.dtype).rpartition(".")[2]
        if dtype == "float32":
            remedy = "Its weights are damaged; download or save it again."
        else:
            wider = {"float16": 'dtype="bfloat16" or dtype="float32"'}.get(dtype, 'dtype="float32"')
            remedy = f"It computes values that {dtype} cannot hold; use {wider}."
        return ValueError(
            f"the model in {self.model.folder} gives NaN or infinite values in {dtype}, as for "
            f"{clip.note('').strip()}. {remedy}"
        )

    def remarks(self) -> list[str]:
        """Return what to warn of once, after all clips."""
        return []

    def running(self) -> AbstractContextManager[None]:
        """Return a context in which all threads start and end."""
        return nullcontext()

    def start_reader(self) -> None:  # noqa: B027, most need none
        """Set up a thread that prepares clips."""

    def start_worker(self) -> None:  # noqa: B027
        """Set up a thread that computes batches while others do."""


class WaveformExtractor(Extractor):
    """Computes a clip where it is decoded: for features that take one waveform at a time.

    Parameters
    ----------
    function : callable
        Maps a waveform, of shape (n_samples,), float32, mono, to its record.
    rate : float
        Sampling rate of waveforms, in Hz.
    min_samples : int
        Fewest samples that `function` can take.
    n_threads : int
    model : object or None
        See `Extractor`.
    """

    def __init__(
        self,
        function: Callable[[Array], Array],
        rate: float,
        min_samples: int,
        n_threads: int,
        model: Any = None,
    ) -> None:
        super().__init__(n_readers=n_threads, n_concurrent=0, model=model)
        self.function, self._rate, self._min_samples = function, rate, min_samples

    def waveform(self, clip: Clip, content: Any) -> Array:
        """Return a clip's samples, of shape (n_samples,)."""
        return clip.waveform(content, self._rate, self._min_samples)

    def prepare(self, clip: Clip, content: Any) -> Prepared:
        """Return the record."""
        return Prepared(self.function(self.waveform(clip, content)))

    def compute(self, items: Sequence[Any]) -> list[Array | ClipError]:
        """Return the records, which `prepare` has computed."""
        return list(items)


class BatchExtractor(Extractor):
    """Computes several clips at once, by the calling thread, while others are decoded.

    Parameters
    ----------
    function : callable
        Maps a list of waveforms to the list of their records.
    rate : float
        Sampling rate of waveforms, in Hz.
    min_samples : int
        Fewest samples that `function` can take.
    n_readers : int
    batch_seconds : float
        Seconds of a batch, if all were as long as the longest.
    """

    def __init__(
        self,
        function: Callable[[list[Array]], list[Array]],
        rate: float,
        min_samples: int,
        n_readers: int,
        batch_seconds: float,
    ) -> None:
        super().__init__(n_readers, 0, float(batch_seconds), n_ahead=4)
        self.function, self._rate, self._min_samples = function, rate, min_samples

    def prepare(self, clip: Clip, content: Any) -> Prepared:
        """Return a clip's samples."""
        waveform = clip.waveform(content, self._rate, self._min_samples)
        return Prepared(waveform, len(waveform) / self._rate, may_batch=True)

    def compute(self, items: Sequence[Any]) -> list[Array | ClipError]:
        """Return the records of a batch."""
        records = self.function(list(items))
        if len(records) != len(items):
            raise ValueError(f"{len(items)} waveforms gave {len(records)} results; one each.")
        return list(records)
