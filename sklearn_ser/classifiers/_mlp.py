"""MLPHead: a feed-forward network with dropout on pooled embeddings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from sklearn_ser._utils import COUNT
from sklearn_ser.classifiers._neural import PooledClassifier

__all__ = ["MLPHead"]


class MLPHead(PooledClassifier):
    """Feed-forward network with dropout and early stopping on held-out speakers.

    Parameters
    ----------
    hidden : sequence of int, default=(256,)
        Units of the hidden layers.
    standardize : bool, default=True
        Whether to give each column mean 0 and variance 1 over the clips that are trained on, which
        those of held-out speakers are not.
    dropout : float, default=0.5
        Share of hidden units that are dropped in training.
    learning_rate : float, default=1e-3
        Of Adam.
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
    LayerWeightedClassifier : Learns how much each layer counts.
    SequenceClassifier : Networks on frames.
    sklearn_ser.plotting.HistoryDisplay : Draws how it was trained.

    Examples
    --------
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn_ser import MFCCEmbedder
    >>> from sklearn_ser.classifiers import MLPHead
    >>> from sklearn_ser.datasets import make_emotional_speech
    >>> corpus = make_emotional_speech(n_speakers=4, n_sentences=2, random_state=0)
    >>> head = MLPHead(max_epochs=5, random_state=0)
    >>> pipeline = make_pipeline(MFCCEmbedder(cache=None), head)
    >>> pipeline.fit(corpus.X, corpus.y, mlphead__groups=corpus.groups).predict(corpus.X).shape
    (32,)
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "hidden": ["array-like"],
        **PooledClassifier._parameter_constraints,
    }

    def __init__(
        self,
        hidden: Sequence[int] = (256,),
        *,
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
        self.hidden = hidden
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

    def _module(self) -> Any:
        from sklearn_ser.classifiers._heads import MLP

        if not all(COUNT.is_satisfied_by(width) for width in self.hidden):
            raise ValueError(f"hidden={self.hidden!r}; each must be {COUNT}.")
        return MLP(self.n_features_, len(self.classes_), tuple(self.hidden), self.dropout)
