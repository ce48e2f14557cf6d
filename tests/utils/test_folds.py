"""Folds of speakers, and folds of the clips that are left."""

import numpy as np
import pytest
from sklearn.model_selection import GroupKFold, KFold, StratifiedGroupKFold

from sklearn_ser._utils import cv_name, held_out_folds, restrict_folds, speaker_folds


@pytest.fixture
def labels():
    """Emotions, as codes, and speakers of 80 clips."""
    rng = np.random.default_rng(0)
    return rng.integers(0, 3, 80), rng.permutation(np.repeat([f"s{i}" for i in range(8)], 10))


def assert_equal_folds(folds, expected):
    for fold, other in zip(folds, expected, strict=True):
        for clips, clips_expected in zip(fold, other, strict=True):
            np.testing.assert_array_equal(clips, clips_expected)


@pytest.mark.parametrize(("max_folds", "n_folds"), [(2, 2), (5, 5), (8, 8), (20, 8)])
def test_there_are_no_more_folds_than_speakers(labels, max_folds, n_folds):
    y, speakers = labels
    folds = speaker_folds(speakers, max_folds)
    assert_equal_folds(folds, GroupKFold(n_folds).split(y, y, speakers))
    drawn = speaker_folds(speakers, max_folds, y=y, random_state=3)
    splitter = StratifiedGroupKFold(n_folds, shuffle=True, random_state=3)
    assert_equal_folds(drawn, splitter.split(y, y, speakers))


def test_one_speaker_has_no_folds():
    assert speaker_folds(np.array(["a", "a"]), 5) == []


def test_balanced_folds_of_few_clips_are_fewer():
    """scikit-learn refuses more folds than any emotion has clips."""
    speakers, y = np.array(list("aabbcc")), np.array([0, 1, 2, 0, 1, 2])
    assert len(speaker_folds(speakers, 3, y=y)) == 2


def test_held_out_folds_train_on_every_emotion(labels):
    y, speakers = labels
    assert_equal_folds(held_out_folds(y, speakers), GroupKFold(8).split(y, y, speakers))
    y = np.where(speakers == "s1", "fear", "joy")
    with pytest.raises(ValueError, match="fear is spoken by one speaker only"):
        held_out_folds(y, speakers)
    speakers = np.arange(20).astype(str)  # two a fold
    y = np.where(
        np.isin(np.arange(20), GroupKFold(10).split(speakers, groups=speakers).__next__()[1]),
        "fear",
        "joy",
    )
    with pytest.raises(ValueError, match="only by speakers who share a fold"):
        held_out_folds(y, speakers)


def test_restricted_folds_hold_the_clips_that_are_kept():
    folds = list(KFold(5).split(np.zeros(20)))
    kept = np.setdiff1d(np.arange(20), [0, 1, 2, 3, 9])  # all that the first fold tests, and one
    restricted = restrict_folds(folds, kept, 20)
    assert len(restricted) == 4
    for (train, test), (all_train, all_test) in zip(restricted, folds[1:], strict=True):
        assert kept[train].tolist() == [i for i in all_train if i in kept]
        assert kept[test].tolist() == [i for i in all_test if i in kept]


@pytest.mark.parametrize(
    ("cv", "name"), [("loso", "loso"), (GroupKFold(2), repr(GroupKFold(2))), ([], "4 given folds")]
)
def test_schemes_are_called_by_their_names_or_splitters(cv, name):
    assert cv_name(cv, 4) == name
