import numpy as np
import pytest
from sklearn.metrics import balanced_accuracy_score

from sklearn_ser.evaluation import fold_average, speaker_interval, uar_score


@pytest.fixture
def predictions():
    """Ten speakers, each right at their own rate in all of their 40 clips."""
    rng = np.random.default_rng(0)
    speakers = np.repeat(np.arange(10), 40)
    y_true = np.tile(["anger", "fear"], 200)
    right = rng.random(400) < np.linspace(0.5, 1, 10)[speakers]
    y_pred = np.where(right, y_true, np.where(y_true == "anger", "fear", "anger"))
    return y_true, y_pred, speakers


def test_uar_is_balanced_accuracy(predictions):
    y_true, y_pred, _ = predictions
    assert uar_score(y_true, y_pred) == pytest.approx(balanced_accuracy_score(y_true, y_pred))


def test_uar_of_a_fold_that_lacks_an_emotion():
    assert uar_score(["a", "a", "b", "b"], ["a", "c", "b", "b"]) == pytest.approx(0.75)


def test_fold_average_weighs_folds_equally(predictions):
    y_true, y_pred, _ = predictions
    folds = np.where(np.arange(400) < 40, "first", "second")
    average, scores = fold_average(uar_score, y_true, y_pred, folds)
    expected = [
        balanced_accuracy_score(y_true[part], y_pred[part])
        for part in (slice(0, 40), slice(40, None))
    ]
    assert scores == pytest.approx(expected)
    assert average == pytest.approx(sum(expected) / 2)


def test_interval_of_one_speaker_a_fold_is_the_bootstrap_of_fold_scores(predictions):
    y_true, y_pred, speakers = predictions
    _, scores = fold_average(uar_score, y_true, y_pred, speakers)
    low, high = speaker_interval(y_true, y_pred, speakers, speakers, n_resamples=5000)
    drawn = np.random.default_rng(1).choice(scores, (20000, 10)).mean(axis=1)
    assert (low, high) == pytest.approx(np.percentile(drawn, [2.5, 97.5]), abs=0.02)


def test_interval_is_wider_than_one_that_resamples_clips(predictions):
    y_true, y_pred, speakers = predictions
    low, high = speaker_interval(y_true, y_pred, speakers)
    clips_low, clips_high = speaker_interval(y_true, y_pred, np.arange(400))
    assert high - low > 1.5 * (clips_high - clips_low)


def test_interval_contains_the_score_of_folds_of_several_speakers(predictions):
    y_true, y_pred, speakers = predictions
    folds = speakers // 2
    average, _ = fold_average(uar_score, y_true, y_pred, folds)
    low, high = speaker_interval(y_true, y_pred, speakers, folds)
    assert low < average < high


def test_interval_covers_at_its_level():
    """Of intervals of normal speaker means, about 95 % contain the true mean of .5."""
    rng = np.random.default_rng(0)
    covered = 0
    for _ in range(60):
        rates = np.clip(rng.normal(0.5, 0.15, 20), 0, 1)
        right = rng.random((20, 100)) < rates[:, None]
        y_pred = np.where(right, "a", "b").ravel()
        low, high = speaker_interval(
            ["a"] * 2000, y_pred, np.repeat(np.arange(20), 100), n_resamples=500
        )
        covered += low < 0.5 < high
    assert 51 <= covered <= 60


def test_interval_without_variation_or_with_one_speaker():
    assert speaker_interval(["a", "b"] * 2, ["a", "b"] * 2, [1, 1, 2, 2]) == (1, 1)
    assert speaker_interval(["a", "b"], ["a", "b"], [1, 1]) is None
