"""Corpora as they are given: X, y, groups and, if there is one, a frame."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.utils import Bunch

from sklearn_ser._utils._labels import as_labels, as_list, as_speakers, check_lengths, is_missing

__all__ = ["check_corpus", "corpus_frame", "known_speakers"]


def check_corpus(corpus: Any, name: str | None = None) -> Bunch:
    """Return a corpus whose emotions and speakers (if it has any) are text, one of each a clip.

    Its frame, a new one if it has none, holds them too.

    Raises
    ------
    ValueError
        If any is missing, or emotions are several or numbers, or X, y and groups are not as long.
    """
    name = name or corpus.get("name", "corpus")
    groups = corpus.get("groups")
    y = as_labels(corpus.y, f"y of {name}")
    groups = None if groups is None else as_speakers(groups, f"groups of {name}")
    frame = _frame(corpus, y, groups)
    return Bunch(**{**corpus, "name": name, "y": y, "groups": groups, "frame": frame})


def corpus_frame(corpus: Any) -> pd.DataFrame:
    """Return a corpus's frame with emotions and, as far as they are known, speakers as text.

    Parameters
    ----------
    corpus : Bunch or DataFrame
        A corpus with X and y, of which a new frame is made if it has none; or its frame, of pandas
        or polars. Speakers that are missing are None.

    Raises
    ------
    ValueError
        If emotions are missing, or speakers are no labels.
    TypeError
        If it is neither a corpus nor a frame.
    """
    if hasattr(corpus, "to_pandas"):  # polars
        corpus = corpus.to_pandas()
    if isinstance(corpus, pd.DataFrame):
        if "emotion" not in corpus:
            raise ValueError(f"the frame has no column emotion, only {list(corpus.columns)}.")
        frame = corpus.reset_index(drop=True)
        frame = frame.assign(emotion=as_labels(frame["emotion"], "column emotion"))
        if "speaker" in frame:
            frame["speaker"] = known_speakers(frame["speaker"])
        return frame
    if not hasattr(corpus, "get") or corpus.get("y") is None or corpus.get("X") is None:
        raise TypeError(
            f"a corpus with X and y, or a frame, was expected; got {type(corpus).__name__}."
        )
    groups = corpus.get("groups")
    return _frame(corpus, as_labels(corpus.y), None if groups is None else known_speakers(groups))


def known_speakers(values: Any) -> npt.NDArray[np.object_]:
    """Return speakers as text, None where they are missing, in an object array."""
    given = as_list(values)
    missing = is_missing(given)
    # With something in place of what is missing, so that errors count all rows.
    filled = ["?" if gone else value for value, gone in zip(given, missing, strict=True)]
    speakers = as_speakers(filled).astype(object)
    speakers[missing] = None
    return speakers


def _frame(corpus: Any, emotions: Any, speakers: Any) -> pd.DataFrame:
    frame = corpus.get("frame")
    check_lengths(X=corpus.X, y=emotions, groups=speakers, frame=frame)
    frame = pd.DataFrame(index=range(len(emotions))) if frame is None else frame
    frame = frame.reset_index(drop=True).assign(emotion=emotions)
    return frame if speakers is None else frame.assign(speaker=speakers)
