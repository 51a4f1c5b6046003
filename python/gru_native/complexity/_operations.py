"""Blocks without a state: functions, normalisations, embeddings, convolutions."""

from __future__ import annotations

from dataclasses import dataclass

from ..layers import (
    Activation,
    AvgPool1d,
    AvgPool2d,
    BatchNorm1d,
    BatchNorm2d,
    Columns,
    Conv1d,
    Conv2d,
    Embedding,
    Image,
    LayerNorm,
    MaxPool1d,
    MaxPool2d,
    Pool,
)
from ..layers._operation import Operation
from ._cells import GAIN, NORM, NORM_BACKWARD, NORM_BACKWARD_ROW, NORM_ROW, activation
from ._convolutions import Convolution
from ._dense import Embedding as Table
from ._pooling import Pooling
from ._roofline import Weights
from ._work import Operations, Passes, Tensor, Work, ops, times


@dataclass(frozen=True)
class Rowwise:
    """What is computed row by row, as it is counted."""

    width: int  # columns of x and y
    forward: Operations  # of a row
    backward: Operations
    to_weights: Operations
    gains: tuple[Tensor, ...] = ()
    scales: bool = False  # a tape keeps one number of each row besides the row
    keeps: bool = True  # and the row

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
        if not self.keeps:
            return {}
        return {"outputs": rows * self.width, **({"scales": rows} if self.scales else {})}


def batch_norm(block: BatchNorm1d | BatchNorm2d, n: int) -> Rowwise:
    """In inference one product and one sum for each number; in training what cpp/engine has."""
    of = (block.num_features,)
    gains = [Tensor("weight", of, "gain"), Tensor("bias", of, "bias")] * block.affine
    return Rowwise(n, times(n, GAIN), ops(add=4 * n, multiply=3 * n), ops(), tuple(gains))


OPERATIONS = (
    *(Activation, LayerNorm, BatchNorm1d, Embedding, Conv1d, MaxPool1d, AvgPool1d, Pool),
    *(Image, Columns, Conv2d, MaxPool2d, AvgPool2d, BatchNorm2d),
)


def operation_of(
    block: Operation, width: int, channels: int
) -> Rowwise | Table | Convolution | Pooling:
    """Behind what gives so many numbers, of images of so many channels."""
    if isinstance(block, (Image, Columns)):
        return Rowwise(width, ops(), ops(), ops(), keeps=False)
    if isinstance(block, Conv1d):
        return Convolution(block, 1)
    if isinstance(block, Conv2d):
        return Convolution(block, width // max(1, channels))
    if isinstance(block, (MaxPool1d, AvgPool1d, Pool)):
        return Pooling(block, width)
    if isinstance(block, (MaxPool2d, AvgPool2d)):
        return Pooling(block, width, channels)
    if isinstance(block, Embedding):
        return Table(block.num_embeddings, block.embedding_dim)
    if isinstance(block, Activation):
        f = activation(block.name)
        return Rowwise(width, times(width, f.forward), times(width, f.backward), ops())
    if isinstance(block, BatchNorm1d):
        return batch_norm(block, block.num_features)
    if isinstance(block, BatchNorm2d):
        return batch_norm(block, width)
    assert isinstance(block, LayerNorm)
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
