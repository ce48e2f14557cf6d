"""What splitters of published protocols have in common: a source, and the figures in it."""

from __future__ import annotations

from importlib.resources import files
from typing import ClassVar

import pandas as pd

__all__ = ["Protocol"]


class Protocol:
    """A splitter that a paper or a benchmark uses, with its source and the figures it printed."""

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
