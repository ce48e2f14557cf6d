"""Embeddings of pretrained, mostly self-supervised, speech models."""

from __future__ import annotations

import os
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
from sklearn.utils._param_validation import StrOptions

from sklearn_ser.audio import Clip
from sklearn_ser.embedders._base import POSITIVE, Array
from sklearn_ser.embedders._batches import Batched
from sklearn_ser.embedders._layers import LayerEmbedder, check_finite
from sklearn_ser.embedders._records import ClipWarning
from sklearn_ser.embedders._speech_batches import SpeechBatches, out_of_memory

__all__ = ["SSLEmbedder"]

# Raise it when the same model and waveform would give other values; it is part of the key.
MEANING = "layers before final norm, Whisper after; own frames only; 1"
# Windows of long clips, which the meaning of "auto" depends on.
WINDOWS = "40 s at once, else 30 s with 2 s of context; median of 6000 frames; 1"


class SSLEmbedder(LayerEmbedder):
    """Layers of a pretrained speech model, pooled over the clip's frames.

    The checkpoints, with or without a head, of wav2vec 2.0 (XLS-R and MMS too), HuBERT, WavLM,
    UniSpeech, UniSpeech-SAT, data2vec-audio, SEW, SEW-D, Wav2Vec2-Conformer, Wav2Vec2-BERT and
    Whisper, of which the encoder is read. Models of other families, such as spectrogram
    transformers (AST, Parakeet, SeamlessM4T, Moonshine) and codecs, are refused.

    One pass over a clip yields every layer and every statistic, which are kept: `layer` and
    `pooling` only choose among them, so a grid over both runs the model once a clip. Inputs go
    through the checkpoint's own feature extractor.

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
        of so many seconds for clips longer than that. None: always all of it. Whisper hears
        pieces of 30 s, padded with silence ("auto"), or with "clip" only the clip's own frames,
        which is many times faster on short clips, but not what it was trained on.
    device : str, default="auto"
        Where the model runs: "cpu", "cuda", "cuda:1", …; "auto" takes a GPU if there is one.
    dtype : {"float32", "bfloat16", "float16"}, default="float32"
        Precision of weights and activations. "bfloat16" is two to four times as fast on hardware
        that has it, and moves embeddings by about 0.6 % (relative L2); it has records of its own.
    backend : {"auto", "torch", "openvino", "onnxruntime"}, default="auto"
        What runs the transformer layers on a CPU. When a large model is loaded to run all its
        layers, "auto" compares torch with OpenVINO, or if that is not installed or not exact with
        ONNX Runtime, and takes the faster. The others run clips side by side, one a core, and all
        layers: torch runs fewer layers, several clips in a pass, Whisper with ``window="clip"``,
        and on several cores whatever comes one clip after another (a clip alone or in windows,
        ``pooling=None``, ``batch_seconds=None``). Values are the same to rounding, so records are
        shared.
    batch_seconds : float, "auto" or None, default="auto"
        Seconds of audio that share a forward pass, padding included; halved when memory runs out.
        "auto" is 160 on a GPU, and 16 on a CPU for models that can take clips end to end without
        padding; there every core runs a batch of its own, or a clip of its own. None: one clip at
        a time, on all cores. Embeddings do not depend on it: a model whose clips would notice
        each other is run clip by clip.
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
        By `transform`, if the model gives NaN or infinite values, as in float16 some do. It is no
        fault of a clip, so that `on_error` does not apply.
    ClipError
        By `transform`, if a clip cannot be used and ``on_error="raise"``.

    Warns
    -----
    ClipWarning
        For each clip that is run in windows.

    Notes
    -----
    The last layer is taken before any final normalisation, in Whisper after it, whatever the
    version of transformers. Whisper's encoder always hears 30 s; only the clip's own frames are
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
        **LayerEmbedder._parameter_constraints,
        "window": [StrOptions({"auto", "clip"}), POSITIVE, None],
        "dtype": [StrOptions({"float32", "bfloat16", "float16"})],
        "backend": [StrOptions({"auto", "torch", "openvino", "onnxruntime"})],
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
        backend: str = "auto",
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
        self.backend = backend
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

    def _folder(self) -> Any:
        from sklearn_ser.speech_models import find_model

        return find_model(self.model, self.revision)

    def _config(self) -> Any:
        from sklearn_ser.speech_models._loading import read_speech_config

        return read_speech_config(self._folder())

    def _loaded(self) -> Any:
        from sklearn_ser.speech_models import load_model

        backend = self.backend
        if backend == "auto" and (self._stops_early() or self._comes_one_by_one()):
            backend = "torch"  # others would hardly run, and take long to be compared with
        return load_model(self._folder(), self._device(), self.dtype, backend)

    def _stops_early(self) -> bool:
        """Tell whether not all layers are run."""
        if self.cache is not None and not self._gives_sequences():
            return False
        return max(i for i, _ in self._groups()) < self.n_layers

    def _comes_one_by_one(self) -> bool:
        """Tell whether clips are run one after another, on all cores."""
        return self._gives_sequences() or self.batch_seconds is None

    def _settings(self) -> dict[str, Any]:
        from sklearn_ser.speech_models import model_digest

        settings: dict[str, Any] = {
            "weights": model_digest(self._folder()),
            "revision": self.revision,
            "meaning": MEANING,
        }
        if self._config().model_type == "whisper":
            if not isinstance(self.window, str):
                raise ValueError(
                    f"window={self.window!r}, but Whisper hears 30 s at a time: 'auto' pads to "
                    "them, 'clip' does not."
                )
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

    def _heard(self, clip: Clip, content: Any) -> Any:
        model = self._loaded()
        waveform = clip.waveform(content, model.rate, model.shortest)
        heard = model.prepare(waveform, self.window)
        if heard.passes:
            message = clip.note(_about_windows(len(waveform) / model.rate, len(heard.passes)))
            warnings.warn(message, ClipWarning, stacklevel=2)
        return heard

    def _record(self, clip: Clip, content: Any) -> Array:
        model, heard = self._loaded(), self._heard(clip, content)
        if self._gives_sequences():
            frames = model.frames(heard, [i for i, _ in self._groups()])
            check_finite(clip, frames, model)
            return np.concatenate(list(frames), axis=1)
        try:
            (record,) = model.statistics([heard], self._upto()).result()
        except Exception as error:
            if unusable := out_of_memory(clip, error):
                raise unusable from error
            raise
        return check_finite(clip, record, model).reshape(-1, record.shape[-1])

    def _upto(self) -> int | None:
        """Return the last layer to run: what is kept has all, for any search to come."""
        last = max(i for i, _ in self._groups())
        return None if self.cache is not None or last > self.n_layers else last

    def _batched(self) -> Batched | None:
        if self._comes_one_by_one():
            return None
        model = self._loaded()
        seconds: Any = self.batch_seconds
        if seconds == "auto":
            seconds = model.best_batch
        ahead = 8 if model.device.type == "cuda" else 1
        return SpeechBatches(model, self._heard, self._upto(), float(seconds), ahead)


def _about_windows(seconds: float, n_windows: int) -> str:
    return (
        f"is {seconds:.0f} s long: its frames attend to each other within {n_windows} windows "
        f"of about {seconds / n_windows:.0f} s and a context of 2 s on both sides, which moves "
        "values a little; window=None lets every frame attend to all, in quadratic time"
    )
