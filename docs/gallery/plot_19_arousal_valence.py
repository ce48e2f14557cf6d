"""
Arousal and valence
===================

Ratings are floats, and are regression: scored by the concordance correlation coefficient (CCC).
"""

# %%
# Real corpora have ratings in a column (``load_table(file, emotion="arousal")``; a table of several
# corpora: see :doc:`/corpora`). Here each emotion
# has an arousal and a valence, and raters disagree by some noise.
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from sklearn_ser.datasets import make_emotional_speech
from sklearn_ser.evaluation import compare

corpus = make_emotional_speech(n_speakers=5, n_sentences=4, random_state=0)
ratings = {
    "arousal": {"anger": 0.9, "happiness": 0.8, "neutral": 0.4, "sadness": 0.2},
    "valence": {"anger": 0.1, "happiness": 0.9, "neutral": 0.5, "sadness": 0.2},
}
rng = np.random.default_rng(0)
emotions, found = corpus.y, {}
for name, of_emotion in ratings.items():
    corpus.y = np.array([of_emotion[each] for each in emotions]) + rng.normal(
        0, 0.05, len(emotions)
    )
    found[name] = compare(corpus, ["egemaps", "nano"], layer="middle", audit=False)

# %%
# The CCC of a constant is 0. Arousal is in the level and the pitch, valence is harder.
scores = {name: each.frame.set_index("features")["ccc"] for name, each in found.items()}
pd.DataFrame(scores).round(3)

# %%
# Predicted against rated, of the better features.
figure, axes = plt.subplots(1, 2, figsize=(8, 4), layout="constrained")
for ax, (name, each) in zip(axes, found.items(), strict=True):
    tested = each.predictions[each.predictions["row"] == each.best]
    ax.scatter(tested["emotion"], tested["predicted"], s=12, color="#0072B2")
    ax.plot([0, 1], [0, 1], color="#222222", linestyle=":")
    row = each.rows[each.best]
    ax.set(title=f"{name}, {row.name}: CCC {row.ccc:.2f}", xlabel="rated", ylabel="predicted")
