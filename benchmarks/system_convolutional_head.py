"""A convolutional head on a speech model's frames, with augmentation, against a random forest.

    python benchmarks/system_convolutional_head.py --corpus emodb --data EMODB --model MODEL

Its author did much right: actors 1 to 22 of RAVDESS to train and stop on, 23 and 24 to test on,
and a strong forest on eGeMAPS to beat. The forest got .525 of 8 classes, where cross-validation on
random clips had promised .557. wav2vec2-base, itself trained further on crops of 4 s, with a
convolutional head, got .68, and .72 with noise, stretches of ±10 % and emotions sampled equally
often.

Here the forest is the same. The head, pointwise convolutions and a mean, reads whole clips' frames
of a model that stays as it is, so that a CPU will do; ``--fine-tune N`` adds the model with its
last N layers trained further, on stretches of 4 s. Copies of clips are made by the pipeline of
imbalanced-learn, in training folds only; each is made and embedded once, whatever the folds. With
``--corpus ravdess --cv ravdess`` the split is the author's.
"""

import _report
import _systems
from _systems import CLIPS, System
from imblearn.pipeline import make_pipeline
from sklearn.ensemble import RandomForestClassifier

from sklearn_ser import EGeMAPSEmbedder, SSLEmbedder
from sklearn_ser.classifiers import FineTunedClassifier, SequenceClassifier
from sklearn_ser.preprocessing import AudioAugmenter

AUTHOR = {"forest": ".525 (random: .557)", "plain": ".68 (fine-tuned)", "more": ".72 (fine-tuned)"}


def forest(seed):
    return make_pipeline(
        CLIPS,
        EGeMAPSEmbedder(),
        RandomForestClassifier(100, min_samples_leaf=5, max_features=1.0, random_state=1),
    )


def systems(options):
    def head(seed):
        return SequenceClassifier(
            "pepino",
            embedder=SSLEmbedder(options.model, options.layer, None, window=options.window),
            speaker="speaker",
            max_epochs=options.epochs,
            random_state=seed,
        )

    def tuned(seed):
        return FineTunedClassifier(
            options.model,
            unfreeze=options.fine_tune,
            max_seconds=4,
            speaker="speaker",
            max_epochs=options.epochs,
            random_state=seed,
        )

    def augmented(make):
        # Its own seed is the same for all, so that there is one set of copies.
        return lambda seed: make_pipeline(
            AudioAugmenter(["noise", "stretch"], n_copies=1, balance=True), make(seed)
        )

    yield System("random forest on eGeMAPS", forest, AUTHOR["forest"])
    networks = {"convolutional head": head}
    if options.fine_tune:
        networks[f"last {options.fine_tune} layers trained"] = tuned
    for name, make in networks.items():
        yield System(name, make, AUTHOR["plain"], network=True, random=False)
        name = f"{name}; noise, stretch, balanced"
        yield System(name, augmented(make), AUTHOR["more"], network=True, random=False)


def main(arguments=None):
    parser = _systems.parser(__doc__)
    parser.add_argument("--model", default="nano", metavar="ID", help="a hub id or a folder")
    parser.add_argument("--window", default="auto", help="of SSLEmbedder; default: auto")
    parser.add_argument("--fine-tune", type=int, default=0, metavar="N", help="layers; default: 0")
    _systems.add_training(parser)
    options = parser.parse_args(arguments)
    corpus = _systems.corpus_of(options)
    found = _systems.compared(list(systems(options)), corpus, options)
    told = (
        f"Frames of {_systems.named(options.model)}, layer {options.layer}, "
        f"window={options.window!r}. The author's figures are accuracies on RAVDESS, 8 emotions, "
        "actors 23 and 24.\n"
    )
    parts = [_systems.about(corpus), told, found]
    _report.report("A convolutional head against a random forest", parts, options.out)


if __name__ == "__main__":
    main()
