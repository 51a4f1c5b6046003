"""Pools over time as they are counted: only steps that exist cost anything."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from ..layers import AvgPool1d, MaxPool1d, Pool
from ._extent import Extent
from ._roofline import Weights
from ._work import Passes, Tensor, Work, ops


@dataclass(frozen=True)
class Pooling:
    """Windows over time, or all steps of a sequence."""

    layer: Pool | MaxPool1d | AvgPool1d
    width: int  # columns of x and y

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
        p = self.layer
        if n < 1:
            return []
        if isinstance(p, Pool):
            return [1 if p.kind == "last" else n]
        dilation = p.dilation if isinstance(p, MaxPool1d) else 1
        span = (p.kernel_size - 1) * dilation
        most = n + 2 * p.padding - span - 1 + (p.stride - 1) * p.ceil_mode
        windows = max(0, most // p.stride + 1)
        if p.ceil_mode and windows and (windows - 1) * p.stride >= n + p.padding:
            windows -= 1
        first = np.arange(windows) * p.stride - p.padding
        before = np.maximum(0, -(first // dilation))
        behind = np.maximum(0, -((n - 1 - first - span) // dilation))
        return [int(k) for k in np.maximum(0, p.kernel_size - before - behind)]

    def passes(self, extent: Extent) -> Passes:
        """The work of one call."""
        lengths = (extent.seq,) * extent.batch if extent.lengths is None else extent.lengths
        taps = [k for n in lengths for k in self._taps(n)]
        made, more = len(taps) * self.width, sum(max(0, k - 1) for k in taps) * self.width
        if isinstance(self.layer, MaxPool1d) or self._kind() == "max":
            forward, backward = ops(select=more), ops(add=made)
        elif isinstance(self.layer, AvgPool1d) or self._kind() == "mean":
            forward, backward = ops(add=more, divide=made), ops(add=more + made, divide=made)
        else:
            forward, backward = ops(), ops(add=made)
        return Passes(Work(elementwise=forward), Work(elementwise=backward), Work())

    def _kind(self) -> str | None:
        return self.layer.kind if isinstance(self.layer, Pool) else None

    def reads(self) -> list[Weights]:
        """Nothing."""
        return []

    def kept(self, extent: Extent) -> dict[str, int]:
        """Numbers that a tape holds for backward: where each y is from, of means nothing."""
        if isinstance(self.layer, AvgPool1d) or self._kind() == "mean":
            return {}
        lengths = (extent.seq,) * extent.batch if extent.lengths is None else extent.lengths
        return {"places": sum(len(self._taps(n)) for n in lengths) * self.width}
