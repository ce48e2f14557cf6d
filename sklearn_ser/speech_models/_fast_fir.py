"""The front end's convolutions with a sixth less multiplying.

Of a kernel of three taps with a stride of two, the outer taps see every even step ``e``. Two
neighbouring outputs need four products of them, ``a·e0 + c·e1`` and ``a·e1 + c·e2``, but with
``m = (a + c)·e1`` these are ``m + a·(e0 − e1)`` and ``m + c·(e2 − e1)``: three products. With the
middle tap's two, which see odd steps, that makes five instead of six.

The identity is the fast finite impulse response algorithm of S. Winograd, "Arithmetic Complexity
of Computations", SIAM, 1980.
"""

from __future__ import annotations

from typing import Any

import torch

from sklearn_ser.speech_models._front_end import Layer, by_matmul, in_place

__all__ = ["by_fast_fir"]


def by_fast_fir(conv: Any, norm: Any, activation: Any) -> Layer:
    """Return a layer that runs one clip with fewer products; what does not fit as `by_matmul`."""
    plain = by_matmul(conv, norm, activation)
    if (conv.kernel_size[0], conv.stride[0]) != (3, 2):
        return plain
    first, middle, last = (tap.contiguous() for tap in conv.weight.permute(2, 1, 0))
    outer = first + last
    activation = in_place(activation)

    def layer(x: torch.Tensor) -> torch.Tensor:
        n_clips, n_steps, _ = x.shape
        n_pairs = (n_steps - 1) // 4
        if n_clips > 1 or n_pairs == 0:
            return plain(x)
        x = x[0]
        n_out = (n_steps - 1) // 2
        e0, e1, e2 = (x[i : i + 4 * n_pairs - 3 : 4] for i in (0, 2, 4))
        y = x.new_empty(n_out, conv.out_channels)
        pairs = y[: 2 * n_pairs].view(n_pairs, 2, -1)
        pairs.copy_((e1 @ outer)[:, None].expand_as(pairs))
        pairs[:, 0].addmm_(e0 - e1, first)
        pairs[:, 1].addmm_(e2 - e1, last)
        if n_out > 2 * n_pairs:  # one output without a neighbour
            torch.mm(x[2 * n_out - 2 : 2 * n_out - 1], first, out=y[-1:])
            y[-1:].addmm_(x[2 * n_out : 2 * n_out + 1], last)
        y.addmm_(x[1 : 2 * n_out : 2], middle)
        if conv.bias is not None:
            y += conv.bias
        y = activation(y if norm is None else norm(y))
        return y[None]

    return layer
