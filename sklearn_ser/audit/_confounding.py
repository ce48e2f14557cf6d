"""How well emotions, or ratings, can be predicted from the speaker label alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from sklearn_ser._utils import Folds, as_speakers

if TYPE_CHECKING:
    from sklearn_ser.audit._split import SplitAudit

__all__ = [
    "MARGIN",
    "confounding_in_words",
    "emotion_shares",
    "predicted_by_speaker",
    "ratings_by_speaker",
]

# How far above chance the UAR, or CCC, of predictions from speaker labels may be.
MARGIN = 0.1


def confounding_in_words(audit: SplitAudit) -> str:
    """Return what can be concluded where the speaker label predicts the emotion, or the rating."""
    concluded = "a score may be that of recognising speakers"
    if audit.ratings is not None:
        if audit.speaker_independent:
            concluded = (
                "a score says in part how well speakers with high ratings are distinguished from "
                "speakers with low ones, not how well the ratings of one speaker are predicted"
            )
        return (
            "CONFOUNDED: the speaker label alone predicts the rating with a CCC of "
            f"{audit.speaker_ccc:.2f} (a constant has 0): {concluded}."
        )
    if audit.speaker_independent:
        concluded = (
            "a score says how well speakers of one emotion are distinguished from speakers of "
            "another, not how well the emotions of one speaker are"
        )
    n_emotions = int((audit.emotions > 0).any().sum())
    return (
        f"CONFOUNDED: the speaker label alone predicts the emotion with a UAR of "
        f"{audit.speaker_uar:.2f} (chance {1 / n_emotions:.2f}), and "
        f"{audit.n_folds_lacking_emotions} of {len(audit.folds)} folds lack emotions: {concluded}."
    )


def emotion_shares(emotions: pd.Series, folds: Folds) -> pd.DataFrame:
    """Return the share of each emotion in the test set of each fold."""
    shares = [emotions.iloc[test].value_counts(normalize=True) for _, test in folds]
    table = pd.DataFrame(shares, columns=sorted(emotions.unique())).fillna(0.0)
    return table.reset_index(drop=True).rename_axis("fold")


def ratings_by_speaker(frame: pd.DataFrame, folds: Folds) -> pd.DataFrame:
    """Return the rating of each tested clip, and the mean of its speaker's other clips."""
    ratings = frame["emotion"].to_numpy(dtype=float)
    predicted = np.full(len(frame), np.nan)
    if "speaker" in frame:
        speakers = as_speakers(frame["speaker"], "column speaker", fractions=True, unknown=True)
        _, speaker = np.unique(speakers.astype(str), return_inverse=True)
        n_others = np.bincount(speaker)[speaker] - 1
        sums = np.bincount(speaker, weights=ratings)[speaker] - ratings
        others = (ratings.sum() - ratings) / max(len(ratings) - 1, 1)
        predicted = np.where(n_others > 0, sums / np.maximum(n_others, 1), others)
        predicted[speakers == None] = np.nan  # noqa: E711
    lines = [
        {
            "fold": fold,
            "clip": clip,
            "rating": ratings[clip],
            "predicted_by_speaker": predicted[clip],
        }
        for fold, (_, test) in enumerate(folds)
        for clip in test.tolist()
    ]
    return pd.DataFrame(lines)


def predicted_by_speaker(frame: pd.DataFrame, folds: Folds) -> pd.DataFrame:
    """Return how much of each fold's test set has its speaker's most frequent other emotion."""
    emotions, codes = np.unique(frame["emotion"], return_inverse=True)
    right = np.full(len(frame), np.nan)
    if "speaker" in frame:
        speakers = as_speakers(frame["speaker"], "column speaker", fractions=True, unknown=True)
        names, speaker = np.unique(speakers.astype(str), return_inverse=True)
        counts = np.zeros((len(names), len(emotions)))
        np.add.at(counts, (speaker, codes), 1)
        clips = np.arange(len(frame))
        others = counts[speaker]
        others[clips, codes] -= 1
        most = others == others.max(axis=1, keepdims=True)
        right = np.where(speakers == None, np.nan, most[clips, codes] / most.sum(axis=1))  # noqa: E711
    shares = [np.bincount(codes[test], right[test], len(emotions)) / len(test) for _, test in folds]
    return pd.DataFrame(shares, columns=emotions).rename_axis("fold")
