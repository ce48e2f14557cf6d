"""The bases of embedders: the scikit-learn contract, and the methods that a feature set defines.

`RecordEmbedder` is the base of `BaseEmbedder` (clips of speech; of your own features, too) and of
`TextEmbedder`.
"""

from __future__ import annotations

import functools
import os
from abc import ABCMeta, abstractmethod
from collections.abc import Sequence
from importlib.metadata import version
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils.validation import validate_data

from sklearn_ser._audio import Clip, as_clips, is_numeric_batch, items_of, need_clips, waveforms_of
from sklearn_ser._extraction import BatchExtractor, Extraction, Extractor, WaveformExtractor
from sklearn_ser._store import Records, Store
from sklearn_ser._utils import (
    WAVEFORM_RATE,
    WHOLE_NUMBER,
    CachedParameterNames,
    StrOptions,
    check_feature_names_in,
    check_parameters,
    fit_context,
    own_code,
    set_output_only_if,
    thread_count,
)
from sklearn_ser.embedders._cluster import compute_missing
from sklearn_ser.embedders._layouts import FrameLayout, VectorLayout, stack_rows, stack_sequences
from sklearn_ser.exceptions import ArgumentError

__all__ = ["Array", "BaseEmbedder", "RecordEmbedder", "version_of"]
Array = npt.NDArray[np.float32]
version_of = functools.cache(version)  # reading it takes as long as ten stored clips


class RecordEmbedder(CachedParameterNames, TransformerMixin, BaseEstimator, metaclass=ABCMeta):
    """Base of the embedders: a collection in, one row of each clip's record out.

    Subclasses have the parameters `cache` and `verbose`, and `on_error` as parameter or property.

    See Also
    --------
    BaseEmbedder : Base of embedders of speech.
    """

    short_name: ClassVar[str]  # names the features in tables, in the store, on the command line
    on_error: Any
    fill_value: float = np.nan  # of the row of a clip that cannot be used
    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "cache": [str, os.PathLike, None],
        "verbose": ["verbose"],
    }
    _doc_link_module = "sklearn_ser"
    _doc_link_template = (
        "https://sklearn-ser.readthedocs.io/en/stable/generated/"
        "{estimator_module}.{estimator_name}.html"
    )

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        set_output_only_if(cls, lambda self: not self.gives_sequences())
        cls._own_code = own_code(cls)  # as it was when it was imported; pickled with the class

    @abstractmethod
    def compute_settings(self) -> dict[str, Any]:
        """Return everything that changes a computed value: the key of the records.

        Whenever one of them changes, records are computed anew; whatever only selects from a
        record, or changes how it is computed but not its values, is not among them. A version of
        the library that computes belongs here; the file of a class of your own is part of the key.

        Returns
        -------
        settings : dict
            Plain JSON values by name.
        """

    @abstractmethod
    def layout(self) -> VectorLayout | FrameLayout:
        """Return how a record is laid out, and what of it is selected.

        Returns
        -------
        layout : VectorLayout or FrameLayout
        """

    @abstractmethod
    def make_extractor(self) -> Extractor:
        """Return what computes records; asked for only if some are not stored.

        Returns
        -------
        extractor : Extractor
        """

    def check_settings(self) -> None:
        """Raise a ValueError if parameters do not fit together; called by `fit` and `transform`."""

    @abstractmethod
    def _items(self, X: Any, reset: bool) -> list[Any]:
        """Return the elements of the collection `X`, one a clip; learn its width if `reset`."""

    @abstractmethod
    def _clips(self, items: list[Any]) -> Sequence[Clip]:
        """Return the clip, not yet read, that each element of a collection stands for."""

    def gives_sequences(self) -> bool:
        """Return whether `transform` gives frames: by default, if `pooling` is None.

        Returns
        -------
        gives_sequences : bool
            As its layout says, but without looking at a model's files.
        """
        return getattr(self, "pooling", "") is None

    def records(self) -> Records | None:
        """Return the records in the store that the settings lead to.

        Returns
        -------
        records : Records or None
            None if nothing is stored.
        """
        return self._records(self.layout())

    def _records(self, layout: VectorLayout | FrameLayout) -> Records | None:
        """Return what `records` does, of a layout that is made already."""
        settings = {**self.compute_settings(), **layout.key, **self._own_code}
        named = self.short_name, settings, getattr(self, "model", None)
        return None if self.cache is None else Store(self.cache).records(*named)

    @fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: Any, y: Any = None) -> Any:
        """Check the parameters and the kind of input; nothing is fitted to `X`.

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
        self.check_settings()
        self._items(X, reset=True)
        self.n_features_out_ = self.layout().n_features
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
        self.check_settings()
        items, layout = self._items(X, reset=True), self.layout()
        embedded = self._embed(items, layout)
        self.n_features_out_ = layout.n_features
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
        self.check_settings()
        return self._embed(self._items(X, reset=False), self.layout())

    def _embed(self, items: list[Any], layout: VectorLayout | FrameLayout) -> Any:
        """Return a row (or frames) of each clip, from its record, stored or computed now."""
        clips = self._clips(items)
        extraction = Extraction(clips, self._records(layout), layout.rows, self.on_error)
        if extraction.missing:  # only now: it may load a model
            compute_missing(self, extraction)
        stack = stack_sequences if layout.gives_sequences else stack_rows
        return stack(extraction.result(), layout, self.fill_value)

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
        return np.asarray(self.layout().feature_names(), dtype=object)

    def __dir__(self) -> list[str]:
        # To display an estimator, scikit-learn gets all that this lists: no properties, as some
        # read the model, which may have to be downloaded.
        names = object.__dir__(self)
        return [n for n in names if not isinstance(getattr(type(self), n, None), property)]

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.requires_fit = False
        tags.transformer_tags.preserves_dtype = []
        return tags


class BaseEmbedder(RecordEmbedder):
    """Base of every embedder of speech: clips in, one row of features each out.

    A subclass says what changes a computed value (`compute_settings`), what it computes of a
    waveform (`compute`, or `compute_batch`), and how that becomes columns (`layout`). Reading,
    errors, the store, names and scikit-learn's contract are inherited.

    Subclasses have the parameters `waveform_rate`, `n_jobs`, `cache`, `on_error` and `verbose`;
    those with a `FrameLayout` have `pooling` too.

    Attributes
    ----------
    short_name : str
        Of the class: names the features in tables, in the store and on the command line.
    rate : float
        Of the class, a parameter or a property: the sampling rate, in Hz, of the waveforms that
        `compute` takes.
    batch_seconds : float or None
        Of the class or a parameter: seconds of audio that `compute_batch` takes at once. With
        None, the default, `compute` takes one clip at a time, in as many threads as `n_jobs`.

    See Also
    --------
    VectorLayout : One vector a clip.
    FrameLayout : Statistics over frames, or the frames.

    Examples
    --------
    The root mean square of 20 ms frames:

    >>> import numpy as np
    >>> from sklearn_ser.embedders import BaseEmbedder, FrameLayout
    >>> class LevelEmbedder(BaseEmbedder):
    ...     short_name = "level"
    ...     rate = 16000
    ...     def __init__(self, pooling="mean", *, waveform_rate=None, n_jobs=None, cache="auto",
    ...                  on_error="raise", verbose=False):
    ...         self.pooling, self.waveform_rate, self.n_jobs = pooling, waveform_rate, n_jobs
    ...         self.cache, self.on_error, self.verbose = cache, on_error, verbose
    ...     def compute_settings(self):
    ...         return {"frame": 320}
    ...     def layout(self):
    ...         return FrameLayout([(0, "level")], ["rms"], self.pooling)
    ...     def min_samples(self):
    ...         return 320
    ...     def compute(self, waveform):
    ...         frames = waveform[: len(waveform) // 320 * 320].reshape(1, -1, 320)
    ...         return np.sqrt((frames**2).mean(axis=2, keepdims=True))
    >>> waveform = np.sin(np.arange(16000) * 0.1)
    >>> LevelEmbedder(cache=None).fit_transform([(waveform, 16000)]).round(2)
    array([[0.71]], dtype=float32)
    """

    _parameter_constraints = {
        **RecordEmbedder._parameter_constraints,
        "waveform_rate": [WAVEFORM_RATE, None],
        "n_jobs": [WHOLE_NUMBER, None],
        "on_error": [StrOptions({"raise", "warn", "nan"})],
    }

    waveform_rate: Any
    n_jobs: Any
    rate: Any
    batch_seconds: Any = None

    def min_samples(self) -> int:
        """Return the fewest samples, at `rate`, that can be computed; fewer are a `ClipError`.

        Returns
        -------
        n_samples : int
        """
        return 2

    def compute(self, waveform: Array) -> Array:
        """Return what is computed of one waveform; several threads do this at once.

        Parameters
        ----------
        waveform : ndarray of shape (n_samples,), float32
            Mono, at `rate`.

        Returns
        -------
        computed : ndarray of shape (n_features,) or (n_groups, n_frames, n_dims)
            As the layout takes it. Values that are not finite make a `ClipError`.
        """
        raise ArgumentError(f"{type(self).__name__} has to define compute(waveform).")

    def compute_batch(self, waveforms: Sequence[Array]) -> Sequence[Array]:
        """Return what is computed of several waveforms: where `batch_seconds` is a number.

        The calling thread does this, on a device of your choice, while others read ahead. What is
        computed of a clip must not depend on the others, as the store keeps it.

        Parameters
        ----------
        waveforms : sequence of ndarray of shape (n_samples,), float32
            Of about one length: padded to the longest, they are within `batch_seconds`.

        Returns
        -------
        computed : sequence of ndarray
            For each, what `compute` would return.
        """
        return [self.compute(waveform) for waveform in waveforms]

    def make_extractor(self) -> Extractor:
        """Return what computes records; asked for only if some are not stored.

        Returns
        -------
        extractor : Extractor
        """
        make_record = self.layout().make_record
        given = self.rate, self.min_samples(), thread_count(self.n_jobs)
        if self.batch_seconds is None:
            return WaveformExtractor(lambda waveform: make_record(self.compute(waveform)), *given)
        return BatchExtractor(
            lambda waveforms: [make_record(found) for found in self.compute_batch(waveforms)],
            *given,
            self.batch_seconds,
        )

    def _clips(self, items: list[Any]) -> Sequence[Clip]:
        return as_clips(items, self.waveform_rate)

    def _items(self, X: Any, reset: bool) -> list[Any]:
        need_clips(X)
        if is_numeric_batch(X):
            finite = self.on_error == "raise"
            values = validate_data(self, X, reset=reset, ensure_all_finite=finite)
            if values.shape[1] < 2:
                raise ValueError(
                    f"X has {values.shape[0]} row(s) with 1 feature(s): a 2-D array is a batch of "
                    "waveforms, one a row, and a waveform needs more than one sample."
                )
            return waveforms_of(values, X)
        if reset:
            for attribute in ("n_features_in_", "feature_names_in_"):
                self.__dict__.pop(attribute, None)
        return items_of(X)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = True
        return tags
