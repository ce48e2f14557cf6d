"""From `transform` to a row: how many modules and functions of ours it takes, and which call which.

The picture of it is docs/how_a_clip_becomes_a_row.rst.
"""

import importlib
import re
import sys
import threading
from collections import defaultdict
from pathlib import Path

import pytest

import sklearn_ser
from sklearn_ser import EGeMAPSEmbedder, MFCCEmbedder, SSLEmbedder

PACKAGE = Path(sklearn_ser.__file__).parent
PICTURE = PACKAGE.parent / "docs" / "how_a_clip_becomes_a_row.rst"
# With a loaded model: the first transform of some files, and the same again, from the store. The
# aim is 14 modules and about 80 functions; these numbers may only shrink.
MAX_COMPUTED = (30, 160)
MAX_STORED = (14, 53)
LOWER_ROOMS = ("_audio", "_store", "_models", "_extraction")
# What the extension contract has the extraction call: methods of an embedder, of its layout, and
# of an extractor that it made.
CONTRACT = {"compute", "compute_batch", "make_record", "prepare", "function"}
COMPREHENSIONS = re.compile(r"<(listcomp|genexpr|dictcomp|setcomp|lambda)>")


class Trace:
    """Functions of ours that ran, by module, and calls from one room into another."""

    def __init__(self):
        self.functions, self.calls = defaultdict(set), set()

    def _note(self, frame, event, arg):
        code = frame.f_code
        if event != "call" or not code.co_filename.startswith(str(PACKAGE)):
            return
        module = Path(code.co_filename).relative_to(PACKAGE).as_posix()
        if not COMPREHENSIONS.search(code.co_qualname):
            self.functions[module].add(code.co_qualname)
        caller = frame.f_back
        while caller and not caller.f_code.co_filename.startswith(str(PACKAGE)):
            caller = caller.f_back
        if caller:
            path = Path(caller.f_code.co_filename).relative_to(PACKAGE)
            self.calls.add((path.parts[0], module.split("/")[0], code.co_name))

    def __enter__(self):
        threading.setprofile(self._note)
        sys.setprofile(self._note)
        return self

    def __exit__(self, *exception):
        sys.setprofile(None)
        threading.setprofile(None)

    @property
    def size(self):
        return len(self.functions), sum(map(len, self.functions.values()))


@pytest.fixture
def files(tmp_path):
    import soundfile

    from sklearn_ser.datasets import make_emotional_speech

    corpus = make_emotional_speech(n_speakers=2, n_sentences=1, random_state=0)
    paths = [str(tmp_path / f"{i}.wav") for i in range(6)]
    for path, (waveform, rate) in zip(paths, corpus.X[:6], strict=True):
        soundfile.write(path, waveform, rate)
    return paths


def traced(embedder, files):
    embedder.fit(files)
    with Trace() as trace:
        embedder.transform(files)
    return trace


def describe(trace):
    return "\n".join(f"{module} {sorted(names)}" for module, names in trace.functions.items())


def test_few_modules_and_functions_stand_between_transform_and_a_row(files, tmp_path, monkeypatch):
    # Files this young are read again for their digest.
    monkeypatch.setattr("sklearn_ser._utils._files.SETTLED_NS", 0)
    embedder = SSLEmbedder(
        "nano", layer="all", pooling=["mean", "std"], cache=tmp_path / "store"
    ).fit(files)
    embedder.min_samples()  # loads the model
    computed, stored = traced(embedder, files), traced(embedder, files)
    print(computed.size, stored.size)
    assert computed.functions["_models/_speech_model.py"]
    assert computed.size <= MAX_COMPUTED, describe(computed)
    assert computed.size[1] <= MAX_COMPUTED[1], describe(computed)
    assert "_models/_speech_model.py" not in stored.functions
    assert stored.size <= MAX_STORED, describe(stored)
    assert stored.size[1] <= MAX_STORED[1], describe(stored)


@pytest.mark.parametrize(
    "embedder",
    [
        SSLEmbedder("nano"),
        SSLEmbedder("nano", pooling=None, layer=[1, 2]),
        SSLEmbedder("nano", batch_seconds=10.0),
        MFCCEmbedder(),
        EGeMAPSEmbedder(),
    ],
    ids=["ssl", "ssl frames", "ssl batches", "mfcc", "egemaps"],
)
def test_no_lower_room_calls_an_embedder_but_by_the_extension_contract(embedder, files, tmp_path):
    embedder.set_params(cache=tmp_path / "store")
    trace = traced(embedder, files)
    assert trace.functions["_extraction/_extract.py"]
    upwards = {
        name
        for caller, called, name in trace.calls
        if caller in LOWER_ROOMS and called == "embedders"
    }
    helpers = {name for name in upwards if name.startswith(("_", "<"))}  # of contract's methods
    assert upwards - helpers <= CONTRACT
    if isinstance(embedder, SSLEmbedder):
        assert upwards == set()


def names_in_the_picture():
    """Return each ``name`` of code in the picture, and where it is to be found."""
    text = PICTURE.read_text(encoding="utf-8")
    return sorted(set(re.findall(r"\b((?:embedders|_[a-z]+)/_[a-z]+\.py)::([\w.]+)", text)))


def test_the_picture_shows_the_whole_way(files, tmp_path):
    embedder = SSLEmbedder("nano", cache=tmp_path / "store").fit(files)
    trace = traced(embedder, files)
    names = names_in_the_picture()
    assert len(names) > 15
    for module, name in names:
        found = importlib.import_module("sklearn_ser." + module[:-3].replace("/", "."))
        for part in name.split("."):
            found = getattr(found, part)
        assert callable(found)
        runs = trace.functions[module] & {name, f"{name}.__init__"}
        assert runs, f"{module}::{name} does not run"
    rooms = {module.split("/")[0] for module in trace.functions}
    assert rooms - {"_utils", "_signals.py"} == {module.split("/")[0] for module, _ in names}
