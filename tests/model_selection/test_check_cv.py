"""Names of schemes stand for splitters, and a corpus's folds are those of scikit-learn."""

import numpy as np
import pandas as pd
import pytest
from sklearn.model_selection import GroupKFold, KFold, LeaveOneGroupOut, StratifiedGroupKFold
from sklearn.utils import Bunch

from sklearn_ser.model_selection import LeaveOneSpeakerOut, Protocol, check_cv, corpus_folds


@pytest.fixture
def frame():
    rng = np.random.default_rng(0)
    return pd.DataFrame(
        {
            "emotion": rng.choice(["anger", "fear", "joy"], 60),
            "speaker": rng.permutation(np.repeat([f"s{i}" for i in range(6)], 10)),
            "sentence": np.tile(["a", "b", "c"], 20),
        }
    )


def as_lists(folds):
    return [(np.asarray(train).tolist(), np.asarray(test).tolist()) for train, test in folds]


@pytest.mark.parametrize(
    ("cv", "splitter", "column"),
    [
        ("loso", LeaveOneGroupOut(), "speaker"),
        (LeaveOneSpeakerOut(), LeaveOneGroupOut(), "speaker"),
        ("group5", GroupKFold(5), "speaker"),
        (GroupKFold(3), GroupKFold(3), "speaker"),
        ("balanced5", StratifiedGroupKFold(5), "speaker"),
        ("sentence", LeaveOneGroupOut(), "sentence"),
        (KFold(4), KFold(4), None),
    ],
)
def test_folds_are_those_of_scikit_learn(frame, cv, splitter, column):
    groups = None if column is None else frame[column]
    expected = as_lists(splitter.split(frame, frame["emotion"], groups))
    assert as_lists(corpus_folds(frame, cv)) == expected
    corpus = Bunch(X=[None] * 60, y=frame["emotion"], groups=frame["speaker"], frame=frame)
    assert as_lists(corpus_folds(corpus, cv)) == expected


def test_positions_and_masks_are_folds(frame):
    folds = list(KFold(3).split(frame))
    masks = [(np.isin(np.arange(60), train), np.isin(np.arange(60), test)) for train, test in folds]
    for cv in (folds, iter(folds), masks):
        assert as_lists(corpus_folds(frame, cv)) == as_lists(folds)


def test_check_cv_finds_schemes_and_leaves_all_else_to_scikit_learn(frame):
    assert isinstance(check_cv("loso"), Protocol)
    splitter = GroupKFold(2)
    assert check_cv(splitter) is splitter
    assert repr(check_cv(3)) == repr(KFold(3))
    folds = list(KFold(3).split(frame))
    assert as_lists(check_cv(folds).split()) == as_lists(folds)
    with pytest.raises(ValueError, match="cv='kfold'; it must be one of"):
        check_cv("kfold")


def test_unknown_speakers_are_an_error_only_where_they_are_split_by(frame):
    frame.loc[7, "speaker"] = None
    for cv in ("loso", "group5", GroupKFold(3)):
        with pytest.raises(ValueError, match=r"1 of 60 clips have no speaker .row 7"):
            corpus_folds(frame, cv)
    assert len(corpus_folds(frame, KFold(4))) == 4
    with pytest.raises(ValueError, match="needs speaker labels, and the corpus has none"):
        corpus_folds(frame.drop(columns="speaker"))


def test_an_int_does_not_say_whether_speakers_are_kept_apart(frame):
    with pytest.raises(TypeError, match="cv=5 is no scheme's name"):
        corpus_folds(frame, 5)


@pytest.mark.parametrize("as_masks", [lambda mask: mask.astype(int), lambda mask: [0, 5, 5]])
def test_a_fold_tests_no_clip_twice_as_masks_of_numbers_would(frame, as_masks):
    of_speakers = [(frame["speaker"] == name).to_numpy() for name in frame["speaker"].unique()]
    assert len(corpus_folds(frame, [(~mask, mask) for mask in of_speakers])) == 6
    with pytest.raises(ValueError, match=r"fold 0: test holds \d+ positions more than once"):
        corpus_folds(frame, [(np.flatnonzero(~mask), as_masks(mask)) for mask in of_speakers])
