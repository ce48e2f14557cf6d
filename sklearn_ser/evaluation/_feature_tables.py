"""From clips to a table of features for each row of a comparison."""

from __future__ import annotations

import itertools
import json
import os
import time
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from sklearn.base import clone
from sklearn.utils import Bunch

from sklearn_ser._audio import as_clips, items_of
from sklearn_ser._utils import are_ratings, safe_indexing
from sklearn_ser.embedders import FrameLayout, RecordEmbedder
from sklearn_ser.evaluation._clip_classifiers import (
    classify_clips,
    is_clip_classifier,
    usable_clips,
)
from sklearn_ser.evaluation._features import embed_rows, parts_of
from sklearn_ser.evaluation._recipes import recipe_of
from sklearn_ser.exceptions import ClipError

__all__ = ["Embedded", "FeatureTable", "embed"]

Array = npt.NDArray[np.float64]


class FeatureTable(NamedTuple):
    """What one feature set, or one layer of it, makes of a corpus."""

    #: features, model, layer, pooling and embedder: what a row of the results begins with.
    description: dict[str, Any]
    #: Of shape (n_usable_clips, n_features); of a classifier of clips, what it is fitted on.
    values: Any
    seconds: float
    #: What is fitted instead of the classifiers that are asked for, and which clips it can take.
    classifier: Any = None
    is_usable: npt.NDArray[np.bool_] | None = None


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


def embed(corpus: Bunch, sets: Sequence[tuple[str, Any]]) -> Embedded:
    """Return what sets make of a corpus, each clip embedded once, after checks of all settings."""
    X, n_clips, ratings = corpus.X, len(corpus.y), are_ratings(corpus.y)
    for name, embedder in sets:
        _check_before(name, embedder, X, ratings)
    embedded: dict[Any, tuple[Array, float]] = {}
    found, embedders = [], []
    for name, embedder in sets:
        if is_clip_classifier(embedder, ratings):
            found.append(FeatureTable(**classify_clips(name, embedder, corpus)))
            embedders.append(embedder)
            continue
        tables = []
        for part in parts_of(embedder):
            if (key := _key(part)) not in embedded:
                started = time.perf_counter()
                values = np.asarray(embed_rows(name, part, X, n_clips), dtype=np.float64)
                embedded[key] = values, time.perf_counter() - started
            tables.append(_by_layer(part, *embedded[key]))
        for joined in _joined(embedder, tables):
            found.append(joined._replace(description={"features": name, **joined.description}))
            embedders.append(embedder)
    finite = [
        np.isfinite(table.values).all(axis=1) if table.is_usable is None else table.is_usable
        for table in found
    ]
    usable = np.flatnonzero(np.all(finite, axis=0))
    if not len(usable):
        raise ValueError("no clip could be embedded by all feature sets.")
    unusable: dict[int, dict[str, str]] = {}
    for table, embedder, of_table in zip(found, embedders, finite, strict=True):
        for i in np.flatnonzero(~of_table).tolist():
            name = table.description["features"]
            if name not in (reasons := unusable.setdefault(i, {})):
                reasons[name] = _reason(embedder, safe_indexing(X, [i]))
    left_out = [
        {"clip": i, "name": _name(safe_indexing(X, [i])), "reasons": unusable[i]}
        for i in sorted(unusable)
    ]
    if left_out:
        found = [table._replace(values=safe_indexing(table.values, usable)) for table in found]
    rates = [
        rate
        for _, embedder in sets
        for name, rate in embedder.get_params().items()
        if name.endswith("waveform_rate") and rate is not None
    ]
    return Embedded(found, usable, left_out, rates[0] if rates else None)


def _reason(embedder: Any, clip: Any) -> str:
    """Return why a clip, alone in a collection, has no row."""
    strict = clone(embedder)
    names = [name for name in strict.get_params() if name.endswith("on_error")]
    try:
        strict.set_params(**dict.fromkeys(names, "raise"))
        strict.fit_transform(clip) if hasattr(strict, "fit_transform") else usable_clips(
            strict, clip, 1
        )
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


def _check_before(name: str, embedder: Any, X: Any, ratings: bool) -> None:
    """Raise the errors of an embedder's settings, before any clip is embedded."""
    parts = parts_of(embedder)
    n_layers = []
    for part in parts:
        if isinstance(part, RecordEmbedder) and not is_clip_classifier(part, ratings):
            part.fit(X)
        if len(parts) > 1 and len(layers := _layers(part)) > 1:
            n_layers.append(len(layers))
    if len(n_layers) > 1:
        raise ValueError(
            f"{name} joins {len(n_layers)} models with {n_layers} layers each: choose one layer, "
            'such as layer="mean", or make a FeatureUnion of embedders with the layers that you '
            "want."
        )


def _key(embedder: Any) -> Any:
    """Return what two embedders have in common that give the same."""
    recipe = json.dumps(recipe_of(embedder), sort_keys=True)
    complete = isinstance(embedder, RecordEmbedder) and '"repr"' not in recipe
    return (type(embedder), recipe) if complete else id(embedder)


def _layers(embedder: Any) -> list[int | str]:
    """Return the layers of an embedder's columns, if it has any."""
    if not isinstance(embedder, RecordEmbedder) or not hasattr(embedder, "n_layers"):
        return []
    layout = embedder.layout()
    if not isinstance(layout, FrameLayout):
        return []
    names = [label.removeprefix("layer") for _, label in layout.groups]
    return [int(name) if name.isdigit() else name for name in names]


def _by_layer(embedder: Any, embedded: Array, seconds: float) -> list[FeatureTable]:
    """Return a table each layer of an embedder's columns, or one if it has no layers."""
    layout = embedder.layout() if isinstance(embedder, RecordEmbedder) else None
    pooling = "+".join(layout.statistics) or None if isinstance(layout, FrameLayout) else None
    recipe = recipe_of(embedder)
    layers = _layers(embedder)
    if not layers:
        made = {"model": None, "layer": None, "pooling": pooling, "embedder": recipe}
        return [FeatureTable(made, embedded, seconds)]
    blocks = np.split(embedded, len(layers), axis=1)
    return [
        FeatureTable(
            {
                "model": embedder.model,
                "layer": layer,
                "pooling": pooling,
                "embedder": {**recipe, "parameters": {**recipe["parameters"], "layer": layer}},
            },
            block,
            seconds,
        )
        for layer, block in zip(layers, blocks, strict=True)
    ]


def _joined(embedder: Any, tables: list[list[FeatureTable]]) -> list[FeatureTable]:
    """Return the tables of one embedder, or those of several side by side, one a layer."""
    if len(tables) == 1:
        return tables[0]
    recipe, found = recipe_of(embedder), []
    for side_by_side in itertools.product(*tables):
        described = [table.description for table in side_by_side]
        parts = [
            [name, description["embedder"]]
            for (name, _), description in zip(embedder.transformer_list, described, strict=True)
        ]
        parameters = {**recipe["parameters"], "transformer_list": parts}
        description = {
            **{key: _common(described, key) for key in ("model", "layer", "pooling")},
            "embedder": {**recipe, "parameters": parameters},
        }
        values = np.hstack([table.values for table in side_by_side])
        found.append(FeatureTable(description, values, sum(t.seconds for t in side_by_side)))
    return found


def _common(descriptions: list[dict[str, Any]], key: str) -> Any:
    """Return the value of those that have one; several as text."""
    values = dict.fromkeys(each[key] for each in descriptions if each[key] is not None)
    return next(iter(values), None) if len(values) < 2 else ", ".join(map(str, values))
