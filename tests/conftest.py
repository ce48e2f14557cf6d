"""Signals and folders that every test may use."""

import os
import random
import sys
import zlib
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

if "PYTEST_XDIST_WORKER" in os.environ:
    # Each worker has a core; threads of several that share it would wait for each other. It has
    # to be set before NumPy and torch are imported.
    os.environ.setdefault("OMP_NUM_THREADS", "1")

import joblib
import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest

from sklearn_ser import MFCCEmbedder

# Tests write modules, import them, and change them within the second that bytecode is dated by.
sys.dont_write_bytecode = True
os.environ["PYTHONDONTWRITEBYTECODE"] = "1"

Speech = Callable[..., npt.NDArray[np.float32]]


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    """Mark as slow all but each n-th variant of a test that is marked ``one_in(n)``."""
    variants = defaultdict(list)
    for item in items:
        if (mark := item.get_closest_marker("one_in")) and not item.get_closest_marker("slow"):
            variants[item.module.__name__, item.originalname, mark.args[0]].append(item)
    for (*_, n), found in variants.items():
        found.sort(key=lambda item: tuple(item.callspec.indices.values()))
        for k, item in enumerate(found):
            if k % n:
                item.add_marker(pytest.mark.slow)


def pytest_configure(config):
    """Leave the seeds to what follows: pytest-randomly orders the tests, and no more."""
    config.option.randomly_reset_seed = False


@pytest.hookimpl(wrapper=True)
def pytest_fixture_setup(fixturedef, request):
    """Let a fixture draw the same numbers in every run, whatever ran before."""
    _seed(f"{fixturedef.baseid} {fixturedef.argname} {request.param_index}")
    return (yield)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item):
    """Let a test draw the same numbers in every run, whatever ran before."""
    _seed(item.nodeid)
    return (yield)


def _seed(name):
    seed = zlib.crc32(name.encode())
    random.seed(seed)
    np.random.seed(seed)  # noqa: NPY002
    if "torch" in sys.modules:
        sys.modules["torch"].manual_seed(seed)


@pytest.fixture(autouse=True)
def cache_folder(tmp_path_factory, monkeypatch):
    """Keep every test's records apart from each other and from the user's own."""
    folder = tmp_path_factory.mktemp("records")
    monkeypatch.setenv("SKLEARN_SER_CACHE", str(folder))
    monkeypatch.setenv("SKLEARN_SER_DATA", str(folder / "data"))
    return folder


@pytest.fixture(autouse=True)
def close_figures():
    """Close the figures that a test leaves open, as a notebook does."""
    yield
    if "matplotlib.pyplot" in sys.modules:
        sys.modules["matplotlib.pyplot"].close("all")


@pytest.fixture(scope="module", autouse=True)
def forget_modules_of_tests(tmp_path_factory):
    """Forget the modules that tests write and import, which other tests write under those names.

    A worker may run some tests of a file, those of another, and then the rest of the first, with
    folders of its own each time.
    """
    paths = list(sys.path)
    yield
    sys.path[:] = paths
    folder = str(tmp_path_factory.getbasetemp())
    for name, module in list(sys.modules.items()):
        if (getattr(module, "__file__", None) or "").startswith(folder):
            del sys.modules[name]


@pytest.fixture(autouse=True)
def one_fit_at_once():
    """Fit in this process, where tests can look on; by default all cores would be used."""
    with joblib.parallel_config(n_jobs=1):
        yield


@pytest.fixture(scope="session")
def speech() -> Speech:
    """Return a function that makes speech-like waveforms: voiced syllables in a little noise."""

    def make(seed: int = 0, seconds: float = 0.4, rate: float = 16000) -> npt.NDArray[np.float32]:
        rng = np.random.default_rng(seed)
        time = np.arange(round(seconds * rate)) / rate
        pitch = rng.uniform(90, 250) * (1 + 0.1 * np.sin(2 * np.pi * rng.uniform(1, 3) * time))
        phase = 2 * np.pi * np.cumsum(pitch) / rate
        voice = sum(rng.uniform(0.3, 1) / k * np.sin(k * phase) for k in range(1, 12))
        syllables = 0.6 + 0.4 * np.sin(2 * np.pi * rng.uniform(3, 6) * time)
        waveform = 0.2 * syllables * voice + 0.01 * rng.standard_normal(len(time))
        return np.clip(waveform, -0.95, 0.95).astype(np.float32)

    return make


@pytest.fixture
def counting_mfcc() -> type[MFCCEmbedder]:
    """Return an MFCCEmbedder that counts its extractions in ``n_extractions``."""

    class CountingMFCC(MFCCEmbedder):
        n_extractions = 0

        def compute(self, waveform):
            type(self).n_extractions += 1
            return super().compute(waveform)

    return CountingMFCC


@pytest.fixture(scope="session")
def shared():
    """Return the folder of real speech and models beside the project, or skip."""
    folder = Path(__file__).parents[2] / "shared"
    if not folder.is_dir():
        pytest.skip("real speech is not in ../shared")
    return folder


@pytest.fixture(scope="session")
def emodb(shared):
    """Return the folder of real EmoDB clips, or skip."""
    folder = shared / "corpora" / "emodb"
    if not folder.is_dir():
        pytest.skip("EmoDB is not in ../shared/corpora")
    return folder


EMOTIONS = ["anger", "happiness", "neutral", "sadness"]


@pytest.fixture(scope="session")
def make_comparison():
    """Return a function that makes a comparison of random predictions, of any names and skill."""
    from dataclasses import fields

    from sklearn.metrics import accuracy_score, balanced_accuracy_score, f1_score

    from sklearn_ser.evaluation import Comparison, Nested, Row, speaker_interval
    from sklearn_ser.evaluation._differences import differences_to_best

    def make(
        skills, *, n_speakers=6, emotions=EMOTIONS, corpus="corpus", seed=0, without=(), **more
    ):
        """`skills`: of each (features, layer), the share of clips that are recognised.

        Of the features in `without`, there are no probabilities.
        """
        rng = np.random.default_rng(seed)
        emotion = np.tile(np.repeat(emotions, 5), n_speakers)
        speaker = np.repeat([f"s{k:02d}" for k in range(n_speakers)], 5 * len(emotions))
        folds = np.repeat(np.arange(n_speakers), 5 * len(emotions))
        tested = {"fold": folds, "clip": np.arange(len(folds)), "speaker": speaker}
        of_row, rows = [], []
        for position, ((features, layer), skill) in enumerate(skills.items()):
            right = rng.random(len(folds)) < skill
            predicted = np.where(right, emotion, rng.choice(emotions, len(folds)))
            lines = pd.DataFrame({"row": position, **tested, "emotion": emotion})
            confidence = rng.uniform(1 / len(emotions), 1, len(folds))
            if features in without:
                confidence[:] = np.nan
            of_row.append(lines.assign(predicted=predicted, confidence=confidence))
            of_fold = [lines for _, lines in of_row[-1].groupby("fold")]
            scored = {
                name: [score(lines["emotion"], lines["predicted"], **how) for lines in of_fold]
                for name, score, how in (
                    ("uar", balanced_accuracy_score, {}),
                    ("accuracy", accuracy_score, {}),
                    ("macro_f1", f1_score, {"average": "macro"}),
                )
            }
            interval = speaker_interval(emotion, predicted, speaker, folds=folds)
            rows.append(
                {
                    **dict.fromkeys(field.name for field in fields(Row)),
                    "features": features,
                    "layer": layer,
                    "classifier": "logistic",
                    "train": corpus,
                    "test": corpus,
                    "n_test": len(folds),
                    "uar_ci": None if interval is None else [float(end) for end in interval],
                    "averaging": "mean over folds",
                    "fold_uar": scored["uar"],
                    "embedder": {},
                    "seconds_extract": 0.5,
                    "seconds_fit": 1.5,
                    **{name: float(np.mean(values)) for name, values in scored.items()},
                }
            )
        uars = [row["uar"] for row in rows]
        found = differences_to_best(of_row, uars, pooled=[False] * len(of_row))
        rows = [Row(**{**row, **to_best}) for row, to_best in zip(rows, found, strict=True)]
        nested = [
            Nested.of_rows(rows, [position] * n_speakers, vars(row) | {"layers": None})
            for position, row in enumerate(rows)
            if row.layer == 1
        ]
        known = {
            **dict.fromkeys(field.name for field in fields(Comparison)),
            "corpus": corpus,
            "n_clips": len(folds),
            "n_clips_left_out": 0,
            "clips_left_out": [],
            "n_speakers": n_speakers,
            "emotions": emotions,
            "emotions_not_tested": [],
            "chance": 1 / len(emotions),
            "cv": "loso",
            "n_folds": n_speakers,
            "classifier": "logistic",
            "classifier_parameters": {},
            "audit": {
                "speaker_independent": True,
                "shares_audio": False,
                "verdict": "Speaker-independent.",
            },
            "versions": {"python": "3"},
            "published": [],
            "published_note": "",
            "rows": rows,
            "nested": nested,
            "predictions": pd.concat(of_row, ignore_index=True),
        }
        return Comparison(**{**known, **more})

    return make
