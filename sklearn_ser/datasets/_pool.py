"""Several corpora as one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from sklearn.utils import Bunch

from sklearn_ser._audio import items_of
from sklearn_ser._utils import (
    all_rated,
    as_speakers,
    check_corpora,
    check_corpus,
    refuse_contradictions,
    repeated_rows,
    rows_named,
    safe_indexing,
    warn,
)
from sklearn_ser.datasets._corpus import Corpus, rename_columns
from sklearn_ser.datasets._labels import DROPPED, harmonize_labels

__all__ = ["pool_corpora"]


# How much of the range of all ratings each corpus has to cover to be taken for one of its scale.
COVERED = 0.8


def pool_corpora(
    corpora: Mapping[str, Any], scheme: str | None = "four", *, same_scale: bool = False
) -> Bunch:
    """Put corpora together, with labels that mean the same in all of them.

    Parameters
    ----------
    corpora : mapping of str to Bunch
        Corpora by name, each with X, y and groups, as the loaders return.
    scheme : str or None, default="four"
        What :func:`harmonize_labels` makes of their labels; clips that it drops are left out.
        None leaves labels as they are. Ratings (arousal, valence, dominance), which are floats,
        stay as they are.
    same_scale : bool, default=False
        Of ratings: whether they are on one scale although their ranges differ much. Otherwise a
        corpus that covers less than 80 % of the range of all ratings is an error, as 1 to 5 and 0
        to 1 are different scales.

    Returns
    -------
    corpus : Bunch
        X, y, groups, frame (with the columns corpus, position there, and what the corpora's frames
        have) and DESCR. Speakers, sessions and sentences are called "corpus/speaker" and so on:
        those of two corpora are never taken for one. Unknown sessions and sentences stay missing.

    Raises
    ------
    ValueError
        If speakers or labels of a corpus are missing, labels are integers, X, y and groups are not
        as long, nothing is left of it, or a clip has different emotions in two places. If some
        corpora have ratings and others emotions, or ratings seem to be on different scales; or
        `scheme` or `same_scale` would have no effect.
    TypeError
        If `corpora` is no mapping of names to corpora.

    Warns
    -----
    UserWarning
        If a file is in several of the corpora.

    See Also
    --------
    harmonize_labels : Gives labels that mean the same.
    sklearn_ser.evaluation.compare_across : Trains on one corpus, tests on another.

    Examples
    --------
    >>> from sklearn_ser.datasets import make_emotional_speech, pool_corpora
    >>> one = make_emotional_speech(2, 1, ["anger", "boredom"], random_state=0)
    >>> two = make_emotional_speech(2, 1, ["anger", "neutral"], random_state=1)
    >>> both = pool_corpora({"one": one, "two": two})
    >>> both.frame["corpus"].tolist()
    ['one', 'one', 'two', 'two', 'two', 'two']
    >>> str(both.groups[0]), both.y.tolist()
    ('one/s01', ['anger', 'anger', 'anger', 'neutral', 'anger', 'neutral'])
    """
    X: list[Any] = []
    frames, described = [], []
    corpora = check_corpora(corpora)
    rated = all_rated(corpora)
    if rated and scheme not in (None, "four"):
        raise ValueError(
            f"scheme={scheme!r} has no effect: it is for labels of emotions, and y holds ratings."
        )
    if same_scale and not rated:
        raise ValueError("same_scale has no effect: it is for ratings, and y holds emotions.")
    for name, corpus in corpora.items():
        corpus = check_corpus(corpus, name, ratings=rated)
        if corpus.groups is None:
            raise ValueError(f"{name} has no speaker labels (groups is None).")
        y = corpus.y
        labels = y if scheme is None or rated else harmonize_labels(y, scheme)
        kept = np.arange(len(y)) if rated else np.flatnonzero(labels != DROPPED)
        if not len(kept):
            raise ValueError(f"scheme={scheme!r} drops every clip of {name}: {sorted(set(y))}.")
        X += items_of(safe_indexing(corpus.X, kept))
        frame = rename_columns(corpus.frame, {"corpus": None, "position": None})
        frame = frame.assign(corpus=name, emotion=labels, position=range(len(y)))
        for column in ("speaker", "session", "sentence"):
            if column in frame:
                where = f"column {column} of {name}"
                values = as_speakers(frame[column], where, fractions=True, unknown=True)
                frame[column] = [None if v is None else f"{name}/{v}" for v in values]
        frames.append(frame.iloc[kept])
        described.append(f"{name}: {len(kept)} of {len(y)} clips")
    frame = pd.concat(frames, ignore_index=True)
    if rated and not same_scale:
        _check_scales(frame.groupby("corpus", sort=False)["emotion"].agg(["min", "max"]))
    repeated = repeated_rows(X)
    refuse_contradictions(
        X, repeated, f"{', '.join(corpora)} put together", emotion=frame["emotion"]
    )
    of_corpora = [
        row for rows in repeated if frame["corpus"].iloc[rows].nunique() > 1 for row in rows
    ]
    if of_corpora:
        warn(
            f"{len(of_corpora)} of {len(frame)} clips stand in several of the corpora, each with "
            f"speakers of its own ({rows_named(sorted(of_corpora))}): no split keeps them apart. "
            "Leave them out of one corpus.",
        )
    names = dict.fromkeys(its["rating"] for its in corpora.values() if its.get("rating"))
    return Corpus(
        **({"rating": " / ".join(names)} if rated and names else {}),
        name=", ".join(corpora),
        X=X,
        y=frame["emotion"].to_numpy(dtype=float if rated else str),
        groups=frame["speaker"].to_numpy(dtype=str),
        frame=frame,
        DESCR="Corpora put together, labels "
        f"{'as they were' if rated else scheme or 'as they were'}. {'; '.join(described)}.",
    )


def _check_scales(ranges: pd.DataFrame) -> None:
    """Raise an error if the ratings of corpora, by their ranges, seem to be on different scales."""
    whole = ranges["max"].max() - ranges["min"].min()
    if ((ranges["max"] - ranges["min"]) < COVERED * whole).any():
        its = ", ".join(f"{name} {low:g} to {high:g}" for name, low, high in ranges.itertuples())
        raise ValueError(
            f"the ratings of the corpora do not seem to be on one scale: they range from {its}. "
            "Map them to one, as y = (y - 1) / 4 maps 1 to 5 to 0 to 1; or pass same_scale=True "
            "(--same-scale) if they are on one, and differ in their ranges only."
        )
