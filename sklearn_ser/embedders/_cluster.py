"""Where missing records are computed: in this process, or by the workers of a cluster.

A cluster is whatever joblib is configured to run on beyond this machine's own threads and
processes: ``with joblib.parallel_config(backend="dask"):``, or ``"ray"``. Clips are dealt out to
its workers by their duration. A worker does with its share what one process does with all clips:
it reads what is stored by now, computes the rest, and stores each record as soon as it is there.
"""

from __future__ import annotations

import heapq
import os
import sys
import threading
import warnings
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import joblib
from joblib.parallel import get_active_backend
from sklearn.base import clone

from sklearn_ser._audio import Clip
from sklearn_ser._extraction import Extraction, Extractor
from sklearn_ser._store import Store
from sklearn_ser._utils import Progress, as_they_come, on_cluster, warn
from sklearn_ser.exceptions import ClipWarning

__all__ = ["compute_missing"]

# A worker gets several shares, so that all end together, and one that is lost loses little.
SHARES = 4
LONGEST_SHARE = 1800.0  # seconds of audio
# Of clips whose length is not known, a second is so many bytes: 16 kHz, 16 bits.
BYTES_A_SECOND = 32_000
# Warnings for the developers of a library. They would come back as the caller's own, and be shown.
HIDDEN = (DeprecationWarning, PendingDeprecationWarning, ImportWarning, ResourceWarning)


def compute_missing(embedder: Any, extraction: Extraction) -> None:
    """Compute the missing records of an extraction, where joblib is configured to.

    Parameters
    ----------
    embedder : RecordEmbedder
    extraction : Extraction
    """
    if not on_cluster():
        _compute_here(embedder, extraction)
    elif _is_worker():  # of a search, say, whose other workers share the records
        with joblib.parallel_config("threading", n_jobs=1):
            _compute_here(embedder, extraction)
    else:
        _compute_on_cluster(embedder, extraction)


def _is_worker() -> bool:
    """Return whether this is a worker of Dask, in which joblib's backend is Dask's again."""
    if "distributed" not in sys.modules:
        return False
    from distributed import get_worker

    try:
        get_worker()
    except ValueError:
        return False
    return True


def _compute_here(embedder: Any, extraction: Extraction) -> None:
    extractor = embedder.make_extractor()
    extraction.compute(extractor, verbose=bool(embedder.verbose), name=embedder.short_name)
    _warn_of(type(extractor), extractor.notes)


def _warn_of(kind: type[Extractor], notes: Sequence[tuple[Any, ...]]) -> None:
    for remark in kind.remarks(notes):
        warn(remark, ClipWarning)


def _compute_on_cluster(embedder: Any, extraction: Extraction) -> None:
    """Have workers compute the missing records, and take each outcome into the extraction."""
    n_jobs = get_active_backend()[1] or -1
    keys, clips = list(extraction.missing), list(extraction.missing.values())
    n_workers = joblib.effective_n_jobs(n_jobs)
    costs = [_cost(clip) for clip in clips]
    shares = deal_out(costs, max(SHARES * n_workers, int(sum(costs) / LONGEST_SHARE)))
    sent = _for_workers(embedder)
    parallel = joblib.Parallel(n_jobs, return_as=as_they_come("generator_unordered"))
    done = parallel(
        joblib.delayed(_compute_share)(sent, share, [_for_worker(clips[i]) for i in share])
        for share in shares
    )
    notes: defaultdict[type[Extractor], list[tuple[Any, ...]]] = defaultdict(list)
    with Progress(len(clips), embedder.short_name, bool(embedder.verbose)) as progress:
        for share, outcomes, caught, noted in done:
            for i, outcome in zip(share, outcomes, strict=True):
                extraction.take(keys[i], outcome)
                progress.update(clips[i])
            for message, category in caught:
                warn(message, category)
            for kind, found in noted:
                notes[kind] += found
    extraction.tidy()
    for kind, found in notes.items():
        _warn_of(kind, found)


def _cost(clip: Clip) -> float:
    """Return about how many seconds a clip lasts, without decoding it."""
    if seconds := clip.seconds():
        return seconds
    try:
        size = os.stat(clip.source).st_size if isinstance(clip.source, Path) else len(clip.source)  # type: ignore[arg-type]
    except (OSError, TypeError):  # reading it raises what is wrong
        return 0.0
    return size / BYTES_A_SECOND


def deal_out(costs: Sequence[float], n_shares: int) -> list[list[int]]:
    """Return the positions of each share, so that shares cost about the same; none is empty.

    The longest first, each to the share that has least so far, and of those to the one with the
    fewest clips.
    """
    loads = [(0.0, 0, k) for k in range(min(n_shares, len(costs)))]
    shares: list[list[int]] = [[] for _ in loads]
    for i in sorted(range(len(costs)), key=lambda i: -costs[i]):
        load, n_clips, k = loads[0]
        heapq.heapreplace(loads, (load + costs[i], n_clips + 1, k))
        shares[k].append(i)
    return [sorted(share) for share in shares]


def _for_workers(embedder: Any) -> Any:
    """Return a copy whose folders are found from any folder, and which shows no progress."""
    changed: dict[str, Any] = {"verbose": False}
    if embedder.cache is not None:
        changed["cache"] = os.fspath(Store(embedder.cache).folder.absolute())
    model = getattr(embedder, "model", None)
    if isinstance(model, str) and (folder := Path(model).expanduser()).is_dir():
        changed["model"] = os.fspath(folder.absolute())
    return clone(embedder).set_params(**changed)


def _for_worker(clip: Clip) -> Clip:
    """Return a clip whose file is found from any folder."""
    is_file = isinstance(clip.source, Path)
    return replace(clip, source=clip.source.absolute()) if is_file else clip  # type: ignore[union-attr]


def _compute_share(embedder: Any, share: list[int], clips: Sequence[Clip]) -> tuple[Any, ...]:
    """Return a share, the outcome of each of its clips, warnings and notes; run by a worker."""
    with joblib.parallel_config("threading", n_jobs=1), _caught.recorded() as caught:
        layout = embedder.layout()
        on_error = "raise" if embedder.on_error == "raise" else "nan"
        extraction = Extraction(clips, embedder.records(), layout.rows, on_error)
        noted = []
        if extraction.missing:
            extractor = embedder.make_extractor()
            extraction.compute(extractor, tidy=False)
            noted = [(type(extractor), extractor.notes)] if extractor.notes else []
        return share, extraction.outcomes(), caught(), noted


class _Caught:
    """The warnings of all shares that a process computes: Python has one list for all threads."""

    def __init__(self) -> None:
        self._lock, self._n_recording = threading.Lock(), 0

    @contextmanager
    def recorded(self) -> Iterator[Any]:
        """Return a context with a function that returns the warnings which no one has taken."""
        with self._lock:
            if not self._n_recording:
                self._catching = warnings.catch_warnings(record=True)
                self._log: Any = self._catching.__enter__()
                warnings.simplefilter("always")
                for category in HIDDEN:
                    warnings.simplefilter("ignore", category)
            self._n_recording += 1
        try:
            yield self._take
        finally:
            with self._lock:
                self._n_recording -= 1
                if not self._n_recording:
                    self._catching.__exit__(None, None, None)

    def _take(self) -> list[tuple[str, type[Warning]]]:
        with self._lock:
            taken = [(str(warning.message), warning.category) for warning in self._log]
            self._log.clear()
        return taken


_caught = _Caught()
