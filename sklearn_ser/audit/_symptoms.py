"""The single checks of :func:`~sklearn_ser.audit.diagnose`, one function a finding."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from sklearn_ser._audio import as_clips, decode, items_of
from sklearn_ser._utils import num_samples, refuse_masked, rows_named, speaker_folds
from sklearn_ser.audit._split import audit_split

__all__ = [
    "Finding",
    "Gaps",
    "Matrix",
    "find_confounding",
    "find_constants",
    "find_copies",
    "find_length",
    "find_padding",
    "find_scales",
    "find_share",
    "find_transposition",
    "measure_clips",
]

# The documentation of `diagnose` says what was measured on either side of these.
MIN_RUN, MIN_RUN_SHARE = 10, 0.05  # columns, of padding
PADDED_ROWS, FULL_ROWS = 0.1, 0.05  # shares of the rows
FEATURE_LIKE = 0.5  # share of the other values that may be the padding's: sparse features have more
WAVEFORM_COLUMNS, WAVEFORM_CORRELATION = 2000, 0.5
SAME_LENGTH = 0.9  # share of the clips
SAME_VALUE = 0.95  # share of the clips, of a column that is as good as constant
SCALES = 50.0
COPY = 1e-4  # standard deviations, in any column
COPY_DIRECTIONS = 8
VARIANCE_SHARE = 0.25
MAX_NAMED = 5  # columns in a sentence
END = 0.1  # seconds of one value at the end of a clip

Array = npt.NDArray[Any]
EMBED = (
    "Embed the clips instead: SSLEmbedder(model).fit_transform(paths) gives one row of features "
    "a clip."
)


class Finding(NamedTuple):
    """Something that is wrong with a matrix of embeddings.

    Parameters
    ----------
    code : str
        What it is called: "padded", "unscaled", …; see :func:`diagnose`.
    severity : {"error", "warning"}
        An error makes scores meaningless; a warning is of something that may.
    problem : str
        What is wrong, with figures.
    remedy : str
        What to do.

    See Also
    --------
    diagnose : Finds them.
    """

    code: str
    severity: str
    problem: str
    remedy: str


class Matrix(NamedTuple):
    """Values, of shape (n_clips, n_features), and names of the columns, if they have any."""

    values: Array
    names: list[str] | None

    @classmethod
    def of(cls, X: Any) -> Matrix:
        """Return what is given as a matrix of floats, or raise an error that says what it is."""
        if hasattr(X, "toarray"):
            raise ValueError("X is a sparse matrix; pass X.toarray().")
        refuse_masked(X)
        names = [str(name) for name in X.columns] if hasattr(X, "columns") else None
        try:
            values = np.asarray(X)
            if values.dtype.kind not in "biufO":
                raise TypeError(f"its values are of dtype {values.dtype}")
            if values.dtype not in (np.float32, np.float64):
                values = values.astype(np.float64)
        except (TypeError, ValueError) as error:
            raise ValueError(f"X is no matrix of numbers: {error}.") from None
        if values.ndim != 2:
            raise ValueError(
                f"X has {values.ndim} dimension(s), {values.shape}; a row a clip and a column a "
                "feature are expected. Choose a layer, and pool frames (mean, std)."
            )
        return cls(values, names)

    def named(self, columns: Any) -> str:
        """Return which columns, the first few by name or number."""
        columns = list(columns)
        names = [self.names[i] if self.names else str(i) for i in columns[:MAX_NAMED]]
        more = len(columns) - len(names)
        return ", ".join(names) + (f" and {more} more" if more else "")


class Gaps(NamedTuple):
    """Values that are not finite, and the matrix without them."""

    finding: Finding | None
    rows: npt.NDArray[np.intp]  # that are left
    columns: npt.NDArray[np.intp]
    whole: npt.NDArray[np.bool_]  # of these rows, those without a gap
    filled: Array

    @classmethod
    def of(cls, matrix: Matrix) -> Gaps:
        """Find them, leave out rows and columns of mostly gaps, and fill the others by medians."""
        values = matrix.values
        gaps = ~np.isfinite(values)
        if not gaps.any():
            everything = np.arange(len(values)), np.arange(values.shape[1])
            return cls(None, *everything, np.ones(len(values), bool), values)
        columns = np.flatnonzero(gaps.mean(axis=0) <= 0.5)
        rows = np.flatnonzero(gaps[:, columns].mean(axis=1) <= 0.5) if len(columns) else columns
        filled = np.where(gaps, np.nan, values)[np.ix_(rows, columns)]
        if filled.size:
            filled = np.where(np.isnan(filled), np.nanmedian(filled, axis=0), filled)
        hit, n = np.flatnonzero(gaps.any(axis=1)).tolist(), int(gaps.sum())
        hit_columns = np.flatnonzero(gaps.any(axis=0)).tolist()
        problem = (
            f"{n:,} of {gaps.size:,} values {'is' if n == 1 else 'are'} NaN or infinite, in "
            f"{_count(hit, 'row')} ({rows_named(hit)}) and {_count(hit_columns, 'column')} "
            f"({matrix.named(hit_columns)})."
        )
        remedy = (
            'Rows of NaN are those of clips that could not be used: on_error="raise" says why. '
            "Leave these clips out, or repair the features; estimators refuse NaN."
        )
        whole = np.asarray(np.isfinite(values[rows]).all(axis=1))
        return cls(Finding("not-finite", "error", problem, remedy), rows, columns, whole, filled)


def _count(things: Sequence[Any], noun: str) -> str:
    return f"{len(things):,} {noun}{'' if len(things) == 1 else 's'}"


def find_transposition(matrix: Matrix, **given: Any) -> Finding | None:
    """Tell whether what is given beside the matrix has a value a column, and not one a row."""
    n_rows, n_columns = matrix.values.shape
    lengths = {name: num_samples(each) for name, each in given.items() if each is not None}
    if n_rows == n_columns or set(lengths.values()) != {n_columns}:
        return None
    listed = " and ".join(lengths)
    return Finding(
        "transposed",
        "error",
        f"X has {n_rows:,} rows and {n_columns:,} columns, and {listed} {n_columns:,} values: X "
        "is features × clips.",
        "Pass X.T, which has a row a clip.",
    )


def find_padding(values: Array) -> Finding | None:
    """Tell whether rows are waveforms, or sequences that were padded or cut to one length."""
    n_rows, n_columns = values.shape
    for where, rows in (("end", values), ("begin", values[:, ::-1])):
        same = (rows == rows[:, -1:]) | (np.isnan(rows) & np.isnan(rows[:, -1:]))
        runs = np.where(same.all(axis=1), 0, same[:, ::-1].argmin(axis=1))
        padded = runs >= max(MIN_RUN, MIN_RUN_SHARE * n_columns)
        elsewhere = (same.sum(axis=1) - runs) / (n_columns - runs)
        padded &= elsewhere < FEATURE_LIKE
        if padded.sum() < PADDED_ROWS * n_rows or len(np.unique(runs[padded])) < 3:
            continue
        correlation = _correlation_of_neighbours(rows, n_columns - runs)
        samples = correlation > WAVEFORM_CORRELATION
        what = "padded waveforms" if samples else "padded waveforms or frames"
        n_full = int(np.sum(runs <= 2))  # two values may be equal by chance
        cut = n_full >= max(3, FULL_ROWS * n_rows)
        figures = (
            f"{padded.sum():,} of {n_rows:,} rows {where} in a run of one value, of "
            f"{runs[padded].min():,} to {runs[padded].max():,} of {n_columns:,} columns"
        )
        if samples:
            figures += (
                f", and neighbouring columns are correlated ({correlation:.2f}), as samples are"
            )
        remedy = (
            "A feature extractor (Wav2Vec2FeatureExtractor, AutoProcessor) returns the input of a "
            f"model. {EMBED}"
            if samples
            else f"Pool frames over time (mean, std), without those of padding. {EMBED}"
        )
        if cut:
            problem = (
                f"Clips were cut or padded to one length, and these look like {what}, not "
                f"embeddings: {figures}, while {n_full:,} rows fill all columns."
            )
            return Finding("one-length", "error", problem, f"Pass whole clips. {remedy}")
        problem = f"These look like {what}, not embeddings: {figures}."
        return Finding("padded", "error", problem, remedy)
    if n_columns >= WAVEFORM_COLUMNS:
        correlation = _correlation_of_neighbours(values, np.full(n_rows, n_columns))
        if correlation > WAVEFORM_CORRELATION:
            problem = (
                f"These look like waveforms, not embeddings: there are {n_columns:,} columns, and "
                f"neighbours are correlated ({correlation:.2f}), as samples are."
            )
            return Finding("waveforms", "error", problem, EMBED)
    return None


def _correlation_of_neighbours(rows: Array, lengths: Array) -> float:
    """Return the median, of 100 rows at most, of the correlation of neighbouring columns."""
    found = []
    for i in np.linspace(0, len(rows) - 1, min(len(rows), 100)).astype(int):
        valid = rows[i, : lengths[i]].astype(np.float64)
        valid = valid[np.isfinite(valid)]
        if len(valid) > 2 and np.ptp(valid) > 0:
            valid -= valid.mean()
            found.append(valid[1:] @ valid[:-1] / (valid @ valid))
    return float(np.median(found)) if found else 0.0


def measure_clips(clips: Any, waveform_rate: float | None) -> tuple[Array, Array, int]:
    """Return durations in seconds, levels in dB, and how many clips end in a run of one value."""
    durations, levels, n_ending = [], [], 0
    for clip in as_clips(items_of(clips), waveform_rate):
        samples, rate = decode(clip, clip.read())
        durations.append(len(samples) / rate)
        levels.append(10 * np.log10(np.mean(samples.astype(np.float64) ** 2)))
        end = samples[-max(2, round(END * rate)) :]
        n_ending += len(end) < len(samples) and bool(np.all(end == end[-1]))
    return np.array(durations), np.array(levels), n_ending


def find_length(durations: Array, n_ending: int | None) -> Finding | None:
    """Tell whether nearly all clips last equally long, to the millisecond."""
    lengths, counts = np.unique(np.round(durations, 3), return_counts=True)
    if counts.max() < SAME_LENGTH * len(durations):
        return None
    ending = f", and {n_ending} of all end in {END:g} s or more of one value" if n_ending else ""
    problem = (
        f"Clips were cut or padded to one length: {counts.max():,} of {len(durations):,} last "
        f"{lengths[counts.argmax()]:g} s{ending}."
    )
    remedy = (
        "Embed whole clips, without padding: speech that was cut off is lost, and silence that was "
        "added changes what is pooled over time."
    )
    return Finding("one-length", "warning", problem, remedy)


def find_constants(matrix: Matrix, values: Array, columns: Array) -> Iterator[Finding]:
    """Find columns that hold one value in nearly all clips."""
    median = np.median(values, axis=0)
    scale = np.abs(values).max(axis=0, initial=0)
    share = np.mean(np.abs(values - median) <= 1e-6 * scale, axis=0)
    same = columns[share >= SAME_VALUE].tolist()
    if not same:
        return
    n_constant = int(np.sum(share == 1))
    n = f"{len(same):,} of {values.shape[1]:,} columns"
    every = len(same) == values.shape[1]
    yield Finding(
        "constant-columns",
        "error" if every else "warning",
        f"{n} hold one value in {SAME_VALUE:.0%} of the clips or more, {n_constant:,} in all of "
        f"them ({matrix.named(same)}).",
        "Find out why before dropping them (sklearn.feature_selection.VarianceThreshold): dead "
        "units, padding, or an extractor that fails.",
    )


def find_scales(matrix: Matrix, values: Array, columns: Array, measures: Any) -> Iterator[Finding]:
    """Find columns whose scales differ by orders of magnitude."""
    scale = values.std(axis=0, dtype=np.float64)
    varies = scale > 1e-6 * np.abs(values).max(axis=0, initial=0)
    scale, columns = scale[varies], columns[varies]
    if len(scale) < 2:
        return
    low, median, high = np.quantile(scale, [0.1, 0.5, 1])
    measures["scale_ratio"] = float(max(high / median, median / low))
    if measures["scale_ratio"] <= SCALES:
        return
    largest = np.argsort(scale)[::-1]
    variance = np.cumsum(scale[largest] ** 2) / np.sum(scale**2)
    n_most = int(np.searchsorted(variance, 0.9)) + 1
    yield Finding(
        "unscaled",
        "warning",
        f"The standard deviations of columns range from {scale.min():.2g} to {high:.2g} (median "
        f"{median:.2g}): {n_most} of {len(scale):,} columns hold 90 % of the variance, the largest "
        f"is that of column {matrix.named(columns[largest[:1]])}.",
        "Put a StandardScaler before the classifier: support vector machines, neighbours and "
        "penalised regression see little but these columns.",
    )


def find_copies(
    Z: Array, rows: Array, emotions: Array | None, speakers: Array | None
) -> Iterator[Finding]:
    """Find rows, of standardised columns, that are equal up to rounding.

    Parameters
    ----------
    Z : ndarray of shape (n_rows, n_columns)
    rows : ndarray of shape (n_rows,)
        Their positions.
    emotions, speakers : ndarray of shape (n_rows,) or None
    """
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components
    from scipy.spatial import cKDTree

    # Equal rows stand for each other, or a group of them would have a pair for any two.
    _, first, group = np.unique(Z, axis=0, return_index=True, return_inverse=True)
    group = group.ravel()
    if Z.shape[1] >= COPY_DIRECTIONS:  # in fewer, rows are close by chance
        directions = np.random.default_rng(0).normal(size=(Z.shape[1], COPY_DIRECTIONS))
        projected = Z[first] @ (directions / np.sqrt(Z.shape[1]))
        close = cKDTree(projected).query_pairs(COPY, output_type="ndarray")
        apart = np.abs(Z[first[close[:, 0]]] - Z[first[close[:, 1]]]).max(axis=1, initial=0)
        i, j = close[apart < COPY].T
        links = coo_array((np.ones(len(i)), (i, j)), shape=(len(first), len(first)))
        group = connected_components(links, directed=False)[1][group]
    order = np.argsort(group, kind="stable")
    groups = np.split(order, np.flatnonzero(np.diff(group[order])) + 1)
    groups = sorted((each for each in groups if len(each) > 1), key=lambda each: each[0])
    if not groups:
        return
    mixed = []
    for what, labels in (("emotions", emotions), ("speakers", speakers)):
        n = 0 if labels is None else sum(len(set(labels[each].tolist())) > 1 for each in groups)
        mixed.append(f", {n} of them with different {what}" if n else "")
    n_copies = sum(len(each) - 1 for each in groups)
    yield Finding(
        "duplicates",
        "error" if mixed[0] else "warning",
        f"{n_copies:,} of {len(Z):,} rows {'is a copy' if n_copies == 1 else 'are copies'} of "
        f"others, in {_count(groups, 'group')}{''.join(mixed)} (the first: "
        f"{rows_named(rows[groups[0]].tolist())}).",
        "Keep one of each before splitting: copies in training and test set make scores too good. "
        "sklearn_ser.audit.find_duplicates finds copies among the clips.",
    )


def find_share(Z: Array, values: Array, name: str, measures: dict[str, float]) -> Iterator[Finding]:
    """Tell whether duration or loudness explains much of all standardised columns."""
    from scipy.stats import rankdata

    def ranks(of: Array) -> Array:
        ranked = rankdata(of, axis=0).astype(np.float32)
        ranked -= ranked.mean(axis=0)
        return ranked / np.sqrt(np.mean(ranked**2, axis=0))

    squared = (ranks(Z).T @ ranks(values) / len(Z)) ** 2
    measures[f"{name}_share"] = float(squared.mean())
    if measures[f"{name}_share"] < VARIANCE_SHARE:
        return
    remedies = {
        "duration": "Is padding part of the mean, or are frames summed up? Pool valid frames only, "
        "by mean and std. If duration is meant to count, let it be one feature.",
        "loudness": "Scale waveforms to one level before features are computed, or standardise by "
        "speaker (SpeakerScaler): level is that of the microphone, too.",
    }
    yield Finding(
        name,
        "warning",
        f"The {name} of clips explains {measures[f'{name}_share']:.0%} of the variance of "
        f"standardised columns (by squared rank correlations); {np.sum(squared > 0.25):,} of "
        f"{len(squared):,} columns are correlated with it by more than .5.",
        remedies[name],
    )


def find_confounding(emotions: Array, speakers: Array) -> Iterator[Finding]:
    """Tell whether speaker labels alone predict the emotion."""
    names, codes = np.unique(emotions, return_inverse=True)
    frame = pd.DataFrame({"emotion": [f"emotion {c}" for c in codes], "speaker": speakers})
    audit = audit_split(frame, speaker_folds(speakers, 2), audio=False)
    if audit.confounded:
        yield Finding(
            "confounded",
            "warning",
            f"Speaker labels alone predict the emotion with a UAR of {audit.speaker_uar:.2f} "
            f"(chance {1 / len(names):.2f}): most speakers have few of the emotions.",
            "Scores say how speakers of one emotion differ from those of another. Use a corpus in "
            "which speakers have all emotions, or say so.",
        )
