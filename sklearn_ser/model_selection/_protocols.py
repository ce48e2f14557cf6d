"""Splitters by speaker, session, sentence, corpus and actor, with what was published for them."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.resources import files
from typing import Any, ClassVar

import numpy as np
import pandas as pd
from sklearn.model_selection import BaseCrossValidator, LeaveOneGroupOut, StratifiedGroupKFold

from sklearn_ser._utils import StrOptions, as_classes, is_missing, split_labels, validate_params

__all__ = [
    "BalancedSpeakerKFold",
    "LeaveOneCorpusOut",
    "LeaveOneSentenceOut",
    "LeaveOneSessionOut",
    "LeaveOneSpeakerOut",
    "Protocol",
    "RAVDESSSplit",
]


class Protocol:
    """A splitter that a paper or a benchmark uses, with its source and the figures it printed.

    See Also
    --------
    check_cv : Gives the splitter of a name.
    """

    #: Whether no speaker is in both training and test set; None if that depends on the corpus.
    speaker_independent: ClassVar[bool | None]
    #: The paper that defines it, or that its figures are from; "" for common practice.
    citation: ClassVar[str] = ""

    def published_results(self, corpus: str | None = None) -> pd.DataFrame:
        """Return what was published for this protocol.

        Parameters
        ----------
        corpus : str, default=None
            Only those on this corpus, such as "IEMOCAP".

        Returns
        -------
        results : DataFrame
            corpus, n_clips and emotions (what it was computed on), features, system (what was
            trained on them), scaling ("train": by training folds; "clip": each clip by itself;
            "speaker": by each speaker's own clips, those of test speakers too; "unknown"), metric
            ("uar" or "accuracy", averaged over folds), value (0 to 1), spread (standard deviation
            over runs, or NaN) and source.
        """
        table = files("sklearn_ser.model_selection").joinpath("published.csv")
        with table.open(encoding="utf-8") as file:
            frame = pd.read_csv(file)
        mine = frame["protocol"] == type(self).__name__
        if corpus is not None:
            mine &= frame["corpus"] == corpus
        return frame[mine].drop(columns="protocol").reset_index(drop=True)


class BalancedSpeakerKFold(Protocol, StratifiedGroupKFold):
    """Folds that share no speaker and are as alike as can be in emotions and in sex.

    It is scikit-learn's StratifiedGroupKFold, with emotion and sex of a clip together as what is
    balanced.

    Parameters
    ----------
    n_splits : int, default=5
        Number of folds.
    shuffle : bool, default=False
        Whether to draw which of equally good folds a speaker goes to.
    random_state : int, RandomState instance or None, default=None
        Determines the draw.

    See Also
    --------
    LeaveOneSpeakerOut : Tests on each speaker.

    Examples
    --------
    >>> from sklearn_ser.datasets import make_emotional_speech
    >>> from sklearn_ser.model_selection import BalancedSpeakerKFold
    >>> corpus = make_emotional_speech(n_speakers=6, n_sentences=2, random_state=0)
    >>> for _, test in BalancedSpeakerKFold(2).split(corpus.X, corpus.y, corpus.frame):
    ...     print(sorted(set(corpus.frame["sex"].iloc[test])))
    ['female', 'male']
    ['female', 'male']
    """

    speaker_independent = True

    def split(self, X: Any, y: Any = None, groups: Any = None) -> Iterator[Any]:
        """Generate training and test indices of each fold.

        Parameters
        ----------
        X : array-like of length n_clips
        y : array-like of shape (n_clips,)
            Emotions.
        groups : DataFrame, or array-like of shape (n_clips,)
            The corpus's frame, with speaker and, to balance it, sex; or the speakers alone.

        Yields
        ------
        train, test : ndarray of int
        """
        speakers = split_labels(groups, "speaker", self)
        if y is None:
            raise ValueError(f"{type(self).__name__} balances emotions: pass them as y.")
        balanced = as_classes(y).astype(str)
        if hasattr(groups, "columns") and "sex" in groups.columns:
            sex = np.where(is_missing(groups["sex"]), "", np.asarray(groups["sex"]).astype(str))
            balanced = np.char.add(np.char.add(balanced, " "), sex)
        yield from super().split(X, balanced, speakers)


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

    See Also
    --------
    BalancedSpeakerKFold : Folds of several speakers.

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

    See Also
    --------
    LeaveOneSpeakerOut : Tests on each speaker.

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

    See Also
    --------
    LeaveOneSpeakerOut : Tests on each speaker.

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

    See Also
    --------
    sklearn_ser.evaluation.compare_across : Trains on a corpus, tests on another.

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

    See Also
    --------
    sklearn_ser.datasets.load_ravdess : Loads the corpus.

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
