"""What published protocols have in common: a column to split by, a source and its figures."""

from __future__ import annotations

from importlib.resources import files
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import pandas as pd

from sklearn_ser._utils import as_list, as_speakers, refuse_missing

__all__ = ["Protocol", "column_of", "labels_of"]


def labels_of(groups: Any, column: str, splitter: object) -> npt.NDArray[Any]:
    """Return what `splitter` splits by as an array of numbers or of text; see `column_of`.

    Speakers that are numbers are whole ones.
    """
    values = column_of(groups, column, splitter)
    array = np.array(values)
    labels = as_speakers(values, f"column {column}", fractions=column != "speaker")
    return array if array.dtype.kind in "iuf" else labels


def column_of(groups: Any, column: str, splitter: object) -> list[Any]:
    """Return `groups` itself, or its column if it is a frame; no value of it is missing.

    Parameters
    ----------
    groups : DataFrame with a row a clip, or array-like of shape (n_clips,)
        A corpus's frame, or that column of it.
    column : str
        Name of the column.
    splitter : object
        Named in errors.
    """
    name = type(splitter).__name__
    if groups is None:
        raise ValueError(
            f"{name} splits by {column}: pass groups=corpus.frame, or that column of it."
        )
    if hasattr(groups, "columns"):
        if column not in groups.columns:
            raise ValueError(
                f"{name} splits by {column}, and the frame has no such column, only "
                f"{list(groups.columns)}."
            )
        groups = groups[column]
    refuse_missing(groups, f"{name} splits by {column}", column)
    return as_list(groups)


class Protocol:
    """A splitter that a paper or a benchmark uses, with its source and the figures it printed."""

    #: Whether no speaker stands in both training and test fold; None if it hangs on the corpus.
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
