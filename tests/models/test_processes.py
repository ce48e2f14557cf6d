"""Models in several processes of one machine: the same bits, and no fork that hangs."""

import os
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


FORKED = """
import os, signal, sys
import numpy as np, torch
from sklearn_ser import SSLEmbedder
from sklearn_ser.classifiers import MLPHead

rng = np.random.default_rng(0)
X, y = rng.standard_normal((40, 2000), dtype="f4"), np.repeat(["a", "b"], 20)
clips = [(rng.standard_normal(16000, dtype="f4") * 0.1, 16000)]

torch.set_num_threads(2)
embedder = SSLEmbedder("nano", cache=None)
classifier = MLPHead(max_epochs=1).fit(X, y, groups=np.tile(np.arange(10), 4))
run = {"embed": lambda: embedder.fit_transform(clips), "predict": lambda: classifier.predict(X)}
run = run[sys.argv[1]]
run()
for n_threads in (2, 1):
    sys.stdout.flush()
    if not (child := os.fork()):
        signal.alarm(30)  # ends it if it hangs
        if n_threads == 1:
            torch.set_num_threads(1)
        try:
            run()
            print("it ran")
        except RuntimeError as error:
            print(error)
        sys.stdout.flush()
        os._exit(0)
    os.waitpid(child, 0)
"""


@pytest.mark.one_in(2)
@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")
@pytest.mark.parametrize("what", ["embed", "predict"])
def test_a_model_after_a_fork_says_what_to_do_instead_of_waiting_for_ever(what):
    command = [sys.executable, "-W", "ignore", "-c", FORKED, what]
    done = subprocess.run(command, capture_output=True, text=True, timeout=170, check=True)
    refused, with_one_thread = done.stdout.splitlines()
    assert all(word in refused for word in ("forked", "spawn", "forkserver", "loky"))
    assert with_one_thread == "it ran"
