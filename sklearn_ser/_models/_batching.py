"""Whether clips may share a padded batch.

A batch is padded to its longest clip. Attention is kept from the padding by a mask, the front end
normalises each clip by itself, and so does the feature extractor. Whether that is enough for a
model is measured, by `is_exact`, before it is batched at all: convolutions over frames, say, may
see the padding.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch

from sklearn_ser._models._front_end import distance, to_device, tolerance

__all__ = ["is_exact", "valid_frames"]


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
