"""Reliability and risk-coverage curves have the numbers of independent formulas."""

import numpy as np
import pandas as pd
import pytest
from sklearn.calibration import calibration_curve

pytest.importorskip("matplotlib")

from sklearn_ser.evaluation import speaker_interval
from sklearn_ser.plotting import ReliabilityDisplay, RiskCoverageDisplay

DISPLAYS = [ReliabilityDisplay, RiskCoverageDisplay]
EMOTIONS = ["anger", "fear", "neutral"]


def predictions(n_clips=240, seed=0, n_levels=None):
    """Return emotions, those predicted, confidences (of some levels only) and speakers."""
    rng = np.random.default_rng(seed)
    confidence = rng.uniform(0.35, 1, n_clips)
    if n_levels is not None:
        confidence = np.round(confidence * n_levels) / n_levels
    y_pred = rng.choice(EMOTIONS, n_clips)
    wrong = np.array(EMOTIONS)[(np.searchsorted(EMOTIONS, y_pred) + 1) % 3]
    y_true = np.where(rng.random(n_clips) < confidence**2, y_pred, wrong)
    return y_true, y_pred, confidence, np.resize([f"s{k}" for k in range(8)], n_clips)


@pytest.mark.parametrize("strategy", ["uniform", "quantile"])
@pytest.mark.parametrize("n_bins", [5, 10])
@pytest.mark.parametrize("n_levels", [None, 20])  # of which some are edges of bins
def test_the_reliability_curve_is_that_of_scikit_learn(strategy, n_bins, n_levels):
    y_true, y_pred, confidence, groups = predictions(n_levels=n_levels)
    display = ReliabilityDisplay.from_predictions(
        y_true, y_pred, confidence, groups=groups, n_bins=n_bins, strategy=strategy
    )
    right = y_true == y_pred
    expected = calibration_curve(right, confidence, n_bins=n_bins, strategy=strategy)
    bins = display.bins
    np.testing.assert_allclose(bins[["accuracy", "confidence"]].to_numpy().T, expected, atol=1e-12)
    ece = 0.0
    for line in bins.itertuples():
        of_bin = (confidence <= line.high_edge) & ((confidence > line.low_edge) | (line.Index == 0))
        assert line.n_clips == of_bin.sum()
        ece += abs(right[of_bin].mean() - confidence[of_bin].mean()) * of_bin.mean()
        recall = np.where(right, "right", "wrong")[of_bin]
        interval = speaker_interval(np.full(of_bin.sum(), "right"), recall, groups[of_bin])
        assert (line.low, line.high) == pytest.approx(interval or (np.nan, np.nan), nan_ok=True)
    scores = display.scores.loc["classifier"]
    assert scores["ece"] == pytest.approx(ece, abs=1e-12)
    assert (scores["n_clips"], scores["n_speakers"]) == (240, 8)
    assert scores["accuracy"] == pytest.approx(right.mean())
    assert scores["confidence"] == pytest.approx(confidence.mean())


def test_the_reliability_diagram_draws_points_intervals_and_numbers_of_clips():
    display = ReliabilityDisplay.from_predictions(*predictions()[:3], groups=predictions()[3])
    above, below = display.ax_
    _, points = above.get_lines()[:2]
    np.testing.assert_allclose(points.get_xydata(), display.bins[["confidence", "accuracy"]])
    (segments,) = above.containers[0][2]
    ends = [segment[:, 1] for segment in segments.get_segments()]
    np.testing.assert_allclose(ends, display.bins[["low", "high"]])
    heights = [bar.get_paths()[0].vertices[:, 1].max() for bar in below.collections]
    assert heights == display.bins["n_clips"].tolist()
    assert "n = 240 clips of 8 speakers" in below.get_xlabel()
    labels = [text.get_text() for text in display.figure_.legends[0].texts]
    assert labels == ["calibrated", f"classifier: ECE {display.scores['ece'].iloc[0]:.3f}"]


def test_calibrated_probabilities_of_many_clips_have_no_calibration_error():
    rng = np.random.default_rng(0)
    confidence = rng.uniform(0.3, 1, 40_000)
    y_pred = np.full(len(confidence), "anger")
    y_true = np.where(rng.random(len(confidence)) < confidence, "anger", "fear")
    found = ReliabilityDisplay.from_predictions(y_true, y_pred, confidence).scores["ece"].iloc[0]
    assert found < 0.01
    half = ReliabilityDisplay.from_predictions(y_true, y_pred, confidence / 2)
    assert half.scores["ece"].iloc[0] == pytest.approx(confidence.mean() / 2, abs=0.01)


def test_risks_are_the_errors_of_the_most_confident_clips():
    y_true, y_pred, confidence, groups = predictions()
    display = RiskCoverageDisplay.from_predictions(y_true, y_pred, confidence, groups=groups)
    order = sorted(range(len(confidence)), key=lambda k: -confidence[k])
    risks = [np.mean([y_true[k] != y_pred[k] for k in order[:n]]) for n in range(1, len(order) + 1)]
    np.testing.assert_allclose(display.curves["risk"], risks, atol=1e-12)
    np.testing.assert_allclose(display.curves["coverage"], np.arange(1, 241) / 240)
    assert display.scores["aurc"].iloc[0] == pytest.approx(np.mean(risks), abs=1e-12)
    np.testing.assert_allclose(display.points["coverage"], np.arange(1, 11) / 10)
    for line in display.points.itertuples():
        kept = confidence >= line.threshold
        assert line.n_clips == kept.sum() == round(240 * line.coverage)
        wrong = (y_true != y_pred)[kept]
        assert line.risk == pytest.approx(wrong.mean())
        errors = np.where(wrong, "right", "wrong")  # whose recall is the error rate
        interval = speaker_interval(np.full(kept.sum(), "right"), errors, groups[kept])
        assert (line.low, line.high) == pytest.approx(interval)


def test_clips_of_the_same_confidence_count_as_the_mean_of_all_orders():
    y_true, y_pred, confidence, _ = predictions(60, n_levels=5)
    display = RiskCoverageDisplay.from_predictions(y_true, y_pred, confidence)
    rng, wrong, risks = np.random.default_rng(1), y_true != y_pred, []
    for _ in range(4000):
        shuffled = rng.permutation(len(wrong))
        order = shuffled[np.argsort(-confidence[shuffled], kind="stable")]
        risks.append(np.cumsum(wrong[order]) / np.arange(1, len(wrong) + 1))
    np.testing.assert_allclose(display.curves["risk"], np.mean(risks, axis=0), atol=0.04)
    assert display.scores["aurc"].iloc[0] == pytest.approx(np.mean(risks), abs=0.005)
    # No threshold keeps some of the clips of one confidence.
    shares = [np.mean(confidence >= value) for value in np.unique(confidence)]
    assert set(display.points["coverage"].round(12)) <= set(np.round(shares, 12))


def test_confidence_that_says_nothing_gives_the_error_rate_at_every_coverage():
    y_true, y_pred = predictions()[:2]
    display = RiskCoverageDisplay.from_predictions(y_true, y_pred, np.full(240, 0.5))
    np.testing.assert_allclose(display.curves["risk"], np.mean(y_true != y_pred))
    assert len(display.points) == 1


@pytest.mark.parametrize("display", DISPLAYS)
def test_a_comparison_is_drawn_as_its_predictions_are(make_comparison, display):
    layers = {("ssl", layer): 0.5 + 0.1 * layer for layer in range(3)}
    found = make_comparison({("mfcc", None): 0.3, **layers, ("svm", None): 0.6}, without=["svm"])
    drawn = display.from_comparison(found)
    best = 1 + int(np.argmax([row.uar for row in found.rows[1:4]]))
    assert list(drawn.scores.index) == ["mfcc", f"ssl, layer {best - 1}"]
    assert drawn.without == ["svm"]
    legend = drawn.figure_.legends[0]
    assert legend.texts[-1].get_text() == "svm: no probabilities, not drawn"
    tested = found.predictions[found.predictions["row"] == best]
    columns = [tested[name] for name in ("emotion", "predicted", "confidence")]
    alone = display.from_predictions(*columns, groups=tested["speaker"])
    (area,) = {"ece", "aurc"} & set(alone.scores)
    assert drawn.scores[area].iloc[1] == alone.scores[area].iloc[0]
    table = "bins" if display is ReliabilityDisplay else "points"
    of_row = getattr(drawn, table).query("name != 'mfcc'").drop(columns="name")
    pd.testing.assert_frame_equal(
        of_row.reset_index(drop=True), getattr(alone, table).drop(columns="name")
    )
    assert display.from_comparison(found, rows=[0]).scores.index.tolist() == ["mfcc"]


@pytest.mark.parametrize("display", DISPLAYS)
def test_bars_are_drawn_for_three_rows_at_most_and_said_to_be_missing(make_comparison, display):
    found = make_comparison({(f"f{k}", None): 0.5 for k in range(4)})
    for rows, n_bars in ((range(3), 3), (range(4), 0)):
        ax = np.ravel(display.from_comparison(found, rows).ax_)[0]
        assert len(ax.containers) == n_bars
        assert ("95 %" in ax.get_ylabel()) is (n_bars > 0)
    few = make_comparison({("mfcc", None): 0.5}, n_speakers=3)
    ax = np.ravel(display.from_comparison(few).ax_)[0]
    assert "no intervals: fewer than four speakers" in ax.get_ylabel().replace("\n", "")


@pytest.mark.parametrize("display", DISPLAYS)
def test_without_probabilities_it_is_said(make_comparison, display):
    found = make_comparison({("svm", None): 0.5}, without=["svm"])
    with pytest.raises(ValueError, match="no row has probabilities: svm"):
        display.from_comparison(found)


WRONG = {
    "missing": (lambda c: np.where(np.arange(4) == 2, np.nan, c), "1 of 4 clips is not between"),
    "percent": (lambda c: 100 * c, "4 of 4 clips is not between 0 and 1: the first is clip 0"),
    "negative": (lambda c: -c, "not between 0 and 1"),
    "short": (lambda c: c[:3], "confidence"),
    "matrix": (lambda c: np.column_stack([c, 1 - c]), r"shape \(4, 2\)"),
}


@pytest.mark.parametrize("display", DISPLAYS)
@pytest.mark.parametrize("wrong", WRONG)
def test_what_is_no_confidence_is_refused(display, wrong):
    y_true, y_pred, confidence, _ = predictions(4)
    change, message = WRONG[wrong]
    with pytest.raises(ValueError, match=message):
        display.from_predictions(y_true, y_pred, change(confidence))


@pytest.mark.parametrize(
    ("how", "message"),
    [({"n_bins": 0}, "n_bins=0"), ({"strategy": "kmeans"}, "strategy='kmeans'; it must be one")],
)
def test_other_bins_are_refused(how, message):
    with pytest.raises(ValueError, match=message):
        ReliabilityDisplay.from_predictions(*predictions(8)[:3], **how)


@pytest.mark.parametrize("display", DISPLAYS)
def test_nothing_to_draw_is_refused(display):
    with pytest.raises(ValueError, match="empty"):
        display.from_predictions([], [], [])
