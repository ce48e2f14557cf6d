"""Displays in scikit-learn's way; they need the extra ``plot`` (matplotlib)."""

from sklearn_ser.plotting._displays import (
    ComparisonDisplay,
    HistoryDisplay,
    LayerWeightsDisplay,
    TimelineDisplay,
)

__all__ = ["ComparisonDisplay", "HistoryDisplay", "LayerWeightsDisplay", "TimelineDisplay"]
