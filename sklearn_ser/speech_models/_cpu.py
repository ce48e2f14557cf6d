"""The fastest exact way that this processor has to run linear layers and convolutions.

Which library multiplies matrices fastest differs between processors by more than a factor of
two. So the candidates are run for a moment, on a model's own shapes and weights, when it is first
loaded: whichever is right to rounding and fastest is taken, torch's own being one of them.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

import torch

from sklearn_ser.speech_models._fast_fir import by_fast_fir
from sklearn_ser.speech_models._front_end import (
    Build,
    First,
    FrontEnd,
    Layer,
    by_convolution,
    by_matmul,
    distance,
    first_by_matmul,
    is_exact_gelu,
    tolerance,
)
from sklearn_ser.speech_models._spectral import SpectralConvolution

__all__ = ["fast_front_end", "fastest", "speed_up"]

N_FRAMES = 400  # of eight seconds; several clips are joined to so many or more
MARGIN = 0.99  # what replaces torch's own way must be faster, not as fast
LONG_KERNEL = 16
N_RUNS = 5
Call = Callable[[], Any]
Ways = dict[str, Callable[[], Call]]
Builds = dict[str, Callable[[Any], Any]]
_decisions: dict[tuple[str, tuple[str, ...], int], str] = {}
N_WEIGHTS = 4  # as many as keep weights out of the caches, as they are in a model


def onednn_ops() -> Any:
    """Return torch's operators for weights packed once for oneDNN, or None.

    They are what torch's own compiler emits, but no public interface: everything that is private
    stays behind this function, and whatever it leads to is only used if it proves right.
    """
    ops = torch.ops.mkldnn
    names = (
        "_reorder_linear_weight",
        "_linear_pointwise",
        "_reorder_convolution_weight",
        "_convolution_pointwise",
        "_is_mkldnn_bf16_supported",
    )
    if not torch.backends.mkldnn.is_available():
        return None
    return ops if all(hasattr(ops, name) for name in names) else None


def packs(dtype: torch.dtype) -> bool:
    """Tell whether oneDNN multiplies such numbers here, and quickly."""
    ops = onednn_ops()
    if ops is None or dtype not in (torch.float32, torch.bfloat16):
        return False
    return dtype == torch.float32 or bool(ops._is_mkldnn_bf16_supported())


class PackedLinear(torch.nn.Module):
    """A linear layer whose weight is packed once for oneDNN, with what follows it.

    Parameters
    ----------
    linear : torch.nn.Linear
    activation : {"none", "gelu"}
        Applied as the product leaves the registers.
    """

    def __init__(self, linear: Any, activation: str = "none") -> None:
        super().__init__()
        self._activation = activation
        packed = onednn_ops()._reorder_linear_weight(linear.weight, N_FRAMES)
        self.register_buffer("_packed", packed, persistent=False)
        self.bias = linear.bias
        self.in_features, self.out_features = linear.in_features, linear.out_features

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the product, of shape (..., out_features)."""
        y: torch.Tensor = onednn_ops()._linear_pointwise(
            x, self._packed, self.bias, self._activation, [], "none"
        )
        return y


class FusedFeedForward(torch.nn.Module):
    """The two linear layers of a transformer layer, packed, with the GELU between them."""

    def __init__(self, module: Any) -> None:
        super().__init__()
        self.inner = PackedLinear(module.intermediate_dense, "gelu")
        self.outer = PackedLinear(module.output_dense)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return frames of the size that they came in, (..., n_dims)."""
        y: torch.Tensor = self.outer(self.inner(x))
        return y


def by_packed_convolution(conv: Any, norm: Any, activation: Any) -> Layer:
    """Return a layer whose convolution, and activation if it can, run in oneDNN."""
    ops = onednn_ops()
    stride = [1, conv.stride[0]]
    weight = ops._reorder_convolution_weight(
        conv.weight[:, :, None].contiguous(), [0, 0], stride, [1, 1], 1, []
    )
    # GELU by the error function, as the convolution leaves its registers.
    exact_gelu = is_exact_gelu(activation) and norm is None
    fused = "gelu" if exact_gelu else "none"

    def layer(x: torch.Tensor) -> torch.Tensor:
        image = x.transpose(1, 2)[:, :, None]  # channels last already
        y = ops._convolution_pointwise(
            image, weight, conv.bias, [0, 0], stride, [1, 1], 1, fused, [], "none"
        )
        y = y[:, :, 0].transpose(1, 2)
        if exact_gelu:
            return y
        return activation(y if norm is None else norm(y))

    return layer


def first_packed(
    x: torch.Tensor, weight: torch.Tensor, bias: Any, norm: Any, activation: Any
) -> torch.Tensor:
    """Run the first layer in oneDNN, with its activation: most of its time goes into writing."""
    if len(x) > 1 or norm is not None or not is_exact_gelu(activation):
        return first_by_matmul(x, weight, bias, norm, activation)
    if weight.ndim == 3:
        weight, bias = weight[0], bias[0, 0]
    y: torch.Tensor = onednn_ops()._linear_pointwise(
        x.contiguous(), weight.T.contiguous(), bias, "gelu", [], "none"
    )
    return y


def ways_of_feed_forward(module: Any) -> Builds:
    """Return the ways to run a transformer layer's two linear layers; none if it is not that."""
    parts = ("intermediate_dense", "intermediate_act_fn", "output_dense")
    if not all(hasattr(module, part) for part in parts):
        return {}
    if not packs(module.intermediate_dense.weight.dtype):
        return {}
    fits = is_exact_gelu(module.intermediate_act_fn)
    return _with_own({"fused": FusedFeedForward} if fits else {})


def ways_of_layer(module: Any) -> Builds:
    """Return the ways to run a linear layer or long convolution; none if best left alone."""
    ways: Builds = {}
    if type(module) is torch.nn.Linear and packs(module.weight.dtype):
        ways["packed"] = PackedLinear
    if (
        type(module) is torch.nn.Conv1d
        and module.weight.dtype in (torch.float32, torch.bfloat16)
        and module.kernel_size[0] >= LONG_KERNEL
        and (module.stride, module.dilation) == ((1,), (1,))
        and not isinstance(module.padding, str)
    ):
        ways["spectral"] = SpectralConvolution
    return _with_own(ways)


def _with_own(ways: Builds) -> Builds:
    return {"torch": lambda layer: layer, **ways} if ways else {}


@torch.inference_mode()
def speed_up(model: Any) -> dict[str, str]:
    """Replace a model's linear layers and long convolutions by the fastest exact ones.

    Returns
    -------
    chosen : dict
        What was chosen for each kind of layer.
    """
    chosen: dict[str, str] = {}
    for ways_of in (ways_of_feed_forward, ways_of_layer):  # what is left torch's own, in parts
        kinds: dict[str, list[tuple[Any, str, Any]]] = {}
        for parent in list(model.modules()):
            for name, child in list(parent.named_children()):
                if ways_of(child):
                    kinds.setdefault(_kind(child), []).append((parent, name, child))
        for kind, places in kinds.items():
            layers = [layer for _, _, layer in places[:N_WEIGHTS]]
            ways = ways_of(layers[0])
            name = decided(kind, {way: _each(build, layers) for way, build in ways.items()})
            chosen[kind] = name
            if name != "torch":
                for parent, attribute, layer in places:
                    setattr(parent, attribute, ways[name](layer))
    return chosen


def _weight(module: Any) -> torch.Tensor:
    """Return the weight of a layer, or of the first one in it."""
    weight: torch.Tensor = getattr(module, "intermediate_dense", module).weight
    return weight


def _kind(module: Any) -> str:
    weight = _weight(module)
    low = "" if weight.dtype == torch.float32 else f" {weight.dtype}"
    return f"{type(module).__name__} {'x'.join(map(str, weight.shape))}{low}"


def _each(build: Callable[[Any], Any], layers: Sequence[Any]) -> Any:
    weight = _weight(layers[0])
    if weight.ndim == 2:
        shape: tuple[int, ...] = (1, N_FRAMES, weight.shape[1])
    else:
        shape = (1, layers[0].in_channels, N_FRAMES)
    x = torch.randn(shape, generator=torch.Generator().manual_seed(0)).to(weight.dtype)

    def prepare() -> Callable[[], list[torch.Tensor]]:
        built = [build(layer) for layer in layers]
        return lambda: [layer(x) for layer in built]

    return prepare


@torch.inference_mode()
def fast_front_end(module: Any) -> tuple[FrontEnd, str]:
    """Return the fastest exact front end, and its name; NotPlain if it cannot be run here."""
    plain = FrontEnd(module, by_matmul)  # tells whether it is one at all
    device = next(module.parameters()).device
    dtype = next(module.parameters()).dtype
    if device.type != "cpu" or dtype == torch.float16:
        return plain, "matmul"
    ways: dict[str, tuple[Build, First]] = {
        "matmul": (by_matmul, first_by_matmul),
        "convolution": (by_convolution, first_by_matmul),
    }
    if dtype == torch.float32:  # sums of weights and of steps would be rounded
        ways["fast fir"] = by_fast_fir, first_packed if packs(dtype) else first_by_matmul
    if packs(dtype):
        ways["packed"] = by_packed_convolution, first_packed
    noise = torch.randn(24000, generator=torch.Generator().manual_seed(0))

    def build(way: tuple[Build, First]) -> Any:
        def prepared() -> Callable[[], list[torch.Tensor]]:
            front_end = FrontEnd(module, *way)
            return lambda: [front_end([front_end.prepare(noise)], device)[0]]

        return prepared

    kind = f"front end {dtype} {[tuple(layer.conv.weight.shape) for layer in module.conv_layers]}"
    name = decided(kind, {name: build(way) for name, way in ways.items()})
    return FrontEnd(module, *ways[name]), name


def decided(kind: str, ways: Ways) -> str:
    """Return the fastest exact way; for layers of one kind the same throughout a process.

    So models of one shape give the same to the bit. Two of one shape may still have different
    ways: with another norm or activation, some do not fit.
    """
    known = (kind, tuple(ways), torch.get_num_threads())
    name = _decisions.get(known)
    exact = exact_ways(
        ways if name is None else {way: ways[way] for way in _with_first(ways, name)}
    )
    if name not in exact:
        exact = exact if name is None else exact_ways(ways)
        name = _decisions[known] = fastest(exact)
    return name


def _with_first(ways: Ways, name: str) -> list[str]:
    (first, *_) = ways
    return list(dict.fromkeys((first, name)))


def exact_ways(ways: Ways) -> dict[str, Call]:
    """Return the first way, and those with its results, to rounding, ready to be called."""
    (first, *_) = ways
    calls: dict[str, Call] = {}
    expected: list[torch.Tensor] = []
    for name, build in ways.items():
        try:
            call = build()
            found = call()
        except Exception:  # private or not: a way that fails here is no way
            if name == first:
                raise
            continue
        expected = expected or found
        # Whatever it gives, NaN too, the first is the model's own.
        if name == first or all(
            distance(a, b) <= tolerance(b.dtype) for a, b in zip(found, expected, strict=True)
        ):
            calls[name] = call
    return calls


def fastest(calls: dict[str, Call]) -> str:
    """Return the name of the way that is clearly faster than the first, or else the first."""
    seconds: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(N_RUNS):  # in turn, so that a busy moment hits all of them
        for name, call in calls.items():
            started = time.perf_counter()
            call()
            seconds[name].append(time.perf_counter() - started)
    least = {name: min(taken) for name, taken in seconds.items()}
    (first, *_) = least
    best = min(least, key=least.__getitem__)
    return best if least[best] < MARGIN * least[first] else first
