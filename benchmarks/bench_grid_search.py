"""Grid search over layers and poolings: forward passes and seconds, against what users do now.

    python benchmarks/bench_grid_search.py [--data EMODB --model FOLDER] [--records FOLDER]

Three things are measured:

* How often the model runs: in a plain Pipeline, in one with ``memory``, and in ours (a tiny model
  and 60 clips, as the first two take so long).
* A search whose records are there already, every layer × 3 poolings × GroupKFold(5), against the
  same search over matrices that are in memory, candidate by candidate; both on one BLAS thread,
  so that fits are as fast as they get and hide nothing. Without --data it takes 535 synthetic
  clips and the architecture of wav2vec 2.0 base with random weights.
* Reading one layer's mean of 10,000 clips from the store.
"""

import hashlib
import os
import statistics
import tempfile
import time
from pathlib import Path

import _report
import numpy as np
import soundfile
import transformers
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, GroupKFold
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils import Bunch
from threadpoolctl import threadpool_limits

from sklearn_ser import SSLEmbedder
from sklearn_ser._store import Store, _files, _packs
from sklearn_ser.datasets import load_emodb, make_emotional_speech

POOLINGS = ["mean", "std", "max"]
N_STORED = 10_000


class Counter:
    """Counts forward passes."""

    n = 0


class Ours(SSLEmbedder):
    """An SSLEmbedder that counts its forward passes."""

    def make_extractor(self):
        extractor = super().make_extractor()
        compute = extractor.compute

        def counted(items):
            Counter.n += len(items)
            return compute(items)

        extractor.compute = counted
        return extractor


class Theirs(TransformerMixin, BaseEstimator):
    """A transformer as users write it: it embeds whatever it is given."""

    def __init__(self, model, layer=0, pooling="mean"):
        self.model, self.layer, self.pooling = model, layer, pooling

    def fit(self, X, y=None):
        return self

    def transform(self, X):
        Counter.n += len(X)
        embedder = SSLEmbedder(self.model, layer="all", pooling=POOLINGS, cache=None)
        rows = embedder.fit_transform(X).reshape(
            len(X), -1, len(POOLINGS), embedder._config().hidden_size
        )
        return rows[:, self.layer, POOLINGS.index(self.pooling)]


def steps():
    return [("scale", StandardScaler()), ("classify", LogisticRegression(C=0.01, max_iter=300))]


def search(embedder, layers, corpus, memory=None):
    grid = {"embed__layer": layers, "embed__pooling": POOLINGS}
    pipeline = Pipeline([("embed", embedder), *steps()], memory=memory)
    found = GridSearchCV(pipeline, grid, cv=GroupKFold(5), refit=False)
    return found.fit(corpus.X, corpus.y, groups=corpus.groups).cv_results_["mean_test_score"]


def as_files(corpus, folder):
    """Return a corpus whose clips are wav files."""
    paths = []
    for i, (waveform, rate) in enumerate(corpus.X):
        paths.append(f"{folder}/{i:04d}.wav")
        soundfile.write(paths[-1], waveform, rate)
    return Bunch(X=paths, y=corpus.y, groups=corpus.groups)


def forwards(work):
    """Return how often each way runs the model."""
    config = transformers.Wav2Vec2Config(
        hidden_size=16,
        num_hidden_layers=12,
        num_attention_heads=2,
        intermediate_size=32,
        conv_dim=(16,) * 7,
        num_conv_pos_embeddings=16,
        num_conv_pos_embedding_groups=2,
    )
    model = f"{work}/tiny"
    transformers.Wav2Vec2Model(config).save_pretrained(model)
    transformers.Wav2Vec2FeatureExtractor().save_pretrained(model)
    corpus = make_emotional_speech(n_speakers=5, n_sentences=3, random_state=0)
    corpus = as_files(corpus, work)
    rows, layers = [], list(range(13))
    for name, embedder, memory in (
        ("Pipeline", Theirs(model), None),
        ("Pipeline(memory=…)", Theirs(model), f"{work}/memory"),
        ("SSLEmbedder, first search", Ours(model, cache=f"{work}/tiny-records"), None),
        ("SSLEmbedder, again", Ours(model, cache=f"{work}/tiny-records"), None),
    ):
        Counter.n = 0
        taken = _report.seconds(lambda e=embedder, m=memory: search(e, layers, corpus, m))
        rows.append([name, Counter.n, f"{Counter.n / len(corpus.X):.1f}", f"{taken:.1f}"])
    return (
        f"## How often the model runs\n\n13 layers × 3 poolings × 5 folds, {len(corpus.X)} clips, "
        "a tiny model.\n\n" + _report.table(["", "forward passes", "a clip", "seconds"], rows)
    )


def warm(work, options):
    """Return how long a search takes whose records are there."""
    model = options.model
    if options.data:
        corpus = load_emodb(options.data)
    else:
        model = f"{work}/base"
        transformers.Wav2Vec2Model(transformers.Wav2Vec2Config()).save_pretrained(model)
        transformers.Wav2Vec2FeatureExtractor().save_pretrained(model)
        corpus = make_emotional_speech(n_speakers=9, n_sentences=15, random_state=0)
        (Path(work) / "clips").mkdir()
        corpus = as_files(corpus, f"{work}/clips")
        n_clips = 535
        corpus = Bunch(X=corpus.X[:n_clips], y=corpus.y[:n_clips], groups=corpus.groups[:n_clips])
    embedder = Ours(model, cache=options.records or f"{work}/records")
    layers = list(range(embedder.n_layers + 1))
    Counter.n = 0
    cold = _report.seconds(lambda: embedder.fit_transform(corpus.X))
    n_cold = Counter.n
    time.sleep(2)  # until the clips' dates tell whether they have changed
    matrices = [
        embedder.set_params(layer=layer, pooling=pooling).fit_transform(corpus.X)
        for layer in layers
        for pooling in POOLINGS
    ]
    scores = {}

    def ours():
        scores["ours"] = search(embedder, layers, corpus)

    def precomputed():
        scores["precomputed"] = []
        for X in matrices:
            found = GridSearchCV(Pipeline(steps()), {}, cv=GroupKFold(5), refit=False)
            found.fit(X, corpus.y, groups=corpus.groups)
            scores["precomputed"] += list(found.cv_results_["mean_test_score"])

    Counter.n = 0
    with threadpool_limits(1):
        taken = _report.interleaved({"ours": ours, "precomputed": precomputed}, options.repeats)
    np.testing.assert_allclose(scores["ours"], scores["precomputed"])
    rows = [
        ["extraction, once", f"{cold:.1f}", "", "", n_cold],
        [
            "search with SSLEmbedder",
            f"{statistics.median(taken['ours']):.2f}",
            f"{1 / _report.median_ratio(taken['precomputed'], taken['ours']):.2f} ×",
            _report.spread(taken["ours"]),
            Counter.n,
        ],
        [
            "search over matrices",
            f"{statistics.median(taken['precomputed']):.2f}",
            "1.00 ×",
            _report.spread(taken["precomputed"]),
            0,
        ],
    ]
    header = ["", "seconds", "against matrices", "spread", "forward passes"]
    return (
        f"## A search whose records are there\n\n{len(layers)} layers × {len(POOLINGS)} poolings × "
        f"5 folds, {len(corpus.X)} clips; medians of {options.repeats}; the scores are equal.\n\n"
        + _report.table(header, rows)
    )


def reading(work, options):
    """Return how long it takes to read one row of every record."""
    rng = np.random.default_rng(0)
    keys = [hashlib.sha256(b"%d" % i).hexdigest()[:32] for i in range(N_STORED)]
    records = Store(f"{work}/many").records("ssl", {"benchmark": 1})
    values = rng.standard_normal((13 * 5, 768), dtype=np.float32)
    written = 0.0
    for start in range(0, N_STORED, 1000):
        started = time.perf_counter()
        for key in keys[start : start + 1000]:
            records.write(key, values)
        records.pack()
        written += time.perf_counter() - started
    taken = {"first in a process": [], "from the file system's cache": [], "again": []}
    for i in range(options.repeats):
        _packs.packs_in.cache_clear()
        _files.recent.clear()
        for kind, row in zip(taken, (0, i + 1, i + 1), strict=True):
            seen = Store(f"{work}/many").records("ssl", {"benchmark": 1})
            taken[kind].append(_report.seconds(lambda s=seen, r=row: s.read_all(keys, [r])))
    rows = [
        [kind, f"{1e3 * statistics.median(seconds):.1f}", _report.spread(seconds)]
        for kind, seconds in taken.items()
    ]
    return (
        f"## Reading one layer's mean of {N_STORED} clips\n\nRecords of 13 × 5 × 768; writing and "
        f"packing took {1e3 * written / N_STORED:.2f} ms a clip.\n\n"
        + _report.table(["", "ms", "spread"], rows)
    )


def main():
    parser = _report.parser(__doc__)
    parser.add_argument("--data", help="a folder with EmoDB")
    parser.add_argument("--model", help="the model to take with --data")
    parser.add_argument("--records", help="a folder to keep records in; by default none is kept")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=os.environ.get("TMPDIR")) as work:
        parts = [forwards(work), warm(work, options), reading(work, options)]
    _report.report("Grid search", parts, options.out)


if __name__ == "__main__":
    main()
