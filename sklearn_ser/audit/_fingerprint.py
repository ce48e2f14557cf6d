"""What a clip sounds like, in 32 bits a frame that survive resampling, coding and trimming."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import scipy.fft
from scipy.signal.windows import hann

__all__ = ["HOP", "RATE", "Fingerprint", "fingerprint"]

RATE = 8000  # Hz, the lowest rate in common use, so that copies at any rate are alike
WINDOW = 2048  # samples; so much longer than the hop that half a hop astray changes 3 % of bits
HOP = 64  # samples
N_BANDS = 33  # for 32 differences between neighbours
LOWEST, HIGHEST = 300, 3000  # Hz, what telephones and codecs leave of speech
QUIET = 1e-3  # of the loudest frame's energy; below it, bits are those of noise
BLOCK = 32  # frames analysed at once, so few that they stay in the processor's cache
KEY_BITS = 16  # of each of two words: those of the lowest bands, which change least
KEY_GAP = 32  # frames, one window, between the two words of a key

EDGES = np.round(np.geomspace(LOWEST, HIGHEST, N_BANDS + 1) * WINDOW / RATE).astype(int)
TAPER = hann(WINDOW, sym=False).astype(np.float32)


class Fingerprint(NamedTuple):
    """A clip's frames, one each :data:`HOP` samples at :data:`RATE`.

    Parameters
    ----------
    words : ndarray of shape (n_frames,), uint32
        Signs of how the difference of neighbouring bands changes, lowest bands in the top bits.
    loud : ndarray of shape (n_frames,), bool
        Whether the frame is more than background noise.
    """

    words: npt.NDArray[np.uint32]
    loud: npt.NDArray[np.bool_]

    def keys(self) -> tuple[npt.NDArray[np.uint32], npt.NDArray[np.intp]]:
        """Return what to look copies up by, and the frame where each key stands.

        A key that comes again in the clip counts where it comes first.
        """
        top = self.words >> np.uint32(32 - KEY_BITS)
        both = np.flatnonzero(self.loud[:-KEY_GAP] & self.loud[KEY_GAP:])
        keys = top[both] << np.uint32(KEY_BITS) | top[both + KEY_GAP]
        keys, first = np.unique(keys, return_index=True)
        return keys, both[first]


def fingerprint(waveform: npt.NDArray[np.float32]) -> Fingerprint:
    """Return the fingerprint of a waveform of shape (n_samples,) at :data:`RATE`.

    One shorter than a window and a hop has no frame.
    """
    if len(waveform) < WINDOW + HOP:
        return Fingerprint(np.zeros(0, np.uint32), np.zeros(0, np.bool_))
    windows = np.lib.stride_tricks.sliding_window_view(waveform, WINDOW)[::HOP]
    blocks = [windows[i : i + BLOCK] for i in range(0, len(windows), BLOCK)]
    bands = np.concatenate([_band_energies(block) for block in blocks])
    steps = bands[:, :-1] - bands[:, 1:]
    bits = np.packbits(steps[1:] > steps[:-1], axis=1)
    energy = bands[1:].sum(axis=1)
    words = np.ascontiguousarray(bits).view(">u4").ravel().astype(np.uint32)
    return Fingerprint(words, energy > QUIET * energy.max())


def _band_energies(windows: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    spectrum = scipy.fft.rfft(windows * TAPER, axis=1)[:, : EDGES[-1]]
    power = spectrum.real**2 + spectrum.imag**2
    energies: npt.NDArray[np.float32] = np.add.reduceat(power, EDGES[:-1], axis=1)
    return energies
