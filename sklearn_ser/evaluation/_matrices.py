"""From a corpus to a matrix for each row of a comparison."""

from __future__ import annotations

import time
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from sklearn_ser._utils import default_settings
from sklearn_ser.evaluation._features import as_embedders, offline_feature_names

__all__ = ["Matrix", "embed"]

Array = npt.NDArray[np.float64]


class Matrix(NamedTuple):
    """What one feature set, or one layer of it, makes of a corpus."""

    #: features, model, layer, pooling: what a row of the results begins with.
    description: dict[str, Any]
    #: Of shape (n_usable_clips, n_features).
    values: Array
    seconds: float


def embed(
    X: Any,
    features: Any,
    *,
    layer: Any,
    n_jobs: int | None,
    verbose: bool,
    **parameters: Any,
) -> tuple[list[Matrix], npt.NDArray[np.intp]]:
    """Embed each clip once by each feature set.

    Returns
    -------
    matrices : list of Matrix
        One a feature set and layer.
    usable : ndarray of int
        Positions of the clips that all feature sets could embed: the matrices' rows.
    """
    if features is None:
        features = offline_feature_names()
    embedders = as_embedders(features, layer=layer, n_jobs=n_jobs, verbose=verbose, **parameters)
    found = []
    for name, embedder in embedders.items():
        started = time.perf_counter()
        with default_settings():
            embedded = np.asarray(embedder.fit_transform(X), dtype=np.float64)
        seconds = time.perf_counter() - started
        for description, values in _by_layer(embedder, embedded):
            found.append(Matrix({"features": name, **description}, values, seconds))
    usable = np.all([np.isfinite(matrix.values).all(axis=1) for matrix in found], axis=0)
    if usable.all():
        return found, np.arange(len(usable))
    return [m._replace(values=m.values[usable]) for m in found], np.flatnonzero(usable)


def _by_layer(embedder: Any, embedded: Array) -> list[tuple[dict[str, Any], Array]]:
    """Split the columns of an embedder that gives several layers, a matrix each."""
    statistics: list[str] = getattr(embedder, "_statistics", list)()
    pooling = "+".join(statistics) or None
    if not hasattr(embedder, "n_layers"):
        return [({"model": None, "layer": None, "pooling": pooling}, embedded)]
    layers = [label.removeprefix("layer") for _, label in embedder._groups()]
    blocks = np.split(embedded, len(layers), axis=1)
    return [
        (
            {
                "model": embedder.model,
                "layer": int(layer) if layer.isdigit() else layer,
                "pooling": pooling,
            },
            block,
        )
        for layer, block in zip(layers, blocks, strict=True)
    ]
