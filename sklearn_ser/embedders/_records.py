"""The scikit-learn contract of everything that selects rows from clip records, once.

`RecordEmbedder` is the base of `BaseEmbedder` (clips of speech) and of `TextEmbedder`.
"""

from __future__ import annotations

import functools
import os
import warnings
from abc import ABCMeta, abstractmethod
from collections.abc import Sequence
from importlib.metadata import version
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
from sklearn.base import BaseEstimator, TransformerMixin

from sklearn_ser._audio import Clip
from sklearn_ser._extraction import Extraction, Extractor
from sklearn_ser._store import Records, Store
from sklearn_ser._utils import (
    CachedParameterNames,
    check_feature_names_in,
    check_parameters,
    fit_context,
    set_output_only_if,
)
from sklearn_ser.embedders._layouts import FrameLayout, VectorLayout
from sklearn_ser.exceptions import ClipWarning

__all__ = ["Array", "RecordEmbedder"]

Array = npt.NDArray[np.float32]
version_of = functools.cache(version)  # reading it takes as long as ten stored clips


class RecordEmbedder(CachedParameterNames, TransformerMixin, BaseEstimator, metaclass=ABCMeta):
    """Base of the embedders: a collection in, one row of each clip's record out.

    Subclasses have the parameters `cache` and `verbose`, and `on_error` as parameter or property.
    """

    short_name: ClassVar[str]  # names the features in tables, in the store, on the command line
    on_error: Any
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

    @abstractmethod
    def compute_settings(self) -> dict[str, Any]:
        """Return everything that changes a computed value: the key of the records.

        Whenever one of them changes, records are computed anew; whatever only selects from a
        record, or changes how it is computed but not its values, is not among them. A version of
        the library that computes belongs here, and a number to raise when your own code does.

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
        """Return what the elements of a collection stand for."""

    def gives_sequences(self) -> bool:
        """Tell whether `transform` gives frames: by default, if `pooling` is None.

        Returns
        -------
        gives_sequences : bool
            As its layout says, but without looking at a model's files.
        """
        return getattr(self, "pooling", "") is None

    @property
    def fill_value(self) -> float:
        """What fills the row of a clip that cannot be used."""
        return np.nan

    def records(self) -> Records | None:
        """Return the records in the store that the settings lead to.

        Returns
        -------
        records : Records or None
            None if nothing is stored.
        """
        return self._records(self.layout())

    def _records(self, layout: VectorLayout | FrameLayout) -> Records | None:
        if self.cache is None:
            return None
        settings = {**self.compute_settings(), **layout.key}
        return Store(self.cache).records(self.short_name, settings)

    @fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: Any, y: Any = None) -> Any:
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
        """Return the rows of a collection: those that are stored, and the rest computed."""
        clips = self._clips(items)
        extraction = Extraction(clips, self._records(layout), layout.rows, self.on_error)
        if extraction.missing:  # only now: it may load a model
            extractor = self.make_extractor()
            extraction.compute(extractor, verbose=bool(self.verbose), name=self.short_name)
            for remark in extractor.remarks():
                warnings.warn(remark, ClipWarning, stacklevel=4)
        parts = extraction.result(stacklevel=4)
        stack = _as_sequences if layout.gives_sequences else _as_rows
        return stack(parts, layout, self.fill_value)

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


def _as_rows(
    parts: Sequence[Array | None], layout: VectorLayout | FrameLayout, fill_value: float
) -> Array:
    """Return the selected columns of each clip's rows, of shape (n_clips, n_features)."""
    known = [part for part in parts if part is not None]
    if known and len(known) == len(parts):  # hundreds of times in a search: no second copy
        found = np.concatenate(known).reshape(len(known), -1, known[0].shape[1])
        return found[:, :, : layout.n_columns].reshape(len(known), -1)
    embedded = np.full((len(parts), layout.n_features), fill_value, dtype=np.float32)
    for row, part in zip(embedded, parts, strict=True):
        if part is not None:
            row[:] = part[:, : layout.n_columns].ravel()
    return embedded


def _as_sequences(
    parts: Sequence[Array | None], layout: VectorLayout | FrameLayout, fill_value: float
) -> npt.NDArray[np.object_]:
    """Return the frames of each clip."""
    sequences = np.empty(len(parts), dtype=object)
    given = set()
    for i, part in enumerate(parts):
        if part is None:
            part = np.full((1, layout.n_features), fill_value, dtype=np.float32)
        # Nobody may change what the store remembers, or another clip with equal content.
        shared = not part.flags.writeable or id(part) in given
        sequences[i] = part.copy() if shared else part
        given.add(id(part))
    return sequences
