"""What every room may use: labels and speakers that survive, or are refused."""

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
from sklearn_ser._utils._settings import default_settings

__all__ = [
    "as_classes",
    "as_labels",
    "as_list",
    "as_speakers",
    "check_lengths",
    "composed",
    "default_settings",
    "is_missing",
    "most_probable",
    "refuse_missing",
]
