"""Whether anything in an experiment was fitted on the fold that it is tested on."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from itertools import islice
from numbers import Integral
from typing import Any

import numpy as np
import pandas as pd
from sklearn import get_config
from sklearn.base import clone
from sklearn.model_selection import check_cv
from sklearn.model_selection._search import BaseSearchCV
from sklearn.utils import _safe_indexing, check_scalar, column_or_1d
from sklearn.utils.metadata_routing import get_routing_for_object

from sklearn_ser._utils import refuse_masked, refuse_missing
from sklearn_ser.audit._fitted_state import changes, fitted_parts, learnt, named
from sklearn_ser.audit._perturbations import poisoned, take
from sklearn_ser.model_selection._folds import as_splitter
from sklearn_ser.model_selection._protocol import Protocol, labels_of

__all__ = ["PipelineAudit", "audit_pipeline"]

MOVED, FITTED = "moved with the test fold", "fitted before the split"
N_NAMED = 3  # parameters in a sentence
TOLERANCE = 1e-6  # of a prediction


@dataclass(frozen=True)
class PipelineAudit:
    """What :func:`audit_pipeline` found.

    Parameters
    ----------
    findings : DataFrame
        One line a fold and parameter: fold, parameter, kind ("moved with the test fold" or
        "fitted before the split") and change, the L2 norm of the largest change over the larger
        norm of the values compared; NaN where it is not measured (no numbers, another shape).
    transductive : bool or None
        Whether the prediction of a clip depends on the clips predicted along with it; None if
        nothing that predicts from X was returned. This alone is not a leak.
    n_folds : int
        Number of folds that were run.

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
    >>> print(audit)
    Nothing that was learnt moved with the test fold, in 2 folds.
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
        """The findings and their cure in plain sentences."""
        moved, fitted = (self._parameters(kind) for kind in (MOVED, FITTED))
        sentences = []
        if moved:
            sentences.append(f"Moved with the test fold: {moved}.")
        if fitted:
            sentences.append(
                f"Fitted before the split, on clips that cannot be told from here: {fitted}."
            )
        if self.leaks:
            sentences.append(
                "Put what fits or chooses them into the Pipeline, unfitted, so that it is fitted "
                "on training folds only."
            )
        else:
            folds = "1 fold" if self.n_folds == 1 else f"{self.n_folds} folds"
            sentences.append(f"Nothing that was learnt moved with the test fold, in {folds}.")
        if self.transductive:
            sentences.append("Predictions depend on which test clips are predicted together.")
        return " ".join(sentences)

    def __str__(self) -> str:
        return self.verdict

    def _parameters(self, kind: str) -> str:
        return _listed(list(self.findings.loc[self.findings["kind"] == kind, "parameter"].unique()))


def audit_pipeline(
    pipeline: Any,
    X: Any,
    y: Any,
    *,
    cv: Any,
    groups: Any = None,
    max_folds: int = 2,
    n_poisons: int = 3,
    random_state: int | None = 0,
) -> PipelineAudit:
    """Find out whether anything in a pipeline or experiment was fitted on the test fold.

    Each fold is run as it is, a second time to see that this can be repeated, and then with its
    test clips and their labels poisoned, while the training clips stay. Whatever is learnt from
    training folds only does not move.

    Parameters
    ----------
    pipeline : estimator or callable
        An estimator is cloned and fitted on the training fold; a search is
        given the training fold's `groups`. A callable ``experiment(X, y, train, test)`` does
        everything that is done for a fold, also what is done before the split, given all clips
        and the indices of the fold's, and returns what was learnt: an estimator, or a tuple,
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
        Number of folds run; each takes ``2 + n_poisons`` fits.
    n_poisons : int, default=3
        Number of poisoned runs a fold. In turn: one clip with one label in place of all test
        clips; clips drawn from anywhere, with their own labels; the same clips, all mislabelled,
        and multiplied by 1000 where `X` is an array or frame of floats.
    random_state : int or None, default=0
        Seed of the poisons.

    Returns
    -------
    audit : PipelineAudit

    Raises
    ------
    TypeError
        If `pipeline` is neither an estimator nor a callable.
    ValueError
        If two runs on the same clips learn different values, if the experiment fails once the
        test fold is poisoned, or if y holds a single class.

    Notes
    -----
    An audit sees what happens between `X` and what is returned. What was done to `X` before,
    or what a callable was given from outside, looks the same in every run: hand over the clips
    themselves, and do everything within the callable. An experiment that chooses between
    candidates by their test scores, and chooses the same one whatever the test fold, passes;
    more `n_poisons` and `max_folds` make that less likely.

    Estimators that are fitted already and remain so when cloned, such as
    :class:`~sklearn.frozen.FrozenEstimator`, count as leaks, as the clips that they were fitted
    on cannot be told. Excepted are those that need no fitting, as embedders. A model fitted on
    another corpus has to be fitted within a callable to pass.

    Clips or labels that a training and a test fold share move what is learnt from them, too.

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
    check_scalar(max_folds, "max_folds", Integral, min_val=1)
    check_scalar(n_poisons, "n_poisons", Integral, min_val=1)
    is_estimator = hasattr(pipeline, "fit")
    if not (is_estimator or callable(pipeline)):
        raise TypeError(
            f"{pipeline!r} is neither an estimator nor a callable experiment(X, y, train, test)."
        )
    refuse_masked(X)
    refuse_missing(y, "y", "label")
    codes = np.unique(column_or_1d(y), return_inverse=True)[1]
    if codes.max() == 0:
        raise ValueError("y holds a single class; labels can be poisoned with two or more only.")
    experiment = _fit_on_training_fold(pipeline, groups) if is_estimator else pipeline
    early = []
    if is_estimator:
        early = [part for n, p in named(clone(pipeline)).items() for part in fitted_parts(p, n)]
    rng = np.random.default_rng(random_state)
    splits = _splits(cv, X, y, groups, max_folds)
    rows, depends = [], []
    for fold, (train, test) in enumerate(splits):
        fitted = experiment(take(X), take(y), train, test)
        before = learnt(fitted)
        depends.append(_depends_on_company(fitted, X, test, strict=is_estimator))
        _check_repeats(before, learnt(experiment(take(X), take(y), train, test)), fold)
        moved: dict[str, float] = {}
        for poisoned_X, poisoned_y in poisoned(X, y, codes, test, n_poisons, rng):
            try:
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")  # clips this odd may well be warned about
                    after = learnt(experiment(poisoned_X, poisoned_y, train, test))
            except Exception as error:
                raise ValueError(
                    f"fold {fold}: the experiment runs on the clips as they are, but fails once "
                    f"those of the test fold are poisoned: {error} Leave out what scores the "
                    "test fold, and fit on training clips only."
                ) from error
            for name, size in changes(before, after).items():
                moved[name] = float(np.fmax(moved.get(name, np.nan), size))
        rows += [(fold, name, FITTED, np.nan) for name in early]
        rows += [(fold, name, MOVED, size) for name, size in moved.items()]
    known = [answer for answer in depends if answer is not None]
    return PipelineAudit(
        pd.DataFrame(rows, columns=["fold", "parameter", "kind", "change"]),
        any(known) if known else None,
        len(splits),
    )


def _fit_on_training_fold(estimator: Any, groups: Any) -> Callable[..., Any]:
    def experiment(X: Any, y: Any, train: Any, test: Any) -> Any:
        fold = _safe_indexing(X, train), _safe_indexing(y, train)
        if groups is not None and _takes_groups(estimator):
            return clone(estimator).fit(*fold, groups=_safe_indexing(groups, train))
        return clone(estimator).fit(*fold)

    return experiment


def _takes_groups(estimator: Any) -> bool:
    """Tell whether an estimator is a search that can be given groups."""
    if not isinstance(estimator, BaseSearchCV):
        return False
    if not get_config()["enable_metadata_routing"]:
        return True  # its splitter takes or ignores them
    return bool(get_routing_for_object(estimator).consumes("fit", ["groups"]))


def _splits(cv: Any, X: Any, y: Any, groups: Any, max_folds: int) -> list[tuple[Any, Any]]:
    with warnings.catch_warnings():  # groups may be meant for the search alone
        warnings.filterwarnings("ignore", "The groups parameter is ignored", UserWarning)
        splitter = check_cv(as_splitter(cv))
        by = groups
        if groups is not None and not hasattr(groups, "columns"):
            refuse_missing(groups, "groups", "speaker")
        if hasattr(groups, "columns") and not isinstance(splitter, Protocol):
            by = labels_of(groups, "speaker", splitter)
        splits = list(islice(splitter.split(X, y, by), max_folds))
    return [(np.asarray(train), np.asarray(test)) for train, test in splits]


def _check_repeats(first: dict[str, Any], second: dict[str, Any], fold: int) -> None:
    differing = list(changes(first, second))
    if differing:
        raise ValueError(
            f"fold {fold}: two runs on the same clips learnt different values of "
            f"{_listed(differing)}, so that what the test fold moves cannot be told. Set "
            "random_state wherever there is one, and start each run from unfitted estimators."
        )


def _listed(names: list[str]) -> str:
    more = [f"{len(names) - N_NAMED} more"] if len(names) > N_NAMED else []
    return ", ".join(names[:N_NAMED] + more)


def _depends_on_company(fitted: Any, X: Any, test: Any, strict: bool) -> bool | None:
    """Tell whether test clips are predicted otherwise in halves, or alone, than together."""
    predictors = [part for part in named(fitted).values() if hasattr(part, "predict")]
    if not predictors or len(test) < 2:
        return None
    methods = ("predict_proba", "decision_function", "predict")
    name = next(method for method in methods if hasattr(predictors[-1], method))
    parts = (slice(None), slice(0, None, 2), slice(1, None, 2), slice(0, 1))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of columns without names
            together, *apart = (
                np.asarray(getattr(predictors[-1], name)(_safe_indexing(X, test[part])))
                for part in parts
            )
    except Exception:
        if strict:
            raise
        return None  # it predicts from what the experiment makes of X
    same = [_same(together[part], found) for part, found in zip(parts[1:], apart, strict=True)]
    return not all(same)


def _same(together: Any, apart: Any) -> bool:
    if together.dtype.kind != "f":
        return np.array_equal(together, apart)
    return together.shape == apart.shape and np.allclose(
        together, apart, rtol=TOLERANCE, atol=TOLERANCE, equal_nan=True
    )
