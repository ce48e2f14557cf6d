"""How cost grows with clips, seconds, layers and jobs, and the exponents of the growth.

    python benchmarks/bench_scaling.py [--model FOLDER]

Without --model it takes the architecture of wav2vec 2.0 base with random weights for seconds and
layers, and a small one for clips. An exponent of 1 is linear growth; it is fitted to the logarithms
of the medians. Peak memory is that of a process that does nothing else.
"""

import argparse
import functools
import json
import statistics
import subprocess
import sys
import tempfile
import warnings
from pathlib import Path

import _report
import numpy as np
import transformers
from sklearn.base import clone

from sklearn_ser import MFCCEmbedder, SSLEmbedder

RATE = 16000
SMALL = {
    "hidden_size": 64,
    "num_hidden_layers": 4,
    "num_attention_heads": 4,
    "intermediate_size": 256,
    "conv_dim": (64,) * 7,
}
ROUNDS = {100: range(9), 1000: (1, 4, 7), 10_000: (1, 4, 7)}  # in which of nine rounds they run
N_CLIPS = tuple(ROUNDS)
SHORT = (1, 2, 5, 10, 20, 40)  # seconds; attention is over the whole clip
LONG = (60, 120, 300, 600)  # in windows
SECONDS = SHORT + LONG


def build(folder, **settings):
    transformers.Wav2Vec2Model(transformers.Wav2Vec2Config(**settings)).save_pretrained(folder)
    transformers.Wav2Vec2FeatureExtractor().save_pretrained(folder)
    return str(folder)


def noise(seconds, seed=0):
    rng = np.random.default_rng(seed)
    return (0.1 * rng.standard_normal(round(seconds * RATE), dtype=np.float32), RATE)


def exponent(sizes, costs):
    """Return the slope of a line through the logarithms."""
    return np.polyfit(np.log(sizes), np.log(costs), 1)[0]


def by_clips(work, options):
    small = build(f"{work}/small", **SMALL)
    embedders = {
        "SSLEmbedder, small model": SSLEmbedder(small, layer="all"),
        "MFCCEmbedder": MFCCEmbedder(),
    }
    costs = {}
    for embedder in embedders.values():  # what is imported and loaded, once, is no cost of a clip
        embedder.set_params(cache=None).fit_transform([noise(0.5, seed) for seed in range(20)])
    clips = [noise(0.5, seed) for seed in range(max(N_CLIPS))]
    taken = {}
    for i in range(9):  # sizes in turn, as a machine's speed drifts
        for n_clips, rounds in ROUNDS.items():
            for kind, embedder in embedders.items() if i in rounds else ():
                embedder.set_params(cache=f"{work}/{kind[:3]}{n_clips}-{i}")
                for state in ("computed and stored", *3 * ("stored already",)):
                    seconds = _report.seconds(
                        lambda e=embedder, n=n_clips: e.fit_transform(clips[:n])
                    )
                    taken.setdefault((kind, state, n_clips), []).append(seconds)
    for (kind, state, _), times in taken.items():
        costs.setdefault(f"{kind}, {state}", []).append(statistics.median(times))
    rows = []
    for name, taken in costs.items():
        cells = [f"{1e3 * s / n:.3g}" for s, n in zip(taken, N_CLIPS, strict=True)]
        rows.append([name, *cells, f"{exponent(N_CLIPS, taken):.3f}"])
    header = ["ms a clip of 0.5 s", *(f"{n} clips" for n in N_CLIPS), "exponent"]
    return "## Clips\n\n" + _report.table(header, rows)


def corpus_of(seconds):
    """Return clips of one length, as many as fit in half a minute, one at least."""
    return [noise(seconds, seed) for seed in range(max(1, 30 // seconds))]


def by_seconds(model, options):
    embedder = SSLEmbedder(model, layer="all", cache=None)
    embedder.fit_transform([noise(3)])
    taken = {}
    for some, repeats in ((SHORT, 3 * options.repeats), (LONG, 1)):
        variants = {n: functools.partial(embedder.fit_transform, corpus_of(n)) for n in some}
        taken |= _report.interleaved(variants, repeats)
    costs = [statistics.median(taken[n]) / len(corpus_of(n)) for n in SECONDS]
    rows = [
        [f"{seconds} s", f"{cost:.2f}", f"{seconds / cost:.2f}", memory(model, seconds)]
        for seconds, cost in zip(SECONDS, costs, strict=True)
    ]
    if options.hour:
        rows.append(["3600 s", "–", "–", memory(model, 3600)])
    n_full = len(SHORT)
    fits = (
        f"Exponent {exponent(SECONDS[:n_full], costs[:n_full]):.3f} up to {SHORT[-1]} s, where all "
        f"of a clip attends to itself; {exponent(SECONDS[n_full:], costs[n_full:]):.3f} in windows "
        f"beyond; {exponent(SECONDS, costs):.3f} over all.\n"
    )
    header = ["clip", "seconds", "times real time", "peak memory for one, GB"]
    about = "Clips of one length, 30 s of them in one call or one that is longer; seconds of one.\n"
    return f"## Seconds of a clip\n\n{about}\n{_report.table(header, rows)}\n{fits}"


def memory(model, seconds):
    command = [sys.executable, __file__, "--memory", json.dumps([model, seconds])]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return f"{float(done.stdout.split()[-1]):.2f}" if done.returncode == 0 else "failed"


def by_layers(model, options):
    clips = [noise(2.8, seed) for seed in range(4)]
    variants = {}
    for layer in (0, 3, 6, 9, 12):
        embedder = SSLEmbedder(model, layer=layer, cache=None)
        variants[layer] = functools.partial(embedder.fit_transform, clips)
    taken = _report.interleaved(variants, options.repeats)
    whole = statistics.median(taken[12])
    rows = [
        [f"≤ {layer}", f"{statistics.median(t):.2f}", f"{whole / statistics.median(t):.2f} ×"]
        for layer, t in taken.items()
    ]
    header = ["layers asked for, without a store", "seconds", "against all"]
    return "## Layers\n\n" + _report.table(header, rows)


def by_jobs(model, options):
    clips = [noise(2.8, seed) for seed in range(4)]
    rows = []
    for embedder, X in (
        (SSLEmbedder(model, cache=None), clips),
        (MFCCEmbedder(cache=None), clips * 50),
    ):
        variants = {
            n: functools.partial(clone(embedder).set_params(n_jobs=n).fit_transform, X)
            for n in (1, 2)
        }
        taken = _report.interleaved(variants, options.repeats)
        one, two = (statistics.median(taken[n]) for n in (1, 2))
        rows.append([type(embedder).__name__, f"{one:.2f}", f"{two:.2f}", f"{one / two:.2f} ×"])
    header = ["", "n_jobs=1, seconds", "n_jobs=2, seconds", "times faster"]
    return "## Jobs\n\n" + _report.table(header, rows)


def main():
    parser = _report.parser(__doc__)
    parser.add_argument("--model", help="a folder with a model")
    parser.add_argument("--hour", action="store_true", help="also the memory of a clip of 60 min")
    parser.add_argument("--memory", help=argparse.SUPPRESS)
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    if options.memory:
        model, seconds = json.loads(options.memory)
        SSLEmbedder(model, layer="all", cache=None).fit_transform([noise(seconds)])
        print(_report.peak_gigabytes())
        return
    with tempfile.TemporaryDirectory() as work:
        model = options.model or build(Path(work) / "base")
        parts = [
            by_clips(work, options),
            by_seconds(model, options),
            by_layers(model, options),
            by_jobs(model, options),
        ]
    _report.report("How cost grows", parts, options.out)


if __name__ == "__main__":
    main()
