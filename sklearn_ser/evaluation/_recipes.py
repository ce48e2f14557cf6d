"""What an estimator, a splitter or a corpus is, in plain JSON values."""

from __future__ import annotations

import importlib
import inspect
import itertools
import json
import math
import os
import platform
import sys
import types
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator

from sklearn_ser._audio import as_clips, items_of
from sklearn_ser._utils import digest_of, source_files
from sklearn_ser.embedders import RecordEmbedder
from sklearn_ser.evaluation._named import INNER_FOLDS, named

__all__ = [
    "corpus_digests",
    "installed_versions",
    "recipe_of",
    "recipe_of_classifier",
    "recipe_of_folds",
    "recipe_of_splitter",
    "why_not_repeatable",
]

PACKAGES = (
    "sklearn-ser",
    "scikit-learn",
    "torch",
    "transformers",
    "skorch",
    "librosa",
    "opensmile",
    "numpy",
)
# scikit-learn's own way to clone, of estimators and of splitters.
CLONED = (BaseEstimator.__sklearn_clone__, None)


def recipe_of(value: Any) -> Any:
    """Return a value in plain JSON values, from which it can be made again.

    An estimator or a splitter is a dict: ``class``, where to import it, and ``parameters``, what to
    make it with; an embedder's also has ``computed``, all that its values depend on: the digest of
    a model's weights, versions. A function is ``{"object": where to import it}``, a number that
    JSON lacks ``{"float": "nan"}``. What is nothing of these is ``{"repr": …}``. Classes and
    functions of the user's own also have ``files``: the path and SHA-256 of each module's file.
    """
    if value is None or isinstance(value, (str, bool, int)):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else {"float": str(value)}
    if isinstance(value, np.ma.MaskedArray):  # of which an element may be such an array itself
        return recipe_of(value.tolist())
    if isinstance(value, np.ndarray):
        return [recipe_of(each) for each in value] if value.ndim else recipe_of(value[()])
    if isinstance(value, np.generic) and value.dtype.kind in "biu":
        return value.item()
    if isinstance(value, np.floating) and (float(value) == value or np.isnan(value)):
        return recipe_of(float(value))  # of a longdouble, only where nothing is lost
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    if isinstance(value, Mapping):
        return {str(key): recipe_of(each) for key, each in value.items()}
    if isinstance(value, (list, tuple, range)):
        return [recipe_of(each) for each in value]
    if isinstance(value, type) or inspect.isroutine(value):
        return {"object": _place(value), **_files(value)}
    if (parameters := _parameters(value)) is None:
        return {"repr": repr(value)}
    place, files = _place(type(value)), _files(type(value))
    recipe = {"class": place, **files, "parameters": recipe_of(parameters)}
    if isinstance(value, RecordEmbedder):
        recipe["computed"] = json.loads(json.dumps(value.compute_settings()))
    return recipe


def why_not_repeatable(value: Any) -> str | None:
    """Return why an estimator's recipe does not say all that its fits depend on; None if it does.

    Beside its parameters, these may depend on random numbers, on functions without a name, on the
    state of objects that are no estimators, and on code of which no version is known.
    """
    if value is None or isinstance(value, (str, bool, int, float, np.number, os.PathLike)):
        return None
    if isinstance(value, np.ndarray):
        return why_not_repeatable(value.tolist())
    if isinstance(value, Mapping):
        return why_not_repeatable([*value.items()])
    if isinstance(value, (list, tuple, range)):
        return next(filter(None, map(why_not_repeatable, value)), None)
    if isinstance(value, type) or inspect.isroutine(value) or isinstance(value, np.ufunc):
        return _why_unknown(value)
    if (parameters := _parameters(value)) is None:
        return f"{value!r:.60} is neither a value nor an estimator"
    name = type(value).__name__
    if parameters.get("random_state", 0) is None and parameters.get("shuffle", True):
        return f"random_state of {name} is None; give it a number"
    if {"_metadata_request", "_sklearn_output_config"} & {*getattr(value, "__dict__", {})}:
        return f"{name} has requests or an output of its own"
    if getattr(type(value), "__sklearn_clone__", None) not in CLONED:
        return f"{name} is cloned in a way of its own"
    return _why_unknown(type(value)) or why_not_repeatable(parameters)


def _why_unknown(thing: Any) -> str | None:
    """Return why a class or a function is not known by its name, its files and versions."""
    name = getattr(thing, "__qualname__", thing.__name__)
    owner = getattr(thing, "__self__", None)
    if "<" in name or not (owner is None or isinstance(owner, (type, types.ModuleType))):
        return f"{name} cannot be imported by its name"
    module = str(getattr(thing, "__module__", None) or "numpy").partition(".")[0]
    known = module in sys.stdlib_module_names - {"__main__"}
    known |= hasattr(sys.modules.get(module), "__version__")
    return None if known or source_files(thing) else f"the code of {name} is in no file"


def _parameters(value: Any) -> dict[str, Any] | None:
    """Return what an estimator, or a splitter, was made with."""
    if hasattr(value, "get_params"):
        return value.get_params(deep=False)
    if not hasattr(value, "get_n_splits"):
        return None
    names = [name for name in inspect.signature(type(value)).parameters if hasattr(value, name)]
    return {name: getattr(value, name) for name in names}


def _files(value: Any) -> dict[str, Any]:
    files = source_files(value)
    return {"files": files} if files else {}


def _place(value: Any) -> str:
    """Return where to import a class or a function: its public place, if it has one."""
    module, name = value.__module__, value.__qualname__
    public = ".".join(itertools.takewhile(lambda p: not p.startswith("_"), module.split(".")))
    if public and getattr(importlib.import_module(public), name, None) is value:
        module = public
    return f"{module}.{name}"


def recipe_of_classifier(classifier: Any) -> dict[str, Any]:
    """Return a classifier's recipe; of a name, what it stands for, and what is chosen of it."""
    if not isinstance(classifier, str):
        return recipe_of(classifier)
    estimator, choices, parameter = named(classifier)
    recipe = {"name": classifier, **recipe_of(estimator)}
    searched = {parameter.rpartition("__")[2]: choices, "inner_folds": INNER_FOLDS}
    return recipe if choices is None else {**recipe, **searched}


def recipe_of_splitter(cv: Any) -> Any:
    """Return a splitter's recipe; None for a name, or for folds that are given as positions."""
    return recipe_of(cv) if hasattr(cv, "get_n_splits") else None


def recipe_of_folds(cv: Any, folds: Any, n_clips: int) -> list[dict[str, Any]] | None:
    """Return the positions of the clips of each fold, unless a name says them.

    ``train`` is None where it is all that is not tested.
    """
    if isinstance(cv, str):
        return None
    recipes = []
    for train, test in folds:
        others = np.setdiff1d(np.arange(n_clips), test)
        whole = np.array_equal(np.sort(train), others)
        recipes.append({"train": None if whole else train.tolist(), "test": test.tolist()})
    return recipes


def corpus_digests(X: Any, y: Any, groups: Any, waveform_rate: Any = None) -> dict[str, Any]:
    """Return hashes of a corpus's labels (emotions, or ratings, and speakers), and of its audio.

    That of audio is None where X holds no clips.
    """
    groups = [None] * len(y) if groups is None else groups
    labels = [[str(emotion), str(speaker)] for emotion, speaker in zip(y, groups, strict=True)]
    try:
        audio = _hash([clip.digest() for clip in as_clips(items_of(X), waveform_rate)])
    except (TypeError, ValueError):  # a ClipError among them: features, or anything else
        audio = None
    return {"labels": _hash(labels), "audio": audio}


def _hash(value: Any) -> str:
    return digest_of(json.dumps(value))


def installed_versions() -> dict[str, str]:
    """Return the versions of what a score depends on."""
    found = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found
