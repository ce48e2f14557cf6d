"""Published emotion models, as they are, behind scikit-learn's interface."""

from __future__ import annotations

import os
from abc import abstractmethod
from collections.abc import Mapping
from importlib.metadata import version
from typing import Any, ClassVar

import joblib
import numpy as np
import numpy.typing as npt
from sklearn.base import ClassifierMixin, RegressorMixin
from sklearn.utils.validation import check_array, check_consistent_length

from sklearn_ser._extraction import Extractor, WaveformExtractor
from sklearn_ser._utils import (
    StrOptions,
    as_classes,
    canonical,
    find_device,
    is_missing,
    most_probable,
    refuse_masked,
)
from sklearn_ser.embedders import BaseEmbedder, VectorLayout

__all__ = ["PretrainedEmotionClassifier", "PretrainedEmotionRegressor"]

Array = npt.NDArray[np.float32]
# Raise it when the same model and waveform would give other values; it is part of the key.
MEANING = "mean over equal pieces of at most 30 s of clips over 40 s, Whisper over 30 s; 1"


class _PretrainedModel(BaseEmbedder):
    """A checkpoint's outputs as the only row of a clip's record."""

    task: ClassVar[str]  # what the checkpoint was trained for

    _parameter_constraints = {
        **BaseEmbedder._parameter_constraints,
        "model": [str],
        "revision": [str, None],
        "device": [str],
    }

    model: str
    revision: str | None
    device: str

    def _folder(self) -> Any:
        from sklearn_ser._models import find_model

        return find_model(self.model, self.revision)

    def _loaded(self) -> Any:
        from sklearn_ser._models import load_fine_tuned

        return load_fine_tuned(self._folder(), find_device(self.device))

    def compute_settings(self) -> dict[str, Any]:
        """Return a digest of the model's files, and the version of transformers.

        Returns
        -------
        settings : dict
        """
        from sklearn_ser._models import model_digest

        return {
            "weights": model_digest(self._folder()),
            "transformers": version("transformers"),
            "meaning": MEANING,
        }

    def _activate(self, outputs: Array) -> Array:
        """Return what is averaged over the pieces of a long clip."""
        return outputs

    def compute(self, waveform: Array) -> Array:
        """Return the model's outputs for a clip, averaged over the pieces of a long one.

        Parameters
        ----------
        waveform : ndarray of shape (n_samples,), float32

        Returns
        -------
        outputs : ndarray of shape (n_outputs,)
        """
        outputs: Array = self._activate(self._loaded()(waveform)).mean(axis=0)
        return outputs

    def make_extractor(self) -> Extractor:
        """Return what runs the model.

        Returns
        -------
        extractor : WaveformExtractor
        """
        model, make_record = self._loaded(), self.layout().make_record
        return WaveformExtractor(
            lambda waveform: make_record(self.compute(waveform)),
            model.rate,
            model.shortest,
            joblib.effective_n_jobs(self.n_jobs),
            model=model,
        )

    def layout(self) -> VectorLayout:
        """Return the checkpoint's outputs as a vector.

        Returns
        -------
        layout : VectorLayout
        """
        return VectorLayout(self._outputs())

    def _outputs(self) -> list[str]:
        """Return the checkpoint's names of its outputs, in its order."""
        from sklearn_ser._models import read_speech_config

        config = read_speech_config(self._folder())
        task = config.problem_type
        if task is None:  # as transformers takes it
            task = "regression" if config.num_labels == 1 else "single_label_classification"
        if task != self.task:
            raise ValueError(
                f"{type(self).__name__} takes models for {self.task}, but {self.model} is one for "
                f"{task}, by its config.json (problem_type)."
            )
        return [str(config.id2label[i]) for i in range(config.num_labels)]

    def fit(self, X: Any, y: Any = None) -> Any:
        """Check the parameters, the kind of input and the targets; nothing is learnt.

        Parameters
        ----------
        X : sequence of n_clips clips, or ndarray of shape (n_clips, n_samples)
            Paths, waveforms, (waveform, rate) pairs or dicts; see the user guide.
        y : array-like of shape (n_clips,) or (n_clips, n_outputs), or None
            Targets, only checked for being as many as `X`, and finite.

        Returns
        -------
        self : object
        """
        super().fit(X)
        if y is not None:
            y = self._check_targets(y)
            check_consistent_length(X, y)
        return self

    @abstractmethod
    def _check_targets(self, y: Any) -> Any:
        """Return targets as an array, or raise an error."""

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.required = False
        return tags


class PretrainedEmotionClassifier(ClassifierMixin, _PretrainedModel):
    """A published emotion classifier, fitted already: nothing is learnt here.

    The checkpoints that transformers' ``AutoModelForAudioClassification`` loads of the families
    that :class:`~sklearn_ser.SSLEmbedder` reads (wav2vec 2.0, HuBERT, WavLM, UniSpeech-SAT,
    data2vec-audio, SEW, Wav2Vec2-Conformer, Wav2Vec2-BERT, Whisper); and those whose head is
    ``classifier.dense`` → tanh → ``classifier.out_proj``. Clips of any rate are resampled to
    the checkpoint's own and go through its own feature extractor. What it says of a clip is kept,
    so that hearing the same clip again computes nothing.

    Parameters
    ----------
    model : str, default="superb/wav2vec2-large-superb-er"
        A folder that `save_pretrained` wrote, or the id of a model on the Hugging Face hub.
    label_map : "auto", dict or None, default="auto"
        What the model's labels are called here. "auto": this package's names of emotions, as its
        corpora have them ("ang" is "anger"); a label that is no known emotion in lower case.
        A dict maps the model's labels to yours; those it leaves out keep their names. None: as
        the model has them. Probabilities of labels that get one name add up.
    revision : str, default=None
        Branch, tag or commit of a model on the hub.
    device : str, default="auto"
        Where the model runs: "cpu", "cuda", "cuda:1", …; "auto" takes a GPU if there is one.
    waveform_rate : float, default=None
        Sampling rate, in Hz, of clips given as bare waveforms; needed for those.
    n_jobs : int, default=None
        Number of threads that read and decode clips while the model runs.
    cache : str, path-like or None, default="auto"
        Where records are kept. "auto" is the environment variable ``SKLEARN_SER_CACHE`` or
        the platform's cache folder; None keeps nothing.
    on_error : {"raise", "warn", "nan"}, default="raise"
        What a clip that cannot be used does: raise, give a row of NaN and a warning, or give
        a row of NaN. `predict`, which has no label for it, raises in any case.
    verbose : bool, default=False
        Whether to show a progress bar.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        The labels that `predict` gives, sorted; read from the checkpoint, with or without `fit`.

    See Also
    --------
    PretrainedEmotionRegressor : Arousal, dominance and valence.
    sklearn_ser.SSLEmbedder : Features to train a classifier of your own on.

    Notes
    -----
    The model never saw your labels: compare its classes with those of the corpus first, and mind
    that corpora that it was trained on flatter it. As nothing is learnt, `predict_proba` is worth
    the same with and without cross-validation. A clip of more than 40 s (Whisper: 30 s) is
    run in equal pieces of at most 30 s, whose probabilities are averaged.

    `transform` gives the probabilities of the model's own labels, for use as features.

    A weighted sum of layers that was saved by transformers before 5.16 takes the last layer after
    its final normalisation, as it was trained, whatever the version here.

    References
    ----------
    S. Yang et al., "SUPERB: Speech Processing Universal PERformance Benchmark", Interspeech 2021.

    Examples
    --------
    >>> from sklearn_ser.classifiers import PretrainedEmotionClassifier
    >>> from sklearn_ser.datasets import make_emotional_speech
    >>> corpus = make_emotional_speech(n_speakers=2, n_sentences=1, random_state=0)
    >>> classifier = PretrainedEmotionClassifier("superb/wav2vec2-large-superb-er")
    >>> classifier.classes_  # doctest: +SKIP
    array(['anger', 'happiness', 'neutral', 'sadness'], dtype='<U9')
    >>> classifier.predict_proba(corpus.X).shape  # doctest: +SKIP
    (8, 4)
    >>> classifier.score(corpus.X, corpus.y)  # doctest: +SKIP
    """

    short_name = "emotions"
    task = "single_label_classification"
    _parameter_constraints = {
        **_PretrainedModel._parameter_constraints,
        "label_map": [StrOptions({"auto"}), Mapping, None],
    }

    def __init__(
        self,
        model: str = "superb/wav2vec2-large-superb-er",
        label_map: str | Mapping[str, Any] | None = "auto",
        *,
        revision: str | None = None,
        device: str = "auto",
        waveform_rate: float | None = None,
        n_jobs: int | None = None,
        cache: str | os.PathLike[str] | None = "auto",
        on_error: str = "raise",
        verbose: bool = False,
    ) -> None:
        self.model = model
        self.label_map = label_map
        self.revision = revision
        self.device = device
        self.waveform_rate = waveform_rate
        self.n_jobs = n_jobs
        self.cache = cache
        self.on_error = on_error
        self.verbose = verbose

    @property
    def classes_(self) -> npt.NDArray[Any]:
        """The labels that `predict` gives, sorted, of shape (n_classes,)."""
        return np.unique(self._labels())

    def fit(self, X: Any, y: Any = None) -> PretrainedEmotionClassifier:
        """Check the parameters, the kind of input and the labels; nothing is learnt.

        Parameters
        ----------
        X : sequence of n_clips clips, or ndarray of shape (n_clips, n_samples)
            Paths, waveforms, (waveform, rate) pairs or dicts; see the user guide.
        y : array-like of shape (n_clips,) or None
            Labels; if they are strings, some must be among `classes_`.

        Returns
        -------
        self : object

        Raises
        ------
        ValueError
            If `label_map` names labels that the model does not have, or gives no name; or `y` has
            none in common with `classes_`, or labels of it are missing.
        """
        super().fit(X, y)
        self._labels()
        return self

    def _check_targets(self, y: Any) -> Any:
        y, classes = as_classes(y), self.classes_
        # Numbers may be codes of labels: cross_val_predict passes them.
        if y.dtype.kind == "U" and not set(y) & set(classes):
            raise ValueError(
                f"y has the labels {sorted(set(map(str, y)))}, of which {self.model} knows none: "
                f"its classes are {classes.tolist()}. Set label_map."
            )
        return y

    def predict_proba(self, X: Any) -> Array:
        """Return the probability of each class.

        Parameters
        ----------
        X : sequence of n_clips clips, or ndarray of shape (n_clips, n_samples)

        Returns
        -------
        probabilities : ndarray of shape (n_clips, n_classes), float32
            In the order of `classes_`; NaN for a clip that cannot be used, unless
            ``on_error="raise"``.

        Raises
        ------
        ClipError
            If a clip cannot be used and ``on_error="raise"``.
        """
        of_labels = np.asarray(self.transform(X))
        named = np.equal.outer(self._labels(), self.classes_)
        return of_labels @ named.astype(of_labels.dtype)

    def predict(self, X: Any) -> npt.NDArray[Any]:
        """Return the most probable class of each clip.

        Parameters
        ----------
        X : sequence of n_clips clips, or ndarray of shape (n_clips, n_samples)

        Returns
        -------
        labels : ndarray of shape (n_clips,)

        Raises
        ------
        ClipError
            If a clip cannot be used and ``on_error="raise"``.
        ValueError
            If one cannot be used otherwise.
        """
        return most_probable(self.classes_, self.predict_proba(X))

    def _labels(self) -> npt.NDArray[Any]:
        """Return what each of the model's labels is called here."""
        own = self._outputs()
        if self.label_map is None:
            return np.array(own)
        if isinstance(self.label_map, str):
            return np.array([canonical(label) for label in own])
        if unknown := sorted(set(self.label_map) - set(own), key=str):
            raise ValueError(
                f"label_map names {unknown}, which {self.model} does not have; it has {own}."
            )
        if nameless := [k for k, name in self.label_map.items() if is_missing([name])[0]]:
            raise ValueError(
                f"label_map gives no name to {nameless}. Leave them out to keep theirs."
            )
        return np.array([self.label_map.get(label, label) for label in own])

    def _activate(self, outputs: Array) -> Array:
        from scipy.special import softmax

        probabilities: Array = softmax(outputs, axis=1)
        return probabilities


class PretrainedEmotionRegressor(RegressorMixin, _PretrainedModel):
    """A published model of emotional dimensions, fitted already: nothing is learnt here.

    As :class:`PretrainedEmotionClassifier`, for checkpoints trained for regression, such as of
    arousal, dominance and valence [1]_.

    Parameters
    ----------
    model : str, default="audeering/wav2vec2-large-robust-12-ft-emotion-msp-dim"
        A folder that `save_pretrained` wrote, or the id of a model on the Hugging Face hub. The
        licence of the default (CC BY-NC-SA 4.0) is for research only.
    revision : str, default=None
        Branch, tag or commit of a model on the hub.
    device : str, default="auto"
        Where the model runs: "cpu", "cuda", "cuda:1", …; "auto" takes a GPU if there is one.
    waveform_rate : float, default=None
        Sampling rate, in Hz, of clips given as bare waveforms; needed for those.
    n_jobs : int, default=None
        Number of threads that read and decode clips while the model runs.
    cache : str, path-like or None, default="auto"
        Where records are kept. "auto" is the environment variable ``SKLEARN_SER_CACHE`` or
        the platform's cache folder; None keeps nothing.
    on_error : {"raise", "warn", "nan"}, default="raise"
        What a clip that cannot be used does: raise, give a row of NaN and a warning, or give
        a row of NaN.
    verbose : bool, default=False
        Whether to show a progress bar.

    Attributes
    ----------
    outputs_ : ndarray of shape (n_outputs,)
        What `predict` gives, in the checkpoint's order; read from it, with or without `fit`.

    Notes
    -----
    Values are the model's own, about 0 to 1 for the default. `transform` gives the same as
    `predict`, for use as features. A clip of more than 40 s (Whisper: 30 s) is run in equal
    pieces of at most 30 s, whose outputs are averaged.

    References
    ----------
    .. [1] J. Wagner et al., "Dawn of the Transformer Era in Speech Emotion Recognition: Closing
       the Valence Gap", IEEE Transactions on Pattern Analysis and Machine Intelligence 45(9),
       2023.

    Examples
    --------
    >>> from sklearn_ser.classifiers import PretrainedEmotionRegressor
    >>> from sklearn_ser.datasets import make_emotional_speech
    >>> corpus = make_emotional_speech(n_speakers=2, n_sentences=1, random_state=0)
    >>> regressor = PretrainedEmotionRegressor()
    >>> regressor.outputs_  # doctest: +SKIP
    array(['arousal', 'dominance', 'valence'], dtype='<U9')
    >>> regressor.predict(corpus.X).shape  # doctest: +SKIP
    (8, 3)
    """

    short_name = "dimensions"
    task = "regression"

    def __init__(
        self,
        model: str = "audeering/wav2vec2-large-robust-12-ft-emotion-msp-dim",
        *,
        revision: str | None = None,
        device: str = "auto",
        waveform_rate: float | None = None,
        n_jobs: int | None = None,
        cache: str | os.PathLike[str] | None = "auto",
        on_error: str = "raise",
        verbose: bool = False,
    ) -> None:
        self.model = model
        self.revision = revision
        self.device = device
        self.waveform_rate = waveform_rate
        self.n_jobs = n_jobs
        self.cache = cache
        self.on_error = on_error
        self.verbose = verbose

    @property
    def outputs_(self) -> npt.NDArray[np.str_]:
        """What `predict` gives, in the checkpoint's order, of shape (n_outputs,)."""
        return np.array(self._outputs())

    def predict(self, X: Any) -> Array:
        """Return the model's outputs for each clip.

        Parameters
        ----------
        X : sequence of n_clips clips, or ndarray of shape (n_clips, n_samples)
            Paths, waveforms, (waveform, rate) pairs or dicts; see the user guide.

        Returns
        -------
        values : ndarray of shape (n_clips, n_outputs), float32
            In the order of `outputs_`; NaN for a clip that cannot be used, unless
            ``on_error="raise"``.

        Raises
        ------
        ClipError
            If a clip cannot be used and ``on_error="raise"``.
        """
        return np.asarray(self.transform(X))

    def _check_targets(self, y: Any) -> Any:
        refuse_masked(y, "y")
        return check_array(y, dtype=np.float64, ensure_2d=False, input_name="y")

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags
