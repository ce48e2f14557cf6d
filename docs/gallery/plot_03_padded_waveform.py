"""
The padded-waveform mistake
===========================

What a feature extractor of transformers returns is the input of a model, and no embedding.
"""

# %%
import matplotlib.pyplot as plt
import numpy as np
from sklearn.model_selection import GroupKFold, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC
from transformers import Wav2Vec2FeatureExtractor

from sklearn_ser import MFCCEmbedder, SSLEmbedder
from sklearn_ser.datasets import make_emotional_speech

corpus = make_emotional_speech(n_speakers=4, n_sentences=4, random_state=0)
waveforms = [waveform for waveform, _ in corpus.X]
padded = Wav2Vec2FeatureExtractor()(
    waveforms, sampling_rate=16000, padding=True, return_tensors="np"
).input_values
print("the 'embeddings' have the shape", padded.shape, "- one column a sample of the longest clip")

# %%
# ``diagnose`` looks at any matrix of features, and names the mistake.
from sklearn_ser.audit import diagnose

print(diagnose(padded, corpus.y, corpus.groups))

# %%
# The same classifier on three inputs, with folds that share no speaker.
inputs = {
    "padded waveform": padded,
    "MFCC": MFCCEmbedder().fit_transform(corpus.X),
    "embedding, middle layer": SSLEmbedder("nano").fit_transform(corpus.X),
}
svc = make_pipeline(StandardScaler(), SVC(C=10))
scores = {
    name: cross_val_score(
        svc, X, corpus.y, groups=corpus.groups, cv=GroupKFold(4), scoring="balanced_accuracy"
    )
    for name, X in inputs.items()
}

# %%
figure, ax = plt.subplots(figsize=(7, 2.5), layout="constrained")
means, spreads = zip(*((np.mean(each), np.std(each)) for each in scores.values()), strict=True)
ax.barh(list(scores), means, xerr=spreads, color="#0072B2", capsize=3)
ax.axvline(1 / len(np.unique(corpus.y)), color="#222222", linestyle=":", label="chance")
ax.set(xlabel="UAR, mean and standard deviation over four folds", xlim=(0, 1))
ax.legend(loc="lower right")
