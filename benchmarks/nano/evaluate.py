"""How well a bundled model tells emotions apart on EmoDB, how fast, and how large it is.

    python benchmarks/nano/evaluate.py EMODB [--model nano] [--teacher WHISPER_BASE]

Everything on the same speakers, folds and classifier, in one run: nano's layers, those of the same
architecture with random weights, MFCC, eGeMAPS, and nano together with eGeMAPS.
"""

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
import warnings
from pathlib import Path

import pandas as pd
from sklearn.pipeline import FeatureUnion

from sklearn_ser import EGeMAPSEmbedder, MFCCEmbedder, SSLEmbedder
from sklearn_ser.datasets import load_emodb
from sklearn_ser.evaluation import compare

PROTOCOL = """\
EmoDB: the clips of anger, happiness, neutral and sadness that were at hand (339), 10 speakers,
leave one speaker out, StandardScaler and LogisticRegression with C chosen inside the training
folds. UAR is the mean over folds; its 95 % interval resamples speakers."""
SPEED = """
import os, sys, time
os.sched_setaffinity(0, {0})
import torch
torch.set_num_threads(1)
import soundfile
from sklearn_ser import SSLEmbedder
from sklearn_ser.datasets import load_emodb
emodb, model, every, cache = sys.argv[1:]
clips = load_emodb(emodb).X[:: int(every)]
embedder = SSLEmbedder(model, cache=cache)
embedder.fit_transform(clips[:1])
seconds = sum(soundfile.info(clip).duration for clip in clips[1:])
started = time.perf_counter()
embedder.transform(clips[1:])
print(seconds / (time.perf_counter() - started))
"""


def random_weights(model, folder):
    """Write a model of the same architecture whose weights were never trained."""
    import torch
    from transformers import AutoConfig, AutoFeatureExtractor, AutoModel

    from sklearn_ser._models import find_model

    place = find_model(str(model))
    torch.manual_seed(0)
    config = AutoConfig.from_pretrained(place)
    AutoModel.from_config(config, dtype=torch.float32).save_pretrained(folder)
    AutoFeatureExtractor.from_pretrained(place).save_pretrained(folder)
    return str(folder)


def scores(model, emodb, n_jobs=2, classifier="logistic"):
    """Return a frame of UARs: leave one speaker out, C chosen in the training folds."""
    corpus = load_emodb(emodb)
    with tempfile.TemporaryDirectory() as folder:
        untrained = random_weights(model, Path(folder, "random"))
        embedders = {
            "MFCC": MFCCEmbedder(),
            "eGeMAPS": EGeMAPSEmbedder(),
            "nano": SSLEmbedder(str(model), layer="all"),
            "random weights": SSLEmbedder(untrained, layer="all", cache=None),
        }
        for layer in range(embedders["nano"].n_layers + 1):
            of_layer = SSLEmbedder(str(model), layer)
            both = FeatureUnion([("nano", of_layer), ("egemaps", EGeMAPSEmbedder())])
            embedders[f"nano layer {layer} + eGeMAPS"] = both
        found = compare(corpus, embedders, classifier=classifier, n_jobs=n_jobs)
    columns = ["features", "layer", "uar", "uar_ci", "accuracy", "macro_f1"]
    return found.frame[columns]


def times_real_time(model, emodb, every=1, repeats=3):
    """Return seconds of audio a second on one core, nothing stored yet: the median of runs."""
    found = []
    for _ in range(repeats):
        with tempfile.TemporaryDirectory() as cache:
            command = [sys.executable, "-c", SPEED, emodb, str(model), str(every), cache]
            ran = subprocess.run(command, check=True, capture_output=True, text=True)
            found.append(float(ran.stdout.split()[-1]))
    return statistics.median(found)


def evaluate(model, emodb, teacher=None):
    """Return the report, Markdown."""
    started = time.monotonic()
    frame = scores(model, emodb)
    with pd.option_context("display.float_format", "{:.3f}".format):
        lines = [PROTOCOL, "", "```", frame.to_string(index=False), "```", ""]
    speed = times_real_time(model, emodb)
    lines.append(f"One core, EmoDB, nothing stored yet: {speed:.0f} × real time.")
    if teacher:
        slow = times_real_time(teacher, emodb, every=20)
        lines.append(f"Whisper base, same run: {slow:.1f} ×; nano is {speed / slow:.0f} × faster.")
    lines.append(f"(Evaluated in {time.monotonic() - started:.0f} s.)")
    return "\n".join(lines)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("emodb")
    parser.add_argument("--model", default="nano")
    parser.add_argument("--teacher", help="Whisper base, to compare speeds with")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    print(evaluate(options.model, options.emodb, options.teacher))


if __name__ == "__main__":
    main()
