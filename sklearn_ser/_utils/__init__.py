"""What every room may use."""

from sklearn_ser._utils._corpora import check_corpora, check_corpus, given_corpus
from sklearn_ser._utils._labels import (
    as_classes,
    as_labels,
    as_list,
    as_speakers,
    check_lengths,
    composed,
    is_missing,
    most_probable,
    refuse_masked,
    refuse_missing,
    rows_named,
)
from sklearn_ser._utils._printable import printable
from sklearn_ser._utils._progress import Progress
from sklearn_ser._utils._repeats import refuse_contradictions, repeated_rows
from sklearn_ser._utils._settings import default_settings
from sklearn_ser._utils._speaker_column import find_speaker_column

__all__ = [
    "Progress",
    "as_classes",
    "as_labels",
    "as_list",
    "as_speakers",
    "check_corpora",
    "check_corpus",
    "check_lengths",
    "composed",
    "default_settings",
    "find_speaker_column",
    "given_corpus",
    "is_missing",
    "most_probable",
    "printable",
    "refuse_contradictions",
    "refuse_masked",
    "refuse_missing",
    "repeated_rows",
    "rows_named",
]
