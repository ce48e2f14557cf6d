"""A run over many files gives what it gives without the bad ones, and names those."""

import io
import os
import struct
import sys

import numpy as np
import pandas as pd
import pytest
import soundfile

from sklearn_ser import MFCCEmbedder
from sklearn_ser.audit import find_duplicates
from sklearn_ser.cli import main
from sklearn_ser.datasets import make_emotional_speech
from sklearn_ser.exceptions import ClipWarning
from sklearn_ser.recognition import EmotionRecognizer, save_recognizer

RATE = 16000


def encode(waveform, format, subtype=None):
    file = io.BytesIO()
    soundfile.write(file, waveform, RATE, format=format, subtype=subtype)
    return file.getvalue()


def flac_that_promises(waveform, total):
    content = encode(waveform, "FLAC")
    return content[:21] + bytes([0xF0 | total >> 32]) + struct.pack(">I", total & 0xFFFFFFFF)


BAD = {
    "empty.wav": lambda w: b"",
    "text.wav": lambda w: b"not a sound",
    "cut.wav": lambda w: encode(w, "WAV")[:3000],
    "cut.mp3": lambda w: encode(w, "MP3")[:2000],
    "promises.flac": lambda w: flac_that_promises(w, 2**36 - 1),
    "unknown codec.wav": lambda w: encode(w, "WAV").replace(b"\1\0\1\0", b"\x70\2\1\0", 1),
    "cancels.wav": lambda w: encode(np.column_stack([w, -w]), "WAV"),
    "silent.wav": lambda w: encode(w * 0, "WAV"),
    "nan.wav": lambda w: encode(np.where(w > 0.1, np.nan, w), "WAV", "FLOAT"),
    "[red]markup[-red].wav": lambda w: b"",
}


@pytest.fixture(scope="module")
def corpus():
    return make_emotional_speech(n_speakers=4, n_sentences=2, random_state=0)


@pytest.fixture(scope="module")
def recognizer(corpus):
    embedder = MFCCEmbedder(cache=None)
    return EmotionRecognizer(embedder, "lda").fit(corpus.X, corpus.y, corpus.groups)


@pytest.fixture
def folder(tmp_path, corpus):
    """Return a folder where good files of several formats stand between bad ones."""
    folder = tmp_path / "clips"
    folder.mkdir()
    for i, (name, make) in enumerate(BAD.items()):
        waveform = corpus.X[i][0]
        (folder / f"{2 * i + 1:02} {name}").write_bytes(make(waveform))
        format, subtype = [("WAV", "GSM610"), ("FLAC", None), ("MP3", None)][i % 3]
        content = encode(waveform, format, subtype)
        (folder / f"{2 * i:02} good.{format.lower()}").write_bytes(content)
    (folder / "98 link.wav").symlink_to("../.git/annex/objects/a/b/c.wav")
    if sys.platform == "linux":
        with open(os.path.join(os.fsencode(folder), b"99 \xe4.wav"), "wb") as file:
            file.write(b"no sound either")
    return folder


def paths_of(folder):
    return sorted(map(str, folder.iterdir()))


def are_good(paths):
    return ["good" in path for path in paths]


def test_transform(folder):
    paths = paths_of(folder)
    embedder = MFCCEmbedder(on_error="warn", cache=None)
    with pytest.warns(ClipWarning) as caught:
        embedded = embedder.fit_transform(paths)
    good = are_good(paths)
    assert np.isfinite(embedded).all(axis=1).tolist() == good
    assert len(caught) == len(paths) - sum(good)
    alone = embedder.transform([path for path in paths if "good" in path])
    np.testing.assert_allclose(embedded[good], alone, rtol=1e-5, atol=1e-4)


@pytest.mark.parametrize("window", ["auto", None, 0.5])
def test_recognize(window, recognizer, folder):
    paths = paths_of(folder)
    rows = recognizer.recognize(paths, window=window, abstain=None)
    of_file = rows.groupby("recording", sort=False)["emotion"]
    assert of_file.ngroups == len(paths)
    assert of_file.apply(lambda emotions: emotions.notna().all()).tolist() == are_good(paths)
    assert (rows["note"] != "").tolist() == rows["emotion"].isna().tolist()


@pytest.mark.parametrize("out", [None, "rows.csv", "rows.json", "rows.jsonl"])
def test_predict(out, recognizer, folder, tmp_path, capsys):
    model = tmp_path / "model.skops"
    save_recognizer(recognizer, model)
    arguments = ["predict", str(model), str(folder), "--abstain", "never", "--quiet"]
    arguments += [] if out is None else ["--out", str(tmp_path / out)]
    assert main(arguments) == 1
    printed = capsys.readouterr()
    assert len(printed.err.splitlines()) == len(paths_of(folder)) - len(BAD)
    if out == "rows.csv":
        good = pd.read_csv(tmp_path / out)["emotion"].notna()
        assert good.sum() == len(BAD)
    if out is None:
        assert "[red]mar" in printed.out


def test_embed(folder, tmp_path):
    out = tmp_path / "features.csv"
    arguments = ["embed", str(folder), "--features", "mfcc", "--cache", "none", "--quiet"]
    assert main([*arguments, "--on-error", "nan", "--out", str(out)]) == 0
    rows = pd.read_csv(out)
    assert rows.iloc[:, 1:].notna().all(axis=1).tolist() == are_good(rows["clip"])
    assert len(rows) == len(paths_of(folder))


def test_find_duplicates(folder, corpus):
    paths = paths_of(folder)
    with pytest.warns(ClipWarning) as caught:
        pairs = find_duplicates([*paths, corpus.X[1]], on_error="warn")
    assert len(caught) == len(paths) - len(BAD) - 1  # silence is no error here
    found = set(zip(pairs["clip"], pairs["other"], strict=True))
    assert found == {(paths.index(str(folder / "02 good.flac")), len(paths))}
