"""Several corpora as one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from sklearn.utils import Bunch

from sklearn_ser._audio import items_of
from sklearn_ser._utils import check_corpus, is_missing, safe_indexing
from sklearn_ser.datasets._corpus import rename_columns
from sklearn_ser.datasets._labels import DROPPED, harmonize_labels

__all__ = ["pool_corpora"]


def pool_corpora(corpora: Mapping[str, Any], scheme: str | None = "four") -> Bunch:
    """Put corpora together, with labels that mean the same in all of them.

    Parameters
    ----------
    corpora : mapping of str to Bunch
        Corpora by name, each with X, y and groups, as the loaders return.
    scheme : str or None, default="four"
        What :func:`harmonize_labels` makes of their labels; clips that it drops are left out.
        None leaves labels as they are.

    Returns
    -------
    corpus : Bunch
        X, y, groups, frame (with the columns corpus, position there, and what the corpora's frames
        tell) and DESCR. Speakers, sessions and sentences are called "corpus/speaker" and so on:
        those of two corpora are never taken for one. Unknown sessions and sentences stay missing.

    Raises
    ------
    ValueError
        If speakers or labels of a corpus are missing, labels are numbers, X, y and groups are not
        as long, or nothing is left of it.

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
    frames, told = [], []
    for name, corpus in corpora.items():
        if corpus.groups is None:
            raise ValueError(f"{name} has no speaker labels (groups is None).")
        corpus = check_corpus(corpus, name)
        y = corpus.y
        labels = y if scheme is None else harmonize_labels(y, scheme)
        kept = np.flatnonzero(labels != DROPPED)
        if not len(kept):
            raise ValueError(f"scheme={scheme!r} drops every clip of {name}: {sorted(set(y))}.")
        X += items_of(safe_indexing(corpus.X, kept))
        frame = rename_columns(corpus.frame, {"corpus": None, "position": None})
        frame = frame.assign(corpus=name, emotion=labels, position=range(len(y)))
        for column in ("speaker", "session", "sentence"):
            if column in frame:
                known = ~is_missing(frame[column])
                frame[column] = (f"{name}/" + frame[column].astype(str)).where(known)
        frames.append(frame.iloc[kept])
        told.append(f"{name}: {len(kept)} of {len(y)} clips")
    frame = pd.concat(frames, ignore_index=True)
    return Bunch(
        name=", ".join(corpora),
        X=X,
        y=frame["emotion"].to_numpy(dtype=str),
        groups=frame["speaker"].to_numpy(dtype=str),
        frame=frame,
        DESCR=f"Corpora put together, labels {scheme or 'as they were'}. {'; '.join(told)}.",
    )
