"""Your own features: statistics of log-mel bands, in one file."""

from importlib.metadata import version

import numpy as np

from sklearn_ser.embedders import BaseEmbedder, FrameLayout


class LogMelEmbedder(BaseEmbedder):
    """Statistics over frames of the energies of mel bands, in decibels.

    Parameters
    ----------
    n_mels : int, default=64
        Number of mel bands, at most 80: with more, some would hold no frequency.
    pooling : str, list of str, or None, default=("mean", "std")
        Statistics over frames; None returns the frames.
    rate : float, default=16000
        Sampling rate, in Hz, that clips are resampled to.
    waveform_rate, n_jobs, cache, on_error, verbose
        As for every embedder.
    """

    short_name = "logmel"

    def __init__(
        self,
        n_mels=64,
        pooling=("mean", "std"),
        *,
        rate=16000,
        waveform_rate=None,
        n_jobs=None,
        cache="auto",
        on_error="raise",
        verbose=False,
    ):
        self.n_mels = n_mels
        self.pooling = pooling
        self.rate = rate
        self.waveform_rate = waveform_rate
        self.n_jobs = n_jobs
        self.cache = cache
        self.on_error = on_error
        self.verbose = verbose

    def compute_settings(self):
        """Return what changes a value: a record is computed anew whenever one of these does."""
        return {"n_mels": self.n_mels, "rate": self.rate, "librosa": version("librosa")}

    def layout(self):
        """Return the one group of frames, the bands' names, and the statistics chosen."""
        if not 1 <= self.n_mels <= 80:
            raise ValueError(f"n_mels={self.n_mels}, but it is from 1 to 80.")
        return FrameLayout([(0, "logmel")], [f"{i:02d}" for i in range(self.n_mels)], self.pooling)

    def min_samples(self):
        """Return the length of a frame."""
        return 1024

    def compute(self, waveform):
        """Return the frames of a waveform, of shape (1, n_frames, n_mels)."""
        import librosa

        energies = librosa.feature.melspectrogram(
            y=waveform, sr=self.rate, n_fft=1024, hop_length=160, n_mels=self.n_mels
        )
        return librosa.power_to_db(energies).T[np.newaxis]
