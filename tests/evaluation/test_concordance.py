"""The concordance correlation coefficient and its interval."""

import numpy as np
import pytest

from sklearn_ser.evaluation import ccc_score, concordance_interval
from sklearn_ser.evaluation._concordance import SpeakerMoments, pearson, root_mean_square


def ratings(seed=0, n_speakers=8, n_clips=20, shift=0.0):
    rng = np.random.default_rng(seed)
    speakers = np.repeat(np.arange(n_speakers), n_clips)
    y_true = rng.normal(3 + shift, 1, len(speakers)) + rng.normal(0, 0.4, n_speakers)[speakers]
    y_pred = 0.6 * y_true + rng.normal(0, 0.3, n_speakers)[speakers]
    return y_true, y_pred + rng.normal(0, 0.5, len(speakers)), speakers.astype(str)


def lin(y_true, y_pred):
    """Return the CCC as one less the mean squared difference by what it is without correlation."""
    expected = np.mean((y_true[:, None] - y_pred[None, :]) ** 2)
    return 1 - np.mean((y_true - y_pred) ** 2) / expected


@pytest.mark.parametrize("shift", [0.0, 1e5])
@pytest.mark.parametrize("seed", range(5))
def test_it_is_lins_coefficient(seed, shift):
    y_true, y_pred, _ = ratings(seed)
    expected = lin(y_true, y_pred)
    tolerance = 1e-12 if not shift else 1e-9
    assert ccc_score(y_true + shift, y_pred + shift) == pytest.approx(expected, abs=tolerance)


@pytest.mark.parametrize(
    ("y_true", "y_pred", "expected"),
    [
        ([1, 2, 3], [1, 2, 3], 1),
        ([1, 2, 3], [3, 2, 1], -1),
        ([1, 2, 3], [2, 2, 2], 0),
        ([2, 2, 2], [1, 2, 3], 0),
        ([2, 2], [2, 2], 1),
        ([2, 2], [3, 3], 0),
        ([5], [5], 1),
    ],
)
def test_extremes(y_true, y_pred, expected):
    assert ccc_score(y_true, y_pred) == pytest.approx(expected, abs=1e-15)


@pytest.mark.parametrize(
    ("y_true", "y_pred", "message"),
    [
        ([1.0, np.nan], [1.0, 2.0], "1 of 2 ratings in y_true are not finite"),
        ([1.0, 2.0], [np.inf, np.nan], "2 of 2 ratings in y_pred are not finite"),
        (["high", "low"], [1.0, 2.0], "y_true holds ratings that are no numbers"),
        ([], [], r"y_true has the shape \(0,\)"),
        ([[1.0], [2.0]], [1.0, 2.0], "one rating a clip"),
        ([1.0, 2.0], [1.0], "y_true"),
    ],
)
def test_what_is_no_rating_is_refused(y_true, y_pred, message):
    with pytest.raises(ValueError, match=message):
        ccc_score(y_true, y_pred)
    with pytest.raises(ValueError, match=message):
        concordance_interval(y_true, y_pred, ["a"] * len(y_true))


def test_pearson_and_root_mean_square():
    y_true, y_pred, _ = ratings()
    assert pearson(y_true, y_pred) == pytest.approx(np.corrcoef(y_true, y_pred)[0, 1], abs=1e-12)
    assert pearson(y_true, np.ones_like(y_true)) == 0
    expected = np.linalg.norm(y_true - y_pred) / np.sqrt(len(y_true))
    assert root_mean_square(y_true, y_pred) == pytest.approx(expected, rel=1e-12)


def test_values_without_a_speaker_are_those_of_the_others():
    y_true, y_pred, speakers = ratings()
    moments = SpeakerMoments(speakers, y_true, y_pred)
    for name, value in zip(np.unique(speakers), moments.without, strict=True):
        kept = speakers != name
        assert value == pytest.approx(lin(y_true[kept], y_pred[kept]), abs=1e-12)


def test_an_interval_needs_four_speakers_and_holds_the_score():
    y_true, y_pred, speakers = ratings(n_speakers=4)
    low, high = concordance_interval(y_true, y_pred, speakers)
    assert -1 < low < ccc_score(y_true, y_pred) < high < 1
    wide = concordance_interval(y_true, y_pred, speakers, confidence_level=0.99)
    assert wide[0] < low < high < wide[1]
    few = speakers != "0"
    assert concordance_interval(y_true[few], y_pred[few], speakers[few]) is None


@pytest.mark.slow
@pytest.mark.parametrize("n_speakers", [4, 5, 8, 10, 24])
def test_intervals_cover(n_speakers):
    y_true, y_pred, _ = ratings(99, 20_000, 20)
    truth, runs = ccc_score(y_true, y_pred), 1000
    intervals = [concordance_interval(*ratings(seed, n_speakers)) for seed in range(runs)]
    covered = np.mean([low <= truth <= high for low, high in intervals])
    assert 0.93 <= covered <= 0.975
