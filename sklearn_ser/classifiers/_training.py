"""Training of a network by skorch, with early stopping on held-out speakers.

Used by every network of this room; recognizers use `temperature_of`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from sklearn.model_selection import StratifiedShuffleSplit

from sklearn_ser._utils import speaker_folds, warn

__all__ = ["Trained", "hold_out_speakers", "temperature_of", "train"]

# A softmax of few weights moves little at the rate that suits thousands.
LAYER_RATE = 10
CURVES = ("epoch", "train_loss", "valid_loss", "valid_uar", "dur")


class Trained(NamedTuple):
    """What training leaves."""

    #: The module's state by name, of the epoch with the lowest validation loss.
    weights: dict[str, npt.NDArray[Any]]
    #: Of each epoch: epoch, train_loss, valid_loss, valid_uar and seconds.
    history: dict[str, npt.NDArray[Any]]
    #: Whose weights they are, counted from 1; 0 if no loss was a number.
    best_epoch: int
    #: Scores of the held-out clips, before softmax.
    valid_scores: npt.NDArray[np.float64]


def hold_out_speakers(
    y: npt.NDArray[np.int64], speakers: Any, fraction: float, random_state: int | None
) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]:
    """Return the clips to train on, and those of about `fraction` of the speakers to validate on.

    Speakers are drawn so that emotions are as frequent in both parts. If others can be, none is
    held out who alone speaks an emotion, or has more than half of the clips; scikit-learn puts such
    speakers into its first fold. Without speakers, clips are drawn, with a warning.
    """
    n_folds = max(2, round(1 / fraction))
    n_speakers = 0 if speakers is None else len(np.unique(speakers))
    if n_speakers < 2:
        why = "there is one speaker" if n_speakers else "there are no speaker labels"
        warn(
            f"{why}, so that early stopping uses clips of speakers who are trained on, and comes "
            "too late. Pass groups of several speakers to fit, or a column of X as speaker. "
            "scikit-learn's cross_val_score and searches give their groups to the splitter only.",
        )
        n_held_out = max(math.ceil(fraction * len(y)), len(np.unique(y)))  # one of each at least
        split = StratifiedShuffleSplit(1, test_size=n_held_out, random_state=random_state)
        return next(split.split(y, y))
    folds = speaker_folds(speakers, n_folds, y=y, random_state=random_state)
    return max(folds, key=lambda fold: (len(np.unique(y[fold[0]])), 2 * len(fold[0]) >= len(y)))


def train(
    module: Callable[[], Any],
    training: Any,
    validation: Any,
    valid_codes: npt.NDArray[np.int64],
    *,
    class_weight: npt.NDArray[np.float32] | None,
    learning_rate: float,
    weight_decay: float,
    batch_size: int,
    max_epochs: int,
    patience: int,
    device: str,
    random_state: int,
    verbose: bool,
    collate: Callable[..., Any] | None = None,
    read_ahead: bool = False,
    lengths: npt.NDArray[np.int64] | None = None,
    optimizer: str = "Adam",
    rates: Sequence[tuple[str, float]] = (),
    accumulate: int = 1,
    callbacks: Callable[[], list[Any]] = list,
) -> Trained:
    """Train until the validation loss has not fallen for `patience` epochs.

    Parameters
    ----------
    module : callable
        Makes the network, once the seed is set.
    training, validation : torch.utils.data.Dataset
        Of (input, code of the emotion) pairs.
    valid_codes : ndarray of shape (n_validation_clips,)
        Those of the validation clips.
    class_weight : ndarray of shape (n_classes,) or None
        Weights of the emotions in the loss, 1 on average over the training clips.
    collate : callable, default=None
        Makes a batch of such pairs.
    read_ahead : bool
        Whether a thread reads the next batch meanwhile; reading must not draw numbers of torch's.
    lengths : ndarray of shape (n_training_clips,), default=None
        Of clips of which a batch should hold about equally long ones.
    optimizer : str
        One of torch's.
    rates : sequence of (str, float)
        Learning rates of weights whose names fit a pattern.
    accumulate : int
        Batches whose gradients make one step.
    callbacks : callable
        Returns more callbacks of skorch, which come after those here.
    """
    import torch

    try:
        from skorch.callbacks import EarlyStopping, EpochScoring
        from skorch.helper import predefined_split
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            f"training a network needs skorch: pip install 'sklearn-ser[heads]' ({error})"
        ) from None

    from sklearn_ser.classifiers._batches import ByLength, ReadAhead
    from sklearn_ser.classifiers._callbacks import Net, WeightedLoss, in_parts
    from sklearn_ser.evaluation import uar_score

    def uar(net: Any, dataset: Any, _: Any) -> float:
        return uar_score(valid_codes, net.forward(dataset).argmax(dim=1).cpu().numpy())

    generator = torch.Generator().manual_seed(random_state)
    loaders: dict[str, Any] = {"iterator_train__shuffle": True}
    if lengths is not None:
        order = ByLength(lengths, batch_size * accumulate, generator)
        loaders = {"iterator_train__sampler": order}
    for iterator in ("iterator_train", "iterator_valid"):
        if collate is not None:
            loaders[f"{iterator}__collate_fn"] = collate
        if read_ahead:
            loaders[iterator] = ReadAhead
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(random_state)
        network = module()
        if any(name.startswith("layers.") for name, _ in network.named_parameters()):
            rates = [("layers.*", LAYER_RATE * learning_rate)]
        # A loss that is lower by however little is lower.
        stop = EarlyStopping(patience=patience, threshold=0, load_best=True, sink=_silent)
        kind = Net if accumulate == 1 else in_parts(batch_size)
        net = kind(
            network,
            WeightedLoss,
            criterion__weight=None if class_weight is None else torch.from_numpy(class_weight),
            optimizer=getattr(torch.optim, optimizer),
            optimizer__weight_decay=weight_decay,
            optimizer__param_groups=[(pattern, {"lr": rate}) for pattern, rate in rates],
            lr=learning_rate,
            batch_size=batch_size,
            iterator_train__batch_size=batch_size * accumulate,
            max_epochs=max_epochs,
            iterator_train__generator=generator,
            train_split=predefined_split(validation),
            callbacks=[
                ("uar", EpochScoring(uar, lower_is_better=False, name="valid_uar")),
                ("stop", stop),
                *callbacks(),
            ],
            predict_nonlinearity=None,
            device=device,
            verbose=int(verbose),
            **loaders,
        )
        net.fit(training, y=None)
        if net.interrupt_ is not None:
            raise net.interrupt_
        scores = net.forward(validation).cpu().numpy().astype(np.float64)
    state = {name: value.cpu().numpy() for name, value in net.module_.state_dict().items()}
    curves = zip(*net.history[:, CURVES], strict=True)
    history = {name: np.array(curve) for name, curve in zip(CURVES, curves, strict=True)}
    history["seconds"] = history.pop("dur")
    return Trained(state, history, stop.best_epoch_, scores)


def _silent(*_: Any) -> None:
    """Take what skorch would print."""


def temperature_of(scores: npt.NDArray[np.float64], y: npt.NDArray[np.int64]) -> float:
    """Return what to divide scores by, to maximise the likelihood of held-out speakers' emotions.

    C. Guo et al., "On calibration of modern neural networks", ICML 2017.
    """
    from scipy.optimize import minimize_scalar
    from scipy.special import log_softmax

    def loss(log_temperature: float) -> float:
        log_probabilities = log_softmax(scores / np.exp(log_temperature), axis=1)
        return -float(log_probabilities[np.arange(len(y)), y].mean())

    # Scores of some classifiers are in the hundred thousands, of others below one.
    scale = np.log(np.ptp(scores, axis=1).max() or 1.0)
    bounds = (scale - 8, scale + 4)  # of what is nearly certain, and of what is nearly chance
    return float(np.exp(minimize_scalar(loss, bounds=bounds, method="bounded").x))
