"""What the names of classifiers and regressors stand for."""

from __future__ import annotations

from typing import NamedTuple

from sklearn.base import BaseEstimator
from sklearn.compose import TransformedTargetRegressor
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC, SVR

__all__ = ["CLASSIFIERS", "INNER_FOLDS", "REGRESSORS", "Named", "named"]

INNER_FOLDS = 5


class Named(NamedTuple):
    """What a name stands for: an estimator, and the values of one parameter to choose from."""

    estimator: BaseEstimator
    choices: list[float] | None
    parameter: str = "C"


CLASSIFIERS = {
    "logistic": Named(LogisticRegression(max_iter=5000), [1e-4, 1e-3, 1e-2, 1e-1, 1.0, 10.0]),
    "lda": Named(LinearDiscriminantAnalysis(solver="lsqr", shrinkage="auto"), None),
    "svm": Named(SVC(), [1e-2, 1e-1, 1.0, 10.0, 100.0]),
}
# Of ratings; SVR's C and epsilon are on their scale, so that it is given them standardised.
REGRESSORS = {
    "ridge": Named(Ridge(), [1e-1, 1.0, 10.0, 1e2, 1e3, 1e4], "alpha"),
    "svr": Named(
        TransformedTargetRegressor(SVR(), transformer=StandardScaler(), check_inverse=False),
        [1e-2, 1e-1, 1.0, 10.0, 100.0],
        "regressor__C",
    ),
}


def named(classifier: str) -> Named:
    """Return what the name of a classifier or regressor stands for."""
    return {**CLASSIFIERS, **REGRESSORS}[classifier]
