"""FineTunedClassifier: a speech model whose last layers are trained, with a head, on emotions."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping, Sequence
from numbers import Real
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from sklearn.utils.validation import validate_data

from sklearn_ser._audio import Clip, as_clips, is_numeric_batch, items_of, waveforms_of
from sklearn_ser._extraction import Extraction
from sklearn_ser._utils import (
    COUNT,
    POSITIVE,
    SECONDS,
    WAVEFORM_RATE,
    Number,
    Progress,
    StrOptions,
    digest_of,
)
from sklearn_ser.classifiers._neural import Array, NeuralClassifier, take_speaker_column
from sklearn_ser.embedders import SSLEmbedder

__all__ = ["FineTunedClassifier"]

AT_ONCE = 64  # clips whose states are read at once, so that memory stays bounded
TRAINING_VERSION = 2  # raise it when the same settings train otherwise
# What a run that resumes from its checkpoint may have set otherwise.
FREE = {"model", "revision", "speaker", "calibrate"}  # the first two have a digest
FREE |= {"checkpoint", "cache", "device", "random_state", "verbose"}


class FineTunedClassifier(NeuralClassifier):
    """A pretrained speech model, its last layers trained further, with a head on their mean.

    Its input is clips, as embedders take them. The hidden states of layers that are not trained are
    computed once and stored, as :class:`~sklearn_ser.SSLEmbedder` stores frames; only the layers
    that are trained run at every step. What precedes the first transformer layer is never trained.

    Parameters
    ----------
    model : str, default="nano"
        "nano", which comes with this package; a folder that `save_pretrained` wrote; or the id of
        a model on the Hugging Face hub.
    unfreeze : int, "head" or "all", default=2
        Number of last transformer layers that are trained with the head; "head" trains that alone.
    lora : int, default=None
        Rank of low-rank matrices [1]_ that are trained in the attention of these layers, instead
        of the layers' weights. Needs peft.
    revision : str, default=None
        Branch, tag or commit of a model on the hub.
    dropout : float, default=0.1
        Share of the head's units that are dropped in training. Layers that are trained drop what
        their checkpoint says.
    learning_rate : float, default=1e-4
        Of AdamW, for the layers.
    head_learning_rate : float, default=1e-3
        For the head.
    weight_decay : float, default=1e-2
        Of AdamW.
    warmup : float, default=0.1
        Share of all steps of `max_epochs` over which learning rates rise to their values.
    batch_size : int, default=8
        Clips whose gradients are computed at once.
    accumulate : int, default=1
        Batches whose gradients are added up to one step: the same as a batch of
        ``batch_size * accumulate`` clips, in less memory.
    max_epochs : int, default=30
        Maximum number of epochs.
    patience : int, default=5
        Epochs without a lower validation loss after which training stops. The weights of the
        epoch with the lowest are kept.
    validation_fraction : float, default=0.1
        Share of the speakers who are held out of training, one at least.
    class_weight : "balanced", dict or None, default="balanced"
        Weights of the emotions in the loss: a dict gives them, and those that it leaves out weigh
        1; "balanced" lets rare emotions count as much as frequent ones; None weighs clips alike.
    calibrate : bool, default=False
        Whether probabilities are calibrated on the held-out speakers, by one temperature.
    max_seconds : float or None, default=10
        Training takes a random stretch of so much of a longer clip, 0.2 at least. Validation and
        prediction take all of it.
    dtype : {"float32", "bfloat16"}, default="float32"
        Precision of products of matrices in what is trained. "bfloat16" takes less memory, and less
        time on GPUs and on processors with AMX or AVX-512 BF16; many times more on others.
    waveform_rate : float, default=None
        Sampling rate, in Hz, of clips given as bare waveforms; needed for those.
    speaker : int, str or None, default=None
        Column of X, beside the clips, with speaker labels; None if `fit` is given ``groups``. To
        predict, X may lack it.
    checkpoint : str, path-like or None, default=None
        Folder where the state of training is kept after each epoch. A fit of the same clips,
        labels, parameters and seed resumes from there; any other has a file of its own, so that
        the fits of a search may share a folder. Needs `random_state`.
    cache : str, path-like or None, default="auto"
        Where states that enter the first trained layer are kept. "auto" is the environment
        variable ``SKLEARN_SER_CACHE`` or the platform's cache folder; None keeps nothing, and
        runs the whole model at every step.
    device : str, default="auto"
        "cpu", "cuda", … "auto" takes a GPU if there is one.
    random_state : int, RandomState instance or None, default=None
        Determines the held-out speakers, first weights, dropout, stretches and the order of clips.
    verbose : bool, default=False
        Whether to show progress bars and a line an epoch.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
    history_ : dict of str to ndarray of shape (n_epochs,)
        epoch, train_loss, valid_loss, valid_uar and seconds; ``pd.DataFrame(history_)`` is a table.
    n_epochs_ : int
        Epoch whose weights are kept.
    weights_ : dict of str to ndarray
        Only of what was trained.
    temperature_ : float
        What scores are divided by.
    model_digest_ : str
        Of the model's files, which must be the same in `predict`.

    See Also
    --------
    SequenceClassifier : A new network on frames of a model that stays as it is.

    Notes
    -----
    Only what was trained is pickled: some hundred kilobytes with ``unfreeze="head"``, as much as
    the model's layers with "all". The model itself is read again wherever it is used. Stored states
    take 4 bytes for each dimension of a frame, of which most models make 50 a second. A checkpoint
    takes four times the trained weights, and once training is done, once.

    A clip's scores do not depend on its batch: nothing is padded. Where clips can be run end to
    end, they are; Wav2Vec2-Conformer and Wav2Vec2-BERT run one by one; SEW-D cannot be trained.
    Whisper's windows are as long as the clip (``window="clip"`` of `SSLEmbedder`). Layers are never
    skipped, and no frames are masked, in training either. Of clips with more than 2000 frames,
    pieces of at most 1500 attend to themselves. WavLM's attention weights are not dropped.

    References
    ----------
    .. [1] E. Hu et al., "LoRA: low-rank adaptation of large language models", ICLR 2022.

    Examples
    --------
    >>> from sklearn_ser.classifiers import FineTunedClassifier
    >>> from sklearn_ser.datasets import make_emotional_speech
    >>> corpus = make_emotional_speech(n_speakers=4, n_sentences=1, random_state=0)
    >>> classifier = FineTunedClassifier("nano", unfreeze=1, max_epochs=2, random_state=0)
    >>> classifier.fit(corpus.X, corpus.y, groups=corpus.groups).predict_proba(corpus.X).shape
    (16, 4)
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        **NeuralClassifier._parameter_constraints,
        "model": [str],
        "unfreeze": [COUNT, StrOptions({"head", "all"})],
        "lora": [COUNT, None],
        "revision": [str, None],
        "head_learning_rate": [POSITIVE],
        "warmup": [Number(Real, 0, 1, closed="left")],
        "accumulate": [COUNT],
        "max_seconds": [SECONDS, None],
        "dtype": [StrOptions({"float32", "bfloat16"})],
        "waveform_rate": [WAVEFORM_RATE, None],
        "checkpoint": [str, os.PathLike, None],
        "cache": [str, os.PathLike, None],
    }

    def __init__(
        self,
        model: str = "nano",
        *,
        unfreeze: int | str = 2,
        lora: int | None = None,
        revision: str | None = None,
        dropout: float = 0.1,
        learning_rate: float = 1e-4,
        head_learning_rate: float = 1e-3,
        weight_decay: float = 1e-2,
        warmup: float = 0.1,
        batch_size: int = 8,
        accumulate: int = 1,
        max_epochs: int = 30,
        patience: int = 5,
        validation_fraction: float = 0.1,
        class_weight: str | Mapping[Any, float] | None = "balanced",
        calibrate: bool = False,
        max_seconds: float | None = 10,
        dtype: str = "float32",
        waveform_rate: float | None = None,
        speaker: int | str | None = None,
        checkpoint: str | os.PathLike[str] | None = None,
        cache: str | os.PathLike[str] | None = "auto",
        device: str = "auto",
        random_state: Any = None,
        verbose: bool = False,
    ) -> None:
        self.model = model
        self.unfreeze = unfreeze
        self.lora = lora
        self.revision = revision
        self.dropout = dropout
        self.learning_rate = learning_rate
        self.head_learning_rate = head_learning_rate
        self.weight_decay = weight_decay
        self.warmup = warmup
        self.batch_size = batch_size
        self.accumulate = accumulate
        self.max_epochs = max_epochs
        self.patience = patience
        self.validation_fraction = validation_fraction
        self.class_weight = class_weight
        self.calibrate = calibrate
        self.max_seconds = max_seconds
        self.dtype = dtype
        self.waveform_rate = waveform_rate
        self.speaker = speaker
        self.checkpoint = checkpoint
        self.cache = cache
        self.device = device
        self.random_state = random_state
        self.verbose = verbose

    @property
    def _collate(self) -> Any:
        from sklearn_ser.classifiers._batches import padded

        return padded

    def _folder(self) -> Path:
        from sklearn_ser._models import find_model

        return find_model(self.model, self.revision)

    def _config(self) -> Any:
        from sklearn_ser._models import read_speech_config

        return read_speech_config(self._folder())

    def _n_trained(self) -> int:
        """Return how many layers are trained."""
        n_layers = int(self._config().num_hidden_layers)
        if isinstance(self.unfreeze, str):
            n_trained = n_layers if self.unfreeze == "all" else 0
        else:
            n_trained = int(self.unfreeze)
        if n_trained > n_layers:
            raise ValueError(f"unfreeze={n_trained}, but {self.model} has {n_layers} layers.")
        if self.lora is not None and not n_trained:
            raise ValueError(
                f"lora={self.lora} goes into layers, of which unfreeze={self.unfreeze!r} trains "
                'none. Set unfreeze to a number of layers, or to "all".'
            )
        return n_trained

    def _parse_input(self, X: Any, groups: Any, reset: bool) -> tuple[Any, Any]:
        from sklearn_ser._models import model_digest

        speakers = None
        if self.speaker is not None:
            X, speakers = take_speaker_column(self, X, reset)
        if is_numeric_batch(X):  # of a waveform 2 samples or more, later as many as then
            batch = validate_data(self, X, reset=reset, ensure_min_features=2 if reset else 1)
            items = waveforms_of(batch, X)
        else:
            if reset:
                for attribute in ("n_features_in_", "feature_names_in_"):
                    self.__dict__.pop(attribute, None)
            items = items_of(X)
        digest = model_digest(self._folder())
        if reset:
            self.model_digest_ = digest
        elif digest != self.model_digest_:
            raise ValueError(
                f"the files of {self.model} are not those that were fine-tuned: what was trained "
                "does not fit to them. Restore them, or fit again."
            )
        clips = as_clips(items, self.waveform_rate)
        return _HiddenStates(clips, self._frozen_layers()), speakers if groups is None else groups

    def _frozen_layers(self) -> SSLEmbedder:
        """Return what makes the states that enter the first layer that is trained."""
        config = self._config()
        return SSLEmbedder(
            self.model,
            layer=int(config.num_hidden_layers) - self._n_trained(),
            pooling=None,
            revision=self.revision,
            window="clip" if config.model_type == "whisper" else "auto",
            device=self.device,
            cache=self.cache,
        )

    def _fit_inputs(self, clips: Any, train: Array) -> None:
        clips.check(bool(self.verbose))

    def _dataset(self, clips: Any, rows: Array, codes: Array | None) -> Any:
        from sklearn_ser.classifiers._batches import Sequences

        return Sequences(clips, rows, codes)

    def _module(self) -> Any:
        from sklearn_ser._models import FineTunedNetwork, add_lora, frames_per_second, last_layers

        encoder = None
        if n_trained := self._n_trained():
            encoder = last_layers(self._folder(), n_trained)
            if self.lora is not None:
                add_lora(encoder, self.lora)
        longest = None
        if self.max_seconds:
            longest = round(self.max_seconds * frames_per_second(self._folder())) or 1
        return FineTunedNetwork(
            encoder,
            self._config().hidden_size,
            len(self.classes_),
            dropout=self.dropout,
            longest=longest,
            dtype=self.dtype,
        )

    def _extra_fit_arguments(
        self, clips: Any, codes: Array, rows: Array, seed: int
    ) -> dict[str, Any]:
        path = None
        if self.checkpoint is not None:
            if self.random_state is None:
                raise ValueError("checkpoint needs random_state: only an equal run can resume it.")
            name = self._fingerprint(clips, codes, rows, seed)
            path = Path(self.checkpoint).expanduser() / f"{name}.pt"

        def callbacks() -> list[Any]:
            from sklearn_ser.classifiers._callbacks import Checkpoint, EpochProgress, WarmUp

            n_steps = math.ceil(len(rows) / (self.batch_size * self.accumulate))
            found = [
                ("warmup", WarmUp(self.warmup, n_steps, self.max_epochs)),
                ("checkpoint", Checkpoint(path, seed, self.max_epochs)),
            ]
            return [*found, ("progress", EpochProgress())] if self.verbose else found

        return {
            "optimizer": "AdamW",
            "rates": [("head.*", self.head_learning_rate)],
            "accumulate": self.accumulate,
            "callbacks": callbacks,
        }

    def _fingerprint(self, clips: Any, codes: Array, rows: Array, seed: int) -> str:
        """Return a hash of all that a fit's result depends on."""
        settings = {k: v for k, v in self.get_params(deep=False).items() if k not in FREE}
        known = [TRAINING_VERSION, self.model_digest_, seed, settings, self.classes_.tolist()]
        described = json.dumps([*known, [clip.digest() for clip in clips.clips]], default=str)
        return digest_of(described, codes.astype("<i8").tobytes(), rows.astype("<i8").tobytes())


class _HiddenStates:
    """Clips that become the states which enter the first trained layer when they are asked for."""

    def __init__(self, clips: Sequence[Clip], embedder: SSLEmbedder) -> None:
        self.clips, self.embedder, self.records = clips, embedder, embedder.records()

    def __len__(self) -> int:
        return len(self.clips)

    def __getitem__(self, rows: Array) -> list[Any]:
        import torch

        clips = [self.clips[i] for i in rows]
        # Some models draw numbers for layers that they never skip; training must not notice.
        with torch.random.fork_rng(devices=[]):
            extraction = Extraction(clips, self.records, None)
            if extraction.missing:
                extraction.compute(self.embedder.make_extractor())
            return extraction.result()

    def check(self, verbose: bool) -> None:
        """Make sure that each clip can be used; where states are kept, by computing them."""
        with Progress(len(self), "frozen layers", verbose) as progress:
            for start in range(0, len(self), AT_ONCE):
                if self.records is not None:
                    self[np.arange(start, min(start + AT_ONCE, len(self)))]
                for clip in self.clips[start : start + AT_ONCE]:
                    if self.records is None:
                        model = self.embedder.make_extractor().model
                        clip.waveform(clip.read(), model.rate, model.shortest)
                    progress.update(clip)
