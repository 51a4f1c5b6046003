"""Gated graph networks: argument names and documentation. The mathematics is in cpp/."""

from __future__ import annotations

from typing import Any, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, DTypeLike

from .. import _core
from ._arguments import check_tape, flag, float_dtype, size, text
from ._options import public
from ._weights import Array, Weighted
from .quantized import Quantizable

GraphTape: TypeAlias = _core.GraphTape32 | _core.GraphTape64


class GraphGradients(NamedTuple):
    """What ``GatedGraph.backward`` returns, each in the shape of what it belongs to.

    Attributes
    ----------
    annotations : ndarray
        The gradient of the annotations, in their shape.
    weights : dict of str to ndarray
        The gradient of each weight, by its name.
    """

    annotations: Array
    weights: dict[str, Array]


@public
class GatedGraph(Quantizable, Weighted):
    """A gated graph network: nodes exchange messages along edges and update their states.

    The states h begin as the annotations, padded with zeros. At each step every node sends W_k h
    along each of its edges and against it, with a matrix of its own for each type and direction. A
    node adds up what it receives and updates its state [1]_::

        a(v) = [sum over edges u -> v of W_type h(u);  sum over edges v -> u of W'_type h(u)]
        h(v) = (1 - z) n + z h-(v)           with r, z and n of a(v) and h-(v), as in ``GRU``

    Parameters
    ----------
    hidden_size : int
        H, the numbers in each node's state.
    num_steps : int
        How many times the nodes exchange messages.
    num_edge_types : int, optional
        How many types of edges there are.
    aggregate : {"concat", "sum"}, optional
        ``"concat"`` is the a above, of 2 H numbers, as in the paper; ``"sum"`` adds its halves.
    bias : {"edge", "node", None}, optional
        ``"edge"`` adds a bias to every message, so that a node receives it once for each edge, as
        in the authors' code; ``"node"`` adds it to a, as in the paper; None leaves it out.
    reset_after : bool, optional
        Whether n is tanh(W a + b + r (U h- + b')), as in PyTorch. If False, as in the paper, it is
        tanh(W a + b + U (r h-) + b').
    dtype : dtype_like, optional
        ``np.float32`` or ``np.float64``.
    seed : int, optional
        What the weights are drawn from; None draws them at random.

    Raises
    ------
    ValueError
        For sizes below 1, unknown options or another dtype; the text names the argument.
    TypeError
        For arguments of the wrong kind.

    See Also
    --------
    NodeScores : A score for each node from its state.
    GraphSum : A vector for each graph from the states of its nodes.

    Notes
    -----
    The options are attributes of the same names. The weights are

    - ``weight_edge`` (2 num_edge_types, H, H): the matrices of the types along the edges, then
      those of the types against them;
    - ``bias_edge`` (2 num_edge_types, H) or ``bias_node`` (2 H,), for ``"sum"`` (H,);
    - ``weight_ih`` (3 H, 2 H), for ``"sum"`` (3 H, H), ``weight_hh`` (3 H, H), ``bias_ih`` and
      ``bias_hh`` (3 H,): the GRU's, with rows in the order r, z, n.

    They start uniform in +-1/sqrt(H). The paper writes h = (1 - z) h- + z n, so its z is 1 minus
    this one: to convert its weights, negate the z rows of ``weight_ih``, ``weight_hh`` and both
    biases.

    All nodes are computed at once, as T = A (H W), [Z R] = sigmoid(T W + H U + b) and so on. An
    expansion of this into products of sigmoid(T W) and sigmoid(H U), as if sigmoid(a + b) were
    sigmoid(a) + sigmoid(b), is sometimes printed, but it is another function: at T = H = 0 without
    biases the GRU stays at 0, and the expansion goes to 2 tanh(1/2) = 0.924234.

    References
    ----------
    .. [1] Y. Li, D. Tarlow, M. Brockschmidt and R. Zemel, "Gated Graph Sequence Neural Networks",
       ICLR 2016, arXiv:1511.05493.
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
        self,
        annotations: ArrayLike,
        edge_index: ArrayLike | None = None,
        edge_type: ArrayLike | None = None,
        *,
        adjacency: ArrayLike | None = None,
    ) -> Array:
        """Compute the final states of all nodes.

        The edges are given either as a list, ``edge_index``, or as matrices, ``adjacency``.

        Parameters
        ----------
        annotations : array_like
            (nodes, A), or with ``adjacency`` (batch, nodes, A), where A is 1 to hidden_size; of the
            layer's dtype.
        edge_index : array_like of int, optional
            (2, edges): the source of each edge, then its target. An edge may be repeated or lead
            back to its node, and there may be none. Several graphs are one list in which their
            nodes are numbered on; the bits of each are those that it has alone.
        edge_type : array_like of int, optional
            (edges,), each from 0 to num_edge_types - 1; None means that all are 0.
        adjacency : array_like, optional
            (batch, nodes, 2 num_edge_types nodes), of the layer's dtype, for graphs that have the
            same number of nodes. An edge u -> v of type e is a 1 at [v, e nodes + u] and a 1 at
            [u, (num_edge_types + e) nodes + v]. Other numbers weigh the messages, and with
            ``bias="edge"`` their biases, too.

        Returns
        -------
        ndarray
            The states h, (nodes, hidden_size), or with ``adjacency`` (batch, nodes, hidden_size).

        Raises
        ------
        ValueError
            For wrong shapes or values; the text names the argument and the edge.
        TypeError
            For another dtype or kind, or if not exactly one of ``edge_index`` and ``adjacency`` is
            given.
        """
        _check_edges(edge_index, edge_type, adjacency)
        return self._core(annotations, edge_index, edge_type, adjacency)

    def forward(
        self,
        annotations: ArrayLike,
        edge_index: ArrayLike | None = None,
        edge_type: ArrayLike | None = None,
        *,
        adjacency: ArrayLike | None = None,
    ) -> tuple[Array, GraphTape]:
        """Compute the final states of all nodes, and a tape for ``backward``.

        Parameters
        ----------
        annotations : array_like
            (nodes, A), or with ``adjacency`` (batch, nodes, A), as when calling the layer.
        edge_index : array_like of int, optional
            (2, edges): the source of each edge, then its target.
        edge_type : array_like of int, optional
            (edges,), each from 0 to num_edge_types - 1; None means that all are 0.
        adjacency : array_like, optional
            (batch, nodes, 2 num_edge_types nodes), in place of ``edge_index``.

        Returns
        -------
        h : ndarray
            (nodes, hidden_size), or with ``adjacency`` (batch, nodes, hidden_size).
        tape : GraphTape
            What ``backward`` needs. It has copies of its own: the arrays and the weights may change
            before ``backward``.

        Raises
        ------
        ValueError
            For wrong shapes or values; the text names the argument and the edge.
        TypeError
            For another dtype or kind, or if not exactly one of ``edge_index`` and ``adjacency`` is
            given.
        """
        _check_edges(edge_index, edge_type, adjacency)
        result: tuple[Array, Any] = self._core.forward(
            annotations, edge_index, edge_type, adjacency
        )
        return result

    def backward(self, tape: GraphTape, dh: ArrayLike) -> GraphGradients:
        """Compute the gradients of a loss from its gradient of h.

        Parameters
        ----------
        tape : GraphTape
            What ``forward`` returned. It may be used again.
        dh : array_like
            The gradient of h, in its shape.

        Returns
        -------
        GraphGradients
            ``annotations`` and ``weights``; an adjacency matrix has no gradient.

        Raises
        ------
        ValueError
            For the tape of another layer or a wrong shape.
        TypeError
            For another dtype or kind.
        """
        check_tape(tape, self.dtype, _core.GraphTape32, _core.GraphTape64)
        return GraphGradients(*self._core.backward(tape, dh))

    def __repr__(self) -> str:
        return (
            f"GatedGraph({self.hidden_size}, {self.num_steps}, {self.num_edge_types}, "
            f"aggregate={self.aggregate!r}, bias={self.bias!r}, reset_after={self.reset_after}, "
            f"dtype={self.dtype})"
        )


def _check_edges(
    edge_index: ArrayLike | None, edge_type: ArrayLike | None, adjacency: ArrayLike | None
) -> None:
    if edge_index is None and adjacency is None:
        raise TypeError("edge_index and adjacency are both None; expected one of them")
    if adjacency is not None and not (edge_index is None and edge_type is None):
        given = "edge_type" if edge_index is None else "edge_index"
        raise TypeError(f"{given} was given with adjacency; expected either")
