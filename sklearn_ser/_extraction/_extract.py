"""From clips to rows of their records: the one loop."""

from __future__ import annotations

import time
import warnings
from collections import deque
from collections.abc import Generator, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import ExitStack, closing, suppress
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sklearn_ser._audio import Clip
from sklearn_ser._extraction._extractor import Extractor, Prepared
from sklearn_ser._extraction._lock import RecordLock
from sklearn_ser._store import Records
from sklearn_ser._utils import Progress
from sklearn_ser.exceptions import ClipError, ClipWarning

__all__ = ["Extraction"]

POLL = 0.1  # seconds between looks at what other processes are computing
MAX_AHEAD = 128  # clips prepared; each holds a lock, and some systems allow 256 open files

Array = npt.NDArray[np.float32]
Outcome = Array | ClipError


class Extraction:
    """The records of a collection of clips: those that are stored, and those to compute.

    Parameters
    ----------
    clips : sequence of Clip
        Clips with equal content are computed once.
    records : Records or None
        Where records are kept; each is written as soon as it is computed. None keeps nothing.
    rows : sequence of int or None
        The rows wanted of each record; None means all.
    on_error : {"raise", "warn", "nan"}
        What a clip that cannot be used does.

    Attributes
    ----------
    missing : dict of str to Clip
        The first clip of each content whose record is not stored.
    """

    def __init__(
        self,
        clips: Sequence[Clip],
        records: Records | None,
        rows: Sequence[int] | None,
        on_error: str = "raise",
    ) -> None:
        # A search asks for the same stored clips hundreds of times; what runs for each is short.
        self._clips, self._records, self._rows, self._on_error = clips, records, rows, on_error
        self._keys = [_key(clip, on_error) for clip in clips]
        usable = [key for key in self._keys if isinstance(key, str)]
        self._outcomes: dict[str, Outcome] = {}
        self.missing: dict[str, Clip] = {}
        if records is not None:
            stored = records.read_all(usable, rows)
            self._outcomes = {
                key: row for key, row in zip(usable, stored, strict=True) if row is not None
            }
        if len(self._outcomes) < len(clips):
            for key, clip in zip(self._keys, clips, strict=True):
                if isinstance(key, str) and key not in self._outcomes:
                    self.missing.setdefault(key, clip)

    def compute(self, extractor: Extractor, *, verbose: bool = False, name: str = "") -> None:
        """Compute and store what is missing.

        Parameters
        ----------
        extractor : Extractor
        verbose, name
            Whether to show a progress bar, and what it is called.

        Raises
        ------
        ClipError
            If a clip cannot be used and ``on_error="raise"``.
        """
        with (
            Progress(len(self.missing), name, verbose) as progress,
            closing(_compute(self.missing, extractor, self._records, self._rows)) as computed,
        ):
            for key, outcome in computed:
                if isinstance(outcome, ClipError) and self._on_error == "raise":
                    raise outcome
                self._outcomes[key] = outcome
                progress.update(self.missing[key])
        if self._records is not None and self._rows is not None:  # frames differ in number
            self._records.pack()

    def result(self, stacklevel: int = 1) -> list[Array | None]:
        """Return the wanted rows of each clip's record; None for a clip that cannot be used."""
        found = [self._outcomes[key] if isinstance(key, str) else key for key in self._keys]
        if self._on_error == "warn":
            for clip, outcome in zip(self._clips, found, strict=True):
                if isinstance(outcome, ClipError):  # equal clips share it, but each is named
                    named = clip.error(outcome.cause, outcome.cure)
                    message = f"{named} Its row is NaN."
                    warnings.warn(message, ClipWarning, stacklevel=stacklevel + 1)
        return [None if isinstance(outcome, ClipError) else outcome for outcome in found]


def _key(clip: Clip, on_error: str) -> str | ClipError:
    try:
        return clip.digest()
    except ClipError as error:
        if on_error == "raise":
            raise
        return error


@dataclass
class _Job:
    """A clip whose record is to be computed."""

    key: str
    clip: Clip
    lock: RecordLock
    #: The digest of what was read, not of what was looked up: the file may have changed since.
    content_key: str = ""
    prepared: Prepared | None = None
    outcome: Outcome | None = None

    @property
    def seconds(self) -> float:
        assert self.prepared is not None
        return self.prepared.seconds


def _compute(
    missing: dict[str, Clip],
    extractor: Extractor,
    records: Records | None,
    rows: Sequence[int] | None,
) -> Generator[tuple[str, Outcome]]:
    """Yield (key, record or error); what other processes are computing is looked for last."""
    left = missing
    with ExitStack() as stack:
        stack.enter_context(extractor.running())
        readers = stack.enter_context(
            ThreadPoolExecutor(extractor.n_readers, "read", extractor.start_reader)
        )
        workers = stack.enter_context(
            ThreadPoolExecutor(max(1, extractor.n_concurrent), "compute", extractor.start_worker)
        )
        while left:
            jobs = [_Job(key, clip, RecordLock(records, key)) for key, clip in left.items()]
            busy = {}
            with closing(_round(jobs, extractor, records, rows, readers, workers)) as done:
                for job in done:
                    if job.outcome is None:
                        busy[job.key] = job.clip
                    else:
                        yield job.key, job.outcome
            if len(busy) == len(left):
                time.sleep(POLL)
            left = busy


def _round(
    jobs: Sequence[_Job],
    extractor: Extractor,
    records: Records | None,
    rows: Sequence[int] | None,
    readers: ThreadPoolExecutor,
    workers: ThreadPoolExecutor,
) -> Generator[_Job]:
    """Yield each job once it is done, or without an outcome if another process is at it.

    Readers prepare clips ahead, workers compute batches of them, and this thread stores records.
    """
    waiting = deque(jobs)
    reading: deque[Future[_Job]] = deque()
    ready: list[_Job] = []
    computing: deque[tuple[list[_Job], Future[list[Outcome]]]] = deque()
    try:
        while waiting or reading or ready or computing:
            while waiting and len(reading) < min(2 * extractor.n_readers, MAX_AHEAD - len(ready)):
                reading.append(readers.submit(_read, waiting.popleft(), extractor, records, rows))
            enough = extractor.n_ahead * extractor.batch_seconds
            if reading and (not ready or sum(job.seconds for job in ready) < enough):
                job = reading[0].result()
                reading.popleft()
                if job.prepared is None:
                    yield job
                else:
                    ready.append(job)
                continue
            if ready:
                batch = _next_batch(ready, extractor, last=not waiting and not reading)
                items = [job.prepared.item for job in batch if job.prepared is not None]
                alone = not (computing or ready or reading or waiting)
                if alone or _takes_all_cores(batch[0]) or not extractor.n_concurrent:
                    computing.append((batch, _done(extractor.compute(items))))
                else:
                    computing.append((batch, workers.submit(extractor.compute, items)))
            if len(computing) > 1.5 * extractor.n_concurrent or not (ready or reading or waiting):
                yield from _store(*computing[0], extractor, records, rows)
                computing.popleft()
    finally:
        # Stopped half-way: what has begun is stored all the same.
        for future in reading:
            future.cancel()
        for _, computed in computing:
            computed.cancel()
        try:
            for batch, computed in computing:
                if not computed.cancelled() and computed.exception() is None:
                    with suppress(Exception):
                        deque(_store(batch, computed, extractor, records, rows), maxlen=0)
        finally:
            wait([future for future in reading if not future.cancelled()])
            for job in jobs:
                job.lock.release()


def _read(
    job: _Job, extractor: Extractor, records: Records | None, rows: Sequence[int] | None
) -> _Job:
    """Prepare a clip, unless another process has its record, or is computing it."""
    if not job.lock.acquire():
        return job
    job.outcome = None if records is None else records.read(job.key, rows)
    if job.outcome is None:
        try:
            content = job.clip.read()
            job.content_key = job.clip.digest_of(content)
            job.prepared = extractor.prepare(job.clip, content)
        except ClipError as error:
            job.outcome = error
    if job.prepared is None:
        job.lock.release()
    return job


def _next_batch(ready: list[_Job], extractor: Extractor, last: bool) -> list[_Job]:
    """Take clips of about one length whose batch, padded to the longest, is within the budget."""
    budget = extractor.batch_seconds
    ready.sort(key=lambda job: job.seconds)
    if last and extractor.n_concurrent > 1:  # so that the last ones end together
        left = sum(job.seconds for job in ready)
        budget = min(budget, max(budget / 4, left / extractor.n_concurrent))
    batch = [ready.pop()]
    longest = batch[0].seconds
    while (
        ready
        and _may_batch(batch[0])
        and _may_batch(ready[-1])
        and (len(batch) + 1) * longest <= budget
    ):
        batch.append(ready.pop())
    return batch


def _may_batch(job: _Job) -> bool:
    return job.prepared is not None and job.prepared.may_batch


def _takes_all_cores(job: _Job) -> bool:
    return job.prepared is not None and job.prepared.takes_all_cores


def _done(result: list[Outcome]) -> Future[list[Outcome]]:
    future: Future[list[Outcome]] = Future()
    future.set_result(result)
    return future


def _store(
    batch: list[_Job],
    computed: Future[list[Outcome]],
    extractor: Extractor,
    records: Records | None,
    rows: Sequence[int] | None,
) -> Iterator[_Job]:
    """Store a batch's records, and only then give those that are not usable."""
    unusable = []
    fault: Exception | None = None  # of a model, which ends the run
    for job, record in zip(batch, computed.result(), strict=True):
        if isinstance(record, ClipError):
            job.outcome = record
            unusable.append(job)
        elif np.isfinite(record).all():
            if records is not None:
                records.write(job.content_key, record)
            job.outcome = record if rows is None else record[list(rows)]
            yield _released(job)
        elif isinstance(error := extractor.not_finite(job.clip, record), ClipError):
            job.outcome = error
            unusable.append(job)
        else:
            fault = error
    if fault is not None:
        raise fault
    yield from map(_released, unusable)


def _released(job: _Job) -> _Job:
    job.lock.release()
    job.prepared = None
    return job
