"""Fit a classifier or regressor on each training fold, and predict the test fold."""

from __future__ import annotations

import os
import threading
import time
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from typing import Any, Literal, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd
from joblib.parallel import get_active_backend
from sklearn.utils import column_or_1d
from sklearn.utils.parallel import Parallel, delayed
from threadpoolctl import threadpool_limits

from sklearn_ser._utils import (
    are_ratings,
    as_ratings,
    as_they_come,
    default_settings,
    safe_indexing,
)
from sklearn_ser.evaluation._alignment import ALIGNMENTS
from sklearn_ser.evaluation._classifiers import best_inner_score, fit_classifier, inner_folds
from sklearn_ser.evaluation._clip_classifiers import AsPredicted, at_position
from sklearn_ser.evaluation._kept_fits import Fit, KeptFits, Keys
from sklearn_ser.evaluation._targets import UNKNOWN, target_of
from sklearn_ser.exceptions import ClipError

__all__ = ["ClipLabels", "Task", "fit_all", "fit_fold", "speakers_to_keep_apart"]

# A process takes about 2 s to import what it needs. Seconds of fits from which several pay; and
# values of a feature matrix up to which one fit, by a classifier of ours, is surely much shorter.
WORTH_PROCESSES = 4.0
SMALL = 1 << 18


class ClipLabels(NamedTuple):
    """What is known of the clips, each of shape (n_clips,); emotions may be ratings, as floats."""

    emotions: npt.NDArray[Any]
    speakers: npt.NDArray[Any] | None
    corpora: npt.NDArray[Any] | None = None

    def groups(self, rows: npt.NDArray[Any]) -> npt.NDArray[Any] | None:
        """Return the speakers of some clips, as `speakers_to_keep_apart` gives them."""
        speakers = speakers_to_keep_apart(self.speakers)
        return None if speakers is None else speakers[rows]


def speakers_to_keep_apart(speakers: Any) -> Any:
    """Return speakers that inner folds keep apart; None if they are unknown, or one in all.

    Inner folds are of clips then, as the folds that they are inside of are.
    """
    return None if speakers is None or len(np.unique(speakers)) == 1 else speakers


class Task(NamedTuple):
    """One fold of one row of the results."""

    row: int
    fold: int
    values: Any  # features, of shape (n_clips, n_features), or clips
    train: npt.NDArray[Any]
    test: npt.NDArray[Any]
    classifier: Any
    speaker_scaling: str | None = None
    alignment: str | None = None
    #: By which score inside the training fold rows are compared: "own", that of the classifier's
    #: own search, where all rows have one classifier; "same", a score of all classifiers alike.
    inner: Literal["own", "same"] | None = None


def fit_all(
    tasks: Sequence[Task],
    labels: ClipLabels,
    *,
    n_jobs: int | None,
    verbose: bool,
    memory: str | os.PathLike[str] | None = None,
    waveform_rate: float | None = None,
) -> pd.DataFrame:
    """Return the predictions of all tasks, a line each.

    It has row, fold, clip, speaker, emotion and predicted; of emotions also confidence, the
    probability of what is predicted, NaN where there are no probabilities; and of the whole fold
    inner_score, the score inside the training fold if that is asked for, and seconds. With
    `memory`, each fit is kept there when it is done, and those that are there already are not
    fitted again.
    """
    from tqdm.auto import tqdm

    kept = None if memory is None else KeptFits(memory)
    keys: list[str | None] = [None] * len(tasks)
    if kept is not None:
        keys_of = Keys(labels, waveform_rate)
        keys = [keys_of.of(task) for task in tasks]
    fits = [None if kept is None else kept.load(key) for key in keys]
    missing = [k for k, fit in enumerate(fits) if fit is None or not _has_inner(fit, tasks[k])]
    arguments = [(tasks[k], labels, fits[k], kept, keys[k]) for k in missing]
    found = _each_fit(arguments, _n_jobs(n_jobs))
    progress = tqdm(found, total=len(missing), desc="fit", unit="fold", disable=not verbose)
    for k, fit in zip(missing, progress, strict=True):
        fits[k] = fit
    return pd.concat(
        [_lines(task, labels, fit) for task, fit in zip(tasks, fits, strict=True) if fit],
        ignore_index=True,
    )


def _each_fit(arguments: Sequence[Any], n_jobs: int | None) -> Iterator[Fit]:
    """Yield what `_fit_one` gives, in order: here, until processes are worth their start."""
    done, started = 0, time.perf_counter()
    for task, *others in arguments:
        a_fit = (time.perf_counter() - started) / max(done, 1)
        is_long = done > 0 and a_fit * (len(arguments) - done) > WORTH_PROCESSES
        if is_long or not _is_small(task):
            break
        yield _fit_one(task, *others)
        done += 1
    if done < len(arguments):
        parallel = Parallel(n_jobs, return_as=as_they_come("generator"))
        yield from parallel(delayed(_fit_one)(*each) for each in arguments[done:])


def _is_small(task: Task) -> bool:
    """Tell whether a fit is surely much shorter than the start of a process."""
    return isinstance(task.classifier, str) and np.size(task.values) <= SMALL


def _n_jobs(n_jobs: int | None) -> int | None:
    """Return how many folds are fitted at once: all cores, unless joblib is told otherwise."""
    if n_jobs is not None:
        return n_jobs
    backend, configured = get_active_backend()
    is_inside = bool(getattr(backend, "nesting_level", 0))
    return -1 if configured is None and not is_inside else configured


def _has_inner(fit: Fit, task: Task) -> bool:
    return task.inner is None or task.inner in fit.inner


def _lines(task: Task, labels: ClipLabels, fit: Fit) -> pd.DataFrame:
    """Return a line for each prediction of a fit, having given its warnings."""
    fit.warn()
    test, is_rated = task.test, are_ratings(labels.emotions)
    confidence = {} if is_rated else {"confidence": fit.confidence or np.nan}
    return pd.DataFrame(
        {
            "row": task.row,
            "fold": task.fold,
            "clip": test,
            "speaker": UNKNOWN if labels.speakers is None else labels.speakers[test],
            "emotion": labels.emotions[test],
            "predicted": np.asarray(fit.predicted, dtype=float if is_rated else None),
            **confidence,
            "inner_score": np.nan if task.inner is None else fit.inner[task.inner],
            "seconds": fit.seconds,
        }
    )


def _fit_one(
    task: Task, labels: ClipLabels, known: Fit | None, kept: KeptFits | None, key: str | None
) -> Fit:
    """Return what is predicted by a fit, of which the inner score alone may be missing."""
    started = time.perf_counter()
    # Problems this small are many times slower when BLAS splits them; folds are what runs at once.
    # Warnings are given again where all fits come together; threads would disturb each other's.
    in_main_thread = threading.current_thread() is threading.main_thread()
    recorded: Any = warnings.catch_warnings(record=True) if in_main_thread else nullcontext([])
    with default_settings(), threadpool_limits(1), recorded as caught:
        if known is None:
            fitted, X_test = fit_fold(task, labels)
            with _errors_at_positions(task.test):
                predicted = _predicted(fitted, X_test, labels.emotions).tolist()
                n_warnings = len(caught)
                confidence = _confidence(fitted, X_test, predicted)
                del caught[n_warnings:]  # predict_proba's, which repeat those of predict
            known = Fit(predicted, confidence, 0.0, _search_scores(fitted, task), [])
        if not _has_inner(known, task):
            known.inner[str(task.inner)] = _inner_score(task, labels)
    told = [(f"{w.category.__module__}.{w.category.__qualname__}", str(w.message)) for w in caught]
    seconds = known.seconds + time.perf_counter() - started
    known = known._replace(seconds=seconds, warnings=[*known.warnings, *told])
    if kept is not None and key is not None:
        kept.save(key, known)
    return known


def _predicted(fitted: Any, X: Any, emotions: Any) -> npt.NDArray[Any]:
    """Return what is predicted, one a clip: ratings, or emotions as text, as they were fitted."""
    predicted = np.asarray(fitted.predict(X))
    name = f"what {type(fitted).__name__} predicts"
    if are_ratings(emotions):
        return as_ratings(predicted, name)
    predicted = column_or_1d(predicted)  # CatBoost gives a column
    if others := [each for each in predicted.tolist() if not isinstance(each, str)]:
        raise ValueError(
            f"{name} is no emotion for {len(others)} of {len(predicted)} clips, such as "
            f"{others[0]!r}: it was fitted on text, such as {str(emotions[0])!r}, and has to give "
            "its labels back (sklearn.preprocessing.LabelEncoder.inverse_transform)."
        )
    return predicted


def _confidence(fitted: Any, X: Any, predicted: list[Any]) -> list[float] | None:
    """Return the probability of each emotion that is predicted; None without probabilities."""
    if not hasattr(fitted, "predict_proba") or getattr(fitted, "classes_", None) is None:
        return None
    columns = {emotion: k for k, emotion in enumerate(np.asarray(fitted.classes_).tolist())}
    probabilities = np.asarray(fitted.predict_proba(X), dtype=np.float64)
    return [
        float(of_clip[columns[emotion]]) if emotion in columns else np.nan
        for emotion, of_clip in zip(predicted, probabilities, strict=True)
    ]


def _search_scores(fitted: Any, task: Task) -> dict[str, float]:
    """Return the score by which a search chose, by what it can be compared with."""
    score = best_inner_score(fitted)
    # What a search of the user's own maximises need not be what others are scored by.
    names = ("own", "same") if isinstance(task.classifier, str) else ("own",)
    return {} if score is None else dict.fromkeys(names, score)


def fit_fold(task: Task, labels: ClipLabels) -> tuple[Any, npt.NDArray[np.float64]]:
    """Return what was fitted on a training fold, and the test fold as it takes it."""
    X_train, X_test = _fold_inputs(task, labels)
    if isinstance(task.classifier, AsPredicted):
        return task.classifier, X_test
    with _errors_at_positions(task.train), _errors_say_on_clips(task):
        fitted = fit_classifier(
            task.classifier,
            X_train,
            labels.emotions[task.train],
            labels.groups(task.train),
            speaker_scaling=task.speaker_scaling,
        )
    return fitted, X_test


@contextmanager
def _errors_say_on_clips(task: Task) -> Iterator[None]:
    """Let errors say that a classifier is given clips, where it is one among the features."""
    try:
        yield
    except (TypeError, ValueError) as error:
        if isinstance(error, ClipError) or isinstance(task.values, np.ndarray):
            raise
        why = str(error).partition("\n")[0].rstrip(":.")  # scikit-learn's may list all clips
        raise ValueError(
            f"{type(task.classifier).__name__}, a classifier among the features, cannot be fitted "
            f"on clips: {why}. It needs an embedder, as in make_pipeline(MFCCEmbedder(), …), and "
            "is given clips without the other columns of the corpus's frame; a classifier of "
            "features is passed as classifier."
        ) from error


@contextmanager
def _errors_at_positions(rows: npt.NDArray[Any]) -> Iterator[None]:
    """Let errors of clips give their positions in the corpus."""
    try:
        yield
    except ClipError as error:
        if error.position >= len(rows):  # of a copy
            raise
        raise at_position(error, int(rows[error.position])) from None


def _inner_score(task: Task, labels: ClipLabels) -> float:
    """Return the score of speakers held out of the training fold; NaN if they cannot be split.

    Where speakers are not known, clips are held out.
    """
    X = _fold_inputs(task, labels)[0]
    y, groups = labels.emotions[task.train], labels.groups(task.train)
    folds = inner_folds(y, groups)
    if not folds:
        return np.nan
    told = []
    for train, test in folds:
        try:
            within = fit_classifier(
                task.classifier,
                X[train],
                y[train],
                None if groups is None else groups[train],
                speaker_scaling=task.speaker_scaling,
            )
        except ValueError:  # too few clips are left for the classifier
            return np.nan
        told.append((y[test], _predicted(within, X[test], y)))
    return target_of(y).inner_score(told, y)


def _fold_inputs(
    task: Task, labels: ClipLabels
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Return training and test features, aligned, and with the speakers as last column."""
    train, test = task.train, task.test
    X_train, X_test = safe_indexing(task.values, train), safe_indexing(task.values, test)
    if task.alignment is not None:
        corpora = np.zeros(len(train)) if labels.corpora is None else labels.corpora[train]
        X_train, X_test = ALIGNMENTS[task.alignment](X_train, X_test, corpora)
    if task.speaker_scaling is not None:
        assert labels.speakers is not None, "compare refuses to scale unknown speakers"
        codes = np.unique(labels.speakers, return_inverse=True)[1].astype(float)
        X_train = np.column_stack([X_train, codes[train]])
        X_test = np.column_stack([X_test, codes[test]])
    return X_train, X_test
