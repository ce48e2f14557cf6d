"""Clips side by side on a processor: every core runs its own.

Cores that share one clip's products wait for each other after each, and what lies between the
products, norms, copies and Python, keeps one of them busy. Cores with clips of their own do not
wait. Each thread has the model's modules for itself, as modules may remember things while they
run, and Python's lock is all that they share beside the weights.
"""

from __future__ import annotations

import contextlib
import copy
import queue
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import torch

__all__ = ["Twins", "Workers", "n_workers", "threads"]

MOST = 16  # beyond, they would wait for Python's lock


def n_workers() -> int:
    """Return how many clips run side by side, when there are as many."""
    return min(MOST, torch.get_num_threads())


@contextlib.contextmanager
def threads(n_threads: int) -> Iterator[None]:
    """Let what this thread asks of torch use so many threads."""
    before = torch.get_num_threads()
    torch.set_num_threads(n_threads)
    try:
        yield
    finally:
        torch.set_num_threads(before)


class Twins:
    """Copies of a model's modules that share its weights, each for one thread at a time.

    Parameters
    ----------
    model : torch.nn.Module
    """

    def __init__(self, model: Any) -> None:
        self._model = model
        self._free: queue.SimpleQueue[Any] = queue.SimpleQueue()

    def take(self) -> Any:
        """Return a copy that nobody else has."""
        try:
            return self._free.get_nowait()
        except queue.Empty:
            weights = (*self._model.parameters(), *self._model.buffers())
            return copy.deepcopy(self._model, {id(weight): weight for weight in weights})

    def give_back(self, twin: Any) -> None:
        """Keep a copy for whoever comes next."""
        self._free.put(twin)


class Workers:
    """Threads that share the cores between them.

    Parameters
    ----------
    n_workers : int
    """

    def __init__(self, n_workers: int) -> None:
        self._n_threads = torch.get_num_threads()
        self._pool = ThreadPoolExecutor(
            n_workers, "clip", torch.set_num_threads, (max(1, self._n_threads // n_workers),)
        )

    def submit(self, call: Callable[[], Any]) -> Future[Any]:
        """Begin a call."""
        return self._pool.submit(call)

    def run(self, calls: Sequence[Callable[[], Any]]) -> list[Any]:
        """Return what calls give."""
        return [future.result() for future in list(map(self.submit, calls))]

    def close(self) -> None:
        """Wait for what was begun."""
        self._pool.shutdown(cancel_futures=True)
        # What one thread asks for, torch takes as the wish of all that have not begun yet.
        torch.set_num_threads(self._n_threads)
