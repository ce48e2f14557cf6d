"""Signals and folders that every test may use."""

import os
from collections.abc import Callable
from pathlib import Path

if "PYTEST_XDIST_WORKER" in os.environ:
    # Each worker has a core; threads of several that share it would wait for each other. It has
    # to be set before NumPy and torch are imported.
    os.environ.setdefault("OMP_NUM_THREADS", "1")

import joblib
import numpy as np
import numpy.typing as npt
import pytest

from sklearn_ser import MFCCEmbedder

Speech = Callable[..., npt.NDArray[np.float32]]


@pytest.fixture(autouse=True)
def cache_folder(tmp_path_factory, monkeypatch):
    """Keep every test's records apart from each other and from the user's own."""
    folder = tmp_path_factory.mktemp("records")
    monkeypatch.setenv("SKLEARN_SER_CACHE", str(folder))
    return folder


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
