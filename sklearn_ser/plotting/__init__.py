"""Displays in scikit-learn's way; they need the extra ``plot`` (matplotlib)."""

from sklearn_ser.plotting._displays import (
    ComparisonDisplay,
    HistoryDisplay,
    LayerWeightsDisplay,
    TimelineDisplay,
)
from sklearn_ser.plotting._embedding_map import EmbeddingMapDisplay

__all__ = [
    "ComparisonDisplay",
    "EmbeddingMapDisplay",
    "HistoryDisplay",
    "LayerWeightsDisplay",
    "TimelineDisplay",
]
