"""
A ready emotion model
=====================

A published model that predicts emotions is a fitted classifier: nothing is trained, and what it
confuses is seen at once. Its classes need not be those of the corpus.
"""

# %%
# So that the page runs offline, a model is made on the spot: the small speech model of the package,
# with a linear layer that was fitted to other speakers. A published one is named by its id, as in
# ``PretrainedEmotionClassifier("superb/wav2vec2-base-superb-er")``.
import tempfile

import torch
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import ConfusionMatrixDisplay
from transformers import AutoFeatureExtractor, Wav2Vec2Config, Wav2Vec2ForSequenceClassification
from transformers.utils import logging

from sklearn_ser import SSLEmbedder
from sklearn_ser.classifiers import PretrainedEmotionClassifier
from sklearn_ser.datasets import make_emotional_speech
from sklearn_ser.evaluation import speaker_interval, uar_score

others = make_emotional_speech(n_speakers=6, n_sentences=3, random_state=1)
nano = SSLEmbedder("nano", layer=-1, pooling="mean")
source = nano.model_folder()
linear = LogisticRegression(C=0.1, max_iter=1000).fit(nano.fit_transform(others.X), others.y)
logging.set_verbosity_error()  # the linear layers are not in the file, as they are new
logging.disable_progress_bar()
config = Wav2Vec2Config.from_pretrained(source)
config.id2label = dict(enumerate(["ang", "hap", "neu", "sad"]))
config.classifier_proj_size = config.hidden_size
model = Wav2Vec2ForSequenceClassification.from_pretrained(source, config=config)
with torch.no_grad():
    model.projector.weight.copy_(torch.eye(config.hidden_size))
    model.projector.bias.zero_()
    model.classifier.weight.copy_(torch.tensor(linear.coef_))
    model.classifier.bias.copy_(torch.tensor(linear.intercept_))
folder = tempfile.mkdtemp()
AutoFeatureExtractor.from_pretrained(source).save_pretrained(folder)
model.save_pretrained(folder)

# %%
# Its labels are mapped to the usual names.
corpus = make_emotional_speech(n_speakers=5, n_sentences=3, random_state=0)
classifier = PretrainedEmotionClassifier(folder)
predicted = classifier.predict(corpus.X)
low, high = speaker_interval(corpus.y, predicted, corpus.groups)
print("classes:", ", ".join(classifier.classes_))
print(f"UAR: {uar_score(corpus.y, predicted):.3f} ({low:.3f} to {high:.3f} for new speakers)")

# %%
ConfusionMatrixDisplay.from_predictions(corpus.y, predicted, normalize="true", cmap="Blues")
