"""
Speakers and leakage
====================

A random split scores a classifier on speakers whom it knows. How much that flatters it, and how an
audit finds it.
"""

# %%
import pandas as pd
from sklearn.model_selection import StratifiedKFold

from sklearn_ser.audit import audit_split
from sklearn_ser.datasets import make_emotional_speech
from sklearn_ser.evaluation import compare

corpus = make_emotional_speech(n_speakers=4, n_sentences=4, random_state=0)
random = StratifiedKFold(4, shuffle=True, random_state=0)

# %%
# ``audit_split`` says what training and test sets share.
print(audit_split(corpus, random, audio=False).verdict)
print(audit_split(corpus, "loso", audio=False).verdict)

# %%
# ``compare`` runs the same audit, and warns. Here the warning is what is to be seen.
import warnings

from sklearn_ser.exceptions import LeakageWarning

features = ["mfcc", "egemaps", "nano"]
settings = {"classifier": "lda", "layer": "middle", "audit": False}
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always", LeakageWarning)
    known = compare(corpus, features, cv=random, **settings)
print(caught[-1].message)
new = compare(corpus, features, cv="loso", **settings)
pd.DataFrame(
    {"random split": known.frame["uar"].to_numpy(), "new speakers": new.frame["uar"].to_numpy()},
    index=new.frame["features"],
).round(3)
