"""
Learned and handcrafted features together
=========================================

A FeatureUnion puts the columns of several embedders side by side.
"""

# %%
from sklearn.pipeline import make_union

from sklearn_ser import EGeMAPSEmbedder, SSLEmbedder
from sklearn_ser.datasets import make_emotional_speech
from sklearn_ser.evaluation import compare

corpus = make_emotional_speech(n_speakers=4, n_sentences=4, random_state=0)
features = {
    "eGeMAPS": EGeMAPSEmbedder(),
    "nano": SSLEmbedder("nano"),
    "both": make_union(EGeMAPSEmbedder(), SSLEmbedder("nano")),
}
comparison = compare(corpus, features, classifier="lda", audit=False)
comparison.frame[["features", "uar", "uar_ci"]]
