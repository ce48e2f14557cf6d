import math
import statistics

import numpy as np
import pytest
import scipy.stats

from sklearn_ser._utils._pooling import STATISTICS, pool


def pooled_by_hand(frames):
    """Pool frames of shape (n_frames, n_dims), one dimension at a time, in exact arithmetic."""
    columns = [[float(value) for value in column] for column in frames.T]
    return {
        "mean": [math.fsum(column) / len(column) for column in columns],
        "std": [statistics.pstdev(column) for column in columns],
        "min": [min(column) for column in columns],
        "max": [max(column) for column in columns],
        "median": [statistics.median(column) for column in columns],
    }


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("n_frames", [1, 2, 3, 10, 101])
def test_equals_exact_arithmetic(n_frames, dtype):
    frames = np.random.default_rng(n_frames).standard_normal((n_frames, 4)).astype(dtype)
    pooled = pool(frames)
    assert pooled.shape == (len(STATISTICS), 4)
    assert pooled.dtype == np.float32
    expected = pooled_by_hand(frames)
    for row, statistic in zip(pooled, STATISTICS, strict=True):
        np.testing.assert_allclose(row, expected[statistic], rtol=2e-7, atol=1e-7)


def test_equals_scipy_with_leading_axes():
    frames = np.random.default_rng(0).gamma(2, size=(3, 2, 50, 4)).astype(np.float32)
    pooled = pool(frames)
    assert pooled.shape == (3, 2, len(STATISTICS), 4)
    exact = frames.astype(np.float64)
    description = scipy.stats.describe(exact, axis=2, ddof=0)
    expected = {
        "mean": description.mean,
        "std": np.sqrt(description.variance),
        "min": description.minmax[0],
        "max": description.minmax[1],
        "median": scipy.stats.scoreatpercentile(exact, 50, axis=2),
    }
    for i, statistic in enumerate(STATISTICS):
        np.testing.assert_allclose(pooled[:, :, i], expected[statistic], rtol=1e-6)


def test_one_frame_is_its_own_mean_and_does_not_vary():
    frame = np.array([[-3.5, 0, 7]], np.float32)
    expected = {"mean": frame[0], "std": [0, 0, 0]}
    for row, statistic in zip(pool(frame), STATISTICS, strict=True):
        np.testing.assert_array_equal(row, expected.get(statistic, frame[0]))


@pytest.mark.parametrize("offset", [1e4, 1e5, 1e6])
def test_a_large_offset_costs_no_precision(offset):
    noise = np.random.default_rng(0).standard_normal((20_000, 2))
    frames = (noise + offset).astype(np.float32)
    expected = pooled_by_hand(frames)
    mean, std = pool(frames)[:2]
    # The nearest float32, which sums in float32 miss by hundreds of steps.
    np.testing.assert_array_equal(mean, np.float32(expected["mean"]))
    np.testing.assert_allclose(std, expected["std"], rtol=1e-6)
    assert np.abs(frames.mean(axis=0, dtype=np.float32) - mean).max() > 0


def test_pooling_leaves_its_frames_alone():
    frames = np.random.default_rng(0).standard_normal((9, 3)).astype(np.float32)
    before = frames.copy()
    frames.setflags(write=False)
    pool(frames)
    np.testing.assert_array_equal(frames, before)
