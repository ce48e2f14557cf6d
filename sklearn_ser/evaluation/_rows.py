"""One row of results: the scores of one feature set."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import MISSING, dataclass, field, fields
from pathlib import Path
from typing import Any, ClassVar

__all__ = [
    "FOLDS",
    "MEAN",
    "POOLED",
    "SPEAKERS",
    "ConcordanceScores",
    "RatingRow",
    "RecallScores",
    "Row",
    "best_with_features",
    "features_name",
    "interval_cell",
    "number_cell",
    "record_of",
    "row_name",
    "score_cell",
    "varying",
]

# How a score comes out of several folds.
MEAN, POOLED = "mean over folds", "pooled over folds"
# What intervals and paired tests are over.
SPEAKERS, FOLDS = "speakers", "folds (speakers unknown)"


class Scored:
    """What scores of emotions and of ratings have in common."""

    #: What the first score is called, its field, and what the others are called, by field.
    metric: ClassVar[str]
    score_field: ClassVar[str]
    other_fields: ClassVar[dict[str, str]]
    averaging: str

    @property
    def score(self) -> float:
        """The score that rows are ordered by: the UAR, or of ratings the CCC."""
        value: float = getattr(self, self.score_field)
        return value

    @property
    def score_ci(self) -> list[float] | None:
        """The 95 % interval of that score; None with fewer than four speakers."""
        ends: list[float] | None = getattr(self, f"{self.score_field}_ci")
        return ends

    @property
    def other_scores(self) -> dict[str, float]:
        """The other scores, by what they are called."""
        return {name: getattr(self, field) for field, name in self.other_fields.items()}

    @property
    def is_pooled(self) -> bool:
        """Whether the score is of all folds' predictions together, and no mean over folds."""
        return self.averaging == POOLED


@dataclass(frozen=True)
class RecallScores(Scored):
    """Scores of predicted emotions."""

    metric = "UAR"
    score_field = "uar"
    other_fields: ClassVar[dict[str, str]] = {"accuracy": "accuracy", "macro_f1": "macro F1"}
    uar: float
    accuracy: float
    macro_f1: float
    uar_ci: list[float] | None
    averaging: str
    fold_uar: list[float]


@dataclass(frozen=True)
class ConcordanceScores(Scored):
    """Scores of predicted ratings."""

    metric = "CCC"
    score_field = "ccc"
    other_fields: ClassVar[dict[str, str]] = {"pearson": "Pearson", "rmse": "RMSE"}
    ccc: float
    pearson: float
    rmse: float
    ccc_ci: list[float] | None
    averaging: str
    fold_ccc: list[float]


@dataclass(frozen=True)
class Described:
    """What a row is, and how its score differs from that of the best row."""

    features: str
    model: str | None
    layer: int | str | None
    pooling: str | None
    classifier: str | None
    train: str
    test: str
    speaker_scaling: str | None
    alignment: str | None
    transductive: bool
    n_train: int
    n_test: int
    chance: float
    speaker_independent: bool | None
    shares_audio: bool | None
    embedder: dict[str, Any]
    seconds_extract: float
    seconds_fit: float
    difference: float | None
    difference_ci: list[float] | None
    p_value: float | None
    p_holm: float | None
    not_worse_than_best: bool | None
    units: str = field(default=SPEAKERS, kw_only=True)

    @property
    def is_over_folds(self) -> bool:
        """Whether interval and tests are over folds, as speakers are unknown."""
        return self.units == FOLDS

    @property
    def crosses(self) -> bool:
        """Whether training and test corpus are two."""
        return self.train != self.test

    @property
    def name(self) -> str:
        """What the features are called, with the model, if there is one.

        A model is called by its id on the hub, or by the last part of its folder.
        """
        name, apart = self.features, []
        for model in self.model.split(", ") if self.model else ():
            if f":{model}" in name:  # of ssl: or pretrained:
                name = name.replace(f":{model}", f":{_short(model)}")
            elif model not in self.features.split("+"):
                apart.append(_short(model))
        return f"{name} ({', '.join(apart)})" if apart else name


@dataclass(frozen=True)
class Row(RecallScores, Described):
    """Scores of one feature set, layer and classifier, trained on one corpus and tested on one.

    Parameters
    ----------
    features : str
        Name of the feature set.
    model, layer, pooling : str, int or None
        Of features that have them.
    classifier : str or None
        Name of the classifier; None of a row that is a classifier of clips itself.
    train, test : str
        Names of the corpora; within one corpus, folds keep training and test clips apart.
    speaker_scaling, alignment : str or None
        How features were scaled by speaker, and aligned to the test corpus.
    transductive : bool
        Whether features of test clips were used, though not their labels.
    n_train, n_test : int
        Training clips of the smallest fold, and test clips of all folds.
    chance : float
        UAR of a guess: 1 / number of emotions.
    speaker_independent : bool or None
        Whether no speaker is in training and test set of a fold; None if speakers are unknown.
    shares_audio : bool or None
        Whether the same audio is; None if audio was not compared.
    embedder : dict
        What to make the embedder from, and everything that its values depend on; of a row that is
        a classifier of clips, what to make that from.
    seconds_extract, seconds_fit : float
        Time that extraction (of all layers) and all fits took.
    difference, difference_ci, p_value : float, list of float, float, or None
        UAR less that of the best row on the same folds, its 95 % interval and its p-value, paired
        by speaker; None of that row itself. The latter two are None with fewer than four speakers.
    p_holm : float or None
        The p-value by Holm's method, among those of all pairs of rows on the same folds, of which
        the best one was chosen.
    not_worse_than_best : bool or None
        Whether it cannot be told from the best row: it is that row, or `p_holm` is 0.05 or more.
    uar, accuracy, macro_f1 : float
        Unweighted average recall and others, averaged as `averaging` says.
    uar_ci : list of float, or None
        Interval of the UAR, 95 %, by :func:`speaker_interval`; None with fewer than four speakers.
    averaging : str
        "mean over folds", or "pooled over folds" where folds lack emotions.
    fold_uar : list of float
        UAR of each fold over the emotions that it has.
    units : str, default="speakers"
        What interval and tests are over: "speakers", or "folds (speakers unknown)".

    See Also
    --------
    Comparison : Has them as ``rows``.
    RatingRow : The same for ratings.

    Examples
    --------
    >>> from sklearn_ser.datasets import make_emotional_speech
    >>> from sklearn_ser.evaluation import compare
    >>> corpus = make_emotional_speech(n_speakers=3, n_sentences=1, random_state=0)
    >>> (row,) = compare(corpus, ["mfcc"], classifier="lda", audit=False).rows
    >>> row.features, row.n_test, 0 <= row.uar <= 1
    ('mfcc', 12, True)
    """


@dataclass(frozen=True)
class RatingRow(ConcordanceScores, Described):
    """Scores of one feature set, layer and regressor, which predict ratings.

    Parameters
    ----------
    features : str
        Name of the feature set.
    model, layer, pooling : str, int or None
        Of features that have them.
    classifier : str or None
        Name of the regressor; None of a row that is a regressor of clips itself.
    train, test : str
        Names of the corpora; within one corpus, folds keep training and test clips apart.
    speaker_scaling, alignment : str or None
        How features were scaled by speaker, and aligned to the test corpus.
    transductive : bool
        Whether features of test clips were used, though not their labels.
    n_train, n_test : int
        Training clips of the smallest fold, and test clips of all folds.
    chance : float
        CCC of a constant: 0.
    speaker_independent : bool or None
        Whether no speaker is in training and test set of a fold; None if speakers are unknown.
    shares_audio : bool or None
        Whether the same audio is; None if audio was not compared.
    embedder : dict
        What to make the embedder from, and everything that its values depend on; of a row that is
        a regressor of clips, what to make that from.
    seconds_extract, seconds_fit : float
        Time that extraction (of all layers) and all fits took.
    difference, difference_ci, p_value : float, list of float, float, or None
        CCC less that of the best row on the same folds, its 95 % interval and its p-value, paired
        by speaker; None of that row itself. The latter two are None with fewer than four speakers.
    p_holm : float or None
        The p-value by Holm's method, among those of all pairs of rows on the same folds, of which
        the best one was chosen.
    not_worse_than_best : bool or None
        Whether it cannot be told from the best row: it is that row, or `p_holm` is 0.05 or more.
    ccc, pearson, rmse : float
        Concordance correlation coefficient (:func:`ccc_score`), Pearson's correlation and root mean
        square error, each of the predictions of all folds together.
    ccc_ci : list of float, or None
        Interval of the CCC, 95 %, by :func:`concordance_interval`; None with fewer than four
        speakers.
    averaging : str
        "pooled over folds".
    fold_ccc : list of float
        CCC of each fold.
    units : str, default="speakers"
        What interval and tests are over: "speakers", or "folds (speakers unknown)".

    See Also
    --------
    Comparison : Has them as ``rows``.
    Row : The same for emotions.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_ser.datasets import make_emotional_speech
    >>> from sklearn_ser.evaluation import compare
    >>> corpus = make_emotional_speech(n_speakers=3, n_sentences=1, random_state=0)
    >>> corpus.y = np.where(corpus.y == "anger", 0.9, 0.2)
    >>> (row,) = compare(corpus, ["mfcc"], audit=False).rows
    >>> row.classifier, -1 <= row.ccc <= 1
    ('ridge', True)
    """


def _short(model: str) -> str:
    """Return a model's id on the hub, or the last part of its folder."""
    path = Path(model)
    is_folder = path.is_absolute() or len(path.parts) > 2 or path.exists()
    return path.name if is_folder or model.startswith((".", "~")) else model


def best_with_features(rows: Sequence[Any]) -> int | None:
    """Return the position of the best row that is fitted on features; None if there is none.

    The others are classifiers of clips.
    """
    positions = [k for k, row in enumerate(rows) if row.classifier is not None]
    return max(positions, key=lambda k: rows[k].score, default=None)


def varying(rows: Sequence[Described]) -> list[str]:
    """Return which of these are several for some feature set.

    Alignment and corpora are so where rows between corpora are drawn together.
    """
    of_features: dict[str, list[Described]] = {}
    for row in rows:
        of_features.setdefault(row.features, []).append(row)
    return [
        name
        for name in ("layer", "pooling", "classifier", "alignment", "train", "test")
        if any(len({getattr(row, name) for row in its}) > 1 for its in of_features.values())
    ]


def features_name(row: Described, rows: Sequence[Described]) -> str:
    """Return `name` of a row; in full where that is the name of other features, too.

    So it is of models in folders that are called the same, such as two ``checkpoint-500``.
    """
    of_features = {other.features: other for other in [*rows, row]}
    namesakes = [other for other in of_features.values() if other.name == row.name]
    return row.name if len(namesakes) == 1 else row.features


def row_name(row: Described, rows: Sequence[Described], *, layer: bool = True) -> str:
    """Return what a row is called among others: by features and layer, and by what else differs."""
    described = {"train": "trained on ", "test": "tested on "}
    others = [
        f"{described.get(name, '')}{value}"
        for name in varying(rows)
        if name != "layer" and (value := getattr(row, name)) is not None
    ]
    layers = [f"layer {row.layer}"] if layer and row.layer is not None else []
    name = features_name(row, rows)
    return ", ".join([name, *layers, *others])


def record_of(cls: Any, values: dict[str, Any], what: str) -> Any:
    """Return a dataclass of these values, or an error that names what is missing or unknown."""
    given = [f for f in fields(cls) if not f.metadata.get("in_memory")]
    names = {f.name for f in given}
    needed = {f.name for f in given if f.default is MISSING}
    if wrong := sorted((needed - set(values)) | (set(values) - names)):
        raise ValueError(f"{what}: fields that are missing or unknown: {', '.join(wrong)}.")
    return cls(**values)


def number_cell(value: float, digits: int) -> str:
    return f"{value:.{digits}f}".replace("-", "−")


def interval_cell(ends: Sequence[float] | None, digits: int) -> str:
    if ends is None:
        return ""
    return (" to " if ends[0] < 0 else "–").join(number_cell(end, digits) for end in ends)


def score_cell(scored: Any, digits: int, mark: str = "") -> str:
    """Return the score of a row or a nested one, a mark, and its interval in brackets."""
    ends = interval_cell(scored.score_ci, digits)
    return number_cell(scored.score, digits) + mark + (f" ({ends})" if ends else "")
