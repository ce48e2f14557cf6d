"""Corpora that other libraries hold: audformat, and Hugging Face datasets."""

import audformat
import datasets
import numpy as np
import pandas as pd
import pytest
import soundfile

from sklearn_ser import MFCCEmbedder
from sklearn_ser.audio import as_clip
from sklearn_ser.datasets import load_audformat, load_huggingface

# audformat's own, of pandas; nothing here can heed it.
pytestmark = pytest.mark.filterwarnings("ignore:The inplace keyword in DataFrame")
RATE = 16000
RNG = np.random.default_rng(0)


@pytest.fixture
def paths(tmp_path):
    found = []
    for name in ("a", "b", "c"):
        path = tmp_path / "wav" / f"{name}.wav"
        path.parent.mkdir(exist_ok=True)
        soundfile.write(path, 0.1 * RNG.standard_normal(RATE), RATE)
        found.append(f"wav/{name}.wav")
    return found


def database(files, emotions, speakers=None, segments=None):
    db = audformat.Database("mine", license="CC0-1.0", description="Three clips.")
    db.schemes["emotion"] = audformat.Scheme(labels=["anger", "joy", "boredom"])
    index = audformat.filewise_index(files)
    if segments:
        index = audformat.segmented_index(files, *zip(*segments, strict=True))
    db["emotion"] = audformat.Table(index)
    db["emotion"]["emotion"] = audformat.Column(scheme_id="emotion")
    db["emotion"]["emotion"].set(emotions)
    if speakers:
        db.schemes["speaker"] = audformat.Scheme("str")
        db["files"] = audformat.Table(audformat.filewise_index(sorted(set(files))))
        db["files"]["speaker"] = audformat.Column(scheme_id="speaker")
        db["files"]["speaker"].set(speakers)
    return db


@pytest.mark.parametrize("saved", [False, True])
def test_audformat(paths, tmp_path, saved):
    db = database(paths, ["anger", "joy", None], ["1", "2", "3"])
    db.save(str(tmp_path))
    with pytest.warns(UserWarning, match="1 of 3 clips of table 'emotion' have no label"):
        corpus = load_audformat(tmp_path if saved else db)
    assert corpus.y.tolist() == ["anger", "happiness"]
    assert corpus.frame["code"].tolist() == ["anger", "joy"]
    assert corpus.groups.tolist() == ["1", "2"]
    assert [str(tmp_path / path) for path in paths[:2]] == corpus.X
    assert "Three clips." in corpus.DESCR
    assert "CC0-1.0" in corpus.DESCR
    with pytest.warns(UserWarning, match="1 of 3 clips"):
        assert load_audformat(db, speaker=None).groups is None


def test_audformat_segments(paths, tmp_path):
    times = [("0s", "0.25s"), ("0.5s", pd.NaT), ("0s", "1s")]
    db = database([paths[0], paths[0], paths[1]], ["anger", "joy", "joy"], ["1", "2"], times)
    db.save(str(tmp_path))
    corpus = load_audformat(db)
    assert corpus.groups.tolist() == ["1", "1", "2"]
    seconds = [as_clip(clip, 0).seconds() for clip in corpus.X]
    assert seconds == [0.25, 0.5, 1.0]


def test_audformat_without_such_a_column(paths):
    db = database(paths, ["anger", "joy", "joy"])
    assert load_audformat(db).groups is None
    with pytest.raises(ValueError, match=r"0 tables of mine have a column 'mood': \[\], of \['emo"):
        load_audformat(db, emotion="mood")
    with pytest.raises(ValueError, match="table 'files' is none of those"):
        load_audformat(db, table="files")
    with pytest.raises(ValueError, match="holds no label"):
        load_audformat(database(paths, [None] * 3))


@pytest.mark.parametrize("numbered", [False, True])
def test_huggingface(paths, tmp_path, numbered):
    columns = {
        "audio": [str(tmp_path / path) for path in paths],
        "label": [0, 1, 1] if numbered else ["angry", "sad", "sad"],
        "speaker_id": [7, 8, 7],
        "text": ["x", "y", "z"],
    }
    dataset = datasets.Dataset.from_dict(columns).cast_column("audio", datasets.Audio(RATE))
    if numbered:
        dataset = dataset.cast_column("label", datasets.ClassLabel(names=["angry", "sad"]))
    corpus = load_huggingface(dataset, speaker="speaker_id")
    assert corpus.y.tolist() == ["anger", "sadness", "sadness"]
    assert corpus.groups.tolist() == ["7", "8", "7"]
    assert corpus.frame["text"].tolist() == ["x", "y", "z"]
    embedder = MFCCEmbedder(cache=None)
    expected = embedder.fit_transform(columns["audio"])
    np.testing.assert_array_equal(embedder.transform(corpus.X), expected)


def test_huggingface_without_such_a_column(paths, tmp_path):
    dataset = datasets.Dataset.from_dict({"audio": [str(tmp_path / paths[0])], "emo": ["sad"]})
    dataset = dataset.cast_column("audio", datasets.Audio())
    with pytest.raises(ValueError, match=r"no column \['label'\]; it has \['audio', 'emo'\]"):
        load_huggingface(dataset)
    assert load_huggingface(dataset, emotion="emo").groups is None
    with pytest.raises(ValueError, match="no clips"):
        load_huggingface(dataset.select([]), emotion="emo")
