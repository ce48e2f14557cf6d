"""Train on one corpus, test on another: how far what was learned carries."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.utils import Bunch

from sklearn_ser._utils import Folds, all_rated, check_corpora, restrict_folds, tested_folds, warn
from sklearn_ser.audit import SplitAudit
from sklearn_ser.datasets import pool_corpora
from sklearn_ser.evaluation._alignment import ALIGNMENTS
from sklearn_ser.evaluation._classifiers import named_classifiers
from sklearn_ser.evaluation._cross_results import ALL_OTHERS, CrossComparison
from sklearn_ser.evaluation._recipes import corpus_digests, recipe_of_folds
from sklearn_ser.evaluation._runner import Cell, Setup, chance_of, run
from sklearn_ser.exceptions import ClipError, LeakageWarning
from sklearn_ser.model_selection import corpus_folds

__all__ = ["compare_across"]

Array = npt.NDArray[Any]


def compare_across(
    corpora: Mapping[str, Any],
    features: Any = None,
    *,
    scheme: str | None = "four",
    alignment: str | Sequence[str | None] | None = None,
    same_scale: bool = False,
    layer: int | str | Sequence[int] | None = None,
    cv: Any = "loso",
    classifier: Any = None,
    nested: bool = True,
    audit: bool = True,
    n_jobs: int | None = None,
    memory: str | os.PathLike[str] | None = None,
    verbose: bool = False,
    **parameters: Any,
) -> CrossComparison:
    """Compare features across corpora: train on each, test on each other, and on all the others.

    Each clip is embedded once. The classifier's C is chosen inside the training corpora, by a
    search whose folds share no speaker. Within a corpus, too, speakers are kept apart, unless `cv`
    does not; overlap is looked for as in :func:`compare`.

    Parameters
    ----------
    corpora : mapping of str to Bunch
        Two corpora or more by name, each with X, y and groups, as the loaders return. If y holds
        floats, in all of them, it is ratings (arousal, valence, dominance), as in :func:`compare`.
    features : mapping, or sequence of str and embedders, default=None
        As in :func:`compare`.
    scheme : {"four", "ekman", "arousal", "valence", "quadrants"} or None, default="four"
        The labels that all corpora are given, see :func:`~sklearn_ser.datasets.harmonize_labels`.
        Only emotions that every corpus has are kept, so that chance is the same everywhere. It is
        not for ratings.
    alignment : {"standardize", "coral"}, None or list of these, default=None
        How features of another corpus are aligned. "standardize": each corpus by its own mean and
        standard deviation. "coral" [1]_: training clips are given the covariance of the test clips,
        both centred, scaled by the training clips' deviation, and shrunk (Ledoit and Wolf) instead
        of being added a constant. Both look at the test corpus, though not at its labels: such rows
        are marked transductive. A list makes a row of each. Classifiers of clips are not aligned:
        a warning names them, and their tables say so.
    same_scale : bool, default=False
        Of ratings: whether they are on one scale although their ranges differ much. Otherwise a
        corpus that covers less than 80 % of the range of all ratings is an error.
    layer, classifier, nested, audit, n_jobs, memory, verbose, **parameters
        As in :func:`compare`.
    cv : str, cross-validator or iterable of (train, test), default="loso"
        Folds within a corpus, as in :func:`compare`; positions are those in each corpus, clips that
        are left out among them.

    Returns
    -------
    comparison : CrossComparison
        Its rows are those of :func:`compare`, with train and test, alignment, transductive,
        n_train (of the smallest fold), n_test, chance, speaker_independent and shares_audio.
        ``matrix()`` gives the UARs, or of ratings the CCCs, as a square, and ``differences()``
        compares rows that test the same corpus.

    Raises
    ------
    ValueError
        If there is but one corpus, or they have fewer than two emotions in common; or some have
        ratings and others emotions, or ratings seem to be on different scales.
    TypeError
        If `corpora` is no mapping of names to corpora, or a parameter would have no effect, as in
        :func:`compare`.
    ClipError
        If a clip cannot be used; it is named by corpus and its position there.

    Warns
    -----
    LeakageWarning
        If speakers, or audio, of a test fold are in its training fold.
    UserWarning
        If `alignment` has no effect on some rows, or ratings are all whole numbers.

    See Also
    --------
    CrossComparison : What it returns.
    compare : Within one corpus.

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
    ratings = all_rated(corpora)
    classifiers = named_classifiers(classifier, ratings=ratings)
    pooled = pool_corpora(corpora, scheme, same_scale=same_scale)
    emotions = [] if ratings else _in_all(pooled)
    kept = np.flatnonzero(ratings | np.isin(pooled.y, emotions))
    frame = pooled.frame.iloc[kept].reset_index(drop=True)
    corpus = Bunch(
        name=" + ".join(corpora),
        X=[pooled.X[i] for i in kept],
        y=frame["emotion"].to_numpy(dtype=float if ratings else str),
        groups=frame["speaker"].to_numpy(dtype=str),
        frame=frame,
    )
    if not isinstance(cv, str) and not hasattr(cv, "split"):
        cv = list(cv)  # each corpus is split by it
    cells = _cells(corpora, frame, cv)
    setup = Setup(
        caller=compare_across,
        features=features,
        layer=layer,
        cv=cv,
        classifiers=classifiers,
        classifiers_are_asked_for=classifier is not None,
        nested=nested,
        audit=audit,
        n_jobs=n_jobs,
        verbose=verbose,
        parameters=parameters,
        memory=memory,
        alignments=alignments,
    )
    try:
        found = run(corpus, cells, setup)
    except ClipError as error:
        place = frame.iloc[error.position]
        name = f"{error.name} of {place['corpus']}"
        raise type(error)(int(place["position"]), name, error.cause, error.cure) from None
    left_out = [
        {**each, "corpus": place["corpus"], "clip": int(place["position"])}
        for each in found.left_out
        for place in [frame.iloc[each["clip"]]]
    ]
    found.predictions["clip"] = kept[found.predictions["clip"]]
    used = found.corpus
    rows_of = {name: np.flatnonzero(used.frame["corpus"] == name) for name in corpora}
    return CrossComparison(
        rating=pooled.get("rating"),
        corpora={name: len(rows) for name, rows in rows_of.items()},
        n_speakers={name: len(np.unique(used.groups[rows])) for name, rows in rows_of.items()},
        scheme=None if ratings else scheme,
        n_clips_left_out=len(left_out),
        clips_left_out=left_out,
        digests={
            name: corpus_digests(
                [used.X[i] for i in rows], used.y[rows], used.groups[rows], found.waveform_rate
            )
            for name, rows in rows_of.items()
        },
        emotions=emotions,
        chance=chance_of(used.y),
        audit=_verdict(cells, found.audits),
        cv=cv if isinstance(cv, str) else repr(cv) if hasattr(cv, "split") else "given folds",
        cv_folds=_within_corpora(cv, cells, found.usable),
        rows=found.rows,
        nested=found.nested,
        predictions=found.predictions,
        **found.asked,
    )


def _within_corpora(cv: Any, cells: list[Cell], usable: Array) -> dict[str, Any] | None:
    """Return the folds of each corpus that have a score, counted among its clips in the cells."""
    if isinstance(cv, str):
        return None
    clips = {cell.test: cell.folds[0][1] for cell in cells if cell.train != cell.test}
    return {
        cell.test: recipe_of_folds(
            cv,
            [
                [np.searchsorted(clips[cell.test], side) for side in fold]
                for fold in tested_folds(cell.folds, usable)
            ],
            len(clips[cell.test]),
        )
        for cell in cells
        if cell.train == cell.test
    }


def _verdict(cells: list[Cell], audits: list[SplitAudit]) -> str:
    """Return where there are leaks, in words, having warned of them."""
    leaks = [
        f"{cell.train} → {cell.test}: {found.verdict}"
        for cell, found in zip(cells, audits, strict=True)
        if found.leaks
    ]
    if leaks:
        warn(" ".join(leaks), LeakageWarning)
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


def _folds_within(corpus: Any, frame: pd.DataFrame, cv: Any) -> Folds:
    """Return the folds of those clips of a corpus that are compared, which are in the frame."""
    if isinstance(cv, str) or hasattr(cv, "split"):
        return corpus_folds(frame, cv)
    # Positions are those in the corpus, whose clips need not all be compared.
    return restrict_folds(corpus_folds(corpus, cv), frame["position"].to_numpy(), len(corpus.y))


def _cells(corpora: Mapping[str, Any], frame: pd.DataFrame, cv: Any) -> list[Cell]:
    names = list(corpora)
    corpus = frame["corpus"].to_numpy()
    own = {name: np.flatnonzero(corpus == name) for name in names}
    cells = []
    for train in names:
        for test in names:
            folds: Folds = [(own[train], own[test])]
            if train == test:
                within = _folds_within(corpora[train], frame.iloc[own[train]], cv)
                folds = [(own[train][a], own[train][b]) for a, b in within]
            cells.append(Cell(train, test, folds))
    if len(names) > 2:
        for test in names:
            others = np.flatnonzero(corpus != test)
            cells.append(Cell(ALL_OTHERS, test, [(others, own[test])]))
    return cells
