"""Published emotion models, as they are, behind scikit-learn's interface."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.base import ClassifierMixin, RegressorMixin
from sklearn.utils.validation import check_array

from sklearn_ser._utils import (
    StrOptions,
    as_classes,
    canonical,
    is_missing,
    most_probable,
    refuse_masked,
)
from sklearn_ser.classifiers._pretrained_model import Array, PretrainedModel

__all__ = ["PretrainedEmotionClassifier", "PretrainedEmotionRegressor"]


class PretrainedEmotionClassifier(ClassifierMixin, PretrainedModel):
    """A published emotion classifier, fitted already: nothing is learned here.

    The checkpoints that transformers' ``AutoModelForAudioClassification`` loads of the families
    that :class:`~sklearn_ser.SSLEmbedder` reads (wav2vec 2.0, HuBERT, WavLM, UniSpeech-SAT,
    data2vec-audio, SEW, Wav2Vec2-Conformer, Wav2Vec2-BERT, Whisper); and those whose head is
    ``classifier.dense`` → tanh → ``classifier.out_proj``. Clips of any rate are resampled to
    the checkpoint's own and go through its own feature extractor. A clip's outputs are stored,
    so that the same clip again computes nothing.

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
    that corpora that it was trained on flatter it. As nothing is learned, `predict_proba` is worth
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
        **PretrainedModel._parameter_constraints,
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

    def _check_targets(self, y: Any) -> Any:
        classes = self.classes_
        if y is None:
            return None
        y = as_classes(y)
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
        is_called = np.equal.outer(self._labels(), self.classes_)
        return of_labels @ is_called.astype(of_labels.dtype)

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
        labels = self._outputs()
        if self.label_map is None:
            return np.array(labels)
        if isinstance(self.label_map, str):
            return np.array([canonical(label) for label in labels])
        if unknown := sorted(set(self.label_map) - set(labels), key=str):
            raise ValueError(
                f"label_map names {unknown}, which {self.model} does not have; it has {labels}."
            )
        if nameless := [k for k, name in self.label_map.items() if is_missing([name])[0]]:
            raise ValueError(
                f"label_map gives no name to {nameless}. Leave them out to keep theirs."
            )
        return np.array([self.label_map.get(label, label) for label in labels])


class PretrainedEmotionRegressor(RegressorMixin, PretrainedModel):
    """A published model of emotional dimensions, fitted already: nothing is learned here.

    As :class:`PretrainedEmotionClassifier`, for checkpoints trained for regression, such as of
    arousal, dominance and valence [1]_.

    Parameters
    ----------
    model : str, default="audeering/wav2vec2-large-robust-12-ft-emotion-msp-dim"
        A folder that `save_pretrained` wrote, or the id of a model on the Hugging Face hub. The
        licence of the default (CC BY-NC-SA 4.0) is for research only.
    output : str, default=None
        The one of `outputs_` that `predict` gives, such as "arousal". None is all of them.
    revision, device, waveform_rate, n_jobs, cache, on_error, verbose
        As in :class:`PretrainedEmotionClassifier`.

    Attributes
    ----------
    outputs_ : ndarray of shape (n_outputs,)
        The model's outputs, in the checkpoint's order; read from it, with or without `fit`.

    See Also
    --------
    PretrainedEmotionClassifier : A published model of emotions.

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
    _parameter_constraints = {**PretrainedModel._parameter_constraints, "output": [str, None]}

    def __init__(
        self,
        model: str = "audeering/wav2vec2-large-robust-12-ft-emotion-msp-dim",
        *,
        output: str | None = None,
        revision: str | None = None,
        device: str = "auto",
        waveform_rate: float | None = None,
        n_jobs: int | None = None,
        cache: str | os.PathLike[str] | None = "auto",
        on_error: str = "raise",
        verbose: bool = False,
    ) -> None:
        self.model = model
        self.output = output
        self.revision = revision
        self.device = device
        self.waveform_rate = waveform_rate
        self.n_jobs = n_jobs
        self.cache = cache
        self.on_error = on_error
        self.verbose = verbose

    @property
    def outputs_(self) -> npt.NDArray[np.str_]:
        """The model's outputs, in the checkpoint's order, of shape (n_outputs,)."""
        return np.array(self._outputs())

    def predict(self, X: Any) -> Array:
        """Return the model's outputs for each clip.

        Parameters
        ----------
        X : sequence of n_clips clips, or ndarray of shape (n_clips, n_samples)
            Paths, waveforms, (waveform, rate) pairs or dicts; see the user guide.

        Returns
        -------
        values : ndarray of shape (n_clips, n_outputs) or, of one output, (n_clips,), float32
            In the order of `outputs_`; NaN for a clip that cannot be used, unless
            ``on_error="raise"``.

        Raises
        ------
        ClipError
            If a clip cannot be used and ``on_error="raise"``.
        ValueError
            If the model has no such output.
        """
        if self.output is None:
            return np.asarray(self.transform(X))
        position = self._position()
        return np.asarray(self.transform(X))[:, position]

    def _position(self) -> int:
        """Return which of the outputs is asked for."""
        outputs = self._outputs()
        if self.output not in outputs:
            raise ValueError(
                f"output={self.output!r}, which {self.model} does not have; it has {outputs}."
            )
        return outputs.index(self.output)

    def _check_targets(self, y: Any) -> Any:
        if self.output is not None:
            self._position()
        if y is None:
            return None
        refuse_masked(y, "y")
        return check_array(y, dtype=np.float64, ensure_2d=False, input_name="y")

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = self.output is None
        return tags
