"""Test folds spoilt, training folds left as they are."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd

from sklearn_ser._utils import num_samples, safe_indexing

__all__ = ["poisoned", "take"]

POISONS = ("constant", "right", "wrong")
FACTOR = 1000.0


def take(values: Any, rows: Any = None) -> Any:
    """Return a copy with these rows in place of its own; a frame keeps its index."""
    taken = safe_indexing(values, np.arange(num_samples(values)) if rows is None else rows)
    if hasattr(values, "iloc"):
        taken.index = values.index
    return taken


def poisoned(
    X: Any, y: Any, codes: Any, test: Any, n_poisons: int, rng: np.random.Generator
) -> Iterator[tuple[Any, Any]]:
    """Yield collections of clips and labels whose test fold is spoilt.

    What scores epochs or candidates on clips with right labels prefers those learnt longest; on
    the same clips with wrong labels, the opposite. One of the two changes its choice.
    """
    n_clips, n_classes = len(codes), codes.max() + 1
    for i in range(n_poisons):
        kind = POISONS[i % len(POISONS)]
        if kind == POISONS[0]:
            drawn = rng.integers(n_clips, size=len(test))
            wrong = (codes[drawn] + rng.integers(1, n_classes, size=len(test))) % n_classes
            mislabelled = [rng.choice(np.flatnonzero(codes == code)) for code in wrong]
        clips, labels = np.arange(n_clips), np.arange(n_clips)
        clips[test] = drawn[0] if kind == "constant" else drawn
        labels[test] = {"constant": mislabelled[0], "right": drawn, "wrong": mislabelled}[kind]
        taken = take(X, clips)
        if kind == "wrong" and _is_float(X):
            rows = taken.iloc if hasattr(taken, "iloc") else taken
            rows[test] = rows[test] * FACTOR
        yield taken, take(y, labels)


def _is_float(X: Any) -> bool:
    if isinstance(X, pd.DataFrame):
        return all(dtype.kind == "f" for dtype in X.dtypes)
    return isinstance(X, np.ndarray) and X.dtype.kind == "f"
