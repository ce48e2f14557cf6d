"""LeaveOneSpeakerOut and its like: leave one speaker, session, sentence or corpus out."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar

import numpy as np
from sklearn.model_selection import LeaveOneGroupOut

from sklearn_ser._utils import split_labels
from sklearn_ser.model_selection._protocol import Protocol

__all__ = [
    "LeaveOneCorpusOut",
    "LeaveOneSentenceOut",
    "LeaveOneSessionOut",
    "LeaveOneSpeakerOut",
]


class _LeaveOneOut(Protocol, LeaveOneGroupOut):
    """LeaveOneGroupOut by a column of a corpus's frame."""

    column: ClassVar[str]

    def split(self, X: Any, y: Any = None, groups: Any = None) -> Iterator[Any]:
        """Generate training and test indices of each fold, in the column's sorted order.

        Parameters
        ----------
        X : array-like of length n_clips
        y : array-like of shape (n_clips,), default=None
            Ignored.
        groups : DataFrame, or array-like of shape (n_clips,)
            The corpus's frame, or the column of it that is split by.

        Yields
        ------
        train, test : ndarray of int
        """
        column = split_labels(groups, self.column, self)
        if X is None:
            X = np.zeros((len(column), 1))
        yield from super().split(X, y, column)

    def get_n_splits(self, X: Any = None, y: Any = None, groups: Any = None) -> int:
        """Return the number of folds.

        Parameters
        ----------
        X, y : object
            Ignored.
        groups : DataFrame, or array-like of shape (n_clips,)
            The corpus's frame, or the column of it that is split by.

        Returns
        -------
        n_splits : int
        """
        return int(super().get_n_splits(groups=split_labels(groups, self.column, self)))


class LeaveOneSpeakerOut(_LeaveOneOut):
    """Test on each speaker in turn, train on the others.

    It is scikit-learn's LeaveOneGroupOut that finds the speakers in a corpus's frame itself.

    Examples
    --------
    >>> from sklearn_ser.datasets import make_emotional_speech
    >>> from sklearn_ser.model_selection import LeaveOneSpeakerOut
    >>> corpus = make_emotional_speech(n_speakers=3, n_sentences=1, random_state=0)
    >>> [len(test) for _, test in LeaveOneSpeakerOut().split(corpus.X, groups=corpus.frame)]
    [4, 4, 4]
    """

    column = "speaker"
    speaker_independent = True


class LeaveOneSessionOut(_LeaveOneOut):
    """Test on each recording session in turn, train on the others.

    The usual protocol of IEMOCAP, whose five sessions share no speaker: SUPERB [1]_, EmoBox [2]_
    and Pepino et al. [3]_ use it.

    References
    ----------
    .. [1] S. Yang et al., "SUPERB: speech processing universal performance benchmark",
       Interspeech 2021.
    .. [2] Z. Ma et al., "EmoBox: multilingual multi-corpus speech emotion recognition toolkit
       and benchmark", Interspeech 2024.
    .. [3] L. Pepino, P. Riera, L. Ferrer, "Emotion recognition from speech using wav2vec 2.0
       embeddings", Interspeech 2021.

    Examples
    --------
    >>> from sklearn_ser.model_selection import LeaveOneSessionOut
    >>> protocol = LeaveOneSessionOut()
    >>> sessions = ["1", "1", "2", "2", "2"]
    >>> [test.tolist() for _, test in protocol.split(sessions, groups=sessions)]
    [[0, 1], [2, 3, 4]]
    >>> superb = protocol.published_results("IEMOCAP").query("source.str.contains('SUPERB')")
    >>> float(superb["value"].max())
    0.7
    """

    column = "session"
    speaker_independent = None  # so it is in IEMOCAP
    citation = (
        'S. Yang et al., "SUPERB: speech processing universal performance benchmark", '
        "Interspeech 2021."
    )


class LeaveOneSentenceOut(_LeaveOneOut):
    """Test on each sentence in turn, train on the others: text-independent.

    Speakers are in training and test set, so that its scores do not hold for new speakers; they
    show how much a leave-one-speaker-out score owes to sentences that are in the training set.

    Examples
    --------
    >>> from sklearn_ser.datasets import make_emotional_speech
    >>> from sklearn_ser.model_selection import LeaveOneSentenceOut
    >>> corpus = make_emotional_speech(n_speakers=3, n_sentences=2, random_state=0)
    >>> LeaveOneSentenceOut().get_n_splits(groups=corpus.frame)
    2
    """

    column = "sentence"
    speaker_independent = False


class LeaveOneCorpusOut(_LeaveOneOut):
    """Test on each corpus in turn, train on the others, as cross-corpus studies do [1]_.

    References
    ----------
    .. [1] B. Schuller et al., "Cross-corpus acoustic emotion recognition: variances and
       strategies", IEEE Transactions on Affective Computing 1(2), 2010.

    Examples
    --------
    >>> from sklearn_ser.datasets import make_emotional_speech, pool_corpora
    >>> from sklearn_ser.model_selection import LeaveOneCorpusOut
    >>> one = make_emotional_speech(n_speakers=2, n_sentences=1, random_state=0)
    >>> two = make_emotional_speech(n_speakers=3, n_sentences=1, random_state=1)
    >>> both = pool_corpora({"one": one, "two": two})
    >>> [len(test) for _, test in LeaveOneCorpusOut().split(both.X, groups=both.frame)]
    [8, 12]
    """

    column = "corpus"
    speaker_independent = None  # unless speakers of two corpora are the same
    citation = (
        'B. Schuller et al., "Cross-corpus acoustic emotion recognition: variances and '
        'strategies", IEEE Transactions on Affective Computing 1(2), 2010.'
    )
