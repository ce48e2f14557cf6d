"""
A published corpus, audited
===========================

URDU has 400 clips of talk shows. Some of them overlap although their names give different speakers,
and most speakers have one emotion only, so that a score may be the speaker's and not the emotion's.
"""

# %%
# The page is built with URDU where ``SKLEARN_SER_URDU`` names its folder. Where it is not, a
# synthetic corpus takes its place, with the same two faults planted.
import os
import warnings

import pandas as pd

from sklearn_ser.audit import audit_split
from sklearn_ser.datasets import load_urdu, make_emotional_speech

if folder := os.environ.get("SKLEARN_SER_URDU"):
    print("This is URDU.")
    corpus = load_urdu(folder)
else:
    print("URDU is not here: this is a synthetic corpus with its faults.")
    corpus = make_emotional_speech(n_speakers=8, n_sentences=4, random_state=0)
    only = dict(zip(sorted(set(corpus.groups)), sorted(set(corpus.y)) * 2, strict=True))
    kept = [k for k, who in enumerate(corpus.groups) if corpus.y[k] == only[who]]
    corpus.X, corpus.y = [corpus.X[k] for k in kept], corpus.y[kept]
    corpus.groups = corpus.groups[kept]
    corpus.frame = corpus.frame.iloc[kept].reset_index(drop=True)
    corpus.X[-1] = corpus.X[0]  # one clip under two speakers

# %%
# The audit of leaving one speaker out: what training and test sets share, and what the speaker
# label alone predicts.
with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # of clips that are too short to be compared
    audit = audit_split(corpus, "loso")
print(audit.verdict)
print(f"UAR of predicting the emotion from the speaker label: {audit.speaker_uar:.2f}")

# %%
# Clips with the same audio, under two speakers.
columns = ["test", "test_speaker", "train", "train_speaker", "kind", "overlap"]
audit.pairs[columns].round(2).head(10)

# %%
# How many emotions do speakers have?
n_emotions = pd.crosstab(corpus.groups, corpus.y).gt(0).sum(axis=1)
n_emotions.value_counts().sort_index().rename_axis("emotions").to_frame("speakers")
