"""Embeddings of pretrained, mostly self-supervised, speech models."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sklearn_ser._extraction import Extractor, SpeechExtractor
from sklearn_ser._utils import POSITIVE, SECONDS, StrOptions, find_device, thread_count
from sklearn_ser.embedders._base import Array, BaseEmbedder
from sklearn_ser.embedders._layouts import ModelLayers

if TYPE_CHECKING:
    from sklearn_ser._models import SpeechModel

__all__ = ["SSLEmbedder"]

# Raise it when the same model and waveform would give other values; it is part of the key, in which
# it is called "meaning", and whose words stay as they are: others would lose the records.
RECORD_VERSION = "layers before final norm, Whisper after; own frames only; 1"
# Windows of long clips, which the meaning of "auto" depends on.
WINDOWS = "40 s at once, else 30 s with 2 s of context; median of 6000 frames; 1"


class SSLEmbedder(ModelLayers, BaseEmbedder):
    """Layers of a pretrained speech model, pooled over the clip's frames.

    The checkpoints, with or without a head, of wav2vec 2.0 (XLS-R and MMS too), HuBERT, WavLM,
    UniSpeech, UniSpeech-SAT, data2vec-audio, SEW, SEW-D, Wav2Vec2-Conformer, Wav2Vec2-BERT and
    Whisper, of which the encoder is read. Models of other families, such as spectrogram
    transformers (AST, Parakeet, SeamlessM4T, Moonshine) and codecs, are refused.

    One pass over a clip yields every layer and every statistic, which are kept: `layer` and
    `pooling` only choose among them, so a grid over both runs the model once a clip. Inputs go
    through the checkpoint's feature extractor.

    Parameters
    ----------
    model : str, default="microsoft/wavlm-base-plus"
        "nano", which comes with this package; a folder that `save_pretrained` wrote; or the id of
        a model on the Hugging Face hub.
    layer : int, "middle", "mean", "all", or list of int, default="middle"
        0 is what enters the first transformer layer, k the output of layer k; negative numbers
        count from the end. "middle" is half the number of layers, which carries most emotion
        across published studies; "mean" averages the frames of all layers, 0 among them. A list
        or "all" concatenates.
    pooling : str, list of str, or None, default="mean"
        Statistics over frames: "mean", "std", "min", "max", "median"; a list concatenates. None
        returns the frames.
    revision : str, default=None
        Branch, tag or commit of a model on the hub.
    window : "auto", "clip", float or None, default="auto"
        How much of a clip attends to itself at once. "auto": all of it up to 40 s; of a longer
        one, windows of 30 s with 2 s of context on both sides, and a warning. A number: windows
        of so many seconds, 0.2 at least, for clips longer than that. None: always all of it.
        Whisper alone takes pieces of 30 s, padded with silence ("auto"), or with "clip" only the
        valid frames, which is many times faster on short clips, but not what it was trained
        on.
    device : str, default="auto"
        Where the model runs: "cpu", "cuda", "cuda:1", …; "auto" takes a GPU if there is one.
    dtype : {"float32", "bfloat16", "float16"}, default="float32"
        Precision of weights and activations. "bfloat16" is two to four times as fast on hardware
        that has it, and moves embeddings by about 0.6 % (relative L2); it has records of its own.
    batch_seconds : float, "auto" or None, default="auto"
        Seconds of audio that share a padded forward pass, halved when memory runs out. "auto" is
        160 on a GPU; on a CPU, where padding only costs time, every core runs one clip at a time.
        None: one clip at a time, on all cores. Embeddings do not depend on it: a model whose
        clips would change in a batch is run clip by clip.
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

    Raises
    ------
    OSError
        If there is no such model, it is of another family, its files lack weights, or weights are
        NaN, infinite, or zero throughout a layer.
    ValueError
        By `fit` and `transform`, if `window` is none for the model's family, or `layer` or
        `pooling` names one twice. By `transform`, if the model gives NaN or infinite values, as in
        float16 some do. It is no fault of a clip, so that `on_error` does not apply.
    ClipError
        By `transform`, if a clip cannot be used and ``on_error="raise"``.

    Warns
    -----
    ClipWarning
        For each clip that is run in windows.

    See Also
    --------
    TextEmbedder : The same for transcripts.
    MFCCEmbedder : Cepstral coefficients.
    EGeMAPSEmbedder : Features of openSMILE.
    sklearn_ser.classifiers.FineTunedClassifier : Trains layers of the model.

    Notes
    -----
    The last layer is taken before any final normalisation, in Whisper after it, whatever the
    version of transformers. Whisper's encoder always takes 30 s; only the valid frames are
    pooled, and a longer clip is cut into pieces of 30 s. The median of a clip that is run in
    windows or pieces and is longer than two minutes is taken over every second, third, … frame.

    What is stored has all layers, whichever was asked for, so that a later search runs nothing.
    With ``cache=None`` the model stops after the last layer asked for; with ``pooling=None`` too,
    as frames are only stored of layers asked for.

    References
    ----------
    S. Chen et al., "WavLM: Large-Scale Self-Supervised Pre-Training for Full Stack Speech
    Processing", IEEE JSTSP 16(6), 2022.

    L. Pepino, P. Riera, L. Ferrer, "Emotion Recognition from Speech Using wav2vec 2.0
    Embeddings", Interspeech 2021.

    Examples
    --------
    >>> from sklearn_ser import SSLEmbedder
    >>> from sklearn_ser.datasets import make_emotional_speech
    >>> corpus = make_emotional_speech(n_speakers=2, n_sentences=1, random_state=0)
    >>> embedder = SSLEmbedder("nano", layer=[1, 2], pooling=["mean", "std"], cache=None)
    >>> embedder.fit_transform(corpus.X).shape
    (8, 1024)
    >>> embedder.get_feature_names_out()[-1]
    'layer2_std_0255'
    """

    short_name = "ssl"
    _parameter_constraints = {
        **BaseEmbedder._parameter_constraints,
        **ModelLayers.layer_constraints,
        "window": [StrOptions({"auto", "clip"}), SECONDS, None],
        "dtype": [StrOptions({"float32", "bfloat16", "float16"})],
        "batch_seconds": [StrOptions({"auto"}), POSITIVE, None],
    }

    def __init__(
        self,
        model: str = "microsoft/wavlm-base-plus",
        layer: int | str | Sequence[int] = "middle",
        pooling: str | Sequence[str] | None = "mean",
        *,
        revision: str | None = None,
        window: float | str | None = "auto",
        device: str = "auto",
        dtype: str = "float32",
        batch_seconds: float | str | None = "auto",
        waveform_rate: float | None = None,
        n_jobs: int | None = None,
        cache: str | os.PathLike[str] | None = "auto",
        on_error: str = "raise",
        verbose: bool = False,
    ) -> None:
        self.model = model
        self.layer = layer
        self.pooling = pooling
        self.revision = revision
        self.window = window
        self.device = device
        self.dtype = dtype
        self.batch_seconds = batch_seconds
        self.waveform_rate = waveform_rate
        self.n_jobs = n_jobs
        self.cache = cache
        self.on_error = on_error
        self.verbose = verbose

    @property
    def rate(self) -> int:
        """Sampling rate, in Hz, that the model was trained at."""
        return self._loaded().rate

    def model_folder(self) -> Path:
        """Return where the model's files are, which may be downloaded for this.

        Returns
        -------
        folder : Path
        """
        from sklearn_ser._models import find_model

        return find_model(self.model, self.revision)

    def _config(self) -> Any:
        from sklearn_ser._models import read_speech_config

        return read_speech_config(self.model_folder())

    def _loaded(self) -> SpeechModel:
        """Return the model, which is loaded once in a process."""
        from sklearn_ser._models import load_model

        return load_model(self.model_folder(), find_device(self.device), self.dtype)

    def compute_settings(self) -> dict[str, Any]:
        """Return a digest of the model's files, and how long clips are run.

        Returns
        -------
        settings : dict
        """
        from sklearn_ser._models import model_digest

        settings: dict[str, Any] = {
            "weights": model_digest(self.model_folder()),
            "revision": self.revision,
            "meaning": RECORD_VERSION,
        }
        if self._config().model_type == "whisper":
            settings |= {"window": "clip"} if self.window == "clip" else {}
        else:
            settings["window"] = self.window
            if isinstance(self.window, str):
                settings["window"] = WINDOWS
            elif self.window is not None:
                settings["window"] = f"{WINDOWS}; {float(self.window)} s instead"
        if self.dtype != "float32":
            settings["dtype"] = self.dtype
        return settings

    def check_settings(self) -> None:
        """Raise a ValueError if `window` is none for the model's family."""
        family = self._config().model_type
        if family == "whisper" and not isinstance(self.window, str):
            raise ValueError(
                f"window={self.window!r}, but Whisper takes 30 s at a time: 'auto' pads to them, "
                "'clip' does not."
            )
        if family != "whisper" and self.window == "clip":
            raise ValueError(
                f"window='clip' is for Whisper, which pads clips to 30 s. {self.model} is of the "
                f"family {family!r}, whose frames are all valid: leave window='auto', or "
                "give a number of seconds, or None for all of a long clip at once."
            )

    def min_samples(self) -> int:
        """Return the length of the shortest clip that has a frame.

        Returns
        -------
        n_samples : int
        """
        return int(self._loaded().shortest)

    def compute(self, waveform: Array) -> Array:
        """Return the frames of all layers, and of their mean.

        `transform` does not call it: it pools where the model runs, which is what
        `make_extractor` gives.

        Parameters
        ----------
        waveform : ndarray of shape (n_samples,), float32

        Returns
        -------
        frames : ndarray of shape (n_layers + 2, n_frames, n_dims), float32
            What enters the first layer, the output of each layer, and the mean of all these.
        """
        model = self._loaded()
        prepared = model.prepare_input(waveform, self.window)
        return model.frames(prepared, range(model.n_layers + 2))

    def make_extractor(self) -> Extractor:
        """Return what runs the model.

        Returns
        -------
        extractor : SpeechExtractor
        """
        layout = self.layout()
        return SpeechExtractor(
            self._loaded(),
            self.window,
            [i for i, _ in layout.groups],
            as_frames=layout.gives_sequences,
            all_layers=self.cache is not None,
            batch_seconds=self.batch_seconds,
            n_readers=thread_count(self.n_jobs) if self.n_jobs is not None else None,
        )
