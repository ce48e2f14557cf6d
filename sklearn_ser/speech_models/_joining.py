"""Clips laid end to end: a batch without padding, for processors.

Most of a transformer treats each frame by itself, and products of matrices are faster the more
frames there are. So clips become one long sequence, and only what looks across frames, attention
and the positional convolution, is run clip by clip. Nothing is padded, and nothing is approximate.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from contextvars import ContextVar
from typing import Any

import torch
from torch.nn import functional
from torch.overrides import TorchFunctionMode

__all__ = ["current_lengths", "end_to_end", "joined", "prepare_to_join"]

_attend = functional.scaled_dot_product_attention
_lengths: ContextVar[tuple[int, ...] | None] = ContextVar("lengths", default=None)


def current_lengths() -> tuple[int, ...] | None:
    """Return the number of frames of each clip in the sequence, or None if it is one clip."""
    return _lengths.get()


@contextlib.contextmanager
def joined(n_frames: Sequence[int]) -> Iterator[None]:
    """Run a model on one sequence of clips as if each were alone."""
    token = _lengths.set(tuple(n_frames))
    try:
        with _AttentionByClip(n_frames):
            yield
    finally:
        _lengths.reset(token)


def prepare_to_join(model: Any) -> None:
    """Let a model's positional convolution run clip by clip."""
    for module in list(model.modules()):
        convolution = getattr(module, "pos_conv_embed", None)
        if isinstance(convolution, torch.nn.Module):
            module.pos_conv_embed = _ByClip(convolution)


class _ByClip(torch.nn.Module):
    """Runs a module on (1, n_frames, n_dims) clip by clip."""

    def __init__(self, module: Any) -> None:
        super().__init__()
        self.module = module

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        lengths = current_lengths()
        if lengths is None:
            alone: torch.Tensor = self.module(x)
            return alone
        return torch.cat([self.module(clip) for clip in x.split(lengths, 1)], 1)


class _AttentionByClip(TorchFunctionMode):
    """Splits torch's fused attention over a sequence of clips into one call a clip."""

    def __init__(self, n_frames: Sequence[int]) -> None:
        super().__init__()
        self._n_frames, self._total = list(n_frames), sum(n_frames)

    def __torch_function__(
        self, func: Any, types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        if func is not _attend or len(args) < 3 or args[0].shape[-2] != self._total:
            return func(*args, **kwargs)
        clips = zip(*(x.split(self._n_frames, -2) for x in args[:3]), strict=True)
        return end_to_end([_attend(q, k, v, *args[3:], **kwargs) for q, k, v in clips])


def end_to_end(heads: Sequence[torch.Tensor]) -> torch.Tensor:
    """Join what attention gives for each clip, each (n_clips, n_heads, n_frames, n_dims).

    A frame's heads are laid side by side, as the next product wants them.
    """
    return torch.cat([x.transpose(-3, -2) for x in heads], -3).transpose(-3, -2)
