"""
Your own features
=================

A class with four methods is a feature set like the others: in pipelines, in the store, and in
``compare``.
"""

# %%
# The statistics of log-mel bands.
import librosa
import numpy as np

from sklearn_ser.datasets import make_emotional_speech
from sklearn_ser.embedders import BaseEmbedder, FrameLayout
from sklearn_ser.evaluation import compare


class LogMelEmbedder(BaseEmbedder):
    """Statistics over frames of the energies of mel bands, in decibels."""

    short_name = "logmel"
    rate = 16000

    def __init__(
        self,
        n_mels=64,
        pooling=("mean", "std"),
        *,
        waveform_rate=None,
        n_jobs=None,
        cache="auto",
        on_error="raise",
        verbose=False,
    ):
        self.n_mels, self.pooling, self.waveform_rate = n_mels, pooling, waveform_rate
        self.n_jobs, self.cache, self.on_error, self.verbose = n_jobs, cache, on_error, verbose

    def compute_settings(self):
        return {"n_mels": self.n_mels, "librosa": librosa.__version__}

    def layout(self):
        return FrameLayout([(0, "logmel")], [f"{i:02d}" for i in range(self.n_mels)], self.pooling)

    def min_samples(self):
        return 1024

    def compute(self, waveform):
        energies = librosa.feature.melspectrogram(
            y=waveform, sr=self.rate, n_fft=1024, hop_length=160, n_mels=self.n_mels
        )
        return librosa.power_to_db(energies).T[np.newaxis]


# %%
corpus = make_emotional_speech(n_speakers=4, n_sentences=4, random_state=0)
features = {"log-mel, mean": LogMelEmbedder(pooling="mean"), "log-mel": LogMelEmbedder()}
comparison = compare(corpus, {**features, "mfcc": "mfcc"}, classifier="lda", audit=False)
comparison.frame[["features", "pooling", "uar"]]
