"""Grid search over layers and poolings: our embedder against precomputed matrices.

    python benchmarks/bench_grid_search.py EMODB MODEL [--n-jobs N]

The same GridSearchCV (every layer × 3 poolings × GroupKFold(5)) runs with the embedder in the
pipeline and, for comparison, as a loop of cross-validations over matrices that are in memory
already. It prints how many forward passes each run made and the median seconds of both.
"""

import argparse
import os
import platform
import statistics
import tempfile
import time

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, GroupKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklearn_ser import SSLEmbedder
from sklearn_ser.datasets import load_emodb

POOLINGS = ["mean", "std", "max"]
COUNTER = "SKLEARN_SER_BENCH_COUNTER"


class Counted(SSLEmbedder):
    """An SSLEmbedder that notes every forward pass, in any process."""

    def _record(self, clip, content):
        with open(os.environ[COUNTER], "ab") as file:
            file.write(b".")
        return super()._record(clip, content)


def timed(function):
    started = time.perf_counter()
    result = function()
    return time.perf_counter() - started, result


def classifier():
    return make_pipeline(StandardScaler(), LogisticRegression(C=0.01, max_iter=1000))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data")
    parser.add_argument("model")
    parser.add_argument("--n-jobs", type=int, default=1)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--cache", help="a folder of records to start from; by default none")
    parser.add_argument("--nested", action="store_true", help="also nested 5×5, cold")
    options = parser.parse_args()
    corpus = load_emodb(options.data)

    def forwards():
        size = os.path.getsize(os.environ[COUNTER])
        open(os.environ[COUNTER], "wb").close()
        return size

    def grid(cache):
        embedder = Counted(options.model, cache=cache)
        pipeline = make_pipeline(embedder, *classifier())
        layers = range(embedder.n_layers + 1)
        return GridSearchCV(
            pipeline,
            {"counted__layer": layers, "counted__pooling": POOLINGS},
            cv=GroupKFold(5),
            n_jobs=options.n_jobs,
            refit=False,
        )

    def precomputed():
        scores = []
        for X in matrices.values():
            search = GridSearchCV(
                classifier(), {}, cv=GroupKFold(5), n_jobs=options.n_jobs, refit=False
            )
            scores.append(search.fit(X, corpus.y, groups=corpus.groups).best_score_)
        return scores

    with tempfile.TemporaryDirectory() as folder:
        os.environ[COUNTER] = os.path.join(folder, "forwards")
        open(os.environ[COUNTER], "wb").close()
        cache = options.cache or os.path.join(folder, "records")
        rows = []
        cold, _ = timed(lambda: grid(cache).fit(corpus.X, corpus.y, groups=corpus.groups))
        rows.append(("first grid", cold, forwards()))
        embedder = Counted(options.model, cache=cache)
        matrices = {
            (layer, pooling): embedder.set_params(layer=layer, pooling=pooling).transform(corpus.X)
            for layer in range(embedder.n_layers + 1)
            for pooling in POOLINGS
        }
        warm, loop = [], []
        for _ in range(options.repeats):
            seconds, search = timed(
                lambda: grid(cache).fit(corpus.X, corpus.y, groups=corpus.groups)
            )
            warm.append(seconds)
            seconds, scores = timed(precomputed)
            loop.append(seconds)
            np.testing.assert_allclose(search.cv_results_["mean_test_score"], scores)
        rows.append(("same grid again", statistics.median(warm), forwards()))
        rows.append(("precomputed matrices", statistics.median(loop), 0))
        if options.nested:
            cache = os.path.join(folder, "nested")
            grid_ = grid(cache).set_params(refit=True)

            def nested():
                scores = []
                for train, test in GroupKFold(5).split(corpus.X, corpus.y, corpus.groups):
                    clips = [corpus.X[i] for i in train]
                    grid_.fit(clips, corpus.y[train], groups=corpus.groups[train])
                    scores.append(grid_.score([corpus.X[i] for i in test], corpus.y[test]))
                return scores

            seconds, _ = timed(nested)
            rows.append(("nested 5×5, cold", seconds, forwards()))
    print(f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores; ", end="")
    print(f"{len(corpus.X)} clips, {len(matrices)} candidates × 5 folds, n_jobs={options.n_jobs}\n")
    print("| run | seconds | ratio to precomputed | forward passes | a clip |")
    print("|---|---:|---:|---:|---:|")
    for name, seconds, passes in rows:
        ratio = seconds / rows[2][1]
        per_clip = passes / len(corpus.X)
        print(f"| {name} | {seconds:.2f} | {ratio:.2f} | {passes} | {per_clip:.3f} |")


if __name__ == "__main__":
    main()
