"""Tree-LSTM over a forest."""

from __future__ import annotations

from dataclasses import dataclass

from numpy.typing import ArrayLike

from .. import _core
from ..layers import ChildSumTreeLSTM, NaryTreeLSTM
from ._cells import MULTIPLY_ADD, SIGMOID, SIGMOID_SLOPE, TANH_SLOPE
from ._work import Passes, Product, Tensor, Work, ops, times

# Per unit, line by line as in cpp/cells/tree_lstm.h: of a node, and of a child with its parent.
NODE = SIGMOID + ops(tanh=1) + SIGMOID + ops(multiply=1) + ops(tanh=1, multiply=1)
CHILD = SIGMOID + MULTIPLY_ADD
NODE_BACKWARD = (
    ops(tanh=1)
    + (ops(multiply=2) + SIGMOID_SLOPE)  # do = dh tanh(c) o'
    + (ops(multiply=2, add=1) + TANH_SLOPE)  # dc += dh o tanh'(c)
    + (ops(multiply=2) + TANH_SLOPE)  # dg = dc i g'
    + (ops(multiply=2) + SIGMOID_SLOPE)  # di = dc g i'
)
CHILD_BACKWARD = (ops(multiply=2) + SIGMOID_SLOPE) + ops(multiply=1, add=1)  # df; dc_k, sum of df


@dataclass(frozen=True)
class Forest:
    """Nodes of all trees of one call; an edge is a child with its parent."""

    nodes: int
    leaves: int
    edges: int

    @classmethod
    def of(cls, parents: ArrayLike, slots: ArrayLike | None, arity: int | None) -> Forest:
        """Checked as by a layer: ValueError or TypeError, naming the node."""
        return cls(*_core.forest_sizes(parents, slots, arity))

    @property
    def inner(self) -> int:
        """Nodes that have children."""
        return self.nodes - self.leaves


@dataclass(frozen=True)
class Tree:
    """A layer as it is counted."""

    input_size: int
    hidden_size: int
    arity: int | None  # None: child-sum
    bias: bool

    @classmethod
    def of(cls, layer: ChildSumTreeLSTM | NaryTreeLSTM) -> Tree:
        arity = layer.arity if isinstance(layer, NaryTreeLSTM) else None
        return cls(layer.input_size, layer.hidden_size, arity, layer.bias)

    def tensors(self) -> list[Tensor]:
        """All weights, in the order of ``layer.weights``."""
        n, inner = self.hidden_size, (self.arity or 1) * self.hidden_size
        result = [Tensor("weight_ih", (4 * n, self.input_size), "input")]
        if self.arity is None:
            result.append(Tensor("weight_hh", (4 * n, n), "recurrent"))
        else:
            result.append(Tensor("weight_hh_iog", (3 * n, inner), "recurrent"))
            result.append(Tensor("weight_hh_f", (inner, inner), "recurrent"))
        if self.bias:
            result.append(Tensor("bias", (4 * n,), "bias"))
        return result

    def passes(self, f: Forest, *, dh: bool = True, dc: bool = True) -> Passes:
        """The work of one call. Leaves have no forget gates and no recurrent product.

        An N-ary node reads all its slots, with zeros for a child that is not there; there is a
        forget gate for each child that exists. (Backward's products run over the gates of missing
        children, too, as zeros between the others: these are not counted.)
        """
        n, w, inner = self.hidden_size, self.input_size, (self.arity or 1) * self.hidden_size
        igo = Product("input", 3 * n, w, f.nodes), Product("input", n, w, f.inner, "f")
        igo_back = Product("input", w, 3 * n, f.nodes), Product("input", w, n, f.inner, "f")
        u = Product("recurrent", 3 * n, inner, f.inner)
        u_back = Product("recurrent", inner, 3 * n, f.inner)
        u_f = Product("recurrent", n, inner, f.edges, "f")
        u_f_back = Product("recurrent", inner, n, f.edges, "f")

        sum_of_children = (f.edges - f.inner) * n if self.arity is None else 0
        outside = f.nodes * n * (dh + dc)
        bias = (3 * f.nodes + f.inner) * n if self.bias else 0
        return Passes(
            Work(
                (*igo, u, u_f),
                times(f.nodes * n, NODE) + times(f.edges * n, CHILD) + ops(add=sum_of_children),
            ),
            Work(
                (*igo_back, u_back, u_f_back),
                times(f.nodes * n, NODE_BACKWARD)
                + times(f.edges * n, CHILD_BACKWARD)
                + ops(add=outside),
            ),
            Work((*igo, u, u_f), ops(add=bias)),
        )

    def kept(self, f: Forest) -> dict[str, int]:
        """Numbers that a tape holds for backward, without padding."""
        n = self.hidden_size
        read = f.inner * (self.arity or 1) * n
        forget = f.edges * n if self.arity is None else f.inner * self.arity * n
        return {
            "inputs": f.nodes * self.input_size,
            "gates": f.nodes * 3 * n + forget,
            "h": f.nodes * n,
            "c": f.nodes * n,
            "children": read,
        }
