"""How torch is set while a model runs, so that numbers do not depend on the caller's settings."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from typing import Any

import torch

__all__ = ["exact_products", "running"]

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
