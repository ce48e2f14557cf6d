"""AudioAugmenter: changed copies of clips, in training folds only.

`_changes` makes a copy, `_clip_columns` finds clips in frames and appends copies.
"""

from __future__ import annotations

import copy
import os
from collections.abc import Iterator, Sequence
from contextlib import closing, nullcontext, suppress
from numbers import Integral
from pathlib import Path
from typing import Any, ClassVar

import joblib
import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator
from sklearn.utils import check_consistent_length, check_random_state
from sklearn.utils.validation import validate_data

from sklearn_ser._audio import (
    Clip,
    as_clips,
    is_numeric_batch,
    items_of,
    need_clips,
    waveforms_of,
)
from sklearn_ser._store import Store
from sklearn_ser._utils import (
    WAVEFORM_RATE,
    WHOLE_NUMBER,
    Number,
    Progress,
    StrOptions,
    as_classes,
    as_they_come,
    delete_files,
    digest_of,
    fit_context,
    safe_indexing,
    warn,
)
from sklearn_ser.exceptions import ClipError
from sklearn_ser.preprocessing._changes import FILES, SETTINGS, Change, CopiedClip, Copy
from sklearn_ser.preprocessing._clip_columns import (
    append_copies,
    find_clip_column,
    renumber,
    segment_columns,
)

__all__ = ["AudioAugmenter"]

FOLDER = "augmented"  # in the store's

Key = tuple[str, int]  # of a copy: the digest of its clip, and its number


class AudioAugmenter(BaseEstimator):
    """Add changed copies of clips, while a pipeline is fitted.

    A sampler for the Pipeline of imbalanced-learn, which runs samplers in `fit` alone: copies are
    made of training clips, and clips that are predicted stay as they are. A copy keeps its clip's
    label and all other columns of its row, such as the speaker.

    Every copy differs from its clip in one change:

    ===========  ==================================================================================
    "noise"      white noise, 10 to 30 dB below the clip
    "stretch"    0.9 to 1.1 times the tempo, at the same pitch
    "pitch"      up to 2 semitones up or down, with the formants, at the same tempo
    "gain"       12 dB less to 12 dB more, but never above full scale
    "room"       reverberation that takes 0.2 to 0.8 s to fall by 60 dB, 0 to 10 dB below the
                 direct sound, as loud as the clip; it goes on after the clip's end
    "codec"      G.711 or GSM 06.10, the codecs of telephones, at 8 kHz; or MP3 or Opus at 16 kHz
    ===========  ==================================================================================

    Parameters
    ----------
    changes : str, callable, list or tuple, default=("noise", "stretch", "pitch", "gain")
        What copies differ in, drawn for each: one or several names from the table, transforms of
        audiomentations (with ``p=1``, or some copies equal their clips), or functions of
        ``(waveform, rate)`` that return a waveform. A clip's first copies differ in their changes:
        with as many copies as changes there is one of each. Several changes at once are an
        audiomentations ``Compose``.
    n_copies : int, default=1
        Copies of each clip. 0 adds none, unless `balance` does.
    balance : bool, default=False
        Whether to make emotions equally frequent: all as frequent as the most frequent one
        becomes, ``1 + n_copies`` times as many clips as it had. Rarer ones get more copies,
        spread over their clips as evenly as can be.
    column : str or None, default=None
        The column of clips, where X is a frame. None: its only column, or the one called "path",
        "clip" or "audio", the first of these that there is.
    cache : str, path-like or None, default="auto"
        Where copies are kept, as wav files of 32-bit floats: in the folder "augmented" of the
        store (see :class:`~sklearn_ser._store.Store`), with a comment that says which clip each is
        of, for :func:`~sklearn_ser.audit.find_duplicates`. None: in memory, as (waveform, rate)
        pairs.
    waveform_rate : float or None, default=None
        Sampling rate of bare waveforms, in Hz.
    n_jobs : int or None, default=None
        Number of processes that make copies. Threads would take turns.
    on_error : {"raise", "warn", "ignore"}, default="raise"
        What happens to a clip that cannot be used: an error, or it stays in X and has no copies,
        with or without a warning.
    random_state : int, RandomState instance or None, default=0
        Determines the copies. With an int, a clip has the same copies in every fold, of every
        candidate of a search, so that each is made and embedded once. None draws others at every
        fit, which are never found again.
    verbose : bool, default=False
        Whether to show a progress bar.

    Attributes
    ----------
    sample_indices_ : ndarray of shape (n_clips_new,), dtype int
        The row of X that each clip returned comes from.
    seed_ : int
        What the copies were drawn from.

    See Also
    --------
    SpeakerScaler : Takes away what speakers differ in.

    Notes
    -----
    What a copy is follows from the seed, its number and the clip's content, not from where the
    clip stands. A copy is mono and keeps the clip's sampling rate. Changes from the table turn down
    what would exceed full scale. Own transforms have to draw from the global states of
    :mod:`random` and NumPy, as audiomentations does; these are seeded for each copy and then put
    back.

    What splits the training clips again, such as a search inside the pipeline, has to split them
    by speaker, or copies of one clip come into training and test set.

    Examples
    --------
    >>> from imblearn.pipeline import make_pipeline
    >>> from sklearn.linear_model import LogisticRegression
    >>> from sklearn.model_selection import GroupKFold, cross_val_score
    >>> from sklearn.preprocessing import StandardScaler
    >>> from sklearn_ser import MFCCEmbedder
    >>> from sklearn_ser.datasets import make_emotional_speech
    >>> from sklearn_ser.preprocessing import AudioAugmenter
    >>> corpus = make_emotional_speech(n_speakers=3, n_sentences=1, random_state=0)
    >>> augmenter = AudioAugmenter(["noise", "gain"], n_copies=2, cache=None)
    >>> X, y = augmenter.fit_resample(corpus.X, corpus.y)
    >>> len(corpus.X), len(X)
    (12, 36)
    >>> speakers = corpus.groups[augmenter.sample_indices_]

    In cross-validation, by speaker:

    >>> pipeline = make_pipeline(
    ...     augmenter, MFCCEmbedder(cache=None), StandardScaler(), LogisticRegression()
    ... )
    >>> cross_val_score(pipeline, corpus.X, corpus.y, groups=corpus.groups, cv=GroupKFold(3)).shape
    (3,)
    """

    _estimator_type = "sampler"
    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "changes": [StrOptions(set(SETTINGS)), callable, list, tuple],
        "n_copies": [Number(Integral, 0, None, closed="left")],
        "balance": ["boolean"],
        "column": [str, None],
        "cache": [str, os.PathLike, None],
        "waveform_rate": [WAVEFORM_RATE, None],
        "n_jobs": [WHOLE_NUMBER, None],
        "on_error": [StrOptions({"raise", "warn", "ignore"})],
        "random_state": ["random_state"],
        "verbose": ["verbose"],
    }

    def __init__(
        self,
        changes: Change | Sequence[Change] = ("noise", "stretch", "pitch", "gain"),
        *,
        n_copies: int = 1,
        balance: bool = False,
        column: str | None = None,
        cache: str | os.PathLike[str] | None = "auto",
        waveform_rate: float | None = None,
        n_jobs: int | None = None,
        on_error: str = "raise",
        random_state: int | np.random.RandomState | None = 0,
        verbose: bool = False,
    ) -> None:
        self.changes = changes
        self.n_copies = n_copies
        self.balance = balance
        self.column = column
        self.cache = cache
        self.waveform_rate = waveform_rate
        self.n_jobs = n_jobs
        self.on_error = on_error
        self.random_state = random_state
        self.verbose = verbose

    @fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: Any, y: Any = None) -> AudioAugmenter:
        """Check the parameters and the kind of input; use `fit_resample` for all else.

        Parameters
        ----------
        X : sequence of n_clips clips, frame, or ndarray of shape (n_clips, n_samples)
            See `fit_resample`.
        y : array-like of shape (n_clips,)
            Emotions.

        Returns
        -------
        self : AudioAugmenter
        """
        self._parse_changes()
        self._parse_input(X, y, finite=self.on_error == "raise")
        return self

    @fit_context(prefer_skip_nested_validation=True)
    def fit_resample(self, X: Any, y: Any) -> tuple[Any, Any]:
        """Return the clips and, after them, changed copies.

        Parameters
        ----------
        X : sequence of n_clips clips, frame, or ndarray of shape (n_clips, n_samples)
            Paths, waveforms, (waveform, rate) pairs or dicts; or a frame with a column of these,
            and of start, end and channel where clips are segments, and any others.
        y : array-like of shape (n_clips,)
            Emotions; any numbers where nothing is balanced.

        Returns
        -------
        X_resampled : as X
            With n_clips_new clips, copies as paths or (waveform, rate) pairs. A 2-D array becomes
            an object array of clips. A pandas index starts anew.
        y_resampled : as y
            Their labels.

        Raises
        ------
        ClipError
            If a clip cannot be used and ``on_error="raise"``.
        """
        changes = self._parse_changes()
        column, items = self._parse_input(X, y)
        clips = as_clips(items, self.waveform_rate)
        self.seed_ = int(check_random_state(self.random_state).randint(2**31 - 1))
        sources, copies = self._copy_clips(clips, y, changes)
        self.sample_indices_ = np.array([*range(len(clips)), *sources], dtype=np.intp)
        X_resampled = append_copies(X, column, items, self.sample_indices_, copies)
        return X_resampled, renumber(safe_indexing(y, self.sample_indices_))

    def _parse_input(self, X: Any, y: Any, finite: bool = False) -> tuple[str | None, list[Any]]:
        """Return the name of the column of clips, if X is a frame, and the clips."""
        if y is None:
            raise ValueError("AudioAugmenter requires y to be passed, but the target y is None.")
        need_clips(X)
        for attribute in ("n_features_in_", "feature_names_in_"):
            self.__dict__.pop(attribute, None)
        column = find_clip_column(X, self.column)
        if column is not None:
            items = items_of(X[[column, *segment_columns(X, column)]])
        elif is_numeric_batch(X):
            items = waveforms_of(validate_data(self, X, ensure_all_finite=finite), X)
        else:
            items = items_of(X)
        check_consistent_length(items, y)
        return column, items

    def _parse_changes(self) -> tuple[Change, ...]:
        changes: Any = self.changes
        changes = tuple(changes) if isinstance(changes, (list, tuple)) else (changes,)
        if not changes or not all(callable(change) or change in [*SETTINGS] for change in changes):
            raise ValueError(
                "The 'changes' parameter of AudioAugmenter must be one or several of "
                f"{list(SETTINGS)}, or functions. Got {self.changes!r} instead."
            )
        return copy.deepcopy(changes)  # transforms keep the parameters that they have drawn

    def clear_cache(self) -> None:
        """Delete all stored copies, of whatever settings; other files are left alone."""
        if (folder := self._folder()) is not None:
            delete_files(Path(folder), FILES)

    def _folder(self) -> str | None:
        return None if self.cache is None else os.path.abspath(Store(self.cache).folder / FOLDER)

    def _copy_clips(
        self, clips: Sequence[Clip], y: Any, changes: tuple[Change, ...]
    ) -> tuple[list[int], list[CopiedClip]]:
        """Return the rows that the copies are of, and the copies."""
        folder = self._folder()
        digests = [self._digest_of(clip) for clip in clips]
        known: dict[Key, CopiedClip] = {}
        while True:
            plan = self._plan_copies(digests, y)
            new = {
                key: Copy(clips[row], *key, changes, self.seed_, folder)
                for row, key in plan
                if key not in known
            }
            unusable: dict[str, ClipError] = {}
            for key, made in self._make_copies(new):
                if isinstance(made, ClipError):
                    unusable[key[0]] = self._raise_or_return(made)
                else:
                    known[key] = made
            if not unusable:  # else other clips are copied in their place
                break
            digests = [unusable.get(str(digest), digest) for digest in digests]
        if self.on_error == "warn":
            for clip, digest in zip(clips, digests, strict=True):
                if isinstance(digest, ClipError):  # clips that are equal share it
                    error = clip.error(digest.cause, digest.cure)
                    warn(f"{error} It has no copies.")
        return [row for row, _ in plan], [known[key] for _, key in plan]

    def _digest_of(self, clip: Clip) -> str | ClipError:
        try:
            return clip.digest()
        except ClipError as error:
            return self._raise_or_return(error)

    def _raise_or_return(self, error: ClipError) -> ClipError:
        if self.on_error == "raise":
            raise error
        return error

    def _plan_copies(self, digests: list[str | ClipError], y: Any) -> list[tuple[int, Key]]:
        """Return the row and the key of each copy, first copies first."""
        codes, emotions = np.zeros(len(digests), dtype=np.intp), np.array([None])
        if self.balance:
            codes, emotions = pd.factorize(as_classes(y))
        counts = np.bincount(codes)
        plan = []
        for code, count in enumerate(counts):
            rows = [row for row in np.flatnonzero(codes == code) if isinstance(digests[row], str)]
            n_copies = len(rows) * self.n_copies
            if self.balance:
                n_copies = (1 + self.n_copies) * counts.max() - count
            if n_copies and not rows:
                raise ValueError(f"No clip of {emotions[code]} can be used: it cannot be balanced.")
            # Which clips have one copy more than others must not follow from where they stand.
            rows.sort(key=lambda row: digest_of(f"{self.seed_} {digests[row]}"))
            plan += [(i // len(rows), int(rows[i % len(rows)])) for i in range(n_copies)]
        return [(row, (str(digests[row]), number)) for number, row in sorted(plan)]

    def _make_copies(self, copies: dict[Key, Copy]) -> Iterator[tuple[Key, CopiedClip | ClipError]]:
        """Yield the key of each copy, and the copy; first those that are stored."""
        missing = {}
        for key, copy_of_clip in copies.items():
            if (stored := copy_of_clip.find()) is None:
                missing[key] = copy_of_clip
            else:
                yield key, stored
        if not missing:
            return
        make = joblib.Parallel(self.n_jobs, return_as=as_they_come("generator"))
        making = make(joblib.delayed(copy_of_clip.make)() for copy_of_clip in missing.values())
        with (
            Progress(len(missing), "augmented", bool(self.verbose)) as progress,
            closing(making) if hasattr(making, "close") else nullcontext(),
        ):
            for (key, copy_of_clip), made in zip(missing.items(), making, strict=True):
                progress.update(copy_of_clip.clip)
                yield key, made

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.requires_fit = False
        tags.target_tags.required = True
        return tags


def stored_copies(folder: Path) -> list[os.stat_result]:
    """Return the sizes and dates of all copies that the store in `folder` holds."""
    found = []
    for path in (folder / FOLDER).glob(FILES):
        with suppress(OSError):  # another process deletes it just now
            found.append(path.stat())
    return found
