"""The scikit-learn contract of an embedder, once."""

from __future__ import annotations

import functools
import os
import warnings
from abc import ABCMeta, abstractmethod
from collections.abc import Sequence
from importlib.metadata import version
from numbers import Integral, Real
from typing import Any, ClassVar

import joblib
import numpy as np
import numpy.typing as npt
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils.validation import validate_data

from sklearn_ser._audio import Clip, as_clips, is_numeric_batch, items_of
from sklearn_ser._extraction import Extraction, Extractor, WaveformExtractor
from sklearn_ser._store import Records, Store
from sklearn_ser._utils import (
    STATISTICS,
    CachedParameterNames,
    Interval,
    StrOptions,
    check_feature_names_in,
    check_parameters,
    fit_context,
    pool,
    set_output_only_if,
)
from sklearn_ser.exceptions import ClipWarning

__all__ = ["BaseEmbedder"]

Array = npt.NDArray[np.float32]
POSITIVE = Interval(Real, 0, None, closed="neither")
COUNT = Interval(Integral, 1, None, closed="left")
POOLING = [StrOptions(set(STATISTICS)), list, tuple, None]
version_of = functools.cache(version)  # reading it takes as long as ten stored clips


class BaseEmbedder(TransformerMixin, CachedParameterNames, BaseEstimator, metaclass=ABCMeta):
    """Base of every embedder: clips in, one row of features each out.

    A subclass says what it computes (`_settings`, `_frames`) and how its groups of frames
    and their dimensions are called (`_groups`, `_dims`). A group is a sequence of frames that
    comes out of the same pass: a layer of a network, the deltas of a coefficient. All groups ×
    statistics of a clip make its record; `transform` selects from it.

    Subclasses have the parameters `pooling`, `waveform_rate`, `n_jobs`, `cache`, `on_error`
    and `verbose`, and either a parameter or a property `rate`.

    Examples
    --------
    The root mean square of 20 ms frames:

    >>> import numpy as np
    >>> from sklearn_ser.embedders import BaseEmbedder
    >>> class LevelEmbedder(BaseEmbedder):
    ...     short_name = "level"
    ...     rate = 16000
    ...     def __init__(self, pooling="mean", *, waveform_rate=None, n_jobs=None, cache="auto",
    ...                  on_error="raise", verbose=False):
    ...         self.pooling, self.waveform_rate, self.n_jobs = pooling, waveform_rate, n_jobs
    ...         self.cache, self.on_error, self.verbose = cache, on_error, verbose
    ...     def _settings(self):
    ...         return {"frame": 320}
    ...     def _min_samples(self):
    ...         return 320
    ...     def _frames(self, waveform):
    ...         frames = waveform[: len(waveform) // 320 * 320].reshape(1, -1, 320)
    ...         return np.sqrt((frames**2).mean(axis=2, keepdims=True))
    ...     def _groups(self):
    ...         return [(0, "level")]
    ...     def _dims(self):
    ...         return ["rms"]
    >>> waveform = np.sin(np.arange(16000) * 0.1)
    >>> LevelEmbedder(cache=None).fit_transform([(waveform, 16000)]).round(2)
    array([[0.71]], dtype=float32)
    """

    short_name: ClassVar[str]  # names the features in tables, in the store, on the command line

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "pooling": POOLING,
        "waveform_rate": [POSITIVE, None],
        "n_jobs": [Integral, None],
        "cache": [str, os.PathLike, None],
        "on_error": [StrOptions({"raise", "warn", "nan"})],
        "verbose": ["verbose"],
    }
    _doc_link_module = "sklearn_ser"
    _doc_link_template = (
        "https://sklearn-ser.readthedocs.io/en/stable/generated/"
        "{estimator_module}.{estimator_name}.html"
    )

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        set_output_only_if(cls, lambda self: not self._gives_sequences())

    @abstractmethod
    def _settings(self) -> dict[str, Any]:
        """Return everything that changes a computed value, as plain JSON values."""

    @abstractmethod
    def _groups(self) -> list[tuple[int, str]]:
        """Return the index and the name of each group selected."""

    @abstractmethod
    def _dims(self) -> list[str]:
        """Return the names of the dimensions selected, a prefix of those computed."""

    def _frames(self, waveform: Array) -> Array:
        """Return all frames, of shape (n_groups, n_frames, n_dims), of a waveform at `rate`."""
        raise TypeError(f"{type(self).__name__} has to define _frames(waveform), or _extractor().")

    def _clips(self, items: Sequence[Any]) -> Sequence[Clip]:
        """Return what the elements of a collection stand for."""
        return as_clips(items, self.waveform_rate)

    def _blank(self) -> float:
        """Return what fills the row of a clip that cannot be used."""
        return np.nan

    def _min_samples(self) -> int:
        """Return the fewest samples, at `rate`, that `_frames` can take."""
        return 2

    def _feature_name(self, group: str, statistic: str, dim: str) -> str:
        return "_".join(part for part in (group, statistic, dim) if part)

    def _statistics(self) -> list[str]:
        pooling = [self.pooling] if isinstance(self.pooling, str) else list(self.pooling)
        unknown = [statistic for statistic in pooling if statistic not in STATISTICS]
        if unknown or not pooling:
            raise ValueError(
                f"The 'pooling' parameter of {type(self).__name__} must be one or several of "
                f"{list(STATISTICS)}, or None. Got {self.pooling!r} instead."
            )
        return pooling

    def _gives_sequences(self) -> bool:
        """Tell whether records are frames, and `transform` gives sequences of them."""
        return self.pooling is None

    def _rows(self) -> list[int]:
        """Return the rows of the record that are selected, group by group."""
        statistics = [STATISTICS.index(statistic) for statistic in self._statistics()]
        return [len(STATISTICS) * i + k for i, _ in self._groups() for k in statistics]

    def _names(self) -> list[str]:
        statistics = [""] if self._gives_sequences() else self._statistics()
        return [
            self._feature_name(group, statistic, dim)
            for _, group in self._groups()
            for statistic in statistics
            for dim in self._dims()
        ]

    def _n_features(self) -> int:
        selected = self._groups() if self._gives_sequences() else self._rows()
        return len(selected) * len(self._dims())

    def _record(self, waveform: Array) -> Array:
        """Return the record of a waveform at `rate`, of shape (n_rows, n_columns)."""
        frames = self._frames(waveform)
        if self._gives_sequences():
            groups = frames[[i for i, _ in self._groups()]]
            return np.concatenate([group[:, : len(self._dims())] for group in groups], axis=1)
        return pool(frames).reshape(-1, frames.shape[-1])

    def _extractor(self) -> Extractor:
        """Return what computes records that are not stored."""
        n_threads = joblib.effective_n_jobs(self.n_jobs)
        return WaveformExtractor(self._record, self.rate, self._min_samples(), n_threads)

    def _records(self) -> Records | None:
        if self.cache is None:
            return None
        settings = self._settings()
        if self._gives_sequences():
            # Frames of every group would fill a disk, so only those selected are kept.
            frames = {"groups": [i for i, _ in self._groups()], "n_dims": len(self._dims())}
            settings = {**settings, "frames": frames}
        return Store(self.cache).records(self.short_name, settings)

    def _items(self, X: Any, reset: bool) -> list[Any]:
        """Return the elements of the collection `X`, one a clip."""
        if is_numeric_batch(X):
            finite = self.on_error == "raise"
            values = validate_data(self, X, reset=reset, ensure_all_finite=finite)
            if values.shape[1] < 2:
                raise ValueError(
                    f"X has {values.shape[0]} row(s) with 1 feature(s): a 2-D array is a batch of "
                    "waveforms, one a row, and a waveform needs more than one sample."
                )
            return list(values)
        if reset:
            for attribute in ("n_features_in_", "feature_names_in_"):
                self.__dict__.pop(attribute, None)
        return items_of(X)

    @fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: Any, y: Any = None) -> BaseEmbedder:
        """Check the parameters and the kind of input; nothing is learnt from `X`.

        Parameters
        ----------
        X : sequence of n_clips clips, or ndarray of shape (n_clips, n_samples)
            Paths, waveforms, (waveform, rate) pairs or dicts; see the user guide.
        y : None
            Ignored.

        Returns
        -------
        self : object
            With ``n_features_out_``, the number of columns that `transform` gives.
        """
        self._items(X, reset=True)
        self.n_features_out_ = self._n_features()
        return self

    def fit_transform(self, X: Any, y: Any = None) -> Any:
        """Embed each clip, as `fit` and then `transform` do, with one look at the parameters.

        Parameters
        ----------
        X : sequence of n_clips clips, or ndarray of shape (n_clips, n_samples)
            Paths, waveforms, (waveform, rate) pairs or dicts; see the user guide.
        y : None
            Ignored.

        Returns
        -------
        X_out : ndarray of shape (n_clips, n_features), float32
            See `transform`.

        Raises
        ------
        ClipError
            If a clip cannot be used and ``on_error="raise"``.
        """
        check_parameters(self)
        embedded = self._embedded(self._items(X, reset=True))
        sequences = self._gives_sequences()
        self.n_features_out_ = self._n_features() if sequences else embedded.shape[1]
        return embedded

    def transform(self, X: Any) -> Any:
        """Embed each clip.

        Parameters
        ----------
        X : sequence of n_clips clips, or ndarray of shape (n_clips, n_samples)
            Paths, waveforms, (waveform, rate) pairs or dicts; see the user guide.

        Returns
        -------
        X_out : ndarray of shape (n_clips, n_features), float32
            With ``pooling=None``, an object array of shape (n_clips,) that holds arrays of
            shape (n_frames, n_features). Those from the store need not be contiguous. It is an
            array whatever ``set_config(transform_output=…)`` says, and `set_output` is not
            available, as sequences do not fit into the columns of a frame.

        Raises
        ------
        ClipError
            If a clip cannot be used and ``on_error="raise"``.
        """
        check_parameters(self)
        return self._embedded(self._items(X, reset=False))

    def _embedded(self, items: list[Any]) -> Any:
        clips = self._clips(items)
        rows = None if self._gives_sequences() else self._rows()
        n_dims = len(self._dims())
        n_features = n_dims * len(self._groups() if rows is None else rows)
        extraction = Extraction(clips, self._records(), rows, self.on_error)
        if extraction.missing:  # only now: it may load a model
            extractor = self._extractor()
            extraction.compute(extractor, verbose=bool(self.verbose), name=self.short_name)
            for remark in extractor.remarks():
                warnings.warn(remark, ClipWarning, stacklevel=4)
        parts = extraction.result(stacklevel=4)
        if self._gives_sequences():
            sequences = np.empty(len(clips), dtype=object)
            given = set()
            for i, part in enumerate(parts):
                if part is None:
                    part = np.full((1, n_features), self._blank(), dtype=np.float32)
                # Nobody may change what the store remembers, or another clip with equal content.
                shared = not part.flags.writeable or id(part) in given
                sequences[i] = part.copy() if shared else part
                given.add(id(part))
            return sequences
        known = [part for part in parts if part is not None]
        if known and len(known) == len(parts):  # hundreds of times in a search: no second copy
            found = np.concatenate(known).reshape(len(known), -1, known[0].shape[1])
            return found[:, :, :n_dims].reshape(len(known), -1)
        embedded = np.full((len(clips), n_features), self._blank(), dtype=np.float32)
        for row, part in zip(embedded, parts, strict=True):
            if part is not None:
                row[:] = part[:, :n_dims].ravel()
        return embedded

    def get_feature_names_out(self, input_features: Any = None) -> npt.NDArray[np.object_]:
        """Return the name of each column that `transform` gives, before `fit` too.

        Parameters
        ----------
        input_features : array-like of str or None
            Only checked: the names do not depend on what columns of a frame are called.

        Returns
        -------
        names : ndarray of shape (n_features,), dtype object
        """
        check_feature_names_in(self, input_features, generate_names=False)
        return np.asarray(self._names(), dtype=object)

    def __dir__(self) -> list[str]:
        # To display an estimator, scikit-learn gets all that this lists: no properties, as some
        # read the model, which may have to be downloaded.
        names = object.__dir__(self)
        return [n for n in names if not isinstance(getattr(type(self), n, None), property)]

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.requires_fit = False
        tags.input_tags.two_d_array = True
        tags.transformer_tags.preserves_dtype = []
        return tags
