"""The documented examples of new feature sets are full citizens."""

import importlib
import json
import os
import re
import subprocess
import sys
import textwrap
from pathlib import Path

import librosa
import numpy as np
import pytest
from sklearn.utils.estimator_checks import parametrize_with_checks

from sklearn_ser import SSLEmbedder, embedders
from sklearn_ser.cli import main
from sklearn_ser.datasets import make_emotional_speech
from sklearn_ser.embedders import BaseEmbedder, FrameLayout, MFCCEmbedder, VectorLayout
from sklearn_ser.evaluation._features import as_embedders, embedder_class
from sklearn_ser.exceptions import ClipError

DOCS = Path(__file__).parents[1] / "docs"
FILE = DOCS / "examples" / "logmel_embedder.py"
LogMelEmbedder = embedder_class(f"{FILE}:LogMelEmbedder")
PraatEmbedder = embedder_class(f"{DOCS}/examples/praat_embedder.py:PraatEmbedder")


def network_embedder():
    """Return the class that the user guide shows, from its text."""
    text = (DOCS / "your_own_features.rst").read_text()
    blocks = re.findall(r"code-block:: python\n\n((?:    .*\n|\n)+)", text)
    (block,) = [block for block in blocks if "class NetworkEmbedder" in block]
    names = {}
    exec(textwrap.dedent(block), names)
    return names["NetworkEmbedder"]


SILENT_ROW = {"check_estimators_dtypes": "one row of its integers is all zeros: a silent clip"}


@pytest.mark.parametrize(
    "file", sorted((DOCS / "examples").glob("*_embedder.py")), ids=lambda f: f.stem
)
def test_it_is_one_short_file_of_public_methods(file):
    text = file.read_text()
    assert len(text.splitlines()) < 80
    assert set(re.findall(r"def (_\w+)|\.(_\w+)", text)) == {("__init__", "")}


@parametrize_with_checks(
    [LogMelEmbedder(n_mels=8, waveform_rate=30)], expected_failed_checks=lambda _: SILENT_ROW
)
def test_scikit_learn_checks(estimator, check):
    check(estimator)


def test_it_uses_the_store(cache_folder):
    corpus = make_emotional_speech(n_speakers=1, n_sentences=1, random_state=0)
    embedded = LogMelEmbedder(pooling="mean").fit_transform(corpus.X)
    (folder,) = cache_folder.glob("logmel-*")
    assert len(list(folder.glob("*/*.npy"))) == len(corpus.X)
    waveform, rate = corpus.X[0]
    mel = librosa.feature.melspectrogram(y=waveform, sr=rate, n_fft=1024, hop_length=160, n_mels=64)
    expected = librosa.power_to_db(mel).mean(axis=1)
    np.testing.assert_allclose(embedded[0], expected, rtol=1e-4)


def test_praat_measures_the_pitch_and_keeps_it(cache_folder):
    times = np.arange(16000) / 16000
    pulses = np.sign(np.sin(2 * np.pi * np.array([[120.0], [210.0]]) * times)) * 0.3
    X = [(pulse.astype(np.float32), 16000) for pulse in pulses]
    embedder = PraatEmbedder()
    embedded = embedder.fit_transform(X)
    np.testing.assert_allclose(embedded[:, 0], [120, 210], rtol=0.01)
    assert embedder.get_feature_names_out()[0] == "pitch_mean"
    (folder,) = cache_folder.glob("praat-*")
    assert len(list(folder.glob("*/*.npy"))) == 2
    np.testing.assert_array_equal(PraatEmbedder(on_error="nan").fit_transform(X), embedded)


def test_what_praat_cannot_measure_is_an_error_of_the_clip():
    noise = np.random.default_rng(0).normal(0, 0.01, 16000).astype(np.float32)
    with pytest.raises(ClipError, match="of its features are NaN"):
        PraatEmbedder(cache=None).fit_transform([(noise, 16000)])


def test_batches_and_layers_of_the_user_guide():
    NetworkEmbedder = network_embedder()
    rng = np.random.default_rng(0)
    X = [(rng.normal(0, 0.1, n).astype(np.float32), 16000) for n in (8000, 16000, 6400, 16000)]
    sizes = []

    class Counted(NetworkEmbedder):
        def compute_batch(self, waveforms):
            sizes.append(len(waveforms))
            assert max(map(len, waveforms)) * len(waveforms) <= 2.5 * 16000
            return super().compute_batch(waveforms)

    together = Counted(layer=1, cache=None, batch_seconds=2.5).fit_transform(X)
    assert sum(sizes) == 4
    assert max(sizes) == 2
    alone = [NetworkEmbedder(layer=1, cache=None).fit_transform([clip])[0] for clip in X]
    np.testing.assert_array_equal(together, alone)
    frames = NetworkEmbedder(layer=0, pooling=None, cache=None).fit_transform(X)
    assert [len(sequence) for sequence in frames] == [25, 50, 20, 50]
    mean = NetworkEmbedder(layer=0, cache=None).fit_transform(X)
    np.testing.assert_allclose(mean, [f.mean(axis=0) for f in frames], rtol=1e-5)


def test_a_grid_over_what_is_selected_computes_nothing(cache_folder):
    NetworkEmbedder, X = network_embedder(), [(np.sin(np.arange(16000.0)), 16000)]

    class Once(NetworkEmbedder):
        n_computed = 0

        def compute_batch(self, waveforms):
            type(self).n_computed += len(waveforms)
            return super().compute_batch(waveforms)

    for layer in (0, 1):
        for pooling in ("mean", "std", ["min", "max"]):
            Once(layer=layer, pooling=pooling).fit_transform(X)
    assert Once.n_computed == 1


@pytest.mark.parametrize(
    ("layout", "computed", "message"),
    [
        (VectorLayout(["a", "b"]), [1.0], "1 values were computed of a clip.*names 2"),
        (VectorLayout(["a"]), [1.0, 2.0], "2 values were computed of a clip.*names 1"),
        (FrameLayout([(0, "g")], ["a"], "mean"), [[1.0]], r"shape \(1, 1\)"),
        (FrameLayout([(1, "g")], ["a"], "mean"), [[[1.0]]], "up to group 1"),
        (FrameLayout([(0, "g")], ["a", "b"], "mean"), [[[1.0]]], "2 dimensions"),
        (FrameLayout([(0, "g")], ["a", "b"], None), [[[1.0]]], "2 dimensions"),
    ],
)
def test_what_does_not_fit_the_layout_is_an_error(layout, computed, message):
    class Wrong(LogMelEmbedder):
        def layout(self):
            return layout

        def compute(self, waveform):
            return computed

    with pytest.raises(ValueError, match=message):
        Wrong(cache=None).fit_transform([(np.sin(np.arange(16000.0)), 16000)])


def test_as_many_results_as_clips():
    class Short(network_embedder()):
        def compute_batch(self, waveforms):
            return super().compute_batch(waveforms)[:-1]

    with pytest.raises(ValueError, match="1 waveforms gave 0 results"):
        Short(cache=None).fit_transform([(np.sin(np.arange(16000.0)), 16000)])


def test_neither_compute_nor_batches_is_an_error():
    class Nothing(LogMelEmbedder):
        compute = BaseEmbedder.compute

    with pytest.raises(TypeError, match="Nothing has to define compute"):
        Nothing(cache=None).fit_transform([(np.sin(np.arange(16000.0)), 16000)])


def test_frames_of_a_speech_model_are_what_transform_selects():
    embedder = SSLEmbedder("nano", layer=[1, 3], pooling=None, cache=None)
    waveform = np.random.default_rng(0).normal(0, 0.1, 12000).astype(np.float32)
    frames = embedder.compute(waveform)
    (selected,) = embedder.fit_transform([(waveform, 16000)])
    np.testing.assert_allclose(np.concatenate(frames[[1, 3]], axis=1), selected, atol=1e-5)


@pytest.mark.slow
def test_command_line_takes_it(tmp_path, monkeypatch):
    small = make_emotional_speech(n_speakers=4, n_sentences=1, random_state=0)
    monkeypatch.setattr("sklearn_ser.datasets.make_emotional_speech", lambda **_: small)
    arguments = ["compare", "--features", "mfcc", f"{FILE}:LogMelEmbedder", "--quiet"]
    assert main([*arguments, "--classifier", "lda", "--out", str(tmp_path)]) == 0
    rows = json.loads((tmp_path / "results.json").read_text())["rows"]
    assert [row["features"] for row in rows] == ["mfcc", "logmel"]


def test_an_export_is_all_it_takes_to_have_a_name(monkeypatch):
    monkeypatch.setattr(embedders, "LogMelEmbedder", LogMelEmbedder, raising=False)
    monkeypatch.setattr(embedders, "__all__", [*embedders.__all__, "LogMelEmbedder"])
    assert isinstance(as_embedders(["logmel"])["logmel"], LogMelEmbedder)
    with pytest.raises(ValueError, match="logmel"):
        as_embedders(["unknown"])


OWN_BASE = """
from sklearn_ser.embedders import MFCCEmbedder
class Base(MFCCEmbedder):
    factor = {factor}
    def compute(self, waveform):
        return super().compute(waveform) * self.factor
"""
OWN_CLASS = """
{before}
{base}
class Edited(Base):
    short_name = "edited"
    def compute(self, waveform):
        print("computed")
        return super().compute(waveform) * {factor}
"""
EMBED = """
import numpy as np
row = Edited(cache={cache!r}).fit_transform([(np.sin(np.arange(16000.0)), 16000)])
print(row[0, 0])
"""
# Where the code of a class, or of its base, is written: files, and a notebook, which is none.
PLACES = {
    "file of the class": ("file", "class"),
    "file of a base": ("file", "base"),
    "notebook": ("notebook", "class"),
    "notebook, a base": ("notebook", "base"),
}


def run_own(place, folder, factor=1, factor_of_base=1, before=""):
    """Embed a clip in a new process; return whether it was computed, and its first value."""
    base = OWN_BASE.format(factor=factor_of_base)
    embed = EMBED.format(cache=str(folder / "records"))
    if place == "file":
        (folder / "own_base.py").write_text(base)
        text = OWN_CLASS.format(base="from own_base import Base", factor=factor, before=before)
        (folder / "own_class.py").write_text(text)
        script = f"from own_class import Edited\n{embed}"
    else:
        script = OWN_CLASS.format(base=base, factor=factor, before=before) + embed
    done = subprocess.run(
        [sys.executable, "-c", script],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(folder), *sys.path])},
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    *computed, value = done.stdout.split()
    return bool(computed), float(value)


@pytest.mark.one_in(2)
@pytest.mark.parametrize(
    "place",
    ["file of the class", "notebook, a base"]
    + [pytest.param(name, marks=pytest.mark.slow) for name in ("file of a base", "notebook")],
)
def test_records_of_code_that_was_changed_are_not_served(place, tmp_path):
    kind, part = PLACES[place]
    computed, value = run_own(kind, tmp_path)
    assert computed
    assert run_own(kind, tmp_path) == (False, value)
    changed = {"factor": 2} if part == "class" else {"factor_of_base": 2}
    computed, of_changed = run_own(kind, tmp_path, **changed)
    assert computed
    assert of_changed == pytest.approx(2 * value)
    assert run_own(kind, tmp_path) == (False, value)


def test_a_reloaded_module_has_records_of_its_own(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    clip = [(np.sin(np.arange(16000.0)), 16000)]
    rows = []
    for factor in (1, 2):
        (tmp_path / "own_base.py").write_text(OWN_BASE.format(factor=factor))
        importlib.invalidate_caches()
        module = importlib.reload(importlib.import_module("own_base"))
        rows += [module.Base(cache=str(tmp_path / "records")).fit_transform(clip)]
    np.testing.assert_allclose(rows[1], 2 * rows[0])


def test_records_of_this_package_are_not_named_by_its_files(tmp_path):
    for embedder in (MFCCEmbedder(cache=str(tmp_path)), SSLEmbedder("nano", cache=str(tmp_path))):
        assert "source" not in embedder.records().settings
