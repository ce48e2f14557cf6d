"""Train on one corpus, test on another: how far what was learnt carries."""

from __future__ import annotations

import inspect
import os
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.utils import Bunch

from sklearn_ser._utils import Folds, check_corpora, restrict_folds
from sklearn_ser.audit import SplitAudit, audit_split
from sklearn_ser.datasets import pool_corpora
from sklearn_ser.evaluation._alignment import ALIGNMENTS
from sklearn_ser.evaluation._classifiers import check_classifier, check_fits
from sklearn_ser.evaluation._comparison import save, versions
from sklearn_ser.evaluation._fits import Clips, Task, fit_all, scores
from sklearn_ser.evaluation._matrices import embed
from sklearn_ser.evaluation._recipes import (
    corpus_digests,
    recipe_of,
    recipe_of_classifier,
    recipe_of_folds,
    recipe_of_splitter,
)
from sklearn_ser.exceptions import ClipError, LeakageWarning
from sklearn_ser.model_selection import corpus_folds

__all__ = ["CrossComparison", "compare_across"]

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class CrossComparison:
    """What :func:`compare_across` found.

    Parameters
    ----------
    results : dict
        What ``results.json`` holds: corpora, scheme, emotions, chance, cv (within a corpus),
        classifier, versions, and ``rows``, one a feature set, layer, alignment, training and test
        corpora.
    predictions : DataFrame
        One line a row of the results and a tested clip: row, fold, clip (its position among the
        clips put together), speaker, emotion, predicted.

    Examples
    --------
    >>> from sklearn_ser.datasets import make_emotional_speech
    >>> from sklearn_ser.evaluation import compare_across
    >>> corpora = {
    ...     name: make_emotional_speech(n_speakers=3, n_sentences=1, random_state=seed)
    ...     for seed, name in enumerate(["one", "two"])
    ... }
    >>> found = compare_across(corpora, ["mfcc"], classifier="lda", cache=None)
    >>> found.matrix().shape
    (2, 2)
    """

    results: dict[str, Any]
    predictions: pd.DataFrame

    @property
    def frame(self) -> pd.DataFrame:
        """The rows as a DataFrame."""
        return pd.DataFrame(self.results["rows"])

    def save(self, folder: str | os.PathLike[str]) -> None:
        """Write ``results.json`` and ``predictions.csv``.

        Parameters
        ----------
        folder : str or path-like
            Made if it is not there. Both files of an earlier comparison in it are replaced, and
            the figures that the command line drew of that one are removed.
        """
        save(self.results, self.predictions, folder)

    def matrix(
        self, features: str | None = None, layer: Any = None, alignment: str | None = None
    ) -> pd.DataFrame:
        """Return the UAR of each pair of corpora: a row for what was trained on.

        Parameters
        ----------
        features : str, default=None
            Which feature set; by default that of the best row between corpora.
        layer : int or str, default=None
            Which layer; by default its best.
        alignment : str, default=None
            Which alignment; by default none, or the first if all rows are aligned.

        Returns
        -------
        uar : DataFrame
            On its diagonal that of the folds within a corpus, which are never aligned: their mean,
            or pooled over them where they lack emotions (``averaging`` in the rows);
            elsewhere one UAR over all clips of the tested corpus. The last row, "all others",
            trains on all corpora but the one that is tested.

        Raises
        ------
        ValueError
            If there is no such row.
        """
        uar = self._selected(features, layer, alignment).pivot(
            index="train", columns="test", values="uar"
        )
        corpora = self.results["corpora"]
        return uar.loc[[n for n in [*corpora, ALL_OTHERS] if n in uar.index], list(corpora)]

    def _selected(self, features: str | None, layer: Any, alignment: str | None) -> pd.DataFrame:
        """Return the rows of one feature set, layer and alignment; see `matrix`."""
        frame = self.frame
        within = frame["train"] == frame["test"]
        rows = self.results["rows"]
        known = list(dict.fromkeys(r["alignment"] for r in rows if r["train"] != r["test"]))
        if alignment is None and None not in known:
            alignment = known[0]
        chosen = within | np.array([row["alignment"] == alignment for row in rows])
        if features is not None:
            chosen &= frame["features"] == features
        if layer is not None:
            chosen &= frame["layer"] == layer
        between = frame[chosen & ~within]
        if not len(between):
            raise ValueError(
                f"no rows of features={features!r}, layer={layer!r}, alignment={alignment!r}; "
                f"there are features {sorted(set(frame['features']))} and alignments {known}."
            )
        mean = between.groupby(["features", "layer"], dropna=False)["uar"].mean()
        best_features, best_layer = mean.index[int(mean.to_numpy().argmax())]
        chosen &= frame["features"] == best_features
        chosen &= frame["layer"].isna() if pd.isna(best_layer) else frame["layer"] == best_layer
        return frame[chosen]


ALL_OTHERS = "all others"


class _Cell(NamedTuple):
    """Training and test corpora, and the folds that are averaged for their score."""

    train: str
    test: str
    folds: Folds


def compare_across(
    corpora: Mapping[str, Any],
    features: Any = None,
    *,
    scheme: str | None = "four",
    alignment: str | Sequence[str | None] | None = None,
    layer: int | str | Sequence[int] | None = None,
    cv: Any = "loso",
    classifier: Any = "logistic",
    audit: bool = True,
    n_jobs: int | None = None,
    verbose: bool = False,
    random_state: int = 0,
    **parameters: Any,
) -> CrossComparison:
    """Compare features across corpora: train on each, test on each other, and on all the others.

    Each clip is embedded once. The classifier's C is chosen inside the training corpora, by a
    search whose folds share no speaker. Within a corpus, too, speakers are kept apart, unless `cv`
    does not; overlap is looked for as in :func:`compare`.

    Parameters
    ----------
    corpora : mapping of str to Bunch
        Two corpora or more by name, each with X, y and groups, as the loaders return.
    features : mapping, or sequence of str and embedders, default=None
        As in :func:`compare`.
    scheme : {"four", "ekman", "arousal", "valence", "quadrants"} or None, default="four"
        The labels that all corpora are given, see :func:`~sklearn_ser.datasets.harmonize_labels`.
        Only emotions that every corpus has are kept, so that chance is the same everywhere.
    alignment : {"standardize", "coral"}, None or list of these, default=None
        How features of another corpus are aligned. "standardize": each corpus by its own mean and
        standard deviation. "coral" [1]_: training clips are given the covariance of the test clips,
        both centred, scaled by the training clips' deviation, and shrunk (Ledoit and Wolf) instead
        of being added a constant. Both look at the test corpus, though not at its labels: such rows
        are marked transductive. A list makes a row of each.
    layer, classifier, audit, n_jobs, verbose, random_state, **parameters
        As in :func:`compare`.
    cv : str or cross-validator, default="loso"
        Folds within a corpus, as in :func:`compare`.

    Returns
    -------
    comparison : CrossComparison
        Its rows are those of :func:`compare`, with train and test, alignment, transductive,
        n_train (of the smallest fold), n_test, chance, speaker_independent and shares_audio.
        ``matrix()`` gives the UARs as a square.

    Raises
    ------
    ValueError
        If there is but one corpus, or they have fewer than two emotions in common.
    TypeError
        If `corpora` is no mapping of names to corpora, or a parameter would have no effect, as in
        :func:`compare`.
    ClipError
        If a clip cannot be used; it is named by corpus and its position there.

    Warns
    -----
    LeakageWarning
        If speakers, or audio, of a test fold are in its training fold.

    Notes
    -----
    The search for C sees training clips as they were aligned, without labels of the test corpus.

    References
    ----------
    .. [1] B. Sun, J. Feng, K. Saenko, "Correlation alignment for unsupervised domain adaptation",
       in "Domain Adaptation in Computer Vision Applications", 2017.

    Examples
    --------
    >>> from sklearn_ser.datasets import make_emotional_speech
    >>> from sklearn_ser.evaluation import compare_across
    >>> corpora = {
    ...     name: make_emotional_speech(n_speakers=3, n_sentences=1, random_state=seed)
    ...     for seed, name in enumerate(["one", "two"])
    ... }
    >>> found = compare_across(corpora, ["mfcc"], classifier="lda", cache=None)
    >>> found.frame[["train", "test", "chance"]].to_numpy().tolist()
    [['one', 'one', 0.25], ['one', 'two', 0.25], ['two', 'one', 0.25], ['two', 'two', 0.25]]
    """
    if not isinstance(corpora, Mapping) or not all(isinstance(name, str) for name in corpora):
        raise TypeError("corpora must be a mapping of names, which are texts, to corpora.")
    alignments: list[Any] = list(alignment) if isinstance(alignment, (list, tuple)) else [alignment]
    unknown = [name for name in alignments if name not in (None, *ALIGNMENTS)]
    if unknown or not alignments or len(set(alignments)) < len(alignments):
        raise ValueError(
            f"alignment={alignment!r}; it must be None, one of {list(ALIGNMENTS)}, or a list of "
            "these, each once."
        )
    corpora = check_corpora(corpora)
    if len(corpora) < 2:
        raise ValueError("compare_across needs two corpora or more; compare is for one.")
    check_classifier(classifier)
    pooled = pool_corpora(corpora, scheme)
    emotions = _in_all(pooled)
    kept = np.flatnonzero(np.isin(pooled.y, emotions))
    frame = pooled.frame.iloc[kept].reset_index(drop=True)
    if not isinstance(cv, str) and not hasattr(cv, "split"):
        cv = list(cv)  # each corpus is split by it
    cells = _cells(list(corpora), frame, cv)
    cv_folds = _within_corpora(cv, cells)
    _check_cells(classifier, cells, frame)
    try:
        matrices, usable, left_out, waveform_rate = embed(
            [pooled.X[i] for i in kept],
            features,
            n_clips=len(kept),
            layer=layer,
            n_jobs=n_jobs,
            verbose=verbose,
            caller_parameters=[*inspect.signature(compare_across).parameters],
            **parameters,
        )
    except ClipError as error:
        found = frame.iloc[error.position]
        name = f"{error.name} of {found['corpus']}"
        raise type(error)(int(found["position"]), name, error.cause, error.cure) from None
    left_out = [
        {**each, "corpus": row["corpus"], "clip": int(row["position"])}
        for each in left_out
        for row in [frame.iloc[each["clip"]]]
    ]
    if left_out:
        cells = [
            cell._replace(folds=restrict_folds(cell.folds, usable, len(kept))) for cell in cells
        ]
        frame = frame.iloc[usable].reset_index(drop=True)
        _check_cells(classifier, cells, frame)
    clip_of_row = kept[usable]
    X = [pooled.X[i] for i in clip_of_row]
    clips = Clips(*(frame[name].to_numpy(dtype=str) for name in ("emotion", "speaker", "corpus")))
    audits = _audit(cells, X, frame, audit, n_jobs, waveform_rate)
    descriptions: list[dict[str, Any]] = []
    tasks: list[Task] = []
    for matrix in matrices:
        for cell, found in zip(cells, audits, strict=True):
            for how in alignments if cell.train != cell.test else [None]:
                row = len(descriptions)
                descriptions.append(
                    {
                        **matrix.description,
                        "train": cell.train,
                        "test": cell.test,
                        "alignment": how,
                        "transductive": how is not None,
                        "speaker_independent": found.speaker_independent,
                        "shares_audio": found.shares_audio,
                        "n_train": min(len(train) for train, _ in cell.folds),
                        "n_test": sum(len(test) for _, test in cell.folds),
                        "chance": 1 / len(emotions),
                        "seconds_extract": round(matrix.seconds, 3),
                    }
                )
                tasks += [
                    Task(row, fold, matrix.values, *sides, how)
                    for fold, sides in enumerate(cell.folds)
                ]
    predictions = fit_all(tasks, classifier, clips, n_jobs=n_jobs, verbose=verbose)
    rows = [
        {**description, **scores(predictions[predictions["row"] == row], random_state)}
        for row, description in enumerate(descriptions)
    ]
    predictions["clip"] = clip_of_row[predictions["clip"]]
    results = {
        "corpora": {name: int(np.sum(clips.corpora == name)) for name in corpora},
        "n_speakers": {
            name: frame.loc[frame["corpus"] == name, "speaker"].nunique() for name in corpora
        },
        "n_clips_left_out": len(left_out),
        "clips_left_out": left_out,
        "digests": {
            name: corpus_digests(
                [X[i] for i in np.flatnonzero(clips.corpora == name)],
                clips.emotions[clips.corpora == name],
                clips.speakers[clips.corpora == name],
                waveform_rate,
            )
            for name in corpora
        },
        "scheme": scheme,
        "emotions": emotions,
        "chance": 1 / len(emotions),
        "audit": _verdict(cells, audits),
        "cv": cv if isinstance(cv, str) else repr(cv) if hasattr(cv, "split") else "given folds",
        "cv_parameters": recipe_of_splitter(cv),
        "cv_folds": cv_folds,
        "classifier": classifier if isinstance(classifier, str) else repr(classifier),
        "classifier_parameters": recipe_of_classifier(classifier),
        "random_state": recipe_of(random_state),
        "versions": versions(),
        "rows": rows,
    }
    return CrossComparison(results, predictions.drop(columns="seconds"))


def _check_cells(classifier: Any, cells: list[_Cell], frame: pd.DataFrame) -> None:
    for cell in cells:
        try:
            check_fits(classifier, cell.folds, frame["emotion"], frame["speaker"])
        except ValueError as error:
            raise ValueError(f"{cell.train} → {cell.test}, {error}") from None


def _within_corpora(cv: Any, cells: list[_Cell]) -> dict[str, Any] | None:
    """Return the folds of each corpus, counted among those of its clips that are compared."""
    if isinstance(cv, str):
        return None
    clips = {cell.test: cell.folds[0][1] for cell in cells if cell.train != cell.test}
    return {
        cell.test: recipe_of_folds(
            cv,
            [[np.searchsorted(clips[cell.test], side) for side in fold] for fold in cell.folds],
            len(clips[cell.test]),
        )
        for cell in cells
        if cell.train == cell.test
    }


def _audit(
    cells: list[_Cell],
    X: list[Any],
    frame: pd.DataFrame,
    audio: bool,
    n_jobs: int | None,
    waveform_rate: float | None,
) -> list[SplitAudit]:
    """Return what training and test folds of each cell share; the audio is read once."""
    corpus = Bunch(X=X, y=frame["emotion"], groups=frame["speaker"], frame=frame)
    folds = [fold for cell in cells for fold in cell.folds]
    rate = waveform_rate if audio else None
    found = audit_split(corpus, folds, audio=audio, waveform_rate=rate, n_jobs=n_jobs)
    ends = np.cumsum([len(cell.folds) for cell in cells])
    starts = ends - [len(cell.folds) for cell in cells]
    return [found.of_folds(start, end) for start, end in zip(starts, ends, strict=True)]


def _verdict(cells: list[_Cell], audits: list[SplitAudit]) -> str:
    """Return where there are leaks, in words, having warned of them."""
    leaks = [
        f"{cell.train} → {cell.test}: {found.verdict}"
        for cell, found in zip(cells, audits, strict=True)
        if found.leaks
    ]
    if leaks:
        warnings.warn(" ".join(leaks), LeakageWarning, stacklevel=3)
        return " ".join(leaks)
    audio = "audio was not compared" if audits[0].shares_audio is None else "nor is any audio"
    return f"No speaker is in both training and test set; {audio}."


def _in_all(pooled: Any) -> list[str]:
    """Return the emotions that every corpus has."""
    emotions = pooled.frame.groupby("corpus")["emotion"].agg(set)
    common = sorted(set.intersection(*emotions))
    if len(common) < 2:
        told = "; ".join(f"{name}: {', '.join(sorted(its))}" for name, its in emotions.items())
        raise ValueError(f"the corpora have {len(common)} emotions in common ({told}).")
    return common


def _cells(names: list[str], frame: pd.DataFrame, cv: Any) -> list[_Cell]:
    corpus = frame["corpus"].to_numpy()
    own = {name: np.flatnonzero(corpus == name) for name in names}
    cells = []
    for train in names:
        for test in names:
            folds: Folds = [(own[train], own[test])]
            if train == test:
                within = corpus_folds(frame.iloc[own[train]], cv)
                folds = [(own[train][a], own[train][b]) for a, b in within]
            cells.append(_Cell(train, test, folds))
    if len(names) > 2:
        for test in names:
            others = np.flatnonzero(corpus != test)
            cells.append(_Cell(ALL_OTHERS, test, [(others, own[test])]))
    return cells
