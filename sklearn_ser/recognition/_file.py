"""Recognizers in files that hold no code and no weights of a speech model, with their cards.

Used by `sklearn-ser train`, `predict` and `card`.
"""

from __future__ import annotations

import copy
import datetime
import importlib
import importlib.util
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.utils import Bunch
from sklearn.utils.validation import check_is_fitted

from sklearn_ser._utils import (
    as_classes,
    as_speakers,
    given_corpus,
    open_regular,
    own_files,
    refuse_without_effect,
    set_where_taken,
    warn,
    write_atomically,
)
from sklearn_ser.embedders import RecordEmbedder, SSLEmbedder
from sklearn_ser.evaluation import effective_parameters, feature_name, installed_versions
from sklearn_ser.exceptions import ArgumentError
from sklearn_ser.recognition._archive import check_archive
from sklearn_ser.recognition._recognizer import EmotionRecognizer

__all__ = ["card_of", "load_recognizer", "save_recognizer"]

FORMAT = 1
MAX_BYTES = 1 << 31
# What of this package a file may hold. Nothing else is imported because a file names it, apart from
# what skops lists itself: scikit-learn's estimators, arrays and functions of NumPy and SciPy.
OURS = frozenset(
    f"sklearn_ser.{name}"
    for name in (
        "classifiers._layer_weighted.LayerWeightedClassifier",
        "classifiers._mlp.MLPHead",
        "classifiers._sequence.SequenceClassifier",
        "embedders._egemaps.EGeMAPSEmbedder",
        "embedders._mfcc.MFCCEmbedder",
        "embedders._ssl.SSLEmbedder",
        "embedders._text.TextEmbedder",
        "preprocessing._audio_augmenter.AudioAugmenter",
        "preprocessing._frame_union.FrameUnion",
        "preprocessing._speaker_scaler.SpeakerScaler",
        "recognition._domain.ClassDistance",
        "recognition._domain.OutOfDomainDetector",
        "recognition._recognizer.EmotionRecognizer",
    )
)


def save_recognizer(
    recognizer: EmotionRecognizer,
    path: str | os.PathLike[str],
    training: Sequence[Any] = (),
) -> None:
    """Write a fitted recognizer, with its card, to one file.

    Parameters
    ----------
    recognizer : EmotionRecognizer
    path : str or path-like
    training : sequence of Bunch
        The corpora that it was trained on, for the card.

    See Also
    --------
    load_recognizer : Reads it.

    Notes
    -----
    The file is skops's: arrays and the names of classes, nothing that runs code. It names the
    speech model, and the digest and the revision of its weights, but does not hold them.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from sklearn_ser import MFCCEmbedder
    >>> from sklearn_ser.datasets import make_emotional_speech
    >>> from sklearn_ser.recognition import EmotionRecognizer, load_recognizer, save_recognizer
    >>> corpus = make_emotional_speech(n_speakers=3, n_sentences=2, random_state=0)
    >>> recognizer = EmotionRecognizer(MFCCEmbedder(), "lda")
    >>> recognizer = recognizer.fit(corpus.X, corpus.y, corpus.groups)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     save_recognizer(recognizer, Path(folder) / "synthetic.skops", [corpus])
    ...     again = load_recognizer(Path(folder) / "synthetic.skops")
    >>> bool((again.predict(corpus.X) == recognizer.predict(corpus.X)).all())
    True
    """
    check_is_fitted(recognizer)
    recognizer = pin_revisions(recognizer)
    card = json.dumps(card_of(recognizer, training))
    write_atomically(path, skops_io().dumps({"card": card, "recognizer": recognizer}))


def load_recognizer(
    path: str | os.PathLike[str],
    *,
    model: str | None = None,
    trusted: Sequence[str] = (),
    **parameters: Any,
) -> EmotionRecognizer:
    """Read a recognizer that :func:`save_recognizer` wrote.

    Parameters
    ----------
    path : str or path-like
    model : str, default=None
        Where the speech model of its features lies now, if not where it was trained.
    trusted : sequence of str
        Classes of your own that the file holds, as "module.Class"; others are an error. Importing
        their modules runs them.
    **parameters
        Set on the embedders that have them: cache, device, n_jobs, on_error, … One of them has to
        have it. None may change which features they give.

    Returns
    -------
    recognizer : EmotionRecognizer
        With ``card_``, a dict: what it was trained on, its scores for held-out speakers, versions.

    Raises
    ------
    OSError
        If the file cannot be opened, or is no regular file.
    ValueError
        If the file is damaged or no such file, or holds what could run code, or its features would
        be computed by another model, or otherwise, than those that it was trained on, or by one
        that is not here.
    TypeError
        If a parameter, or `model`, would have no effect.

    Warns
    -----
    UserWarning
        If files with code of your own in it have changed since it was trained.

    See Also
    --------
    save_recognizer : Writes it.

    Examples
    --------
    >>> from sklearn_ser.recognition import load_recognizer
    >>> load_recognizer("nowhere.skops")
    Traceback (most recent call last):
        ...
    FileNotFoundError: ...
    """
    skops, path = skops_io(), os.fspath(path)
    with open_regular(path, MAX_BYTES) as file:
        try:
            check_archive(file)
            held = _load_trusted(skops, file, path, trusted)
            recognizer, card = held["recognizer"], json.loads(held["card"])
            if not isinstance(recognizer, EmotionRecognizer) or not isinstance(card, dict):
                raise ValueError(f"it holds a {type(recognizer).__name__}")
            if card["format"] != FORMAT:
                raise ValueError(
                    f"{path} has format {card['format']}; this version reads {FORMAT}."
                )
            return _with_card(recognizer, card, path, model, parameters)
        except ArgumentError:
            raise
        except Exception as error:
            if isinstance(error, ValueError) and str(error).startswith(path):
                raise
            if isinstance(error, ImportError) and any(
                name.startswith(f"{error.name}.") for name in trusted
            ):
                raise ImportError(
                    f"{path} needs your module {error.name}, which Python does not find here. Add "
                    "the folder of its file to the environment variable PYTHONPATH, or name the "
                    f"file on the command line: --trust FOLDER/{error.name}.py:CLASS.",
                    name=error.name,
                ) from error
            raise ValueError(
                f"{path} is not a recognizer that save_recognizer wrote, or it cannot be used "
                f"here ({type(error).__name__}: {str(error)[:500]})."
            ) from error


def _load_trusted(skops: Any, file: Any, path: str, trusted: Sequence[str]) -> Any:
    """Return what a file holds, if it names no classes but those of a list and `trusted`."""
    found = skops.get_untrusted_types(file=file)
    refused = sorted(name for name in found if name not in OURS and name not in trusted)
    if refused:
        named = " ".join(map(_trust_option, refused))
        raise ValueError(
            f"{path} holds {', '.join(refused)[:1000]}, which could run code. If you trust who "
            f"wrote it, name these classes as trusted: trusted={refused}, or on the command line "
            f"--trust {named[:1000]}."
        )
    if unneeded := [name for name in trusted if name not in found]:
        raise ValueError(
            f"{path}: nothing in it has to be trusted under the names {unneeded}: leave them out."
        )
    return skops.load(file, trusted=list(found))


def _trust_option(name: str) -> str:
    """Return what ``--trust`` takes for a class: its file, if Python does not find its module."""
    module, _, attribute = name.rpartition(".")
    package = module.partition(".")[0]
    if package in sys.modules or not package or importlib.util.find_spec(package) is not None:
        return name
    return f"FOLDER/{module.replace('.', '/')}.py:{attribute}"


def _with_card(
    recognizer: EmotionRecognizer,
    card: dict[str, Any],
    path: str,
    model: str | None,
    parameters: dict[str, Any],
) -> EmotionRecognizer:
    """Return a recognizer with its card and parameters, after checking its features."""
    _warn_of_changed_files(path, card.get("files", {}), own_files(recognizer))
    of_features = embedders_of(recognizer.embedder_)
    embedders = [*of_features, *domain_embedders(recognizer)]
    new_model = {} if model is None else {"model": model}
    for chosen, changes in ((of_features, new_model), (embedders, parameters)):
        taken: dict[str, list[str]] = {}
        for embedder in chosen:  # of which several may be of one kind
            taken.setdefault(feature_name(embedder), []).extend(effective_parameters(embedder))
        refuse_without_effect(changes, taken, ["model", "trusted"])
    for embedder, trained in zip(embedders, [*card["features"], *card["domain"]], strict=True):
        if embedder in of_features:
            set_where_taken(embedder, new_model)
        names = embedder.get_feature_names_out().tolist()
        set_where_taken(embedder, parameters)
        if embedder.get_feature_names_out().tolist() != names:
            raise ValueError(
                f"{path} was trained on other {trained['features']} features than "
                f"{', '.join(sorted({*parameters} & {*embedder.get_params()}))} would give."
            )
        _check_features(embedder, trained, path)
    recognizer.card_ = Bunch(**card)
    return recognizer


def card_of(recognizer: EmotionRecognizer, training: Sequence[Any]) -> dict[str, Any]:
    """Return what a recognizer is, in plain JSON values."""
    return {
        "format": FORMAT,
        "created": datetime.date.today().isoformat(),
        "versions": installed_versions(),
        "emotions": recognizer.classes_.tolist(),
        "features": [_features(each) for each in embedders_of(recognizer.embedder_)],
        "domain": [_features(each) for each in domain_embedders(recognizer)],
        "classifier": recognizer.classifier
        if isinstance(recognizer.classifier, str)
        else repr(recognizer.classifier),
        "seconds": {"median": recognizer.seconds_[0], "longest": recognizer.seconds_[1]},
        "files": own_files(recognizer),
        "training": [_corpus(corpus) for corpus in training],
        "new_speakers": recognizer.scores_,
    }


def pin_revisions(recognizer: EmotionRecognizer) -> EmotionRecognizer:
    """Return a copy of a recognizer with the commits of its models on the hub as revisions."""
    recognizer = copy.deepcopy(recognizer)
    for embedder in embedders_of(recognizer.embedder_):
        folder = embedder.model_folder() if isinstance(embedder, SSLEmbedder) else Path()
        if folder.parent.name == "snapshots":  # where the hub's cache keeps a commit's files
            embedder.set_params(revision=folder.name)
    return recognizer


def _corpus(corpus: Any) -> dict[str, Any]:
    """Return what a card says of a corpus."""
    corpus = given_corpus(corpus, needed=["y"])
    name, groups = corpus.get("name", "corpus"), corpus.groups
    emotions, counts = np.unique(as_classes(corpus.y, f"y of {name}"), return_counts=True)
    speakers = None if groups is None else as_speakers(groups, f"groups of {name}")
    return {
        "corpus": name,
        "n_clips": len(corpus.y),
        "n_speakers": None if speakers is None else len(set(speakers.tolist())),
        "emotions": dict(zip(map(str, emotions), counts.tolist(), strict=True)),
    }


def _features(embedder: RecordEmbedder) -> dict[str, Any]:
    """Return what a card says of an embedder."""
    parameters = embedder.get_params()
    selected = ("model", "layer", "pooling")
    return {
        "features": feature_name(embedder),
        **{name: parameters[name] for name in selected if name in parameters},
        "computed": json.loads(json.dumps(embedder.compute_settings())),
    }


def _check_features(embedder: RecordEmbedder, trained: dict[str, Any], path: str) -> None:
    then, now = trained["computed"], _features(embedder)["computed"]
    other = sorted(key for key in {*now, *then} if now.get(key) != then.get(key))
    if other:
        differences = ", ".join(
            f"{key} {then.get(key)!r} then, {now.get(key)!r} now" for key in other
        )
        raise ValueError(
            f"{path} was trained on {trained['features']} features that are computed otherwise "
            f"here ({differences}). Give it the model, in the revision, that it was trained with, "
            "or train it again."
        )


def _warn_of_changed_files(path: str, then: dict[str, Any], now: dict[str, Any]) -> None:
    changed = [
        f"{name} ({file['path']}, SHA-256 {file['sha256'][:12]}… then, "
        f"{now[name]['sha256'][:12]}… in {now[name]['path']} now)"
        for name, file in then.items()
        if name in now and now[name]["sha256"] != file["sha256"]
    ]
    if changed:
        warn(
            f"{path} was trained with other code than is here, in {len(changed)} of {len(then)} "
            f"modules of your own: {'; '.join(changed)}. If that changes what they compute, train "
            "it again, or restore the files.",
        )


def domain_embedders(recognizer: EmotionRecognizer) -> list[RecordEmbedder]:
    """Return the embedders of a recognizer's detector."""
    return [found for view in recognizer.detector_.views_ for found in embedders_of(view)]


def embedders_of(estimator: Any) -> list[RecordEmbedder]:
    """Return the embedders that an estimator is, or is made of."""
    if isinstance(estimator, RecordEmbedder):
        return [estimator]
    parts = [*getattr(estimator, "transformer_list", ()), *getattr(estimator, "steps", ())]
    return [found for _, part in parts for found in embedders_of(part)]


def skops_io() -> Any:
    """Return skops.io, or raise an error that says what to install."""
    try:
        return importlib.import_module("skops.io")
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            f"a recognizer's file needs skops: pip install 'sklearn-ser[skops]' ({error})"
        ) from None
