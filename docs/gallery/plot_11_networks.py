"""
A convolutional head against a forest
=====================================

A small network on the frames of a speech model, with early stopping on held-out speakers, with and
without changed copies of the training clips, beside a random forest on eGeMAPS: on the same folds,
paired by speaker.
"""

# %%
# A classifier of clips is a row like any other: here pipelines that begin with an embedder, or with
# an augmenter, which adds copies with noise and at another tempo to the training clips of a fold,
# and balances the emotions. ``speaker`` names the column in which ``compare`` gives speaker labels.
#
# The learning rate and the number of epochs are for so few clips: leave them out for yours.
# Any other model may take the place of "nano": ``SSLEmbedder("facebook/wav2vec2-base",
# pooling=None)``.
# Whisper pads each clip and each copy to 30 s; ``window="clip"`` is many times faster.
from imblearn.pipeline import make_pipeline as make_sampling_pipeline
from sklearn.ensemble import RandomForestClassifier
from sklearn.metrics import ConfusionMatrixDisplay
from sklearn.pipeline import make_pipeline

from sklearn_ser import EGeMAPSEmbedder, SSLEmbedder
from sklearn_ser.classifiers import SequenceClassifier
from sklearn_ser.datasets import make_emotional_speech
from sklearn_ser.evaluation import compare
from sklearn_ser.plotting import DifferencesDisplay
from sklearn_ser.preprocessing import AudioAugmenter

corpus = make_emotional_speech(n_speakers=4, n_sentences=4, random_state=0)
network = SequenceClassifier(
    "pepino",
    embedder=SSLEmbedder("nano", layer=2, pooling=None),
    speaker="speaker",
    learning_rate=5e-3,
    max_epochs=60,
    random_state=0,
)
augmenter = AudioAugmenter(["noise", "stretch"], n_copies=2, balance=True, random_state=0)
systems = {
    "forest on eGeMAPS": make_pipeline(
        EGeMAPSEmbedder(), RandomForestClassifier(100, random_state=0)
    ),
    "convolutional head": network,
    "with augmentation": make_sampling_pipeline(augmenter, network),
}
comparison = compare(corpus, systems, audit=False)
comparison

# %%
DifferencesDisplay.from_comparison(comparison)

# %%
# The confusion matrix of the best row, over the predictions of all folds.
predictions = comparison.predictions[comparison.predictions["row"] == comparison.best]
ConfusionMatrixDisplay.from_predictions(
    predictions["emotion"], predictions["predicted"], normalize="true"
)
