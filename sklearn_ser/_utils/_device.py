"""The device that networks run on, for every estimator that has the parameter `device`."""

from __future__ import annotations

__all__ = ["find_device"]


def find_device(device: str) -> str:
    """Return a device that torch has: for "auto", a GPU if there is one.

    Raises
    ------
    ValueError
        If torch knows no such device, or finds no such GPU here.
    """
    import torch

    n_gpus = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if device == "auto":
        return "cuda" if n_gpus else "cpu"
    try:
        found = torch.device(device)
    except RuntimeError:
        raise ValueError(
            f"device={device!r} is not a device of torch: cpu, cuda, cuda:1, …"
        ) from None
    if found.type == "cuda" and (found.index or 0) >= n_gpus:
        raise ValueError(f"device={device!r}, but torch finds {n_gpus} GPUs here.")
    return device
