"""Gated recursive convolution."""

from __future__ import annotations

from dataclasses import dataclass

from ..layers import GatedRecursiveConv
from ._cells import activation
from ._extent import Extent
from ._roofline import Weights
from ._work import Passes, Product, Tensor, Work, ops, times

GATES = 3  # new, left, right; one number each for all units of a pair

# Of a pair, once: softmax over its gates, as in cpp/cells/grconv.h.
SOFTMAX = ops(select=2, add=3, exp=3) + ops(add=2, divide=3)
SOFTMAX_BACKWARD = ops(multiply=3, add=2) + ops(multiply=3, add=3)


@dataclass(frozen=True)
class Pairs:
    """What the pyramids of one call are made of. A sequence of n steps has n (n - 1) / 2 pairs."""

    rows: int  # of the lowest level
    pairs: int
    neighbours: int  # pairs that share a vector with the pair before

    @classmethod
    def of(cls, extent: Extent) -> Pairs:
        lengths = extent.lengths
        each = [(extent.seq, extent.batch)] if lengths is None else [(n, 1) for n in lengths]
        return cls(
            extent.rows,
            sum(count * n * (n - 1) // 2 for n, count in each),
            sum(count * (n - 1) * (n - 2) // 2 for n, count in each if n > 1),
        )


@dataclass(frozen=True)
class GrConv:
    """A layer as it is counted."""

    input_size: int
    hidden_size: int
    activation: str

    @classmethod
    def of(cls, layer: GatedRecursiveConv) -> GrConv:
        return cls(layer.input_size, layer.hidden_size, layer.activation)

    @property
    def width(self) -> int:
        """Columns of the output."""
        return self.hidden_size

    def tensors(self) -> list[Tensor]:
        """All weights, in the order of ``layer.weights``."""
        n = self.hidden_size
        return [
            Tensor("weight_ih", (n, self.input_size), "input"),
            Tensor("weight_left", (n, n), "recurrent"),
            Tensor("weight_right", (n, n), "recurrent"),
            Tensor("bias", (n,), "bias"),
            Tensor("gate_left", (GATES, n), "gate"),
            Tensor("gate_right", (GATES, n), "gate"),
            Tensor("gate_bias", (GATES,), "bias"),
        ]

    def passes(self, extent: Extent) -> Passes:
        """The work of one call. Rows between two sequences, which nobody uses, are not counted."""
        n, w, p = self.hidden_size, self.input_size, Pairs.of(extent)
        forward = (
            Product("input", n, w, p.rows),
            Product("recurrent", n, 2 * n, p.pairs),
            Product("gate", GATES, 2 * n, p.pairs),
        )
        back = (
            Product("input", w, n, p.rows),
            Product("recurrent", 2 * n, n, p.pairs),
            Product("gate", 2 * n, GATES, p.pairs),
        )
        unit = activation(self.activation).forward + ops(
            multiply=3, add=2
        )  # h = c n + l left + r right
        unit_back = (
            ops(multiply=1)
            + activation(self.activation).backward  # dn, from dh c
            + ops(multiply=2)  # of the neighbours
            + ops(multiply=3, add=3)  # of the gates
        )
        return Passes(
            Work(forward, times(p.pairs * n, unit) + times(p.pairs, SOFTMAX)),
            Work(
                back,
                times(p.pairs * n, unit_back)
                + times(p.pairs, SOFTMAX_BACKWARD)
                + ops(add=p.neighbours * n),
            ),
            Work(forward, ops(add=p.pairs * (n + GATES))),
        )

    def reads(self) -> list[Weights]:
        """W, for all steps at once, and what every level needs."""
        n = self.hidden_size
        return [Weights(n * self.input_size, 2 * n * (n + GATES))]

    def kept(self, extent: Extent) -> dict[str, int]:
        """Numbers that a tape holds for backward, without padding."""
        n, p = self.hidden_size, Pairs.of(extent)
        return {
            "inputs": p.rows * self.input_size,
            "h": (p.rows + p.pairs) * n,
            "gates": p.pairs * (n + GATES),
        }
