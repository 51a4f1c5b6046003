"""Dense layers, and the embedding that may stand before a network."""

from __future__ import annotations

from dataclasses import dataclass

from ..layers import Dense
from ._arguments import at_least, fits
from ._cells import Activation, activation
from ._roofline import Weights
from ._work import Passes, Product, Tensor, Work, ops, times

# As in cpp/kernels/softmax.h, for each number of a row: maximum, a - max, exp, sum; y. The sum's
# logarithm is taken once a row.
SOFTMAX = Activation(
    ops(select=1, add=2, exp=1) + ops(divide=1),
    ops(multiply=1, add=1) + ops(add=1, multiply=1),  # sum of y dy; y (dy - sum)
)
LOG_SOFTMAX = Activation(
    ops(select=1, add=2, exp=1) + ops(add=1),
    ops(add=1) + ops(exp=1, multiply=1, add=1),  # sum of dy; dy - exp(y) sum
)


@dataclass(frozen=True)
class Linear:
    """A dense layer as it is counted."""

    input_size: int
    output_size: int
    bias: bool
    activation: str

    @classmethod
    def of(cls, layer: Dense) -> Linear:
        return cls(layer.input_size, layer.output_size, layer.bias, layer.activation)

    @property
    def width(self) -> int:
        """Columns of the output."""
        return self.output_size

    def tensors(self) -> list[Tensor]:
        """All weights, in the order of ``layer.weights``."""
        weight = Tensor("weight", (self.output_size, self.input_size), "output")
        return [weight, Tensor("bias", (self.output_size,), "bias")] if self.bias else [weight]

    def passes(self, rows: int) -> Passes:
        """The work of one call."""
        w, out = self.input_size, self.output_size
        product = (Product("output", out, w, rows),)
        of_rows = {"softmax": SOFTMAX, "log_softmax": LOG_SOFTMAX}
        f = of_rows.get(self.activation) or activation(self.activation)
        log = ops(log=rows if self.activation == "log_softmax" else 0)
        return Passes(
            Work(product, times(rows * out, f.forward) + log),
            Work((Product("output", w, out, rows),), times(rows * out, f.backward)),
            Work(product, ops(add=rows * out if self.bias else 0)),
        )

    def reads(self) -> list[Weights]:
        """W, for all steps at once."""
        return [Weights(self.input_size * self.output_size, 0)]

    def kept(self, rows: int) -> dict[str, int]:
        """Numbers that a tape holds for backward, without padding."""
        return {"inputs": rows * self.input_size, "outputs": rows * self.output_size}


@dataclass(frozen=True)
class Embedding:
    """A table with a row for each of ``vocabulary`` symbols. Looking up is no arithmetic.

    ``gru_native.Embedding`` is one; ``count(..., vocabulary=n)`` puts one before a network.
    """

    vocabulary: int
    output_size: int

    def __post_init__(self) -> None:
        at_least("vocabulary", self.vocabulary, 1)
        numbers = self.vocabulary * self.output_size
        fits("the embedding", numbers, vocabulary=self.vocabulary, input_size=self.output_size)

    @property
    def width(self) -> int:
        """Columns of the output."""
        return self.output_size

    def tensors(self) -> list[Tensor]:
        """The one table."""
        return [Tensor("weight", (self.vocabulary, self.output_size), "embedding")]

    def passes(self, rows: int) -> Passes:
        """Gradients are added into the rows that were looked up."""
        return Passes(to_weights=Work(elementwise=ops(add=rows * self.output_size)))

    def reads(self) -> list[Weights]:
        """A row for each step: nearly nothing."""
        return []

    def kept(self, rows: int) -> dict[str, int]:
        """The symbols."""
        return {"symbols": rows}
