"""The main job: compare features of speech on a corpus, for speakers never heard before."""

from __future__ import annotations

import json
import os
import platform
import time
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.metrics import accuracy_score, f1_score
from sklearn.model_selection import GroupKFold, LeaveOneGroupOut
from threadpoolctl import threadpool_limits

from sklearn_ser.evaluation._classifiers import fit_classifier
from sklearn_ser.evaluation._features import as_embedders, offline_feature_names
from sklearn_ser.evaluation._intervals import speaker_interval
from sklearn_ser.evaluation._metrics import fold_average, uar_score

__all__ = ["Comparison", "LeakageWarning", "compare"]

PACKAGES = ("sklearn-ser", "scikit-learn", "torch", "transformers", "librosa", "opensmile", "numpy")


class LeakageWarning(UserWarning):
    """A split puts clips of one speaker into both training and test folds."""


@dataclass(frozen=True)
class Comparison:
    """What :func:`compare` found.

    Parameters
    ----------
    results : dict
        What ``results.json`` holds: corpus, n_clips, n_speakers, cv, classifier, versions, and
        ``rows``, one a feature set and layer.
    predictions : DataFrame
        One line a row of the results and a tested clip: row, fold, clip (its position),
        speaker, emotion, predicted.

    Examples
    --------
    >>> import tempfile
    >>> from sklearn_ser.datasets import make_emotional_speech
    >>> from sklearn_ser.evaluation import compare
    >>> corpus = make_emotional_speech(n_speakers=4, n_sentences=1, random_state=0)
    >>> comparison = compare(corpus, ["mfcc"], classifier="lda", cache=None)
    >>> comparison.results["rows"][comparison.best]["features"]
    'mfcc'
    >>> comparison.save(tempfile.mkdtemp())
    """

    results: dict[str, Any]
    predictions: pd.DataFrame

    @property
    def frame(self) -> pd.DataFrame:
        """The rows as a DataFrame."""
        return pd.DataFrame(self.results["rows"])

    @property
    def best(self) -> int:
        """Index of the row with the highest UAR."""
        return int(np.argmax([row["uar"] for row in self.results["rows"]]))

    def save(self, folder: str | os.PathLike[str]) -> None:
        """Write ``results.json`` and ``predictions.csv`` into a folder."""
        Path(folder).mkdir(parents=True, exist_ok=True)
        text = json.dumps(self.results, indent=1, allow_nan=False)
        Path(folder, "results.json").write_text(text + "\n", encoding="utf-8")
        self.predictions.to_csv(Path(folder, "predictions.csv"), index=False)


def compare(
    corpus: Any,
    features: Any = None,
    *,
    layer: int | str | Sequence[int] = "all",
    cv: Any = "loso",
    classifier: Any = "logistic",
    n_jobs: int | None = None,
    verbose: bool = False,
    random_state: int = 0,
    **parameters: Any,
) -> Comparison:
    """Compare feature sets, and layers of pretrained models, on a corpus.

    Each clip is embedded once. Every row of the result then fits the classifier on the training
    folds, chooses its C there by a search whose folds share no speaker, and predicts the test
    fold's clips.

    Parameters
    ----------
    corpus : Bunch
        With X (clips), y (emotions) and groups (speakers), as the loaders return.
    features : mapping, or sequence of str and embedders, default=None
        Names of feature sets ("mfcc", "egemaps", "nano", "ssl", "module:Class" or
        "file.py:Class" for your own), embedders, or a mapping from any name to an embedder. None
        takes all that come with this package.
    layer : int, "middle", "mean", "all" or list of int, default="all"
        Layers of "ssl" and of bundled models, a row each.
    cv : {"loso", "group5"} or cross-validator, default="loso"
        Leave one speaker out, five folds of speakers, or a scikit-learn splitter.
    classifier : {"logistic", "lda", "svm"} or estimator, default="logistic"
        A name stands for StandardScaler and the classifier, its C chosen inside the training
        folds. "lda" is linear discriminant analysis with Ledoit-Wolf shrinkage.
    n_jobs : int, default=None
        Number of folds that are fitted, and threads that extract, at once.
    verbose : bool, default=False
        Whether to show progress bars.
    random_state : int, default=0
        Seed of the interval's resampling.
    **parameters
        Set on the embedders made from a name that have them: model, pooling, cache, on_error, …

    Returns
    -------
    comparison : Comparison
        ``uar`` is the mean over folds of the unweighted average recall, ``uar_ci`` its 95 %
        interval that resamples speakers; accuracy and macro F1 are means over folds too.

    Raises
    ------
    ValueError
        If the corpus has no speakers, or too few of them.

    Notes
    -----
    Clips that cannot be embedded by one feature set (with ``on_error="warn"`` or "nan") are left
    out of all of them, so that every row is computed on the same clips.

    The best of many rows is best partly by chance: to report one number for a layer, choose the
    layer inside the training folds, with GridSearchCV over a pipeline's ``sslembedder__layer``.

    Examples
    --------
    >>> from sklearn_ser.datasets import make_emotional_speech
    >>> from sklearn_ser.evaluation import compare
    >>> corpus = make_emotional_speech(n_speakers=4, n_sentences=2, random_state=0)
    >>> comparison = compare(corpus, ["mfcc"], classifier="lda", cache=None)
    >>> comparison.frame[["features", "uar"]].shape
    (1, 2)
    """
    y, groups = np.asarray(corpus.y), corpus.groups
    if groups is None:
        raise ValueError(
            "the corpus does not say who speaks (groups is None), so that no split can keep "
            "speakers apart. Load it with its speakers."
        )
    groups = np.asarray(groups)
    if features is None:
        features = offline_feature_names()
    embedders = as_embedders(features, layer=layer, n_jobs=n_jobs, verbose=verbose, **parameters)
    rows, matrices = [], []
    for name, embedder in embedders.items():
        started = time.perf_counter()
        embedded = np.asarray(embedder.fit_transform(corpus.X), dtype=np.float64)
        seconds = time.perf_counter() - started
        for description, matrix in _by_layer(embedder, embedded):
            rows.append({"features": name, **description, "seconds_extract": seconds})
            matrices.append(matrix)

    usable = np.all([np.isfinite(matrix).all(axis=1) for matrix in matrices], axis=0)
    y, groups = y[usable], groups[usable]
    splits, cv_name = _splits(cv, y, groups)
    tasks = [
        (row, fold, matrix[usable], train, test)
        for row, matrix in enumerate(matrices)
        for fold, (train, test) in enumerate(splits)
    ]
    found = _fit_all(tasks, classifier, y, groups, n_jobs, verbose)
    predictions = pd.concat(found, ignore_index=True)
    predictions["clip"] = np.flatnonzero(usable)[predictions["clip"]]
    seconds_fit = predictions.groupby(["row", "fold"])["seconds"].first().groupby("row").sum()
    for row, result in enumerate(rows):
        seconds_extract = result.pop("seconds_extract")
        result.update(_scores(predictions[predictions["row"] == row], random_state))
        result["seconds_extract"] = round(seconds_extract, 3)
        result["seconds_fit"] = round(float(seconds_fit[row]), 3)
    results = {
        "corpus": corpus.get("name", "corpus"),
        "n_clips": len(y),
        "n_clips_left_out": int(np.sum(~usable)),
        "n_speakers": len(np.unique(groups)),
        "emotions": sorted(set(y.tolist())),
        "cv": cv_name,
        "n_folds": len(splits),
        "classifier": classifier if isinstance(classifier, str) else repr(classifier),
        "versions": _versions(),
        "rows": rows,
    }
    return Comparison(results, predictions.drop(columns="seconds"))


def _by_layer(embedder: Any, embedded: npt.NDArray[np.float64]) -> list[tuple[dict[str, Any], Any]]:
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


def _splits(cv: Any, y: Any, groups: Any) -> tuple[list[tuple[Any, Any]], str]:
    """Return the (train, test) indices of each fold, and what the scheme is called."""
    n_speakers = len(np.unique(groups))
    if isinstance(cv, str):
        if cv not in ("loso", "group5"):
            raise ValueError(f'cv={cv!r}; it must be "loso", "group5" or a splitter.')
        splitter = LeaveOneGroupOut() if cv == "loso" else GroupKFold(5)
        needed = 3 if cv == "loso" else 5
        if n_speakers < needed:
            raise ValueError(f"cv={cv!r} needs {needed} speakers or more; there are {n_speakers}.")
    else:
        splitter = cv
    name = cv if isinstance(cv, str) else repr(cv)
    with warnings.catch_warnings():  # what follows says it better, and with numbers
        warnings.filterwarnings("ignore", "The groups parameter is ignored", UserWarning)
        splits = list(splitter.split(np.zeros((len(y), 1)), y, groups))
    shared = [len(set(groups[train]) & set(groups[test])) for train, test in splits]
    if any(shared):
        warnings.warn(
            f"{np.count_nonzero(shared)} of the {len(splits)} folds of {name} test speakers whom "
            "they were trained on: the scores do not tell how new speakers are recognised. Use "
            'cv="loso" or "group5".',
            LeakageWarning,
            stacklevel=3,
        )
    return splits, name


def _fit_all(
    tasks: list[Any], classifier: Any, y: Any, groups: Any, n_jobs: int | None, verbose: bool
) -> list[pd.DataFrame]:
    from tqdm.auto import tqdm

    found = joblib.Parallel(n_jobs, return_as="generator")(
        joblib.delayed(_fit_one)(task, classifier, y, groups) for task in tasks
    )
    return list(tqdm(found, total=len(tasks), desc="fit", unit="fold", disable=not verbose))


def _fit_one(task: Any, classifier: Any, y: Any, groups: Any) -> pd.DataFrame:
    row, fold, X, train, test = task
    started = time.perf_counter()
    # Problems this small are many times slower when BLAS splits them; folds are what runs at once.
    with threadpool_limits(1):
        fitted = fit_classifier(classifier, X[train], y[train], groups[train])
        predicted = fitted.predict(X[test])
    return pd.DataFrame(
        {
            "row": row,
            "fold": fold,
            "clip": test,
            "speaker": groups[test],
            "emotion": y[test],
            "predicted": predicted,
            "seconds": time.perf_counter() - started,
        }
    )


def _scores(predictions: pd.DataFrame, random_state: int) -> dict[str, Any]:
    y_true, y_pred, folds = (predictions[k].to_numpy() for k in ("emotion", "predicted", "fold"))
    uar, fold_uar = fold_average(uar_score, y_true, y_pred, folds)
    interval = speaker_interval(
        y_true, y_pred, predictions["speaker"].to_numpy(), folds, random_state=random_state
    )
    return {
        "uar": uar,
        "uar_ci": None if interval is None else list(interval),
        "accuracy": fold_average(accuracy_score, y_true, y_pred, folds)[0],
        "macro_f1": fold_average(_macro_f1, y_true, y_pred, folds)[0],
        "fold_uar": fold_uar,
    }


def _macro_f1(y_true: Any, y_pred: Any) -> float:
    emotions = np.unique(y_true)
    return float(f1_score(y_true, y_pred, labels=emotions, average="macro", zero_division=0.0))


def _versions() -> dict[str, str]:
    found = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found
