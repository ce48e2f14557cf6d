"""Embeddings are the same to the bit from process to process on one machine."""

import subprocess
import sys

import pytest

PROGRAM = """
import hashlib, sys
import numpy as np
from sklearn_ser import SSLEmbedder

noise = np.random.default_rng(0)
X = [(noise.standard_normal(n, dtype="f4") * 0.1, 16000) for n in noise.integers(4000, 48000, 9)]
for model in sys.argv[1:]:
    for batch_seconds in ("auto", 4.0):
        embedder = SSLEmbedder(model, "all", ["mean", "std", "median"], cache=None,
                               batch_seconds=batch_seconds)
        print(hashlib.sha256(embedder.fit_transform(X).tobytes()).hexdigest())
"""


@pytest.mark.slow
def test_every_process_gives_the_same_bits(tiny_model, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    command = [sys.executable, "-c", PROGRAM, "nano", tiny_model("wav2vec2-base")]
    running = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(3)]
    printed = [process.communicate()[0].split() for process in running]
    assert [process.returncode for process in running] == [0, 0, 0]
    assert len(printed[0]) == 4
    assert printed[0] == printed[1] == printed[2]
