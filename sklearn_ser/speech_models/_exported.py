"""The transformer layers in OpenVINO or ONNX Runtime, exported once and kept.

Both compile a model for the processor it runs on and can be faster than torch. They are extras:
``pip install sklearn-ser[openvino]`` or ``[onnxruntime]``. What they give is compared with torch
before anything is computed with them, on clips of several lengths. Like torch they run several
clips side by side, a core each; on several cores a clip that is alone is left to torch.
"""

from __future__ import annotations

import os
import queue
import shutil
import uuid
import warnings
from collections.abc import Callable, Sequence
from contextlib import suppress
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import torch

from sklearn_ser.speech_models._encoder import TorchEncoder
from sklearn_ser.speech_models._files import model_digest
from sklearn_ser.speech_models._front_end import TOLERANCE, distance
from sklearn_ser.speech_models._running import return_memory
from sklearn_ser.speech_models._states import Captured, transformer_layers
from sklearn_ser.speech_models._workers import n_workers
from sklearn_ser.store import Store

__all__ = ["BACKENDS", "ExportedEncoder", "exports"]

SMALLEST = 10_000_000  # weights of a model that is worth the seconds of exporting it unasked


class ExportedEncoder:
    """Layers that another library runs; padded batches and early stops are left to torch.

    Parameters
    ----------
    run : callable
        Maps the features of one clip to all states, arrays that nobody else will write to;
        several threads may call it at once.
    fallback : TorchEncoder
    shape : tuple of int
        Of the features that the export was made with; -1 for what may differ.
    """

    def __init__(
        self,
        run: Callable[[Any], Sequence[Any]],
        fallback: TorchEncoder,
        shape: tuple[int, ...],
    ) -> None:
        self.fallback, self._run, self._shape = fallback, run, shape

    def __call__(
        self, features: torch.Tensor, n_frames: Sequence[int], upto: int
    ) -> list[torch.Tensor]:
        """Return the states of layers 0 to `upto`; see `Encoder`."""
        fits = all(n in (-1, m) for n, m in zip(self._shape, features.shape, strict=True))
        if not fits or len(n_frames) > 1 or upto < self.n_layers:
            return self.fallback(features, n_frames, upto)
        return [torch.from_numpy(s) for s in self._run(features.contiguous().numpy())]

    def beside(self, fallback: TorchEncoder) -> ExportedEncoder:
        """Return an encoder for another thread, which leaves to torch what it must on its own."""
        return ExportedEncoder(self._run, fallback, self._shape)

    @property
    def n_layers(self) -> int:
        """Number of transformer layers."""
        return len(transformer_layers(self.fallback.model))


class _States(torch.nn.Module):
    """The layers as a function of features, for tracing."""

    def __init__(self, encoder: TorchEncoder) -> None:
        super().__init__()
        self._encoder = encoder
        self.model = encoder.model

    def forward(self, features: torch.Tensor) -> tuple[torch.Tensor, ...]:
        n_layers = len(transformer_layers(self.model))
        with Captured(self.model, n_layers, stop=False) as states:
            self._encoder.run(features)
        return tuple(states)


def _openvino(encoder: TorchEncoder, example: torch.Tensor, shape: Any, folder: Path) -> Any:
    import openvino

    path = folder / "states.xml"
    if not path.exists():
        with _aside(folder) as aside:
            model = openvino.convert_model(
                _States(encoder).eval(), example_input=example, input=[openvino.PartialShape(shape)]
            )
            openvino.save_model(model, aside / path.name, compress_to_fp16=False)
        del model
        return_memory()
    compiled = openvino.Core().compile_model(
        path,
        "CPU",
        {
            "INFERENCE_PRECISION_HINT": "f32",
            "INFERENCE_NUM_THREADS": torch.get_num_threads(),
            "NUM_STREAMS": n_workers(),
            "ENABLE_CPU_PINNING": False,  # processes side by side would be given the same cores
        },
    )
    free: queue.SimpleQueue[Any] = queue.SimpleQueue()  # requests, each for one call at a time

    def run(features: Any) -> list[Any]:
        try:
            request = free.get_nowait()
        except queue.Empty:
            request = compiled.create_infer_request()
        states = request.infer([features], share_inputs=True, share_outputs=True)
        copied = [np.array(state) for state in states.values()]  # the next call writes there
        free.put(request)
        return copied

    return run


def _onnxruntime(encoder: TorchEncoder, example: torch.Tensor, shape: Any, folder: Path) -> Any:
    import onnxruntime

    path = folder / "states.onnx"
    if not path.exists():
        with _aside(folder) as aside:
            axes = {i: f"n{i}" for i, n in enumerate(shape) if n == -1}
            torch.onnx.export(
                _States(encoder).eval(),  # or the exporter leaves the model in training mode
                (example,),
                aside / path.name,
                input_names=["features"],
                dynamic_axes={"features": axes} if axes else None,
                dynamo=False,
            )
        return_memory()
    options = onnxruntime.SessionOptions()
    alone = n_workers() == torch.get_num_threads()  # each call runs in the thread that makes it
    options.intra_op_num_threads = 1 if alone else torch.get_num_threads()
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    return lambda features: session.run(None, {"features": features})


# Name → the modules that it needs, and what exports and compiles.
BACKENDS: dict[str, tuple[tuple[str, ...], Callable[..., Any]]] = {
    "openvino": (("openvino",), _openvino),
    "onnxruntime": (("onnxruntime", "onnx"), _onnxruntime),
}


def exports(
    folder: Path, encoder: TorchEncoder, features: Sequence[torch.Tensor], backend: str
) -> dict[str, ExportedEncoder]:
    """Return the encoder of a backend, or for "auto" of the first one installed that is exact.

    Each more would take as long to load and as much memory again, to gain little: on the
    processors that were measured OpenVINO is at least as fast as ONNX Runtime.

    Parameters
    ----------
    folder : Path
        Of the model.
    encoder : TorchEncoder
        With torch's own layers, which can be traced.
    features : sequence of tensor, each of shape (1, n_frames, n_channels)
        Of several clips, to compare with torch.
    backend : str

    Raises
    ------
    ImportError
        If a backend that was asked for is not installed.
    OSError
        If it cannot run this model exactly.
    """
    if backend != "auto":
        names = [backend]
    elif sum(weight.numel() for weight in encoder.model.parameters()) < SMALLEST:
        return {}
    else:
        names = [name for name in BACKENDS if installed(name)]
    for name in names:
        if not installed(name):
            raise ImportError(
                f"backend={name!r} needs {' and '.join(BACKENDS[name][0])}: "
                f"pip install sklearn-ser[{name}]"
            )
        try:
            return {name: _exact(name, folder, encoder, features)}
        except Exception as error:  # what another library raises about a model that it cannot run
            if backend != "auto":
                reason = f"{error}".partition("\n")[0][:200]  # some print the whole graph
                raise OSError(
                    f"{name} does not run the model in {folder} as torch does ({reason}). "
                    "Use backend='torch'."
                ) from error
    return {}


def installed(name: str) -> bool:
    """Tell whether everything is there that a backend needs."""
    return all(find_spec(module) is not None for module in BACKENDS[name][0])


def _exact(
    name: str, folder: Path, encoder: TorchEncoder, features: Sequence[torch.Tensor]
) -> ExportedEncoder:
    versions = "-".join(
        f"{module}{version(module)}" for module in ("torch", "transformers", *BACKENDS[name][0])
    )
    kept = Store().folder / "exports" / f"{model_digest(folder)}-{versions}"
    was_there = kept.exists()
    try:
        return _compared(name, encoder, features, kept)
    except Exception:
        shutil.rmtree(kept, ignore_errors=True)
        if not was_there:
            raise
    return _compared(name, encoder, features, kept)  # what was there may have been damaged


def _compared(
    name: str, encoder: TorchEncoder, features: Sequence[torch.Tensor], kept: Path
) -> ExportedEncoder:
    fixed = encoder.model.config.model_type == "whisper"
    shape = tuple(features[0].shape) if fixed else (1, -1, *features[0].shape[2:])
    _, compile_states = BACKENDS[name]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # tracing warns of every shape that it reads
        run = compile_states(encoder, features[0], shape, kept)
    candidate = ExportedEncoder(run, encoder, shape)
    n_layers = candidate.n_layers
    for example in features:
        expected = encoder(example, [example.shape[1]], n_layers)
        for found, state in zip(
            candidate(example, [example.shape[1]], n_layers), expected, strict=True
        ):
            if found.shape != state.shape or distance(found, state) > TOLERANCE:
                raise ValueError("its states differ")
    return candidate


class _aside:
    """A folder that takes its name only once it is complete."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._aside = folder.with_name(f"{folder.name}.{uuid.uuid4().hex}.tmp")

    def __enter__(self) -> Path:
        self._aside.mkdir(parents=True)
        return self._aside

    def __exit__(self, kind: Any, error: Any, traceback: Any) -> None:
        if kind is None:
            with suppress(OSError):  # another process was faster
                os.replace(self._aside, self._folder)
        shutil.rmtree(self._aside, ignore_errors=True)
