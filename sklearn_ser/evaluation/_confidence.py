"""What the confidence of predictions is worth: reliability, and the risk at each coverage."""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Integral
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from sklearn_ser._utils import Number, as_speakers, check_number
from sklearn_ser.evaluation._intervals import speaker_interval
from sklearn_ser.evaluation._metrics import as_labels_and_predictions
from sklearn_ser.evaluation._rows import row_name

if TYPE_CHECKING:
    from sklearn_ser.evaluation._results import Comparison

__all__ = ["Confident", "RiskCoverage", "confident_rows", "reliability", "risk_coverage"]

STRATEGIES = ("uniform", "quantile")
ROUNDING = 1e-6  # by which a probability of float32 may be above 1
COVERAGES = np.arange(1, 11) / 10  # at which the risk has an interval

Array = npt.NDArray[Any]


class Confident(NamedTuple):
    """Predictions of one row: whether each is right, its confidence and its speaker.

    And its clip, where folds may test clips again.
    """

    right: npt.NDArray[np.bool_]
    confidence: npt.NDArray[np.float64]
    speakers: Array | None
    clips: Array | None = None

    @classmethod
    def of(cls, y_true: Any, y_pred: Any, confidence: Any, groups: Any = None) -> Confident:
        """Return predictions that are checked.

        Raises
        ------
        ValueError
            If labels are missing, lengths differ, there are no clips, or a confidence is missing
            or not between 0 and 1.
        """
        others = {"confidence": confidence, "groups": groups}
        y_true, y_pred = as_labels_and_predictions(y_true, y_pred, **others)
        values = np.asarray(confidence, dtype=np.float64)
        if values.ndim != 1:
            raise ValueError(
                f"confidence has the shape {values.shape}; it must be of shape (n_clips,), the "
                "probability of each predicted emotion, such as y_prob.max(axis=1)."
            )
        if not len(values):
            raise ValueError("y_true is empty: there are no predictions to draw.")
        if wrong := np.flatnonzero(~_are_probabilities(values)).tolist():
            raise ValueError(
                f"confidence of {len(wrong)} of {len(values)} clips is not between 0 and 1: the "
                f"first is clip {wrong[0]}, with {values[wrong[0]]}."
            )
        speakers = None if groups is None else as_speakers(groups, "groups")
        return cls(y_true == y_pred, values, speakers)

    def accuracy_interval(self, of: Any) -> tuple[float, float]:
        """Return the 95 % interval of the accuracy of some clips, for new speakers, or NaN."""
        if self.speakers is None:
            return np.nan, np.nan
        right = self.right[of]
        codes = np.zeros(len(right), dtype=int), 1 - right  # whose recall of 0 is the accuracy
        interval = speaker_interval(*codes, self.speakers[of])
        return (np.nan, np.nan) if interval is None else interval

    def summary(self) -> dict[str, Any]:
        """Return the numbers of clips, predictions and speakers, and the mean of each score."""
        n_speakers = np.nan if self.speakers is None else len(np.unique(self.speakers))
        return {
            "n_clips": len(self.right if self.clips is None else np.unique(self.clips)),
            "n_predictions": len(self.right),
            "n_speakers": n_speakers,
            "confidence": float(self.confidence.mean()),
            "accuracy": float(self.right.mean()),
        }


def _are_probabilities(values: Array) -> npt.NDArray[np.bool_]:
    return np.asarray((values >= 0) & (values <= 1 + ROUNDING))


def confident_rows(
    comparison: Comparison, rows: Sequence[int]
) -> tuple[dict[str, Confident], list[str]]:
    """Return the predictions of the rows that have probabilities, and the names of the others.

    Raises
    ------
    ValueError
        If ratings were compared.
    """
    if comparison.of_ratings:
        raise ValueError("ratings were compared, of which regressors give no probabilities.")
    found, others = {}, []
    for position in rows:
        name = row_name(comparison.rows[position], comparison.rows)
        its = comparison.predictions[comparison.predictions["row"] == position]
        if _are_probabilities(its["confidence"].to_numpy(dtype=float)).all():
            labels = (its["emotion"], its["predicted"], its["confidence"])
            speakers = None if comparison.n_speakers is None else its["speaker"]
            found[name] = Confident.of(*labels, speakers)._replace(clips=its["clip"].to_numpy())
        else:
            others.append(name)
    return found, others


def reliability(
    predictions: Confident, *, n_bins: int = 10, strategy: str = "uniform"
) -> tuple[pd.DataFrame, dict[str, Any]]:
    """Return accuracy and mean confidence by bins of the confidence, and the calibration error.

    Returns
    -------
    bins : DataFrame
        A line each bin that holds clips: low_edge, high_edge, n_clips, confidence (their mean),
        accuracy, low and high (its 95 % interval for new speakers; NaN with fewer than four).
    scores : dict
        n_clips, n_predictions, n_speakers, confidence, accuracy and ece, the expected calibration
        error.
    """
    check_number(n_bins, "n_bins", Number(Integral, 1, None, closed="left"))
    if strategy not in STRATEGIES:
        raise ValueError(f"strategy={strategy!r}; it must be one of {list(STRATEGIES)}.")
    edges = np.linspace(0, 1, n_bins + 1)
    if strategy == "quantile":
        edges = np.quantile(predictions.confidence, edges)
    # As in scikit-learn's calibration_curve, a bin holds its upper edge.
    places = np.searchsorted(edges[1:-1], predictions.confidence, side="left")
    bins = []
    for place in np.unique(places):
        of_bin = places == place
        low, high = predictions.accuracy_interval(of_bin)
        bins.append(
            {
                "low_edge": edges[place],
                "high_edge": edges[place + 1],
                "n_clips": int(of_bin.sum()),
                "confidence": float(predictions.confidence[of_bin].mean()),
                "accuracy": float(predictions.right[of_bin].mean()),
                "low": low,
                "high": high,
            }
        )
    frame = pd.DataFrame(bins)
    gaps = (frame["accuracy"] - frame["confidence"]).abs()
    return frame, {
        **predictions.summary(),
        "ece": float(np.average(gaps, weights=frame["n_clips"])),
    }


class RiskCoverage(NamedTuple):
    """The error rate of the most confident clips."""

    #: A line each number of clips: coverage, risk. Clips of the same confidence count as the mean
    #: of all orders of them.
    curve: pd.DataFrame
    #: A line each tenth of the clips (or the least more that a threshold can keep): coverage,
    #: threshold (the lowest confidence that is kept), n_clips, risk, low and high (its 95 %
    #: interval for new speakers; NaN with fewer than four).
    points: pd.DataFrame
    #: n_clips, n_predictions, n_speakers, confidence, accuracy and aurc, the area under the curve.
    scores: dict[str, Any]


def risk_coverage(predictions: Confident) -> RiskCoverage:
    """Return the error rate of the most confident clips, of each number of them."""
    right, confidence = predictions.right, predictions.confidence
    values, place, n_clips = np.unique(-confidence, return_inverse=True, return_counts=True)
    errors = np.bincount(place, weights=~right) / n_clips
    kept = np.arange(1, len(right) + 1)
    risk = np.cumsum(np.repeat(errors, n_clips)) / kept
    curve = pd.DataFrame({"coverage": kept / len(right), "risk": risk})
    ends = np.cumsum(n_clips)
    points = []
    for end in np.unique(np.searchsorted(ends, np.ceil(COVERAGES * len(right) - ROUNDING))):
        threshold = -float(values[end])
        of_kept = confidence >= threshold
        low, high = predictions.accuracy_interval(of_kept)
        points.append(
            {
                "coverage": ends[end] / len(right),
                "threshold": threshold,
                "n_clips": int(ends[end]),
                "risk": float(risk[ends[end] - 1]),
                "low": 1 - high,
                "high": 1 - low,
            }
        )
    scores = {**predictions.summary(), "aurc": float(risk.mean())}
    return RiskCoverage(curve, pd.DataFrame(points), scores)
