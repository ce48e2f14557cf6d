"""Convolution over frames with a long kernel, by Fourier transforms of blocks.

The positional convolution of these models has a kernel of 128 frames: transforms need a tenth of
the operations, and their error is that of rounding.
"""

from __future__ import annotations

from typing import Any

import torch
from torch.nn import functional

__all__ = ["SpectralConvolution"]


class SpectralConvolution(torch.nn.Module):
    """Drop-in for a Conv1d of stride 1, by overlap-save.

    Parameters
    ----------
    conv : torch.nn.Conv1d
        Its weight's spectrum is computed once. Transforms run in float32 whatever its dtype.
    """

    bias: torch.Tensor | None
    _weight: torch.Tensor

    def __init__(self, conv: Any) -> None:
        super().__init__()
        if conv.stride != (1,) or conv.dilation != (1,) or isinstance(conv.padding, str):
            raise ValueError(f"{conv} is not plain")
        self.kernel_size, self.stride, self.padding = conv.kernel_size, conv.stride, conv.padding
        self.groups = conv.groups
        bias = None if conv.bias is None else conv.bias.detach().float()
        self.register_buffer("bias", bias, persistent=False)
        kernel = conv.kernel_size[0]
        self._block = 1 << (2 * kernel - 1).bit_length()
        self._step = self._block - kernel + 1  # outputs of a block that no end has touched
        spectrum = torch.fft.rfft(conv.weight.float(), n=self._block).conj()
        # (frequency, group, channels in, channels out): a product of matrices for each frequency
        grouped = spectrum.view(conv.groups, -1, *spectrum.shape[1:])
        weight = grouped.permute(3, 0, 2, 1).contiguous()
        self.register_buffer("_weight", weight, persistent=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Convolve (n_clips, n_channels, n_frames)."""
        n_clips, _n_channels, n_frames = x.shape
        (pad,) = self.padding
        n_out = n_frames + 2 * pad - self.kernel_size[0] + 1
        n_blocks = -(-n_out // self._step)
        reach = (n_blocks - 1) * self._step + self._block
        padded = functional.pad(x.float(), (pad, reach - pad - n_frames))
        blocks = padded.unfold(2, self._block, self._step)
        spectra = torch.fft.rfft(blocks).view(n_clips, self.groups, -1, n_blocks, len(self._weight))
        products = spectra.permute(4, 0, 1, 3, 2) @ self._weight[:, None]
        products = products.permute(1, 2, 4, 3, 0).reshape(n_clips, -1, n_blocks, len(self._weight))
        y = torch.fft.irfft(products, n=self._block)[..., : self._step].flatten(2)[..., :n_out]
        y = y if self.bias is None else y + self.bias[:, None]
        return y.to(x.dtype)
