"""The base of every embedder of speech, and of your own: documented methods, no underscores."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import joblib
from sklearn.utils.validation import validate_data

from sklearn_ser._audio import Clip, as_clips, is_numeric_batch, items_of, waveforms_of
from sklearn_ser._extraction import BatchExtractor, Extractor, WaveformExtractor
from sklearn_ser._utils import WAVEFORM_RATE, WHOLE_NUMBER, StrOptions
from sklearn_ser._utils._pooling import STATISTICS
from sklearn_ser.embedders._records import Array, RecordEmbedder
from sklearn_ser.exceptions import ArgumentError

__all__ = ["POOLING", "BaseEmbedder"]

POOLING = [StrOptions(set(STATISTICS)), list, tuple, None]


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
        make_record, n_threads = self.layout().make_record, joblib.effective_n_jobs(self.n_jobs)
        if self.batch_seconds is None:
            return WaveformExtractor(
                lambda waveform: make_record(self.compute(waveform)),
                self.rate,
                self.min_samples(),
                n_threads,
            )
        return BatchExtractor(
            lambda waveforms: [make_record(found) for found in self.compute_batch(waveforms)],
            self.rate,
            self.min_samples(),
            n_threads,
            self.batch_seconds,
        )

    def _clips(self, items: list[Any]) -> Sequence[Clip]:
        return as_clips(items, self.waveform_rate)

    def _items(self, X: Any, reset: bool) -> list[Any]:
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
