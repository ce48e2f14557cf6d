"""The feature sets that can be compared, by name."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.pipeline import FeatureUnion, make_union

from sklearn_ser import embedders
from sklearn_ser._models import BUNDLED, read_speech_config
from sklearn_ser._utils import (
    default_settings,
    own_class,
    refuse_masked,
    refuse_without_effect,
    set_where_taken,
)
from sklearn_ser.embedders import EGeMAPSEmbedder, RecordEmbedder, SSLEmbedder, TextEmbedder
from sklearn_ser.evaluation._classifiers import classifier_name
from sklearn_ser.evaluation._clip_classifiers import is_clip_classifier
from sklearn_ser.exceptions import ArgumentError

__all__ = [
    "as_embedders",
    "effective_parameters",
    "embed_rows",
    "feature_name",
    "feature_names",
    "feature_sets",
    "offline_feature_names",
    "parts_of",
]

# What is called of every embedder: to embed clips, and to say how it does.
NEEDED = ("fit_transform", "get_params", "set_params")
MODEL = "ssl:"  # and the id or folder of a speech model
PRETRAINED = "pretrained:"  # and those of a published classifier
HUB_ID = re.compile(r"[\w-][\w.-]*(/[\w.-]+)?", re.ASCII)


def _classes() -> dict[str, type[RecordEmbedder]]:
    """Return the public embedders of clips, by `short_name`."""
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


def embedder_class(name: str, ratings: bool = False) -> type[RecordEmbedder]:
    """Return the embedder of a name, or of "module:Class" or "file.py:Class".

    With `ratings`, a model that is published is a regressor.
    """
    if name in (MODEL, PRETRAINED):
        raise ValueError(f"features {name!r}: no model is named. Give its id or folder after it.")
    if name in BUNDLED or name.startswith(MODEL):
        return SSLEmbedder
    if name.startswith(PRETRAINED):
        from sklearn_ser.classifiers import PretrainedEmotionClassifier, PretrainedEmotionRegressor

        return PretrainedEmotionRegressor if ratings else PretrainedEmotionClassifier
    if name in _classes():
        return _classes()[name]
    if ":" not in name[1:]:
        raise ValueError(
            f"unknown features {name!r}; known are {[*feature_names(), *BUNDLED]}, ssl:MODEL, "
            "ssl:MODEL@REVISION, pretrained:MODEL, and your own as "
            '"module:Class" or "file.py:Class"; "+" joins several.'
        )
    return own_class(name, "features")


def feature_sets(features: Any, **given: Any) -> list[tuple[str, Any]]:
    """Return (name, embedder) pairs, as `as_embedders`, one for each of several poolings.

    Of alternatives, such as ``pooling=["mean", ["mean", "std"]]``, each that changes a feature set
    makes one of the same name.
    """
    given["classifiers"] = True
    pooling: Any = given.get("pooling")
    if not _are_alternatives(pooling):
        return list(as_embedders(features, **given).items())
    alternatives = [(each,) if isinstance(each, str) else tuple(each) for each in pooling]
    if len(set(alternatives)) < len(alternatives):
        raise ValueError(f"pooling={pooling!r} names the same statistics twice.")
    found: dict[str, list[Any]] = {}
    for alternative in pooling:
        for name, embedder in as_embedders(features, **{**given, "pooling": alternative}).items():
            others = found.setdefault(name, [])
            settings = [repr(each.get_params()) for each in (*others, embedder)]
            if settings[-1] not in settings[:-1]:
                others.append(embedder)
    return [(name, embedder) for name, its in found.items() for embedder in its]


def _are_alternatives(pooling: Any) -> bool:
    """Tell whether several poolings are given, a row each, and not one of several statistics."""
    return isinstance(pooling, (list, tuple)) and any(
        isinstance(each, (list, tuple)) for each in pooling
    )


def parts_of(embedder: Any) -> list[Any]:
    """Return the embedders whose features scikit-learn's FeatureUnion joins, or the one given."""
    if type(embedder) is not FeatureUnion or embedder.transformer_weights:
        return [embedder]
    parts = [part for _, part in embedder.transformer_list]
    return parts if all(isinstance(part, RecordEmbedder) for part in parts) else [embedder]


def as_embedders(
    features: Any,
    *,
    caller_parameters: Sequence[str] = (),
    defaults: Mapping[str, Any] | None = None,
    needed: Sequence[str] = (),
    classifiers: bool = False,
    ratings: bool = False,
    **parameters: Any,
) -> dict[str, Any]:
    """Return name → embedder, each of which gives a row of features a clip.

    Parameters
    ----------
    features : mapping, or sequence of str and embedders
        Names of feature sets or of bundled models, "ssl:MODEL" or "ssl:MODEL@REVISION", several
        joined by "+", embedders,
        or a mapping from any name to one of these.
    caller_parameters : sequence of str
        Further parameters that a keyword may be a misspelling of.
    defaults : mapping of str to any, default=None
        Set on those made from a name, where they have such a parameter: what was not asked for,
        or what the caller itself has a use for, too.
    needed : sequence of str
        Methods that the caller calls, beside those that all embedders need.
    classifiers : bool, default=False
        Whether classifiers of clips are taken, too, and "pretrained:MODEL" is one.
    ratings : bool, default=False
        Whether that is a regressor instead.
    **parameters
        Set on those made from a name, where they have such a parameter; window="clip" on Whisper
        alone, where it is among them.

    Raises
    ------
    TypeError
        If a parameter has no effect: none of the feature sets that are made from a name takes it.
        Or if something is no embedder, or lacks methods that are needed.
    ValueError
        If a name is unknown, or two feature sets have the same; or an embedder gives frames; or
        poolings are alternatives.
    """
    given = _listed(features)
    if not given:
        raise ValueError("features is empty: name a feature set, or pass an embedder.")
    if _are_alternatives(parameters.get("pooling")):
        raise ValueError(f"pooling={parameters['pooling']!r}: only compare takes alternatives.")
    named: dict[str, Any] = {}
    taken: dict[str, list[str]] = {}
    made = []
    for name, feature in given:
        embedder = feature
        if isinstance(feature, str):
            parts, texts = {}, split_names(feature)
            published = [text for text in texts if text.startswith(PRETRAINED)]
            if published and (len(texts) > 1 or not classifiers):
                raise ValueError(
                    f"features {feature!r}: {published[0]} is a classifier, and no features that "
                    "can be joined, or trained on. It is a row of a comparison."
                )
            for text in texts:
                part, its_name, effective = _made(text, defaults or {}, parameters, ratings)
                _check_methods(part, text, [*NEEDED, *needed])
                if its_name in parts:
                    raise ValueError(f"features {feature!r} join {its_name} with itself.")
                parts[its_name], taken[its_name] = part, effective
                made.append(part)
            embedder = part if len(parts) == 1 else make_union(*parts.values())
            name = "+".join(parts) if name is None else name
        elif classifiers and is_clip_classifier(feature, ratings):
            name = classifier_name(feature) if name is None else name
        else:
            _check_methods(embedder, feature, [*NEEDED, *needed])
            name = feature_name(embedder) if name is None else name
        if name in named:
            raise ValueError(f"two feature sets are called {name!r}; pass a dict of names.")
        named[name] = embedder
    refuse_without_effect(parameters, taken, caller_parameters)
    if parameters.get("window") == "clip":
        _leave_clip_windows_to_whisper([part for part in made if isinstance(part, SSLEmbedder)])
    for name, embedder in named.items():
        for part in parts_of(embedder):
            sequences = isinstance(part, RecordEmbedder) and part.gives_sequences()
            if sequences and not is_clip_classifier(part, ratings):
                raise ValueError(
                    f"{name} gives frames (pooling=None), and what is needed are rows, one a clip: "
                    "choose statistics."
                )
    return named


def _leave_clip_windows_to_whisper(made: Sequence[SSLEmbedder]) -> None:
    """Give models beside Whisper the default window; where there is no Whisper, change nothing."""
    others = [
        each for each in made if read_speech_config(each.model_folder()).model_type != "whisper"
    ]
    if len(others) < len(made):
        for embedder in others:
            embedder.set_params(window="auto")


def split_names(text: str) -> list[str]:
    """Return the names that "+" joins; one in the path of a folder or a file joins nothing."""
    pieces = text.split("+")
    for n in range(len(pieces), 1, -1):
        first = "+".join(pieces[:n])
        path, _, class_name = first.rpartition(":")
        if first.startswith((MODEL, PRETRAINED)):
            path, revision = split_revision(first.partition(":")[2])
            class_name = revision or ""
        if path and "+" not in class_name and Path(path).expanduser().exists():
            return [first, *(split_names("+".join(pieces[n:])) if pieces[n:] else [])]
    return [pieces[0], *(split_names("+".join(pieces[1:])) if pieces[1:] else [])]


def split_revision(text: str) -> tuple[str, str | None]:
    """Return the model and the revision of "MODEL@REVISION"; None if no revision is named.

    A folder may have "@" in its path: the longest path that is there is the model. What is neither
    there nor an id of the hub, which has no "@", names no revision.
    """
    pieces = text.split("@")
    for n in range(len(pieces), 0, -1):
        model, revision = "@".join(pieces[:n]), "@".join(pieces[n:])
        is_there = bool(model) and Path(model).expanduser().exists()
        if is_there or (n == 1 and HUB_ID.fullmatch(model)):
            if n < len(pieces) and not revision:
                raise ValueError(f"features {text!r}: no revision is named after {model}@.")
            return model, revision or None
    return text, None


def _listed(features: Any) -> list[tuple[str | None, Any]]:
    """Return (name or None, feature) pairs of what was passed as features."""
    if isinstance(features, Mapping):
        if unnamed := [name for name in features if not isinstance(name, str) or not name]:
            raise TypeError(f"features: {unnamed[0]!r} is no name; keys must be texts.")
        return list(features.items())
    if isinstance(features, (set, frozenset)) or hasattr(features, "columns"):
        raise TypeError(
            f"features is a {type(features).__name__}, and not a sequence: pass a list of names "
            "and embedders, in the order of the results' rows, or a dict."
        )
    if isinstance(features, np.ndarray):
        features = features.tolist()
    if isinstance(features, (str, bytes)) or not isinstance(features, Iterable):
        features = [features]
    return [(None, feature) for feature in features]


def _made(
    text: str, defaults: Mapping[str, Any], parameters: Mapping[str, Any], ratings: bool
) -> tuple[Any, str, list[str]]:
    """Return an embedder of a name, what its features are called, and which parameters it takes."""
    embedder_of = embedder_class(text, ratings)
    try:
        embedder = embedder_of()
    except TypeError as error:
        raise ArgumentError(
            f"features {text!r} cannot be made without arguments ({error}). Give each parameter a "
            "default, or pass an embedder that you made."
        ) from error
    if not hasattr(embedder, "get_params") or not hasattr(embedder, "set_params"):
        return embedder, text, []
    fixed: dict[str, Any] = {}
    if text in BUNDLED or text.startswith((MODEL, PRETRAINED)):
        model, revision = split_revision(text.removeprefix(MODEL).removeprefix(PRETRAINED))
        fixed = {"model": model} | ({} if revision is None else {"revision": revision})
    default = embedder.get_params()
    set_where_taken(embedder, {**defaults, **parameters, **fixed})
    taken_by_name = [*fixed, "revision"] if text in BUNDLED else [*fixed]
    effective = effective_parameters(embedder, taken_by_name)
    # What has an effect on others alone stays as it is by default.
    without = [key for key in default if key not in (*effective, *fixed)]
    embedder.set_params(**{key: default[key] for key in without})
    return embedder, text if fixed else feature_name(embedder), effective


def _check_methods(embedder: Any, feature: Any, needed: Sequence[str]) -> None:
    """Raise an error if what is made of a feature is no embedder with the methods needed."""
    lacking = [method for method in needed if not hasattr(embedder, method)]
    if not lacking and not isinstance(embedder, type):
        return
    what = f"{embedder!r:.80}" + (f" of {feature!r}" if isinstance(feature, str) else "")
    why = f"it lacks {', '.join(lacking)}" if lacking else "it is a class"
    raise ArgumentError(
        f"features: {what} is no embedder that can be used here: {why}. Pass a name, or an object "
        f"that has {', '.join(needed)}, such as MFCCEmbedder(); a class of your own gets these "
        "from BaseEmbedder, or from scikit-learn's TransformerMixin and BaseEstimator."
    )


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


def effective_parameters(embedder: Any, fixed: Sequence[str] = ()) -> list[str]:
    """Return the parameters that change what an embedder gives, or how, as far as it was made.

    Those of `fixed` are taken by its name.
    """
    without = {*fixed}
    if isinstance(embedder, EGeMAPSEmbedder) and embedder.level == "functionals":
        without.add("pooling")
    return [name for name in embedder.get_params() if name not in without]


def embed_rows(name: str, embedder: Any, X: Any, n_clips: int) -> npt.NDArray[Any]:
    """Return what an embedder makes of clips, checked to be a row of features of each."""
    with default_settings():
        rows = embedder.fit_transform(X)
    refuse_masked(rows, name)
    rows = np.asarray(rows)
    if rows.ndim != 2 or len(rows) != n_clips:
        raise ValueError(
            f"{name} gives an array of shape {rows.shape} for {n_clips} clips: a row of features "
            "is needed of each of them."
        )
    return rows
