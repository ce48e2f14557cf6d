"""Extractors, which compute the record of a clip, or of several at once."""

from __future__ import annotations

import contextlib
import os
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt

from sklearn_ser._audio import Clip
from sklearn_ser._utils import warn
from sklearn_ser.exceptions import ClipError, ClipWarning

if TYPE_CHECKING:
    from sklearn_ser._models import SpeechModel

__all__ = ["BatchExtractor", "Extractor", "Prepared", "SpeechExtractor", "WaveformExtractor"]

Array = npt.NDArray[np.float32]

MAX_READERS = 8
MAX_CONCURRENT = 16  # clips; beyond, threads would wait for Python's lock
GPU_BATCH = 160.0  # seconds
AHEAD_OF_GPU = 8  # batches


class Prepared(NamedTuple):
    """A clip that is read, decoded and ready to be computed."""

    item: Any  # what `compute` takes: a record, a waveform, or a clip and its `ModelInput`
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

    Attributes
    ----------
    start_reader, start_worker : callable or None
        Sets up each thread that prepares clips, or computes batches while others do.
    notes : list of tuple
        What `remarks` are about; it may be sent to another process.
    """

    start_reader: Callable[[], None] | None = None
    start_worker: Callable[[], None] | None = None

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
        self.notes: list[tuple[Any, ...]] = []

    @abstractmethod
    def prepare(self, clip: Clip, content: Any) -> Prepared:
        """Return a clip, decoded from what `Clip.read` returned; several threads do this at once.

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
                "They are not defined for it, most likely because it is too short, too quiet or "
                "unvoiced; leave it out.",
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

    @classmethod
    def remarks(cls, notes: Sequence[tuple[Any, ...]]) -> list[str]:
        """Return what to warn of once, after all clips, whichever processes noted it."""
        return []

    def running(self) -> AbstractContextManager[None]:
        """Return a context in which all threads start and end."""
        return nullcontext()


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
        """Return the record: computed here, by the thread that reads."""
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


# Held by whoever changes how many threads torch has; and how many it had, for each extraction that
# runs.
_torch_threads, _before = threading.Lock(), list[int]()


class SpeechExtractor(Extractor):
    """Computes every statistic of every layer, or the frames of some layers.

    On a processor, every core runs clips by itself: cores that share one clip's products wait for
    each other after each of them. On a GPU, clips share padded batches, if the model is exact in
    them.

    Parameters
    ----------
    model : SpeechModel
    window : float, "auto", "clip" or None
        See `SSLEmbedder`.
    layers : sequence of int
        Layers selected.
    as_frames : bool
        Whether records are the frames of these layers, side by side.
    all_layers : bool
        Whether statistics are computed of every layer, for searches to come, or only of those up
        to the last one that is selected.
    batch_seconds : float, "auto" or None
        Seconds that share a batch; None is one clip at a time, on all cores.
    n_readers : int or None
        Number of threads that read and decode.
    """

    def __init__(
        self,
        model: SpeechModel,
        window: float | str | None,
        layers: Sequence[int],
        *,
        as_frames: bool,
        all_layers: bool,
        batch_seconds: float | str | None,
        n_readers: int | None,
    ) -> None:
        import torch

        self._window, self._layers = window, list(layers)
        self._as_frames = as_frames
        last = max(self._layers)
        self._last_layer = None if all_layers or last > model.n_layers else last
        with _torch_threads:
            self._n_threads = _before[-1] if _before else torch.get_num_threads()
        on_cpu = model.device.type == "cpu"
        one_by_one = as_frames or batch_seconds is None
        n_concurrent = min(MAX_CONCURRENT, self._n_threads) if on_cpu else 1
        if one_by_one or not model.is_thread_safe:
            n_concurrent = 0
        if isinstance(batch_seconds, str):
            batch_seconds = 0.0 if on_cpu else GPU_BATCH
        super().__init__(
            n_readers,
            n_concurrent,
            0.0 if one_by_one else float(batch_seconds or 0.0),
            1 if on_cpu else AHEAD_OF_GPU,
            model,
        )
        # Readers leave the cores to those that compute, and give the same bits whenever they start.
        self.start_reader = partial(torch.set_num_threads, 1)
        share = max(1, self._n_threads // max(1, n_concurrent))
        self.start_worker = partial(torch.set_num_threads, share)

    def prepare(self, clip: Clip, content: Any) -> Prepared:
        """Return what the model's feature extractor makes of a clip."""
        waveform = clip.waveform(content, self.model.rate, self.model.shortest)
        model_input = self.model.prepare_input(waveform, self._window, overwrite=True)
        n_windows = len(model_input.windows)
        if n_windows:
            seconds = len(waveform) / self.model.rate
            longest = max(window.stop - window.start for window in model_input.windows)
            longest = longest / model_input.n_frames[0] * seconds
            message = _about_windows(seconds, n_windows, longest)
            warn(clip.note(message), ClipWarning)
        return Prepared(
            (clip, model_input),
            model_input.seconds,
            self.batch_seconds > 0 and self.model.may_batch(model_input),
            n_windows > 0 or len(model_input.parts) > 1,
        )

    def compute(self, items: Sequence[Any]) -> list[Array | ClipError]:
        """Return a batch's records; if memory does not suffice, halve it, and those to come."""
        inputs = [model_input for _, model_input in items]
        try:
            if self._as_frames:
                (only,) = inputs
                return [np.concatenate(list(self.model.frames(only, self._layers)), axis=1)]
            found = self.model.statistics(inputs, self._last_layer)
            return [statistics.reshape(-1, statistics.shape[-1]) for statistics in found]
        except Exception as error:
            if not (unusable := _out_of_memory(items[0][0], error)):
                raise
            if len(items) == 1:
                return [unusable]
        # Outside of the handler, which would keep what was computed so far in memory.
        padded = len(items) * max(each.seconds for each in inputs)
        self.batch_seconds = min(self.batch_seconds, padded / 2)
        middle = len(items) // 2
        return [*self.compute(items[:middle]), *self.compute(items[middle:])]

    @contextlib.contextmanager
    def running(self) -> Iterator[None]:
        """Return a context after which torch has the threads that it had.

        What one thread sets, torch takes as the wish of all that are new: among them callers'.
        """
        import torch

        with _torch_threads:
            _before.append(self._n_threads)
        try:
            yield
        finally:
            with _torch_threads:
                _before.remove(self._n_threads)
                torch.set_num_threads(self._n_threads)


def _out_of_memory(clip: Clip, error: Exception) -> ClipError | None:
    """Return what to say of a clip that does not fit into memory; None if that is not it."""
    import torch

    if isinstance(error, (torch.cuda.OutOfMemoryError, MemoryError)):
        device = "the GPU's" if isinstance(error, RuntimeError) else "this machine's"
    elif isinstance(error, RuntimeError) and "DefaultCPUAllocator" in str(error):
        device = "this machine's"
    else:
        return None
    return clip.error(
        f"does not fit into {device} memory",
        "Run it in windows (window=30, say), cut it, or leave it out.",
    )


def _about_windows(seconds: float, n_windows: int, longest: float) -> str:
    return (
        f"is {seconds:.0f} s long: its frames attend to each other within {n_windows} windows "
        f"of up to {longest:.3g} s, which overlap by their context and move values a little; "
        "window=None lets every frame attend to all, in quadratic time"
    )
