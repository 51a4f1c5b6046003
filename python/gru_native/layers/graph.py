"""Gated graph networks: argument names and documentation. The mathematics is in cpp/."""

from __future__ import annotations

from typing import Any, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, DTypeLike

from .. import _core
from ._arguments import check_tape, flag, float_dtype, size, text
from ._weights import Array, Weighted

GraphTape: TypeAlias = _core.GraphTape32 | _core.GraphTape64


class GraphGradients(NamedTuple):
    """What ``GatedGraph.backward`` returns, each in the shape of what it belongs to."""

    annotations: Array
    weights: dict[str, Array]


class GatedGraph(Weighted):
    """Gated graph network (Li, Tarlow, Brockschmidt and Zemel 2016), ``num_steps`` steps.

    h begins as the annotations, padded with zeros. At each step every node sends W_k h along each
    of its edges and against it, with a matrix of its own for each type and direction; a is what a
    node receives, and h = GRU(a, h)::

        a(v) = [sum over edges u -> v of W_type h(u);  sum over edges v -> u of W'_type h(u)]
        h(v) = (1 - z) n + z h-(v)           with r, z and n of a(v) and h-(v), as gru_native.GRU

    ``aggregate="concat"`` is the paper's a of 2 hidden_size numbers, ``"sum"`` adds both halves.
    ``bias="edge"`` lies inside the message, so a node receives it once for each edge, as in the
    authors' code; ``"node"`` is the b of the paper's a = ... + b; None is none. With
    ``reset_after=False``, as in the paper, n = tanh(W a + b + U (r h-) + b').

    Weights: weight_edge (2 * num_edge_types, H, H), the types along edges first, then those against
    them; bias_edge (2 * num_edge_types, H) or bias_node (2 H, or H for "sum"); weight_ih (3 H, 2 H
    or H), weight_hh (3 H, H), bias_ih and bias_hh (3 H,), rows in the order r, z, n. They start
    uniform in +-1/sqrt(H), drawn from ``seed``. The paper prints h = (1 - z) h- + z n: its z is 1
    minus this one, so to convert weights negate the z rows of weight_ih, weight_hh and both biases.

    The batched form T = A (H W), [Z R] = sigmoid(T W + H U + b), ... is what is computed here, for
    all nodes at once. The expansion that is sometimes printed of it (products of sigmoid(T W) and
    sigmoid(H U) one by one, as if sigmoid(a + b) were sigmoid(a) + sigmoid(b)) is another function:
    at T = H = 0 without biases the GRU stays at 0; the expansion goes to 2 tanh(1/2) = 0.924234.

    Raises ValueError or TypeError, naming the argument, for sizes below 1, unknown options or a
    dtype other than float32 and float64.
    """

    def __init__(
        self,
        hidden_size: int,
        num_steps: int,
        num_edge_types: int = 1,
        *,
        aggregate: str = "concat",
        bias: str | None = "edge",
        reset_after: bool = False,
        dtype: DTypeLike = np.float32,
        seed: int | None = None,
    ) -> None:
        self.dtype = float_dtype(dtype)
        self.hidden_size = size("hidden_size", hidden_size)
        self.num_steps = size("num_steps", num_steps)
        self.num_edge_types = size("num_edge_types", num_edge_types)
        self.aggregate = text("aggregate", aggregate)
        self.bias = None if bias is None else text("bias", bias)
        self.reset_after = flag("reset_after", reset_after)
        graph_type = self._core_type(_core.Graph32, _core.Graph64)
        self._core: _core._Graph[Any] = graph_type(
            hidden_size=self.hidden_size,
            num_steps=self.num_steps,
            num_edge_types=self.num_edge_types,
            aggregate=self.aggregate,
            bias=self.bias,
            reset_after=self.reset_after,
        )
        super().__init__(seed, self.hidden_size**-0.5)

    def __call__(
        self, annotations: ArrayLike, edge_index: ArrayLike, edge_type: ArrayLike | None = None
    ) -> Array:
        """The nodes' final states: ``h = layer(annotations, edge_index, edge_type=None)``.

        annotations is (nodes, A), 1 <= A <= hidden_size, of the layer's dtype. edge_index is
        (2, edges), integers: the source of each edge, then its target; any edge may be repeated,
        lead back to its node, or there may be none. edge_type is (edges,), each 0 to
        num_edge_types - 1; None means all 0. Many graphs at once are one big graph: number their
        nodes on; every node's result has the bits that it has in its graph alone.

        Returns h, (nodes, hidden_size). Raises ValueError for wrong shapes or values, naming the
        edge, and TypeError for wrong dtypes.
        """
        return self._core(annotations, edge_index, edge_type, None)

    def forward(
        self, annotations: ArrayLike, edge_index: ArrayLike, edge_type: ArrayLike | None = None
    ) -> tuple[Array, GraphTape]:
        """As calling the layer, and also a tape for ``backward``: ``h, tape = ...``."""
        result: tuple[Array, Any] = self._core.forward(annotations, edge_index, edge_type, None)
        return result

    def dense(self, annotations: ArrayLike, adjacency: ArrayLike) -> Array:
        """The same for graphs of one size by their matrices: ``h = layer.dense(...)``.

        annotations is (batch, nodes, A) and adjacency (batch, nodes, 2 * num_edge_types * nodes),
        both of the layer's dtype: an edge u -> v of type e is a 1 at [v, e * nodes + u] and one at
        [u, (num_edge_types + e) * nodes + v]. Other numbers weigh the messages (with
        ``bias="edge"`` their biases too). Returns h, (batch, nodes, hidden_size).
        """
        return self._core(annotations, None, None, _present(adjacency))

    def forward_dense(
        self, annotations: ArrayLike, adjacency: ArrayLike
    ) -> tuple[Array, GraphTape]:
        """As ``dense``, and also a tape for ``backward``."""
        result: tuple[Array, Any] = self._core.forward(annotations, None, None, _present(adjacency))
        return result

    def backward(self, tape: GraphTape, dh: ArrayLike) -> GraphGradients:
        """Gradients of a loss from dh, its gradient of h and of h's shape.

        Returns ``annotations`` and ``weights`` by name; the adjacency has none. A tape may be used
        again. Raises ValueError for a tape of another layer or a wrong shape, TypeError for wrong
        kinds.
        """
        check_tape(tape, self.dtype, _core.GraphTape32, _core.GraphTape64)
        return GraphGradients(*self._core.backward(tape, dh))

    def __repr__(self) -> str:
        return (
            f"GatedGraph({self.hidden_size}, {self.num_steps}, {self.num_edge_types}, "
            f"aggregate={self.aggregate!r}, bias={self.bias!r}, reset_after={self.reset_after}, "
            f"dtype={self.dtype})"
        )


def _present(adjacency: ArrayLike) -> ArrayLike:
    if adjacency is None:
        raise TypeError("adjacency is None; expected an array")
    return adjacency
