"""Pools as they are counted: only places that exist cost anything."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from ..layers import AvgPool1d, AvgPool2d, MaxPool1d, MaxPool2d, Pool
from ..layers._sides import both, windows
from ._extent import Extent
from ._roofline import Weights
from ._work import Passes, Tensor, Work, ops


@dataclass(frozen=True)
class Pooling:
    """Windows over time or of images, or all steps of a sequence."""

    layer: Pool | MaxPool1d | AvgPool1d | MaxPool2d | AvgPool2d
    inputs: int  # columns of x
    channels: int = 0  # of images; 0: x are rows

    @property
    def width(self) -> int:
        """Columns of y."""
        return len(self._down()) * self._columns

    @property
    def _columns(self) -> int:
        """Numbers that a window has of each place."""
        return self.channels or self.inputs

    def tensors(self) -> list[Tensor]:
        """There are none."""
        return []

    def behind(self, extent: Extent) -> Extent:
        """The steps of y."""
        if isinstance(self.layer, Pool):
            return Extent(1, extent.batch)
        seq = len(self._taps(extent.seq))
        if extent.lengths is None:
            return replace(extent, seq=seq)
        return replace(extent, seq=seq, lengths=tuple(len(self._taps(n)) for n in extent.lengths))

    def _taps(self, n: int) -> list[int]:
        """Of a sequence of n steps: those in each window."""
        if n < 1:
            return []
        if isinstance(self.layer, Pool):
            return [1 if self.layer.kind == "last" else n]
        return self._along(1, n)

    def _down(self) -> list[int]:
        """Of an image: places of each window from top to bottom."""
        return self._along(0, self.inputs // self.channels) if self.channels else [1]

    def _along(self, side: int, n: int) -> list[int]:
        """Places of each window along a side of n."""
        p = self.layer
        assert not isinstance(p, Pool)
        dilation = both(p.dilation)[side] if isinstance(p, (MaxPool1d, MaxPool2d)) else 1
        kernel, stride = both(p.kernel_size)[side], both(p.stride)[side]
        padding = both(p.padding)[side]
        made = windows(n, kernel, stride, dilation, 2 * padding, padding if p.ceil_mode else None)
        first = np.arange(made) * stride - padding
        before = np.maximum(0, -(first // dilation))
        behind = np.maximum(0, -((n - 1 - first - (kernel - 1) * dilation) // dilation))
        return [int(k) for k in np.maximum(0, kernel - before - behind)]

    def passes(self, extent: Extent) -> Passes:
        """The work of one call."""
        lengths = (extent.seq,) * extent.batch if extent.lengths is None else extent.lengths
        taps = [k * down for n in lengths for k in self._taps(n) for down in self._down()]
        made, more = len(taps) * self._columns, sum(max(0, k - 1) for k in taps) * self._columns
        if self._kind() == "max":
            forward, backward = ops(select=more), ops(add=made)
        elif self._kind() == "mean":
            forward, backward = ops(add=more, divide=made), ops(add=more + made, divide=made)
        else:
            forward, backward = ops(), ops(add=made)
        return Passes(Work(elementwise=forward), Work(elementwise=backward), Work())

    def _kind(self) -> str:
        if isinstance(self.layer, Pool):
            return self.layer.kind
        return "max" if isinstance(self.layer, (MaxPool1d, MaxPool2d)) else "mean"

    def reads(self) -> list[Weights]:
        """Nothing."""
        return []

    def kept(self, extent: Extent) -> dict[str, int]:
        """Numbers that a tape holds for backward: where each y is from, of means nothing."""
        if self._kind() == "mean":
            return {}
        lengths = (extent.seq,) * extent.batch if extent.lengths is None else extent.lengths
        return {"places": sum(len(self._taps(n)) for n in lengths) * self.width}
