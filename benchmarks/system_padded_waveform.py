"""A padded waveform against MFCCs and real embeddings, by SVM and LSTM.

    python benchmarks/system_padded_waveform.py --corpus emodb --data EMODB --model MODEL

Its author took what a feature extractor of transformers returns, the normalised waveform padded
with zeros, for wav2vec embeddings, gave its 100,000 columns to an SVM, and got 15–30 % on EmoDB
where MFCCs gave 70 %: so MFCCs seemed to be the better features. Clips were drawn at random, so
that everyone who was tested had been trained on.

Here one and the same SVM gets the padded waveform, MFCCs, and what the model does make of it, from
the last layer and the one that is asked for; as it comes (`SVC()` on columns as they are), and as
it should be, with columns scaled. An LSTM reads frames instead, and stops by speakers who were
held out of training. Random folds stand beside folds of new speakers, so that one sees by how much
they flatter. LSTMs, which take minutes a fold, run on the latter only.
"""

import math

import _report
import _systems
from _systems import CLIPS, System
from sklearn.metrics.pairwise import rbf_kernel
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from sklearn.svm import SVC

from sklearn_ser import MFCCEmbedder, SSLEmbedder
from sklearn_ser._audio import as_clip, items_of
from sklearn_ser.classifiers import SequenceClassifier

RATE = 16000


def padded_waveforms(clips, n_samples):
    """Return what Wav2Vec2FeatureExtractor gives: a waveform a row, padded to the longest."""
    from transformers import Wav2Vec2FeatureExtractor

    clips = [as_clip(item, i) for i, item in enumerate(items_of(clips))]
    waveforms = [clip.waveform(clip.read(), RATE) for clip in clips]
    padding = {"padding": "max_length", "max_length": n_samples, "truncation": True}
    extractor = Wav2Vec2FeatureExtractor()
    found = extractor(waveforms, sampling_rate=RATE, return_tensors="np", **padding)
    return found.input_values


def kernel(X, Y):
    """Return SVC's default kernel; libsvm's own takes minutes for 100,000 columns."""
    return rbf_kernel(X, Y, gamma=1 / (Y.shape[1] * Y.var()))


def systems(corpus, options):
    longest = max(as_clip(item, i).seconds() for i, item in enumerate(items_of(corpus.X)))
    padded = {"n_samples": math.ceil(RATE * longest)}

    def ssl(layer, pooling):
        return SSLEmbedder(options.model, layer=layer, pooling=pooling)

    inputs = {
        "padded waveform": FunctionTransformer(padded_waveforms, kw_args=padded),
        "MFCC": MFCCEmbedder(),
        "last layer": ssl(-1, "mean"),
        f"layer {options.layer}": ssl(options.layer, "mean"),
    }
    got = {"padded waveform": "15–30 %", "MFCC": "70 %"}
    yield from (
        System(
            f"{name}, SVC as it comes",
            lambda seed, step=step: make_pipeline(CLIPS, step, SVC(kernel=kernel)),
            got.get(name, _systems.NOT_PUBLISHED),
        )
        for name, step in inputs.items()
    )
    yield from (
        System(
            f"{name}, scaled, SVC(C=10)",
            lambda seed, step=step: make_pipeline(
                CLIPS, step, StandardScaler(), SVC(C=10, kernel=kernel)
            ),
        )
        for name, step in inputs.items()
    )
    frames = {
        "MFCC": MFCCEmbedder(pooling=None),
        f"layer {options.layer}": ssl(options.layer, None),
    }
    yield from (
        System(
            f"{name}, frames, LSTM",
            lambda seed, step=step: SequenceClassifier(
                "lstm",
                embedder=step,
                speaker="speaker",
                max_epochs=options.epochs,
                random_state=seed,
            ),
            network=True,
            random=False,
        )
        for name, step in frames.items()
    )


def main(arguments=None):
    parser = _systems.parser(__doc__)
    parser.add_argument("--model", default="nano", metavar="ID", help="a hub id or a folder")
    _systems.add_training(parser)
    options = parser.parse_args(arguments)
    corpus = _systems.corpus_of(options)
    found = _systems.compared(list(systems(corpus, options)), corpus, options)
    parts = [_systems.about(corpus), f"Embeddings of {_systems.named(options.model)}.\n", found]
    _report.report("A padded waveform is no embedding", parts, options.out)


if __name__ == "__main__":
    main()
