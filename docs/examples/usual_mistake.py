"""The usual mistake, with figures: a padded waveform is not an embedding.

    python docs/examples/usual_mistake.py EMODB MODEL

prints the UAR, mean and standard deviation over folds, of one and the same SVC on what a feature
extractor returns (the normalised waveform, padded with zeros), on MFCCs and on embeddings: for
random folds and for new speakers, as it comes and with scaled columns and C=10.
"""

import sys

import numpy as np
from sklearn.metrics import make_scorer
from sklearn.metrics.pairwise import rbf_kernel
from sklearn.model_selection import LeaveOneGroupOut, StratifiedKFold, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from sklearn_ser import MFCCEmbedder, SSLEmbedder
from sklearn_ser.datasets import load_emodb
from sklearn_ser.evaluation import uar_score


def padded_waveforms(paths):
    """Return what Wav2Vec2FeatureExtractor gives: a waveform a row, padded to the longest."""
    import soundfile
    from transformers import Wav2Vec2FeatureExtractor

    extractor = Wav2Vec2FeatureExtractor()
    waveforms = [soundfile.read(path, dtype="float32")[0] for path in paths]
    return extractor(waveforms, sampling_rate=16000, padding=True, return_tensors="np").input_values


def kernel(X, Y):
    """Return SVC's default kernel; libsvm's own takes minutes for 140,000 columns."""
    return rbf_kernel(X, Y, gamma=1 / (Y.shape[1] * Y.var()))


def main(data, model):
    """Print the table."""
    corpus = load_emodb(data)
    inputs = {
        "padded waveform (the mistake)": padded_waveforms(corpus.X),
        "MFCC, mean and std": MFCCEmbedder().fit_transform(corpus.X),
        "embedding, last layer": SSLEmbedder(model, layer=-1).fit_transform(corpus.X),
        "embedding, middle layer": SSLEmbedder(model).fit_transform(corpus.X),
    }
    random = StratifiedKFold(5, shuffle=True, random_state=0)
    svcs = [SVC(kernel=kernel), make_pipeline(StandardScaler(), SVC(C=10, kernel=kernel))]
    columns = ["SVC, random", "SVC, new speakers", "scaled, random", "scaled, new speakers"]
    print(f"| input | columns | {' | '.join(columns)} |")
    print("|---|---:|---:|---:|---:|---:|")
    for name, X in inputs.items():
        cells = []
        for svc in svcs:
            for cv, groups in ((random, None), (LeaveOneGroupOut(), corpus.groups)):
                scorer = make_scorer(uar_score)
                scores = cross_val_score(svc, X, corpus.y, groups=groups, cv=cv, scoring=scorer)
                cells.append(f"{np.mean(scores):.3f} ± {np.std(scores):.3f}")
        print(f"| {name} | {X.shape[1]} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    main(*sys.argv[1:])
