"""Where and how often models run: the device, loading once in a process, the progress bar.

Used by the model room, the extraction, networks and audits.
"""

from __future__ import annotations

import functools
import os
import threading
import time
from collections.abc import Callable
from contextlib import nullcontext
from typing import Any, TypeVar

from tqdm.auto import tqdm


def find_device(device: str) -> str:
    """Return a device that torch has: for "auto", a GPU if there is one.

    Raises
    ------
    ValueError
        If torch knows no such device, or finds no such GPU here.
    RuntimeError
        If a model would wait here for ever: see `_refuse_forked`.
    """
    import torch

    _refuse_forked(torch.get_num_threads())
    n_gpus = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if device == "auto":
        return "cuda" if n_gpus else "cpu"
    try:
        found = torch.device(device)
    except RuntimeError:
        raise ValueError(
            f"device={device!r} is not a device of torch: cpu, cuda, cuda:1, …"
        ) from None
    if found.type == "cuda" and (found.index or 0) >= n_gpus:
        raise ValueError(f"device={device!r}, but torch finds {n_gpus} GPUs here.")
    return device


_threaded_in: int | None = None  # the process in which torch first had several threads


def _refuse_forked(n_threads: int) -> None:
    """Raise a RuntimeError in a process that was forked after models ran on several threads.

    A fork copies none of torch's threads, and torch waits for them at its next product. Whatever
    runs a model, of whichever kind, has to find a device before, so that this is looked at there.
    """
    global _threaded_in
    if n_threads == 1:
        return
    if _threaded_in is None:
        _threaded_in = os.getpid()
    if _threaded_in != os.getpid():
        raise RuntimeError(
            f"this process ({os.getpid()}) was forked from one ({_threaded_in}) in which torch had "
            f"run on several threads. A fork does not copy them, and torch would wait for them for "
            'ever. Start processes by "spawn" or "forkserver", as by '
            'multiprocessing.get_context("spawn"), or by joblib\'s default backend, "loky"; or '
            "call torch.set_num_threads(1) first in each process that is forked."
        )


LOCAL = ("loky", "multiprocessing", "sequential", "threading")


def on_cluster() -> bool:
    """Return whether joblib is configured for more than this machine's threads and processes."""
    from joblib.parallel import BACKENDS, get_active_backend

    return type(get_active_backend()[0]) not in [BACKENDS.get(name) for name in LOCAL]


def thread_count(n_jobs: int | None) -> int:
    """Return how many threads of this process `n_jobs` stands for; a cluster has no share in it."""
    import joblib

    with joblib.parallel_config("threading", n_jobs=1) if on_cluster() else nullcontext():
        return int(joblib.effective_n_jobs(n_jobs))


def as_they_come(how: str) -> str:
    """Return `how` joblib returns results, or "list" where its backend can only return them all."""
    from joblib.parallel import get_active_backend

    backend, _ = get_active_backend()
    return how if getattr(backend, "supports_return_generator", False) else "list"


T = TypeVar("T")


def once(maxsize: int) -> Callable[[Callable[..., T]], Callable[..., T]]:
    """Return a decorator like :func:`functools.lru_cache`, but for threads that ask at once.

    They wait for the first of them, and get what it gets, where each would make its own.
    """

    def decorate(function: Callable[..., T]) -> Callable[..., T]:
        kept, making = functools.lru_cache(maxsize)(function), threading.Lock()

        @functools.wraps(function)
        def shared(*arguments: Any) -> T:
            with making:
                return kept(*arguments)

        shared.cache_clear = kept.cache_clear  # type: ignore[attr-defined]
        return shared

    return decorate


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
