"""Gated graph networks and what is read off them."""

from __future__ import annotations

from dataclasses import dataclass

from ..layers import GatedGraph, GraphSum, NodeScores
from ._arguments import at_least
from ._cells import activation, gru
from ._work import Passes, Product, Tensor, Work, ops, times


@dataclass(frozen=True)
class Graphs:
    """Nodes and edges of one call: lists of edges, or ``graphs`` matrices of nodes/graphs rows."""

    nodes: int
    edges: int
    graphs: int = 0  # 0: by lists of edges
    annotation_size: int = 1

    @classmethod
    def of(cls, nodes: int, edges: int | None, graphs: int | None, annotation_size: int) -> Graphs:
        """With ``graphs``, nodes is the number in each."""
        nodes = at_least("nodes", nodes, 1)
        if graphs is None:
            return cls(nodes, at_least("edges", edges, 0), 0, annotation_size)
        graphs = at_least("graphs", graphs, 1)
        return cls(graphs * nodes, 0, graphs, annotation_size)


@dataclass(frozen=True)
class Network:
    """A gated graph network as it is counted."""

    hidden_size: int
    num_steps: int
    num_edge_types: int
    concat: bool
    bias: str | None
    reset_after: bool

    @classmethod
    def of(cls, layer: GatedGraph) -> Network:
        return cls(
            layer.hidden_size,
            layer.num_steps,
            layer.num_edge_types,
            layer.aggregate == "concat",
            layer.bias,
            layer.reset_after,
        )

    @property
    def inputs(self) -> int:
        """Columns of a, what a node receives."""
        return (2 if self.concat else 1) * self.hidden_size

    @property
    def kinds(self) -> int:
        """Types of edges, each along and against."""
        return 2 * self.num_edge_types

    def tensors(self) -> list[Tensor]:
        """All weights, in the order of ``layer.weights``."""
        n, kinds = self.hidden_size, self.kinds
        result = [Tensor("weight_edge", (kinds, n, n), "message")]
        if self.bias == "edge":
            result.append(Tensor("bias_edge", (kinds, n), "bias"))
        if self.bias == "node":
            result.append(Tensor("bias_node", (self.inputs,), "bias"))
        return [
            *result,
            Tensor("weight_ih", (3 * n, self.inputs), "input"),
            Tensor("weight_hh", (3 * n, n), "recurrent"),
            Tensor("bias_ih", (3 * n,), "bias"),
            Tensor("bias_hh", (3 * n,), "bias"),
        ]

    def passes(self, g: Graphs) -> Passes:
        """The work of one call.

        Edges in lists add messages up; a matrix multiplies all nodes' with all nodes', zeros too.
        The state is given (the annotations), so no step is spared.
        """
        n, rows, c = self.hidden_size, self.num_steps * g.nodes, gru(self.reset_after)
        kinds = self.kinds
        message = Product("message", kinds * n, n, rows)
        message_back = Product("message", n, kinds * n, rows)
        gates = [
            Product("input", c.input * n, self.inputs, rows),
            Product("recurrent", c.recurrent * n, n, rows),
        ]
        gates_back = [
            Product("input", self.inputs, c.input * n, rows),
            Product("recurrent", n, c.recurrent * n, rows),
        ]
        if c.candidate:
            candidate = Product("recurrent", c.candidate * n, n, rows)
            gates.append(candidate)
            gates_back.append(Product("recurrent", n, c.candidate * n, rows))
        travel, adds = [], ops(add=self.num_steps * 2 * g.edges * n)
        if g.graphs:
            travel, adds = [Product("adjacency", n, kinds * (g.nodes // g.graphs), rows)], ops()
        bias = 2 * 3 * n + {"edge": kinds * n, "node": self.inputs, None: 0}[self.bias]
        return Passes(
            Work((message, *travel, *gates), times(rows * n, c.forward) + adds),
            Work(
                (message_back, *travel, *gates_back),
                times(rows * n, c.backward)
                + ops(add=rows * n)  # dy + dh
                + ops(add=g.nodes * g.annotation_size)  # by both ways to the annotations
                + adds,
            ),
            Work((message, *gates), ops(add=rows * bias)),
        )

    def adjacency(self, g: Graphs) -> int:
        """Numbers in all matrices."""
        return g.nodes * self.kinds * (g.nodes // g.graphs) if g.graphs else 0

    def kept(self, g: Graphs) -> dict[str, int]:
        """Numbers that a tape holds for backward, without padding."""
        n, rows = self.hidden_size, self.num_steps * g.nodes
        return {
            "inputs": rows * self.inputs,
            "gates": rows * n * gru(self.reset_after).slots,
            "h": rows * n,
            "second product": 0 if self.reset_after else rows * n,
            "adjacency": self.adjacency(g),
        }


@dataclass(frozen=True)
class Readout:
    """NodeScores or GraphSum as it is counted."""

    columns: int  # of [h; annotation]
    output_size: int
    sums: bool

    @classmethod
    def of(cls, layer: NodeScores | GraphSum) -> Readout:
        columns = layer.hidden_size + layer.annotation_size
        return cls(columns, layer.output_size, isinstance(layer, GraphSum))

    def tensors(self) -> list[Tensor]:
        """All weights, in the order of ``layer.weights``."""
        out, columns = self.output_size, self.columns
        return [
            Tensor("weight_f", (out, columns), "output"),
            Tensor("weight_g", (out, columns), "gate"),
            Tensor("bias_f", (out,), "bias"),
            Tensor("bias_g", (out,), "bias"),
        ]

    def passes(self, nodes: int, graphs: int = 1) -> Passes:
        """The work of one call: p = phi(f) sigmoid(g) of each node; a GraphSum adds them up."""
        out = self.output_size
        phi = "tanh" if self.sums else "identity"
        products = tuple(Product(r, out, self.columns, nodes) for r in ("output", "gate"))
        back = tuple(Product(r, self.columns, out, nodes) for r in ("output", "gate"))
        forward = times(nodes * out, activation(phi).forward + ops(sigmoid=1, multiply=1))
        backward = times(
            nodes * out,
            ops(multiply=2) + activation(phi).backward + activation("sigmoid").backward,
        )
        if self.sums:
            forward += ops(add=nodes * out, tanh=graphs * out)
            backward += times(nodes * out, activation("tanh").backward)
        return Passes(
            Work(products, forward),
            Work(back, backward),
            Work(products, ops(add=nodes * 2 * out)),
        )

    def kept(self, nodes: int, graphs: int = 1) -> dict[str, int]:
        """Numbers that a tape holds for backward, without padding."""
        kept = {"inputs": nodes * self.columns, "gates": nodes * 2 * self.output_size}
        return {**kept, "outputs": graphs * self.output_size} if self.sums else kept
