"""From clips to rows of their records: read what is stored, compute the rest."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Generator, Iterable, Sequence
from contextlib import closing
from typing import Any

import joblib
import numpy as np
import numpy.typing as npt

from sklearn_ser.audio import Clip, ClipError
from sklearn_ser.embedders._batches import Batched, compute_in_batches
from sklearn_ser.embedders._claim import UNKNOWN, Claim, Done
from sklearn_ser.embedders._progress import Progress
from sklearn_ser.store import Records

__all__ = ["ClipWarning", "rows_of_records"]

POLL = 0.1  # seconds between looks at what other processes are computing

Array = npt.NDArray[np.float32]


class ClipWarning(UserWarning):
    """A clip could not be used, and its row is NaN; or it was run in windows, or clipped."""


def rows_of_records(
    clips: Sequence[Clip],
    extract: Callable[[Clip, Any], Array],
    records: Records | None,
    rows: Sequence[int] | None,
    *,
    batched: Callable[[], Batched | None] = lambda: None,
    on_error: str = "raise",
    n_jobs: int | None = None,
    verbose: bool = False,
    description: str = "",
) -> list[Array | None]:
    """Return the wanted rows of every clip's record, computing each missing record once.

    Parameters
    ----------
    clips : sequence of Clip
        Clips with equal content are computed once.
    extract : callable
        Maps a clip and its content to its record, of shape (n_rows, n_columns).
    records : Records or None
        Where records are kept; each is written as soon as it is computed. None keeps nothing.
    rows : sequence of int or None
        The rows wanted; None means all.
    batched : callable
        Returns what extracts several clips at once instead, or None.
    on_error : {"raise", "warn", "nan"}
        What a clip that cannot be used does.
    n_jobs : int or None
        Number of threads that decode and extract.
    verbose, description
        Whether to show a progress bar, and what it is called.

    Returns
    -------
    parts : list of (ndarray of shape (n_rows, n_columns) or None)
        None stands for a clip that could not be used.
    """
    # A search asks for the same stored clips hundreds of times, so what runs for each is short.
    keys = [_key(clip, on_error) for clip in clips]
    wanted = [key for key in keys if isinstance(key, str)]
    outcomes: dict[str, Array | ClipError] = {}
    if records is not None:
        stored = records.read_all(wanted, rows)
        if len(stored) == len(clips) and all(record is not None for record in stored):
            return stored
        outcomes = {
            k: record for k, record in zip(wanted, stored, strict=True) if record is not None
        }
    pending: dict[str, Clip] = {}  # each content's first clip, in their order
    for key, clip in zip(keys, clips, strict=True):
        if isinstance(key, str) and key not in outcomes:
            pending.setdefault(key, clip)
    with closing(
        _compute_all(
            pending, extract, batched, records, rows, on_error, n_jobs, verbose, description
        )
    ) as computed:
        outcomes.update(computed)
    if pending and records is not None and rows is not None:  # not frames, whose number differs
        records.pack()
    found = [outcomes[key] if isinstance(key, str) else key for key in keys]
    if on_error == "warn":
        for clip, outcome in zip(clips, found, strict=True):
            if isinstance(outcome, ClipError):  # equal clips share it, but each is named
                named = clip.error(outcome.cause, outcome.cure)
                warnings.warn(f"{named} Its row is NaN.", ClipWarning, stacklevel=5)
    return [None if isinstance(outcome, ClipError) else outcome for outcome in found]


def _key(clip: Clip, on_error: str) -> str | ClipError:
    try:
        return clip.digest()
    except ClipError as error:
        if on_error == "raise":
            raise
        return error


def _compute_all(
    pending: dict[str, Clip],
    extract: Callable[[Clip, Any], Array],
    batched: Callable[[], Batched | None],
    records: Records | None,
    rows: Sequence[int] | None,
    on_error: str,
    n_jobs: int | None,
    verbose: bool,
    description: str,
) -> Generator[tuple[str, Array | ClipError]]:
    """Yield (key, record or error); what another process is computing is looked for last."""
    if not pending:
        return

    at_once = batched()  # only now: it may load a model

    def compute(keys: Iterable[str]) -> Generator[Done]:
        claims = [Claim(key, pending[key], records, rows, on_error) for key in keys]
        if at_once is not None:
            threads = joblib.effective_n_jobs(n_jobs) if n_jobs else None
            return compute_in_batches(claims, at_once, threads)
        call = joblib.delayed(_compute_one)
        done: Generator[Done] = joblib.Parallel(
            n_jobs, prefer="threads", return_as="generator_unordered"
        )(call(claim, extract) for claim in claims)
        return done

    left = list(pending)
    with Progress(len(pending), description, verbose) as progress:
        while left:
            busy = []
            with closing(compute(left)) as done:
                for key, outcome in done:
                    if outcome is None:
                        busy.append(key)
                    else:
                        progress.update(pending[key])
                        yield key, outcome
            if len(busy) == len(left):
                time.sleep(POLL)
            left = busy


def _compute_one(claim: Claim, extract: Callable[[Clip, Any], Array]) -> Done:
    """Compute one record, here and now."""
    with claim as known:
        if known is not UNKNOWN:
            return claim.key, known
        try:
            content = claim.clip.read()
            return claim.key, claim.keep(content, extract(claim.clip, content))
        except ClipError as error:
            return claim.key, claim.failed(error)
