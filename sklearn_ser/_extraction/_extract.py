"""From clips to rows of their records: the one loop."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from sklearn_ser._audio import Clip
from sklearn_ser._extraction._extractor import Extractor
from sklearn_ser._store import RecordLock, Records, renewing
from sklearn_ser._utils import Progress, warn
from sklearn_ser.exceptions import ClipError, ClipWarning

__all__ = ["Extraction"]

POLL = 0.1  # seconds between looks at what other processes are computing
# Clips being read, prepared or computed; each holds a lock, and others must find some to compute.
MAX_HELD = 192
MAX_READY = 128  # clips of these that batches are chosen among
KEPT = 1024  # clips whose rows are kept in one array

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
        self._keys: list[str | ClipError] = []
        for clip in clips:
            try:
                self._keys.append(clip.digest())
            except ClipError as error:
                if on_error == "raise":
                    raise
                self._keys.append(error)
        digests = [key for key in self._keys if isinstance(key, str)]
        self._block, self._n_kept = np.empty((0, 0, 0), np.float32), 0
        self._outcomes: dict[str, Outcome] = {}
        self.missing: dict[str, Clip] = {}
        if records is not None:
            stored = records.read_all(digests, rows)
            self._outcomes = {
                key: row for key, row in zip(digests, stored, strict=True) if row is not None
            }
        if len(self._outcomes) < len(clips):
            for key, clip in zip(self._keys, clips, strict=True):
                if isinstance(key, str) and key not in self._outcomes:
                    self.missing.setdefault(key, clip)

    def compute(
        self, extractor: Extractor, *, verbose: bool = False, name: str = "", tidy: bool = True
    ) -> None:
        """Compute and store what is missing.

        Readers prepare clips, in order; this thread chooses batches among those that are ready,
        and stores records; workers compute. Which clips share a batch depends on their order
        alone, not on who is done first, so that the same bits come out whenever it is repeated.

        Parameters
        ----------
        extractor : Extractor
        verbose, name
            Whether to show a progress bar, and what it is called.
        tidy : bool
            Whether to tidy the store then; others may be computing more.

        Raises
        ------
        ClipError
            If a clip cannot be used and ``on_error="raise"``.
        """
        records = self._records
        jobs = [
            _Job(key, clip, RecordLock(None if records is None else records.path(key)))
            for key, clip in self.missing.items()
        ]
        waiting, elsewhere, n_left = deque(jobs), list[_Job](), len(jobs)
        reading: deque[Future[_Job]] = deque()
        ready: list[_Job] = []
        computing: dict[Future[list[Outcome]], list[_Job]] = {}
        n_readers, n_workers = extractor.n_readers, extractor.n_concurrent
        with (
            Progress(len(jobs), name, verbose) as progress,
            extractor.running(),
            renewing([job.lock for job in jobs] if records is not None else []),
            ThreadPoolExecutor(n_readers, "read", extractor.start_reader) as readers,
            ThreadPoolExecutor(max(1, n_workers), "compute", extractor.start_worker) as workers,
        ):
            try:
                while waiting or reading or ready or computing or elsewhere:
                    finished: list[_Job] = []
                    n_held = len(reading) + len(ready) + sum(map(len, computing.values()))
                    while waiting and len(reading) < 2 * n_readers and n_held < MAX_HELD:
                        reading.append(readers.submit(self._read, waiting.popleft(), extractor))
                        n_held += 1
                    all_read = not (waiting or reading)
                    # A choice of clips, so that those of a batch are about equally long.
                    seconds = sum(job.prepared.seconds for job in ready)
                    enough = len(ready) >= MAX_READY or (
                        bool(ready) and seconds >= extractor.n_ahead * extractor.batch_seconds
                    )
                    if (enough or (all_read and ready)) and len(computing) <= 1.5 * n_workers:
                        batch = _next_batch(ready, extractor, last=all_read)
                        items = [job.prepared.item for job in batch]
                        # On how many threads a clip is computed changes its last bits, so that
                        # it must not hang on who is done first, either.
                        all_cores = len(jobs) == 1 or batch[0].prepared.takes_all_cores
                        if all_cores or not n_workers:
                            self._store(batch, extractor.compute(items), extractor)
                            finished = batch
                        else:
                            computing[workers.submit(extractor.compute, items)] = batch
                    elif reading and not enough:
                        job = reading[0].result()
                        reading.popleft()
                        if job.prepared is not None:
                            ready.append(job)
                        elif job.outcome is not None:
                            finished = [job]
                        else:
                            elsewhere.append(job)
                    elif computing:
                        wait(computing, return_when=FIRST_COMPLETED)
                        computed = next(future for future in computing if future.done())
                        self._store(computing[computed], computed.result(), extractor)
                        finished = computing.pop(computed)
                    else:  # other processes are computing what is left, or have done so by now
                        if len(elsewhere) == n_left:
                            time.sleep(POLL)
                        waiting, elsewhere, n_left = deque(elsewhere), [], len(elsewhere)
                    for job in finished:
                        assert job.outcome is not None
                        if isinstance(job.outcome, ClipError) and self._on_error == "raise":
                            raise job.outcome
                        self._outcomes[job.key] = job.outcome
                        progress.update(job.clip)
            finally:  # let threads finish what they have begun, and store it
                started: list[Future[Any]] = [*reading, *computing]
                begun = {future for future in started if not future.cancel()}
                wait(begun)
                for computed, batch in computing.items():
                    if computed in begun and computed.exception() is None:
                        with suppress(Exception):
                            self._store(batch, computed.result(), extractor)
        if tidy:
            self.tidy()

    def tidy(self) -> None:
        """Do what follows once records were stored: see `Records.tidy`."""
        if self._records is not None:
            self._records.tidy(pack=self._rows is not None)  # frames differ in number

    def take(self, key: str, outcome: Outcome) -> None:
        """Take a missing clip's outcome, which another process has computed."""
        self._outcomes[key] = outcome

    def outcomes(self) -> list[Outcome]:
        """Return the wanted rows of each clip's record, or the error of a clip without."""
        return [self._outcomes[key] if isinstance(key, str) else key for key in self._keys]

    def result(self, consequence: str = "Its row is NaN.") -> list[Array | None]:
        """Return the wanted rows of each clip's record; None for a clip that cannot be used.

        With ``on_error="warn"``, warnings say what the `consequence` for such a clip is.
        """
        found = self.outcomes()
        if self._on_error == "warn":
            for clip, outcome in zip(self._clips, found, strict=True):
                if isinstance(outcome, ClipError):  # equal clips share it, but each is named
                    named = clip.error(outcome.cause, outcome.cure)
                    warn(f"{named} {consequence}", ClipWarning)
        return [None if isinstance(outcome, ClipError) else outcome for outcome in found]

    def _read(self, job: _Job, extractor: Extractor) -> _Job:
        """Prepare a clip, unless another process has stored its record, or is computing it."""
        is_locked = job.lock.acquire()
        stored = None if self._records is None else self._records.read(job.key, self._rows)
        if stored is not None:  # even if another's lock is still there
            return job.finish(stored)
        if not is_locked:
            return job
        try:
            content = job.clip.read()
            job.content_key = job.clip.digest(content)
            job.prepared = extractor.prepare(job.clip, content)
        except ClipError as error:
            return job.finish(error)
        return job

    def _store(self, batch: Sequence[_Job], found: Sequence[Outcome], extractor: Extractor) -> None:
        """Store a batch's records, and only then raise the model's fault, if there is one."""
        fault = None
        for job, outcome in zip(batch, found, strict=True):
            if isinstance(outcome, ClipError):
                job.finish(outcome)
            elif np.isfinite(outcome).all():
                if self._records is not None:
                    self._records.write(job.content_key, outcome)
                job.finish(outcome if self._rows is None else self._keep(outcome[list(self._rows)]))
            elif isinstance(error := extractor.not_finite(job.clip, outcome), ClipError):
                job.finish(error)
            else:
                fault = error
        if fault is not None:
            raise fault

    def _keep(self, rows: Array) -> Array:
        """Return a copy in a block of many: each by itself would pin the memory around it."""
        if self._n_kept == len(self._block) or rows.shape != self._block.shape[1:]:
            n_clips = min(KEPT, len(self.missing))
            self._block, self._n_kept = np.empty((n_clips, *rows.shape), np.float32), 0
        kept: Array = self._block[self._n_kept]
        kept[...] = rows
        self._n_kept += 1
        return kept


@dataclass(eq=False)
class _Job:
    """A clip whose record is to be computed."""

    key: str  # of its record: the clip's digest
    clip: Clip
    lock: RecordLock
    #: The digest of what was read, not of what was looked up: the file may have changed since.
    content_key: str = ""
    prepared: Any = None  # a `Prepared`, from when it is read until it is computed
    outcome: Outcome | None = None

    def finish(self, outcome: Outcome) -> _Job:
        """Return the job with its outcome, having released memory and lock."""
        self.outcome, self.prepared = outcome, None
        self.lock.release()
        return self


def _next_batch(ready: list[_Job], extractor: Extractor, last: bool) -> list[_Job]:
    """Take and return clips of about one length: a batch that, padded, is within the budget."""
    budget = extractor.batch_seconds
    ready.sort(key=lambda job: job.prepared.seconds)
    if last and extractor.n_concurrent > 1:  # so that the last ones end together
        left = sum(job.prepared.seconds for job in ready)
        budget = min(budget, max(budget / 4, left / extractor.n_concurrent))
    batch = [ready.pop()]
    longest = batch[0].prepared
    while ready and longest.may_batch and ready[-1].prepared.may_batch:
        if (len(batch) + 1) * longest.seconds > budget:
            break
        batch.append(ready.pop())
    return batch
