"""Base classes of the classifiers that are trained with torch.

`NeuralClassifier` for any input, `PooledClassifier` for pooled embeddings, a row a clip.
"""

from __future__ import annotations

from abc import ABCMeta, abstractmethod
from collections.abc import Mapping
from numbers import Real
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
from scipy.special import softmax
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.exceptions import ConvergenceWarning
from sklearn.preprocessing import StandardScaler
from sklearn.utils import check_random_state, compute_class_weight
from sklearn.utils.validation import check_array, check_is_fitted, validate_data

from sklearn_ser._audio import need_clips
from sklearn_ser._utils import (
    COUNT,
    POSITIVE,
    WHOLE_NUMBER,
    Number,
    StrOptions,
    as_classes,
    as_speakers,
    check_lengths,
    find_device,
    find_speaker_column,
    fit_context,
    most_probable,
    refuse_masked,
    warn,
)
from sklearn_ser.classifiers._training import hold_out_speakers, temperature_of, train

__all__ = [
    "NeuralClassifier",
    "PooledClassifier",
    "only_centre_constants",
    "take_speaker_column",
]

Array = npt.NDArray[Any]


class NeuralClassifier(ClassifierMixin, BaseEstimator, metaclass=ABCMeta):
    """A network with early stopping on held-out speakers.

    Subclasses say what the network is and how clips are read.
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "dropout": [Number(Real, 0, 1, closed="left")],
        "learning_rate": [POSITIVE],
        "weight_decay": [Number(Real, 0, None, closed="left")],
        "batch_size": [COUNT],
        "max_epochs": [COUNT],
        "patience": [COUNT],
        "validation_fraction": [Number(Real, 0, 0.5, closed="right")],
        "class_weight": [StrOptions({"balanced"}), dict, None],
        "calibrate": ["boolean"],
        "speaker": [WHOLE_NUMBER, str, None],
        "device": [str],
        "random_state": ["random_state"],
        "verbose": ["verbose"],
    }
    __metadata_request__fit = {"groups": True}  # speakers, with scikit-learn's metadata routing

    @abstractmethod
    def _parse_input(self, X: Any, groups: Any, reset: bool) -> tuple[Any, Any]:
        """Return the clips, checked, and their speaker labels as they are, or None."""

    @abstractmethod
    def _fit_inputs(self, clips: Any, train: Array) -> Array | None:
        """Fit the scaling of inputs on the clips that are trained on, and check them.

        Return their numbers of frames, if clips of a batch should be about equally long.
        """

    @abstractmethod
    def _dataset(self, clips: Any, rows: Array, codes: Array | None) -> Any:
        """Return a torch dataset of (input, code) pairs."""

    @abstractmethod
    def _module(self) -> Any:
        """Return a new network."""

    _collate: Any = None
    _read_ahead: Any = False
    _predicts_in: ClassVar[str] = "float32"

    def _extra_fit_arguments(
        self, clips: Any, codes: Array, rows: Array, seed: int
    ) -> dict[str, Any]:
        """Return further arguments of `train`; `rows` are the clips that are trained on."""
        return {}

    @fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: Any, y: Any, groups: Any = None) -> NeuralClassifier:
        """Train on most speakers, with early stopping on the others.

        Parameters
        ----------
        X : array-like of n_clips clips
            See the class.
        y : array-like of shape (n_clips,)
            Emotions.
        groups : array-like of shape (n_clips,), default=None
            Speaker labels, if no column of X holds them.

        Returns
        -------
        self : object

        Raises
        ------
        ValueError
            If emotions or speakers are missing, or emotions are numbers that are not whole; or if
            training diverges.

        Warns
        -----
        ConvergenceWarning
            If the validation loss was lowest in the last of max_epochs epochs.
        UserWarning
            If there are no speaker labels, or all clips of an emotion are held out.
        """
        need_clips(X)
        clips, speakers = self._parse_input(X, groups, reset=True)
        if y is None:
            raise ValueError(
                f"{type(self).__name__} requires y to be passed, but the target y is None."
            )
        y = as_classes(y)
        if speakers is not None:
            name = f"column {self.speaker!r} of X" if groups is None else "groups"
            speakers = as_speakers(speakers, name)
        check_lengths(X=clips, y=y, groups=speakers)
        self.classes_, codes = np.unique(y, return_inverse=True)
        if len(self.classes_) < 2:
            raise ValueError(
                f"y has one class, {self.classes_[0]}: there must be two or more to tell apart."
            )
        seed = int(check_random_state(self.random_state).randint(2**31 - 1))
        rows, held_out = hold_out_speakers(codes, speakers, self.validation_fraction, seed)
        if len(lost := np.delete(self.classes_, np.unique(codes[rows]))):
            warn(
                f"{len(lost)} of {len(self.classes_)} emotions ({', '.join(map(str, lost))}) are "
                "not trained on, so never predicted: all their clips are held out for early "
                "stopping. Add clips of other speakers, or leave them out.",
            )
        lengths = self._fit_inputs(clips, rows)
        trained = train(
            self._module,
            self._dataset(clips, rows, codes),
            self._dataset(clips, held_out, codes),
            codes[held_out],
            class_weight=self._class_weights(y, codes, rows),
            learning_rate=self.learning_rate,
            weight_decay=self.weight_decay,
            batch_size=self.batch_size,
            max_epochs=self.max_epochs,
            patience=self.patience,
            device=find_device(self.device),
            random_state=seed,
            verbose=bool(self.verbose),
            collate=self._collate,
            read_ahead=self._read_ahead,
            lengths=lengths,
            **self._extra_fit_arguments(clips, codes, rows, seed),
        )
        if not np.isfinite(trained.valid_scores).all():
            raise ValueError(
                f"training diverged: after {len(trained.history['epoch'])} epochs the scores of "
                "held-out clips are not finite. Lower learning_rate, or standardise X."
            )
        self.weights_, self.history_ = trained.weights, trained.history
        self.n_epochs_ = trained.best_epoch
        if self.n_epochs_ == self.max_epochs:
            warn(
                f"the validation loss of {type(self).__name__} was lowest in the last of "
                f"{self.max_epochs} epochs: training was ended by max_epochs={self.max_epochs}, "
                "before early stopping. Set max_epochs higher.",
                ConvergenceWarning,
            )
        self.temperature_ = 1.0
        if self.calibrate:
            self.temperature_ = temperature_of(trained.valid_scores, codes[held_out])
        return self

    def _class_weights(self, y: Array, codes: Array, rows: Array) -> Array | None:
        """Return the weight of each class in the loss, if they have any.

        The average over the clips that are trained on is 1.
        """
        if self.class_weight is None:
            return None
        if isinstance(self.class_weight, Mapping):
            weights = compute_class_weight(dict(self.class_weight), classes=self.classes_, y=y)
            mean = weights[codes[rows]].mean()
            if not (np.isfinite(weights).all() and weights.min() >= 0 and mean > 0):
                raise ValueError(
                    f"class_weight={self.class_weight}: weights are finite and 0 or more, and "
                    "some clips that are trained on have one above 0."
                )
            return (weights / mean).astype(np.float32)
        known = np.unique(codes[rows])
        weights = np.zeros(len(self.classes_), dtype=np.float32)
        weights[known] = compute_class_weight("balanced", classes=known, y=codes[rows])
        return weights

    def decision_function(self, X: Any) -> npt.NDArray[np.float64]:
        """Return the network's scores, before softmax.

        Parameters
        ----------
        X : array-like of n_clips clips
            See the class.

        Returns
        -------
        scores : ndarray of shape (n_clips, n_classes)
            Of shape (n_clips,) with two classes: the second's score less the first's.
        """
        scores = self._scores(X)
        return scores[:, 1] - scores[:, 0] if len(self.classes_) == 2 else scores

    def predict_proba(self, X: Any) -> npt.NDArray[np.float64]:
        """Return the probability of each emotion.

        Parameters
        ----------
        X : array-like of n_clips clips
            See the class.

        Returns
        -------
        probabilities : ndarray of shape (n_clips, n_classes)
        """
        return softmax(self._scores(X) / self.temperature_, axis=1)

    def predict(self, X: Any) -> Array:
        """Return the most probable emotion of each clip.

        Parameters
        ----------
        X : array-like of n_clips clips
            See the class.

        Returns
        -------
        emotions : ndarray of shape (n_clips,)

        Raises
        ------
        ValueError
            If a clip cannot be used, though an embedder's ``on_error`` is "nan".
        """
        scores = self._scores(X)  # which checks that there are classes
        return most_probable(self.classes_, scores)

    def _scores(self, X: Any) -> npt.NDArray[np.float64]:
        import torch

        check_is_fitted(self)
        need_clips(X)
        clips, _ = self._parse_input(X, None, reset=False)
        found, device = [], find_device(self.device)
        with torch.random.fork_rng(devices=[]), torch.inference_mode():
            module = self._module()
            module.load_state_dict({k: torch.tensor(v) for k, v in self.weights_.items()})
            dtype = getattr(torch, self._predicts_in)
            module.eval().to(device, dtype)
            loader = torch.utils.data.DataLoader(
                self._dataset(clips, np.arange(len(clips)), None),
                batch_size=self.batch_size,
                collate_fn=self._collate,
            )
            for inputs, _ in loader:
                inputs = inputs if isinstance(inputs, dict) else {"X": inputs}
                inputs = {
                    name: value.to(device, dtype if value.is_floating_point() else None)
                    for name, value in inputs.items()
                }
                found.append(module(**inputs).cpu().numpy())
        return np.concatenate(found).astype(np.float64)


def take_speaker_column(estimator: Any, X: Any, reset: bool) -> tuple[Any, Any]:
    """Return a frame of clips without its column of speaker labels, and that column.

    Speakers need not be known to predict: X is returned as it is, and None, if it has no such
    column. A position is that of the frame in `fit`; another frame may have another column there.
    """
    names = list(map(str, getattr(X, "columns", [])))
    speaker = estimator.speaker
    if reset:
        if not names:
            raise TypeError(f"speaker={speaker!r} needs X to be a frame of clips.")
        position = find_speaker_column(speaker, len(names), names)
        estimator._speaker_name = names[position]
    else:
        speaker = speaker if isinstance(speaker, str) else estimator._speaker_name
        if not any(speaker in (name, name.rpartition("__")[2]) for name in names):
            return X, None
        position = find_speaker_column(speaker, len(names), names)
    clips = X[[name for i, name in enumerate(X.columns) if i != position]]
    return clips, X[X.columns[position]]


def only_centre_constants(scaler: StandardScaler) -> None:
    """Give columns that are constant, but for rounding to single precision, the scale 1.

    StandardScaler does so with those that are constant in double precision; networks have their
    input in single precision, of which rounding would be blown up to variance 1.
    """
    rounding = 10 * np.finfo(np.float32).eps * np.abs(scaler.mean_)
    scaler.scale_[scaler.scale_ <= rounding] = 1.0


class PooledClassifier(NeuralClassifier):
    """A network on a matrix of features, one row a clip, one column of which may be the speaker."""

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "standardize": ["boolean"],
        **NeuralClassifier._parameter_constraints,
    }

    standardize: bool
    # So that a clip's scores do not depend on the clips beside it, by rounding.
    _predicts_in = "float64"

    def _parse_input(self, X: Any, groups: Any, reset: bool) -> tuple[Any, Any]:
        refuse_masked(X)
        if self.speaker is None:
            return validate_data(self, X, reset=reset, dtype=np.float32), groups
        X = validate_data(self, X, reset=reset, dtype=None, ensure_all_finite=False)
        names = list(getattr(self, "feature_names_in_", []))
        column = find_speaker_column(self.speaker, X.shape[1], names)
        features = check_array(np.delete(X, column, axis=1), dtype=np.float32, estimator=self)
        return features, X[:, column] if groups is None else groups

    def _fit_inputs(self, clips: Any, train: Array) -> None:
        self.n_features_ = clips.shape[1]
        self.scaler_ = None
        if self.standardize:  # with arrays as output, whatever scikit-learn's settings say
            self.scaler_ = StandardScaler().set_output(transform="default").fit(clips[train])
            only_centre_constants(self.scaler_)

    def _dataset(self, clips: Any, rows: Array, codes: Array | None) -> Any:
        import torch

        X = clips[rows] if self.scaler_ is None else self.scaler_.transform(clips[rows])
        targets = np.zeros(len(rows), np.int64) if codes is None else codes[rows]
        return torch.utils.data.TensorDataset(torch.from_numpy(X), torch.from_numpy(targets))
