"""Training a sequence head on frames from the store, against frames in memory.

    python benchmarks/bench_sequence_head.py [--clips N] [--in-memory N] [--epochs N]

Clips are synthetic: a number each, of which an embedder makes random frames of 13 layers × 768
dimensions, 1 s long, that lean towards their class a little. What is timed is training, not
embedding: frames lie in the store before it begins. Each variant is a process of its own, so that
its peak memory is its own. With all frames in memory there are fewer clips, as they have to fit in;
clips a second can be compared.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time

import _report
import numpy as np

from sklearn_ser.classifiers import SequenceClassifier
from sklearn_ser.embedders import BaseEmbedder, FrameLayout

N_LAYERS, N_DIMS, N_FRAMES, N_CLASSES, N_SPEAKERS = 13, 768, 50, 4, 10


class SyntheticFrames(BaseEmbedder):
    """Random frames of a clip that is a number, slightly towards its class."""

    short_name = "synthetic_frames"
    rate = 16000

    def __init__(self, pooling=None, *, waveform_rate=None, cache="auto", verbose=False):
        self.pooling, self.waveform_rate = pooling, waveform_rate
        self.cache, self.verbose = cache, verbose
        self.n_jobs, self.on_error = None, "raise"

    def compute_settings(self):
        return {"seed": 0}

    def compute(self, waveform):
        number = int(waveform[1] * 2**15)
        rng = np.random.default_rng(number)
        frames = rng.standard_normal((N_LAYERS, N_FRAMES, N_DIMS), dtype=np.float32)
        frames[N_LAYERS // 2, :, number % N_CLASSES] += 0.5
        return frames

    def layout(self):
        groups = [(i, f"layer{i}") for i in range(N_LAYERS)]
        return FrameLayout(groups, [str(i) for i in range(N_DIMS)], self.pooling)


def clips_of(n):
    """Return waveforms of four samples, the second of which is the clip's number."""
    return [(np.array([0, i, 9999, 0], dtype=np.int16), 16000) for i in range(n)]


def train(where, n, epochs, folder):
    """Train, and print what it took as JSON."""
    embedder, clips = SyntheticFrames(cache=folder), clips_of(n)
    y, groups = np.arange(n) % N_CLASSES, np.arange(n) // N_CLASSES % N_SPEAKERS
    head = SequenceClassifier(
        "pepino", n_layers=N_LAYERS, max_epochs=epochs, patience=epochs, random_state=0
    )
    started = time.perf_counter()
    if where == "memory":
        X = embedder.fit_transform(clips)
    else:
        X = clips
        head.set_params(embedder=embedder)
    head.fit(X, y, groups=groups)
    found = {
        "seconds": time.perf_counter() - started,
        "epochs": head.history_["seconds"].tolist(),
        "loss": head.history_["train_loss"].tolist(),
        "gigabytes": _report.peak_gigabytes(),
    }
    print(json.dumps(found))


def measured(*arguments):
    command = [sys.executable, __file__, "--one", *map(str, arguments)]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    if result.returncode:
        sys.exit(result.stderr)
    return json.loads(result.stdout.splitlines()[-1])


def compare(options):
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        embedder = SyntheticFrames(cache=folder)
        for start in range(0, options.clips, 100):
            embedder.fit_transform(clips_of(options.clips)[start : start + 100])
        sizes = {"store": options.clips, "memory": options.in_memory}
        runs = {where: measured(where, n, options.epochs, folder) for where, n in sizes.items()}
    rates = {w: sizes[w] / np.median(run["epochs"]) for w, run in runs.items()}
    rows = [
        [
            where,
            sizes[where],
            f"{sizes[where] * N_LAYERS * N_FRAMES * N_DIMS * 4 / 1e9:.1f}",
            f"{run['gigabytes']:.2f}",
            f"{np.median(run['epochs']):.1f}",
            f"{rates[where]:.0f}",
            f"{rates[where] / rates['memory']:.2f}",
            f"{run['loss'][0]:.3f} → {run['loss'][-1]:.3f}",
        ]
        for where, run in runs.items()
    ]
    header = ["frames from", "clips", "GB of frames", "peak GB", "s an epoch", "clips a second"]
    table = _report.table([*header, "ratio", "training loss"], rows)
    about = f"Median of {options.epochs} epochs; clips of {N_FRAMES} frames, 13 layers × 768.\n"
    _report.report("Training a sequence head", [about, table], options.out)


def main():
    if sys.argv[1:2] == ["--one"]:
        where, n, epochs, folder = sys.argv[2:]
        train(where, int(n), int(epochs), folder)
        return
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--clips", type=int, default=5000)
    parser.add_argument("--in-memory", type=int, default=1500)
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--folder", help="where frames are kept meanwhile: 2 MB a clip")
    parser.add_argument("--out", type=_report.Path, help="also write the report to this file")
    compare(parser.parse_args())


if __name__ == "__main__":
    main()
