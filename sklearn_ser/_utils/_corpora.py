"""Corpora as they are given: X, y, groups and, if there is one, a frame."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd
from sklearn.utils import Bunch

from sklearn_ser._utils._labels import as_labels, as_speakers, check_lengths
from sklearn_ser._utils._repeats import refuse_contradictions, repeated_rows

__all__ = ["check_corpora", "check_corpus", "corpus_of", "given_corpus"]

CLIP_COLUMNS = ("path", "start", "end", "channel")  # of a frame, which say what its clips are

A_CORPUS = (
    "a corpus is a Bunch or a dict with X (clips), y (emotions) and groups (speakers), as the "
    "loaders of sklearn_ser.datasets return"
)


def given_corpus(corpus: Any, name: str = "corpus", needed: Sequence[str] = ("X", "y")) -> Bunch:
    """Return a corpus as a Bunch with what is needed of it, and groups, which may be None.

    Raises
    ------
    TypeError
        If it is none.
    """
    if isinstance(corpus, Mapping) and all(corpus.get(key) is not None for key in needed):
        return Bunch(**{"groups": None, **corpus})
    got = f"a {type(corpus).__name__}"
    if isinstance(corpus, Mapping):
        got += f" with the keys {list(corpus)}"
    elif hasattr(corpus, "columns"):
        got += ", of which load_table makes one"
    elif isinstance(corpus, (tuple, list)):
        got += ", of which Bunch(X=…, y=…, groups=…) makes one"
    raise TypeError(f"{name}: {A_CORPUS}; got {got}.")


def check_corpora(corpora: Any) -> dict[str, Bunch]:
    """Return corpora by name.

    Raises
    ------
    TypeError
        If they are no mapping, or one of them is no corpus.
    """
    if not isinstance(corpora, Mapping) or isinstance(corpora, Bunch) or {"X", "y"} <= {*corpora}:
        raise TypeError(
            "corpora must be a mapping of names to corpora, such as {'emodb': load_emodb(…), …}; "
            f"got a {type(corpora).__name__}. And {A_CORPUS}."
        )
    if unnamed := [name for name in corpora if not isinstance(name, str)]:
        raise TypeError(f"corpora: {unnamed[0]!r} is no name of a corpus; names are texts.")
    return {name: given_corpus(corpus, name) for name, corpus in corpora.items()}


def check_corpus(corpus: Any, name: str | None = None, *, unknown: bool = False) -> Bunch:
    """Return a corpus whose emotions and speakers (if it has any) are text, one of each a clip.

    Its frame, a new one if it has none, holds them too.

    Parameters
    ----------
    corpus : Bunch or dict
        With X, y and, if it has any, groups, name and frame.
    name : str, default=None
        What it is called, for errors; by default what it says itself.
    unknown : bool, default=False
        Whether speakers may be missing, which are None then.

    Raises
    ------
    TypeError
        If it is no corpus.
    ValueError
        If emotions or speakers are missing, emotions are several or numbers, X, y and groups are
        not as long, or a file stands in several rows with different emotions or speakers.
    """
    corpus = given_corpus(corpus, name or "corpus")
    name = name or corpus.get("name", "corpus")
    X, groups, frame = corpus.X, corpus.groups, corpus.get("frame")
    y = as_labels(corpus.y, f"y of {name}")
    if groups is not None:
        groups = as_speakers(groups, f"groups of {name}", unknown=unknown)
    check_lengths(X=X, y=y, groups=groups, frame=frame)
    clips = _clips(X)
    refuse_contradictions(clips, repeated_rows(clips), str(name), emotion=y, speaker=groups)
    frame = pd.DataFrame(index=range(len(y))) if frame is None else frame
    frame = frame.reset_index(drop=True).assign(emotion=y)
    if groups is not None:
        frame = frame.assign(speaker=groups)
    return Bunch(**{**corpus, "name": name, "y": y, "groups": groups, "frame": frame})


def corpus_of(corpus: Any) -> Bunch:
    """Return a checked corpus: the one given, or that of a frame; its speakers may be unknown.

    Parameters
    ----------
    corpus : Bunch, dict or DataFrame
        A frame, of pandas or polars, has the column emotion and, as far as they are known, path
        and speaker.

    Raises
    ------
    TypeError, ValueError
        As `check_corpus`, and if the frame has no column emotion.
    """
    if hasattr(corpus, "to_pandas"):  # polars
        corpus = corpus.to_pandas()
    if isinstance(corpus, pd.DataFrame):
        if "emotion" not in corpus:
            raise ValueError(f"the frame has no column emotion, only {list(corpus.columns)}.")
        clips: Any = list(range(len(corpus)))
        if "path" in corpus:
            clips = corpus[[name for name in CLIP_COLUMNS if name in corpus]]
        labels = {"y": corpus["emotion"], "groups": corpus.get("speaker")}
        corpus = Bunch(name="the frame", X=clips, frame=corpus, **labels)
    return check_corpus(corpus, unknown=True)


def _clips(X: Any) -> list[Any]:
    """Return the clips of a collection; the rows of a frame are dicts."""
    if hasattr(X, "to_pandas"):
        X = X.to_pandas()
    return X.to_dict("records") if hasattr(X, "columns") else list(X)
