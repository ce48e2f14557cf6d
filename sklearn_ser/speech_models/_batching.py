"""What a clip must not notice of the others in its batch.

A batch is padded to its longest clip. Attention is kept from the padding by a mask. What else
looks across frames would still see it, so it is cured here, once for all families:

===========================  ===============================================================
convolutions over frames     find zeros beyond a clip's end, as they do when it is alone
SEW's squeezed frames        a pair of which one is padding is no frame: attention skips it
group norm of base models    statistics over the clip's own samples (in the front end)
normalisation of a waveform  each clip goes through the feature extractor alone
===========================  ===============================================================

Whether that is enough for a model is measured, by `is_exact`, before it is batched at all.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch

from sklearn_ser.speech_models._front_end import distance, to_device, tolerance
from sklearn_ser.speech_models._spectral import SpectralConvolution
from sklearn_ser.speech_models._states import transformer_layers

__all__ = ["CURES", "cured", "is_exact", "own"]


def own(n_frames: Sequence[int], length: int, device: Any) -> torch.Tensor:
    """Return which frames are a clip's own, of shape (n_clips, length)."""
    counts = to_device(torch.as_tensor(n_frames), device)
    return torch.arange(length, device=device) < counts[:, None]


def blank_convolutions(model: Any, n_frames: Sequence[int]) -> list[Any]:
    """Give convolutions over frames zeros beyond each clip's end."""
    longest = max(n_frames)

    def blank(conv: Any, args: tuple[Any, ...]) -> Any:
        (x, *rest) = args
        if x.shape[-1] != longest:  # padded on purpose already, so cured by the model itself
            return None
        return (x * own(n_frames, longest, x.device)[:, None], *rest)

    return [
        module.register_forward_pre_hook(blank)
        for module in model.modules()
        if isinstance(module, (torch.nn.Conv1d, SpectralConvolution)) and module.kernel_size[0] > 1
    ]


def skip_half_pairs(model: Any, n_frames: Sequence[int]) -> list[Any]:
    """Keep SEW's attention from squeezed frames that are partly padding."""
    squeeze = getattr(model.config, "squeeze_factor", 1)
    if squeeze == 1 or model.config.model_type != "sew":
        return []

    def skip(layer: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        x = args[0] if args else kwargs["hidden_states"]
        mask = own([n // squeeze for n in n_frames], x.shape[1], x.device)[:, None, None]
        given = kwargs.get("attention_mask")
        if given is None or given.dtype == torch.bool:
            kwargs["attention_mask"] = mask.expand(-1, 1, x.shape[1], -1)
        else:
            kwargs["attention_mask"] = given.masked_fill(~mask, torch.finfo(given.dtype).min)
        return args, kwargs

    return [
        layer.register_forward_pre_hook(skip, with_kwargs=True)
        for layer in transformer_layers(model)
    ]


Cure = Callable[[Any, Sequence[int]], list[Any]]
CURES: tuple[Cure, ...] = (blank_convolutions, skip_half_pairs)


@contextlib.contextmanager
def cured(model: Any, n_frames: Sequence[int]) -> Iterator[None]:
    """Run a model on clips of so many frames each as if each were alone."""
    hooks = []
    if len(set(n_frames)) > 1:
        hooks = [hook for cure in CURES for hook in cure(model, n_frames)]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


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
