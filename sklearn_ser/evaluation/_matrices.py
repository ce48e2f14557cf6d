"""From a corpus to a matrix for each row of a comparison."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from sklearn.base import clone
from sklearn.utils import _safe_indexing

from sklearn_ser._audio import as_clips, items_of
from sklearn_ser._utils import default_settings, refuse_masked
from sklearn_ser.embedders import BaseEmbedder
from sklearn_ser.evaluation._features import as_embedders, offline_feature_names
from sklearn_ser.evaluation._recipes import recipe_of
from sklearn_ser.exceptions import ClipError

__all__ = ["Embedded", "Matrix", "embed"]

Array = npt.NDArray[np.float64]


class Matrix(NamedTuple):
    """What one feature set, or one layer of it, makes of a corpus."""

    #: features, model, layer, pooling and embedder: what a row of the results begins with.
    description: dict[str, Any]
    #: Of shape (n_usable_clips, n_features).
    values: Array
    seconds: float


class Embedded(NamedTuple):
    """What all feature sets make of a corpus."""

    #: One a feature set and layer.
    matrices: list[Matrix]
    #: Positions of the clips that all feature sets could embed: the matrices' rows.
    usable: npt.NDArray[np.intp]
    #: Of each other clip: clip (its position), name, and reasons by feature set.
    left_out: list[dict[str, Any]]
    #: Sampling rate of bare waveforms, as the embedders were told.
    waveform_rate: float | None


def embed(
    X: Any,
    features: Any,
    *,
    layer: Any,
    n_jobs: int | None,
    verbose: bool,
    caller_parameters: Sequence[str] = (),
    **parameters: Any,
) -> Embedded:
    """Embed each clip once by each feature set, having looked at all parameters first."""
    if features is None:
        features = offline_feature_names()
    embedders = as_embedders(
        features,
        caller_parameters=caller_parameters,
        default_layer="all",
        layer=layer,
        n_jobs=n_jobs,
        verbose=verbose,
        **parameters,
    )
    for name, embedder in embedders.items():
        if isinstance(embedder, BaseEmbedder):
            embedder.fit(X)
            if embedder._gives_sequences():
                raise ValueError(
                    f"{name} gives frames (pooling=None), and what is compared are rows, one a "
                    "clip: choose statistics."
                )
    found = []
    for name, embedder in embedders.items():
        started = time.perf_counter()
        with default_settings():
            embedded = embedder.fit_transform(X)
        refuse_masked(embedded, name)
        embedded = np.asarray(embedded, dtype=np.float64)
        seconds = time.perf_counter() - started
        for description, values in _by_layer(embedder, embedded):
            found.append(Matrix({"features": name, **description}, values, seconds))
    finite = [np.isfinite(matrix.values).all(axis=1) for matrix in found]
    usable = np.flatnonzero(np.all(finite, axis=0))
    if not len(usable):
        raise ValueError("no clip could be embedded by all feature sets.")
    unusable: dict[int, dict[str, str]] = {}
    for matrix, of_matrix in zip(found, finite, strict=True):
        for i in np.flatnonzero(~of_matrix).tolist():
            name = matrix.description["features"]
            if name not in (reasons := unusable.setdefault(i, {})):
                reasons[name] = _reason(embedders[name], _safe_indexing(X, [i]))
    left_out = [
        {"clip": i, "name": _name(_safe_indexing(X, [i])), "reasons": unusable[i]}
        for i in sorted(unusable)
    ]
    if left_out:
        found = [matrix._replace(values=matrix.values[usable]) for matrix in found]
    rates = [
        rate
        for embedder in embedders.values()
        for name, rate in embedder.get_params().items()
        if name.endswith("waveform_rate") and rate is not None
    ]
    return Embedded(found, usable, left_out, rates[0] if rates else None)


def _reason(embedder: Any, clip: Any) -> str:
    """Return why a clip, alone in a collection, has no row."""
    strict = clone(embedder)
    names = [name for name in strict.get_params() if name.endswith("on_error")]
    try:
        strict.set_params(**dict.fromkeys(names, "raise")).fit_transform(clip)
    except ClipError as error:
        return error.cause
    return "its features are not finite"


def _name(clip: Any) -> str:
    """Return the name of a clip, alone in a collection."""
    try:
        source = as_clips(items_of(clip))[0]
    except (TypeError, ValueError):
        return type(clip).__name__
    return str(source.source) if isinstance(source.source, os.PathLike) else source.name


def _by_layer(embedder: Any, embedded: Array) -> list[tuple[dict[str, Any], Array]]:
    """Split the columns of an embedder that gives several layers, a matrix each."""
    statistics: list[str] = getattr(embedder, "_statistics", list)()
    pooling = "+".join(statistics) or None
    recipe = recipe_of(embedder)
    if not hasattr(embedder, "n_layers"):
        return [({"model": None, "layer": None, "pooling": pooling, "embedder": recipe}, embedded)]
    names = [label.removeprefix("layer") for _, label in embedder._groups()]
    layers = [int(name) if name.isdigit() else name for name in names]
    blocks = np.split(embedded, len(layers), axis=1)
    return [
        (
            {
                "model": embedder.model,
                "layer": layer,
                "pooling": pooling,
                "embedder": {**recipe, "parameters": {**recipe["parameters"], "layer": layer}},
            },
            block,
        )
        for layer, block in zip(layers, blocks, strict=True)
    ]
