"""Your own features: pitch, jitter, shimmer and harmonicity by Praat, one vector a clip."""

import parselmouth
from parselmouth.praat import call

from sklearn_ser.embedders import BaseEmbedder, VectorLayout

NAMES = ["pitch_mean", "pitch_std", "jitter", "shimmer", "harmonicity"]


class PraatEmbedder(BaseEmbedder):
    """Five measures of the voice that Praat computes, with its usual settings.

    Parameters
    ----------
    pitch_floor, pitch_ceiling : float, default=75 and 600
        Where the pitch is looked for, in Hz.
    waveform_rate, n_jobs, cache, on_error, verbose
        As for every embedder.
    """

    short_name = "praat"
    rate = 16000

    def __init__(
        self,
        pitch_floor=75.0,
        pitch_ceiling=600.0,
        *,
        waveform_rate=None,
        n_jobs=None,
        cache="auto",
        on_error="raise",
        verbose=False,
    ):
        self.pitch_floor = pitch_floor
        self.pitch_ceiling = pitch_ceiling
        self.waveform_rate = waveform_rate
        self.n_jobs = n_jobs
        self.cache = cache
        self.on_error = on_error
        self.verbose = verbose

    def compute_settings(self):
        """Return what changes a value, beside this file."""
        pitch = {"pitch_floor": self.pitch_floor, "pitch_ceiling": self.pitch_ceiling}
        return {**pitch, "parselmouth": parselmouth.VERSION}

    def layout(self):
        """Return the names of the measures."""
        return VectorLayout(NAMES)

    def min_samples(self):
        """Return three periods of the lowest pitch, which Praat needs."""
        return int(3 / self.pitch_floor * self.rate) + 1

    def compute(self, waveform):
        """Return the measures; where one is not defined, as without a voice, it is an error."""
        sound = parselmouth.Sound(waveform, self.rate)
        pitch = call(sound, "To Pitch", 0.0, self.pitch_floor, self.pitch_ceiling)
        periods = call([sound, pitch], "To PointProcess (cc)")
        harmonicity = call(sound, "To Harmonicity (cc)", 0.01, self.pitch_floor, 0.1, 1.0)
        return [
            call(pitch, "Get mean", 0, 0, "Hertz"),
            call(pitch, "Get standard deviation", 0, 0, "Hertz"),
            call(periods, "Get jitter (local)", 0, 0, 0.0001, 0.02, 1.3),
            call([sound, periods], "Get shimmer (local)", 0, 0, 0.0001, 0.02, 1.3, 1.6),
            call(harmonicity, "Get mean", 0, 0),
        ]
