"""What every room may use."""

from sklearn_ser._utils._corpora import check_corpus, corpus_frame, known_speakers
from sklearn_ser._utils._figures import remove_figure, write_figure
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
from sklearn_ser._utils._parameters import refuse_without_effect, set_where_taken
from sklearn_ser._utils._printable import printable
from sklearn_ser._utils._progress import Progress
from sklearn_ser._utils._settings import default_settings
from sklearn_ser._utils._source_files import own_files, source_files
from sklearn_ser._utils._speaker_column import find_speaker_column

__all__ = [
    "Progress",
    "as_classes",
    "as_labels",
    "as_list",
    "as_speakers",
    "check_corpus",
    "check_lengths",
    "composed",
    "corpus_frame",
    "default_settings",
    "find_speaker_column",
    "is_missing",
    "known_speakers",
    "most_probable",
    "own_files",
    "printable",
    "refuse_missing",
    "refuse_without_effect",
    "remove_figure",
    "set_where_taken",
    "source_files",
    "write_figure",
]
