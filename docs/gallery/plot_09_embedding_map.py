"""
A map of embeddings
===================

Clips that lie close may share an emotion, or just a speaker. The same map twice, and what a linear
probe can tell of speakers that it was not fitted on.
"""

# %%
from sklearn_ser import MFCCEmbedder, SSLEmbedder
from sklearn_ser.datasets import make_emotional_speech
from sklearn_ser.plotting import EmbeddingMapDisplay

corpus = make_emotional_speech(n_speakers=4, n_sentences=4, random_state=0)
embedded = SSLEmbedder("nano").fit_transform(corpus.X)
EmbeddingMapDisplay.from_embeddings(embedded, corpus.y, corpus.groups)

# %%
# MFCCs hold more of the speaker.
mfcc = MFCCEmbedder().fit_transform(corpus.X)
EmbeddingMapDisplay.from_embeddings(mfcc, corpus.y, corpus.groups).scores
