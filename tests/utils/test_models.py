"""What models are loaded by: once, on a device that is there."""

import threading
import time

import numpy as np
import pytest

from sklearn_ser import SSLEmbedder
from sklearn_ser._utils import find_device, once
from sklearn_ser.classifiers import MLPHead, SequenceClassifier

DEVICES = {"gpu": "is not a device of torch", "cuda:99": r"torch finds \d+ GPUs here"}


@pytest.mark.parametrize(("device", "message"), DEVICES.items())
def test_a_device_that_is_not_there_is_an_error_that_says_so(device, message):
    assert find_device("cpu") == "cpu"
    rng = np.random.default_rng(0)
    y, groups = ["a", "b"] * 8, list("sstt") * 4
    clips = [(rng.standard_normal(8000).astype("f4") / 9, 16000)] * 16
    sequences = [rng.standard_normal((5, 3)) for _ in y]
    for work in (
        lambda: find_device(device),
        lambda: SSLEmbedder("nano", device=device, cache=None).fit_transform(clips),
        lambda: MLPHead(device=device).fit(rng.standard_normal((16, 3)), y, groups),
        lambda: SequenceClassifier(device=device).fit(sequences, y, groups),
    ):
        with pytest.raises(ValueError, match=f"device='{device}'.*{message}"):
            work()


def test_threads_that_ask_at_once_get_one_result():
    made = []

    @once(maxsize=2)
    def make(name):
        time.sleep(0.05)
        made.append(name)
        return [name]

    found = []
    threads = [threading.Thread(target=lambda: found.append(make("model"))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert made == ["model"]
    assert all(one is found[0] for one in found)
    make("second"), make("third"), make("second"), make("model")
    assert made == ["model", "second", "third", "model"]
