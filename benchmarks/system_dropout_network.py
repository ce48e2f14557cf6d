"""A dropout network on mean-pooled embeddings of two models, then on clips from elsewhere.

    python benchmarks/system_dropout_network.py --corpus emodb --data EMODB --models MODEL nano
        [--external FOLDER]

Its author joined the means of wav2vec 2.0 and HuBERT, trained a network with dropout on CREMA-D,
and then had it name the emotions in mp3 clips of political speeches. Whatever is played to such a
network, it names one of its emotions, and mostly says that it is sure.

Here the network stops by speakers who were held out of training, each model stands alone as well as
both side by side, and clips from elsewhere go to a recognizer that was calibrated on speakers held
out of training, and that abstains where speech is unlike what it was trained on. Beside that stands
how sure the network is of the same clips. Without ``--external`` the clips are synthetic speech,
as mp3 at 24 kHz: nobody felt anything in them.
"""

import tempfile
from pathlib import Path

import _report
import _systems
import numpy as np
import pandas as pd
import soundfile
from _systems import System
from sklearn.compose import make_column_transformer
from sklearn.pipeline import make_pipeline, make_union
from sklearn.preprocessing import StandardScaler

from sklearn_ser import SSLEmbedder
from sklearn_ser.classifiers import MLPHead
from sklearn_ser.cli._options import audio_files
from sklearn_ser.datasets import make_emotional_speech
from sklearn_ser.recognition import EmotionRecognizer

MOST = 8  # rows of the table of clips


def side_by_side(models, options):
    return make_union(*(SSLEmbedder(model, options.layer) for model in models))


def network(models, options):
    """Return how a network is made, from a seed."""

    def make(seed):
        features = make_pipeline(side_by_side(models, options), StandardScaler())
        return make_pipeline(
            make_column_transformer((features, "clip"), ("passthrough", ["speaker"])),
            MLPHead(speaker=-1, max_epochs=options.epochs, random_state=seed),
        )

    return make


def mp3_clips(folder):
    """Write clips of synthetic speech as mp3 files, and return their paths."""
    corpus = make_emotional_speech(n_speakers=4, n_sentences=2, rate=24000, random_state=1)
    paths = []
    for i, (waveform, rate) in enumerate(corpus.X):
        paths.append(str(Path(folder) / f"{i:02d}_{corpus.y[i]}.mp3"))
        soundfile.write(paths[-1], waveform, rate, format="MP3")
    return paths


def elsewhere(clips, corpus, options):
    """Return what is made of clips from elsewhere, as Markdown."""
    recognizer = EmotionRecognizer(side_by_side(options.models, options), "lda")
    recognizer.fit(corpus.X, corpus.y, corpus.groups)
    recognized = recognizer.recognize(clips).dropna(subset="out_of_domain")
    usable = list(dict.fromkeys(recognized["recording"]))
    X = pd.DataFrame({"clip": corpus.X, "speaker": corpus.groups})
    alone = network(options.models, options)(0).fit(X, corpus.y)
    probabilities = alone.predict_proba(pd.DataFrame({"clip": usable, "speaker": "unknown"}))
    named, sure = alone.classes_[probabilities.argmax(axis=1)], probabilities.max(axis=1)
    rows = []
    for clip, name, chance in zip(usable, named, sure, strict=True):
        windows = recognized[recognized["recording"] == clip]
        said = ", ".join(sorted(set(windows["emotion"].dropna()))) or "abstained"
        far = f"{windows['out_of_domain'].mean():.3f}"
        rows.append([Path(clip).name, said, far, f"{name}, {chance:.3f}"])
    header = ["clip", "recognizer", "out of domain", "network alone, and how sure"]
    return (
        f"## {len(usable)} clips from elsewhere\n\n"
        f"{len(clips) - len(usable)} more could not be used. The recognizer (LDA on all models) "
        f"abstained from {recognized['emotion'].isna().mean():.0%} of what it was given; of "
        "speakers held out of training it abstains from 5 %, and its UAR for them is "
        f"{recognizer.scores_['uar']:.3f}. The network alone never abstains: its median "
        f"probability is {np.median(sure):.3f}, and over .9 for {np.mean(sure > 0.9):.0%}. Out of "
        "domain is the share of held-out speakers' clips that are nearer to training. What its "
        f"author got here: {_systems.NOT_PUBLISHED}. The first {min(MOST, len(rows))}:\n\n"
        + _report.table(header, rows[:MOST])
    )


def main(arguments=None):
    parser = _systems.parser(__doc__)
    parser.add_argument(
        "--models", nargs=2, default=["microsoft/wavlm-base-plus", "nano"], metavar="ID"
    )
    parser.add_argument("--external", type=Path, metavar="FOLDER", help="clips from elsewhere")
    _systems.add_training(parser)
    options = parser.parse_args(arguments)
    corpus = _systems.corpus_of(options)
    sets = [[model] for model in options.models] + [options.models]
    systems = [
        System(
            " and ".join(_systems.named(model) for model in models) + ", MLPHead",
            network(models, options),
            network=True,
        )
        for models in sets
    ]
    found = _systems.compared(systems, corpus, options)
    told = f"Means over frames, layer {options.layer}.\n"
    with tempfile.TemporaryDirectory() as work:
        clips = audio_files(options.external) if options.external else mp3_clips(work)
        rows = elsewhere(clips, corpus, options)
    parts = [_systems.about(corpus), told, found, rows]
    _report.report("A dropout network on two models", parts, options.out)


if __name__ == "__main__":
    main()
