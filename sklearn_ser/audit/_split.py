"""audit_split: which speakers, sentences and audio are in training and test set of a fold."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from sklearn_ser._utils import are_ratings, as_speakers, corpus_of, cv_name
from sklearn_ser.audit._confounding import (
    MARGIN,
    confounding_in_words,
    emotion_shares,
    predicted_by_speaker,
    ratings_by_speaker,
)
from sklearn_ser.audit._duplicates import called, find_duplicates, with_names
from sklearn_ser.audit._fingerprints import LARGEST_GROUP
from sklearn_ser.model_selection import corpus_folds

__all__ = ["SplitAudit", "audit_split"]

# Columns whose values training and test set may share, and what many of them are called.
SHARED = {"speaker": "speakers", "session": "sessions", "sentence": "sentences"}
PAIR = ("test", "train", "kind", "offset", "overlap", "error_rate")


@dataclass(frozen=True)
class SplitAudit:
    """What :func:`audit_split` found.

    Parameters
    ----------
    cv : str
        What the scheme is called.
    folds : DataFrame
        A row a fold: fold, n_train, n_test; shared_speakers, shared_sessions and shared_sentences
        (how many are in training and test set; NaN where the corpus does not say); n_identical
        and n_near_identical (test clips whose audio is in the training set; NaN if audio was not
        compared) and emotions_not_trained (in the test set only).
    emotions : DataFrame
        A row a fold, a column an emotion: its share of the test set.
    predicted_by_speaker : DataFrame
        Shaped as `emotions`: the share of the test set whose emotion is the most frequent one of
        the speaker's other clips, in any fold. Clips that tie count by part; NaN if speakers are
        unknown.
    pairs : DataFrame
        Test and training clips with the same audio: fold, test and train (positions), kind, offset
        (seconds after the start of the test clip at which the training clip starts), overlap
        (seconds) and error_rate, as in :func:`find_duplicates`; NaN for clips that are linked
        through other copies. A clip that a fold both trains on and tests is paired with itself.
        Where the corpus has them, also test_path and train_path, test_speaker and train_speaker,
        and start, end and channel alike.
    ratings : DataFrame, default=None
        Of a corpus of ratings, a line a tested clip: fold, clip (its position), rating, and
        predicted_by_speaker, the mean of the speaker's other clips, in any fold (of all other
        clips, if the speaker has no other); NaN if speakers are unknown.

    See Also
    --------
    audit_split : Makes it.
    """

    cv: str
    folds: pd.DataFrame
    emotions: pd.DataFrame
    predicted_by_speaker: pd.DataFrame
    pairs: pd.DataFrame
    ratings: pd.DataFrame | None = None

    def of_folds(self, start: int, stop: int) -> SplitAudit:
        """Return the audit of some of the folds.

        Parameters
        ----------
        start, stop : int
            The first of them, and the one after the last.

        Returns
        -------
        audit : SplitAudit
        """
        chosen = range(start, stop)
        return SplitAudit(
            self.cv,
            self.folds.iloc[start:stop],
            self.emotions.iloc[start:stop],
            self.predicted_by_speaker.iloc[start:stop],
            self.pairs[self.pairs["fold"].isin(chosen)],
            None if self.ratings is None else self.ratings[self.ratings["fold"].isin(chosen)],
        )

    @property
    def leaks(self) -> bool:
        """Whether speakers or audio are in training and test set, or speakers are unknown."""
        return not self.speaker_independent or bool(self.shares_audio)

    @property
    def speaker_independent(self) -> bool | None:
        """Whether no speaker is in training and test set; None if speakers are unknown."""
        shared = self.folds["shared_speakers"]
        if shared.fillna(0).any():
            return False
        return None if shared.isna().any() else True

    @property
    def shares_audio(self) -> bool | None:
        """Whether the same audio is in training and test set; None if it was not compared."""
        found = self.folds[["n_identical", "n_near_identical"]]
        return None if found.isna().any(axis=None) else bool(found.to_numpy().any())

    @property
    def speaker_uar(self) -> float | None:
        """UAR of predicting each clip's emotion from the speaker label; None if some are unknown.

        None of ratings, too.

        A clip is given the most frequent emotion of the speaker's other clips: near 1 where each
        speaker has one emotion, near or below chance where all have all of them.
        """
        if self.predicted_by_speaker.isna().any(axis=None):
            return None
        n_test = self.folds["n_test"].to_numpy()[:, np.newaxis]
        tested = (self.emotions.to_numpy() * n_test).sum(axis=0)
        right = (self.predicted_by_speaker.to_numpy() * n_test).sum(axis=0)
        return float(np.mean(right[tested > 0] / tested[tested > 0]))

    @property
    def speaker_ccc(self) -> float | None:
        """CCC of predicting each rating from the speaker label; None if some are unknown.

        A clip is given the mean rating of the speaker's other clips: near 1 where ratings vary
        between speakers only, about 0 where speakers are alike on average. None of emotions, too.
        """
        if self.ratings is None or self.ratings["predicted_by_speaker"].isna().any():
            return None
        from sklearn_ser.evaluation import ccc_score

        tested = self.ratings.drop_duplicates("clip")
        return ccc_score(tested["rating"], tested["predicted_by_speaker"])

    @property
    def confounded(self) -> bool | None:
        """Whether one of these is more than .1 above chance; None if some speakers are unknown.

        The CCC that is due to chance is 0.
        """
        if self.ratings is not None:
            return None if self.speaker_ccc is None else self.speaker_ccc > MARGIN
        uar, tested = self.speaker_uar, (self.emotions > 0).any()
        return None if uar is None else bool(uar > 1 / tested.sum() + MARGIN)

    @property
    def n_folds_lacking_emotions(self) -> int:
        """How many folds test some of the emotions only that all folds together do."""
        tested = self.emotions.loc[:, (self.emotions > 0).any()]
        return int((tested == 0).any(axis=1).sum())

    @property
    def verdict(self) -> str:
        """What that means for a score, in words."""
        n_folds, sentences = len(self.folds), []
        independent = self.speaker_independent
        if independent is None:
            sentences.append(
                "Speakers unknown. Not all clips have speaker labels, so that leakage of speakers "
                "from training to test set cannot be ruled out, and nothing holds for new speakers."
            )
        elif independent:
            sentences.append("Speaker-independent: no speaker is both trained on and tested.")
        else:
            n_shared = np.count_nonzero(self.folds["shared_speakers"].fillna(0))
            sentences.append(
                f"NOT speaker-independent: {n_shared} of {n_folds} folds test speakers whom they "
                "were trained on, so that scores do not hold for new speakers."
            )
        for name in ("sessions", "sentences"):
            n_shared = np.count_nonzero(self.folds[f"shared_{name}"].fillna(0))
            if n_shared:
                sentences.append(
                    f"{n_shared} of {n_folds} folds test {name} that they were trained on."
                )
        if self.shares_audio:
            n_clips = self.pairs["test"].nunique()  # folds may test clips again
            pair = self.pairs.iloc[0]
            sentences.append(
                f"LEAK: the audio of {n_clips} test clips is trained on, such as "
                f"{called(pair, 'test')}, which is {pair['kind']} to {called(pair, 'train')}."
            )
        elif self.shares_audio is False:
            sentences.append("No audio is in both training and test set.")
        lacking = sorted({name for names in self.folds["emotions_not_trained"] for name in names})
        if lacking:
            sentences.append(
                f"Some folds test emotions that they were not trained on: {', '.join(lacking)}."
            )
        if self.confounded:
            sentences.append(confounding_in_words(self))
        return " ".join(sentences)

    def __str__(self) -> str:
        return f"{self.cv}: {self.verdict}"


def audit_split(
    corpus: Any,
    cv: Any = "loso",
    *,
    audio: bool = True,
    waveform_rate: float | None = None,
    n_jobs: int | None = None,
    cache: str | os.PathLike[str] | None = "auto",
    on_error: str = "raise",
) -> SplitAudit:
    """Find what is in both training and test set of a fold: speakers, sentences, audio.

    Parameters
    ----------
    corpus : Bunch or DataFrame
        A corpus, as the loaders return; or its frame, with emotion (or ratings, as floats) and, as
        far as they are known, path, speaker, session and sentence. Of these, values that are
        missing are unknown: they are no speaker, session or sentence that folds might share.
    cv : str, cross-validator or iterable of (train, test), default="loso"
        "loso" (leave one speaker out), "group5" and "balanced5" (five folds of speakers),
        "session", "sentence", "corpus", "ravdess"; a splitter; or the positions of folds.
    audio : bool, default=True
        Whether to compare the clips' audio, which takes some milliseconds a clip at first.
    waveform_rate : float, default=None
        Sampling rate, in Hz, of clips given as bare waveforms.
    n_jobs : int, default=None
        Number of threads that read audio.
    cache : str, path-like or None, default="auto"
        Where fingerprints of the audio are kept, as in :func:`find_duplicates`.
    on_error : {"raise", "warn"}, default="raise"
        Whether a clip that cannot be read is an error, or its audio is left out with a warning.

    Returns
    -------
    audit : SplitAudit
        With ``verdict``, in words; printing it gives that.

    Raises
    ------
    ValueError
        If emotions are missing, or what the splitter splits by is, a clip stands in several rows
        with different emotions or speakers, or a parameter of reading audio is given with
        ``audio=False``.
    TypeError
        If `corpus` is none.
    ClipError
        If a clip cannot be read, with ``on_error="raise"``.

    See Also
    --------
    find_duplicates : How the same audio is found, and how surely.

    Examples
    --------
    >>> from sklearn.model_selection import KFold
    >>> from sklearn_ser.datasets import make_emotional_speech
    >>> from sklearn_ser.audit import audit_split
    >>> corpus = make_emotional_speech(n_speakers=3, n_sentences=1, random_state=0)
    >>> audit_split(corpus, "loso").speaker_independent
    True
    >>> print(audit_split(corpus, KFold(4, shuffle=True, random_state=0)).verdict)
    NOT speaker-independent: 4 of 4 folds test speakers whom they were trained on, ...
    """
    if not audio and (waveform_rate is not None or on_error != "raise" or cache != "auto"):
        raise ValueError(
            "waveform_rate, cache and on_error have no effect with audio=False: no clip is read."
        )
    frame, clips = _frame_and_clips(corpus, audio)
    folds, ratings = corpus_folds(frame, cv), None  # the frame may name other clips than X
    if are_ratings(frame["emotion"]):
        ratings = ratings_by_speaker(frame, folds)
        frame = frame.assign(emotion="rated")  # of no emotion
    copies = None
    if audio:
        pairs = find_duplicates(
            clips, waveform_rate=waveform_rate, n_jobs=n_jobs, cache=cache, on_error=on_error
        )
        copies = _Copies(pairs, len(frame))
    rows: list[dict[str, Any]] = []
    in_both: list[dict[str, Any]] = []
    for fold, (train, test) in enumerate(folds):
        row: dict[str, Any] = {"fold": fold, "n_train": len(train), "n_test": len(test)}
        for column, plural in SHARED.items():
            row[f"shared_{plural}"] = _n_shared(frame, column, train, test)
        row |= {"n_identical": np.nan, "n_near_identical": np.nan}
        if copies is not None:
            found = copies.in_both(train, test)
            for kind in ("identical", "near-identical"):
                n_clips = len({pair["test"] for pair in found if pair["kind"] == kind})
                row[f"n_{kind.replace('-', '_')}"] = n_clips
            in_both += [{"fold": fold, **pair} for pair in found]
        not_trained = set(frame["emotion"].iloc[test]) - set(frame["emotion"].iloc[train])
        rows.append({**row, "emotions_not_trained": sorted(not_trained)})
    return SplitAudit(
        cv_name(cv, len(folds)),
        pd.DataFrame(rows),
        emotion_shares(frame["emotion"], folds),
        predicted_by_speaker(frame, folds) * (1 if ratings is None else np.nan),
        with_names(pd.DataFrame(in_both, columns=["fold", *PAIR]), frame),
        ratings,
    )


class _Copies:
    """Pairs of clips with the same audio, and the groups that they make.

    Parameters
    ----------
    pairs : DataFrame
        What :func:`find_duplicates` returned. Of a large group it lists links only.
    n_clips : int
    """

    def __init__(self, pairs: pd.DataFrame, n_clips: int) -> None:
        self.pairs_of: dict[int, list[dict[str, Any]]] = {}  # by test clip
        for clip, other, kind, offset, *measures in pairs.itertuples(index=False):
            for pair in (
                (clip, other, kind, offset, *measures),
                (other, clip, kind, -offset, *measures),
            ):
                self.pairs_of.setdefault(pair[0], []).append(dict(zip(PAIR, pair, strict=True)))
        identical = _number_groups(pairs[pairs["kind"] == "identical"], n_clips)
        alike = _number_groups(pairs, n_clips)
        # In a small group every pair is listed, and two parts of one recording are none.
        small = np.bincount(alike, minlength=n_clips)[alike] <= LARGEST_GROUP
        alike = np.where(small, n_clips + identical, alike)
        self.groups = {"identical": identical, "near-identical": alike}

    def in_both(self, train: npt.NDArray[Any], test: npt.NDArray[Any]) -> list[dict[str, Any]]:
        """Return the pairs of a test and a training clip, as dicts of `PAIR`.

        A test clip that is paired with no training clip, but is in a group with some, is paired
        with the first of these. A clip that is in both sets is paired with itself.
        """
        trained = set(train.tolist())
        first_of_group = {
            kind: {int(groups[clip]): clip for clip in sorted(trained, reverse=True)}
            for kind, groups in self.groups.items()
        }
        found = []
        for clip in (clip for clip in test.tolist() if clip in self.pairs_of or clip in trained):
            pairs = [pair for pair in self.pairs_of.get(clip, []) if pair["train"] in trained]
            if clip in trained:
                itself = (clip, clip, "identical", 0.0, np.nan, 0.0)
                pairs.append(dict(zip(PAIR, itself, strict=True)))
            for kind, groups in self.groups.items():
                other = first_of_group[kind].get(int(groups[clip]))
                # One pair of a clip is enough, but an identical one is never passed over.
                paired = any(kind != "identical" or pair["kind"] == kind for pair in pairs)
                if other is not None and not paired:
                    pair = {"test": clip, "train": other, "kind": kind}
                    pairs.append(pair | dict.fromkeys(PAIR[3:], np.nan))
            found += sorted(pairs, key=lambda pair: (pair["kind"], pair["train"]))
        return sorted(found, key=lambda pair: pair["kind"])


def _number_groups(pairs: pd.DataFrame, n_clips: int) -> npt.NDArray[np.int32]:
    """Return the number of the group that each clip is in."""
    links = (np.ones(len(pairs)), (pairs["clip"].to_numpy(), pairs["other"].to_numpy()))
    matrix = coo_array(links, shape=(n_clips, n_clips))
    numbers: npt.NDArray[np.int32] = connected_components(matrix, directed=False)[1]
    return numbers


def _frame_and_clips(corpus: Any, audio: bool) -> tuple[pd.DataFrame, Any]:
    """Return the frame of a corpus, and its clips if they are to be read."""
    if audio and hasattr(corpus, "columns") and "path" not in corpus.columns:
        raise ValueError(
            "the frame has no column path, so that audio cannot be compared. Pass the corpus "
            "itself, or audio=False."
        )
    corpus = corpus_of(corpus, ratings=True)
    return corpus.frame, corpus.X


def _n_shared(frame: pd.DataFrame, column: str, train: Any, test: Any) -> float:
    """Return how many values training and test set share; NaN if that is not known."""
    if column not in frame:
        return np.nan
    values = as_speakers(frame[column], f"column {column}", fractions=True, unknown=True)
    trained, tested = set(values[train]), set(values[test])
    n_shared = len(trained & tested - {None})
    if n_shared == 0 and None in trained | tested:
        return np.nan
    return float(n_shared)
