"""Convolutions as they are counted: zeros around sequences and images are multiplied, too."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from functools import cached_property

from ..layers import Conv1d, Conv2d
from ..layers._sides import both, windows
from ._cells import activation
from ._extent import Extent
from ._roofline import Weights
from ._work import Passes, Product, Tensor, Work, ops, times


@dataclass(frozen=True)
class Side:
    """Windows over steps, or down images."""

    kernel: int
    stride: int
    dilation: int
    left: int  # zeros before
    zeros: int  # and behind, together

    def outputs(self, n: int) -> int:
        """Of n places."""
        return windows(n, self.kernel, self.stride, self.dilation, self.zeros) if n > 0 else 0

    @property
    def taps(self) -> Counter[int]:
        """Of each phase of the stride, which has as many in the sums of a gradient."""
        return Counter(tap * self.dilation % self.stride for tap in range(self.kernel))

    def places(self, n: int, phase: int) -> int:
        """Of n places those of a phase."""
        first = (phase - self.left) % self.stride
        return max(0, (n - first + self.stride - 1) // self.stride)

    def reached(self, n: int) -> int:
        """Pairs of an output of n places and one of these that it is made of."""
        begins = range(-self.left, self.outputs(n) * self.stride - self.left, self.stride)
        taps = range(0, self.kernel * self.dilation, self.dilation)
        return sum(0 <= begin + tap < n for begin in begins for tap in taps)


def sides_of(layer: Conv1d | Conv2d) -> tuple[Side, Side]:
    """Down and across."""
    if isinstance(layer, Conv1d):
        return Side(1, 1, 1, 0, 0), _side(
            layer.kernel_size, layer.stride, layer.dilation, layer.padding
        )
    padding = layer.padding
    zeros = (padding, padding) if isinstance(padding, str) else both(padding)
    down, across = map(
        _side, both(layer.kernel_size), both(layer.stride), both(layer.dilation), zeros
    )
    return down, across


def _side(kernel: int, stride: int, dilation: int, padding: str | int) -> Side:
    span = (kernel - 1) * dilation
    if isinstance(padding, int):
        return Side(kernel, stride, dilation, padding, 2 * padding)
    left = {"causal": span, "same": span // 2, "valid": 0}[padding]
    return Side(kernel, stride, dilation, left, 0 if padding == "valid" else span)


@dataclass(frozen=True)
class Convolution:
    """A convolution over time, or of images of this height."""

    layer: Conv1d | Conv2d
    height: int

    @cached_property
    def _sides(self) -> tuple[Side, Side]:
        return sides_of(self.layer)

    @property
    def _high(self) -> int:
        return self._sides[0].outputs(self.height)

    @property
    def width(self) -> int:
        """Columns of the output."""
        return self.layer.out_channels * self._high

    def tensors(self) -> list[Tensor]:
        """All weights, in the order of ``layer.weights``."""
        c = self.layer
        kernel = (c.kernel_size,) if isinstance(c, Conv1d) else both(c.kernel_size)
        weight = Tensor(
            "weight", (c.out_channels, c.in_channels // c.groups, *kernel), "convolution"
        )
        return [weight, Tensor("bias", (c.out_channels,), "bias")] if c.bias else [weight]

    def behind(self, extent: Extent) -> Extent:
        """The steps of y."""
        outputs = self._sides[1].outputs
        if extent.lengths is None:
            return replace(extent, seq=outputs(extent.seq))
        lengths = tuple(outputs(n) for n in extent.lengths)
        return replace(extent, seq=outputs(extent.seq), lengths=lengths)

    @property
    def _taps(self) -> int:
        down, across = self._sides
        return down.kernel * across.kernel

    def passes(self, extent: Extent) -> Passes:
        """The work of one call."""
        c, rows = self.layer, self.behind(extent).rows * self._high
        out, inputs = c.out_channels // c.groups, c.in_channels // c.groups
        forward = (Product("convolution", out, inputs * self._taps, rows),) * c.groups
        f = activation(c.activation)
        return Passes(
            Work(forward, times(rows * c.out_channels, f.forward)),
            Work(self._backward(extent), times(rows * c.out_channels, f.backward)),
            Work(forward, ops(add=rows * c.out_channels if c.bias else 0)),
        )

    def _backward(self, extent: Extent) -> tuple[Product, ...]:
        """Sums over the taps that each phase of the stride has, down an image those that reach an
        output."""
        c, (down, across) = self.layer, self._sides
        lengths = (extent.seq,) * extent.batch if extent.lengths is None else extent.lengths
        out, inputs = c.out_channels // c.groups, c.in_channels // c.groups
        return tuple(
            Product(
                "convolution",
                inputs,
                out * wide,
                sum(across.places(n, phase) for n in lengths) * down.reached(self.height),
            )
            for phase, wide in across.taps.items()
            for _ in range(c.groups)
        )

    def reads(self) -> list[Weights]:
        """W, for all steps at once."""
        c = self.layer
        return [Weights(c.out_channels * (c.in_channels // c.groups) * self._taps, 0)]

    def kept(self, extent: Extent) -> dict[str, int]:
        """Numbers that a tape holds for backward, without zeros."""
        outputs = self.behind(extent).rows * self.width
        return {"inputs": extent.rows * self.layer.in_channels * self.height, "outputs": outputs}
