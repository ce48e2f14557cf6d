"""Bring training and test features of different corpora closer, without labels."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.linalg import eigh
from sklearn.covariance import ledoit_wolf
from sklearn.preprocessing import StandardScaler

__all__ = ["ALIGNMENTS"]

Array = npt.NDArray[np.float64]


def _standardize(X_train: Array, X_test: Array, corpora: Any) -> tuple[Array, Array]:
    """Standardise each corpus by its own mean and standard deviation."""
    aligned = np.empty_like(X_train)
    for corpus in np.unique(corpora):
        aligned[corpora == corpus] = StandardScaler().fit_transform(X_train[corpora == corpus])
    return aligned, StandardScaler().fit_transform(X_test)


def _coral(X_train: Array, X_test: Array, corpora: Any) -> tuple[Array, Array]:
    """Give training clips the test clips' covariance, both shrunk [1] and centred first."""
    centred_train, centred_test = X_train - X_train.mean(axis=0), X_test - X_test.mean(axis=0)
    # Both on one scale, so that the shrinkage, which is towards a sphere, has a meaning.
    scale = centred_train.std(axis=0)
    scale[scale <= 10 * np.finfo(np.float64).eps * np.abs(X_train.mean(axis=0))] = 1.0
    centred_train, centred_test = centred_train / scale, centred_test / scale
    whiten = _power(ledoit_wolf(centred_train, assume_centered=True)[0], -0.5)
    colour = _power(ledoit_wolf(centred_test, assume_centered=True)[0], 0.5)
    return centred_train @ whiten @ colour, centred_test


def _power(covariance: Array, exponent: float) -> Array:
    """Return a power of a symmetric positive definite matrix."""
    values, vectors = eigh(covariance)
    return (vectors * values**exponent) @ vectors.T


# Each takes training features, test features and the corpus of each training clip. CORAL [1] is
# written out, as importing the library that has it (skada) switches scikit-learn's metadata
# routing on for the whole process.
# [1] B. Sun, J. Feng, K. Saenko, "Correlation alignment for unsupervised domain adaptation", 2017.
ALIGNMENTS: dict[str, Callable[[Array, Array, Any], tuple[Array, Array]]] = {
    "standardize": _standardize,
    "coral": _coral,
}
