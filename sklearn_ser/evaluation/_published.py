"""Scores that papers report for the same protocol, which may stand beside a comparison's own."""

from __future__ import annotations

import re
from typing import Any

import pandas as pd

from sklearn_ser.evaluation._results import Comparison
from sklearn_ser.model_selection import Protocol

__all__ = ["published_beside"]


def published_beside(comparison: Comparison, splitter: Any) -> tuple[list[dict[str, Any]], str]:
    """Return the published figures that were run as these results were, and why others were not.

    The same corpus, clips, emotions and protocol are asked for, and scores that are means over
    folds; and what is known to be scaled by the test speakers' own clips stands only beside what
    was scaled so, too.

    Returns
    -------
    rows : list of dict
        features, system, scaling, metric, value, spread (or None) and source.
    note : str
        Which figures are not shown, and why; "" if there are no others.
    """
    if not isinstance(splitter, Protocol) or not comparison.emotions:  # ratings
        return [], ""
    known = splitter.published_results()
    known = known[[_plain(name) == _plain(comparison.corpus) for name in known["corpus"]]]
    if not len(known):
        return [], ""
    here = " ".join(comparison.emotions)
    same_clips = (known["n_clips"] == comparison.n_clips) & (known["emotions"] == here)
    by_speaker = comparison.speaker_scaling == "own"
    same_scaling = (known["scaling"] == "speaker") == by_speaker
    notes = []
    for (n_clips, emotions), others in known[~same_clips].groupby(["n_clips", "emotions"]):
        notes.append(
            f"{len(others)} published figures hold for {n_clips} clips of {emotions}; here are "
            f"{comparison.n_clips} of {here}."
        )
    if (same_clips & ~same_scaling).any():
        notes.append(
            f"{(same_clips & ~same_scaling).sum()} published figures "
            + ("were not scaled" if by_speaker else "were scaled")
            + " by the test speakers' own clips, unlike these."
        )
    averaged = not any(row.is_pooled for row in comparison.rows)
    if not averaged and (same_clips & same_scaling).any():
        notes.append(
            f"{(same_clips & same_scaling).sum()} published figures are means over folds; these "
            "are pooled over folds, as folds lack emotions."
        )
    rows = known[same_clips & same_scaling & averaged].drop(
        columns=["corpus", "n_clips", "emotions"]
    )
    rows = rows.astype(object).where(pd.notna(rows), None)
    found = [{str(name): value for name, value in row.items()} for row in rows.to_dict("records")]
    return found, " ".join(notes)


def _plain(corpus: str) -> str:
    """Return a corpus's name without what writers differ in; EmoBox's corpora are the corpora."""
    return re.sub(r"^emobox|[^a-z0-9]", "", corpus.lower())
