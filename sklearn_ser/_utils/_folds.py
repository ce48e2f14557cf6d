"""Folds as lists of (train, test) positions, and the labels that splitters split by.

What audits, evaluation, networks and recognizers have in common about folds of speakers; which
splitter a name stands for is known to :mod:`sklearn_ser.model_selection`.
"""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import numpy.typing as npt

from sklearn_ser._utils._labels import as_speakers
from sklearn_ser._utils._ratings import are_ratings
from sklearn_ser._utils._rows import as_list, refuse_missing

Folds = list[tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]]

MAX_HELD_OUT_FOLDS = 10


def cv_name(cv: Any, n_folds: int) -> str:
    """Return what results call a scheme: its name, its splitter, or that its folds were given."""
    if isinstance(cv, str):
        return cv
    return repr(cv) if hasattr(cv, "split") else f"{n_folds} given folds"


def speaker_folds(
    speakers: Any, max_folds: int, *, y: Any = None, random_state: int | None = None
) -> Folds:
    """Return folds that share no speaker: one a speaker, or `max_folds` if there are more.

    Parameters
    ----------
    speakers : ndarray of shape (n_clips,)
    max_folds : int
    y : ndarray of int of shape (n_clips,), default=None
        Codes of the emotions. If given, speakers are drawn for the folds, so that emotions are
        about as frequent in all of them; there are no more folds than clips of an emotion.
    random_state : int or None, default=None
        Determines the draw.

    Returns
    -------
    folds : list of (train, test)
        Empty if there is one speaker only.
    """
    from sklearn.model_selection import GroupKFold, StratifiedGroupKFold

    n_folds = min(max_folds, len(np.unique(speakers)))
    if n_folds < 2:
        return []
    if y is None:
        return list(GroupKFold(n_folds).split(speakers, groups=speakers))
    # scikit-learn refuses more folds than any emotion has clips.
    n_folds = min(n_folds, max(2, int(np.bincount(y).max())))
    splitter = StratifiedGroupKFold(n_folds, shuffle=True, random_state=random_state)
    with warnings.catch_warnings():  # of emotions with fewer clips than folds
        warnings.filterwarnings("ignore", "The least populated class", UserWarning)
        return list(splitter.split(y, y, speakers))


def clip_folds(y: Any, max_folds: int) -> Folds:
    """Return stratified folds of clips, for clips of which no speakers are known.

    Parameters
    ----------
    y : ndarray of shape (n_clips,)
        Emotions; ratings, as floats, are not stratified.
    max_folds : int
        There are no more folds than clips, or clips of an emotion.

    Returns
    -------
    folds : list of (train, test)
        Empty if nothing can be split.
    """
    from sklearn.model_selection import KFold, StratifiedKFold

    ratings = are_ratings(y)
    largest = len(y) if ratings else np.unique(y, return_counts=True)[1].max(initial=0)
    n_folds = min(max_folds, int(largest))
    if n_folds < 2:
        return []
    # Drawn, as clips often come in the order of emotions or speakers; and the same each time.
    splitter = (KFold if ratings else StratifiedKFold)(n_folds, shuffle=True, random_state=0)
    with warnings.catch_warnings():  # of emotions with fewer clips than folds
        warnings.filterwarnings("ignore", "The least populated class", UserWarning)
        return list(splitter.split(np.zeros((len(y), 1)), y))


def held_out_folds(y: Any, speakers: Any) -> Folds:
    """Return the folds by which a recognizer is measured on new speakers: ten of them at most.

    Raises
    ------
    ValueError
        If a training fold lacks an emotion.
    """
    for emotion in np.unique(y):
        if len(np.unique(speakers[y == emotion])) < 2:
            raise ValueError(
                f"{emotion} is spoken by one speaker only, so that it cannot be tested on a new "
                "one. Leave it out, or add speakers."
            )
    folds = speaker_folds(speakers, MAX_HELD_OUT_FOLDS)
    for train, _ in folds:
        if len(np.unique(y[train])) < len(np.unique(y)):
            raise ValueError(
                "an emotion is spoken only by speakers who share a fold. Leave it out, or add "
                "speakers."
            )
    return folds


def restrict_folds(folds: Folds, kept: Any, n_clips: int) -> Folds:
    """Return the folds of those of `n_clips` clips that are kept, counted among themselves.

    A fold that tests none of them is left out.
    """
    position = np.full(n_clips, -1)
    position[kept] = np.arange(len(kept))
    restricted = [(position[train], position[test]) for train, test in folds]
    restricted = [(train[train >= 0], test[test >= 0]) for train, test in restricted]
    return tested_folds(restricted, np.arange(len(kept)))


def tested_folds(folds: Folds, kept: Any) -> Folds:
    """Return the folds that test some of the clips that are kept: those that have a score."""
    return [(train, test) for train, test in folds if np.isin(test, kept).any()]


def split_labels(groups: Any, column: str, splitter: object) -> npt.NDArray[Any]:
    """Return what `splitter` splits by as an array of numbers or of text; see `split_column`.

    Speakers that are numbers are whole ones.
    """
    values = split_column(groups, column, splitter)
    array = np.array(values)
    labels = as_speakers(values, f"column {column}", fractions=column != "speaker")
    return array if array.dtype.kind in "iuf" else labels


def split_column(groups: Any, column: str, splitter: object) -> list[Any]:
    """Return `groups` itself, or its column if it is a frame; no value of it is missing.

    Parameters
    ----------
    groups : DataFrame with a row a clip, or array-like of shape (n_clips,)
        A corpus's frame, or that column of it.
    column : str
        Name of the column.
    splitter : object
        Named in errors.
    """
    name = type(splitter).__name__
    if groups is None:
        raise ValueError(
            f"{name} splits by {column}: pass groups=corpus.frame, or that column of it."
        )
    if hasattr(groups, "columns"):
        if column not in groups.columns:
            raise ValueError(
                f"{name} splits by {column}, and the frame has no such column, only "
                f"{list(groups.columns)}."
            )
        groups = groups[column]
    refuse_missing(groups, f"{name} splits by {column}", column)
    return as_list(groups)
