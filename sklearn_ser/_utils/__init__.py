"""What every room may use."""

from sklearn_ser._utils._labels import (
    as_classes,
    as_labels,
    as_list,
    as_speakers,
    check_lengths,
    composed,
    is_missing,
    most_probable,
    refuse_missing,
)
from sklearn_ser._utils._printable import printable
from sklearn_ser._utils._progress import Progress
from sklearn_ser._utils._settings import default_settings

__all__ = [
    "Progress",
    "as_classes",
    "as_labels",
    "as_list",
    "as_speakers",
    "check_lengths",
    "composed",
    "default_settings",
    "is_missing",
    "most_probable",
    "printable",
    "refuse_missing",
]
