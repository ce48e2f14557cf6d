"""Folders of models by someone else: no code in them is run, no size in them is believed."""

import json
import pickle
import struct
import time
from pathlib import Path

import pytest
import torch

from sklearn_ser import SSLEmbedder

WEIGHTS = "model.safetensors"


class Runs:
    """What a pickle would run."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


def pickled(folder, mark):
    (folder / WEIGHTS).unlink()
    (folder / "pytorch_model.bin").write_bytes(pickle.dumps({"weight": Runs(mark)}))


def torch_pickled(folder, mark):
    (folder / WEIGHTS).unlink()
    torch.save({"weight": Runs(mark)}, folder / "pytorch_model.bin")


def other_code(name, entry):
    def change(folder, mark):
        path = folder / name
        settings = json.loads(path.read_text())
        settings["auto_map"] = {entry: "other.Other"}
        path.write_text(json.dumps(settings))
        (folder / "other.py").write_text(f"open({str(mark)!r}, 'w')\nclass Other: pass\n")

    return change


def configured(**settings):
    def change(folder, mark):
        path = folder / "config.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | settings))

    return change


def header(header):
    """Put a header of safetensors before the bytes of the weights."""

    def change(folder, mark):
        content = (folder / WEIGHTS).read_bytes()
        (folder / WEIGHTS).write_bytes(header() + content[:1000])

    return change


def of_many_values():
    """Return a header that promises 10^12 values."""
    text = json.dumps(
        {"weight": {"dtype": "F32", "shape": [10**6, 10**6], "data_offsets": [0, 4 * 10**12]}}
    ).encode()
    return struct.pack("<Q", len(text)) + text


HOSTILE = {
    "a pickle that runs code": pickled,
    "a file of torch that runs code": torch_pickled,
    "layers of 10^9 dimensions": configured(hidden_size=10**9),
    "10^9 layers": configured(num_hidden_layers=10**9),
    "a kernel of 10^9 samples": configured(conv_kernel=[10**9] * 7),
    "a header of 2^62 bytes": header(lambda: struct.pack("<Q", 2**62)),
    "weights of 10^12 values": header(of_many_values),
    "a configuration that is no object": lambda folder, mark: (folder / "config.json").write_text(
        "[]"
    ),
    "a configuration of 6,000,000 brackets": lambda folder, mark: (
        folder / "config.json"
    ).write_text("[" * 6_000_000),
}
IGNORED = {
    "code of a model": other_code("config.json", "AutoModel"),
    "code of a configuration": other_code("config.json", "AutoConfig"),
    "code of a feature extractor": other_code("preprocessor_config.json", "AutoFeatureExtractor"),
}


def peak_mebibytes():
    (line,) = [x for x in Path("/proc/self/status").read_text().splitlines() if "VmHWM" in x]
    return int(line.split()[1]) / 1024


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_folder_is_refused_at_once(name, build_model, clips, tmp_path):
    folder, mark = build_model(), tmp_path / "ran"
    SSLEmbedder(str(folder), cache=None).fit_transform(clips)  # imports
    HOSTILE[name](folder, mark)
    clear = Path("/proc/self/clear_refs")
    if clear.exists():
        clear.write_text("5")  # the peak from here on
        before = peak_mebibytes()
    start = time.process_time()
    with pytest.raises(OSError, match=str(folder)) as caught:
        SSLEmbedder(str(folder), cache=None).fit_transform(clips)
    assert type(caught.value) is OSError
    assert time.process_time() - start < 2
    if clear.exists():
        assert peak_mebibytes() - before < 200
    assert not mark.exists()


@pytest.mark.parametrize("name", IGNORED)
def test_code_in_the_folder_of_a_known_model_is_not_run(name, build_model, clips, tmp_path):
    folder, mark = build_model(), tmp_path / "ran"
    expected = SSLEmbedder(str(folder), cache=None).fit_transform(clips)
    IGNORED[name](folder, mark)
    found = SSLEmbedder(str(folder), cache=None).fit_transform(clips)
    assert (found == expected).all()
    assert not mark.exists()
