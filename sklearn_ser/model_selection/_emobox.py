"""EmoBoxFolds: the folds of EmoBox, of which `load_emobox` loads the clips."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Iterator
from pathlib import PurePath
from typing import Any

import numpy as np
import pandas as pd
from sklearn.model_selection import BaseCrossValidator

from sklearn_ser._utils import (
    composed,
    emobox_folder,
    n_emobox_folds,
    read_emobox_fold,
    split_column,
)
from sklearn_ser.model_selection._protocols import Protocol

__all__ = ["EmoBoxFolds"]

# Whether its folds of a corpus share no speaker, counted in its metadata (commit 08280f2) by the
# speakers that `load_emobox` finds; MEAD's test set has all of its speakers.
SHARED = """aesdd ased asvpesd cremad emns emodb emovdb enterface mead oreau pavoque shemo tess
    turevdb urdu"""
APART = """cafe casia emovo iemocap jlcorpus polish ravdess savee subesco"""
SPEAKER_INDEPENDENT = dict.fromkeys(SHARED.split(), False) | dict.fromkeys(APART.split(), True)
NAMES = {"emodb": "EmoDB", "ravdess": "RAVDESS", "cremad": "CREMA-D", "iemocap": "IEMOCAP"}


class EmoBoxFolds(Protocol, BaseCrossValidator):
    """The folds of a corpus as EmoBox splits it [1]_.

    Clips are known by their file names, so that they may lie anywhere; by the column key in a
    frame that has one, as that of :func:`~sklearn_ser.datasets.load_emobox`.

    Parameters
    ----------
    folder : str or path-like
        The repository of EmoBox, or its folder ``data``.
    corpus : str
        Name of the corpus's folder in ``data``, such as "iemocap".
    train_on_validation : bool, default=False
        Whether clips that EmoBox keeps for validation are trained on.

    Attributes
    ----------
    speaker_independent : bool or None
        True for CaFE, CASIA, EMOVO, IEMOCAP, JL-Corpus, Polish, RAVDESS, SAVEE and SUBESCO; False
        for AESDD, ASED, ASVP-ESD, CREMA-D, EMNS, EmoDB, EmoV-DB, eNTERFACE, MEAD, Oréau, PAVOQUE,
        ShEMO, TESS, TurEV-DB and URDU, whose folds share speakers between training and test; None
        for the others: of ESD it was not looked up, and the speakers of the rest are not known.

    See Also
    --------
    sklearn_ser.datasets.load_emobox : Loads a corpus of EmoBox.

    References
    ----------
    .. [1] Z. Ma et al., "EmoBox: multilingual multi-corpus speech emotion recognition toolkit
       and benchmark", Interspeech 2024.

    Examples
    --------
    >>> from sklearn_ser.model_selection import EmoBoxFolds
    >>> protocol = EmoBoxFolds("EmoBox", "ravdess")
    >>> protocol.speaker_independent
    True
    >>> float(protocol.published_results().query("metric == 'uar'")["value"].max())
    0.753
    """

    citation = (
        'Z. Ma et al., "EmoBox: multilingual multi-corpus speech emotion recognition toolkit and '
        'benchmark", Interspeech 2024.'
    )
    __metadata_request__split = {"groups": True}

    def __init__(
        self, folder: str | os.PathLike[str], corpus: str, *, train_on_validation: bool = False
    ) -> None:
        self.folder = folder
        self.corpus = corpus
        self.train_on_validation = train_on_validation

    @property
    def _key(self) -> str:
        return self.corpus.lower().replace("-", "").replace("_", "")

    @property
    def speaker_independent(self) -> bool | None:  # type: ignore[override]
        """Whether no speaker is in both training and test set."""
        return SPEAKER_INDEPENDENT.get(self._key)

    def published_results(self, corpus: str | None = None) -> pd.DataFrame:
        """Return what EmoBox published.

        Parameters
        ----------
        corpus : str, default=None
            Name of the corpus; None is that of the folds.

        Returns
        -------
        results : DataFrame
            See :meth:`Protocol.published_results`.
        """
        return super().published_results(corpus or NAMES.get(self._key, self.corpus))

    def split(self, X: Any, y: Any = None, groups: Any = None) -> Iterator[Any]:
        """Generate training and test indices of each fold.

        Parameters
        ----------
        X : array-like of length n_clips
        y : array-like of shape (n_clips,), default=None
            Ignored.
        groups : DataFrame, or array-like of shape (n_clips,)
            The corpus's frame, with key or path, or the paths of its clips.

        Yields
        ------
        train, test : ndarray of int

        Raises
        ------
        ValueError
            If a fold names none of the clips, or a clip in several splits, or a clip is in none of
            the folds.
        """
        place = emobox_folder(self.folder, self.corpus)
        folds = range(1, n_emobox_folds(place) + 1)
        rows = [read_emobox_fold(place, self.corpus, fold) for fold in folds]
        if hasattr(groups, "columns") and "key" in groups.columns:
            field = "key"
            name: Callable[[str], object] = composed
        else:
            field, name = "path", _shortest_unique({row["path"] for fold in rows for row in fold})
        clips = [str(clip) for clip in split_column(groups, field, self)]
        names = [name(clip) for clip in clips]
        known = {name(row[field]) for fold in rows for row in fold}
        missing = [clip for clip, its in zip(clips, names, strict=True) if its not in known]
        if missing:
            raise ValueError(
                f"EmoBox does not list {len(missing)} of the clips in {place}, such as "
                f"{missing[0]}. Leave them out first."
            )
        for fold, fold_rows in zip(folds, rows, strict=True):
            split = {name(row[field]): row["split"] for row in fold_rows}
            several = {row[field] for row in fold_rows if split[name(row[field])] != row["split"]}
            if several:
                raise ValueError(
                    f"fold {fold} of EmoBox has {len(several)} clips in several splits, such as "
                    f"{min(several)}. Leave them out of all but one."
                )
            parts = np.array([split.get(its, "") for its in names])
            wanted = ["train", "valid"] if self.train_on_validation else ["train"]
            train, test = np.flatnonzero(np.isin(parts, wanted)), np.flatnonzero(parts == "test")
            if not len(train) or not len(test):
                raise ValueError(
                    f"fold {fold} of EmoBox has {len(train)} of the clips to train on and "
                    f"{len(test)} to test on."
                )
            yield train, test

    def get_n_splits(self, X: Any = None, y: Any = None, groups: Any = None) -> int:
        """Return the number of folds.

        Parameters
        ----------
        X, y, groups : object
            Ignored.

        Returns
        -------
        n_splits : int
        """
        return n_emobox_folds(emobox_folder(self.folder, self.corpus))


def _shortest_unique(paths: set[str]) -> Callable[[str], object]:
    """Return a function that shortens paths to their last parts, as few as keep all different."""

    def shorten(path: str, n_parts: int) -> tuple[str, ...]:
        pure = PurePath(composed(path))
        return (*pure.parts[-n_parts:-1], pure.stem)

    longest = max(len(PurePath(path).parts) for path in paths)
    n_parts = 1
    while n_parts < longest and len({shorten(path, n_parts) for path in paths}) < len(paths):
        n_parts += 1
    return functools.cache(functools.partial(shorten, n_parts=n_parts))
