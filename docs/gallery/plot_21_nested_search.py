"""
Nested search, on one machine or a cluster
==========================================

The layer and C are chosen inside of each training fold, by folds that share no speaker; the score
is of speakers who chose nothing. Fits run wherever joblib runs them.
"""

# %%
# The outer folds test, the inner folds choose. Metadata routing hands the speakers to both.
import joblib
import pandas as pd
import sklearn
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, GroupKFold, LeaveOneGroupOut, cross_validate
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler

from sklearn_ser import SSLEmbedder
from sklearn_ser.datasets import make_emotional_speech

corpus = make_emotional_speech(n_speakers=4, n_sentences=3, random_state=0)
embedder = SSLEmbedder("nano")
pipe = Pipeline(
    [("embed", embedder), ("scale", StandardScaler()), ("classify", LogisticRegression())]
)
grid = {"embed__layer": [1, 2, 3, 4], "classify__C": [0.001, 0.1]}
search = GridSearchCV(pipe, grid, cv=GroupKFold(3), scoring="balanced_accuracy")

# %%
# All clips are embedded once, by this process; the workers read records from the store, which has
# to be in a folder that all of them see (``SKLEARN_SER_CACHE``).
embedder.fit_transform(corpus.X).shape

# %%
# "loky" starts processes here. On a cluster it is the same line with another backend: "dask", after
# ``Client(scheduler)`` of ``dask.distributed``, or "ray", after ``ray.util.joblib.register_ray()``.
with sklearn.config_context(enable_metadata_routing=True), joblib.parallel_config("loky", n_jobs=2):
    found = cross_validate(
        search,
        corpus.X,
        corpus.y,
        params={"groups": corpus.groups},
        cv=LeaveOneGroupOut(),
        scoring="balanced_accuracy",
        return_estimator=True,
    )

# %%
# What each fold chose, and what it scored.
pd.DataFrame(
    [
        {"speaker": speaker, **fitted.best_params_, "UAR": score}
        for speaker, fitted, score in zip(
            sorted(set(corpus.groups)), found["estimator"], found["test_score"], strict=True
        )
    ]
).round(3)
