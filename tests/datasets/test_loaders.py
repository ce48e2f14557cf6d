import numpy as np
import pandas as pd
import polars as pl
import pytest
import soundfile

from sklearn_ser._audio import as_clip
from sklearn_ser.datasets import load_emodb, load_folder, load_table, load_urdu


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


def test_real_emodb(emodb):
    corpus = load_emodb(emodb)
    counts = dict(zip(*np.unique(corpus.y, return_counts=True), strict=True))
    assert counts == {"anger": 127, "happiness": 71, "neutral": 79, "sadness": 62}
    assert len(np.unique(corpus.groups)) == 10


def test_real_urdu(shared):
    corpus = load_urdu(shared / "corpora" / "urdu")
    assert corpus.frame.groupby(["code", "emotion"]).size().to_dict() == dict.fromkeys(
        [("A", "anger"), ("H", "happiness"), ("N", "neutral"), ("S", "sadness")], 100
    )
    assert len(np.unique(corpus.groups)) == 29
    assert [name[1] == "M" for name in corpus.groups] == [s == "male" for s in corpus.frame["sex"]]


def test_folder_of_emotions(touch):
    root = touch("angry/a_1.wav", "angry/deep/b_2.FLAC", "sad/a_3.mp3", "sad/notes.txt")
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
    columns = {"path": "file", "emotion": "label", "speaker": "who"}
    if kind == "csv":
        with pytest.raises(ValueError, match=r"1 of 2 paths lead out .* row 1, .*'/abs/2\.wav'"):
            load_table(table, **columns)
    corpus = load_table(table, **columns, root=root, allow_outside=kind == "csv")
    assert [str(tmp_path / "x/1.wav"), "/abs/2.wav"] == corpus.X
    assert corpus.y.tolist() == ["joy", "fear"]
    assert corpus.groups.tolist() == ["01", "02"]


def test_table_of_segments(tmp_path):
    path = tmp_path / "recording.wav"
    soundfile.write(path, np.sin(np.arange(32000) * 0.1), 16000)
    columns = {"path": [str(path)] * 2, "emotion": ["joy", "fear"], "speaker": ["1", "2"]}
    corpus = load_table(pd.DataFrame({**columns, "start": [0.0, 1.0], "end": [0.5, np.nan]}))
    assert corpus.X[0] == {"path": str(path), "start": 0.0, "end": 0.5}
    assert [as_clip(clip, 0).seconds() for clip in corpus.X] == [0.5, 1.0]


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"path": ["a"], "mood": ["x"]}, r"no column \['emotion'\]; it has \['path', 'mood'"),
        ({"path": ["a", None], "emotion": ["x", "y"], "speaker": ["1", "2"]}, "the first is row 1"),
        ({"path": [], "emotion": [], "speaker": []}, "no rows"),
    ],
)
def test_unusable_table(columns, message):
    with pytest.raises(ValueError, match=message):
        load_table(pd.DataFrame(columns))
