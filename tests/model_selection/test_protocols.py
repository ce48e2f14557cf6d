"""Published protocols, on frames with the published numbers of speakers, sessions and clips."""

import json

import numpy as np
import pandas as pd
import pytest
from sklearn.dummy import DummyClassifier
from sklearn.model_selection import GridSearchCV, cross_val_score

from sklearn_ser.model_selection import (
    BalancedSpeakerKFold,
    EmoBoxFolds,
    LeaveOneCorpusOut,
    LeaveOneSentenceOut,
    LeaveOneSessionOut,
    LeaveOneSpeakerOut,
    RAVDESSSplit,
)

# Clips of the four usual classes in each session of IEMOCAP.
SESSIONS = [1085, 1023, 1151, 1031, 1241]
FOUR = {"anger": 1103, "happiness": 1636, "neutral": 1708, "sadness": 1084}
# Clips of each speaker of EmoDB, men 03 10 11 12 15.
EMODB = {"03": 49, "08": 58, "09": 43, "10": 38, "11": 55, "12": 35, "13": 61, "14": 69}
EMODB |= {"15": 56, "16": 71}
CREMAD = ["anger", "disgust", "fear", "happiness", "sadness"]


@pytest.fixture
def iemocap():
    session = np.repeat(np.arange(1, 6), SESSIONS)
    sex = np.where(np.arange(len(session)) % 2, "M", "F")
    emotion = np.random.default_rng(0).permutation(np.repeat(list(FOUR), list(FOUR.values())))
    speaker = [f"Ses0{s}{x}" for s, x in zip(session, sex, strict=True)]
    return pd.DataFrame(
        {"emotion": emotion, "speaker": speaker, "sex": sex, "session": session.astype(str)}
    )


@pytest.fixture
def ravdess():
    """24 actors; 4 clips of neutral and 8 of each of seven other emotions."""
    rows = [
        {"path": f"Actor_{actor:02d}/{i:02d}-{actor:02d}.wav", "emotion": emotion}
        | {"speaker": f"{actor:02d}", "sentence": f"{i % 2 + 1:02d}"}
        for actor in range(1, 25)
        for i, emotion in enumerate(["neutral"] * 4 + [f"e{k}" for k in range(7) for _ in range(8)])
    ]
    return pd.DataFrame(rows)


@pytest.fixture
def emodb():
    rng = np.random.default_rng(0)
    speaker = np.repeat(list(EMODB), list(EMODB.values()))
    counts = [127, 81, 46, 69, 71, 62, 79]
    return pd.DataFrame(
        {
            "emotion": rng.permutation(np.repeat(list("WLEAFTN"), counts)),
            "speaker": speaker,
            "sex": np.where(np.isin(speaker, ["03", "10", "11", "12", "15"]), "male", "female"),
            "sentence": rng.permutation(np.arange(535) % 10),
        }
    )


@pytest.fixture
def cremad():
    """91 actors, 48 of them men, and 7442 clips."""
    emotions = np.array([*CREMAD * 1271, *["neutral"] * 1087])
    speaker = 1001 + np.concatenate([np.arange(6355) // 5 % 91, np.arange(1087) % 91])
    sex = np.where(speaker < 1049, "male", "female")
    return pd.DataFrame({"emotion": emotions, "speaker": speaker, "sex": sex})


def sizes(protocol, frame):
    """Return the sizes of the folds; assert that they are what the protocol says they are."""
    n_clips = []
    for train, test in protocol.split(np.zeros(len(frame)), frame["emotion"], frame):
        assert not set(train) & set(test)
        shared = set(frame["speaker"].iloc[train]) & set(frame["speaker"].iloc[test])
        if protocol.speaker_independent is not None:
            assert bool(shared) is not protocol.speaker_independent
        n_clips.append((len(train), len(test)))
    assert protocol.get_n_splits(groups=frame) == len(n_clips)
    return n_clips


def test_iemocap_leave_one_session_out(iemocap):
    assert sizes(LeaveOneSessionOut(), iemocap) == [(5531 - n, n) for n in SESSIONS]
    assert iemocap["emotion"].value_counts().to_dict() == FOUR


def test_ravdess_split(ravdess):
    assert len(ravdess) == 1440
    assert sizes(RAVDESSSplit(), ravdess) == [(1200, 120)]
    assert sizes(RAVDESSSplit("validation"), ravdess) == [(1200, 120)]
    assert sizes(RAVDESSSplit(train_on_validation=True), ravdess) == [(1320, 120)]
    ((_, test),) = RAVDESSSplit("validation").split(ravdess, groups=ravdess["speaker"].astype(int))
    assert set(ravdess["speaker"].iloc[test]) == {"21", "22"}


def test_emodb_leave_one_speaker_out(emodb):
    assert sizes(LeaveOneSpeakerOut(), emodb) == [(535 - n, n) for n in EMODB.values()]


def test_leave_one_sentence_out_shares_speakers_and_no_sentence(emodb):
    assert [test for _, test in sizes(LeaveOneSentenceOut(), emodb)] == [54] * 5 + [53] * 5
    for train, test in LeaveOneSentenceOut().split(emodb, groups=emodb):
        assert not set(emodb["sentence"].iloc[train]) & set(emodb["sentence"].iloc[test])


def test_leave_one_corpus_out(emodb, iemocap):
    both = pd.concat([emodb.assign(corpus="EmoDB"), iemocap.assign(corpus="IEMOCAP")])
    assert sizes(LeaveOneCorpusOut(), both) == [(5531, 535), (535, 5531)]


@pytest.mark.parametrize("n_splits", [2, 5, 10])
def test_balanced_folds_are_alike_in_sex_and_emotion(cremad, n_splits):
    assert len(cremad) == 7442
    folds = list(BalancedSpeakerKFold(n_splits).split(cremad, cremad["emotion"], cremad))
    assert sizes(BalancedSpeakerKFold(n_splits), cremad)
    men = (cremad["sex"] == "male").mean()
    emotions = cremad["emotion"].value_counts(normalize=True)
    for _, test in folds:
        assert len(test) == pytest.approx(7442 / n_splits, rel=0.15)
        found = cremad.iloc[test]
        n_speakers = found["speaker"].nunique()
        assert abs((found["sex"] == "male").mean() - men) <= 1 / n_speakers
        share = found["emotion"].value_counts(normalize=True)
        assert (share - emotions).abs().max() < 0.01


def test_balanced_folds_of_emodb_hold_a_woman_and_a_man(emodb):
    folds = list(BalancedSpeakerKFold(5).split(emodb, emodb["emotion"], emodb))
    assert len(folds) == 5
    for _, test in folds:
        speakers = emodb.iloc[test].drop_duplicates("speaker")
        assert sorted(speakers["sex"]) == ["female", "male"]


@pytest.fixture
def emobox(tmp_path, ravdess):
    """Folds of RAVDESS as EmoBox lays them out: six of four actors."""

    def write(frame, folds, corpus="ravdess"):
        for k, test in enumerate(folds, 1):
            folder = tmp_path / "data" / corpus / f"fold_{k}"
            folder.mkdir(parents=True)
            for split in ("train", "test"):
                chosen = frame[np.asarray(test) == (split == "test")]
                lines = [
                    json.dumps({"key": f"k{i}", "wav": f"downloads/{path}", "emo": emotion})
                    for i, (path, emotion) in chosen[["path", "emotion"]].iterrows()
                ]
                file = folder / f"{corpus}_{split}_fold_{k}.jsonl"
                file.write_text("\n".join(lines) + "\n")
        return tmp_path

    return write


def by_fours(ravdess):
    actor = ravdess["speaker"].astype(int)
    return [(actor - 1) // 4 == k for k in range(6)]


def test_emobox_folds(emobox, ravdess):
    protocol = EmoBoxFolds(emobox(ravdess, by_fours(ravdess)), "ravdess")
    assert sizes(protocol, ravdess) == [(1200, 240)] * 6
    elsewhere = ravdess.assign(path="/somewhere/else/" + ravdess["path"]).sample(
        frac=1, random_state=0
    )
    assert sizes(protocol, elsewhere) == [(1200, 240)] * 6


@pytest.mark.parametrize("train_on_validation", [False, True])
def test_emobox_keeps_validation_clips_apart_unless_asked(emobox, ravdess, train_on_validation):
    folder = emobox(ravdess, by_fours(ravdess))
    file = folder / "data" / "ravdess" / "fold_1" / "ravdess_train_fold_1.jsonl"
    lines = file.read_text().splitlines()
    file.write_text("\n".join(lines[:-60]) + "\n")
    file.with_name("ravdess_valid_fold_1.jsonl").write_text("\n".join(lines[-60:]) + "\n")
    protocol = EmoBoxFolds(folder, "ravdess", train_on_validation=train_on_validation)
    n_train = 1200 if train_on_validation else 1140
    assert sizes(protocol, ravdess)[0] == (n_train, 240)


def test_emobox_tells_equal_file_names_apart_by_their_folders(emobox, ravdess):
    same = ravdess.assign(path=[f"{p[:8]}/{p[9:11]}.wav" for p in ravdess["path"]])
    folder = emobox(same, by_fours(ravdess))
    assert sizes(EmoBoxFolds(folder, "ravdess"), same) == [(1200, 240)] * 6


def test_emobox_knows_segments_of_one_file_by_their_keys(emobox, ravdess):
    frame = ravdess.assign(key=[f"k{i}" for i in range(len(ravdess))], path="one.wav")
    folder = emobox(frame, by_fours(ravdess))
    assert sizes(EmoBoxFolds(folder, "ravdess"), frame) == [(1200, 240)] * 6


def test_emobox_names_clips_that_it_does_not_list(emobox, ravdess):
    protocol = EmoBoxFolds(emobox(ravdess[:-60], [f[:-60] for f in by_fours(ravdess)]), "ravdess")
    with pytest.raises(ValueError, match=r"does not list 60 of the clips .*Actor_24"):
        list(protocol.split(ravdess, groups=ravdess))
    with pytest.raises(ValueError, match=r"fold 1 of EmoBox has 0 of .* and 60 to test on"):
        list(protocol.split(ravdess[:60], groups=ravdess[:60]))


def test_emobox_says_where_its_folds_share_speakers():
    assert EmoBoxFolds("x", "CREMA-D").speaker_independent is False
    assert EmoBoxFolds("x", "iemocap").speaker_independent is True
    assert EmoBoxFolds("x", "meld").speaker_independent is None
    assert EmoBoxFolds("x", "subesco").speaker_independent is True
    assert EmoBoxFolds("x", "mead").speaker_independent is False


@pytest.mark.parametrize(
    ("protocol", "corpus", "query", "value"),
    [
        (
            LeaveOneSessionOut(),
            "IEMOCAP",
            "features == 'WavLM-large' and emotions == 'anger happiness neutral sadness'",
            0.700,
        ),
        (LeaveOneSessionOut(), "IEMOCAP", "features == 'fbank'", 0.354),
        (LeaveOneSessionOut(), "IEMOCAP", "scaling == 'speaker'", 0.672),
        (RAVDESSSplit(), "RAVDESS", "scaling == 'train'", 0.757),
        (EmoBoxFolds("x", "emodb"), None, "features == 'WavLM-large' and metric == 'uar'", 0.926),
        (LeaveOneSpeakerOut(), "EmoDB", "features == 'ComParE_2016'", 0.771),
    ],
)
def test_published_results(protocol, corpus, query, value):
    results = protocol.published_results(corpus)
    assert value in results.query(query)["value"].to_list()
    assert set(results["metric"]) <= {"uar", "accuracy"}
    assert results["value"].between(0, 1).all()
    assert results["corpus"].nunique() == 1
    assert results["source"].notna().all()


def test_protocols_stand_where_scikit_learn_takes_a_splitter(emodb):
    X, y = np.zeros((535, 1)), emodb["emotion"]
    assert (
        len(cross_val_score(DummyClassifier(), X, y, groups=emodb, cv=LeaveOneSpeakerOut())) == 10
    )
    search = GridSearchCV(
        DummyClassifier(), {"strategy": ["prior", "uniform"]}, cv=BalancedSpeakerKFold(3)
    )
    assert search.fit(X, y, groups=emodb).n_splits_ == 3
    assert repr(RAVDESSSplit()) == "RAVDESSSplit(evaluate='test', train_on_validation=False)"


@pytest.mark.parametrize(
    ("protocol", "groups", "message"),
    [
        (LeaveOneSessionOut(), None, "LeaveOneSessionOut splits by session: pass groups"),
        (LeaveOneSessionOut(), pd.DataFrame({"speaker": ["a"]}), r"only \['speaker'\]"),
        (
            LeaveOneSentenceOut(),
            pd.DataFrame({"sentence": ["a", None]}),
            r"splits by sentence: 1 of 2 clips have no sentence .row 1",
        ),
        (RAVDESSSplit(), ["03", "25"], "no actors of RAVDESS"),
        (RAVDESSSplit(), ["a", "b"], "no actors of RAVDESS"),
        (RAVDESSSplit(), [1.5, 23.7], "2 of 2 clips have a number that is not whole as speaker"),
        (RAVDESSSplit(), ["01", "02"], "2 clips to train on and 0 to test on.* test fold"),
        (BalancedSpeakerKFold(2), ["a", "b"], "balances emotions: pass them as y"),
    ],
)
def test_groups_that_do_not_do_get_a_clear_error(protocol, groups, message):
    with pytest.raises(ValueError, match=message):
        list(protocol.split([0, 0], groups=groups))


def test_validation_actors_cannot_be_both():
    with pytest.raises(ValueError, match="cannot be trained on"):
        RAVDESSSplit("validation", train_on_validation=True)
