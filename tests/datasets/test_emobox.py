"""EmoBox's metadata, with each of the defects that they have."""

import json

import numpy as np
import pytest
import soundfile

from sklearn_ser._audio import as_clip
from sklearn_ser.datasets import load_emobox


def row(path, emotion, **fields):
    value = {"key": f"k-{path}", "dataset": "x", "wav": path, "type": "raw", "length": 1.5}
    return {**value, "emo": emotion, "channel": 1, **fields}


@pytest.fixture
def emobox(tmp_path):
    """Return a function that writes metadata as EmoBox lays them out."""

    def write(corpus, splits, label_map=None, fold=1):
        place = tmp_path / "data" / corpus
        (place / f"fold_{fold}").mkdir(parents=True, exist_ok=True)
        for split, rows in splits.items():
            lines = [value if isinstance(value, str) else json.dumps(value) for value in rows]
            path = place / f"fold_{fold}" / f"{corpus}_{split}_fold_{fold}.jsonl"
            path.write_text("\n".join(lines) + "\n")
        if label_map is not None:
            (place / "label_map.json").write_text(label_map)
        return tmp_path

    return write


EMODB = {
    "train": [
        row("downloads/emodb/wav/03a01Wa.wav", "anger"),
        row("downloads/emodb/wav/08b01La.wav", "boredem"),
        row("downloads/emodb/wav/16a05Na.wav", "neutral"),
    ],
    "test": [row("downloads/emodb/wav/03a05Fa.wav", "happy")],
}
# It says Neutral where the data say neutral.
EMODB_MAP = '{"anger": "Angry", "boredem": "Boredom", "happy": "Happy", "Neutral": "Neutral"}'


@pytest.mark.parametrize("folder", ["", "data"])
def test_fold(emobox, folder):
    root = emobox("emodb", EMODB, EMODB_MAP)
    corpus = load_emobox(root / folder, "emodb", 1)
    assert corpus.y.tolist() == ["anger", "boredom", "neutral", "happiness"]
    assert corpus.groups.tolist() == ["03", "08", "16", "03"]
    assert corpus.frame["split"].tolist() == ["train", "train", "train", "test"]
    assert corpus.frame["code"].tolist() == ["anger", "boredem", "neutral", "happy"]
    assert corpus.frame["duration"].tolist() == [1.5] * 4
    path = str(root / "downloads/emodb/wav/03a01Wa.wav")
    assert corpus.X[0] == {"path": path, "channel": 0}  # counted from 1 there
    elsewhere = load_emobox(root, "emodb", audio="/audio")
    assert elsewhere.X[0]["path"] == "/audio/downloads/emodb/wav/03a01Wa.wav"


def test_other_names_of_fields_and_a_validation_split(emobox):
    value = {"key": "a", "audio": "downloads/x/a.wav", "label": "sad", "channel": 2}
    root = emobox(
        "x", {s: [{**value, "audio": f"downloads/x/{s}.wav"}] for s in ("train", "valid", "test")}
    )
    corpus = load_emobox(root, "x")
    assert corpus.frame["split"].tolist() == ["train", "valid", "test"]
    assert set(corpus.y) == {"sadness"}
    assert corpus.groups is None
    assert corpus.X[0]["channel"] == 1


EMOVO_MAP = """{
    "rab": "Angry",
    'gio': "Happy",
    "neu": "Neutral",,
"""


def test_label_map_that_is_no_json(emobox):
    rows = [row(f"downloads/emovo/f1/{code}-f1-b1.wav", code) for code in ("rab", "gio", "neu")]
    test = [row("downloads/emovo/f1/rab-f1-b2.wav", "rab")]
    corpus = load_emobox(emobox("emovo", {"train": rows, "test": test}, EMOVO_MAP), "emovo")
    assert corpus.y.tolist() == ["anger", "happiness", "neutral", "anger"]
    assert set(corpus.groups) == {"f1"}


@pytest.mark.parametrize(
    ("corpus", "path", "speaker"),
    [
        ("aesdd", "downloads/aesdd/sadness/s09 (2).wav", "2"),
        ("aesdd", "downloads/aesdd/anger/a06 (01).wav", "1"),
        ("aesdd", "downloads/aesdd/anger/a06 (5)b.wav", "5"),
        ("ased", "downloads/ased/04Sad/s4-07-01-01-62.wav", "62"),
        ("asvpesd", "downloads/asvpesd/Audio/actor_125/03-02-08-01-01-125-02-02-02-08.wav", "125"),
        ("asvpesd", "downloads/asvpesd/Audio/actor_/03-02-13-01-41-116-02-02-02-06.wav", "116"),
        ("casia", "downloads/casia/wangzhe/angry/250.wav", "wangzhe"),
        ("emns", "downloads/emns/cleaned_webm/recorded_audio_IFoO33T.webm", "emns"),
        ("emovdb", "downloads/emovdb/josh_Amused/amused_113-140_0124.wav", "josh"),
        ("enterface", "downloads/enterface/subject 3/fear/sentence 5/s_3_fe_5.avi", "3"),
        ("jlcorpus", "d/Raw JL corpus (unchecked)/JL(wav+txt)/female2_happy_13b_1.wav", "female2"),
        ("mead", "downloads/mead/W019/audio/neutral/level_1/020.m4a", "W019"),
        ("oreau", "downloads/oreau/OréauFR_02/m/sessc/12a07Ca.wav", "12"),
        ("oreau", "downloads/oreau/OréauFR_02/m/sesss/07z03Sa.wav", "07"),
        ("pavoque", "downloads/pavoque/pavoque-sad.flac", "pavoque"),
        ("polish", "downloads/polish/m4.s_stop_5.wav", "m4"),
        ("subesco", "downloads/subesco/M_04_BIBHAS_S_5_DISGUST_2.wav", "M_04"),
        ("turevdb", "downloads/turevdb/Sound Source/Angry/6783_kz_koy.wav", "6783"),
        ("cafe", "downloads/cafe/Colère/Faible/01-C-1-1.wav", "01"),
        ("cremad", "downloads/cremad/AudioWAV/1001_DFA_ANG_XX.wav", "1001"),
        ("esd", "downloads/esd/0011/Angry/0011_000351.wav", "0011"),
        ("iemocap", "d/Session1/sentences/wav/Ses01F_impro01/Ses01F_impro01_M000.wav", "Ses01M"),
        ("ravdess", "downloads/ravdess/Actor_01/03-01-01-01-01-01-01.wav", "01"),
        ("savee", "downloads/savee/DC_a01.wav", "DC"),
        ("savee", "downloads/savee/AudioData/KL/sa01.wav", "KL"),
        ("shemo", "downloads/shemo/female/F01A01.wav", "F01"),
        ("tess", "downloads/tess/OAF_angry/OA_bite_neutral.wav", "OA"),
        ("tess", "downloads/tess/OAF_angry/OAF_back_angry.wav", "OA"),
        ("urdu", "downloads/urdu/Neutral/SM5_F63_N091.wav", "SM5"),
    ],
)
def test_speakers(emobox, corpus, path, speaker):
    root = emobox(corpus, {"train": [row(path, "anger")], "test": [row(f"more/{path}", "anger")]})
    assert set(load_emobox(root, corpus).groups) == {speaker}
    own = load_emobox(root, corpus, speaker=r"([^/])\.\w+$")
    assert set(own.groups) == {path.rpartition(".")[0][-1]}


@pytest.mark.parametrize(
    ("corpus", "path", "speaker", "place"),
    [
        ("savee", "downloads/savee/AudioData/DC/a01.wav", "DC", "KL/corpora"),
        ("savee", "downloads/savee/DC_a01.wav", "DC", "JE_lab"),
        ("mead", "downloads/mead/W019/audio/neutral/level_1/020.m4a", "W019", "M001"),
        ("tess", "downloads/tess/YAF_angry/YAF_back_angry.wav", "YA", "OA_data"),
        ("mine", "downloads/mine/actor_2/1.wav", "2", "actor_9"),
    ],
)
def test_folders_that_hold_the_corpus_name_no_speakers(emobox, corpus, path, speaker, place):
    root = emobox(corpus, {"train": [row(path, "anger")], "test": [row(f"more/{path}", "anger")]})
    pattern = r"actor_(\d)" if corpus == "mine" else None
    moved = root / place
    moved.mkdir(parents=True)
    (root / "data").rename(moved / "data")
    for audio in (None, moved):
        assert set(load_emobox(moved, corpus, audio=audio, speaker=pattern).groups) == {speaker}


@pytest.mark.parametrize(
    ("corpus", "path"),
    [
        ("emozionalmente", "downloads/emozionalmente/audio/1614147262276.wav"),
        ("m3ed", "downloads/m3ed/modality_speech/A_rucikeaidewomen_1_1.wav"),
        ("meld", "downloads/meld/train/train_splits/dia660_utt6.mp4"),
        ("mer2023", "downloads/mer2023/test1/sample_00001044.avi"),
        ("mesd", "downloads/mesd/Mexican Emotional Speech Database (MESD)/Neutral_M_B_chulo.wav"),
        ("msppodcast", "downloads/msppodcast/Audio/MSP-PODCAST_0001_0008.wav"),
        ("resd", "downloads/resd/train/07_fear_neutral/07_fear_neutral f_090.wav"),
    ],
)
def test_speakers_that_no_path_names_are_unknown(emobox, corpus, path):
    root = emobox(corpus, {"train": [row(path, "anger")], "test": [row(f"more/{path}", "anger")]})
    loaded = load_emobox(root, corpus)
    assert loaded.groups is None
    assert "speaker" not in loaded.frame


def test_segments(emobox, tmp_path):
    path = tmp_path / "downloads" / "long.wav"
    path.parent.mkdir()
    soundfile.write(path, np.sin(np.arange(16000) * np.arange(16000) * 1e-5), 8000)
    rows = [
        row("downloads/long.wav", "sad", start_time=0.5, end_time=1.0),
        row("downloads/long.wav", "sad"),
    ]
    corpus = load_emobox(emobox("x", {"train": rows[:1], "test": rows[1:]}), "x")
    assert [as_clip(clip, 0).seconds() for clip in corpus.X] == [0.5, 2.0]


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (["{not json"], r"train_fold_1\.jsonl, line 1: not an object with wav"),
        (['["a.wav", "sad"]'], "not an object with wav"),
        ([{"wav": "a.wav"}], r"and emo \(or label\)"),
        ([], "hold no clips"),
    ],
)
def test_unusable_metadata(emobox, rows, message):
    root = emobox("x", {"train": rows, "test": []})
    with pytest.raises(ValueError, match=message):
        load_emobox(root, "x")


def test_what_is_not_there(emobox):
    root = emobox("emodb", EMODB)
    with pytest.raises(FileNotFoundError, match=r"no 'tess' in .*, which holds \['emodb'\]"):
        load_emobox(root, "tess")
    with pytest.raises(FileNotFoundError, match=r"fold_7.*holds \['fold_1'\]"):
        load_emobox(root, "emodb", 7)
    with pytest.raises(ValueError, match=r"speaker='z' finds nothing in"):
        load_emobox(root, "emodb", speaker="z")
