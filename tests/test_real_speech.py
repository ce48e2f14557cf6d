"""The promises that only real speech and a real pretrained model can show."""

import json
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, GroupKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from transformers import AutoConfig, AutoFeatureExtractor, AutoModel

from sklearn_ser import EGeMAPSEmbedder, MFCCEmbedder, SSLEmbedder
from sklearn_ser._models import find_model
from sklearn_ser.cli import main
from sklearn_ser.datasets import load_emodb
from sklearn_ser.evaluation import compare

pytestmark = pytest.mark.slow
POOLINGS = ["mean", "std", "max"]


class CountedEmbedder(SSLEmbedder):
    """Notes every forward pass in a file beside its records, from any process.

    Its own parameter names the file, as joblib keeps processes with the environment that they
    were started with, and may hand it one of an earlier test.
    """

    def make_extractor(self):
        extractor = super().make_extractor()
        compute = extractor.compute

        def counted(items):
            with open(f"{self.cache}-passes", "ab") as file:
                file.write(b"." * len(items))
            return compute(items)

        extractor.compute = counted
        return extractor


def forward_passes(cache):
    """Return how many forward passes were made since this was last asked."""
    file = Path(f"{cache}-passes")
    n_passes = file.stat().st_size if file.exists() else 0
    file.unlink(missing_ok=True)
    return n_passes


@pytest.fixture(scope="module")
def whisper_base(shared, tmp_path_factory):
    build = shared / "tools" / "build_whisper_base.py"
    if not build.is_file():
        pytest.skip("the script that builds Whisper base is not in ../shared/tools")
    folder = tmp_path_factory.mktemp("models") / "whisper-base"
    done = subprocess.run(
        [sys.executable, str(build), str(folder)], capture_output=True, text=True, check=False
    )
    if done.returncode:
        pytest.skip(f"Whisper base cannot be built here: {done.stderr.splitlines()[-1:]}")
    return str(folder)


def test_nano_beats_handcrafted_features_and_random_weights(emodb, tmp_path):
    """EmoDB, leave one speaker out, C chosen in the training folds."""
    config = AutoConfig.from_pretrained(find_model("nano"))
    torch.manual_seed(0)
    AutoModel.from_config(config, dtype=torch.float32).save_pretrained(tmp_path / "random")
    AutoFeatureExtractor.from_pretrained(find_model("nano")).save_pretrained(tmp_path / "random")
    embedders = {
        "mfcc": MFCCEmbedder(),
        "egemaps": EGeMAPSEmbedder(),
        "nano": SSLEmbedder("nano", layer="all"),
        "random": SSLEmbedder(str(tmp_path / "random"), layer="all"),
    }
    found = compare(load_emodb(emodb), embedders, n_jobs=2).frame
    uar = found.groupby("features")["uar"].max()
    assert uar["nano"] > max(uar["mfcc"], uar["egemaps"])
    assert uar["nano"] >= 0.85
    assert uar["random"] <= uar["nano"] - 0.10


def grid(whisper_base, cache, **arguments):
    pipeline = make_pipeline(
        CountedEmbedder(whisper_base, cache=cache),
        StandardScaler(),
        LogisticRegression(C=0.01, max_iter=1000),
    )
    choices = {"countedembedder__layer": range(7), "countedembedder__pooling": POOLINGS}
    return GridSearchCV(pipeline, choices, cv=GroupKFold(5), **arguments)


class Searched(NamedTuple):
    """What a grid search over the corpus gave, from a store that was empty before it."""

    cache: str
    scores: np.ndarray
    n_passes: int


@pytest.fixture(scope="module")
def searched(emodb, whisper_base, tmp_path_factory):
    cache = str(tmp_path_factory.mktemp("whisper-records"))
    corpus = load_emodb(emodb)
    search = grid(whisper_base, cache).fit(corpus.X, corpus.y, groups=corpus.groups)
    return Searched(cache, search.cv_results_["mean_test_score"], forward_passes(cache))


def test_grid_search_makes_one_forward_pass_per_clip(emodb, whisper_base, searched):
    corpus = load_emodb(emodb)
    assert searched.n_passes == len(corpus.X)

    again = grid(whisper_base, searched.cache).fit(corpus.X, corpus.y, groups=corpus.groups)
    np.testing.assert_array_equal(again.cv_results_["mean_test_score"], searched.scores)

    for train, test in GroupKFold(5).split(corpus.X, corpus.y, corpus.groups):
        inner = grid(whisper_base, searched.cache)
        clips = [corpus.X[i] for i in train]
        inner.fit(clips, corpus.y[train], groups=corpus.groups[train])
        assert inner.score([corpus.X[i] for i in test], corpus.y[test]) > 0.5
    assert forward_passes(searched.cache) == 0


@pytest.mark.parametrize("nested", [False, True])
def test_two_processes_share_the_forward_passes(emodb, whisper_base, tmp_path, nested):
    """A quarter of the corpus, cold; nested, each outer fold searches its own training clips."""
    corpus = load_emodb(emodb)
    chosen = np.flatnonzero(np.arange(len(corpus.X)) % 4 == 0)
    clips = [corpus.X[i] for i in chosen]
    y, groups = corpus.y[chosen], corpus.groups[chosen]
    cache = str(tmp_path / "records")
    search = grid(whisper_base, cache, n_jobs=2)
    if nested:
        for train, test in GroupKFold(5).split(clips, y, groups):
            search.fit([clips[i] for i in train], y[train], groups=groups[train])
            search.score([clips[i] for i in test], y[test])
    else:
        search.fit(clips, y, groups=groups)
    assert len(clips) <= forward_passes(cache) <= 1.05 * len(clips)


def test_compare_on_emodb(emodb, whisper_base, searched, tmp_path):
    """Layer 3 beats the handcrafted features and the last layer, and .92."""
    arguments = ["compare", "--corpus", "emodb", "--data", str(emodb), "--model", whisper_base]
    arguments += ["--features", "mfcc", "egemaps", "ssl", "--layer", "all", "--cv", "loso"]
    arguments += ["--cache", searched.cache, "--out", str(tmp_path), "--quiet", "--jobs", "2"]
    assert main(arguments) == 0
    results = json.loads(Path(tmp_path, "results.json").read_text())
    uar = {(row["features"], row["layer"]): row["uar"] for row in results["rows"]}
    assert results["n_clips"] == 339
    assert results["n_speakers"] == 10
    assert uar["ssl", 3] >= 0.92
    assert uar["ssl", 3] > max(uar["mfcc", None], uar["egemaps", None], uar["ssl", 6])
