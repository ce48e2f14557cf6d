"""What is in training and test set of a fold is found, and said."""

import shutil

import numpy as np
import pandas as pd
import pytest
import soundfile
from sklearn.model_selection import KFold, LeaveOneGroupOut
from sklearn.utils import Bunch

from sklearn_ser.audit import audit_split
from sklearn_ser.datasets import make_emotional_speech
from sklearn_ser.exceptions import ClipError, ClipWarning
from sklearn_ser.model_selection import LeaveOneSentenceOut


@pytest.fixture(scope="module")
def corpus():
    return make_emotional_speech(n_speakers=4, n_sentences=2, random_state=0)


def test_leave_one_speaker_out_shares_sentences_only(corpus):
    audit = audit_split(corpus)
    assert audit.cv == "loso"
    assert audit.folds["n_test"].tolist() == [8] * 4
    assert audit.folds["shared_speakers"].tolist() == [0] * 4
    assert audit.folds["shared_sentences"].tolist() == [2] * 4
    assert audit.folds["shared_sessions"].isna().all()
    assert audit.speaker_independent is True
    assert audit.shares_audio is False
    assert audit.verdict.startswith("Speaker-independent")
    assert "4 of 4 folds test sentences" in audit.verdict
    assert "No audio is in both training and test set" in audit.verdict
    assert str(audit) == f"loso: {audit.verdict}"
    np.testing.assert_allclose(audit.emotions, 0.25)


def test_leave_one_sentence_out_shares_speakers_only(corpus):
    audit = audit_split(corpus, LeaveOneSentenceOut())
    assert audit.folds["shared_speakers"].tolist() == [4, 4]
    assert audit.folds["shared_sentences"].tolist() == [0, 0]
    assert audit.speaker_independent is False
    assert audit.verdict.startswith("NOT speaker-independent: 2 of 2 folds")
    assert "sentences" not in audit.verdict


def test_sessions(corpus):
    session = np.where(np.isin(corpus.groups, ["s01", "s02"]), "1", "2")
    frame = corpus.frame.assign(session=session)
    told = Bunch(X=corpus.X, y=corpus.y, groups=corpus.groups, frame=frame)
    assert audit_split(told, "session").folds["shared_sessions"].tolist() == [0, 0]
    audit = audit_split(told, "loso", audio=False)
    assert audit.folds["shared_sessions"].tolist() == [1] * 4
    assert "4 of 4 folds test sessions that they were trained on" in audit.verdict


def test_shared_audio_is_found_whatever_its_speaker_labels(corpus):
    waveform, rate = corpus.X[3]
    X, y = [*corpus.X, (waveform * 0.5, rate), (waveform, rate)], [*corpus.y, "fear", "anger"]
    groups = [*corpus.groups, "s09", "s10"]
    audit = audit_split(Bunch(X=X, y=y, groups=groups), "loso")
    assert audit.speaker_independent is True
    assert audit.shares_audio is True
    # Clip 3 is tested once, and its copies once each; every time the two others are trained on.
    found = {(p.test, p.train): p.kind for p in audit.pairs.itertuples()}
    assert found == {
        (3, 32): "near-identical",
        (3, 33): "identical",
        (32, 3): "near-identical",
        (32, 33): "near-identical",
        (33, 3): "identical",
        (33, 32): "near-identical",
    }
    assert audit.folds["n_identical"].tolist() == [1, 0, 0, 0, 0, 1]
    assert audit.folds["n_near_identical"].tolist() == [1, 0, 0, 0, 1, 1]
    assert "LEAK: the audio of 3 test clips is trained on" in audit.verdict
    loso = list(LeaveOneGroupOut().split(X, groups=groups))
    again = audit_split(Bunch(X=X, y=y, groups=groups), [*loso, *loso])  # as repeated splits do
    assert "LEAK: the audio of 3 test clips is trained on" in again.verdict
    assert "Some folds test emotions that they were not trained on: fear." in audit.verdict


def test_offset_tells_when_in_the_test_clip_the_training_clip_starts(corpus):
    waveform, rate = corpus.X[0]
    X = [(waveform, rate), (waveform[rate // 5 :], rate)]
    both = [(np.array([0]), np.array([1])), (np.array([1]), np.array([0]))]
    audit = audit_split(Bunch(X=X, y=["a", "a"], groups=["x", "y"]), both)
    offsets = audit.pairs["offset"].tolist()
    assert offsets == pytest.approx([-0.2, 0.2], abs=0.02)


def test_folds_may_be_indices(corpus):
    folds = list(KFold(3, shuffle=True, random_state=0).split(corpus.y))
    given = audit_split(corpus, folds, audio=False)
    split = audit_split(corpus, KFold(3, shuffle=True, random_state=0), audio=False)
    assert given.cv == "3 given folds"
    pd.testing.assert_frame_equal(given.folds, split.folds)


@pytest.mark.parametrize("change", [1.0, 0.5])
def test_every_clip_of_a_large_group_of_copies_is_found(corpus, change):
    """Even if the clip that links the group is in neither set."""
    waveform, rate = corpus.X[0]
    X = [(waveform * (change if i else 1), rate) for i in range(80)]
    several = Bunch(X=[*X, *corpus.X[8:12]], y=["a"] * 84, groups=np.arange(84).astype(str))
    audit = audit_split(several, [(np.arange(1, 41), np.arange(41, 84))])
    kind = "identical"  # all but the first are equal
    assert audit.folds[f"n_{kind}"].tolist() == [39]
    assert set(audit.pairs["test"]) == set(range(41, 80))


def test_parts_of_one_recording_are_no_copies_of_each_other(corpus):
    (one, rate), (two, _) = corpus.X[0], corpus.X[9]
    X = [(np.concatenate([one, two]), rate), (one, rate), (two, rate)]
    parts = Bunch(X=X, y=["a", "a", "a"], groups=["x", "y", "z"])
    assert audit_split(parts, [([1], [2])]).shares_audio is False
    assert audit_split(parts, [([0], [1, 2])]).folds["n_near_identical"].tolist() == [2]


def test_partly_unknown_speakers_are_not_independent(corpus):
    groups = np.array([corpus.groups[0], *[None] * 31], dtype=object)
    told = Bunch(X=corpus.X, y=corpus.y, groups=groups)
    audit = audit_split(told, KFold(2, shuffle=True, random_state=0), audio=False)
    assert audit.speaker_independent is None
    assert "Not all clips have speaker labels" in audit.verdict
    assert audit.leaks


@pytest.mark.parametrize(
    ("corpus", "cv", "error", "message"),
    [
        (pd.DataFrame({"path": ["a"]}), "loso", ValueError, "no column emotion, only"),
        (pd.DataFrame({"emotion": ["a"]}), "loso", ValueError, "no column path"),
        (["a.wav"], "loso", TypeError, "a corpus is a Bunch or a dict .*; got a list"),
        (Bunch(X=["a.wav"], y=["a"]), "loso", ValueError, "needs speaker labels"),
        (
            Bunch(X=["a.wav"] * 3, y=["a"] * 3, groups=[None, "anna", 1.5]),
            "loso",
            ValueError,
            r"1 of 3 clips have a number that is not whole as speaker \(row 2, counted from 0",
        ),
        (Bunch(X=["a.wav"] * 2, y=["a"] * 2), 5, TypeError, "cv=5 is no scheme's name"),
        (Bunch(X=["a.wav"] * 2, y=["a"] * 2), [], ValueError, "cv holds no folds"),
        (Bunch(X=["a.wav"] * 2, y=["a"] * 2), [([0], [])], ValueError, "fold 0: test must hold"),
        (Bunch(X=["a.wav"] * 2, y=["a"] * 2), [([0], [2])], ValueError, "positions of the 2 clips"),
    ],
)
def test_unusable_input_gets_one_clear_error(corpus, cv, error, message):
    with pytest.raises(error, match=message):
        audit_split(corpus, cv)


def test_masks_are_positions(corpus):
    test = corpus.groups == "s01"
    assert audit_split(corpus, [(~test, test)], audio=False).folds["n_test"].tolist() == [8]


def test_unreadable_clips_can_be_left_out(corpus):
    X = [*corpus.X[:-1], "missing.wav"]
    broken = Bunch(X=X, y=corpus.y, groups=corpus.groups)
    with pytest.warns(ClipWarning, match=r"clip 31 \(missing.wav\): no such file"):
        audit = audit_split(broken, on_error="warn")
    assert audit.shares_audio is False


def test_frames_of_polars(corpus):
    polars = pytest.importorskip("polars")
    frame = polars.from_pandas(corpus.frame)
    assert audit_split(frame, "loso", audio=False).speaker_independent


def test_unknown_speakers(corpus):
    audit = audit_split(Bunch(X=corpus.X, y=corpus.y, groups=None), [([0, 1], [2])], audio=False)
    assert audit.speaker_independent is None
    assert audit.shares_audio is None
    assert "Not all clips have speaker labels" in audit.verdict
    assert "audio" not in audit.verdict


def test_a_frame_will_do(corpus, tmp_path):
    paths = [tmp_path / f"{i}.wav" for i in range(len(corpus.X))]
    for path, (waveform, rate) in zip(paths, corpus.X, strict=True):
        soundfile.write(path, waveform, rate)
    frame = corpus.frame.assign(path=[str(path) for path in paths])
    copy = str(shutil.copy(paths[0], tmp_path / "copy.wav"))
    frame = pd.concat([frame, frame.iloc[[0]].assign(speaker="s09", path=copy)])
    audit = audit_split(frame)
    assert audit.shares_audio is True
    assert audit.pairs[["test", "train", "kind"]].to_numpy().tolist() == [
        [0, 32, "identical"],
        [32, 0, "identical"],
    ]
    assert audit.pairs["test_path"].tolist() == [str(paths[0]), copy]
    assert audit.pairs["train_path"].tolist() == [copy, str(paths[0])]
    speaker = corpus.groups[0]
    assert audit.pairs["train_speaker"].tolist() == ["s09", speaker]
    named = (f"clip 0 (0.wav, speaker {speaker})", "clip 32 (copy.wav, speaker s09)")
    assert f"{named[0]}, which is identical to {named[1]}." in audit.verdict
    unknown = audit_split(frame.drop(columns="speaker"), [([*range(32)], [32])])
    assert "clip 32 (copy.wav), which is identical to clip 0 (0.wav)." in unknown.verdict
    paths[5].write_bytes(b"no audio")
    with pytest.raises(ClipError, match=r"clip 5 \(5.wav\)"):
        audit_split(frame)


def test_some_of_the_folds(corpus):
    """The second and third of four, with the copies that cross these alone."""
    X = [*corpus.X, *corpus.X[:3]]
    twice = Bunch(X=X, y=[*corpus.y, *corpus.y[:3]], groups=[*corpus.groups, *corpus.groups[:3]])
    rest = np.arange(10, 20)
    audit = audit_split(twice, [(rest, [32]), (rest, [33]), ([1], [33]), ([2], [34])])
    part = audit.of_folds(1, 3)
    assert part.folds["n_identical"].tolist() == [0, 1]
    assert part.pairs[["fold", "test", "train"]].to_numpy().tolist() == [[2, 33, 1]]


@pytest.mark.parametrize(("cv", "fewest"), [("loso", 3), ("group5", 5), ("balanced5", 5)])
def test_schemes_need_speakers(cv, fewest):
    speakers = [f"s{k}" for k in range(fewest)] * 4
    frame = pd.DataFrame({"speaker": speakers, "emotion": ["joy", "fear"] * (2 * fewest)})
    assert audit_split(frame, cv, audio=False).speaker_independent
    too_few = frame[frame["speaker"] != "s0"]
    message = f"needs {fewest} speakers or more; there are {fewest - 1}"
    with pytest.raises(ValueError, match=message):
        audit_split(too_few, cv, audio=False)


def test_schemes_by_name(corpus):
    with pytest.raises(ValueError, match="cv='kfold'; it must be one of"):
        audit_split(corpus, "kfold")
    with pytest.raises(ValueError, match="needs 5 speakers or more; there are 4"):
        audit_split(corpus, "balanced5")


SPEAKERS = {  # the emotions of each speaker, the UAR of a guess from the label alone, folds lacking
    "one emotion each": ([{"a": 3}, {"b": 4}, {"a": 2}, {"c": 5}, {"b": 2}], 1.0, 5),
    "all emotions each, as often": ([{"a": 3, "b": 3, "c": 3}] * 4, 0.0, 0),
    "one is far more frequent": ([{"a": 9, "b": 2, "c": 2}] * 4, 1 / 3, 0),
    # a: 4 + 4 of 8; b: 3 of 3 + 5; c: 0 of 2
    "some of both": ([{"a": 4, "c": 2}, {"b": 3}, {"a": 4, "b": 2}], (1 + 3 / 5 + 0) / 3, 3),
    "two clips, of which the other tells": ([{"a": 1, "b": 1}, {"a": 2}, {"b": 2}], 2 / 3, 2),
    "one clip, which leaves a guess": ([{"a": 1}, {"b": 1}, {"c": 1}], 1 / 3, 3),
}


@pytest.mark.parametrize("case", SPEAKERS)
def test_how_well_the_speaker_label_alone_predicts_the_emotion(case):
    speakers, uar, n_lacking = SPEAKERS[case]
    rows = [
        (f"s{k}", emotion)
        for k, counts in enumerate(speakers)
        for emotion, count in counts.items()
        for _ in range(count)
    ]
    frame = pd.DataFrame(rows, columns=["speaker", "emotion"])
    audit = audit_split(frame, audio=False)
    assert audit.speaker_uar == pytest.approx(uar)
    assert audit.n_folds_lacking_emotions == n_lacking
    n_emotions = frame["emotion"].nunique()
    assert audit.confounded is bool(uar > 1 / n_emotions + 0.1)
    said = f"predicts the emotion with a UAR of {uar:.2f} (chance {1 / n_emotions:.2f}), and "
    assert (f"{said}{n_lacking} of {len(speakers)} folds" in audit.verdict) is audit.confounded
    assert ("speakers of one emotion" in audit.verdict) is audit.confounded
    if case == "one emotion each":
        shared = audit_split(frame, KFold(2, shuffle=True, random_state=0), audio=False)
        assert "a score may be that of recognising speakers" in shared.verdict


def test_speakers_who_are_unknown_predict_nothing():
    frame = pd.DataFrame({"emotion": ["a", "b"] * 3, "speaker": ["s", None, "t", "t", "u", "u"]})
    folds = [([0, 1, 2], [3, 4, 5]), ([3, 4, 5], [0, 1, 2])]
    for given in (frame, frame.drop(columns="speaker")):
        audit = audit_split(given, folds, audio=False)
        assert audit.speaker_uar is None
        assert audit.confounded is None
    assert audit_split(frame, folds[:1], audio=False).speaker_uar is not None


def test_folds_of_one_corpus_are_told_from_those_of_another():
    rows = [
        ("s", "a"),
        ("s", "a"),
        ("t", "b"),
        ("t", "b"),
        *[("u", e) for e in "ab"],
        ("v", "a"),
        ("v", "b"),
    ]
    frame = pd.DataFrame(rows, columns=["speaker", "emotion"])
    folds = [([2, 3], [0, 1]), ([0, 1], [2, 3]), ([6, 7], [4, 5]), ([4, 5], [6, 7])]
    audit = audit_split(frame, folds, audio=False)
    assert audit.of_folds(0, 2).speaker_uar == 1
    assert audit.of_folds(2, 4).speaker_uar == 0
    assert audit.speaker_uar == 0.5


@pytest.mark.parametrize("known", [True, False])
def test_a_clip_that_is_trained_on_and_tested_is_the_same_audio(corpus, known):
    bunch = Bunch(X=corpus.X, y=corpus.y, groups=corpus.groups if known else None)
    train, test = np.arange(3, 32), np.arange(6)
    audit = audit_split(bunch, [(train, test), (train, np.arange(3))], cache=None)
    assert audit.shares_audio is True
    assert audit.folds["n_identical"].tolist() == [3, 0]
    assert audit.pairs[["fold", "test", "train"]].to_numpy().tolist() == [
        [0, clip, clip] for clip in (3, 4, 5)
    ]
    assert "LEAK: the audio of 3 test clips is trained on" in audit.verdict


def test_folds_of_which_it_is_not_known_are_not_counted_as_sharing_speakers():
    speakers = ["p", "p", "p", "p", None, None, "q", "q"]
    frame = pd.DataFrame({"emotion": list("abababab"), "speaker": speakers})
    audit = audit_split(frame, [([0, 1], [2, 3]), ([4, 5], [6, 7])], audio=False)
    assert audit.verdict.startswith("NOT speaker-independent: 1 of 2 folds")
