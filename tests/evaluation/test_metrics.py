import numpy as np
import pytest
from scipy import stats
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


@pytest.mark.parametrize(("level", "expected"), [(0.95, 0.95), (0.5, 0.5)])
def test_interval_covers_at_its_level_and_is_as_wide_as_the_speakers_vary(level, expected):
    """Of one emotion, the UAR is the mean of the speakers' rates: t intervals of these are known.

    Four standard errors of 200 runs, and what a bootstrap of 20 speakers falls short of them.
    """
    rng = np.random.default_rng(0)
    n_runs, n_speakers = 200, 20
    covered, widths = 0, []
    for _ in range(n_runs):
        rates = np.clip(rng.normal(0.5, 0.15, n_speakers), 0, 1)
        right = rng.random((n_speakers, 50)) < rates[:, None]
        y_pred = np.where(right, "a", "b").ravel()
        speakers = np.repeat(np.arange(n_speakers), 50)
        low, high = speaker_interval(
            ["a"] * 1000, y_pred, speakers, confidence_level=level, n_resamples=300
        )
        covered += low < 0.5 < high
        low_t, high_t = stats.t.interval(
            level, n_speakers - 1, right.mean(), stats.sem(right.mean(axis=1))
        )
        assert (low + high) / 2 == pytest.approx(right.mean(), abs=0.03)
        widths.append((high - low) / (high_t - low_t))
    error = 4 * np.sqrt(expected * (1 - expected) / n_runs)
    assert expected - 0.04 - error < covered / n_runs < min(expected + error, 0.999)
    assert 0.85 < np.mean(widths) < 1.05
    assert min(widths) > 0.6
    assert max(widths) < 1.4


def test_interval_of_uneven_folds_is_the_bca_bootstrap_of_a_plain_loop(predictions):
    """A fold counts by the share of its speakers that are drawn, over the emotions that it has."""
    y_true, y_pred, speakers = predictions
    y_true = np.where(speakers == 0, "anger", y_true)
    fold_of_speaker = np.array([0, 1, 1, 2, 2, 2, 2, 2, 2, 2])
    right = y_true == y_pred

    def statistic(drawn):
        weights, uars = [], []
        for fold in range(3):
            inside = drawn[fold_of_speaker[drawn] == fold]
            if len(inside):
                rows = np.concatenate([np.flatnonzero(speakers == name) for name in inside])
                recalls = [right[rows][y_true[rows] == name].mean() for name in set(y_true[rows])]
                uars.append(np.mean(recalls))
                weights.append(len(inside) / np.sum(fold_of_speaker == fold))
        return np.average(uars, weights=weights)

    expected = stats.bootstrap(
        (np.arange(10),),
        statistic,
        vectorized=False,
        n_resamples=300,
        method="BCa",
        rng=np.random.default_rng(3),
    ).confidence_interval
    found = speaker_interval(
        y_true, y_pred, speakers, fold_of_speaker[speakers], n_resamples=300, random_state=3
    )
    assert found == pytest.approx((expected.low, expected.high))


def test_random_state_is_the_seed_of_the_resampling(predictions):
    y_true, y_pred, speakers = predictions
    ends = [
        speaker_interval(y_true, y_pred, speakers, n_resamples=100, random_state=seed)
        for seed in (0, 0, 1)
    ]
    assert ends[0] == ends[1] != ends[2]


def test_an_emotion_that_no_speaker_drawn_has_keeps_its_recall():
    """With one speaker an emotion, recalls never vary, whoever is drawn."""
    y_true, y_pred = ["a", "a", "b", "b", "b"], ["a", "b", "b", "b", "a"]
    low, high = speaker_interval(y_true, y_pred, [1, 1, 2, 2, 2])
    assert (low, high) == pytest.approx([(1 / 2 + 2 / 3) / 2] * 2)


def test_interval_without_variation_or_with_one_speaker():
    assert speaker_interval(["a", "b"] * 2, ["a", "b"] * 2, [1, 1, 2, 2]) == (1, 1)
    assert speaker_interval(["a", "b"], ["a", "b"], [1, 1]) is None
