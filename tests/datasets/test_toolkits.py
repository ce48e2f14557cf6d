"""Corpora that other libraries hold: audformat, and Hugging Face datasets."""

import os

import audformat
import datasets
import numpy as np
import pandas as pd
import pytest
import soundfile

from sklearn_ser import MFCCEmbedder
from sklearn_ser._audio import as_clip
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


@pytest.mark.parametrize("kind", ["up", "absolute", "link"])
def test_paths_of_an_audformat_database_stay_in_its_folder(kind, paths, tmp_path):
    (tmp_path / "db").mkdir()
    (tmp_path / "db" / "link.wav").symlink_to(tmp_path / paths[1])
    outside = {"up": f"../{paths[1]}", "absolute": str(tmp_path / paths[1]), "link": "link.wav"}
    database(["a.wav", outside[kind]], ["anger", "joy"]).save(str(tmp_path / "db"))
    with pytest.raises(ValueError, match=r"'emotion' of mine: 1 of 2 paths lead out .* row 1"):
        load_audformat(tmp_path / "db")
    corpus = load_audformat(tmp_path / "db", allow_outside=True)
    assert os.path.realpath(corpus.X[1]) == os.path.realpath(tmp_path / paths[1])


def test_audformat_segments(paths, tmp_path):
    times = [("0s", "0.25s"), ("0.5s", pd.NaT), ("0s", "1s")]
    db = database([paths[0], paths[0], paths[1]], ["anger", "joy", "joy"], ["1", "2"], times)
    db.save(str(tmp_path))
    corpus = load_audformat(db)
    assert corpus.groups.tolist() == ["1", "1", "2"]
    seconds = [as_clip(clip, 0).seconds() for clip in corpus.X]
    assert seconds == [0.25, 0.5, 1.0]


def test_audformat_of_unknown_speakers(paths):
    db = database(paths, ["anger", "joy", "joy"], ["1", None, "3"])
    with pytest.raises(ValueError, match=r"1 of 3 clips have no speaker \(row 1,"):
        load_audformat(db)
    assert load_audformat(db, speaker=None).groups is None
    db["more"] = audformat.Table(audformat.filewise_index(paths[1:]))
    db["more"]["speaker"] = audformat.Column()
    db["more"]["speaker"].set(["2", "other"])
    assert load_audformat(db).groups.tolist() == ["1", "2", "3"]  # of two tables, the first counts
    nobody = load_audformat(database(paths, ["anger", "joy", "joy"], [None] * 3))
    assert nobody.groups is None
    assert "unknown speakers" in nobody.DESCR


def test_audformat_of_recordings_with_several_speakers(paths):
    times = [("0s", "0.25s"), ("0.5s", "1s"), ("0s", "1s")]
    db = database([paths[0], paths[0], paths[1]], ["anger", "joy", "joy"], segments=times)
    db["emotion"]["speaker"] = audformat.Column()
    db["emotion"]["speaker"].set(["anna", "bert", "anna"])
    assert load_audformat(db).groups.tolist() == ["anna", "bert", "anna"]
    # Elsewhere, at other times, a file of several speakers does not tell whose a segment is.
    db["turns"] = audformat.Table(
        audformat.segmented_index([paths[0]] * 2, ["0s", "0.6s"], ["0.25s", "1s"])
    )
    db["turns"]["who"] = audformat.Column()
    db["turns"]["who"].set(["anna", "bert"])
    with pytest.raises(ValueError, match=r"2 of 3 clips have no speaker \(rows 1, 2,"):
        load_audformat(db, speaker="who")


@pytest.mark.parametrize(
    ("dtype", "values"), [("float", [0.1, 0.2, 3.0]), ("int", [0, 1, 1])], ids=["float", "int"]
)
def test_floats_in_audformat_are_ratings_and_integers_are_refused(paths, dtype, values):
    db = database(paths, ["anger", "joy", "joy"])
    db.schemes["arousal"] = audformat.Scheme(dtype)
    db["emotion"]["arousal"] = audformat.Column(scheme_id="arousal")
    db["emotion"]["arousal"].set(values)
    if dtype == "float":
        assert load_audformat(db, emotion="arousal").y.tolist() == values
        return
    with pytest.raises(ValueError, match=r"3 of 3 clips have a number as label.*regression"):
        load_audformat(db, emotion="arousal")


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
