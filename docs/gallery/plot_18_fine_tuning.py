"""
Fine-tuning
===========

Training the last layers of a speech model, beside the same model frozen. With few clips the frozen
one is hard to beat, and takes a fraction of the time.
"""

# %%
# Both are classifiers of clips, so that ``compare`` runs them on the same folds of speakers.
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklearn_ser import SSLEmbedder
from sklearn_ser.classifiers import FineTunedClassifier
from sklearn_ser.datasets import make_emotional_speech
from sklearn_ser.evaluation import compare
from sklearn_ser.plotting import HistoryDisplay

corpus = make_emotional_speech(n_speakers=4, n_sentences=2, random_state=0)
tuned = FineTunedClassifier(
    "nano", unfreeze=1, learning_rate=1e-3, max_epochs=20, patience=3, random_state=0
)
frozen = make_pipeline(SSLEmbedder("nano"), StandardScaler(), LogisticRegression(C=0.1))
comparison = compare(corpus, {"frozen": frozen, "fine-tuned": tuned}, audit=False)
comparison.frame[["features", "uar", "uar_ci", "seconds_fit"]].round(3)

# %%
# The loss of training speakers and of the speaker who is held out to stop training, of one fit.
tuned.fit(corpus.X, corpus.y, groups=corpus.groups)
HistoryDisplay.from_estimator(tuned)
