"""How torch is set while a model runs, so that numbers do not depend on the caller's settings."""

from __future__ import annotations

import contextlib
import ctypes
import gc
import threading
from collections.abc import Iterator
from typing import Any

import torch

__all__ = ["exact_products", "return_memory", "running"]

# One pass at a time, of all models: it fills the device, and the settings of torch that make it
# exact are those of the whole process.
_running = threading.RLock()


@contextlib.contextmanager
def running(device: torch.device, *, beside: bool = False) -> Iterator[None]:
    """Run a model for the same numbers whatever the caller's settings of torch.

    Parameters
    ----------
    device : torch.device
    beside : bool
        Whether other passes may run at the same time; on processors only.
    """
    with (
        contextlib.nullcontext() if beside else _running,
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


def return_memory() -> None:
    """Give what loading and comparing took, several times the model, back to the system."""
    gc.collect()
    with contextlib.suppress(AttributeError, OSError, TypeError):  # only the GNU library has it
        ctypes.CDLL(None).malloc_trim(0)
