"""From blocks of samples to a waveform: mixed to mono, resampled, and checked, block by block."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from sklearn_ser._audio._decoding import TOO_LONG, VALUES, Samples
from sklearn_ser.exceptions import SilentClipError

if TYPE_CHECKING:
    from sklearn_ser._audio._clip import Clip

__all__ = ["Mono", "Waveform"]

Waveform = npt.NDArray[np.float32]

# One step of 16-bit audio: a clip that moves by two steps or fewer holds no speech.
STEP = 1 / 32768
# Floats beyond this are not ±1 audio that overshoots, but integers that lost their type.
OVERSHOOT = 256


class Mono:
    """The waveform of a clip, of which only what is to be returned is kept.

    Parameters
    ----------
    clip : Clip
        Whose segment says which channel is taken; None is the mean of all.
    rate : float or None
        Sampling rate wanted, in Hz; None is that of the blocks.
    """

    def __init__(self, clip: Clip, rate: float | None = None) -> None:
        self._clip, self._rate = clip, rate
        self._stream: Any = None
        self._n_at_once = VALUES
        self._n_samples, self._n_bad, self._first_bad = 0, 0, 0
        self._low, self._high = np.float32(np.inf), np.float32(-np.inf)
        # Lowest values of each channel, and of its inverse.
        self._of_channels: Any = np.inf
        self._found, self._n_found = np.empty(0, dtype=np.float32), 0

    def add(self, samples: Samples, rate: float) -> None:
        """Add a block.

        Parameters
        ----------
        samples : ndarray of shape (n_samples, n_channels), float32
        rate : float
            In Hz; of all blocks the same.

        Raises
        ------
        ClipError
            If it lacks the channel wanted, or memory does not suffice.
        """
        try:
            self._add(samples, rate)
        except MemoryError:
            raise self._clip.error(*TOO_LONG) from None

    @np.errstate(over="ignore", invalid="ignore")  # what comes of damage is checked
    def _add(self, samples: Samples, rate: float) -> None:
        channel, n_channels = self._clip.segment.channel, samples.shape[1]
        if channel is None:
            mono = samples[:, 0] if n_channels == 1 else samples.mean(axis=1, dtype=np.float32)
        elif channel < n_channels:
            mono = np.ascontiguousarray(samples[:, channel])
        else:
            cause = f"it has {n_channels} channel(s), so none with the number {channel}"
            raise self._clip.error(cause, "Channels are counted from 0.")
        if not len(mono):
            return
        if self._high - self._low <= 2 * STEP:  # silent so far: are the channels?
            span = np.stack([samples.min(axis=0), -samples.max(axis=0)])
            self._of_channels = np.minimum(self._of_channels, span)
        low, high = mono.min(), mono.max()
        self._low, self._high = np.minimum(self._low, low), np.maximum(self._high, high)
        if not (np.isfinite(low) and np.isfinite(high)):
            bad = np.flatnonzero(~np.isfinite(mono))
            if not self._n_bad:
                self._first_bad = self._n_samples + int(bad[0])
            self._n_bad += len(bad)
        self._n_samples += len(mono)
        if self._rate in (None, rate):
            self._append(mono)
            return
        if self._stream is None:
            import soxr

            self._stream = soxr.ResampleStream(rate, self._rate, 1, dtype="float32", quality="HQ")
            self._n_at_once = max(1, int(VALUES * min(1.0, rate / float(self._rate or rate))))
        for first in range(0, len(mono), self._n_at_once):
            part = np.ascontiguousarray(mono[first : first + self._n_at_once])
            self._append(self._stream.resample_chunk(part))

    def _append(self, part: Waveform) -> None:
        n_found = self._n_found + len(part)
        if n_found > len(self._found):
            # In place: a copy would need room for both.
            room = n_found if not self._n_found else max(n_found, len(self._found) * 9 // 8)
            self._found.resize(room, refcheck=False)
        self._found[self._n_found : n_found] = part
        self._n_found = n_found

    def finish(self) -> Waveform:
        """Return the waveform, of shape (n_samples,), float32.

        Raises
        ------
        ClipError
            If it is of no use.
        """
        self._check()
        try:
            if self._stream is not None:
                self._append(self._stream.resample_chunk(np.empty(0, dtype=np.float32), last=True))
            self._found.resize(self._n_found, refcheck=False)
        except MemoryError:
            raise self._clip.error(*TOO_LONG) from None
        return self._found

    @np.errstate(over="ignore", invalid="ignore")
    def _check(self) -> None:
        clip, n_samples = self._clip, self._n_samples
        if n_samples == 0:
            raise clip.error("holds no samples", "Record or export it again.")
        if self._n_bad:
            raise clip.error(
                f"{self._n_bad} of its {n_samples} samples are NaN or infinite, the first at "
                f"{self._first_bad}",
                "Repair or leave out the recording.",
            )
        if n_samples == 1:
            raise clip.error("one sample long", "Pass whole waveforms, one clip an element.")
        if self._high - self._low <= 2 * STEP:
            spans = -self._of_channels.sum(axis=0)
            if clip.segment.channel is None and (spans > 2 * STEP).any():
                raise clip.error(
                    f"its {len(spans)} channels cancel out: their mean is silent, but they are not",
                    'Choose one of them: {"path": …, "channel": 0}.',
                )
            source = clip.source
            if isinstance(source, np.ndarray) and source.dtype.kind in "iu" and np.ptp(source) > 2:
                raise clip.error(
                    f"its samples are of dtype {source.dtype}, of whose range they take almost "
                    f"nothing (from {source.min()} to {source.max()})",
                    "Pass samples of 16 bits as int16, or divide them by 32768.",
                )
            raise clip.error(
                f"silent, its {n_samples} samples are constant to within 16 bits",
                "Leave it out, or check the recording.",
                SilentClipError,
            )
        peak = max(-self._low, self._high)
        if peak > OVERSHOOT:
            raise clip.error(
                f"its samples reach {peak:g}, but floats are ±1 at full scale",
                "Divide 16-bit samples by 32768, or pass them as int16.",
            )
