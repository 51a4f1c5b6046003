"""Blocks without a state: functions, normalisations, embeddings, convolutions."""

from __future__ import annotations

from dataclasses import dataclass, replace

from ..layers import (
    Activation,
    AvgPool1d,
    BatchNorm1d,
    Conv1d,
    Embedding,
    LayerNorm,
    MaxPool1d,
    Pool,
)
from ._cells import GAIN, NORM, NORM_BACKWARD, NORM_BACKWARD_ROW, NORM_ROW, activation
from ._dense import Embedding as Table
from ._extent import Extent
from ._pooling import Pooling
from ._roofline import Weights
from ._work import Operations, Passes, Product, Tensor, Work, ops, times


@dataclass(frozen=True)
class Rowwise:
    """What is computed row by row, as it is counted."""

    width: int  # columns of x and y
    forward: Operations  # of a row
    backward: Operations
    to_weights: Operations
    gains: tuple[Tensor, ...] = ()
    scales: bool = False  # a tape keeps one number of each row besides the row

    def tensors(self) -> list[Tensor]:
        """All weights, in the order of ``layer.weights``."""
        return list(self.gains)

    def passes(self, rows: int) -> Passes:
        """The work of one call."""
        each = self.forward, self.backward, self.to_weights
        return Passes(*(Work(elementwise=times(rows, o)) for o in each))

    def reads(self) -> list[Weights]:
        """Vectors: nearly nothing."""
        return []

    def kept(self, rows: int) -> dict[str, int]:
        """Numbers that a tape holds for backward, without padding."""
        return {"outputs": rows * self.width, **({"scales": rows} if self.scales else {})}


@dataclass(frozen=True)
class Convolution:
    """A convolution over time as it is counted: zeros around a sequence are multiplied, too."""

    layer: Conv1d

    @property
    def width(self) -> int:
        """Columns of the output."""
        return self.layer.out_channels

    def tensors(self) -> list[Tensor]:
        """All weights, in the order of ``layer.weights``."""
        c = self.layer
        weight = Tensor(
            "weight", (c.out_channels, c.in_channels // c.groups, c.kernel_size), "convolution"
        )
        return [weight, Tensor("bias", (c.out_channels,), "bias")] if c.bias else [weight]

    def behind(self, extent: Extent) -> Extent:
        """The steps of y."""
        if extent.lengths is None:
            return replace(extent, seq=self._steps(extent.seq))
        lengths = tuple(self._steps(n) for n in extent.lengths)
        return replace(extent, seq=self._steps(extent.seq), lengths=lengths)

    def _steps(self, n: int) -> int:
        c = self.layer
        span = (c.kernel_size - 1) * c.dilation
        zeros = {"causal": span, "same": span, "valid": 0}
        around = zeros[c.padding] if isinstance(c.padding, str) else 2 * c.padding
        return max(0, (n + around - span - 1) // c.stride + 1) if n > 0 else 0

    def passes(self, extent: Extent) -> Passes:
        """The work of one call."""
        c, rows = self.layer, self.behind(extent).rows
        out, depth = c.out_channels // c.groups, c.in_channels // c.groups * c.kernel_size
        forward = (Product("convolution", out, depth, rows),) * c.groups
        f = activation(c.activation)
        return Passes(
            Work(forward, times(rows * c.out_channels, f.forward)),
            Work(
                (Product("convolution", depth, out, rows),) * c.groups,
                times(rows * c.out_channels, f.backward),
            ),
            Work(forward, ops(add=rows * c.out_channels if c.bias else 0)),
        )

    def reads(self) -> list[Weights]:
        """W, for all steps at once."""
        c = self.layer
        return [Weights(c.out_channels * (c.in_channels // c.groups) * c.kernel_size, 0)]

    def kept(self, extent: Extent) -> dict[str, int]:
        """Numbers that a tape holds for backward, without zeros."""
        c = self.layer
        outputs = self.behind(extent).rows * c.out_channels
        return {"inputs": extent.rows * c.in_channels, "outputs": outputs}


def batch_norm(block: BatchNorm1d) -> Rowwise:
    """In inference one product and one sum for each number; in training what cpp/engine has."""
    n = block.num_features
    gains = [Tensor("weight", (n,), "gain"), Tensor("bias", (n,), "bias")] * block.affine
    return Rowwise(n, times(n, GAIN), ops(add=4 * n, multiply=3 * n), ops(), tuple(gains))


def operation_of(
    block: Activation | LayerNorm | BatchNorm1d | Embedding | Conv1d | MaxPool1d | AvgPool1d | Pool,
    width: int,
) -> Rowwise | Table | Convolution | Pooling:
    """Behind what gives so many numbers."""
    if isinstance(block, Conv1d):
        return Convolution(block)
    if isinstance(block, (MaxPool1d, AvgPool1d, Pool)):
        return Pooling(block, width)
    if isinstance(block, Embedding):
        return Table(block.num_embeddings, block.embedding_dim)
    if isinstance(block, Activation):
        f = activation(block.name)
        return Rowwise(width, times(width, f.forward), times(width, f.backward), ops())
    if isinstance(block, BatchNorm1d):
        return batch_norm(block)
    n, affine = block.normalized_shape, block.elementwise_affine
    bias = affine and block.bias
    gains = [Tensor("weight", (n,), "gain")] * affine + [Tensor("bias", (n,), "bias")] * bias
    return Rowwise(
        n,
        times(n, NORM) + NORM_ROW + times(n * affine, GAIN),
        times(n, NORM_BACKWARD) + NORM_BACKWARD_ROW,
        times(n * affine, GAIN) + ops(add=n * bias),
        tuple(gains),
        scales=True,
    )
