"""Windows over recordings, read from their start to their end in bounded memory."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from sklearn_ser._audio import WHOLE, Clip, decode, mono_of, read_blocks
from sklearn_ser.exceptions import ClipError

__all__ = ["Piece", "pieces_of"]

# A rest of a recording that is shorter than this share of a window is not taken by itself.
REST = 0.1


class Piece(NamedTuple):
    """A recording, or a window of one, or what is wrong with it."""

    #: Seconds from the recording's start; None where that could not be told.
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
    first = 0
    while True:
        try:
            source.fill_to(first + n_samples)
        except ClipError as error:
            cause = f"{error.cause}; it was recognised up to {first / source.rate:.1f} s"
            yield Piece(first / source.rate, None, None, clip.error(cause, error.cure))
            return
        if source.stop < first + n_samples:
            break
        yield _window(clip, source, first, n_samples)
        first += step
    end_of_last = first - step + n_samples
    if source.stop - end_of_last > REST * n_samples:
        yield _window(clip, source, source.stop - n_samples, n_samples)


def _whole(clip: Clip) -> Piece:
    try:
        samples, rate = decode(clip, clip.read())
    except ClipError as error:
        return Piece(None, None, None, error)
    assert rate is not None  # without one, a waveform is no clip
    start = clip.segment.start
    return Piece(start, start + len(samples) / rate, (samples, rate), None)


def _window(clip: Clip, source: _Stream, first: int, n_samples: int) -> Piece:
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
