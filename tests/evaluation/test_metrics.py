import warnings

import numpy as np
import pytest
from scipy import stats
from scipy.special import expit, logit
from sklearn.metrics import balanced_accuracy_score, f1_score, recall_score

from sklearn_ser.evaluation import fold_average, speaker_interval, uar_score
from sklearn_ser.evaluation._metrics import macro_f1, mean_recall


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


def on_logit(uar, error, freedom, level=0.95):
    margin = stats.t.ppf(0.5 + level / 2, freedom) * error / (uar * (1 - uar))
    return expit(logit(uar) + np.array([-margin, margin]))


@pytest.mark.parametrize("level", [0.5, 0.95])
def test_interval_of_one_speaker_a_fold_is_that_of_the_mean_of_fold_scores(predictions, level):
    y_true, y_pred, speakers = predictions
    uar, scores = fold_average(uar_score, y_true, y_pred, speakers)
    found = speaker_interval(y_true, y_pred, speakers, speakers, confidence_level=level)
    assert found == pytest.approx(on_logit(uar, stats.sem(scores), 9, level))


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


def test_interval_of_uneven_folds_is_the_jackknife_of_a_plain_loop(predictions):
    """A fold counts by the share of its speakers who are left, over the emotions that it has."""
    y_true, y_pred, speakers = predictions
    y_true = np.where(speakers == 0, "anger", y_true)
    fold_of_speaker = np.array([0, 1, 1, 2, 2, 2, 2, 2, 2, 2])
    right = y_true == y_pred

    def uar(kept):
        weights, uars = [], []
        for fold in range(3):
            inside = kept[fold_of_speaker[kept] == fold]
            if len(inside):
                rows = np.flatnonzero(np.isin(speakers, inside))
                uars.append(balanced_accuracy_score(y_true[rows], y_pred[rows]))
                weights.append(len(inside) / np.sum(fold_of_speaker == fold))
        return np.average(uars, weights=weights)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of emotions that are predicted and not tested
        left = [uar(np.delete(np.arange(10), one)) for one in range(10)]
        whole = uar(np.arange(10))
    assert right.any()
    weights = 1 / 3 / np.bincount(fold_of_speaker)[fold_of_speaker]
    error = np.sqrt(9 * np.var(left))
    found = speaker_interval(y_true, y_pred, speakers, fold_of_speaker[speakers])
    assert found == pytest.approx(on_logit(whole, error, 1 / np.sum(weights**2) - 1))


# Sizes of speakers: how many clips each has of four emotions; and the fold of each.
DESIGNS = {
    "four speakers, left out one by one": ([10] * 4, range(4)),
    "ten uneven speakers in three folds": ([4, 6, 8, 10, 12] * 2, [0, 1, 2] * 3 + [0]),
    "one speaker has half of all clips": ([5] * 9 + [45], [0] * 10),
}


@pytest.mark.parametrize("design", DESIGNS)
def test_interval_covers_the_mean_of_the_population(design):
    """Within three binomial errors of 300 runs; a bootstrap of four speakers covers in 84 %."""
    sizes, folds = (np.array(list(each)) for each in DESIGNS[design])
    rng = np.random.default_rng(0)
    n_runs, covered, widths = 300, 0, []
    speakers = np.repeat(np.arange(len(sizes)), 4 * sizes)
    y_true = np.concatenate([np.repeat(list("abcd"), size) for size in sizes])
    for _ in range(n_runs):
        rates = rng.beta(4.2, 1.8, len(sizes))
        y_pred = np.where(rng.random(len(y_true)) < rates[speakers], y_true, "e")
        low, high = speaker_interval(y_true, y_pred, speakers, folds[speakers])
        covered += low < 0.7 < high
        widths.append(high - low)
    error = 3 * np.sqrt(0.95 * 0.05 / n_runs)
    assert 0.95 - error <= covered / n_runs <= 1
    assert np.mean(widths) < 0.52


def test_an_emotion_of_one_speaker_is_left_out_with_them():
    y_true, speakers = list("ababababcc"), list("ssttuuvvww")
    y_pred = list("abaaabbbcb")
    recalls = {"a": 3 / 4, "b": 3 / 4, "c": 1 / 2}
    left = []
    for one in "stuvw":
        kept = [i for i, name in enumerate(speakers) if name != one]
        left.append(balanced_accuracy_score([y_true[i] for i in kept], [y_pred[i] for i in kept]))
    uar = np.mean(list(recalls.values()))
    freedom = 1 / (4 * (2 / 3 / 4) ** 2 + (1 / 3) ** 2) - 1
    expected = on_logit(uar, np.sqrt(4 * np.var(left)), freedom)
    assert speaker_interval(y_true, y_pred, speakers) == pytest.approx(expected)


@pytest.mark.parametrize("right", [True, False])
def test_interval_at_the_ends_is_that_of_one_clip_more(right):
    """Of the clip that counts most: an emotion's only one."""
    y_true, speakers = [*"abababab", "c"], list("ssttuuvvv")
    y_pred = y_true if right else ["d"] * 9
    changed = [*y_true[:8], "d"] if right else [*["d"] * 8, "c"]
    low, high = speaker_interval(y_true, y_pred, speakers)
    of_changed = speaker_interval(y_true, changed, speakers)
    assert (low, high) == ((of_changed[0], 1.0) if right else (0.0, of_changed[1]))
    assert 0 < low < 1 if right else 0 < high < 1


def test_interval_of_speakers_who_are_alike_is_their_uar():
    found = speaker_interval(["a", "b"] * 4, ["a", "a"] * 4, list("ssttuuvv"))
    assert found == (0.5, 0.5)


@pytest.mark.parametrize("n_speakers", [0, 1, 2, 3, 4])
def test_fewer_than_four_speakers_have_no_interval(n_speakers):
    y_true, speakers = ["a", "b"] * n_speakers, np.repeat(np.arange(n_speakers), 2)
    y_pred = ["a", "b", *(["a", "a"] * n_speakers)][: 2 * n_speakers]
    found = speaker_interval(y_true, y_pred, speakers, speakers)
    assert (found is None) is (n_speakers < 4)


@pytest.mark.parametrize("seed", range(20))
def test_scores_are_exactly_those_of_scikit_learn(seed):
    """Also where emotions are missing in the one or the other: of them a search chooses."""
    rng = np.random.default_rng(seed)
    y_true, y_pred = rng.choice(["anger", "fear", "joy", "sadness"], (2, rng.integers(1, 40)))
    given = {"labels": np.unique(y_true), "average": "macro", "zero_division": 0.0}
    expected = recall_score(y_true, y_pred, **given)
    assert mean_recall(y_true, y_pred) == uar_score(y_true, y_pred) == expected
    assert macro_f1(y_true, y_pred) == pytest.approx(f1_score(y_true, y_pred, **given), abs=1e-15)


def test_without_clips_there_is_no_uar():
    with pytest.raises(ValueError, match="y_true is empty"):
        uar_score([], [])
