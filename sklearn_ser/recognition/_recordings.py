"""Recordings of any length: read in windows, in bounded memory, and recognised row by row.

Used by `EmotionRecognizer.recognize` and the command line.
"""

from __future__ import annotations

import copy
import itertools
import math
from collections.abc import Iterator, Sequence
from numbers import Real
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from sklearn.base import clone

from sklearn_ser._audio import WHOLE, Clip, as_clips, decode, items_of, mono_of, read_blocks
from sklearn_ser._utils import Number, printable
from sklearn_ser.exceptions import ClipError

__all__ = ["ABSTAINED", "Piece", "check_emotions", "frame_of", "pieces_of", "rows_of"]

INTERVAL = Number(Real, 0.01, None, closed="left")  # seconds
ABSTAINED = "abstained: unlike the speech of training"  # a note
SHARE = Number(Real, 0, 1, closed="both")
# Of a row, beside those that are called as emotions are.
COLUMNS = ("recording", "start", "end", "emotion", "out_of_domain", "note")
AT_ONCE = 32  # pieces, so that memory stays bounded
BAR = "{desc}: {percentage:3.0f}%|{bar}| {n:.0f}/{total:.0f} s of audio [{elapsed}<{remaining}]"

Row = dict[str, Any]


def rows_of(
    recognizer: Any,
    recordings: Any,
    *,
    window: float | str | None = "auto",
    hop: float | None = None,
    abstain: float | None = 0.95,
    verbose: bool = False,
) -> Iterator[list[Row]]:
    """Yield rows, some at a time; see `EmotionRecognizer.recognize`.

    A recording, or a window, that cannot be used is a row that says why.
    """
    from tqdm.auto import tqdm

    length, longest = _parse_window(window, recognizer.seconds_)
    for name, value in (("window", length), ("hop", hop)):
        if value is not None and not INTERVAL.is_satisfied_by(value):
            raise ValueError(
                f"{name}={value!r}; it must be a positive number of seconds, 0.01 or more."
            )
    if hop is not None and length is None:
        raise ValueError(f"hop={hop!r} has no effect: window=None takes whole recordings.")
    if abstain is not None and not SHARE.is_satisfied_by(abstain):
        raise ValueError(f"abstain={abstain!r}; it must be a share from 0 to 1, or None.")
    check_emotions(recognizer.classes_)
    clips = as_clips(items_of(recordings))
    piece_recognizer = _PieceRecognizer(recognizer, abstain)
    pieces = ((clip, piece) for clip in clips for piece in pieces_of(clip, length, hop, longest))
    total = sum(clip.seconds() for clip in clips) if verbose else 0.0
    shown = {"desc": "recognize", "bar_format": BAR, "disable": not verbose}
    with tqdm(total=total, **shown) as progress:
        while batch := list(itertools.islice(pieces, AT_ONCE)):
            yield piece_recognizer.rows(batch)
            covered = sum((p.end or 0) - (p.start or 0) for _, p in batch)
            progress.update(min(covered, total - progress.n))


def check_emotions(emotions: Any) -> None:
    """Raise a ValueError if an emotion's probabilities would overwrite another column of rows."""
    if taken := sorted({*COLUMNS} & {*emotions.tolist()}):
        raise ValueError(
            f"the emotions {taken} are called as other columns of the rows that are recognised, "
            f"which are {', '.join(COLUMNS)}. Give them other names."
        )


def _parse_window(
    window: float | str | None, seconds: tuple[float, float]
) -> tuple[float | None, float]:
    """Return the length of windows, and of the longest recording that is taken at once."""
    if window is None:
        return None, math.inf
    if isinstance(window, str):
        if window != "auto":
            raise ValueError(f'window={window!r}; it must be seconds, "auto" or None.')
        if not seconds[0]:
            raise ValueError("it is not known how long the training clips are: set window.")
        return seconds
    return window, window


def frame_of(rows: Sequence[Row]) -> pd.DataFrame:
    """Return rows as a frame, in which codes of emotions stay whole numbers beside missing ones."""
    frame = pd.DataFrame(rows)
    if any(isinstance(row["emotion"], int) for row in rows):
        frame["emotion"] = pd.Series([row["emotion"] for row in rows], dtype=object)
    return frame


class _PieceRecognizer:
    """A recognizer that makes rows of pieces, also of those that cannot be used."""

    def __init__(self, recognizer: Any, abstain: float | None) -> None:
        self.recognizer, self.abstain = clone_fitted(recognizer), abstain
        self.classes = recognizer.classes_

    def rows(self, batch: Sequence[tuple[Clip, Piece]]) -> list[Row]:
        """Return the row of each piece of a batch."""
        usable = [i for i, (_, piece) in enumerate(batch) if piece.error is None]
        sounds = [batch[i][1].sound for i in usable]
        rows = [self._blank_row(clip, piece) for clip, piece in batch]
        if not sounds:
            return rows
        probabilities = self.recognizer.predict_proba(sounds)
        quantiles = self.recognizer.detector_.quantiles(sounds)
        for i, sound, *found in zip(usable, sounds, probabilities, quantiles, strict=True):
            self._fill_row(rows[i], batch[i][0], sound, *found)
        return rows

    def _blank_row(self, clip: Clip, piece: Piece) -> Row:
        """Return the row of a piece that has no emotion, or none yet."""
        return {
            "recording": printable(
                clip.name if not hasattr(clip.source, "suffix") else str(clip.source)
            ),
            "start": piece.start,
            "end": piece.end,
            "emotion": None,
            **dict.fromkeys(self.classes.tolist(), np.nan),
            "out_of_domain": np.nan,
            "note": "" if piece.error is None else printable(str(piece.error)),
        }

    def _fill_row(
        self, row: Row, clip: Clip, sound: Any, probabilities: Any, quantile: float
    ) -> None:
        row["out_of_domain"] = float(quantile)
        if np.isnan(probabilities).any() or np.isnan(quantile):
            row["note"] = printable(str(self._find_error(clip, sound)))
        elif self.abstain is not None and quantile > self.abstain:
            row["note"] = ABSTAINED
        else:
            row["emotion"] = self.classes.tolist()[probabilities.argmax()]
            row |= dict(zip(self.classes.tolist(), probabilities.tolist(), strict=True))

    def _find_error(self, clip: Clip, sound: Any) -> ClipError:
        """Return why an embedder cannot use a piece, by embedding it once more."""
        for embedder in (self.recognizer.embedder_, *self.recognizer.detector_.views_):
            strict = clone(embedder)
            strict.set_params(**dict.fromkeys(error_parameters(strict), "raise"))
            try:
                strict.fit_transform([sound])
            except ClipError as error:
                return clip.error(error.cause, error.cure)
        return clip.error("its features are not finite", "Leave it out.")


def clone_fitted(recognizer: Any) -> Any:
    """Return a copy of a recognizer whose embedders give NaN for what they cannot use."""
    copied = copy.deepcopy(recognizer)
    for embedder in (copied.embedder_, *copied.detector_.views_):
        embedder.set_params(**dict.fromkeys(error_parameters(embedder), "nan"))
    return copied


def error_parameters(embedder: Any) -> list[str]:
    """Return the names of the parameters that say what a clip that cannot be used does."""
    return [name for name in embedder.get_params() if name.endswith("on_error")]


# A rest of a recording that is shorter than this share of a window is not taken by itself.
REST = 0.1


class Piece(NamedTuple):
    """A recording, or a window of one, or what is wrong with it."""

    #: Seconds from the recording's start; None where it is not known.
    start: float | None
    end: float | None
    #: A (waveform, rate) pair.
    sound: Any
    error: ClipError | None


def pieces_of(
    clip: Clip, length: float | None, hop: float | None, longest: float
) -> Iterator[Piece]:
    """Yield the windows of a recording; or all of it, if it is not longer than `longest`.

    Parameters
    ----------
    clip : Clip
        The recording.
    length : float or None
        Seconds of a window; None is the whole recording.
    hop : float or None
        Seconds from one window's start to the next one's; None is `length`.
    longest : float
        Seconds.

    Yields
    ------
    piece : Piece
        The last window ends with the recording, and may overlap the one before it by more than
        others.
    """
    if length is None or clip.segment != WHOLE or isinstance(clip.source, (bytes, ClipError)):
        yield _whole(clip)
        return
    source = _Stream(clip)
    try:
        source.fill(longest)
    except ClipError as error:
        yield Piece(None, None, None, error)
        return
    if source.rate is None or source.ended:
        yield _whole(clip)
        return
    hop = length if hop is None else hop
    step, n_samples = max(1, round(hop * source.rate)), max(2, round(length * source.rate))
    first = covered = 0
    while True:
        try:
            source.fill_to(first + n_samples)
        except ClipError as error:
            cause = f"{error.cause}; it was recognised up to {covered / source.rate:.1f} s"
            yield Piece(first / source.rate, None, None, clip.error(cause, error.cure))
            return
        if source.stop < first + n_samples:
            break
        yield _cut_window(clip, source, first, n_samples)
        first, covered = first + step, first + n_samples
    if source.stop - covered > REST * n_samples:
        yield _cut_window(clip, source, source.stop - n_samples, n_samples)


def _whole(clip: Clip) -> Piece:
    """Return all of a recording as one piece."""
    try:
        samples, rate = decode(clip, clip.read())
    except ClipError as error:
        return Piece(None, None, None, error)
    assert rate is not None  # without one, a waveform is no clip
    start = clip.segment.start
    return Piece(start, start + len(samples) / rate, (samples, rate), None)


def _cut_window(clip: Clip, source: _Stream, first: int, n_samples: int) -> Piece:
    """Return a window of a recording as a piece."""
    rate = source.rate
    start, end = first / rate, (first + n_samples) / rate
    name = f"{clip.name} from {start:.2f} s to {end:.2f} s"
    try:
        samples = mono_of(Clip(clip.position, name, clip.source), source.cut(first, n_samples))
    except ClipError as error:
        return Piece(start, end, None, error)
    return Piece(start, end, (samples, rate), None)


class _Stream:
    """The samples of a recording that may still be needed."""

    def __init__(self, clip: Clip) -> None:
        self._blocks = read_blocks(clip)
        self._kept: list[Any] = []
        self._start = self.stop = 0
        self.rate: Any = None
        self.ended = False

    def fill(self, seconds: float) -> None:
        """Read on until there are more than so many seconds."""
        while not self.ended and (self.rate is None or self.stop <= seconds * self.rate):
            self._read()

    def fill_to(self, stop: int) -> None:
        """Read on until there is a sample before `stop`, or the recording ends."""
        while not self.ended and self.stop < stop:
            self._read()

    def _read(self) -> None:
        block = next(self._blocks, None)
        if block is None:
            self.ended = True
            return
        samples, self.rate = block
        self._kept.append(samples)
        self.stop += len(samples)

    def cut(self, first: int, n_samples: int) -> Any:
        """Return samples, and forget what is long before them."""
        if len(self._kept) > 1:
            self._kept = [np.concatenate(self._kept)]
        (kept,) = self._kept
        before = first - self._start
        window = kept[before : before + n_samples]
        # The last window may begin before the one that came before it.
        forget = max(0, before - n_samples)
        self._kept, self._start = [kept[forget:]], self._start + forget
        return window
