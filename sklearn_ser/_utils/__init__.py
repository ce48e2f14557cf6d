"""What every room may use."""

from sklearn_ser._utils._labels import as_labels, as_speakers, is_missing
from sklearn_ser._utils._progress import Progress

__all__ = ["Progress", "as_labels", "as_speakers", "is_missing"]
