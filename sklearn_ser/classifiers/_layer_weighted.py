"""LayerWeightedClassifier: a head that learns how much each layer of a speech model counts."""

from __future__ import annotations

import itertools
import re
from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
from scipy.special import softmax

from sklearn_ser._utils import COUNT, StrOptions, find_speaker_column
from sklearn_ser.classifiers._neural import Array, PooledClassifier

__all__ = ["LayerWeightedClassifier"]

LAYER = re.compile(r"(?:^|_)layer(\d+)_")


class LayerWeightedClassifier(PooledClassifier):
    """Softmax weights over layers, projection, dropout and a linear layer.

    Its input is that of ``SSLEmbedder(layer="all")``.

    Parameters
    ----------
    n_layers : int or "auto", default="auto"
        Number of layers that X holds side by side, as many columns each. "auto" reads it from the
        names of the columns (``layer0_…``) of a frame: see ``set_output``.
    projection : int, default=256
        Dimensions that the weighted layer is projected to.
    standardize : bool, default=True
        Whether to give each column mean 0 and variance 1 over the clips that are trained on, so
        that layers are weighed by their information and not by the size of their numbers.
    dropout : float, default=0.5
        Share of the projection that is dropped in training.
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
        Column of X that holds speaker labels; None if `fit` is given ``groups``.
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
    layers_ : list of int
        Numbers of these layers, by the names of the columns; from 0 on where they have none.
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
    MLPHead : A network on any features.
    SequenceClassifier : Networks on frames.
    sklearn_ser.plotting.LayerWeightsDisplay : Draws the weights.

    References
    ----------
    .. [1] S. Yang et al., "SUPERB: speech processing universal performance benchmark",
       Interspeech 2021.

    Examples
    --------
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn_ser import SSLEmbedder
    >>> from sklearn_ser.classifiers import LayerWeightedClassifier
    >>> from sklearn_ser.datasets import make_emotional_speech
    >>> corpus = make_emotional_speech(n_speakers=4, n_sentences=1, random_state=0)
    >>> X = SSLEmbedder("nano", layer="all", cache=None).fit_transform(corpus.X)
    >>> head = LayerWeightedClassifier(n_layers=5, max_epochs=3, random_state=0)
    >>> head.fit(X, corpus.y, groups=corpus.groups).layer_weights_.shape
    (5,)
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "n_layers": [COUNT, StrOptions({"auto"})],
        "projection": [COUNT],
        **PooledClassifier._parameter_constraints,
    }

    def __init__(
        self,
        n_layers: int | str = "auto",
        *,
        projection: int = 256,
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
        self.n_layers = n_layers
        self.projection = projection
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

    @classmethod
    def superb(cls, n_layers: int | str = "auto", **parameters: Any) -> LayerWeightedClassifier:
        """Return the head that SUPERB classifies emotions with.

        Its projection and its mean over frames are linear, so that frames may as well be averaged
        first, by ``SSLEmbedder(layer="all", pooling="mean")``.

        Parameters
        ----------
        n_layers : int or "auto", default="auto"
            Number of layers.
        **parameters
            Others, such as random_state.

        Returns
        -------
        head : LayerWeightedClassifier
        """
        preset = {
            "standardize": False,
            "dropout": 0.0,
            "learning_rate": 1e-4,
            "weight_decay": 0.0,
            "class_weight": None,
        }
        return cls(n_layers, **{**preset, **parameters})

    @property
    def layer_weights_(self) -> Array:
        """How much each layer counts, of shape (n_layers,)."""
        return softmax(self.weights_["layers.logits"].astype(np.float64))

    @property
    def layers_(self) -> list[int]:
        """Numbers of the layers that are weighed."""
        matches = [LAYER.search(name) for name in getattr(self, "feature_names_in_", [])]
        found = list(dict.fromkeys(int(match[1]) for match in matches if match))
        return found if len(found) == self.n_layers_ else list(range(self.n_layers_))

    def _fit_inputs(self, clips: Any, train: Array) -> None:
        super()._fit_inputs(clips, train)
        self.n_layers_ = self._count_layers()
        if self.n_features_ % self.n_layers_:
            raise ValueError(
                f"X has {self.n_features_} columns, which are not {self.n_layers_} layers of as "
                "many columns each."
            )

    def _count_layers(self) -> int:
        if not isinstance(self.n_layers, str):
            return int(self.n_layers)
        names = list(getattr(self, "feature_names_in_", []))
        if self.speaker is not None and names:
            names.pop(find_speaker_column(self.speaker, len(names), names))
        matches = [LAYER.search(name) for name in names]
        if not any(matches):
            raise ValueError(
                'n_layers="auto" needs columns called layer0_… and so on: set '
                'set_output(transform="pandas") on the embedder, or n_layers.'
            )
        if others := [name for name, match in zip(names, matches, strict=True) if not match]:
            raise ValueError(
                f"{len(others)} columns are of no layer, such as {others[0]!r}: a weighted average "
                "of layers has no place for them. Leave them out."
            )
        layers = [match[1] for match in matches if match]
        found = [layer for layer, _ in itertools.groupby(layers)]
        columns = [LAYER.sub("", name, count=1) for name in names]
        n_columns = len(names) // len(found)
        first = columns[:n_columns]
        if (
            columns != first * len(found)
            or len(set(layers)) < len(found)
            or len(set(first)) < len(first)
        ):
            raise ValueError(
                f"the {len(names)} columns of {len(set(layers))} layers do not stand layer by "
                "layer, the same columns in the same order for each, and each once, as "
                'SSLEmbedder(layer="all") gives them.'
            )
        return len(found)

    def _module(self) -> Any:
        from sklearn_ser.classifiers._heads import LayerWeightedHead, WeightedLayers

        layers = WeightedLayers(self.n_layers_, self.n_features_ // self.n_layers_)
        return LayerWeightedHead(layers, len(self.classes_), self.projection, self.dropout)
