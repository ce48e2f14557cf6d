"""What stands on both sides of a split."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from sklearn.utils import Bunch

from sklearn_ser._audio import SEGMENT_FIELDS
from sklearn_ser._utils import as_speakers, check_corpus
from sklearn_ser.audit._copies import PAIR, Copies
from sklearn_ser.audit._duplicates import find_duplicates
from sklearn_ser.model_selection._folds import Folds, folds_of

__all__ = ["SplitAudit", "audit_split"]

# Columns whose values may stand on both sides, and what many of them are called.
SHARED = {"speaker": "speakers", "session": "sessions", "sentence": "sentences"}


@dataclass(frozen=True)
class SplitAudit:
    """What :func:`audit_split` found.

    Parameters
    ----------
    cv : str
        What the scheme is called.
    folds : DataFrame
        A row a fold: fold, n_train, n_test; shared_speakers, shared_sessions and shared_sentences
        (how many stand on both sides; NaN where the corpus does not tell); n_identical and
        n_near_identical (test clips whose audio stands in the training fold; NaN if audio was not
        looked at) and emotions_not_trained (in the test fold only).
    emotions : DataFrame
        A row a fold, a column an emotion: its share of the test fold.
    pairs : DataFrame
        Clips of the same audio on both sides of a fold: fold, test and train (positions), kind,
        offset (seconds after the start of the test clip at which the training clip starts), overlap
        (seconds) and error_rate, as :func:`find_duplicates` tells them; NaN for clips that are
        linked through other copies.
    """

    cv: str
    folds: pd.DataFrame
    emotions: pd.DataFrame
    pairs: pd.DataFrame

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
        fold = self.pairs["fold"]
        return SplitAudit(
            self.cv,
            self.folds.iloc[start:stop],
            self.emotions.iloc[start:stop],
            self.pairs[(fold >= start) & (fold < stop)],
        )

    @property
    def leaks(self) -> bool:
        """Whether speakers or audio stand on both sides, or may do so for all that is known."""
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
        """Whether the same audio stands on both sides; None if it was not looked at."""
        found = self.folds[["n_identical", "n_near_identical"]]
        return None if found.isna().any(axis=None) else bool(found.to_numpy().any())

    @property
    def verdict(self) -> str:
        """What that means for a score, in words."""
        n_folds, sentences = len(self.folds), []
        independent = self.speaker_independent
        if independent is None:
            sentences.append(
                "It is not known of all clips who speaks, so nothing holds for new speakers."
            )
        elif independent:
            sentences.append("Speaker-independent: no speaker is both trained on and tested.")
        else:
            n_shared = np.count_nonzero(self.folds["shared_speakers"])
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
            n_clips = len(self.pairs.drop_duplicates(["fold", "test"]))
            pair = self.pairs.iloc[0]
            sentences.append(
                f"LEAK: the audio of {n_clips} test clips is trained on, such as clip "
                f"{pair['test']}, which is {pair['kind']} to clip {pair['train']}."
            )
        elif self.shares_audio is False:
            sentences.append("No audio stands on both sides.")
        lacking = sorted({name for names in self.folds["emotions_not_trained"] for name in names})
        if lacking:
            sentences.append(f"Some folds test emotions that they never saw: {', '.join(lacking)}.")
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
    on_error: str = "raise",
) -> SplitAudit:
    """Look for what stands in both training and test folds: speakers, sentences, audio.

    Parameters
    ----------
    corpus : Bunch or DataFrame
        A corpus, as the loaders return; or its frame, with emotion and, as far as they are known,
        path, speaker, session and sentence. Of these, values that are missing are unknown: they
        are no speaker, session or sentence that folds might share.
    cv : str, cross-validator or iterable of (train, test), default="loso"
        "loso" (leave one speaker out), "group5" and "balanced5" (five folds of speakers),
        "session", "sentence", "corpus", "ravdess"; a splitter; or the positions of folds.
    audio : bool, default=True
        Whether to compare the clips' audio, which takes some milliseconds a clip.
    waveform_rate : float, default=None
        Sampling rate, in Hz, of clips given as bare waveforms.
    n_jobs : int, default=None
        Number of threads that read audio.
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
    if not audio and (waveform_rate is not None or on_error != "raise"):
        raise ValueError(
            "waveform_rate and on_error have no effect with audio=False: no clip is read."
        )
    frame, clips = _frame_and_clips(corpus, audio)
    folds, name = folds_of(cv, frame)
    copies = None
    if audio:
        pairs = find_duplicates(
            clips, waveform_rate=waveform_rate, n_jobs=n_jobs, on_error=on_error
        )
        copies = Copies(pairs, len(frame))
    rows: list[dict[str, Any]] = []
    crossing: list[dict[str, Any]] = []
    for fold, (train, test) in enumerate(folds):
        row: dict[str, Any] = {"fold": fold, "n_train": len(train), "n_test": len(test)}
        for column, plural in SHARED.items():
            row[f"shared_{plural}"] = _n_shared(frame, column, train, test)
        row |= {"n_identical": np.nan, "n_near_identical": np.nan}
        if copies is not None:
            found = copies.crossing(train, test)
            for kind in ("identical", "near-identical"):
                n_clips = len({pair["test"] for pair in found if pair["kind"] == kind})
                row[f"n_{kind.replace('-', '_')}"] = n_clips
            crossing += [{"fold": fold, **pair} for pair in found]
        emotions = frame["emotion"]
        unseen = set(emotions.iloc[test]) - set(emotions.iloc[train])
        rows.append({**row, "emotions_not_trained": sorted(unseen)})
    return SplitAudit(
        name,
        pd.DataFrame(rows),
        _shares(frame["emotion"], folds),
        pd.DataFrame(crossing, columns=["fold", *PAIR]),
    )


def _frame_and_clips(corpus: Any, audio: bool) -> tuple[pd.DataFrame, Any]:
    if hasattr(corpus, "to_pandas"):  # polars
        corpus = corpus.to_pandas()
    if isinstance(corpus, pd.DataFrame):
        if "emotion" not in corpus:
            raise ValueError(f"the frame has no column emotion, only {list(corpus.columns)}.")
        if audio and "path" not in corpus:
            raise ValueError(
                "the frame has no column path, so that audio cannot be compared. Pass the corpus "
                "itself, or audio=False."
            )
        clips = corpus[[name for name in ("path", *SEGMENT_FIELDS) if name in corpus]]
        labels = {"y": corpus["emotion"], "groups": corpus.get("speaker")}
        corpus = Bunch(name="the frame", X=clips, frame=corpus, **labels)
    corpus = check_corpus(corpus, unknown=True)
    return corpus.frame, corpus.X


def _n_shared(frame: pd.DataFrame, column: str, train: Any, test: Any) -> float:
    """Return how many values stand on both sides; NaN if none that is known does."""
    if column not in frame:
        return np.nan
    values = as_speakers(frame[column], f"column {column}", fractions=True, unknown=True)
    trained, tested = set(values[train]), set(values[test])
    n_shared = len(trained & tested - {None})
    if n_shared == 0 and None in trained | tested:
        return np.nan
    return float(n_shared)


def _shares(emotions: pd.Series, folds: Folds) -> pd.DataFrame:
    shares = [emotions.iloc[test].value_counts(normalize=True) for _, test in folds]
    found = pd.DataFrame(shares, columns=sorted(emotions.unique())).fillna(0.0)
    return found.reset_index(drop=True).rename_axis("fold")
