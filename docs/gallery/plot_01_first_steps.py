"""
First steps
===========

Embed clips, fit a classifier, and score it on speakers who are not in the training set.
"""

# %%
# The corpus is synthesised: rules give each emotion its pitch, loudness, rate and voice quality,
# and each speaker a voice. ``X`` holds waveforms with their rate, ``y`` emotions and ``groups``
# speakers.
import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import ConfusionMatrixDisplay
from sklearn.model_selection import LeaveOneGroupOut, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklearn_ser import SSLEmbedder
from sklearn_ser.datasets import make_emotional_speech
from sklearn_ser.evaluation import uar_score

corpus = make_emotional_speech(n_speakers=4, n_sentences=4, random_state=0)
print(len(corpus.X), "clips of", len(np.unique(corpus.groups)), "speakers:", np.unique(corpus.y))

# %%
# ``SSLEmbedder`` is a transformer: a row for each clip, the mean and the standard deviation of the
# hidden states of a middle layer.
pipe = make_pipeline(SSLEmbedder("nano"), StandardScaler(), LogisticRegression(C=0.1))
predicted = cross_val_predict(pipe, corpus.X, corpus.y, groups=corpus.groups, cv=LeaveOneGroupOut())
print(f"UAR: {uar_score(corpus.y, predicted):.3f}; a guess gets {1 / len(np.unique(corpus.y)):.3f}")

# %%
# Which emotions are confused?
ConfusionMatrixDisplay.from_predictions(
    corpus.y, predicted, normalize="true", cmap="Blues", xticks_rotation=45
)
