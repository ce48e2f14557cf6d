"""From clips to rows of their records: read what is stored, compute the rest."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import filelock
import joblib
import numpy as np
import numpy.typing as npt

from sklearn_ser.audio import Clip, ClipError, content_digest
from sklearn_ser.store import Records, StoreWarning

__all__ = ["ClipWarning", "rows_of_records"]

Array = npt.NDArray[np.float32]
Outcome = Array | ClipError | None  # None: another process is computing it


class ClipWarning(UserWarning):
    """A clip could not be used; its row is NaN."""


def rows_of_records(
    clips: Sequence[Clip],
    extract: Callable[[Clip, Any], Array],
    records: Records | None,
    rows: Sequence[int] | None,
    *,
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
    keys: list[str | ClipError] = []
    outcomes: dict[str, Array | ClipError] = {}
    pending: dict[str, Clip] = {}
    for clip in clips:
        try:
            key = clip.digest()
        except ClipError as error:
            if on_error == "raise":
                raise
            keys.append(error)
            continue
        keys.append(key)
        if key not in outcomes and key not in pending:
            stored = None if records is None else records.read(key, rows)
            if stored is None:
                pending[key] = clip
            else:
                outcomes[key] = stored
    for key, outcome in _compute_all(
        pending, extract, records, rows, on_error, n_jobs, verbose, description
    ):
        outcomes[key] = outcome
    parts: list[Array | None] = []
    for clip, known in zip(clips, keys, strict=True):
        outcome = outcomes[known] if isinstance(known, str) else known
        if not isinstance(outcome, ClipError):
            parts.append(outcome)
            continue
        parts.append(None)
        if on_error == "warn":  # equal clips share an outcome, but each is named
            named = clip.error(outcome.cause, outcome.cure)
            warnings.warn(f"{named} Its row is NaN.", ClipWarning, stacklevel=4)
    return parts


def _compute_all(
    pending: dict[str, Clip],
    extract: Callable[[Clip, Any], Array],
    records: Records | None,
    rows: Sequence[int] | None,
    on_error: str,
    n_jobs: int | None,
    verbose: bool,
    description: str,
) -> Iterator[tuple[str, Array | ClipError]]:
    """Yield (key, record or error); what another process is computing is waited for last."""
    if not pending:
        return
    from tqdm.auto import tqdm

    def compute(items: Iterable[tuple[str, Clip]], wait: bool) -> Any:
        call = joblib.delayed(_try_one)
        return joblib.Parallel(n_jobs, prefer="threads", return_as="generator_unordered")(
            call(on_error, key, clip, extract, records, rows, wait) for key, clip in items
        )

    busy = []
    with tqdm(total=len(pending), desc=description, unit="clip", disable=not verbose) as progress:
        for key, outcome in compute(pending.items(), wait=False):
            if outcome is None:
                busy.append(key)
            else:
                progress.update()
                yield key, outcome
        for key, outcome in compute([(key, pending[key]) for key in busy], wait=True):
            progress.update()
            yield key, outcome


def _try_one(on_error: str, key: str, *args: Any) -> tuple[str, Outcome]:
    try:
        return _compute_one(key, *args)
    except ClipError as error:
        if on_error == "raise":  # here, so that joblib stops the other threads
            raise
        return key, error


def _compute_one(
    key: str,
    clip: Clip,
    extract: Callable[[Clip, Any], Array],
    records: Records | None,
    rows: Sequence[int] | None,
    wait: bool,
) -> tuple[str, Array | None]:
    if records is None:
        return key, _extract(clip, extract, None, rows)
    try:
        lock = records.claim(key)
        lock.acquire(blocking=wait)
    except filelock.Timeout:
        return key, None
    except (OSError, NotImplementedError) as error:
        message = f"no lock in {records.folder} ({error}); processes may repeat each other's work"
        warnings.warn(message, StoreWarning, stacklevel=2)
        return key, _extract(clip, extract, records, rows)
    try:
        stored = records.read(key, rows)
        return key, _extract(clip, extract, records, rows) if stored is None else stored
    finally:
        lock.release()
        records.forget_claim(key)


def _extract(
    clip: Clip,
    extract: Callable[[Clip, Any], Array],
    records: Records | None,
    rows: Sequence[int] | None,
) -> Array:
    content = clip.read()
    record = extract(clip, content)
    if not np.isfinite(record).all():
        raise clip.error(
            f"{np.count_nonzero(~np.isfinite(record))} of its features are NaN or infinite",
            "It is most likely too short or too quiet for these features; leave it out.",
        )
    if records is not None:
        # The digest of what was decoded, not of what was looked up: the file may have changed.
        records.write(content_digest(content, clip.rate), record)
    return record if rows is None else record[list(rows)]
