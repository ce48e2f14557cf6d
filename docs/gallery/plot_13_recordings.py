"""
Long recordings
===============

A recognizer on recordings of any length: windows with probabilities, a score for what is unlike
training, and abstention.
"""

# %%
import numpy as np

from sklearn_ser import SSLEmbedder
from sklearn_ser.datasets import make_emotional_speech
from sklearn_ser.plotting import TimelineDisplay
from sklearn_ser.recognition import EmotionRecognizer

corpus = make_emotional_speech(n_speakers=4, n_sentences=3, random_state=0)
recognizer = EmotionRecognizer(SSLEmbedder("nano"), "lda")
recognizer.fit(corpus.X, corpus.y, corpus.groups)

# %%
# A speaker whom it does not know: four emotions, one after the other, and noise at the end.
other = make_emotional_speech(n_speakers=1, n_sentences=2, random_state=7)
order = np.argsort(other.y, kind="stable")
noise = np.random.default_rng(0).normal(size=3 * 16000) * 0.05
recording = np.concatenate([*(other.X[k][0] for k in order), noise]).astype(np.float32)
rows = recognizer.recognize([(recording, 16000)], window=2.0, hop=1.0)
rows[["start", "end", "emotion", "out_of_domain", "note"]].round(2).head(12)

# %%
TimelineDisplay.from_rows(rows, recognizer.classes_)
