"""Displays in scikit-learn's way; they need the extra ``plot`` (matplotlib)."""

from sklearn_ser.plotting._comparison import ComparisonDisplay
from sklearn_ser.plotting._history import HistoryDisplay
from sklearn_ser.plotting._layer_weights import LayerWeightsDisplay
from sklearn_ser.plotting._timeline import TimelineDisplay

__all__ = ["ComparisonDisplay", "HistoryDisplay", "LayerWeightsDisplay", "TimelineDisplay"]
