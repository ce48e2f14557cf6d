"""Displays in scikit-learn's way; they need the extra ``plot`` (matplotlib).

What is imported as itself is for the report and the command line, and not public.
"""

from sklearn_ser.plotting._comparison import ComparisonDisplay, DifferencesDisplay
from sklearn_ser.plotting._comparison import best_of_each as best_of_each
from sklearn_ser.plotting._embedding_map import EmbeddingMapDisplay
from sklearn_ser.plotting._groups import RecallDisplay, SpeakersDisplay
from sklearn_ser.plotting._ranks import RanksDisplay
from sklearn_ser.plotting._reliability import ReliabilityDisplay
from sklearn_ser.plotting._risk_coverage import RiskCoverageDisplay
from sklearn_ser.plotting._style import INK as INK
from sklearn_ser.plotting._style import new_figure as new_figure
from sklearn_ser.plotting._style import off_screen as off_screen
from sklearn_ser.plotting._style import series_style as series_style
from sklearn_ser.plotting._style import wrapped as wrapped
from sklearn_ser.plotting._timeline import TimelineDisplay
from sklearn_ser.plotting._training import HistoryDisplay, LayerWeightsDisplay

__all__ = [
    "ComparisonDisplay",
    "DifferencesDisplay",
    "EmbeddingMapDisplay",
    "HistoryDisplay",
    "LayerWeightsDisplay",
    "RanksDisplay",
    "RecallDisplay",
    "ReliabilityDisplay",
    "RiskCoverageDisplay",
    "SpeakersDisplay",
    "TimelineDisplay",
]
