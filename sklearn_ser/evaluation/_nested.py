"""Scores of layers, poolings and classifiers that are chosen inside the training folds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

from sklearn_ser.evaluation._rows import ConcordanceScores, RecallScores

__all__ = ["Nested", "RatingNested"]


@dataclass(frozen=True)
class Chosen:
    """Which rows of a feature set are chosen in each training fold."""

    features: str
    model: str | None
    train: str
    test: str
    alignment: str | None
    rows: list[int]
    layers: list[int | str | None]
    poolings: list[str | None]
    classifiers: list[str | None]

    @classmethod
    def of_rows(cls, rows: Sequence[Any], chosen: list[int], scores: dict[str, Any]) -> Any:
        """Return what the rows that were chosen in each fold, and their scores, make.

        Parameters
        ----------
        rows : list of Row or RatingRow
            All of them.
        chosen : list of int
            Positions among these, one a fold.
        scores : dict
            Of the predictions of these rows in these folds.

        Returns
        -------
        nested : Nested or RatingNested
        """
        values = {
            f.name: getattr(rows[chosen[0]], f.name) for f in fields(cls) if f.name in vars(rows[0])
        }
        found = {name: value for name, value in scores.items() if name in values}
        choices = {
            "rows": chosen,
            "layers": [rows[k].layer for k in chosen],
            "poolings": [rows[k].pooling for k in chosen],
            "classifiers": [rows[k].classifier for k in chosen],
        }
        return cls(**{**values, **found, **choices})


@dataclass(frozen=True)
class Nested(RecallScores, Chosen):
    """Scores of a feature set whose layer, pooling, classifier are chosen in each training fold.

    Parameters
    ----------
    features, model, train, test, alignment : str or None
        As in the rows that are chosen from.
    rows, layers, poolings, classifiers : list
        The row, and its layer, pooling and classifier, that inner folds of the training speakers
        chose in each fold.
    uar : float
        As in :class:`Row`, of the chosen rows' predictions; so are all that follow.
    accuracy, macro_f1 : float
        Averaged like the UAR.
    uar_ci : list of float, or None
        Interval of the UAR, 95 %.
    averaging : str
        How the UAR comes out of several folds.
    fold_uar : list of float
        UAR of each fold.

    See Also
    --------
    Comparison : Has them as ``nested``.
    Row : One of those that are chosen from.
    """


@dataclass(frozen=True)
class RatingNested(ConcordanceScores, Chosen):
    """Scores of a feature set whose layer, pooling, regressor are chosen in each training fold.

    Parameters
    ----------
    features, model, train, test, alignment : str or None
        As in the rows that are chosen from.
    rows, layers, poolings, classifiers : list
        The row, and its layer, pooling and regressor, that inner folds of the training speakers
        chose in each fold.
    ccc, pearson, rmse : float
        As in :class:`RatingRow`, of the chosen rows' predictions; so are all that follow.
    ccc_ci : list of float, or None
        Interval of the CCC, 95 %.
    averaging : str
        "pooled over folds".
    fold_ccc : list of float
        CCC of each fold.

    See Also
    --------
    Comparison : Has them as ``nested``.
    RatingRow : One of those that are chosen from.
    """
