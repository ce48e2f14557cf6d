"""FrameUnion: the frames of several embedders side by side, for networks on sequences."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.pipeline import FeatureUnion
from sklearn.utils import get_tags

from sklearn_ser._utils import OwnJoin

__all__ = ["FrameUnion"]

Array = npt.NDArray[Any]


class FrameUnion(OwnJoin, FeatureUnion, auto_wrap_output_keys=None):  # type: ignore[call-arg]
    """scikit-learn's FeatureUnion of embedders that give sequences of frames.

    Embedders have frames of different rates: 50 a second of most speech models, 100 of eGeMAPS.
    Each clip gets as many frames as the first embedder gives; those of the others are averaged over
    the time of each, or repeated where they are fewer.

    Parameters
    ----------
    transformer_list : list of (str, transformer)
        Embedders with ``pooling=None``. The first determines the frames.
    n_jobs : int, default=None
        Number of embedders that run at once.
    transformer_weights : dict of str to float, default=None
        What the frames of an embedder, by its name, are multiplied by.
    verbose : bool, default=False
        Whether to print the time that each embedder takes.
    verbose_feature_names_out : bool, default=True
        Whether names of dimensions begin with those of their embedders.

    See Also
    --------
    sklearn_ser.classifiers.SequenceClassifier : Reads what this gives; its ``n_others`` says how
        many dimensions follow those of a speech model's layers.

    References
    ----------
    .. [1] L. Pepino, P. Riera, L. Ferrer, "Emotion recognition from speech using wav2vec 2.0
       embeddings", Interspeech 2021, which fuses wav2vec 2.0 and eGeMAPS.

    Examples
    --------
    >>> from sklearn_ser import EGeMAPSEmbedder, SSLEmbedder
    >>> from sklearn_ser.datasets import make_emotional_speech
    >>> from sklearn_ser.preprocessing import FrameUnion
    >>> corpus = make_emotional_speech(n_speakers=2, n_sentences=1, random_state=0)
    >>> learned = SSLEmbedder("nano", layer="all", pooling=None, cache=None)
    >>> handcrafted = EGeMAPSEmbedder(level="lld", pooling=None, cache=None)
    >>> union = FrameUnion([("learned", learned), ("handcrafted", handcrafted)])
    >>> learned.fit_transform(corpus.X)[0].shape, handcrafted.fit_transform(corpus.X)[0].shape
    ((49, 1280), (194, 25))
    >>> union.fit_transform(corpus.X)[0].shape
    (49, 1305)
    """

    @property
    def set_output(self) -> Any:
        """Not available, as sequences of frames do not fit into the columns of a DataFrame."""
        raise AttributeError("'FrameUnion' object has no attribute 'set_output'")

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        parts = [part for _, part in self.transformer_list if hasattr(part, "__sklearn_tags__")]
        tags.requires_fit = any(get_tags(part).requires_fit for part in parts)
        tags.input_tags.two_d_array = all(get_tags(part).input_tags.two_d_array for part in parts)
        tags.transformer_tags.preserves_dtype = []
        return tags

    def _join(self, Xs: Sequence[Any]) -> Array:
        used = [name for name, transformer in self.transformer_list if transformer != "drop"]
        for name, X in zip(used, Xs, strict=True):
            if not (isinstance(X, np.ndarray) and X.dtype == object and X.ndim == 1):
                raise ValueError(f"{name} gave no sequences of frames: set its pooling to None.")
        joined = np.empty(len(Xs[0]), dtype=object)
        for i, (first, *others) in enumerate(zip(*Xs, strict=True)):
            joined[i] = np.hstack(
                [first, *(resample_frames(frames, len(first)) for frames in others)]
            )
        return joined


def resample_frames(frames: Array, n_frames: int) -> Array:
    """Return `n_frames` frames over the same time, each the mean of the frames that it spans."""
    if len(frames) == n_frames:
        return frames
    starts = np.arange(n_frames) * len(frames) // n_frames
    ends = -(-np.arange(1, n_frames + 1) * len(frames) // n_frames)
    # Pairs of where a span starts and where it ends; what lies between two spans is left out.
    spans = np.stack([starts, ends], axis=1).ravel()
    ended = np.concatenate([frames, np.zeros_like(frames[:1])])
    sums = np.add.reduceat(ended, spans, axis=0, dtype=np.float64)[::2]
    means = sums / (ends - starts)[:, None]
    return means.astype(np.result_type(frames.dtype, np.float32))
