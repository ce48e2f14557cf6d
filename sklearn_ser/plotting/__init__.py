"""Displays in scikit-learn's way; they need the extra ``plot`` (matplotlib)."""

from sklearn_ser.plotting._comparison import ComparisonDisplay

__all__ = ["ComparisonDisplay"]
