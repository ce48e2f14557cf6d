"""What stands on both sides of a split is found, and said."""

import numpy as np
import pandas as pd
import pytest
import soundfile
from sklearn.model_selection import KFold
from sklearn.utils import Bunch

from sklearn_ser.audio import ClipError
from sklearn_ser.datasets import make_emotional_speech
from sklearn_ser.model_selection import LeaveOneSentenceOut, audit_split


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
    assert "No audio stands on both sides" in audit.verdict
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


def test_audio_on_both_sides_is_found_whoever_is_said_to_speak(corpus):
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
    assert "Some folds test emotions that they never saw: fear." in audit.verdict


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


def test_unknown_speakers(corpus):
    audit = audit_split(Bunch(X=corpus.X, y=corpus.y, groups=None), [([0, 1], [2])], audio=False)
    assert audit.speaker_independent is None
    assert audit.shares_audio is None
    assert "not known who speaks" in audit.verdict
    assert "audio" not in audit.verdict


def test_a_frame_will_do(corpus, tmp_path):
    paths = [tmp_path / f"{i}.wav" for i in range(len(corpus.X))]
    for path, (waveform, rate) in zip(paths, corpus.X, strict=True):
        soundfile.write(path, waveform, rate)
    frame = corpus.frame.assign(path=[str(path) for path in paths])
    frame = pd.concat([frame, frame.iloc[[0]].assign(speaker="s09")])
    audit = audit_split(frame)
    assert audit.shares_audio is True
    assert audit.pairs[["test", "train", "kind"]].to_numpy().tolist() == [
        [0, 32, "identical"],
        [32, 0, "identical"],
    ]
    paths[5].write_bytes(b"no audio")
    with pytest.raises(ClipError, match=r"clip 5 \(5.wav\)"):
        audit_split(frame)


def test_schemes_by_name(corpus):
    with pytest.raises(ValueError, match="cv='kfold'; it must be one of"):
        audit_split(corpus, "kfold")
    with pytest.raises(ValueError, match="needs 5 speakers or more; there are 4"):
        audit_split(corpus, "balanced5")
