"""
An LSTM that does not memorise
==============================

A recurrent network learns the training clips by heart within some epochs. Speakers who are held out
of training say when to stop.
"""

# %%
# A bidirectional LSTM on the frames of a speech model, with early stopping on the loss of held-out
# speakers, which keeps the weights of the best epoch. Two of the eight speakers are the test set.
# The learning rate and the number of epochs are for so few clips: leave them out for yours.
import numpy as np
import pandas as pd

from sklearn_ser import SSLEmbedder
from sklearn_ser.classifiers import SequenceClassifier
from sklearn_ser.datasets import make_emotional_speech
from sklearn_ser.evaluation import uar_score
from sklearn_ser.plotting import HistoryDisplay

corpus = make_emotional_speech(n_speakers=8, n_sentences=3, random_state=0)
tested = np.isin(corpus.groups, np.unique(corpus.groups)[-2:])
frames = SSLEmbedder("nano", layer=2, pooling=None).fit_transform(corpus.X)
train = [x for x, is_tested in zip(frames, tested, strict=True) if not is_tested]
test = [x for x, is_tested in zip(frames, tested, strict=True) if is_tested]
settings = {"max_epochs": 40, "validation_fraction": 0.3, "learning_rate": 5e-3, "random_state": 0}
lstm = SequenceClassifier("lstm", dropout=0.5, patience=8, **settings)
lstm.fit(train, corpus.y[~tested], groups=corpus.groups[~tested])

# %%
# Training loss falls on; the loss of speakers who are held out does not. The line marks the epoch
# whose weights are kept.
HistoryDisplay.from_estimator(lstm)

# %%
# On speakers who were in neither set:
pd.Series(
    {
        "UAR, training speakers": uar_score(corpus.y[~tested], lstm.predict(train)),
        "UAR, new speakers": uar_score(corpus.y[tested], lstm.predict(test)),
        "epochs run": len(lstm.history_["epoch"]),
        "epoch kept": lstm.n_epochs_,
    },
    name="LSTM",
).to_frame().round(2)
