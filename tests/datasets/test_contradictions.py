"""A clip that stands in several rows has one emotion and one speaker, or is refused."""

import json
import os
import warnings

import audformat
import datasets as hf
import numpy as np
import pandas as pd
import pytest
import soundfile
from sklearn.utils import Bunch

from sklearn_ser import MFCCEmbedder
from sklearn_ser.audit import audit_split
from sklearn_ser.datasets import (
    load_audformat,
    load_emobox,
    load_huggingface,
    load_iemocap,
    load_meld,
    load_table,
    pool_corpora,
)
from sklearn_ser.evaluation import compare, compare_across
from sklearn_ser.model_selection import EmoBoxFolds

# audformat's own, of pandas; nothing here can heed it.
pytestmark = pytest.mark.filterwarnings("ignore:The inplace keyword in DataFrame")
MFCC = MFCCEmbedder(cache=None)
# Rows 0 and 3 are of one clip.
SPEAKERS = ["anna", "bert", "carl", "anna", "dora"]
AGREEING = ["anger", "fear", "fear", "anger", "anger"]
TWO_EMOTIONS = ["anger", "fear", "fear", "sadness", "anger"]
TWO_SPEAKERS = ["anna", "bert", "carl", "emil", "dora"]


@pytest.fixture
def paths(tmp_path):
    """Return the paths of five clips in four files, one of them written in two ways."""
    rng = np.random.default_rng(0)
    folder = tmp_path / "wav"
    folder.mkdir()
    for name in "abcd":
        soundfile.write(folder / f"{name}.wav", 0.1 * rng.standard_normal(8000), 16000)
    return [f"{folder}/{name}.wav" for name in "abc"] + [
        f"{folder}/../wav/a.wav",
        f"{folder}/d.wav",
    ]


def frame(paths, y, groups):
    return pd.DataFrame({"path": paths, "emotion": y, "speaker": groups})


def bunch(paths, y, groups, **more):
    return Bunch(name="mine", X=list(paths), y=list(y), groups=list(groups), **more)


def of_csv(paths, y, groups):
    table = os.path.join(os.path.dirname(paths[0]), "clips.csv")
    frame(paths, y, groups).to_csv(table, index=False)
    return load_table(table)


def of_links(paths, y, groups):
    link = paths[0].replace("a.wav", "link.wav")
    os.symlink(paths[0], link)
    return load_table(frame([*paths[:3], link, *paths[4:]], y, groups))


def of_segments(paths, y, groups):
    spans = {"start": [0, 0, 0, np.nan, 0], "end": [0.5, 0.5, 0.5, 0.5, 0.5]}
    return load_table(frame(paths, y, groups).assign(**spans))


def of_emobox(paths, y, groups):
    place = os.path.join(os.path.dirname(paths[0]), "data", "mine", "fold_1")
    os.makedirs(place)
    rows = list(zip(paths, y, groups, strict=True))
    for split, part in (("train", rows[:2]), ("test", rows[2:])):
        lines = [json.dumps({"key": f"{p} {g}", "wav": p, "emo": e}) for p, e, g in part]
        with open(f"{place}/mine_{split}_fold_1.jsonl", "w") as file:
            file.write("\n".join(lines))
    return load_emobox(os.path.dirname(paths[0]), "mine")


def of_audformat(paths, y, groups):
    root = os.path.dirname(os.path.dirname(paths[0]))
    database = audformat.Database("mine")
    files = [os.path.relpath(path, root) for path in paths[:3]] + ["wav/./a.wav", "wav/d.wav"]
    database["t"] = audformat.Table(audformat.filewise_index(files))
    for name, values in (("emotion", y), ("speaker", groups)):
        database["t"][name] = audformat.Column()
        database["t"][name].set(values)
    database.save(root)
    return load_audformat(database)


def of_huggingface(paths, y, groups):
    columns = {"audio": paths, "label": y, "who": groups}
    dataset = hf.Dataset.from_dict(columns).cast_column("audio", hf.Audio())
    return load_huggingface(dataset, speaker="who")


def of_huggingface_in_memory(paths, y, groups):
    rows = []
    for path in paths:
        with open(path, "rb") as file:
            rows.append({"bytes": file.read(), "path": "audio.wav"})
    dataset = hf.Dataset.from_dict({"audio": rows, "label": y, "who": groups})
    return load_huggingface(dataset.cast_column("audio", hf.Audio()), speaker="who")


LOADERS = {
    "table": lambda *rows: load_table(frame(*rows)),
    "csv": of_csv,
    "links": of_links,
    "segments": of_segments,
    "audformat": of_audformat,
    "huggingface": of_huggingface,
    "huggingface in memory": of_huggingface_in_memory,
}
GIVEN = {
    "pool_corpora": lambda *rows: pool_corpora({"mine": bunch(*rows)}, scheme=None),
    "compare": lambda *rows: compare(bunch(*rows), [MFCC]),
    "compare_across": lambda *rows: compare_across(
        {"one": bunch(*rows), "two": bunch(*rows)}, MFCC
    ),
    "audit_split": lambda *rows: audit_split(bunch(*rows), audio=False),
    "audit_split(frame)": lambda *rows: audit_split(frame(*rows), audio=False),
    "dicts": lambda p, *rows: audit_split(bunch([{"path": x} for x in p], *rows), audio=False),
    "frame of clips": lambda p, y, groups: audit_split(
        Bunch(X=pd.DataFrame({"path": p}), y=y, groups=groups), audio=False
    ),
}


@pytest.mark.parametrize("place", [*LOADERS, *GIVEN, "emobox"])
def test_a_clip_with_two_emotions_is_refused_with_its_rows(place, paths):
    message = (
        r"1 clips stand in several rows with different emotions \(2 of 5 rows: rows 0, 3, counted "
        r"from 0\); the first, .*, has 'anger' in row 0, 'sadness' in row 3\."
    )
    with pytest.raises(ValueError, match=message):
        {**LOADERS, **GIVEN, "emobox": of_emobox}[place](paths, TWO_EMOTIONS, SPEAKERS)


@pytest.mark.parametrize("place", [*LOADERS, *GIVEN])
def test_a_clip_with_two_speakers_is_refused_with_its_rows(place, paths):
    message = r"different speakers \(2 of 5 rows: rows 0, 3.*'anna' in row 0, 'emil' in row 3"
    with pytest.raises(ValueError, match=message):
        {**LOADERS, **GIVEN}[place](paths, AGREEING, TWO_SPEAKERS)


@pytest.mark.parametrize("place", [*LOADERS, "emobox"])
def test_rows_that_agree_are_kept_and_told_of(place, paths):
    with pytest.warns(UserWarning, match=r"1 of 5 rows of .* repeat a clip .*\(row 3, counted"):
        corpus = {**LOADERS, "emobox": of_emobox}[place](paths, AGREEING, SPEAKERS)
    assert len(corpus.X) == 5
    expected = [{"anger": "anger", "fear": "fear"}[y] for y in AGREEING]
    assert corpus.y.tolist() == expected


def test_the_same_speaker_or_an_unknown_one_is_no_contradiction(paths):
    with pytest.warns(UserWarning, match="repeat a clip"):
        load_table(frame(paths, AGREEING, ["1", "2", "3", "1.0", "4"]))
    groups = [None, "bert", "carl", "anna", "dora"]
    audit_split(bunch(paths, AGREEING, groups), [([0], [1])], audio=False)


@pytest.mark.parametrize(
    "spans",
    [
        {"start": [0, 0, 0, 0.25, 0]},
        {"end": [0.25, 0.5, 0.5, 0.5, 0.5]},
        {"channel": [0, 0, 0, 1, 0]},
    ],
    ids=str,
)
def test_other_parts_of_a_file_are_other_clips(spans, paths):
    assert len(load_table(frame(paths, TWO_EMOTIONS, TWO_SPEAKERS).assign(**spans)).X) == 5


def test_waveforms_and_other_files_of_one_name_are_other_clips(paths):
    same = (np.ones(100), 16000)
    audit_split(bunch([same] * 5, TWO_EMOTIONS, TWO_SPEAKERS), [([0], [1])], audio=False)
    rows = [{"bytes": bytes([i]), "path": "a.wav"} for i in range(5)]
    audit_split(bunch(rows, TWO_EMOTIONS, TWO_SPEAKERS), [([0], [1])], audio=False)


def test_a_file_of_two_corpora_has_one_emotion(paths):
    one = bunch(paths[:3], ["angry", "fear", "joy"], "abc")
    two = bunch(paths[3:], ["joy", "angry"], "xy")
    message = r"different emotions \(2 of 4 rows.*'anger' in row 0, 'happiness' in row 2"
    with pytest.raises(ValueError, match=message):  # fear is dropped
        pool_corpora({"one": one, "two": two})
    with pytest.raises(ValueError, match="'angry' in row 0, 'joy' in row 3"):
        compare(None, [MFCC], train=one, test=two)
    two.y[0] = "rage"  # the same emotion by another name
    with pytest.warns(UserWarning, match=r"2 of 4 clips stand in several of .*\(rows 0, 2, count"):
        assert pool_corpora({"one": one, "two": two}).y.tolist() == [
            "anger",
            "happiness",
            "anger",
            "anger",
        ]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        pool_corpora({"one": one})


IEMOCAP = "[6.2901 - 8.2357]\tSes01F_impro01_F000\t{}\t[2.5000, 3.5000, 2.0000]\n"
MELD = "Dialogue_ID,Utterance_ID,Emotion,Speaker,Season,Episode,StartTime,EndTime,Utterance\n"
MELD_ROW = '0,0,{},Ross,8,21,"00:00:01,000","00:00:02,500",{}\n'


def write(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


@pytest.mark.parametrize("contradictory", [False, True])
def test_tables_of_iemocap_in_two_places_agree(tmp_path, contradictory):
    wav = tmp_path / "Session1/sentences/wav/Ses01F_impro01/Ses01F_impro01_F000.wav"
    wav.parent.mkdir(parents=True)
    soundfile.write(wav, np.ones(800), 16000)
    for place, code in (("a", "ang"), ("b", "sad" if contradictory else "ang")):
        write(tmp_path / place / "EmoEvaluation/Ses01F_impro01.txt", IEMOCAP.format(code))
    if contradictory:
        message = r"IEMOCAP: 1 clips .* utterance Ses01F_impro01_F000, .*: \['ang', 'sad'\]"
        with pytest.raises(ValueError, match=message):
            load_iemocap(tmp_path)
    else:
        with pytest.warns(UserWarning, match="1 clips of IEMOCAP were found"):
            assert load_iemocap(tmp_path).y.tolist() == ["anger"]


@pytest.mark.parametrize("where", ["one file", "two files", "agreeing"])
def test_tables_of_meld_agree(tmp_path, where):
    wav = tmp_path / "train_splits/dia0_utt0.wav"
    wav.parent.mkdir()
    soundfile.write(wav, np.ones(800), 16000)
    rows = [
        MELD_ROW.format("joy", "Hi!"),
        MELD_ROW.format("joy" if where == "agreeing" else "fear", "Hi"),
    ]
    if where == "one file":
        write(tmp_path / "train_sent_emo.csv", MELD + "".join(rows))
    else:
        write(tmp_path / "train_sent_emo.csv", MELD + rows[0])
        write(tmp_path / "copy/train_sent_emo.csv", MELD + rows[1])
    if where == "agreeing":
        with pytest.warns(UserWarning, match="1 clips of MELD were found"):
            assert load_meld(tmp_path).y.tolist() == ["happiness"]
    else:
        with pytest.raises(ValueError, match=r"MELD: 1 clips .*split train, dialog 0, utterance 0"):
            load_meld(tmp_path)


@pytest.mark.parametrize("by", ["path", "key"])
def test_a_clip_is_in_one_split_of_a_fold(tmp_path, by):
    place = tmp_path / "data/mine/fold_1"
    rows = {"train": ["a", "b"], "test": ["c", "a"]}
    for split, names in rows.items():
        lines = [json.dumps({"key": n, "wav": f"{n}.wav", "emo": "joy"}) for n in names]
        write(place / f"mine_{split}_fold_1.jsonl", "\n".join(lines))
    groups = pd.DataFrame({by: [n if by == "key" else f"{n}.wav" for n in "abc"]})
    with pytest.raises(ValueError, match=r"fold 1 of EmoBox has 1 clips in several splits.* a"):
        list(EmoBoxFolds(tmp_path, "mine").split(groups[by], groups=groups))
