"""A pretrained speech model in memory, and the way of a clip through it."""

from __future__ import annotations

import contextlib
import copy
import functools
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import torch

from sklearn_ser.speech_models._batching import is_exact
from sklearn_ser.speech_models._cpu import fast_front_end, fastest, speed_up
from sklearn_ser.speech_models._encoder import Encoder, TorchEncoder
from sklearn_ser.speech_models._files import bytes_of_weights, model_digest
from sklearn_ser.speech_models._front_end import FrontEnd, NotPlain, OwnFrontEnd, to_device
from sklearn_ser.speech_models._joining import prepare_to_join
from sklearn_ser.speech_models._loading import fold_weight_norms, read_checkpoint, reading
from sklearn_ser.speech_models._pooling import Moments, Pending, frames_of, pool_clips, pool_states
from sklearn_ser.speech_models._running import exact_products, return_memory, running
from sklearn_ser.speech_models._states import transformer_layers
from sklearn_ser.speech_models._wavlm import fuse_attention
from sklearn_ser.speech_models._windows import CONTEXT, FULL, LENGTH, Window, windows
from sklearn_ser.speech_models._workers import Twins, Workers, n_workers, threads

if TYPE_CHECKING:
    from sklearn_ser.speech_models._exported import ExportedEncoder

__all__ = ["Heard", "SpeechModel", "load_model"]

Array = npt.NDArray[np.float32]

_loading = threading.Lock()


def load_model(
    folder: Path, device: str, dtype: str = "float32", backend: str = "auto"
) -> SpeechModel:
    """Return the model in `folder`, shared by everything in this process that asks for it."""
    if backend == "auto" and not _may_export(folder, device, dtype):
        backend = "torch"  # however it is asked for, it is one model
    with _loading:
        return _load(folder, model_digest(folder), device, dtype, backend)


def _may_export(folder: Path, device: str, dtype: str) -> bool:
    """Tell whether another backend than torch could be taken."""
    from sklearn_ser.speech_models._exported import BACKENDS, SMALLEST, installed

    return (
        torch.device(device).type == "cpu"
        and dtype == "float32"
        and bytes_of_weights(folder) >= 2 * SMALLEST  # two a weight, or more
        and any(installed(name) for name in BACKENDS)
    )


@functools.lru_cache(maxsize=2)
def _load(folder: Path, digest: str, device: str, dtype: str, backend: str) -> SpeechModel:
    return SpeechModel(folder, device, dtype, backend)


@dataclass
class Heard:
    """A clip as its model's feature extractor hears it."""

    parts: list[Any]  # what the front end takes; Whisper hears a long clip in several
    n_frames: list[int]  # frames of each part, before the layers
    passes: list[Window]  # where one part is too long: the windows over its frames


SIDE_BY_SIDE = 16.0  # seconds of clips that one core runs end to end
LARGE = 40_000_000  # bytes of weights whose probes leave much memory to return
# Of any model, in seconds: SEW and Wav2Vec2-BERT make one frame of two.
SHORTEST = 0.045


class SpeechModel:
    """A speech model's encoder in evaluation mode, with its feature extractor.

    A clip takes three steps: `prepare` (the model's own feature extractor), the convolutional
    front end, and the transformer layers, whose states are what is wanted.

    Parameters
    ----------
    folder : Path
        Where the model's files are.
    device : str
        "cpu", "cuda", "cuda:1", …
    dtype : str
        "float32", or a lower precision.
    backend : str
        What runs the transformer layers: "torch", "openvino", "onnxruntime" or "auto".
    """

    def __init__(self, folder: Path, device: str, dtype: str, backend: str) -> None:
        self.folder = folder
        self._measuring = threading.Lock()
        self._beside = False  # whether this one runs in a thread beside others
        self.feature_extractor, model = read_checkpoint(folder, dtype)
        self.config = model.config
        self.dtype = getattr(torch, dtype)
        self.n_layers = len(transformer_layers(model))
        self.choices: dict[str, Any] = {}  # what the probes decided
        model = model.to(device)
        self.device = next(model.parameters()).device  # "cuda" means another one tomorrow
        fold_weight_norms(model)
        fuse_attention(model)
        prepare_to_join(model)
        self.front_end: FrontEnd | OwnFrontEnd | None = None
        if model.main_input_name == "input_values":
            module = model.feature_extractor
            with exact_products(self.device), _as_a_worker():
                try:
                    self.front_end, self.choices["front end"] = fast_front_end(module)
                except NotPlain:
                    with reading(folder):
                        self.front_end = OwnFrontEnd(module, model.config)
                    self.choices["front end"] = "the model's own"
            model.feature_extractor = torch.nn.Identity()
        self._torch = TorchEncoder(model, self.front_end)
        self._exported: ExportedEncoder | None = None
        self._twins = Twins(model)
        if self.device.type == "cpu" and self.dtype == torch.float32:
            with torch.inference_mode():
                self._choose(folder, backend)
        elif backend not in ("torch", "auto"):
            raise ValueError(f"backend={backend!r} runs float32 on a CPU, not {dtype} on {device}.")
        elif self.device.type == "cpu":
            with _as_a_worker():
                self.choices |= speed_up(model)
        if bytes_of_weights(folder) >= LARGE:
            return_memory()

    def _choose(self, folder: Path, backend: str) -> None:
        """Take the fastest exact way to run the layers on this processor."""
        from sklearn_ser.speech_models import _exported

        found: dict[str, ExportedEncoder] = {}
        clips = self._probe()[:1] if self.is_whisper else self._probe()  # all are 30 s there
        examples = [self._features(clip.parts) for clip in clips]
        if backend != "torch":
            found = _exported.exports(folder, self._torch, examples, backend)
        with _as_a_worker():
            self.choices |= speed_up(self._torch.model)
        if backend == "auto" and found:
            try:
                backend = self._fastest(found, examples)
            except Exception:  # whatever another library raises once it runs clips side by side
                backend = "torch"
        self._exported = found.get(backend)
        self.choices["backend"] = backend if backend in found else "torch"

    def _fastest(self, found: dict[str, ExportedEncoder], examples: list[torch.Tensor]) -> str:
        """Return what runs most clips in a second when every core has its own."""
        n = n_workers()
        joins = self.batching == "joined"

        def one_of_many(exported: ExportedEncoder | None) -> None:
            of_this = copy.copy(self)
            of_this._exported = exported
            with of_this.worker() as worker, worker._run():
                if exported is None and joins:
                    n_frames = [example.shape[1] for example in examples]
                    worker._encoder(torch.cat(examples, 1), n_frames, self.n_layers)
                    return
                for example in examples:
                    worker._encoder(example, [example.shape[1]], self.n_layers)

        with contextlib.closing(Workers(n)) as workers:
            encoders: dict[str, ExportedEncoder | None] = {"torch": None, **found}
            ways: dict[str, Callable[[], object]] = {
                name: functools.partial(workers.run, n * [functools.partial(one_of_many, encoder)])
                for name, encoder in encoders.items()
            }
            return fastest(ways)

    @property
    def rate(self) -> int:
        """Sampling rate, in Hz, that the model was trained at."""
        return int(self.feature_extractor.sampling_rate)

    @property
    def shortest(self) -> int:
        """Fewest samples that give a frame of every layer."""
        reach = 0 if self.front_end is None else self.front_end.reach
        return max(int(SHORTEST * self.rate), reach)

    @property
    def is_whisper(self) -> bool:
        """Whether the model hears 30 s at a time."""
        return bool(self.config.model_type == "whisper")

    def prepare(self, waveform: Array, window: float | str | None = "auto") -> Heard:
        """Return a clip as the feature extractor hears it, alone; threads may do this at once.

        Parameters
        ----------
        waveform : ndarray of shape (n_samples,), float32, at `rate`
        window : float, "auto", "clip" or None
            See `SSLEmbedder`.
        """
        if self.is_whisper:
            length = self.feature_extractor.n_samples
            starts = range(0, len(waveform), length)
            if window == "clip":  # a rest too short for one frame of the spectrogram is left out
                starts = range(0, max(1, len(waveform) - self.feature_extractor.n_fft), length)
            pieces = [waveform[i : i + length] for i in starts]
            heard = [self._whisper_mel(piece, window == "clip") for piece in pieces]
            return Heard([mel for mel, _ in heard], [n for _, n in heard], [])
        inputs = self.feature_extractor(waveform, sampling_rate=self.rate, return_tensors="pt")
        if self.front_end is None:
            # One pads an odd number of frames to an even one; attention must not see it.
            n_frames = int(inputs["attention_mask"].sum())
            part: Any = inputs["input_features"][0, :n_frames]
            per_second = self._spectra_per_second
        else:
            part = self.front_end.prepare(inputs["input_values"][0])
            n_frames = self.front_end.n_frames(len(part.samples))
            per_second = self.rate / self.front_end.hop
        return Heard([part], [n_frames], self._windows(n_frames, per_second, window))

    @property
    def _spectra_per_second(self) -> float:
        """How many frames a spectrogram has: one each 160 samples, of which some are joined."""
        return self.rate / 160 / int(self.feature_extractor.stride)

    def _windows(
        self, n_frames: int, per_second: float, window: float | str | None
    ) -> list[Window]:
        most, length = (FULL, LENGTH) if isinstance(window, str) else (window, window)
        if most is None or length is None or n_frames <= round(most * per_second):
            return []
        length = max(round(length * per_second), 4 * self._squeeze)
        context = min(round(CONTEXT * per_second), length // 4)
        return windows(n_frames, length, context, self._squeeze)

    def _whisper_mel(self, piece: Array, only_clip: bool) -> tuple[torch.Tensor, int]:
        options = {"padding": False} if only_clip else {"return_attention_mask": True}
        inputs = self.feature_extractor(
            piece, sampling_rate=self.rate, return_tensors="pt", **options
        )
        mel = inputs["input_features"][0]
        n_mels = mel.shape[1] if only_clip else int(inputs["attention_mask"].sum())
        return mel, (n_mels - 1) // 2 + 1  # of the second, strided convolution

    @property
    def _squeeze(self) -> int:
        """How many frames the layers join to one."""
        return int(getattr(self.config, "squeeze_factor", 1))

    def _features(self, parts: Sequence[Any]) -> torch.Tensor:
        if self.front_end is not None:
            return self.front_end(parts, self.device)
        stacked = torch.nn.utils.rnn.pad_sequence(list(parts), batch_first=True)
        return to_device(stacked, self.device).to(self.dtype)

    def _states(
        self, clips: Sequence[Heard], upto: int
    ) -> Iterator[tuple[list[torch.Tensor], list[int]]]:
        """Yield the states of each pass and how many of each clip's are its own.

        Several clips are one pass; one clip may be several, of which all states are its own.
        """
        if len(clips) > 1:
            n_frames = [clip.n_frames[0] for clip in clips]
            features = self._features([clip.parts[0] for clip in clips])
            states = self._encoder(features, [0] if self.is_whisper else n_frames, upto)
            yield states, [n // self._squeeze for n in n_frames]
            return
        (clip,) = clips
        for part, n_own in zip(clip.parts, clip.n_frames, strict=True):
            features = self._features([part])
            for window in clip.passes or [Window(0, features.shape[1], slice(None))]:
                inside = features[:, window.start : window.stop]
                states = self._encoder(inside, [inside.shape[1]], upto)
                if self.is_whisper:
                    states = [state[:, :n_own] for state in states]
                states = [state[:, window.keep] for state in states]
                yield states, [states[0].shape[1]]

    def _joined(self, clips: Sequence[Heard], upto: int) -> list[list[torch.Tensor]]:
        """Return the states of each clip, of shape (n_frames, n_dims), run end to end."""
        n_frames = [clip.n_frames[0] for clip in clips]
        features = torch.cat([self._features(clip.parts) for clip in clips], dim=1)
        states = [s[0].split(n_frames) for s in self._encoder(features, n_frames, upto)]
        return [list(of_clip) for of_clip in zip(*states, strict=True)]

    def _padded(self, clips: Sequence[Heard], upto: int) -> list[list[torch.Tensor]]:
        """Return the states of each clip, of shape (n_frames, n_dims), run in a padded batch."""
        ((states, n_frames),) = self._states(clips, upto)
        return [[s[i, :n] for s in states] for i, n in enumerate(n_frames)]

    def _run(self) -> contextlib.AbstractContextManager[None]:
        return running(self.device, beside=self._beside)

    @property
    def _encoder(self) -> Encoder:
        """What runs the layers: on several cores only torch shares them, for a clip alone."""
        lone = not self._beside and self.n_workers > 1
        return self._torch if lone or self._exported is None else self._exported

    @property
    def n_workers(self) -> int:
        """How many clips may be run side by side, by `worker`s in threads of their own."""
        return n_workers() if self.device.type == "cpu" else 1

    @contextlib.contextmanager
    def worker(self) -> Iterator[SpeechModel]:
        """Lend a model with these weights that one thread may run while others run theirs."""
        with self._run():  # a pass hangs hooks into the model, which must not be copied
            twin = self._twins.take()
        worker = copy.copy(self)
        worker._torch = TorchEncoder(twin, self.front_end)
        if self._exported is not None:
            worker._exported = self._exported.beside(worker._torch)
        worker._beside = True
        try:
            yield worker
        finally:
            self._twins.give_back(twin)

    def frames(self, clip: Heard, layers: Sequence[int]) -> Array:
        """Return the frames of some layers.

        Parameters
        ----------
        clip : Heard
        layers : sequence of int
            ``n_layers + 1`` is the mean of all layers.

        Returns
        -------
        frames : ndarray of shape (len(layers), n_frames, n_dims), float32
            Only the clip's own frames, none of padding.
        """
        with self._run():
            parts = [
                frames_of(states, layers)
                for states, _ in self._states([clip], self.reached(layers))
            ]
        return parts[0] if len(parts) == 1 else np.concatenate(parts, axis=1)

    def reached(self, layers: Sequence[int]) -> int:
        """Return the last layer that must run."""
        return self.n_layers if max(layers) > self.n_layers else max(layers)

    def statistics(self, clips: Sequence[Heard], upto: int | None = None) -> Pending:
        """Return every statistic of every layer, and of the layers' mean, for a batch of clips.

        Parameters
        ----------
        clips : sequence of Heard
            Several only if `may_batch`.
        upto : int or None
            The last layer wanted; None means all layers, and their mean after the last.

        Returns
        -------
        pending : Pending
            Of arrays of shape (n_layers, n_statistics, n_dims), float32, one a clip. A GPU may
            still be computing them.
        """
        last = self.n_layers if upto is None else upto
        with_mean = [self.n_layers + 1] if last == self.n_layers else []
        layers = [*range(last + 1), *with_mean]
        with self._run():
            if len(clips) == 1 and (clips[0].passes or len(clips[0].parts) > 1):
                return Pending(self._merged(clips[0], layers))
            if len(clips) > 1 and self.batching == "joined":
                return Pending(pool_clips(self._joined(clips, last), layers))
            ((states, n_frames),) = self._states(clips, last)
            return pool_states(states, n_frames, layers)

    def _merged(self, clip: Heard, layers: Sequence[int]) -> list[Array]:
        if clip.passes:
            total = sum(window.keep.stop - window.keep.start for window in clip.passes)
        else:
            total = sum(clip.n_frames)
        moments = Moments(total)
        for states, _ in self._states([clip], self.reached(layers)):
            moments.add(frames_of(states, layers))
        return [moments.statistics()]

    def seconds(self, clip: Heard) -> float:
        """Return how much audio a clip's passes see, padding included."""
        if self.is_whisper:
            return 30.0 * len(clip.parts)
        if self.front_end is None:
            return clip.n_frames[0] / self._spectra_per_second
        return clip.n_frames[0] * self.front_end.hop / self.rate

    def takes_all(self, clip: Heard) -> bool:
        """Tell whether a clip is so long that all cores should share it, and its memory."""
        return bool(clip.passes) or len(clip.parts) > 1

    @property
    def best_batch(self) -> float:
        """How many seconds should share a pass here, 0 for one clip."""
        if self.device.type == "cuda":
            return 160.0
        by_torch = self._exported is None
        joins = by_torch and self.front_end is not None and self.batching == "joined"
        return SIDE_BY_SIDE if joins else 0.0

    def may_batch(self, clip: Heard) -> bool:
        """Tell whether a clip may share a batch with others."""
        if clip.passes or len(clip.parts) > 1:
            return False
        if self.is_whisper and clip.parts[0].shape[1] < 2 * self.config.max_source_positions:
            return False
        with self._measuring:
            return self.batching is not None

    @functools.cached_property
    def batching(self) -> str | None:
        """How several clips share a pass: "joined", "padded" or, as they would notice, None.

        Whether a way gives clips the same states together as alone is measured, once.
        """
        clips = self._probe()
        ways = {"joined": self._joined, "padded": self._padded}
        if self.device.type != "cpu" or self.front_end is None:
            del ways["joined"]  # padding costs a GPU less than many small products do

        def alone(clip: Heard) -> list[torch.Tensor]:
            return self._padded([clip], self.n_layers)[0]

        with self._run():
            for name, way in ways.items():
                together = functools.partial(way, upto=self.n_layers)
                if is_exact(alone, together, clips, self.dtype):
                    return name
        return None

    def _probe(self) -> list[Heard]:
        """Return three clips of noise, an odd number of frames among them."""
        noise = np.random.default_rng(0).standard_normal(self.rate, dtype=np.float32) * 0.1
        return [self.prepare(noise[: int(share * len(noise))]) for share in (1, 0.63, 0.86)]


def _as_a_worker() -> contextlib.AbstractContextManager[None]:
    """Use as many threads as a worker does: what is fastest may differ."""
    return threads(max(1, torch.get_num_threads() // n_workers()))
