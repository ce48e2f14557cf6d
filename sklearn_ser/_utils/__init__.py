"""What every room may use."""

from sklearn_ser._utils._corpora import check_corpus, corpus_frame, known_speakers
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
from sklearn_ser._utils._printable import printable
from sklearn_ser._utils._progress import Progress
from sklearn_ser._utils._settings import default_settings
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
    "default_settings",
    "find_speaker_column",
    "is_missing",
    "is_number",
    "known_speakers",
    "most_probable",
    "printable",
    "refuse_missing",
]
