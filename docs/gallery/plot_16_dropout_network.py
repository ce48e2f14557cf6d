"""
A dropout network on two models
===============================

A small feed-forward network on the features of two models together, beside each of them alone.
"""

# %%
# ``make_union`` puts the columns of two embedders side by side. One model comes with the package;
# eGeMAPS stands for the second here, where ``SSLEmbedder("microsoft/wavlm-base-plus")`` or any
# other model may stand.
from sklearn.pipeline import make_pipeline, make_union

from sklearn_ser import EGeMAPSEmbedder, SSLEmbedder
from sklearn_ser.classifiers import MLPHead
from sklearn_ser.datasets import make_emotional_speech
from sklearn_ser.evaluation import compare
from sklearn_ser.plotting import DifferencesDisplay

corpus = make_emotional_speech(n_speakers=5, n_sentences=4, random_state=0)
first, second = SSLEmbedder("nano"), EGeMAPSEmbedder()
network = MLPHead((64,), dropout=0.5, learning_rate=5e-3, random_state=0)
systems = {
    "first": make_pipeline(first, network),
    "second": make_pipeline(second, network),
    "both": make_pipeline(make_union(first, second), network),
}

# %%
# The network holds some training speakers out to stop early; ``compare`` gives it the speaker
# labels of each training fold. Columns are standardised by the network.
comparison = compare(corpus, systems, audit=False)
comparison

# %%
# On speeches, as mp3 or any other file, it is an ``EmotionRecognizer(make_union(first, second),
# network)``: see :doc:`/recordings`.
DifferencesDisplay.from_comparison(comparison)
