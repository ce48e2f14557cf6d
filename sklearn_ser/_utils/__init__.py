"""What every room may use."""

from sklearn_ser._utils._corpora import check_corpus, corpus_frame, known_speakers
from sklearn_ser._utils._device import find_device
from sklearn_ser._utils._digests import digest_of, file_digest, file_state, has_settled
from sklearn_ser._utils._files import delete_files, write_atomically
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
from sklearn_ser._utils._once import once
from sklearn_ser._utils._pooling import STATISTICS, pool
from sklearn_ser._utils._printable import printable
from sklearn_ser._utils._progress import Progress
from sklearn_ser._utils._sklearn import (
    CachedParameterNames,
    HasMethods,
    Interval,
    OwnJoin,
    StrOptions,
    check_feature_names_in,
    check_parameters,
    default_settings,
    fit_context,
    is_search,
    num_samples,
    safe_indexing,
    set_output_only_if,
    validate_params,
)
from sklearn_ser._utils._speaker_column import find_speaker_column
