"""From a clip's content to its samples: decode, cut, mix to mono, check."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from sklearn_ser._audio._files import TOO_LONG, VALUES, Samples, blocks_of, encoded
from sklearn_ser._audio._segments import WHOLE
from sklearn_ser._audio._streams import Encoded
from sklearn_ser.exceptions import SilentClipError

if TYPE_CHECKING:
    from sklearn_ser._audio._clip import Clip

__all__ = ["Waveform", "decode", "mono_of", "read_blocks"]

Waveform = npt.NDArray[np.float32]

# One step of 16-bit audio: a clip that moves by two steps or fewer holds no speech.
STEP = 1 / 32768
# Floats beyond this are not ±1 audio that overshoots, but integers that lost their type.
OVERSHOOT = 256


def decode(clip: Clip, content: Encoded | npt.NDArray[Any]) -> tuple[Waveform, float | None]:
    """Return the samples of a clip, of shape (n_samples,), and their rate in Hz.

    Raises
    ------
    ClipError
        If the content is not a usable clip.
    """
    rate: float | None
    if isinstance(content, np.ndarray):
        samples, rate = _scale(content)[:, None], clip.rate
        if clip.segment is not WHOLE and rate is not None:
            first, stop = _bounds(clip, len(samples), rate)
            samples = samples[first:stop]
    else:
        samples, rate = _decode_file(clip, content)
    return mono_of(clip, samples), rate


def read_blocks(clip: Clip) -> Iterator[tuple[Samples, float]]:
    """Yield the samples of a clip from its start to its end, however long it is.

    Parameters
    ----------
    clip : Clip
        A file or a waveform, and no segment of it.

    Yields
    ------
    samples : ndarray of shape (n_samples, n_channels), float32
    rate : float
        In Hz.

    Raises
    ------
    ClipError
        If it cannot be read, or no farther than this.
    """
    if isinstance(clip.source, Path):
        with clip.reading(), encoded(clip.source) as mapped:
            for _, samples, rate in blocks_of(clip, mapped):
                yield samples, rate
        return
    content = clip.read()
    if isinstance(content, bytes):
        for _, samples, rate in blocks_of(clip, content):
            yield samples, rate
    elif clip.rate is not None:
        for first in range(0, len(content), VALUES):
            yield _scale(content[first : first + VALUES])[:, None], clip.rate


def _decode_file(clip: Clip, content: Encoded) -> tuple[Samples, float]:
    """Return the samples of a file's segment, of shape (n_samples, n_channels), and their rate."""
    segment = clip.segment
    parts: list[Samples] = []
    rate, n_samples = 0.0, 0
    for begin, samples, rate in blocks_of(clip, content, segment.start):
        first = round(segment.start * rate)
        stop = math.inf if segment.end is None else round(segment.end * rate)
        n_samples = begin + len(samples)
        part = samples[max(0, first - begin) : max(0, int(min(stop, n_samples)) - begin)]
        if len(part):  # an empty view would keep its block
            parts.append(part)
        if n_samples >= stop:
            break
    else:  # only now is it known how long it is
        if segment is not WHOLE and rate:
            _bounds(clip, n_samples, rate)
    if not parts:
        raise clip.error("holds no samples", "Record or export it again.")
    try:
        return np.concatenate(parts), rate
    except MemoryError:
        raise clip.error(*TOO_LONG) from None


def _bounds(clip: Clip, n_samples: int, rate: float) -> tuple[int, int]:
    try:
        return clip.segment.bounds(n_samples, rate)
    except ValueError as error:
        raise clip.error(str(error), "Check start and end, which are seconds.") from None


@np.errstate(over="ignore", invalid="ignore")  # what comes of damage is checked
def mono_of(clip: Clip, samples: Samples) -> Waveform:
    """Return the channel asked for, or the mean of all, of shape (n_samples,), and check it.

    Raises
    ------
    ClipError
        If these samples, of shape (n_samples, n_channels), are of no use.
    """
    channel, n_channels = clip.segment.channel, samples.shape[1]
    if channel is None:
        mono = samples[:, 0] if n_channels == 1 else samples.mean(axis=1, dtype=np.float32)
    elif channel < n_channels:
        mono = np.ascontiguousarray(samples[:, channel])
    else:
        cause = f"it has {n_channels} channel(s), so none with the number {channel}"
        raise clip.error(cause, "Channels are counted from 0.")
    _check(clip, mono)
    if np.ptp(mono) <= 2 * STEP:
        if channel is None and (np.ptp(samples, axis=0) > 2 * STEP).any():
            raise clip.error(
                f"its {n_channels} channels cancel out: their mean is silent, but they are not",
                'Choose one of them: {"path": …, "channel": 0}.',
            )
        source = clip.source
        if isinstance(source, np.ndarray) and source.dtype.kind in "iu" and np.ptp(source) > 2:
            raise clip.error(
                f"its samples are of dtype {source.dtype}, of whose range they take almost nothing "
                f"(from {source.min()} to {source.max()})",
                "Pass samples of 16 bits as int16, or divide them by 32768.",
            )
        raise clip.error(
            f"silent, its {len(mono)} samples are constant to within 16 bits",
            "Leave it out, or check the recording.",
            SilentClipError,
        )
    peak = np.abs(mono).max()
    if peak > OVERSHOOT:
        raise clip.error(
            f"its samples reach {peak:g}, but floats are ±1 at full scale",
            "Divide 16-bit samples by 32768, or pass them as int16.",
        )
    return mono


def _check(clip: Clip, samples: Waveform) -> None:
    if len(samples) == 0:
        raise clip.error("holds no samples", "Record or export it again.")
    if not np.isfinite(samples).all():
        bad = np.flatnonzero(~np.isfinite(samples))
        raise clip.error(
            f"{len(bad)} of its {len(samples)} samples are NaN or infinite, the first at {bad[0]}",
            "Repair or leave out the recording.",
        )
    if len(samples) == 1:
        raise clip.error("one sample long", "Pass whole waveforms, one clip an element.")


def _scale(samples: npt.NDArray[Any]) -> Waveform:
    """Return samples as float32, integers from the full scale of their type to ±1."""
    if samples.dtype.kind == "f":
        with np.errstate(over="ignore"):
            return samples.astype(np.float32)
    limits = np.iinfo(samples.dtype)
    half = (limits.max - limits.min + 1) // 2
    return ((samples.astype(np.float64) - (limits.min + half)) / half).astype(np.float32)
