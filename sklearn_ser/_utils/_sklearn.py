"""Private names of scikit-learn, which no other file knows, and its global settings.

These names are in scikit-learn 1.6 to 1.9. Where a later version moves one, it is mended here.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from sklearn import config_context

# Checks the parameters at the start of `fit`, and not again in nested estimators.
from sklearn.base import _fit_context as fit_context

# Rows of whatever a collection of clips is: list, array, sparse matrix, frame of pandas or polars.
from sklearn.utils import _safe_indexing as safe_indexing

# What parameters may be, with scikit-learn's own wording of the errors; `validate_params` is for
# functions.
from sklearn.utils._param_validation import HasMethods, Interval, StrOptions, validate_params

# The names of the columns of X as `fit` saw them, for `get_feature_names_out`.
from sklearn.utils.validation import _check_feature_names_in as check_feature_names_in

# How many rows these collections have, with scikit-learn's error for what is none.
from sklearn.utils.validation import _num_samples as num_samples


def check_parameters(estimator: Any) -> None:
    """Check an estimator's parameters in a method other than `fit`, as `fit_context` does there."""
    estimator._validate_params()


def set_output_only_if(cls: Any, fits_into_columns: Callable[[Any], bool]) -> None:
    """Let `set_output` make frames of a class's output only where that fits into columns.

    Parameters
    ----------
    cls : type
        A new subclass of TransformerMixin; scikit-learn decides this for a class, not an instance.
    fits_into_columns : callable
        Takes an instance.
    """
    methods = cls._sklearn_auto_wrap_output_keys
    cls._sklearn_auto_wrap_output_keys = property(
        lambda self: methods if fits_into_columns(self) else set()
    )


class CachedParameterNames:
    """Mixin of embedders: a search asks twenty times a fold, and a signature is slow to read."""

    @classmethod
    @functools.cache
    def _get_param_names(cls) -> list[str]:
        return super()._get_param_names()  # type: ignore[misc]


class OwnJoin:
    """Mixin of a FeatureUnion that joins what its transformers give by a method `_join`."""

    def _hstack(self, Xs: Any) -> Any:
        return self._join(Xs)  # type: ignore[attr-defined]


def is_search(estimator: Any) -> bool:
    """Tell whether an estimator is a search over parameters, whatever library it is of."""
    from sklearn.model_selection._search import BaseSearchCV  # which `import sklearn_ser` does not

    return isinstance(estimator, BaseSearchCV)


def default_settings() -> Any:
    """Return a context in which transformers give arrays, and metadata is not routed.

    Whatever fits or runs estimators for a user does so in it. Workers of joblib do not inherit
    the user's settings, so that results would depend on ``n_jobs`` otherwise.
    """
    return config_context(transform_output="default", enable_metadata_routing=False)
