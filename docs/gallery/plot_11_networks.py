"""
A convolutional head against a forest
=====================================

A small network on the frames of a speech model, with early stopping on held-out speakers, beside a
random forest on eGeMAPS: on the same folds, paired by speaker.
"""

# %%
# A classifier of clips is a row like any other: here pipelines that begin with an embedder.
from sklearn.ensemble import RandomForestClassifier
from sklearn.pipeline import make_pipeline

from sklearn_ser import EGeMAPSEmbedder, SSLEmbedder
from sklearn_ser.classifiers import SequenceClassifier
from sklearn_ser.datasets import make_emotional_speech
from sklearn_ser.evaluation import compare
from sklearn_ser.plotting import DifferencesDisplay

corpus = make_emotional_speech(n_speakers=4, n_sentences=4, random_state=0)
systems = {
    "forest on eGeMAPS": make_pipeline(
        EGeMAPSEmbedder(), RandomForestClassifier(100, random_state=0)
    ),
    "convolutional head": SequenceClassifier(
        "pepino", embedder=SSLEmbedder("nano", layer=2, pooling=None), max_epochs=15, random_state=0
    ),
}
comparison = compare(corpus, systems, audit=False)
comparison

# %%
DifferencesDisplay.from_comparison(comparison)
