"""What every room may use."""

from sklearn_ser._utils._corpora import check_corpus, corpus_frame, known_speakers
from sklearn_ser._utils._emobox import emobox_folder, n_emobox_folds, read_emobox_fold
from sklearn_ser._utils._figures import remove_figure, write_figure
from sklearn_ser._utils._folds import (
    Folds,
    cv_name,
    held_out_folds,
    restrict_folds,
    speaker_folds,
    split_column,
    split_labels,
)
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
from sklearn_ser._utils._numbers import (
    COUNT,
    HIGHEST_RATE,
    LOWEST_RATE,
    POSITIVE,
    RATE,
    SECONDS,
    SLOWEST,
    WAVEFORM_RATE,
    WHOLE_NUMBER,
    Number,
    check_number,
    is_number,
)
from sklearn_ser._utils._parameters import refuse_without_effect, set_where_taken
from sklearn_ser._utils._paths import existing_folder, printable
from sklearn_ser._utils._progress import Progress
from sklearn_ser._utils._settings import default_settings
from sklearn_ser._utils._source_files import own_files, source_files
from sklearn_ser._utils._speaker_column import find_speaker_column

__all__ = [
    "COUNT",
    "HIGHEST_RATE",
    "LOWEST_RATE",
    "POSITIVE",
    "RATE",
    "SECONDS",
    "SLOWEST",
    "WAVEFORM_RATE",
    "WHOLE_NUMBER",
    "Folds",
    "Number",
    "Progress",
    "as_classes",
    "as_labels",
    "as_list",
    "as_speakers",
    "check_corpus",
    "check_lengths",
    "check_number",
    "composed",
    "corpus_frame",
    "cv_name",
    "default_settings",
    "emobox_folder",
    "existing_folder",
    "find_speaker_column",
    "held_out_folds",
    "is_missing",
    "is_number",
    "known_speakers",
    "most_probable",
    "n_emobox_folds",
    "own_files",
    "printable",
    "read_emobox_fold",
    "refuse_missing",
    "refuse_without_effect",
    "remove_figure",
    "restrict_folds",
    "set_where_taken",
    "source_files",
    "speaker_folds",
    "split_column",
    "split_labels",
    "write_figure",
]
