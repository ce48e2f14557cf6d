"""From clips to a table of features for each row of a comparison."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from sklearn.base import clone

from sklearn_ser._audio import as_clips, items_of
from sklearn_ser._utils import safe_indexing
from sklearn_ser.embedders import FrameLayout, RecordEmbedder
from sklearn_ser.evaluation._features import as_embedders, embed_rows, offline_feature_names
from sklearn_ser.evaluation._recipes import recipe_of
from sklearn_ser.exceptions import ClipError

__all__ = ["Embedded", "FeatureTable", "embed"]

Array = npt.NDArray[np.float64]


class FeatureTable(NamedTuple):
    """What one feature set, or one layer of it, makes of a corpus."""

    #: features, model, layer, pooling and embedder: what a row of the results begins with.
    description: dict[str, Any]
    #: Of shape (n_usable_clips, n_features).
    values: Array
    seconds: float


class Embedded(NamedTuple):
    """What all feature sets make of a corpus."""

    #: One a feature set and layer.
    tables: list[FeatureTable]
    #: Positions of the clips that all feature sets could embed: the tables' rows.
    usable: npt.NDArray[np.intp]
    #: Of each other clip: clip (its position), name, and reasons by feature set.
    left_out: list[dict[str, Any]]
    #: Sampling rate of bare waveforms, as the embedders were told.
    waveform_rate: float | None


def embed(
    X: Any,
    features: Any,
    *,
    n_clips: int,
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
        defaults={"layer": "all", "n_jobs": n_jobs, "verbose": verbose},
        **({} if layer is None else {"layer": layer}),
        **parameters,
    )
    for embedder in embedders.values():
        if isinstance(embedder, RecordEmbedder):
            embedder.fit(X)
    found = []
    for name, embedder in embedders.items():
        started = time.perf_counter()
        embedded = np.asarray(embed_rows(name, embedder, X, n_clips), dtype=np.float64)
        seconds = time.perf_counter() - started
        for description, values in _by_layer(embedder, embedded):
            found.append(FeatureTable({"features": name, **description}, values, seconds))
    finite = [np.isfinite(table.values).all(axis=1) for table in found]
    usable = np.flatnonzero(np.all(finite, axis=0))
    if not len(usable):
        raise ValueError("no clip could be embedded by all feature sets.")
    unusable: dict[int, dict[str, str]] = {}
    for table, of_table in zip(found, finite, strict=True):
        for i in np.flatnonzero(~of_table).tolist():
            name = table.description["features"]
            if name not in (reasons := unusable.setdefault(i, {})):
                reasons[name] = _reason(embedders[name], safe_indexing(X, [i]))
    left_out = [
        {"clip": i, "name": _name(safe_indexing(X, [i])), "reasons": unusable[i]}
        for i in sorted(unusable)
    ]
    if left_out:
        found = [table._replace(values=table.values[usable]) for table in found]
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
    """Split the columns of an embedder that gives several layers, a table each."""
    layout = embedder.layout() if isinstance(embedder, RecordEmbedder) else None
    pooling = "+".join(layout.statistics) or None if isinstance(layout, FrameLayout) else None
    recipe = recipe_of(embedder)
    if not isinstance(layout, FrameLayout) or not hasattr(embedder, "n_layers"):
        return [({"model": None, "layer": None, "pooling": pooling, "embedder": recipe}, embedded)]
    names = [label.removeprefix("layer") for _, label in layout.groups]
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
