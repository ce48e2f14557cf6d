"""Your own features: statistics of log-mel bands, in one file."""

from importlib.metadata import version
from numbers import Integral, Real

import numpy as np
from sklearn.utils._param_validation import Interval

from sklearn_ser.embedders import BaseEmbedder


class LogMelEmbedder(BaseEmbedder):
    """Statistics over frames of the energies of mel bands, in decibels.

    Parameters
    ----------
    n_mels : int, default=64
        Number of mel bands.
    pooling : str, list of str, or None, default=("mean", "std")
        Statistics over frames; None returns the frames.
    rate : float, default=16000
        Sampling rate, in Hz, that clips are resampled to.
    waveform_rate, n_jobs, cache, on_error, verbose
        As for every embedder.
    """

    short_name = "logmel"
    _parameter_constraints = {
        **BaseEmbedder._parameter_constraints,
        "n_mels": [Interval(Integral, 1, 80, closed="both")],
        "rate": [Interval(Real, 8000, None, closed="left")],
    }

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

    def _settings(self):
        return {"n_mels": self.n_mels, "rate": self.rate, "librosa": version("librosa")}

    def _min_samples(self):
        return 1024

    def _frames(self, waveform):
        import librosa

        energies = librosa.feature.melspectrogram(
            y=waveform, sr=self.rate, n_fft=1024, hop_length=160, n_mels=self.n_mels
        )
        return librosa.power_to_db(energies).T[np.newaxis]

    def _groups(self):
        return [(0, "logmel")]

    def _dims(self):
        return [f"{i:02d}" for i in range(self.n_mels)]
