"""audit_pipeline: an experiment run again with perturbed test folds; what was fitted, compared."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np
import pandas as pd
from sklearn import get_config
from sklearn.base import clone
from sklearn.utils import column_or_1d
from sklearn.utils.metadata_routing import get_routing_for_object

from sklearn_ser._utils import (
    COUNT,
    Folds,
    check_number,
    is_search,
    num_samples,
    refuse_masked,
    refuse_missing,
    safe_indexing,
    split_labels,
)
from sklearn_ser.audit._fitted_state import (
    find_differences,
    find_fitted,
    fitted_state,
    name_objects,
)
from sklearn_ser.model_selection import Protocol, check_cv

__all__ = ["PipelineAudit", "audit_pipeline"]

CHANGED, FITTED = "changed with the test fold", "fitted before the split"
MAX_LISTED = 3  # parameters in a sentence
TOLERANCE = 1e-6  # of a prediction


@dataclass(frozen=True)
class PipelineAudit:
    """What :func:`audit_pipeline` found.

    Parameters
    ----------
    findings : DataFrame
        One row a fold and parameter: fold, parameter, kind ("changed with the test fold" or
        "fitted before the split") and change, the L2 norm of the largest difference over the
        larger norm of the values compared; NaN where it is not measured (no numbers, another
        shape).
    transductive : bool or None
        Whether the prediction of a clip depends on the clips predicted along with it; None if
        nothing that predicts from X was returned. This alone is not a leak.
    n_folds : int
        Number of folds that were run.

    See Also
    --------
    audit_pipeline : Makes it.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.linear_model import LogisticRegression
    >>> from sklearn.model_selection import KFold
    >>> from sklearn_ser.audit import audit_pipeline
    >>> X = np.random.default_rng(0).normal(size=(20, 3))
    >>> audit = audit_pipeline(LogisticRegression(), X, ["joy", "fear"] * 10, cv=KFold(4))
    >>> audit.leaks, audit.transductive
    (False, False)
    """

    findings: pd.DataFrame
    transductive: bool | None
    n_folds: int

    @property
    def leaks(self) -> bool:
        """Whether there are findings of either kind."""
        return len(self.findings) > 0

    @property
    def verdict(self) -> str:
        """The findings, and how to avoid them, in plain sentences."""
        changed, fitted = (self._list_parameters(kind) for kind in (CHANGED, FITTED))
        sentences = []
        if changed:
            sentences.append(f"Changed with the test fold: {changed}.")
        if fitted:
            sentences.append(f"Fitted before the split, on clips that are not known: {fitted}.")
        if self.leaks:
            sentences.append(
                "Put what fits or chooses them into the Pipeline, unfitted, so that it is fitted "
                "on training folds only."
            )
        else:
            folds = "1 fold" if self.n_folds == 1 else f"{self.n_folds} folds"
            sentences.append(f"No fitted state changed with the test fold, in {folds}.")
        if self.transductive:
            sentences.append("Predictions depend on which test clips are predicted together.")
        return " ".join(sentences)

    def __str__(self) -> str:
        return self.verdict

    def _list_parameters(self, kind: str) -> str:
        of_kind = self.findings["kind"] == kind
        return _list_names(list(self.findings.loc[of_kind, "parameter"].unique()))


def audit_pipeline(
    pipeline: Any,
    X: Any,
    y: Any,
    *,
    cv: Any,
    groups: Any = None,
    max_folds: int = 2,
    n_perturbations: int = 3,
    random_state: int | None = 0,
) -> PipelineAudit:
    """Find out whether anything in a pipeline or experiment was fitted on the test fold.

    Each fold is run as it is, a second time to see that this can be repeated, and then with its
    test clips and their labels perturbed, while the training clips stay. The fitted state of
    what is fitted on training folds only does not change.

    Parameters
    ----------
    pipeline : estimator or callable
        An estimator is cloned and fitted on the training fold; a search is
        given the training fold's `groups`. A callable ``experiment(X, y, train, test)`` does
        everything that is done for a fold, also what is done before the split, given all clips
        and the indices of the fold's, and returns what was fitted: an estimator, or a tuple,
        list or dict of estimators and arrays, but no predictions of test clips.
    X : sequence of n_clips clips, array or frame
        Anything that scikit-learn can index.
    y : array-like of shape (n_clips,)
        Labels, of two classes or more.
    cv : str, cross-validator, int or iterable of (train, test)
        The splits; "loso" and other names as in :func:`audit_split`.
    groups : DataFrame, or array-like of shape (n_clips,), default=None
        The corpus's frame, or its speakers: for `cv` and for searches.
    max_folds : int, default=2
        Number of folds run; each takes ``2 + n_perturbations`` fits.
    n_perturbations : int, default=3
        Number of perturbed runs a fold. In turn: one clip with one label in place of all test
        clips; clips drawn from anywhere, with their own labels; the same clips, all mislabelled,
        and multiplied by 1000 where `X` is an array or frame of floats.
    random_state : int or None, default=0
        Seed of the perturbations.

    Returns
    -------
    audit : PipelineAudit

    Raises
    ------
    TypeError
        If `pipeline` is neither an estimator nor a callable.
    ValueError
        If two runs on the same clips give different fitted states, if the experiment fails once
        the test fold is perturbed, or if y holds a single class.

    See Also
    --------
    audit_split : What training and test sets share.

    Notes
    -----
    An audit sees what happens between `X` and what is returned. What was done to `X` before,
    or what a callable was given from outside, looks the same in every run: hand over the clips
    themselves, and do everything within the callable. An experiment that chooses between
    candidates by their test scores, and chooses the same one whatever the test fold, passes;
    more `n_perturbations` and `max_folds` make that less likely.

    Estimators that are fitted already and remain so when cloned, such as
    :class:`~sklearn.frozen.FrozenEstimator`, count as leaks, as the clips that they were fitted
    on are not known. Excepted are those that need no fitting, as embedders. A model fitted on
    another corpus has to be fitted within a callable to pass.

    Clips or labels that a training and a test fold share change what is fitted on them, too.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.linear_model import LogisticRegression
    >>> from sklearn.model_selection import KFold
    >>> from sklearn.preprocessing import StandardScaler
    >>> from sklearn_ser.audit import audit_pipeline
    >>> X = np.random.default_rng(0).normal(size=(20, 3))
    >>> y = np.array(["joy", "fear"] * 10)
    >>> def experiment(X, y, train, test):
    ...     scaler = StandardScaler()
    ...     scaled = scaler.fit_transform(X)  # before the split
    ...     return scaler, LogisticRegression().fit(scaled[train], y[train])
    >>> audit = audit_pipeline(experiment, X, y, cv=KFold(4))
    >>> audit.leaks
    True
    >>> audit.findings["parameter"].unique().tolist()[:2]
    ['standardscaler.mean_', 'standardscaler.var_']
    """
    check_number(max_folds, "max_folds", COUNT)
    check_number(n_perturbations, "n_perturbations", COUNT)
    is_estimator = hasattr(pipeline, "fit")
    if not (is_estimator or callable(pipeline)):
        raise TypeError(
            f"{pipeline!r} is neither an estimator nor a callable experiment(X, y, train, test)."
        )
    refuse_masked(X)
    refuse_missing(y, "y", "label")
    codes = np.unique(column_or_1d(y), return_inverse=True)[1]
    if codes.max() == 0:
        raise ValueError("y holds a single class; labels can be perturbed with two or more only.")
    experiment, fitted_before = pipeline, []
    if is_estimator:
        experiment = _fit_on_training_fold(pipeline, groups)
        parts = name_objects(clone(pipeline)).items()
        fitted_before = [name for part, value in parts for name in find_fitted(value, part)]
    rng = np.random.default_rng(random_state)
    folds = _first_folds(cv, X, y, groups, max_folds)
    rows, transductive = [], []
    for fold, (train, test) in enumerate(folds):
        fitted = experiment(take_rows(X), take_rows(y), train, test)
        state = fitted_state(fitted)
        transductive.append(_is_transductive(fitted, X, test, strict=is_estimator))
        repeated = experiment(take_rows(X), take_rows(y), train, test)
        _check_repeated(state, fitted_state(repeated), fold)
        changed: dict[str, float] = {}
        for perturbed in perturb_test_fold(X, y, codes, test, n_perturbations, rng):
            found = find_differences(
                state, _run_perturbed(experiment, *perturbed, train, test, fold)
            )
            for name, size in found.items():
                changed[name] = float(np.fmax(changed.get(name, np.nan), size))
        rows += [(fold, name, FITTED, np.nan) for name in fitted_before]
        rows += [(fold, name, CHANGED, size) for name, size in changed.items()]
    known = [answer for answer in transductive if answer is not None]
    return PipelineAudit(
        pd.DataFrame(rows, columns=["fold", "parameter", "kind", "change"]),
        any(known) if known else None,
        len(folds),
    )


def _fit_on_training_fold(estimator: Any, groups: Any) -> Callable[..., Any]:
    def experiment(X: Any, y: Any, train: Any, test: Any) -> Any:
        fold = safe_indexing(X, train), safe_indexing(y, train)
        if groups is not None and _takes_groups(estimator):
            return clone(estimator).fit(*fold, groups=safe_indexing(groups, train))
        return clone(estimator).fit(*fold)

    return experiment


def _takes_groups(estimator: Any) -> bool:
    """Tell whether an estimator is a search that can be given groups."""
    if not is_search(estimator):
        return False
    if not get_config()["enable_metadata_routing"]:
        return True  # its splitter takes or ignores them
    return bool(get_routing_for_object(estimator).consumes("fit", ["groups"]))


def _first_folds(cv: Any, X: Any, y: Any, groups: Any, max_folds: int) -> Folds:
    """Return the first folds of a splitter, which is given the frame if it is of this package."""
    splitter = check_cv(cv)
    if hasattr(groups, "columns") and not isinstance(splitter, Protocol):
        groups = split_labels(groups, "speaker", splitter)
    elif groups is not None and not hasattr(groups, "columns"):
        refuse_missing(groups, "groups", "speaker")
    with warnings.catch_warnings():  # groups may be meant for the search alone
        warnings.filterwarnings("ignore", "The groups parameter is ignored", UserWarning)
        folds = list(islice(splitter.split(X, y, groups), max_folds))
    return [(np.asarray(train), np.asarray(test)) for train, test in folds]


def _run_perturbed(
    experiment: Any, X: Any, y: Any, train: Any, test: Any, fold: int
) -> dict[str, Any]:
    """Return the fitted state of a run whose test clips are perturbed."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # clips this odd may well be warned about
            return fitted_state(experiment(X, y, train, test))
    except Exception as error:
        raise ValueError(
            f"fold {fold}: the experiment runs on the clips as they are, but fails once those of "
            f"the test fold are perturbed: {error} Leave out what scores the test fold, and fit "
            "on training clips only."
        ) from error


def _check_repeated(first: dict[str, Any], second: dict[str, Any], fold: int) -> None:
    """Raise an error if two runs on the same clips gave different fitted states."""
    differing = list(find_differences(first, second))
    if differing:
        raise ValueError(
            f"fold {fold}: two runs on the same clips gave different values of "
            f"{_list_names(differing)}, so that it is not known what the test fold changes. Set "
            "random_state wherever there is one, and start each run from unfitted estimators."
        )


def _list_names(names: list[str]) -> str:
    more = [f"{len(names) - MAX_LISTED} more"] if len(names) > MAX_LISTED else []
    return ", ".join(names[:MAX_LISTED] + more)


def _is_transductive(fitted: Any, X: Any, test: Any, strict: bool) -> bool | None:
    """Tell whether halves of the test clips, or one, are predicted otherwise than all together."""
    predictors = [part for part in name_objects(fitted).values() if hasattr(part, "predict")]
    if not predictors or len(test) < 2:
        return None
    methods = ("predict_proba", "decision_function", "predict")
    predict = next(
        getattr(predictors[-1], name) for name in methods if hasattr(predictors[-1], name)
    )
    batches = (slice(0, None, 2), slice(1, None, 2), slice(0, 1))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of columns without names
            together, *separate = (
                np.asarray(predict(safe_indexing(X, test[batch])))
                for batch in (slice(None), *batches)
            )
    except Exception:
        if strict:
            raise
        return None  # it predicts from what the experiment makes of X
    return not all(
        _are_equal(together[batch], predicted)
        for batch, predicted in zip(batches, separate, strict=True)
    )


def _are_equal(together: Any, separate: Any) -> bool:
    if together.dtype.kind != "f":
        return np.array_equal(together, separate)
    return together.shape == separate.shape and np.allclose(
        together, separate, rtol=TOLERANCE, atol=TOLERANCE, equal_nan=True
    )


KINDS = ("constant", "right", "wrong")  # test clips all the same; with right, with wrong labels
FACTOR = 1000.0


def take_rows(values: Any, rows: Any = None) -> Any:
    """Return a copy with these rows in place of its own; a frame keeps its index."""
    taken = safe_indexing(values, np.arange(num_samples(values)) if rows is None else rows)
    if hasattr(values, "iloc"):
        taken.index = values.index
    return taken


def perturb_test_fold(
    X: Any, y: Any, codes: Any, test: Any, n_perturbations: int, rng: np.random.Generator
) -> Iterator[tuple[Any, Any]]:
    """Yield clips and labels of which those of the test fold are perturbed.

    If epochs or candidates are scored on clips with right labels, those fitted longest win; on
    the same clips with wrong labels, those fitted least. One of the two changes what is chosen.

    Parameters
    ----------
    X, y : sequence of n_clips clips, and array-like of shape (n_clips,)
    codes : ndarray of int of shape (n_clips,)
        Codes of the labels, 0 to n_classes - 1.
    test : ndarray of int
        Positions of the test clips.
    n_perturbations : int
    rng : Generator
    """
    n_clips, n_classes = len(codes), codes.max() + 1
    for i in range(n_perturbations):
        kind = KINDS[i % len(KINDS)]
        if kind == "constant":  # each group of perturbations draws clips of its own
            drawn = rng.integers(n_clips, size=len(test))
            wrong = (codes[drawn] + rng.integers(1, n_classes, size=len(test))) % n_classes
            mislabelled = [rng.choice(np.flatnonzero(codes == code)) for code in wrong]
        clips, labels = np.arange(n_clips), np.arange(n_clips)
        clips[test] = drawn[0] if kind == "constant" else drawn
        labels[test] = {"constant": mislabelled[0], "right": drawn, "wrong": mislabelled}[kind]
        perturbed = take_rows(X, clips)
        if kind == "wrong" and _is_float(X):
            rows = perturbed.iloc if hasattr(perturbed, "iloc") else perturbed
            rows[test] = rows[test] * FACTOR
        yield perturbed, take_rows(y, labels)


def _is_float(X: Any) -> bool:
    if isinstance(X, pd.DataFrame):
        return all(dtype.kind == "f" for dtype in X.dtypes)
    return isinstance(X, np.ndarray) and X.dtype.kind == "f"
