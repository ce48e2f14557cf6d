"""The feature sets that can be compared, by name."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from sklearn_ser import embedders
from sklearn_ser.embedders import BaseEmbedder, SSLEmbedder, TextEmbedder
from sklearn_ser.speech_models._files import BUNDLED

__all__ = ["as_embedders", "feature_names", "offline_feature_names"]


def _classes() -> dict[str, type[BaseEmbedder]]:
    public = [getattr(embedders, name) for name in embedders.__all__]
    return {
        cls.short_name: cls
        for cls in public
        if issubclass(cls, BaseEmbedder)
        and hasattr(cls, "short_name")
        and not issubclass(cls, TextEmbedder)  # which takes no clips
    }


def feature_names() -> list[str]:
    """Return the names of the feature sets, one for each public embedder."""
    return list(_classes())


def offline_feature_names() -> list[str]:
    """Return the names of what needs nothing but this package: features, and models bundled."""
    return [*(name for name, cls in _classes().items() if not hasattr(cls, "n_layers")), *BUNDLED]


def embedder_class(name: str) -> type[BaseEmbedder]:
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
    if not hasattr(module, class_name):
        raise ValueError(f"{module_name} has no class {class_name}, asked for by {name!r}.")
    return getattr(module, class_name)


def as_embedders(features: Any, **parameters: Any) -> dict[str, Any]:
    """Return name → embedder.

    Parameters
    ----------
    features : mapping, or sequence of str and embedders
        Names of feature sets or of bundled models, embedders, or a mapping from any name to an
        embedder.
    **parameters
        Set on those made from a name, where they have such a parameter.
    """
    if isinstance(features, Mapping):
        return dict(features)
    if isinstance(features, str) or not isinstance(features, Sequence):
        features = [features]
    named: dict[str, Any] = {}
    for feature in features:
        if isinstance(feature, str):
            embedder: Any = embedder_class(feature)()
            known = embedder.get_params()
            embedder.set_params(**{k: v for k, v in parameters.items() if k in known})
            name = embedder.short_name
            if feature in BUNDLED:
                name = feature
                embedder.set_params(model=feature)
        else:
            embedder = feature
            name = getattr(feature, "short_name", type(feature).__name__)
        if name in named:
            raise ValueError(f"two feature sets are called {name!r}; pass a dict of names.")
        named[name] = embedder
    return named
