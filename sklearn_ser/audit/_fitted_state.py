"""The fitted state of estimators, arrays and networks: each value under a dotted name.

:func:`~sklearn_ser.audit.audit_pipeline` compares the fitted states of two runs.
"""

from __future__ import annotations

import functools
import inspect
import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from numbers import Number
from typing import Any

import joblib
import numpy as np
from scipy.sparse import issparse
from sklearn.base import BaseEstimator
from sklearn.pipeline import make_pipeline

__all__ = ["find_differences", "find_fitted", "fitted_state", "name_objects"]

TOLERANCE = 1e-6  # relative: sums in another order differ by less
# Of searches in scikit-learn, and of epochs in skorch and in our networks.
MEASURED_TIME = re.compile(r"(_time_?|\.dur|\.history_\.seconds)$")


def name_objects(fitted: Any) -> dict[str, Any]:
    """Return fitted objects by name: those of a mapping, or as make_pipeline names its steps."""
    if isinstance(fitted, Mapping):
        return {str(name): value for name, value in fitted.items()}
    values = list(fitted) if isinstance(fitted, (tuple, list)) else [fitted]
    return dict(make_pipeline(*values).steps)


def fitted_state(fitted: Any) -> dict[str, Any]:
    """Return copies of all numbers, and hashes of all else, that fitted objects hold.

    Parameters
    ----------
    fitted : object, or mapping, tuple or list of them
        Estimators, arrays, networks or anything else.

    Returns
    -------
    values : dict of str to ndarray or str
        Names are those of attributes, steps and positions, as in
        ``pipeline.standardscaler.mean_``. Measured times are left out.

    Examples
    --------
    >>> from sklearn.preprocessing import StandardScaler
    >>> fitted_state(StandardScaler().fit([[1.0], [3.0]]))["standardscaler.mean_"]
    array([2.])
    """
    return {
        part: leaf
        for name, value in name_objects(fitted).items()
        for part, leaf in _walk_state(value, name, ())
    }


def find_differences(before: dict[str, Any], after: dict[str, Any]) -> dict[str, float]:
    """Return how much two fitted states differ, for the values that do.

    Parameters
    ----------
    before, after : dict
        What :func:`fitted_state` returned.

    Returns
    -------
    differences : dict of str to float
        The L2 norm of the difference over the larger norm of the two; NaN where values are no
        numbers, have two shapes, or are in one of the states only.

    Examples
    --------
    >>> import numpy as np
    >>> before = fitted_state({"mean": np.array([3.0, 4.0])})
    >>> find_differences(before, fitted_state({"mean": np.array([3.0, 0.0])}))
    {'mean': 0.8}
    """
    sizes = {name: _difference(before.get(name), after.get(name)) for name in {**before, **after}}
    return {name: size for name, size in sizes.items() if size != 0}


def find_fitted(value: Any, name: str, parents: tuple[int, ...] = ()) -> Iterator[str]:
    """Yield the names of the fitted estimators within an object.

    Estimators that need no fitting, such as embedders, have no fitted state and are passed over.
    """
    if isinstance(value, BaseEstimator):
        attributes = set(vars(value)) - set(value.get_params(deep=False))
        if any(part.endswith("_") and not part.startswith("_") for part in attributes):
            if value.__sklearn_tags__().requires_fit:
                yield name
            return
    if id(value) not in parents:
        for part, child in (_parts_of(value) or {}).items():
            yield from find_fitted(child, _join_names(name, part), (*parents, id(value)))


def _walk_state(value: Any, name: str, parents: tuple[int, ...]) -> Iterator[tuple[str, Any]]:
    if MEASURED_TIME.search(name) or id(value) in parents:
        return
    parts = _parts_of(value)
    if parts is None:
        yield name, _copy_or_hash(value)
    else:
        for part, child in parts.items():
            yield from _walk_state(child, _join_names(name, part), (*parents, id(value)))


def _join_names(name: str, part: str) -> str:
    # "pipeline.standardscaler", as a pipeline names its parameters, without "steps".
    return name if part in ("", "steps") else f"{name}.{part}"


def _parts_of(value: Any) -> dict[str, Any] | None:
    """Return the parts of a value by name, or None if it is compared as a whole."""
    if value is None or isinstance(value, (Number, str, bytes)):
        return None
    if inspect.isfunction(value):
        return _parts_of_function(value) or None
    if isinstance(value, functools.partial):
        return {"func": value.func, "args": value.args, "keywords": value.keywords}
    if inspect.isroutine(value) or inspect.isclass(value) or inspect.ismodule(value):
        bound = getattr(value, "__self__", None)
        return None if bound is None or inspect.ismodule(bound) else {"": bound}
    if isinstance(value, Mapping):
        return {str(key): child for key, child in value.items()}
    if isinstance(value, (list, tuple)):
        return _parts_of_list(value)
    if issparse(value):
        value = value.tocsr()
        return {part: getattr(value, part) for part in ("shape", "data", "indices", "indptr")}
    if callable(getattr(value, "state_dict", None)):
        return {"": value.state_dict(), **_attributes_of_modules(value)}
    if hasattr(value, "__array__"):
        array = _as_array(value)
        if array.dtype.names:
            return {part: array[part] for part in array.dtype.names}
        return {"": array.ravel().tolist()} if array.dtype == object else None
    # What an object pickles, which leaves out caches, locks and loaded models.
    getstate = getattr(value, "__getstate__", None)
    state = getattr(value, "__dict__", None) if getstate is None else getstate()
    return {"": state} if state else None


def _parts_of_function(function: Any) -> dict[str, Any]:
    """Return what a function holds beside its code: variables around it, and defaults."""
    cells = zip(function.__code__.co_freevars, function.__closure__ or (), strict=True)
    parts = {"defaults": function.__defaults__, **(function.__kwdefaults__ or {})}
    for name, cell in cells:
        with suppress(ValueError):  # it has no value yet
            parts[name] = cell.cell_contents
    return {name: part for name, part in parts.items() if part is not None}


def _attributes_of_modules(value: Any) -> dict[str, Any]:
    """Return the numbers that a network of PyTorch holds and that its `state_dict` leaves out."""
    if not callable(getattr(value, "named_modules", None)):
        return {}
    return {
        f"{prefix}.{name}".lstrip("."): held
        for prefix, module in value.named_modules()
        for name, held in {**vars(module), **dict(module.named_buffers(recurse=False))}.items()
        if isinstance(held, float) or hasattr(held, "__array__")
    }


def _parts_of_list(values: Any) -> dict[str, Any] | None:
    if all(value is None or isinstance(value, (Number, str, bytes)) for value in values):
        return None
    pairs = [value for value in values if isinstance(value, tuple) and len(value) > 1]
    names = [pair[0] for pair in pairs if isinstance(pair[0], str)]
    if len(set(names)) < len(values):
        return {str(i): value for i, value in enumerate(values)}
    return {pair[0]: pair[1] if len(pair) == 2 else pair[1:] for pair in pairs}


def _as_array(value: Any) -> Any:
    if callable(getattr(value, "detach", None)):
        value = value.detach().cpu().double()
    return value.filled() if isinstance(value, np.ma.MaskedArray) else np.asarray(value)


def _copy_or_hash(value: Any) -> Any:
    """Return a copy of numbers as an array, and a hash of all else."""
    numbers = isinstance(value, (list, tuple)) and all(isinstance(part, Number) for part in value)
    if numbers or isinstance(value, Number) or hasattr(value, "__array__"):
        array = np.array(_as_array(value))
        if array.dtype.kind in "biufc":
            return array
    try:
        return str(joblib.hash(value))
    except Exception:  # it cannot be pickled: a lambda, a lock
        return type(value).__qualname__


def _difference(before: Any, after: Any) -> float:
    """Return the relative difference of two values; see `find_differences`."""
    if not (isinstance(before, np.ndarray) and isinstance(after, np.ndarray)):
        same = isinstance(before, str) and isinstance(after, str) and before == after
        return 0.0 if same else np.nan
    if before.shape != after.shape:
        return np.nan
    if np.array_equal(before, after, equal_nan=True):
        return 0.0
    finite = np.isfinite(before)
    if not np.array_equal(before[~finite], after[~finite], equal_nan=True):
        return np.nan
    dtype = np.result_type(before, after, np.float64)
    first, second = before[finite].astype(dtype), after[finite].astype(dtype)
    with np.errstate(all="ignore"):
        norms = np.linalg.norm(first), np.linalg.norm(second)
        size = float(np.linalg.norm(first - second) / max(norms))
    if dtype.kind in "fc" and before.dtype.kind in "fc" and size <= TOLERANCE:
        return 0.0
    return size or np.nan
