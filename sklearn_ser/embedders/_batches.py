"""Several clips at once: in one pass, or in several passes side by side."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Generator, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from sklearn_ser.audio import Clip, ClipError
from sklearn_ser.embedders._claim import UNKNOWN, Claim, Done

__all__ = ["Batched", "compute_in_batches"]

Array = npt.NDArray[np.float32]

MOST_AHEAD = 128  # clips; each holds a lock, and some systems allow 256 open files
MOST_THREADS = 8


class Batched(Protocol):
    """What an embedder says about extracting several clips at once."""

    seconds: float  # of audio, padding included, in one batch
    ahead: float  # batches' worth of clips to read ahead, to find such as are about equally long

    @property
    def pads(self) -> bool:
        """Whether a batch takes as long as if all its clips were as long as its longest."""
        ...

    @property
    def in_flight(self) -> int:
        """How many batches may be on their way while another is begun."""
        ...

    def prepare(self, clip: Clip, content: Any) -> tuple[Any, float, bool]:
        """Return a clip ready to be computed, its seconds, and whether it may share a batch."""
        ...

    def start(self, items: Sequence[Any], beside: bool) -> Any:
        """Begin to compute a batch; `beside` tells whether others are, or will be, on their way.

        The ``result()`` of what it returns gives a record, or what is wrong, for each clip.
        """
        ...

    def close(self) -> None:
        """End what computes; another `start` begins it again."""
        ...


@dataclass
class _Ready:
    claim: Claim
    content: Any
    item: Any
    seconds: float
    shares: bool


def compute_in_batches(
    claims: Sequence[Claim], batched: Batched, n_threads: int | None = None
) -> Generator[Done]:
    """Yield (key, outcome) as batches are done; threads read and decode ahead of the device.

    Clips are sorted by length within a look-ahead, so that little is padding; while the device
    runs a batch, the records of those before are stored.
    """
    n_threads = n_threads or min(MOST_THREADS, os.cpu_count() or 1)
    held: dict[str, Claim] = {}
    started: deque[tuple[list[_Ready], Any]] = deque()
    try:
        with ThreadPoolExecutor(n_threads) as threads:
            ahead = _Ahead(claims, batched, threads, n_threads, held)
            try:
                while batch := ahead.next_batch():
                    beside = bool(started) or ahead.has_more()
                    items = [ready.item for ready in batch]
                    started.append((batch, batched.start(items, beside)))
                    yield from ahead.known()
                    if len(started) > batched.in_flight:
                        yield from _collect(*started.popleft(), held)
                while started:
                    yield from _collect(*started.popleft(), held)
                yield from ahead.known()
            finally:
                threads.shutdown(cancel_futures=True)
    finally:
        batched.close()
        while started:  # stopped half-way: what is computed already is stored all the same
            with suppress(Exception):  # one is on its way, or it was the caller who stopped
                deque(_collect(*started.popleft(), held), maxlen=0)
        for claim in list(held.values()):
            claim.__exit__()


class _Ahead:
    """Clips read and decoded before they are needed."""

    def __init__(
        self,
        claims: Sequence[Claim],
        batched: Batched,
        threads: ThreadPoolExecutor,
        n_threads: int,
        held: dict[str, Claim],
    ) -> None:
        self._waiting = deque(claims)
        self._batched, self._threads, self._held = batched, threads, held
        self._n_threads = n_threads
        self._reading: deque[Future[_Ready | Done]] = deque()
        self._ready: list[_Ready] = []
        self._known: list[Done] = []

    def known(self) -> list[Done]:
        """Return outcomes that needed no computing, once."""
        known, self._known = self._known, []
        return known

    def has_more(self) -> bool:
        """Tell whether clips are left."""
        return bool(self._waiting or self._reading or self._ready)

    def next_batch(self) -> list[_Ready]:
        """Return clips of about one length whose batch, padded, is within the budget."""
        budget = self._batched.seconds
        while True:
            self._read_on()
            enough = sum(r.seconds for r in self._ready) >= self._batched.ahead * budget
            if not self._reading or (enough and self._ready):
                break
            found = self._reading.popleft().result()
            if isinstance(found, _Ready):
                self._ready.append(found)
            else:
                self._known.append(found)
        self._ready.sort(key=lambda ready: ready.seconds)
        if not self._ready:
            return []
        if self._batched.in_flight > 1 and not self._waiting:  # let the last ones end together
            left = sum(ready.seconds for ready in self._ready)
            budget = min(budget, max(budget / 4, left / self._batched.in_flight))
        batch = [self._ready.pop()]
        while self._ready and batch[0].shares and self._ready[-1].shares:
            more = [*batch, self._ready[-1]]
            if self._batched.pads:
                taken = len(more) * batch[0].seconds
            else:
                taken = sum(ready.seconds for ready in more)
            if taken > budget:
                break
            batch.append(self._ready.pop())
        return batch

    def _read_on(self) -> None:
        # No more than is needed: a clip that is claimed is one that others cannot compute.
        n_reading = min(2 * self._n_threads, MOST_AHEAD - len(self._ready))
        while self._waiting and len(self._reading) < n_reading:
            claim = self._waiting.popleft()
            self._reading.append(self._threads.submit(self._read, claim))

    def _read(self, claim: Claim) -> _Ready | Done:
        known = claim.__enter__()
        self._held[claim.key] = claim
        if known is UNKNOWN:
            try:
                content = claim.clip.read()
                return _Ready(claim, content, *self._batched.prepare(claim.clip, content))
            except ClipError as error:
                known = claim.failed(error)
        _release(claim, self._held)
        return claim.key, known


def _collect(batch: list[_Ready], pending: Any, held: dict[str, Claim]) -> Iterator[Done]:
    """Store a batch's records, and only then tell of those that are not usable."""
    errors: list[tuple[Claim, ClipError]] = []
    fault: Exception | None = None  # of the model, which ends the run
    for ready, record in zip(batch, pending.result(), strict=True):
        claim = ready.claim
        if isinstance(record, ClipError):
            errors.append((claim, record))
        elif isinstance(record, Exception):
            fault = record
        else:
            try:
                kept = claim.keep(ready.content, record)
            except ClipError as error:
                errors.append((claim, error))
            else:
                yield claim.key, kept
        _release(claim, held)
    if fault is not None:
        raise fault
    for claim, unusable in errors:
        yield claim.key, claim.failed(unusable)


def _release(claim: Claim, held: dict[str, Claim]) -> None:
    held.pop(claim.key, None)
    claim.__exit__()
