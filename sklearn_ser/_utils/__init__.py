"""What every room may use: labels and speakers that survive, or are refused."""

from sklearn_ser._utils._labels import as_labels, as_speakers, is_missing
from sklearn_ser._utils._settings import default_settings

__all__ = ["as_labels", "as_speakers", "default_settings", "is_missing"]
