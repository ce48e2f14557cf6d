"""Perturbed test folds, for :func:`~sklearn_ser.audit.audit_pipeline`; training folds stay."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd

from sklearn_ser._utils import num_samples, safe_indexing

__all__ = ["perturb_test_fold", "take_rows"]

KINDS = ("constant", "right", "wrong")  # test clips all the same; with right, with wrong labels
FACTOR = 1000.0


def take_rows(values: Any, rows: Any = None) -> Any:
    """Return a copy with these rows in place of its own; a frame keeps its index."""
    taken = safe_indexing(values, np.arange(num_samples(values)) if rows is None else rows)
    if hasattr(values, "iloc"):
        taken.index = values.index
    return taken


def perturb_test_fold(
    X: Any, y: Any, codes: Any, test: Any, n_perturbations: int, rng: np.random.Generator
) -> Iterator[tuple[Any, Any]]:
    """Yield clips and labels of which those of the test fold are perturbed.

    If epochs or candidates are scored on clips with right labels, those fitted longest win; on
    the same clips with wrong labels, those fitted least. One of the two changes what is chosen.

    Parameters
    ----------
    X, y : sequence of n_clips clips, and array-like of shape (n_clips,)
    codes : ndarray of int of shape (n_clips,)
        Codes of the labels, 0 to n_classes - 1.
    test : ndarray of int
        Positions of the test clips.
    n_perturbations : int
    rng : Generator
    """
    n_clips, n_classes = len(codes), codes.max() + 1
    for i in range(n_perturbations):
        kind = KINDS[i % len(KINDS)]
        if kind == "constant":  # each group of perturbations draws clips of its own
            drawn = rng.integers(n_clips, size=len(test))
            wrong = (codes[drawn] + rng.integers(1, n_classes, size=len(test))) % n_classes
            mislabelled = [rng.choice(np.flatnonzero(codes == code)) for code in wrong]
        clips, labels = np.arange(n_clips), np.arange(n_clips)
        clips[test] = drawn[0] if kind == "constant" else drawn
        labels[test] = {"constant": mislabelled[0], "right": drawn, "wrong": mislabelled}[kind]
        perturbed = take_rows(X, clips)
        if kind == "wrong" and _is_float(X):
            rows = perturbed.iloc if hasattr(perturbed, "iloc") else perturbed
            rows[test] = rows[test] * FACTOR
        yield perturbed, take_rows(y, labels)


def _is_float(X: Any) -> bool:
    if isinstance(X, pd.DataFrame):
        return all(dtype.kind == "f" for dtype in X.dtypes)
    return isinstance(X, np.ndarray) and X.dtype.kind == "f"
