"""The convolutional front end that most speech models share: samples in, frames out.

A stack of strided convolutions without padding, each followed by a norm and an activation. As
nothing in it looks past its own few samples, a padded batch and a waveform cut in blocks give
every frame exactly what it has alone. The one exception is the group norm that base models have
after their first convolution: it averages over the whole clip. That convolution is linear, so
the mean and variance of its output follow from those of the samples under its kernel; they are
taken over the clip's samples alone, once, and folded into weights for each clip.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch.nn import functional

from sklearn_ser._models._running import distance, to_device, tolerance
from sklearn_ser._models._windows import Window

__all__ = ["FrontEnd", "FrontEndInput", "OriginalFrontEnd", "UnsupportedFrontEnd", "standardise"]

Layer = Callable[[torch.Tensor], torch.Tensor]  # (n_clips, n_steps, n_channels) in and out

# Frames computed at once, of 20 ms each. What a processor's 64 take, 8 MB of activations, is
# found again in memory for the next block; a GPU wants more at once.
BLOCK, GPU_BLOCK = 64, 256
ROWS = 16  # bfloat16 frames are computed in multiples of it
MOMENTS_BLOCK = 1 << 20


@dataclass
class FrontEndInput:
    """A waveform ready for the front end, with the first convolution's weights for this clip."""

    samples: torch.Tensor  # (n_samples,)
    weight: torch.Tensor  # (kernel, n_channels)
    bias: torch.Tensor | None  # (n_channels,)


def standardise(waveform: npt.NDArray[np.float32]) -> None:
    """Give a waveform the mean 0 and the variance 1, in place.

    To the bit what transformers' Wav2Vec2FeatureExtractor makes of it, which takes several copies.
    """
    n_samples = len(waveform)
    mean = np.float32(_sum(waveform, lambda x: x) / n_samples)
    variance = np.float32(_sum(waveform, lambda x: np.square(x - mean)) / n_samples)
    waveform -= mean
    waveform /= np.sqrt(variance + np.float32(1e-7))


def _sum(x: Any, function: Callable[[Any], Any]) -> Any:
    """Return the sum of a function of values in the order that NumPy adds them up, in pairs."""
    if len(x) <= MOMENTS_BLOCK:
        return np.add.reduce(function(x))
    half = len(x) // 2
    half -= half % 8
    return _sum(x[:half], function) + _sum(x[half:], function)


class UnsupportedFrontEnd(ValueError):
    """A model's front end is not built as those that can be run here."""


class FramesOfSamples:
    """How many frames a stack of strided convolutions makes of how many samples.

    Parameters
    ----------
    kernels, strides : sequence of int
        Of each convolution, from the samples on.
    """

    def __init__(self, kernels: Sequence[int], strides: Sequence[int]) -> None:
        self.hop, self.reach = 1, 1
        for kernel, stride in zip(kernels, strides, strict=True):
            self.reach += (kernel - 1) * self.hop
            self.hop *= stride

    def n_frames(self, n_samples: int) -> int:
        """Return how many frames a waveform gives."""
        return max(0, (n_samples - self.reach) // self.hop + 1)

    def n_samples(self, n_frames: int) -> int:
        """Return how many samples so many frames look at."""
        return (n_frames - 1) * self.hop + self.reach


class FrontEnd(FramesOfSamples):
    """Runs the convolutions of a model's feature encoder, in blocks, over one or more waveforms.

    Parameters
    ----------
    module : torch.nn.Module
        The feature encoder of wav2vec 2.0 or of a model built like it.

    Raises
    ------
    UnsupportedFrontEnd
        If the module is built otherwise, or gives other values than we do.
    """

    def __init__(self, module: Any) -> None:
        try:
            layers = list(module.conv_layers)
            self.convs = [layer.conv for layer in layers]
            self.activation = layers[0].activation
        except AttributeError:
            raise UnsupportedFrontEnd("no stack of convolutions") from None
        for conv in self.convs:
            if conv.padding != (0,) or conv.dilation != (1,) or conv.groups != 1:
                raise UnsupportedFrontEnd(f"{conv} is not an unpadded strided convolution")
        norms = [getattr(layer, "layer_norm", None) for layer in layers]
        self.group_norm = norms[0] if isinstance(norms[0], torch.nn.GroupNorm) else None
        if any(isinstance(norm, torch.nn.GroupNorm) for norm in norms[1:]):
            raise UnsupportedFrontEnd("a group norm beyond the first layer")
        if self.group_norm is not None and self.group_norm.num_groups != self.convs[0].out_channels:
            raise UnsupportedFrontEnd("a group norm over several channels")
        self.first_norm = None if self.group_norm is not None else norms[0]
        self.others = [
            _by_matmul(layer.conv, norm, layer.activation)
            for layer, norm in zip(layers[1:], norms[1:], strict=True)
        ]
        if (norm := self.group_norm) is not None:
            self._exact = [  # here, as a GPU would have to wait for each clip
                tensor.detach().cpu().double()
                for tensor in (self.convs[0].weight[:, 0].T, norm.weight, norm.bias)
            ]
        super().__init__(
            [conv.kernel_size[0] for conv in self.convs], [conv.stride[0] for conv in self.convs]
        )
        self._check(module)

    def in_windows(
        self, waveform: FrontEndInput, windows: Sequence[Window], device: Any
    ) -> Iterator[torch.Tensor]:
        """Yield the frames of each window, of shape (1, n_frames, n_channels).

        They are computed in the blocks of the whole clip, so that they have the same bits, but only
        those of one window are kept.
        """
        block = BLOCK if torch.device(device).type == "cpu" else GPU_BLOCK
        n_frames = self.n_frames(len(waveform.samples))
        begin = end = 0
        kept: list[torch.Tensor] = []
        for window in windows:
            if kept:
                kept = [kept[0][:, window.start - begin :]]
            begin = window.start
            stop = min(n_frames, -(-window.stop // block) * block)
            if stop > end:
                samples = waveform.samples[end * self.hop : (stop - 1) * self.hop + self.reach]
                kept.append(self([replace(waveform, samples=samples)], device))
                end = stop
            kept = [torch.cat(kept, dim=1)]
            yield kept[0][:, : window.stop - begin]

    def prepare(self, samples: torch.Tensor) -> FrontEndInput:
        """Return a waveform with the first convolution's weights, its group norm folded in."""
        conv = self.convs[0]
        weight, bias = conv.weight[:, 0].T, conv.bias
        if self.group_norm is not None:
            weight, bias = self._fold(samples.cpu())
        return FrontEndInput(samples, weight, bias)

    def _fold(self, samples: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        assert self.group_norm is not None
        conv, (exact, norm_weight, norm_bias) = self.convs[0], self._exact
        kernel, stride = conv.kernel_size[0], conv.stride[0]
        total = torch.zeros(kernel, dtype=torch.float64)
        products = torch.zeros(kernel, kernel, dtype=torch.float64)
        n_windows = (len(samples) - kernel) // stride + 1
        for start in range(0, n_windows, MOMENTS_BLOCK):
            stop = min(n_windows, start + MOMENTS_BLOCK)
            windows = samples[start * stride : (stop - 1) * stride + kernel]
            windows = windows.to(torch.float64).unfold(0, kernel, stride)
            total += windows.sum(0)
            products += windows.T @ windows
        mean = total / n_windows
        covariance = products / n_windows - torch.outer(mean, mean)
        variance = (exact * (covariance @ exact)).sum(0).clamp(min=0)
        scale = norm_weight / (variance + self.group_norm.eps).sqrt()
        # A bias of the convolution moves its mean, so it cancels.
        shift = norm_bias - scale * (mean @ exact)
        return (exact * scale).to(conv.weight.dtype), shift.to(conv.weight.dtype)

    def __call__(self, waveforms: Sequence[FrontEndInput], device: Any) -> torch.Tensor:
        """Return frames of shape (n_waveforms, n_frames, n_channels).

        Those beyond a waveform's `n_frames` are padding, and hold nothing meaningful.
        """
        dtype = self.convs[0].weight.dtype
        samples = waveforms[0].samples[None]
        if len(waveforms) > 1:
            padded = torch.nn.utils.rnn.pad_sequence
            samples = padded([waveform.samples for waveform in waveforms], batch_first=True)
        n_frames = self.n_frames(samples.shape[1])
        on_cpu = torch.device(device).type == "cpu"
        if on_cpu and dtype == torch.bfloat16:
            # oneDNN compiles a product for each number of rows, which takes longer than to run it.
            more = self.n_samples(-(-n_frames // ROWS) * ROWS) - samples.shape[1]
            samples = functional.pad(samples, (0, max(0, more)))
        samples = to_device(samples, device).to(dtype)
        if self.group_norm is None:
            weight, bias = waveforms[0].weight, waveforms[0].bias
            bias = None if bias is None else bias.to(device)
        else:
            weight = torch.stack([waveform.weight for waveform in waveforms])
            bias = torch.stack([w.bias for w in waveforms if w.bias is not None])[:, None]
            bias = to_device(bias, device)
        weight = to_device(weight, device)
        n_run = self.n_frames(samples.shape[1])
        block = BLOCK if on_cpu else GPU_BLOCK
        if n_run <= block:
            return self._block(samples, weight, bias)[:, :n_frames]
        frames = samples.new_empty(len(samples), n_run, self.convs[-1].out_channels)
        for start in range(0, n_run, block):
            stop = min(n_run, start + block)
            under = samples[:, start * self.hop : (stop - 1) * self.hop + self.reach]
            frames[:, start:stop] = self._block(under, weight, bias)
        return frames[:, :n_frames]

    def _block(self, samples: Any, weight: Any, bias: Any) -> torch.Tensor:
        first = self.convs[0]
        x = samples.unfold(1, first.kernel_size[0], first.stride[0])
        if weight.ndim == 2:  # one for all clips; or one each, with the group norm folded in
            x = functional.linear(x, weight.T, bias)
        elif len(x) == 1:
            x = torch.addmm(bias[0, 0], x[0], weight[0])[None]
        else:
            x = torch.baddbmm(bias, x, weight)
        x = self.activation(x if self.first_norm is None else self.first_norm(x))
        for layer in self.others:
            x = layer(x)
        return x

    @torch.inference_mode()
    def _check(self, module: Any) -> None:
        """Compare with the module itself, on a processor in more than one block."""
        weight = self.convs[0].weight
        length = self.n_samples(BLOCK + 16)
        noise = torch.randn(length, generator=torch.Generator().manual_seed(0)) * 0.1
        expected = module(noise[None].to(weight.device, weight.dtype))[0].T
        found = self([self.prepare(noise)], weight.device)[0]
        if found.shape != expected.shape or distance(found, expected) > tolerance(weight.dtype):
            raise UnsupportedFrontEnd("other values than the model's own")


class OriginalFrontEnd(FramesOfSamples):
    """Runs a model's feature encoder as it is, over each whole waveform by itself.

    For one that is not built as those that `FrontEnd` runs in blocks. What follows it, batches
    and windows over frames, is the same for both.

    Parameters
    ----------
    module : torch.nn.Module
        The feature encoder.
    config : PretrainedConfig
        Of the model.

    Raises
    ------
    OSError
        If it does not give the number of frames that its configuration says.
    """

    def __init__(self, module: Any, config: Any) -> None:
        super().__init__(config.conv_kernel, config.conv_stride)
        self._module = module
        weight = next(module.parameters())
        for length in (self.reach, self.n_samples(9) - 1, self.n_samples(20) + 1):
            with torch.inference_mode():
                (frames,) = module(torch.zeros(1, length).to(weight.device, weight.dtype))
            if frames.shape[-1] != self.n_frames(length):
                raise OSError(
                    f"the feature encoder ({type(module).__name__}) gives {frames.shape[-1]} "
                    f"frames for {length} samples, not {self.n_frames(length)} as config.json says"
                )

    def prepare(self, samples: torch.Tensor) -> FrontEndInput:
        """Return a waveform, as it is."""
        return FrontEndInput(samples, torch.empty(0), None)

    def __call__(self, waveforms: Sequence[FrontEndInput], device: Any) -> torch.Tensor:
        """Return frames of shape (n_waveforms, n_frames, n_channels); see `FrontEnd`."""
        dtype = next(self._module.parameters()).dtype
        frames = [
            self._module(to_device(waveform.samples[None], device).to(dtype))[0].T
            for waveform in waveforms
        ]
        return torch.nn.utils.rnn.pad_sequence(frames, batch_first=True)


def _by_matmul(conv: Any, norm: Any, activation: Any) -> Layer:
    """Return a layer whose convolution is a product of matrices, without copying windows.

    As the stride is `s`, `s` taps of the kernel see `s` consecutive steps, which lie side by side
    in memory: one product does them all. Taps that are left over see every `s`-th step.
    """
    kernel, stride = conv.kernel_size[0], conv.stride[0]
    n_in = conv.in_channels
    parts = []
    for tap in range(0, kernel, stride):
        taps = conv.weight[:, :, tap : tap + stride].permute(2, 1, 0)
        parts.append((tap, taps.reshape(-1, conv.out_channels).contiguous()))

    def layer(x: torch.Tensor) -> torch.Tensor:
        x = x.contiguous()
        n_clips, n_steps, _ = x.shape
        n_out = (n_steps - kernel) // stride + 1
        y = None
        for tap, weight in parts:
            shape = (n_clips, n_out, len(weight))
            start = x.storage_offset() + tap * n_in
            windows = x.as_strided(shape, (n_steps * n_in, stride * n_in, 1), start)
            if n_clips > 1:
                product = windows @ weight
                y = product if y is None else y.add_(product)
            elif y is None:
                y = windows[0] @ weight
            else:
                y.addmm_(windows[0], weight)
        assert y is not None
        y = y.view(n_clips, n_out, -1)
        if conv.bias is not None:
            y += conv.bias
        return activation(y if norm is None else norm(y))

    return layer
