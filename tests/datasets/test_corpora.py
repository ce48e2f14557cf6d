"""Every corpus in every layout that is in circulation, as trees of tiny clips."""

import contextlib
import warnings
from pathlib import Path

import numpy as np
import pytest
import soundfile

from sklearn_ser import datasets

RATE = 8000
WAVEFORM = np.sin(np.arange(RATE // 10) * 0.3) * 0.5


@pytest.fixture
def tree(tmp_path):
    """Return a function that writes clips of 0.1 s and texts below a folder."""

    def write(*clips, **texts):
        for clip in clips:
            path = tmp_path / "data" / clip
            path.parent.mkdir(parents=True, exist_ok=True)
            if path.suffix.lower() == ".mp4":
                path.write_bytes(b"....ftypisom")
            else:
                soundfile.write(path, WAVEFORM, RATE, format=path.suffix[1:].upper())
        for name, text in texts.items():
            path = tmp_path / "data" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return tmp_path / "data"

    return write


def loaded(name, root, **options):
    with pytest.warns(UserWarning, match=r"clips of \S+ were found; complete, it has \d+"):
        return getattr(datasets, f"load_{name}")(root, **options)


EMODB = {
    "03a01Fa": ("happiness", "03", "male", "a01"),
    "16b10Wb": ("anger", "16", "female", "b10"),
    "08a02Na": ("neutral", "08", "female", "a02"),
    "15a05Lb": ("boredom", "15", "male", "a05"),
    "09a07Ea": ("disgust", "09", "female", "a07"),
    "12b01Ac": ("fear", "12", "male", "b01"),
    "10b09Td": ("sadness", "10", "male", "b09"),
}
RAVDESS = {
    "Actor_01/03-01-01-01-02-01-01": ("neutral", "01", "male", "normal", "02"),
    "Actor_01/03-01-02-02-01-01-01": ("calm", "01", "male", "strong", "01"),
    "Actor_02/03-01-03-01-01-01-02": ("happiness", "02", "female", "normal", "01"),
    "Actor_24/03-01-04-01-01-02-24": ("sadness", "24", "female", "normal", "01"),
    "Actor_23/03-01-05-02-02-01-23": ("anger", "23", "male", "strong", "02"),
    "Actor_23/03-01-06-02-02-01-23": ("fear", "23", "male", "strong", "02"),
    "Actor_23/03-01-07-02-02-01-23": ("disgust", "23", "male", "strong", "02"),
    "Actor_23/03-01-08-02-02-01-23": ("surprise", "23", "male", "strong", "02"),
}
CREMAD = {
    "1001_DFA_ANG_XX": ("anger", "1001", "male", "unspecified", "DFA"),
    "1001_IEO_DIS_LO": ("disgust", "1001", "male", "low", "IEO"),
    "1002_IEO_FEA_MD": ("fear", "1002", "female", "medium", "IEO"),
    "1002_IEO_HAP_HI": ("happiness", "1002", "female", "high", "IEO"),
    "1002_ITH_NEU_XX": ("neutral", "1002", "female", "unspecified", "ITH"),
    "1002_ITH_SAD_X": ("sadness", "1002", "female", "unspecified", "ITH"),
}
ACTORS = "ActorID,Age,Sex,Race,Ethnicity\n1001,51,Male,Caucasian,Not Hispanic\n1002,21,Female,,\n"
TESS = {
    "OAF_angry/OAF_back_angry": ("anger", "OAF", "female", "back"),
    "OAF_neutral/OA_bite_neutral": ("neutral", "OAF", "female", "bite"),
    "OAF_Pleasant_surprise/OAF_bean_ps": ("surprise", "OAF", "female", "bean"),
    "YAF_happy/YAF_back_happy": ("happiness", "YAF", "female", "back"),
    "YAF_disgust/YAF_back_disgust": ("disgust", "YAF", "female", "back"),
    "YAF_fear/YAF_back_fear": ("fear", "YAF", "female", "back"),
    "YAF_sad/YAF_back_sad": ("sadness", "YAF", "female", "back"),
}
SAVEE = {
    "DC/a01": ("anger", "DC", "male", "a01"),
    "DC/sa15": ("sadness", "DC", "male", "sa15"),
    "DC/su02": ("surprise", "DC", "male", "su02"),
    "JE/d03": ("disgust", "JE", "male", "d03"),
    "JK/f04": ("fear", "JK", "male", "f04"),
    "KL/h05": ("happiness", "KL", "male", "h05"),
    "KL/n30": ("neutral", "KL", "male", "n30"),
}
ESD = {
    "0011/Neutral/train/0011_000001": ("neutral", "0011", "male", "en001", "train"),
    "0011/Angry/evaluation/0011_000351": ("anger", "0011", "male", "en001", "evaluation"),
    "0011/Happy/test/0011_000702": ("happiness", "0011", "male", "en002", "test"),
    "0001/Sad/train/0001_001400": ("sadness", "0001", "female", "ma350", "train"),
    "0001/Surprise/train/0001_001750": ("surprise", "0001", "female", "ma350", "train"),
}
FIELDS = {
    "emodb": ["emotion", "speaker", "sex", "sentence"],
    "tess": ["emotion", "speaker", "sex", "sentence"],
    "savee": ["emotion", "speaker", "sex", "sentence"],
    "ravdess": ["emotion", "speaker", "sex", "intensity", "sentence"],
    "cremad": ["emotion", "speaker", "sex", "intensity", "sentence"],
    "esd": ["emotion", "speaker", "sex", "sentence", "split"],
}


def flat(clip):
    return Path(clip).name


LAYOUTS = [  # corpus, its clips, and where a clip lies
    ("emodb", EMODB, "wav/{}.wav"),
    ("emodb", EMODB, "{}.WAV"),
    ("emodb", EMODB, "deep/er/wav/{}.flac"),
    ("ravdess", RAVDESS, "{}.wav"),
    ("ravdess", RAVDESS, "audio_speech_actors_01-24/{}.wav"),
    ("ravdess", {flat(k): v for k, v in RAVDESS.items()}, "{}.mp3"),
    ("cremad", CREMAD, "AudioWAV/{}.wav"),
    ("cremad", CREMAD, "AudioMP3/{}.mp3"),
    ("cremad", CREMAD, "{}.wav"),
    ("tess", TESS, "{}.wav"),
    ("tess", {flat(k): v for k, v in TESS.items()}, "{}.WAV"),
    ("savee", SAVEE, "AudioData/{}.wav"),
    ("savee", {k.replace("/", "_"): v for k, v in SAVEE.items()}, "ALL/{}.wav"),
    ("esd", ESD, "Emotion Speech Dataset/{}.wav"),
    ("esd", ESD, "{}.flac"),
]


@pytest.mark.parametrize(("name", "clips", "place"), LAYOUTS)
@pytest.mark.parametrize("copied", [False, True], ids=["", "with a second copy"])
def test_layout(tree, name, clips, place, copied):
    paths = [place.format(clip) for clip in clips]
    if copied:  # some archives hold everything twice, and what macOS leaves behind
        tree(*(f"again/{path}" for path in paths), *(f"__MACOSX/._{flat(p)}" for p in paths))
    root = tree("other.wav", *paths, **{"VideoDemographics.csv": ACTORS})
    corpus = loaded(name, root)
    expected = {str(root / place.format(clip)): row for clip, row in clips.items()}
    assert sorted(expected) == corpus.X == corpus.frame["path"].tolist()
    rows = corpus.frame[FIELDS[name]].itertuples(index=False, name=None)
    assert list(rows) == [expected[path] for path in corpus.X]
    assert corpus.y.tolist() == corpus.frame["emotion"].tolist()
    assert corpus.groups.tolist() == corpus.frame["speaker"].tolist()
    np.testing.assert_allclose(corpus.frame["duration"], 0.1, atol=0.06)  # mp3 comes padded
    assert f"Here: {len(clips)} clips" in corpus.DESCR
    assert "code" in corpus.frame


def test_esd_without_splits(tree):
    root = tree(*(f"{Path(clip).parents[1]}/{flat(clip)}.wav" for clip in ESD))
    corpus = loaded("esd", root, language="english")
    assert "split" not in corpus.frame
    assert corpus.groups.tolist() == ["0011"] * 3
    assert corpus.frame["code"].tolist() == ["Angry", "Happy", "Neutral"]
    assert set(loaded("esd", root, language="mandarin").groups) == {"0001"}


@pytest.mark.parametrize("encoding", ["gb2312", "utf-16", "utf-8", "utf-8-sig"])
def test_esd_transcripts(tree, encoding):
    lines = "0001_000001\t打远一看,它们的确很是美丽，\t中立\n0001_000351\t打远一看\t生气\n"
    root = tree(
        "0001/Neutral/0001_000001.wav",
        "0001/Angry/0001_000351.wav",
        **{"0001/0001.txt": lines.encode(encoding)},
    )
    frame = loaded("esd", root).frame
    texts = dict(zip(frame["code"], frame["text"], strict=True))
    assert texts == {"Neutral": "打远一看,它们的确很是美丽，", "Angry": "打远一看"}


def test_ravdess_speech_and_song(tree):
    root = tree("03-01-05-01-01-01-01.wav", "03-02-05-01-01-01-01.wav", "01-01-05-01-01-01-02.wav")
    assert loaded("ravdess", root).groups.tolist() == ["02", "01"]
    assert loaded("ravdess", root, vocal_channel="song").frame["vocal_channel"].tolist() == ["song"]
    assert len(loaded("ravdess", root, vocal_channel="all").X) == 3


def test_cremad_actors(tree):
    root = tree("AudioWAV/1001_DFA_ANG_XX.wav", **{"VideoDemographics.csv": ACTORS})
    for folder in (root, root / "AudioWAV"):
        frame = loaded("cremad", folder).frame
        assert frame.loc[0, ["sex", "age"]].tolist() == ["male", 51]
    (root / "VideoDemographics.csv").unlink()
    assert "sex" not in loaded("cremad", root).frame


IEMOCAP = {
    # The man talks, though the woman wears the markers.
    "Ses01F_impro01_M000": ("neu", "neutral", "Ses01M", "male", "Ses01F_impro01_M000"),
    "Ses01F_impro01_F000": ("exc", "happiness", "Ses01F", "female", "Ses01F_impro01_F000"),
    "Ses01M_script01_1b_F002": ("hap", "happiness", "Ses01F", "female", "script01"),
    "Ses05M_impro07_M011": ("sad", "sadness", "Ses05M", "male", "Ses05M_impro07_M011"),
    "Ses05F_script03_2_M040": ("ang", "anger", "Ses05M", "male", "script03"),
    "Ses05F_script03_2_M041": ("xxx", None, "Ses05M", "male", "script03"),
    "Ses05F_script03_2_F042": ("fru", None, "Ses05F", "female", "script03"),
}


def iemocap(prefix):
    labels, clips = {}, []
    for utterance, (code, *_) in IEMOCAP.items():
        dialog, session = utterance.rpartition("_")[0], f"{prefix}Session{utterance[4]}"
        clips.append(f"{session}/sentences/wav/{dialog}/{utterance}.wav")
        place = f"{session}/dialog/EmoEvaluation/{dialog}.txt"
        labels.setdefault(place, "% [START_TIME - END_TIME] TURN_NAME EMOTION [V, A, D]\n\n")
        labels[place] += f"[6.2901 - 8.2357]\t{utterance}\t{code}\t[2.5000, 3.5000, 2.0000]\n"
        labels[place] += "C-E2:\tNeutral;\t()\n"
        place = f"{session}/dialog/transcriptions/{dialog}.txt"
        labels.setdefault(place, "")
        labels[place] += f"{utterance} [006.2901-008.2357]: Excuse me.\n"
        labels[f"{session}/dialog/EmoEvaluation/._{dialog}.txt"] = b"\x00\x05\x16\x07\xff"
    return clips, labels


@pytest.mark.parametrize("prefix", ["", "IEMOCAP_full_release/"])
def test_iemocap(tree, prefix):
    clips, labels = iemocap(prefix)
    corpus = loaded("iemocap", tree(*clips, **labels))
    frame = corpus.frame.set_index("utterance")
    expected = {utterance: row for utterance, row in IEMOCAP.items() if row[1]}
    fields = ["code", "emotion", "speaker", "sex", "sentence"]
    assert {u: tuple(frame.loc[u, fields]) for u in frame.index} == expected
    assert set(frame["session"]) == {"1", "5"}
    row = frame.loc["Ses01F_impro01_M000"]
    assert row[["dialog_start", "dialog_end", "valence", "arousal", "dominance"]].tolist() == [
        *(6.2901, 8.2357),
        *(2.5, 3.5, 2.0),
    ]
    assert row["text"] == "Excuse me."
    everything = loaded("iemocap", tree(), labels="all")
    assert len(everything.X) == 7
    assert {"no agreement", "frustration", "excitement"} <= set(everything.y)


@pytest.mark.parametrize("labels", ["four", "all"])
def test_iemocap_with_a_code_that_is_not_known(tree, labels):
    clips, texts = iemocap("")
    (place,) = (name for name in texts if name.endswith("Evaluation/Ses05M_impro07.txt"))
    texts[place] = texts[place].replace("\tsad\t", "\tbad\t")
    n_clips, row = (5, 4) if labels == "four" else (7, 6)
    with pytest.raises(ValueError, match=rf"1 of {n_clips} clips have no label \(row {row},"):
        datasets.load_iemocap(tree(*clips, **texts), labels=labels)


def test_iemocap_without_labels(tree):
    clips, _ = iemocap("")
    with pytest.raises(FileNotFoundError, match=r"no labels of IEMOCAP.*EmoEvaluation"):
        datasets.load_iemocap(tree(*clips))


MELD = "Sr No.,Utterance,Speaker,Emotion,Sentiment,Dialogue_ID,Utterance_ID,Season,Episode,"
MELD += "StartTime,EndTime\n"
MELD_ROWS = {
    "train": ["1,Hi!,Ross,joy,positive,0,0,8,21,{}", "2,Oh,The Waiter,fear,negative,125,3,8,21,{}"],
    "dev": ['1,"Well, no",Rachel,anger,negative,0,0,4,7,{}'],
    "test": ["1,Yes,Joey,neutral,neutral,0,0,1,3,{}", "2,None,NA,surprise,neutral,0,1,1,3,{}"],
}
MELD_LAYOUTS = [
    {
        "train": "train_splits/{}.mp4",
        "dev": "dev_splits_complete/{}.mp4",
        "test": "output_repeated_splits_test/{}.mp4",
    },
    {
        "train": "train/train_splits/{}.mp4",
        "dev": "dev/dev_splits_complete/{}.mp4",
        "test": "test/output_repeated_splits_test/{}.mp4",
    },
    {"train": "wav/train/{}.wav", "dev": "wav/dev/{}.wav", "test": "wav/test/{}.WAV"},
]


@pytest.mark.parametrize("layout", MELD_LAYOUTS, ids=["raw", "nested", "wav"])
def test_meld(tree, layout):
    times = '"00:16:16,059","00:16:17,559"'
    tables = {
        f"{split}_sent_emo.csv": MELD + "\n".join(rows).format(times, times)
        for split, rows in MELD_ROWS.items()
    }
    root = tree(
        *(layout[split].format("dia0_utt0") for split in layout),
        layout["train"].format("dia125_utt3"),
        layout["test"].format("dia0_utt1"),
        layout["test"].format("final_videos_testdia0_utt0"),
        **tables,
    )
    corpus = loaded("meld", root)
    fields = ["split", "emotion", "code", "speaker", "session", "dialog", "utterance", "text"]
    rows = set(corpus.frame[fields].itertuples(index=False, name=None))
    assert rows == {  # the damaged clip of the training split is left out
        ("train", "happiness", "joy", "Ross", "s08e21", 0, 0, "Hi!"),
        ("dev", "anger", "anger", "Rachel", "s04e07", 0, 0, "Well, no"),
        ("test", "neutral", "neutral", "Joey", "s01e03", 0, 0, "Yes"),
        ("test", "surprise", "surprise", "NA", "s01e03", 0, 1, "None"),
    }
    sex = corpus.frame.set_index("speaker")["sex"].dropna().to_dict()
    assert sex == {"Ross": "male", "Rachel": "female", "Joey": "male"}
    seconds = 1.5 if ".mp4" in layout["train"] else 0.1  # the table's, where a file does not tell
    np.testing.assert_allclose(corpus.frame["duration"], seconds)
    for name in tables:
        (root / name).unlink()
    with pytest.raises(FileNotFoundError, match=r"no labels of MELD.*train_sent_emo\.csv"):
        datasets.load_meld(root)


NAMES = ["emodb", "ravdess", "cremad", "iemocap", "tess", "savee", "esd", "meld"]
EXAMPLES = {
    "emodb": "03a01Fa.wav",
    "ravdess": "03-01-05-01-01-01-01.wav",
    "cremad": "1001_DFA_ANG_XX.wav",
    "iemocap": "Ses01F_impro01_F000.wav",
    "tess": "OAF_back_angry.wav",
    "savee": "DC_a01.wav",
    "esd": "0011_000351.wav",
    "meld": "train_splits/dia0_utt0.mp4",
}


@pytest.mark.parametrize("name", NAMES)
def test_what_is_no_corpus(tree, name):
    load = getattr(datasets, f"load_{name}")
    with pytest.raises(FileNotFoundError, match=r"no such folder: .*nowhere"):
        load(tree() / "nowhere")
    tree().mkdir()
    with pytest.raises(FileNotFoundError, match=r"looked for names such as .* no file at all"):
        load(tree())
    with pytest.raises(
        FileNotFoundError, match=r"no clips of .* 1 other files, such as .*song\.wav"
    ):
        load(tree("song.wav"))


@pytest.mark.parametrize(
    ("pointer", "message"),
    [
        (
            b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n",
            'Git LFS pointers.*"git lfs pull"',
        ),
        (b"/annex/objects/SHA256E-s12345--4d7a.wav\n", 'git-annex pointers.*"git annex get"'),
    ],
    ids=["Git LFS", "git-annex"],
)
@pytest.mark.parametrize("name", NAMES)
def test_pointers_are_no_clips(tree, name, pointer, message):
    root = tree(**{EXAMPLES[name]: pointer})
    with pytest.raises(ValueError, match=f"1 of 1 clips of .* {message}"):
        getattr(datasets, f"load_{name}")(root)


def test_a_complete_corpus_warns_of_nothing(tree):
    """TESS is small enough to write all of it."""
    words = [f"word{chr(97 + i // 26)}{chr(97 + i % 26)}" for i in range(200)]
    codes = ["angry", "disgust", "fear", "happy", "neutral", "ps", "sad"]
    root = tree("OAF_first.wav")
    content = (root / "OAF_first.wav").read_bytes()
    for speaker in ("OAF", "YAF"):
        for code in codes:
            for word in words:
                (root / f"{speaker}_{word}_{code}.wav").write_bytes(content)
    with contextlib.ExitStack() as stack:
        stack.enter_context(warnings.catch_warnings())
        warnings.simplefilter("error")
        corpus = datasets.load_tess(root)
    assert corpus.frame.groupby(["speaker", "emotion"]).size().eq(200).all()
