from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
import pytest

from sklearn_ser.datasets import load_emodb, load_folder, load_table


@pytest.fixture
def touch(tmp_path):
    """Return a function that makes empty files below a folder; loaders read names only."""

    def make(*names):
        for name in names:
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
        return tmp_path

    return make


@pytest.mark.parametrize("place", ["wav/", ""])
def test_emodb_names_are_decoded(touch, place):
    names = ["03a01Fa.wav", "08b10Wd.wav", "16a02N.wav", "14a07Lc.wav", "11b01Eb.wav"]
    root = touch(*(place + name for name in [*names, "12a05Ad.wav", "15b03Ta.wav", "readme.wav"]))
    corpus = load_emodb(root)
    assert dict(zip((Path(p).name for p in corpus.X), corpus.y, strict=True)) == {
        "03a01Fa.wav": "happiness",
        "08b10Wd.wav": "anger",
        "16a02N.wav": "neutral",
        "14a07Lc.wav": "boredom",
        "11b01Eb.wav": "disgust",
        "12a05Ad.wav": "fear",
        "15b03Ta.wav": "sadness",
    }
    assert corpus.groups.tolist() == ["03", "08", "11", "12", "14", "15", "16"]
    gender = dict(zip(corpus.frame["speaker"], corpus.frame["gender"], strict=True))
    assert [speaker for speaker in gender if gender[speaker] == "male"] == ["03", "11", "12", "15"]
    assert corpus.frame.loc[0, ["sentence", "code", "version"]].tolist() == ["a01", "F", "a"]
    assert "7 clips by 7 speakers" in corpus.DESCR


def test_real_emodb(emodb):
    corpus = load_emodb(emodb)
    counts = dict(zip(*np.unique(corpus.y, return_counts=True), strict=True))
    assert counts == {"anger": 127, "happiness": 71, "neutral": 79, "sadness": 62}
    assert len(np.unique(corpus.groups)) == 10


def test_wrong_emodb_folder_says_what_it_looked_for(touch):
    root = touch("wav/other.wav")
    with pytest.raises(FileNotFoundError, match=r"looked for .*wav.*03a01Fa\.wav"):
        load_emodb(root)
    with pytest.raises(FileNotFoundError, match=r"no such folder: .*nowhere"):
        load_emodb(root / "nowhere")


def test_folder_of_emotions(touch):
    root = touch("angry/a_1.wav", "angry/deep/b_2.FLAC", "sad/a_3.mp3", "sad/notes.txt", "x.wav")
    corpus = load_folder(root, speaker=r"([ab])_\d")
    assert corpus.y.tolist() == ["angry", "angry", "sad"]
    assert corpus.groups.tolist() == ["a", "b", "a"]
    assert load_folder(root).groups is None


def test_folder_without_clips_or_speaker(touch):
    root = touch("angry/a_1.wav")
    with pytest.raises(ValueError, match=r"speaker='z' finds nothing in 'a_1.wav'"):
        load_folder(root, speaker="z")
    with pytest.raises(FileNotFoundError, match="looked for one folder an emotion"):
        load_folder(root / "angry")


@pytest.mark.parametrize("kind", ["csv", "pandas", "polars"])
def test_table(tmp_path, kind):
    columns = {"file": ["x/1.wav", "/abs/2.wav"], "label": ["joy", "fear"], "who": ["01", "02"]}
    table, root = pd.DataFrame(columns), tmp_path
    if kind == "csv":
        table.to_csv(tmp_path / "clips.csv", index=False)
        table, root = tmp_path / "clips.csv", None
    elif kind == "polars":
        table = pl.DataFrame(columns)
    corpus = load_table(table, path="file", emotion="label", speaker="who", root=root)
    assert [str(tmp_path / "x/1.wav"), "/abs/2.wav"] == corpus.X
    assert corpus.y.tolist() == ["joy", "fear"]
    assert corpus.groups.tolist() == ["01", "02"]


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"path": ["a"], "emotion": ["x"]}, r"no column \['speaker'\]; it has \['path', 'emotion'"),
        ({"path": ["a", None], "emotion": ["x", "y"], "speaker": ["1", "2"]}, "the first is row 1"),
        ({"path": [], "emotion": [], "speaker": []}, "no rows"),
    ],
)
def test_unusable_table(columns, message):
    with pytest.raises(ValueError, match=message):
        load_table(pd.DataFrame(columns))
