"""What every room may use."""

from sklearn_ser._utils._corpora import check_corpora, check_corpus, given_corpus
from sklearn_ser._utils._emobox import emobox_folder, n_emobox_folds, read_emobox_fold
from sklearn_ser._utils._emotions import CANONICAL, EMOTIONS, canonical
from sklearn_ser._utils._folders import existing_folder
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
    "CANONICAL",
    "EMOTIONS",
    "Progress",
    "as_classes",
    "as_labels",
    "as_list",
    "as_speakers",
    "canonical",
    "check_corpora",
    "check_corpus",
    "check_lengths",
    "composed",
    "default_settings",
    "emobox_folder",
    "existing_folder",
    "find_speaker_column",
    "given_corpus",
    "is_missing",
    "most_probable",
    "n_emobox_folds",
    "printable",
    "read_emobox_fold",
    "refuse_contradictions",
    "refuse_masked",
    "refuse_missing",
    "repeated_rows",
    "rows_named",
]
