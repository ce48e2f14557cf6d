"""
Features of Praat
=================

Pitch, jitter, shimmer and harmonicity as Praat computes them, as a feature set like the others.
"""

# %%
# One class, with ``pip install praat-parselmouth``: what changes a value, the names of the columns,
# and what is computed of a waveform. A clip of which a value is not defined, as where there is no
# voice, is an error, or is left out with ``on_error="warn"``.
import matplotlib.pyplot as plt
import parselmouth
from parselmouth.praat import call
from sklearn.pipeline import make_union

from sklearn_ser import MFCCEmbedder
from sklearn_ser.datasets import make_emotional_speech
from sklearn_ser.embedders import BaseEmbedder, VectorLayout
from sklearn_ser.evaluation import compare


class PraatEmbedder(BaseEmbedder):
    """Five measures of the voice that Praat computes."""

    short_name = "praat"
    rate = 16000

    def __init__(
        self, *, waveform_rate=None, n_jobs=None, cache="auto", on_error="raise", verbose=False
    ):
        self.waveform_rate, self.n_jobs, self.cache = waveform_rate, n_jobs, cache
        self.on_error, self.verbose = on_error, verbose

    def compute_settings(self):
        return {"parselmouth": parselmouth.VERSION}

    def layout(self):
        return VectorLayout(["pitch_mean", "pitch_std", "jitter", "shimmer", "harmonicity"])

    def min_samples(self):
        return 1600  # three periods of the lowest pitch, and more

    def compute(self, waveform):
        sound = parselmouth.Sound(waveform, self.rate)
        pitch = call(sound, "To Pitch", 0.0, 75, 600)
        periods = call([sound, pitch], "To PointProcess (cc)")
        harmonicity = call(sound, "To Harmonicity (cc)", 0.01, 75, 0.1, 1.0)
        return [
            call(pitch, "Get mean", 0, 0, "Hertz"),
            call(pitch, "Get standard deviation", 0, 0, "Hertz"),
            call(periods, "Get jitter (local)", 0, 0, 0.0001, 0.02, 1.3),
            call([sound, periods], "Get shimmer (local)", 0, 0, 0.0001, 0.02, 1.3, 1.6),
            call(harmonicity, "Get mean", 0, 0),
        ]


# %%
# In ``compare``, beside the others, and added to them.
corpus = make_emotional_speech(n_speakers=5, n_sentences=4, random_state=0)
both = make_union(MFCCEmbedder(), PraatEmbedder())
features = {"praat": PraatEmbedder(), "mfcc": "mfcc", "mfcc and praat": both}
comparison = compare(corpus, features, classifier="lda", audit=False)
comparison.frame[["features", "uar", "uar_ci"]].round(3)

# %%
# Columns have names, so that what a score comes from can be looked at.
table = PraatEmbedder().set_output(transform="pandas").fit_transform(corpus.X)
figure, axes = plt.subplots(1, 5, figsize=(11, 3), layout="constrained")
emotions = sorted(set(corpus.y))
for ax, (name, values) in zip(axes, table.items(), strict=True):
    ax.boxplot([values[corpus.y == emotion].dropna() for emotion in emotions])
    ax.set_xticks(range(1, len(emotions) + 1), emotions, rotation=90)
    ax.set_title(name.removeprefix("praat_"), fontsize=10)
