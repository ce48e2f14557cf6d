"""SequenceClassifier: networks on the frames of a clip, given or read from an embedder's store."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping
from numbers import Integral
from typing import Any, ClassVar

import numpy as np
from scipy.special import softmax
from sklearn.base import clone
from sklearn.preprocessing import StandardScaler

from sklearn_ser._utils import (
    COUNT,
    HasMethods,
    Number,
    StrOptions,
    num_samples,
    refuse_masked,
    safe_indexing,
)
from sklearn_ser.classifiers._neural import (
    Array,
    NeuralClassifier,
    only_centre_constants,
    take_speaker_column,
)

__all__ = ["SequenceClassifier"]

AT_ONCE = 64  # clips embedded at once, so that memory stays bounded


class SequenceClassifier(NeuralClassifier):
    """A network on sequences of frames, of whatever length, masked where padded.

    Its input is what ``SSLEmbedder(pooling=None)``, ``MFCCEmbedder(pooling=None)`` or
    ``EGeMAPSEmbedder(level="lld", pooling=None)`` give: an array of shape (n_frames, n_features) a
    clip. With `embedder`, its input is the clips themselves: frames are then read from the
    embedder's store batch by batch, so that a corpus of any size trains in bounded memory.

    Parameters
    ----------
    head : {"pepino", "emobox", "superb", "attention", "lstm"}, default="pepino"
        "pepino": two pointwise convolutions, ReLU and dropout, mean over frames [1]_.
        "emobox": layer norm over a clip's frames, Linear(128), ReLU, mean [2]_.
        "superb": Linear(256), mean [3]_.
        "attention": mean and deviation of frames weighted by attention [4]_.
        "lstm": a small bidirectional LSTM between dropouts, mean.
        All begin with a weighted average of layers, and end in a linear layer.
    embedder : transformer, default=None
        Makes sequences of clips, with ``pooling=None``.
    n_layers : int, default=1
        Number of layers that frames hold side by side, as ``SSLEmbedder(layer="all")`` gives them.
    n_others : int, default=0
        Number of dimensions after these that are of no layer, as `FrameUnion` appends them; they
        are not averaged with any.
    standardize : bool, default=True
        Whether to give each dimension of a frame mean 0 and variance 1 over the frames that are
        trained on.
    dropout : float, default=0.5
        Share of units that are dropped in training.
    learning_rate : float, default=1e-3
        Of Adam; ten times that for the layers' weights.
    weight_decay : float, default=1e-2
        Of Adam.
    batch_size : int, default=32
        Clips a step.
    max_epochs : int, default=100
        Maximum number of epochs.
    patience : int, default=10
        Epochs without a lower validation loss after which training stops. The weights of the
        epoch with the lowest are kept.
    validation_fraction : float, default=0.1
        Share of the speakers who are held out of training, one at least.
    class_weight : "balanced", dict or None, default="balanced"
        Weights of the emotions in the loss: a dict gives them, and those that it leaves out weigh
        1; "balanced" lets rare emotions count as much as frequent ones; None weighs clips alike.
    calibrate : bool, default=False
        Whether probabilities are calibrated on the held-out speakers, by one temperature.
    speaker : int, str or None, default=None
        With `embedder` and a frame of clips, the column of speaker labels; None if `fit` is
        given ``groups``. To predict, X may lack it.
    device : str, default="auto"
        "cpu", "cuda", … "auto" takes a GPU if there is one.
    random_state : int, RandomState instance or None, default=None
        Determines the held-out speakers, first weights, dropout and the order of clips.
    verbose : bool, default=False
        Whether to print a line an epoch.

    Attributes
    ----------
    layer_weights_ : ndarray of shape (n_layers,)
        How much each layer counts; they sum to 1.
    classes_ : ndarray of shape (n_classes,)
    history_ : dict of str to ndarray of shape (n_epochs,)
        epoch, train_loss, valid_loss, valid_uar and seconds; ``pd.DataFrame(history_)`` is a table.
    n_epochs_ : int
        Epoch whose weights are kept.
    weights_ : dict of str to ndarray
        Weights of the network, by name.
    temperature_ : float
        What scores are divided by.

    See Also
    --------
    MLPHead : A network on statistics over frames.
    LayerWeightedClassifier : Learns how much each layer counts.
    FineTunedClassifier : Trains layers of the speech model, too.

    References
    ----------
    .. [1] L. Pepino, P. Riera, L. Ferrer, "Emotion recognition from speech using wav2vec 2.0
       embeddings", Interspeech 2021.
    .. [2] Z. Ma et al., "EmoBox: multilingual multi-corpus speech emotion recognition toolkit
       and benchmark", Interspeech 2024.
    .. [3] S. Yang et al., "SUPERB: speech processing universal performance benchmark",
       Interspeech 2021.
    .. [4] K. Okabe, T. Koshinaka, K. Shinoda, "Attentive statistics pooling for deep speaker
       embedding", Interspeech 2018.

    Examples
    --------
    >>> from sklearn_ser import SSLEmbedder
    >>> from sklearn_ser.classifiers import SequenceClassifier
    >>> from sklearn_ser.datasets import make_emotional_speech
    >>> corpus = make_emotional_speech(n_speakers=4, n_sentences=1, random_state=0)
    >>> frames = SSLEmbedder("nano", layer=3, pooling=None, cache=None)
    >>> head = SequenceClassifier("attention", max_epochs=3, random_state=0)
    >>> head.fit(frames.fit_transform(corpus.X), corpus.y, groups=corpus.groups).classes_.tolist()
    ['anger', 'happiness', 'neutral', 'sadness']
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "head": [StrOptions({"pepino", "emobox", "superb", "attention", "lstm"})],
        "embedder": [HasMethods(["fit", "transform"]), None],
        "n_layers": [COUNT],
        "n_others": [Number(Integral, 0, None, closed="left")],
        "standardize": ["boolean"],
        **NeuralClassifier._parameter_constraints,
    }

    def __init__(
        self,
        head: str = "pepino",
        *,
        embedder: Any = None,
        n_layers: int = 1,
        n_others: int = 0,
        standardize: bool = True,
        dropout: float = 0.5,
        learning_rate: float = 1e-3,
        weight_decay: float = 1e-2,
        batch_size: int = 32,
        max_epochs: int = 100,
        patience: int = 10,
        validation_fraction: float = 0.1,
        class_weight: str | Mapping[Any, float] | None = "balanced",
        calibrate: bool = False,
        speaker: int | str | None = None,
        device: str = "auto",
        random_state: Any = None,
        verbose: bool = False,
    ) -> None:
        self.head = head
        self.embedder = embedder
        self.n_layers = n_layers
        self.n_others = n_others
        self.standardize = standardize
        self.dropout = dropout
        self.learning_rate = learning_rate
        self.weight_decay = weight_decay
        self.batch_size = batch_size
        self.max_epochs = max_epochs
        self.patience = patience
        self.validation_fraction = validation_fraction
        self.class_weight = class_weight
        self.calibrate = calibrate
        self.speaker = speaker
        self.device = device
        self.random_state = random_state
        self.verbose = verbose

    @property
    def layer_weights_(self) -> Array:
        """How much each layer counts, of shape (n_layers,)."""
        return softmax(self.weights_["layers.logits"].astype(np.float64))

    @property
    def _collate(self) -> Any:
        from sklearn_ser.classifiers._batches import padded

        return functools.partial(padded, scaler=self.scaler_)

    @property
    def _read_ahead(self) -> bool:
        # Models may draw numbers, so a thread beside training may read frames, but not make them.
        return self.embedder is None or _is_stored(self.embedder)

    def _parse_input(self, X: Any, groups: Any, reset: bool) -> tuple[Any, Any]:
        if self.embedder is None:
            return _as_sequences(X), groups
        if reset:
            self.embedder_ = clone(self.embedder)
        if self.speaker is None:
            return _Embedded(X, self.embedder_), groups
        clips, speakers = take_speaker_column(self, X, reset)
        return _Embedded(clips, self.embedder_), speakers if groups is None else groups

    def _fit_inputs(self, clips: Any, train: Array) -> Array:
        scaler, lengths = StandardScaler(), []
        for frames, row in zip(_iterate_frames(clips, train), train.tolist(), strict=True):
            _refuse_nan(frames, row)
            _check_width(frames, row, getattr(scaler, "n_features_in_", None))
            scaler.partial_fit(frames)
            lengths.append(len(frames))
        only_centre_constants(scaler)
        self.scaler_ = scaler if self.standardize else None
        self.n_features_ = scaler.n_features_in_
        n_layered = self.n_features_ - self.n_others
        if n_layered <= 0 or n_layered % self.n_layers:
            others = f" and n_others={self.n_others} others" if self.n_others else ""
            raise ValueError(
                f"frames have {self.n_features_} dimensions, which are not n_layers="
                f"{self.n_layers} layers of as many dimensions each{others}."
            )
        if self.embedder is not None and self._read_ahead:
            for _ in _iterate_frames(clips, np.setdiff1d(np.arange(len(clips)), train)):
                pass  # they are in the store now
        return np.array(lengths)

    def _dataset(self, clips: Any, rows: Array, codes: Array | None) -> Any:
        from sklearn_ser.classifiers._batches import Sequences

        def check(frames: Array, row: int) -> None:
            _check_width(frames, row, self.n_features_)
            if codes is not None:  # in prediction, what cannot be used gets NaN
                _refuse_nan(frames, row)

        return Sequences(clips, rows, codes, check)

    def _module(self) -> Any:
        from sklearn_ser.classifiers._heads import HEADS, WeightedLayers

        n_dims = (self.n_features_ - self.n_others) // self.n_layers
        layers = WeightedLayers(self.n_layers, n_dims, self.n_others)
        return HEADS[self.head](layers, len(self.classes_), self.dropout)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = False
        tags.input_tags.three_d_array = self.embedder is None
        return tags


def _is_stored(embedder: Any) -> bool:
    """Tell whether frames are stored; of a union, those of all its embedders."""
    if hasattr(embedder, "transformer_list"):
        return all(_is_stored(part) for _, part in embedder.transformer_list if part != "drop")
    return getattr(embedder, "cache", None) is not None


def _iterate_frames(clips: Any, rows: Array) -> Iterator[Array]:
    """Yield the frames of some clips."""
    for start in range(0, len(rows), AT_ONCE):
        yield from clips[rows[start : start + AT_ONCE]]


class _Embedded:
    """Clips that are turned into frames when they are asked for."""

    def __init__(self, clips: Any, embedder: Any) -> None:
        self.clips, self.embedder = clips, embedder

    def __len__(self) -> int:
        return int(num_samples(self.clips))

    def __getitem__(self, rows: Array) -> Array:
        return self.embedder.fit_transform(safe_indexing(self.clips, rows))


def _as_sequences(X: Any) -> Array:
    """Return an object array of (n_frames, n_features) arrays."""
    refuse_masked(X)
    if hasattr(X, "to_list"):
        X = X.to_list()
    sequences = np.empty(num_samples(X), dtype=object)
    for i, values in enumerate(X):
        refuse_masked(values, f"clip {i}")
        frames = np.asarray(values)
        if frames.ndim != 2 or not len(frames) or frames.dtype.kind not in "fiu":
            raise ValueError(
                f"clip {i}: an array of shape (n_frames, n_features) was expected, got shape "
                f"{frames.shape}. Embed clips with pooling=None."
            )
        _refuse_nan(frames, i)
        sequences[i] = frames
    return sequences


def _check_width(frames: Array, row: int, n_features: int | None) -> None:
    if n_features is not None and (frames.ndim != 2 or frames.shape[1] != n_features):
        raise ValueError(
            f"clip {row}: frames of shape (n_frames, {n_features}) were expected, as of the clips "
            f"that were fitted first, got shape {frames.shape}."
        )


def _refuse_nan(frames: Array, row: int) -> None:
    if not np.isfinite(frames).all():
        raise ValueError(f"clip {row}: its frames hold NaN or infinity. Leave it out.")
