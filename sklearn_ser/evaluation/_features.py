"""The feature sets that can be compared, by name."""

from __future__ import annotations

import difflib
import importlib
import itertools
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from sklearn_ser import embedders
from sklearn_ser._models import BUNDLED
from sklearn_ser.embedders import EGeMAPSEmbedder, RecordEmbedder, SSLEmbedder, TextEmbedder

__all__ = ["as_embedders", "feature_name", "feature_names", "offline_feature_names"]

# What says how features are computed, not which: it may have no effect. Where all embedders are
# given ready-made, nothing can be set but what the caller itself has a use for.
HOW = ("n_jobs", "verbose")
UNHEEDED = (*HOW, "cache", "on_error", "waveform_rate")


def _classes() -> dict[str, type[RecordEmbedder]]:
    public = [getattr(embedders, name) for name in embedders.__all__]
    return {
        cls.short_name: cls
        for cls in public
        if issubclass(cls, RecordEmbedder)
        and hasattr(cls, "short_name")
        and not issubclass(cls, TextEmbedder)  # which takes no clips
    }


def feature_names() -> list[str]:
    """Return the names of the feature sets, one for each public embedder."""
    return list(_classes())


def offline_feature_names() -> list[str]:
    """Return the names of what needs nothing but this package: features, and models bundled."""
    return [*(name for name, cls in _classes().items() if not hasattr(cls, "n_layers")), *BUNDLED]


def embedder_class(name: str) -> type[RecordEmbedder]:
    """Return the embedder of a name, or of "module:Class" or "file.py:Class"."""
    if name in BUNDLED:
        return SSLEmbedder
    if name in _classes():
        return _classes()[name]
    module_name, _, class_name = name.rpartition(":")
    if not module_name:
        raise ValueError(
            f"unknown features {name!r}; known are {[*feature_names(), *BUNDLED]}, and your own as "
            '"module:Class" or "file.py:Class".'
        )
    if module_name.endswith(".py"):
        path = Path(module_name)
        if not path.is_file():
            raise FileNotFoundError(f"no such file: {path}, asked for by features {name!r}")
        # On the path, so that other processes can import it too.
        sys.path.insert(0, str(path.parent.resolve()))
        module_name = path.stem
    module = importlib.import_module(module_name)
    if name.rpartition(":")[0].endswith(".py") and not path.samefile(module.__file__ or ""):
        raise ImportError(
            f"{path} cannot be imported: another module is called {module_name!r} "
            f"({module.__file__}). Rename the file."
        )
    if not hasattr(module, class_name):
        raise ValueError(f"{module_name} has no class {class_name}, asked for by {name!r}.")
    return getattr(module, class_name)


def as_embedders(
    features: Any,
    *,
    caller_parameters: Sequence[str] = (),
    default_layer: Any = None,
    layer: Any = None,
    **parameters: Any,
) -> dict[str, Any]:
    """Return name → embedder.

    Parameters
    ----------
    features : mapping, or sequence of str and embedders
        Names of feature sets or of bundled models, embedders, or a mapping from any name to one of
        these.
    caller_parameters : sequence of str
        Further parameters that a keyword may be a misspelling of.
    default_layer, layer : int, str or list of int, default=None
        `layer` is one of `parameters`; where it is None, those that have layers get the default, or
        keep their own if that is None, too.
    **parameters
        Set on those made from a name, where they have such a parameter.

    Raises
    ------
    TypeError
        If a parameter has no effect: none of the feature sets that are made from a name takes it.
        Only what changes no value (`UNHEEDED`) may have none.
    ValueError
        If a name is unknown, or two feature sets have the same.
    """
    if layer is not None:
        parameters["layer"] = layer
    if isinstance(features, Mapping):
        given = list(features.items())
    else:
        if isinstance(features, str) or not isinstance(features, Iterable):
            features = [features]
        given = [(None, feature) for feature in features]
    if not given:
        raise ValueError("features is empty: name a feature set, or pass an embedder.")
    named: dict[str, Any] = {}
    taken: dict[str, list[str]] = {}
    for name, feature in given:
        embedder = feature
        if isinstance(feature, str):
            embedder = embedder_class(feature)()
            known = embedder.get_params()
            chosen = {} if default_layer is None else {"layer": default_layer}
            chosen |= parameters
            embedder.set_params(**{k: v for k, v in chosen.items() if k in known})
            heeded = _heeded(embedder, known, feature in BUNDLED)
            # What has an effect on others alone stays as it is by default.
            embedder.set_params(**{k: v for k, v in known.items() if k not in heeded})
            if feature in BUNDLED:
                embedder.set_params(model=feature)
        if isinstance(embedder, type) or not hasattr(embedder, "fit_transform"):
            raise TypeError(
                f"features: {embedder!r:.80} is no embedder. Pass a name, or an object that has "
                "fit_transform, such as MFCCEmbedder()."
            )
        if name is None:
            name = feature if isinstance(feature, str) and feature in BUNDLED else None
            name = name or feature_name(embedder)
        if name in named:
            raise ValueError(f"two feature sets are called {name!r}; pass a dict of names.")
        if isinstance(feature, str):
            taken[name] = heeded
        named[name] = embedder
    _check_heeded(parameters, taken, caller_parameters)
    return named


def feature_name(embedder: Any) -> str:
    """Return what an embedder's features are called in results.

    It is `short_name`, by which its records are found, unless that stands for several sets of
    features: openSMILE's are called by their set.
    """
    name = getattr(embedder, "short_name", type(embedder).__name__)
    feature_set = getattr(embedder, "feature_set", None)
    if not isinstance(embedder, EGeMAPSEmbedder) or feature_set == "eGeMAPSv02":
        return name
    return str(feature_set).lower().replace("_", "")


def _heeded(embedder: Any, known: Mapping[str, Any], bundled: bool) -> list[str]:
    """Return the parameters that change what an embedder gives, as far as it was made."""
    unheeded = {"model", "revision"} if bundled else set()
    if isinstance(embedder, EGeMAPSEmbedder) and embedder.level == "functionals":
        unheeded.add("pooling")
    return [name for name in known if name not in unheeded]


def _check_heeded(
    parameters: Mapping[str, Any], taken: Mapping[str, Sequence[str]], others: Sequence[str]
) -> None:
    allowed = {*itertools.chain(*taken.values()), *(UNHEEDED if taken else HOW)}
    without = [name for name in parameters if name not in allowed]
    if not without:
        return
    told = []
    for name in without:
        near = difflib.get_close_matches(name, {*allowed, *others} - {name}, n=1)
        told.append(f"{name!r}" + (f" (did you mean {near[0]!r}?)" if near else ""))
    there = "; ".join(f"{name} takes {', '.join(names)}" for name, names in taken.items())
    raise TypeError(
        f"{', '.join(told)} would have no effect: none of the feature sets takes it. "
        + (there or "Embedders that are given ready-made are used as they are")
        + "."
    )
