"""How a model is run: torch's settings, the padding of a batch, and how exact a result must be.

A batch is padded to its longest clip. Attention is kept from the padding by a mask, the front end
normalises each clip by itself, and so does the feature extractor. Whether that is enough for a
model is measured, by `is_exact`, before it is batched at all: convolutions over frames, say, may
see the padding.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch

__all__ = [
    "distance",
    "exact_products",
    "is_exact",
    "running",
    "to_device",
    "tolerance",
    "valid_frames",
]

TOLERANCE = 1e-5

# One pass at a time on GPUs: it fills the device, and the settings of torch that make it exact are
# those of the whole process.
_on_gpu = threading.RLock()


@contextlib.contextmanager
def running(device: torch.device) -> Iterator[None]:
    """Run a model for the same numbers whatever the caller's settings of torch."""
    with (
        contextlib.nullcontext() if device.type == "cpu" else _on_gpu,
        torch.inference_mode(),
        torch.autocast(device.type, enabled=False),
        exact_products(device),
    ):
        yield


@contextlib.contextmanager
def exact_products(device: torch.device) -> Iterator[None]:
    """Keep a GPU from rounding float32 factors to 10 bits in convolutions, as it does unasked."""
    if device.type != "cuda":
        yield
        return
    cuda: Any = torch.backends.cuda.matmul
    cudnn: Any = torch.backends.cudnn
    name: str
    exact: Any
    if hasattr(cuda, "fp32_precision"):  # from torch 2.9, and not to be mixed with the older one
        products, name, exact = (cuda, cudnn.conv), "fp32_precision", "ieee"
    else:
        products, name, exact = (cuda, cudnn), "allow_tf32", False
    before = [getattr(product, name) for product in products]
    for product in products:
        setattr(product, name, exact)
    try:
        yield
    finally:
        for product, value in zip(products, before, strict=True):
            setattr(product, name, value)


def to_device(tensor: torch.Tensor, device: Any) -> torch.Tensor:
    """Move a tensor without waiting for the GPU."""
    if torch.device(device).type == "cuda" and tensor.device.type == "cpu":
        return tensor.pin_memory().to(device, non_blocking=True)
    return tensor.to(device)


def distance(found: torch.Tensor, expected: torch.Tensor) -> float:
    """Return the relative L2 error."""
    found, expected = found.cpu().double(), expected.cpu().double()
    norm = torch.linalg.norm(expected)
    return float(torch.linalg.norm(found - expected) / norm.clamp(min=1e-30))


def tolerance(dtype: torch.dtype) -> float:
    """Return the largest error that rounding explains."""
    return TOLERANCE if dtype == torch.float32 else 0.03


def valid_frames(n_frames: Sequence[int], length: int, device: Any) -> torch.Tensor:
    """Return the padding mask: True for a clip's own frames, of shape (n_clips, length)."""
    counts = to_device(torch.as_tensor(n_frames), device)
    return torch.arange(length, device=device) < counts[:, None]


@torch.inference_mode()
def is_exact(
    alone: Callable[[Any], list[torch.Tensor]],
    together: Callable[[Sequence[Any]], list[list[torch.Tensor]]],
    clips: Sequence[Any],
    dtype: torch.dtype,
) -> bool:
    """Tell whether clips get the same states together as alone.

    Parameters
    ----------
    alone, together : callable
        Map a clip, or several, to the states of each: tensors of shape (n_frames, n_dims).
    clips : sequence
        Two or more, of different lengths.
    dtype : torch.dtype
        Of the model; it sets how much rounding may explain.
    """
    try:
        found = together(clips)
    except Exception:  # whatever a model that cannot be batched raises
        return False
    return all(
        one.shape == many.shape and distance(many, one) <= tolerance(dtype)
        for clip, of_clip in zip(clips, found, strict=True)
        for one, many in zip(alone(clip), of_clip, strict=True)
    )
