"""Clips through a speech model: what `SSLEmbedder` computes."""

from __future__ import annotations

import contextlib
import threading
import warnings
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from typing import Any

import numpy as np
import numpy.typing as npt

from sklearn_ser._audio import Clip
from sklearn_ser._extraction import Extractor, Prepared
from sklearn_ser.exceptions import ClipError, ClipWarning

__all__ = ["SpeechExtractor"]

Array = npt.NDArray[np.float32]

MAX_CONCURRENT = 16  # clips; beyond, threads would wait for Python's lock
GPU_BATCH = 160.0  # seconds
AHEAD_OF_GPU = 8  # batches


class SpeechExtractor(Extractor):
    """Computes every statistic of every layer, or the frames of some layers.

    On a processor, every core runs clips of its own: cores that share one clip's products wait for
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
        model: Any,
        window: float | str | None,
        layers: Sequence[int],
        *,
        as_frames: bool,
        all_layers: bool,
        batch_seconds: float | str | None,
        n_readers: int | None,
    ) -> None:
        self._window, self._layers = window, list(layers)
        self._as_frames = as_frames
        last = max(self._layers)
        self._last_layer = None if all_layers or last > model.n_layers else last
        self._n_threads = _torch_threads.count()
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

    def prepare(self, clip: Clip, content: Any) -> Prepared:
        """Return what the model's feature extractor makes of a clip."""
        waveform = clip.waveform(content, self.model.rate, self.model.shortest)
        prepared = self.model.prepare_input(waveform, self._window)
        n_windows = len(prepared.windows)
        if n_windows:
            seconds = len(waveform) / self.model.rate
            longest = max(window.stop - window.start for window in prepared.windows)
            longest = longest / prepared.n_frames[0] * seconds
            message = _about_windows(seconds, n_windows, longest)
            warnings.warn(clip.note(message), ClipWarning, stacklevel=2)
        return Prepared(
            (clip, prepared),
            self.model.seconds(prepared),
            self.batch_seconds > 0 and self.model.may_batch(prepared),
            n_windows > 0 or len(prepared.parts) > 1,
        )

    def compute(self, items: Sequence[Any]) -> list[Array | ClipError]:
        """Run a batch; if it does not fit into memory, halve it, and those to come."""
        inputs = [prepared for _, prepared in items]
        try:
            return list(self._run(inputs))
        except Exception as error:
            if not (unusable := _out_of_memory(items[0][0], error)):
                raise
            if len(items) == 1:
                return [unusable]
        # Outside of the handler, which would keep what was computed so far in memory.
        padded = len(items) * max(map(self.model.seconds, inputs))
        self.batch_seconds = min(self.batch_seconds, padded / 2)
        middle = len(items) // 2
        return [*self.compute(items[:middle]), *self.compute(items[middle:])]

    def _run(self, inputs: Sequence[Any]) -> list[Array]:
        if self._as_frames:
            (only,) = inputs
            return [np.concatenate(list(self.model.frames(only, self._layers)), axis=1)]
        found = self.model.statistics(inputs, self._last_layer)
        return [statistics.reshape(-1, statistics.shape[-1]) for statistics in found]

    def running(self) -> AbstractContextManager[None]:
        """Return a context after which torch has the threads that it had."""
        return _torch_threads.kept(self._n_threads)

    def start_reader(self) -> None:
        """Leave the cores to those that compute, and give the same bits whenever it starts."""
        import torch

        torch.set_num_threads(1)

    def start_worker(self) -> None:
        """Give a thread its share of the cores."""
        import torch

        torch.set_num_threads(max(1, self._n_threads // max(1, self.n_concurrent)))


class _TorchThreads:
    """How many threads torch has, but for those that extractions give to their own threads.

    What one thread sets, torch takes as the wish of all that are new: among them callers'.
    """

    def __init__(self) -> None:
        self._lock, self._n_running, self._before = threading.Lock(), 0, 1

    def count(self) -> int:
        import torch

        with self._lock:
            return self._before if self._n_running else torch.get_num_threads()

    @contextlib.contextmanager
    def kept(self, n_threads: int) -> Iterator[None]:
        import torch

        with self._lock:
            self._n_running += 1
            self._before = n_threads
        try:
            yield
        finally:
            with self._lock:
                self._n_running -= 1
                torch.set_num_threads(n_threads)


_torch_threads = _TorchThreads()


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
