"""
Which layer?
============

The middle layers of a speech model carry emotion; the last ones are made for what it was trained
to do.
"""

# %%
# ``compare`` embeds each clip once, and fits a row for each layer. ``nested`` is the score of a
# layer that is chosen inside the training folds: the one to report.
import os

from sklearn_ser.datasets import load_emodb, make_emotional_speech
from sklearn_ser.evaluation import compare
from sklearn_ser.plotting import ComparisonDisplay

if folder := os.environ.get("SKLEARN_SER_EMODB"):
    corpus = load_emodb(folder)
else:
    corpus = make_emotional_speech(n_speakers=4, n_sentences=4, random_state=0)
comparison = compare(corpus, ["mfcc", "nano"], classifier="lda")
comparison.frame[["features", "layer", "uar", "uar_ci"]]

# %%
for nested in comparison.nested:
    print(f"{nested.features}, nested: {nested.uar:.3f}, layers chosen: {nested.layers}")

# %%
ComparisonDisplay.from_comparison(comparison)
