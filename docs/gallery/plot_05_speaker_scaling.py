"""
Scaling by speaker
==================

Each speaker has a voice of their own. Standardising features speaker by speaker removes part of it:
with statistics of the training folds (inductive), or of the test speaker's own clips
(transductive).
"""

# %%
import os

import pandas as pd

from sklearn_ser.datasets import load_emodb, make_emotional_speech
from sklearn_ser.evaluation import compare

if folder := os.environ.get("SKLEARN_SER_EMODB"):
    corpus = load_emodb(folder)
else:
    corpus = make_emotional_speech(n_speakers=4, n_sentences=4, random_state=0)
found = {
    name: compare(
        corpus, ["mfcc", "egemaps"], classifier="lda", speaker_scaling=scaling, audit=False
    ).frame
    for name, scaling in [("none", None), ("global", "global"), ("own", "own")]
}

# %%
# "own" looks at all clips of a test speaker, so that its score is that of a speaker of whom there
# are many clips, of all emotions.
pd.DataFrame(
    {name: frame["uar"].to_numpy() for name, frame in found.items()},
    index=found["none"]["features"],
).round(3)
