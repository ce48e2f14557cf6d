"""RAVDESSSplit: the split of RAVDESS into actors 1 to 20, 21 and 22, 23 and 24."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
from sklearn.model_selection import BaseCrossValidator

from sklearn_ser._utils import StrOptions, split_labels, validate_params
from sklearn_ser.model_selection._protocol import Protocol

__all__ = ["RAVDESSSplit"]

PARTS = {"train": range(1, 21), "validation": range(21, 23), "test": range(23, 25)}


class RAVDESSSplit(Protocol, BaseCrossValidator):
    """Train on actors 1 to 20 of RAVDESS, validate on 21 and 22, test on 23 and 24 [1]_.

    Two speakers are few to test on: the interval of a score is wide.

    Parameters
    ----------
    evaluate : {"test", "validation"}, default="test"
        What the one fold tests on. "validation" is for choices: of a layer, of when to stop.
    train_on_validation : bool, default=False
        Whether to add actors 21 and 22 to the training fold, once all choices are made.

    References
    ----------
    .. [1] L. Pepino, P. Riera, L. Ferrer, "Emotion recognition from speech using wav2vec 2.0
       embeddings", Interspeech 2021.

    Examples
    --------
    >>> from sklearn_ser.model_selection import RAVDESSSplit
    >>> actors = [f"{actor:02d}" for actor in range(1, 25)]
    >>> ((train, test),) = RAVDESSSplit().split(actors, groups=actors)
    >>> len(train), [actors[i] for i in test]
    (20, ['23', '24'])
    """

    speaker_independent = True
    citation = (
        'L. Pepino, P. Riera, L. Ferrer, "Emotion recognition from speech using wav2vec 2.0 '
        'embeddings", Interspeech 2021.'
    )
    __metadata_request__split = {"groups": True}

    @validate_params(
        {
            "self": "no_validation",
            "evaluate": [StrOptions({"test", "validation"})],
            "train_on_validation": ["boolean"],
        },
        prefer_skip_nested_validation=True,
    )
    def __init__(self, evaluate: str = "test", *, train_on_validation: bool = False) -> None:
        if evaluate == "validation" and train_on_validation:
            raise ValueError('evaluate="validation" cannot be trained on: train_on_validation.')
        self.evaluate = evaluate
        self.train_on_validation = train_on_validation

    def published_results(self, corpus: str | None = None) -> pd.DataFrame:
        """Return what was published for the defaults.

        Parameters
        ----------
        corpus : str, default=None
            Only those on this corpus.

        Returns
        -------
        results : DataFrame
            See :meth:`Protocol.published_results`.
        """
        known = super().published_results(corpus)
        as_published = self.evaluate == "test" and not self.train_on_validation
        return known if as_published else known[:0]

    def split(self, X: Any, y: Any = None, groups: Any = None) -> Iterator[Any]:
        """Generate the training and test indices of the one fold.

        Parameters
        ----------
        X : array-like of length n_clips
        y : array-like of shape (n_clips,), default=None
            Ignored.
        groups : DataFrame, or array-like of shape (n_clips,)
            The corpus's frame, or its actors: 1 to 24.

        Yields
        ------
        train, test : ndarray of int

        Raises
        ------
        ValueError
            If a speaker is no actor of RAVDESS, or a part has no clips.
        """
        column = split_labels(groups, "speaker", self)
        try:
            actors = column.astype(float)
        except ValueError:
            actors = np.zeros(len(column))
        if not np.isin(actors, np.arange(1, 25)).all():
            some = ", ".join(sorted(set(map(str, column)))[:5])
            raise ValueError(f"the speakers are no actors of RAVDESS, 1 to 24: {some}, …")
        parts = ["train", "validation"] if self.train_on_validation else ["train"]
        train = np.flatnonzero(np.isin(actors, [a for part in parts for a in PARTS[part]]))
        test = np.flatnonzero(np.isin(actors, PARTS[self.evaluate]))
        if not len(train) or not len(test):
            raise ValueError(
                f"{len(train)} clips to train on and {len(test)} to test on: the corpus lacks "
                f"the actors of the {'test' if len(train) else 'training'} fold."
            )
        yield train, test

    def get_n_splits(self, X: Any = None, y: Any = None, groups: Any = None) -> int:
        """Return 1.

        Parameters
        ----------
        X, y, groups : object
            Ignored.

        Returns
        -------
        n_splits : int
        """
        return 1
