"""Mel-frequency cepstral coefficients."""

from __future__ import annotations

import functools
import math
import os
from collections.abc import Sequence
from numbers import Integral
from typing import Any

import joblib
import numpy as np

from sklearn_ser._extraction import Extractor, WaveformExtractor
from sklearn_ser._utils import COUNT, RATE, Number, pool
from sklearn_ser.embedders._base import Array, BaseEmbedder, version_of
from sklearn_ser.embedders._layouts import POOLING, FrameLayout

__all__ = ["MFCCEmbedder"]

ORDERS = ("mfcc", "delta", "delta2")
FLOOR, RANGE = 1e-10, 80  # of power, and of decibels below the loudest, as librosa has them
BLOCK = 1024  # frames; a multiple of those that a processor transforms at once
DELTA_WIDTH = 9  # frames, librosa's own default


class MFCCEmbedder(BaseEmbedder):
    """Statistics over frames of mel-frequency cepstral coefficients, by librosa.

    Parameters
    ----------
    n_mfcc : int, default=40
        Number of coefficients, at most `n_mels`. Any number is selected from one stored
        record, so that a grid over it computes nothing again.
    deltas : {0, 1, 2}, default=0
        Whether first (1) and second (2) differences over time, of nine frames, are added. The
        first and the last frame are repeated beyond the clip's ends (``mode="nearest"`` of
        `librosa.feature.delta`, whose default fits a curve to the last nine frames instead, so
        that it takes no shorter clip).
    pooling : str, list of str, or None, default=("mean", "std")
        Statistics over frames: "mean", "std", "min", "max", "median". None returns the frames.
    rate : float, default=16000
        Sampling rate, in Hz, that clips are resampled to.
    n_fft, hop_length : int, default=2048 and 512
        Length of the window and the step between frames, in samples at `rate`.
    n_mels : int, default=128
        Number of mel bands.
    waveform_rate : float, default=None
        Sampling rate, in Hz, of clips given as bare waveforms; needed for those.
    n_jobs : int, default=None
        Number of threads. One is usually fastest: the steps are so short that threads wait for
        each other.
    cache : str, path-like or None, default="auto"
        Where records are kept. "auto" is the environment variable ``SKLEARN_SER_CACHE`` or
        the platform's cache folder; None keeps nothing.
    on_error : {"raise", "warn", "nan"}, default="raise"
        What a clip that cannot be used does: raise, give a row of NaN and a warning, or give
        a row of NaN.
    verbose : bool, default=False
        Whether to show a progress bar.

    See Also
    --------
    EGeMAPSEmbedder : Features of openSMILE.
    SSLEmbedder : Learned features.

    References
    ----------
    S. Davis, P. Mermelstein, "Comparison of parametric representations for monosyllabic word
    recognition in continuously spoken sentences", IEEE TASSP 28(4), 1980.

    Examples
    --------
    >>> from sklearn_ser import MFCCEmbedder
    >>> from sklearn_ser.datasets import make_emotional_speech
    >>> corpus = make_emotional_speech(n_speakers=2, n_sentences=1, random_state=0)
    >>> MFCCEmbedder(n_mfcc=13, cache=None).fit_transform(corpus.X).shape
    (8, 26)
    """

    short_name = "mfcc"
    _parameter_constraints = {
        **BaseEmbedder._parameter_constraints,
        "pooling": POOLING,
        "n_mfcc": [COUNT],
        "deltas": [Number(Integral, 0, 2, closed="both")],
        "rate": [RATE],
        "n_fft": [Number(Integral, 2, None, closed="left")],
        "hop_length": [COUNT],
        "n_mels": [COUNT],
    }

    def __init__(
        self,
        n_mfcc: int = 40,
        deltas: int = 0,
        pooling: str | Sequence[str] | None = ("mean", "std"),
        *,
        rate: float = 16000,
        n_fft: int = 2048,
        hop_length: int = 512,
        n_mels: int = 128,
        waveform_rate: float | None = None,
        n_jobs: int | None = None,
        cache: str | os.PathLike[str] | None = "auto",
        on_error: str = "raise",
        verbose: bool = False,
    ) -> None:
        self.n_mfcc = n_mfcc
        self.deltas = deltas
        self.pooling = pooling
        self.rate = rate
        self.n_fft = n_fft
        self.hop_length = hop_length
        self.n_mels = n_mels
        self.waveform_rate = waveform_rate
        self.n_jobs = n_jobs
        self.cache = cache
        self.on_error = on_error
        self.verbose = verbose

    def compute_settings(self) -> dict[str, Any]:
        """Return librosa's parameters and version.

        Returns
        -------
        settings : dict
        """
        compute = {k: getattr(self, k) for k in ("rate", "n_fft", "hop_length", "n_mels")}
        return {**compute, "librosa": version_of("librosa")}

    def layout(self) -> FrameLayout:
        """Return coefficients and differences as groups.

        Returns
        -------
        layout : FrameLayout
        """
        if self.n_mfcc > self.n_mels:
            raise ValueError(f"n_mfcc={self.n_mfcc} exceeds the {self.n_mels} mel bands (n_mels).")
        groups = list(enumerate(ORDERS))[: self.deltas + 1]
        return FrameLayout(groups, [f"{i:02d}" for i in range(self.n_mfcc)], self.pooling)

    def min_samples(self) -> int:
        """Return the length of a window.

        Returns
        -------
        n_samples : int
        """
        return self.n_fft

    def compute(self, waveform: Array) -> Array:
        """Return coefficients and their first and second differences.

        Parameters
        ----------
        waveform : ndarray of shape (n_samples,), float32

        Returns
        -------
        frames : ndarray of shape (3, n_frames, n_mels), float32
        """
        mfcc = self._coefficients(waveform)
        computed = np.empty((len(ORDERS), *mfcc.shape), dtype=np.float32)
        computed[0] = mfcc
        for order in (1, 2):
            _differences(mfcc, order, computed[order])
        return computed

    def make_extractor(self) -> Extractor:
        """Return what computes records; one group of frames at a time, if they are pooled.

        Returns
        -------
        extractor : Extractor
        """
        if self.gives_sequences() or type(self).compute is not MFCCEmbedder.compute:
            return super().make_extractor()
        n_threads = joblib.effective_n_jobs(self.n_jobs)
        return WaveformExtractor(self._pooled, self.rate, self.min_samples(), n_threads)

    def _pooled(self, waveform: Array) -> Array:
        """Return the record: what `pool` makes of what `compute` gives, in less memory."""
        mfcc = self._coefficients(waveform)
        pooled, differences = [pool(mfcc)], np.empty_like(mfcc)
        for order in (1, 2):
            pooled.append(pool(_differences(mfcc, order, differences)))
        return np.concatenate(pooled)

    def _coefficients(self, waveform: Array) -> Array:
        return _Analysis.kept(self.rate, self.n_fft, self.hop_length, self.n_mels)(waveform)


class _Analysis:
    """What `librosa.feature.mfcc` computes, with its window and filters made once."""

    def __init__(self, rate: float, n_fft: int, hop_length: int, n_mels: int) -> None:
        import scipy.signal
        import scipy.sparse
        from librosa.filters import mel

        self._n_fft, self._hop_length = n_fft, hop_length
        self._window = scipy.signal.get_window("hann", n_fft).astype(np.float32)
        # Triangles, which are zero nearly everywhere.
        filters = mel(sr=rate, n_fft=n_fft, n_mels=n_mels)
        self._filters = scipy.sparse.csr_array(filters)

    @staticmethod
    @functools.lru_cache(maxsize=4)
    def kept(rate: float, n_fft: int, hop_length: int, n_mels: int) -> _Analysis:
        """Return the analysis with these settings."""
        return _Analysis(rate, n_fft, hop_length, n_mels)

    def __call__(self, waveform: Array) -> Array:
        """Return coefficients of shape (n_frames, n_mels), computed block by block.

        Only they, and no padded waveform, frames or spectra of all of it, are in memory at once.
        """
        import scipy.fft

        n_frames = 1 + (len(waveform) - self._n_fft % 2) // self._hop_length
        mfcc: Array = np.empty((n_frames, self._filters.shape[0]), dtype=np.float32)
        loudest = -math.inf
        for begin in range(0, len(mfcc), BLOCK):
            block = mfcc[begin : begin + BLOCK]
            frames = self._frames(waveform, begin, len(block))
            spectra = scipy.fft.rfft(frames * self._window)
            power = spectra.real**2 + spectra.imag**2
            decibels = np.log(np.maximum(self._filters @ power.T, FLOOR)) * (10 / math.log(10))
            loudest = max(loudest, decibels.max())
            block[:] = decibels.T
        for begin in range(0, len(mfcc), BLOCK):
            block = mfcc[begin : begin + BLOCK]
            decibels = np.maximum(block.T, loudest - RANGE)
            block[:] = scipy.fft.dct(decibels, axis=0, norm="ortho").T
        return mfcc

    def _frames(self, waveform: Array, begin: int, n_frames: int) -> Array:
        """Return frames of a waveform with half a window of zeros around it."""
        first = begin * self._hop_length - self._n_fft // 2
        stop = first + (n_frames - 1) * self._hop_length + self._n_fft
        under = waveform[max(0, first) : stop]
        before = max(0, -first)
        after = stop - first - before - len(under)
        if before or after:
            under = np.pad(under, (before, after))
        frames = np.lib.stride_tricks.sliding_window_view(under, self._n_fft)
        return frames[:: self._hop_length]


@functools.cache
def _slopes(order: int) -> Array:
    from scipy.signal import savgol_coeffs

    slopes: Array = savgol_coeffs(DELTA_WIDTH, order, deriv=order)
    return slopes


def _differences(mfcc: Array, order: int, out: Array) -> Array:
    """Write and return `librosa.feature.delta` of order 1 or 2, with ``mode="nearest"``."""
    from scipy.ndimage import convolve1d

    convolve1d(mfcc, _slopes(order), axis=0, mode="nearest", output=out)
    return out
