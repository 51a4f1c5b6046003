"""What is read off a gated graph network: argument names and documentation. See cpp/."""

from __future__ import annotations

from typing import Any, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, DTypeLike

from .. import _core
from ._arguments import check_tape, float_dtype, size
from ._options import public
from ._weights import Array, Weighted

ReadoutTape: TypeAlias = _core.ReadoutTape32 | _core.ReadoutTape64


class ReadoutGradients(NamedTuple):
    """What a readout's ``backward`` returns, each in the shape of what it belongs to."""

    h: Array
    annotations: Array
    weights: dict[str, Array]


class _Readout(Weighted):
    _sums: bool

    def __init__(
        self,
        hidden_size: int,
        annotation_size: int,
        output_size: int,
        *,
        dtype: DTypeLike = np.float32,
        seed: int | None = None,
    ) -> None:
        self.dtype = float_dtype(dtype)
        self.hidden_size = size("hidden_size", hidden_size)
        self.annotation_size = size("annotation_size", annotation_size)
        self.output_size = size("output_size", output_size)
        readout_type = self._core_type(_core.Readout32, _core.Readout64)
        self._core: _core._Readout[Any] = readout_type(
            sums=self._sums,
            hidden_size=self.hidden_size,
            annotation_size=self.annotation_size,
            output_size=self.output_size,
        )
        super().__init__(seed, (self.hidden_size + self.annotation_size) ** -0.5)

    def backward(self, tape: ReadoutTape, dy: ArrayLike) -> ReadoutGradients:
        """Gradients of a loss from dy, its gradient of the result and of its shape.

        Returns ``h``, ``annotations`` and ``weights`` by name. A tape may be used again. Raises
        ValueError for a tape of another readout or a wrong shape, TypeError for wrong kinds.
        """
        check_tape(tape, self.dtype, _core.ReadoutTape32, _core.ReadoutTape64)
        return ReadoutGradients(*self._core.backward(tape, dy))

    def __repr__(self) -> str:
        return (
            f"{type(self).__name__}({self.hidden_size}, {self.annotation_size}, "
            f"{self.output_size}, dtype={self.dtype})"
        )


@public
class NodeScores(_Readout):
    """Scores of nodes (Li, Tarlow, Brockschmidt and Zemel 2016): f(z) sigmoid(g(z)), z = [h; x].

    f and g are linear: weight_f, weight_g (output_size, hidden_size + annotation_size), bias_f,
    bias_g (output_size,), uniform in +-1/sqrt(columns), drawn from ``seed``. To select a node, put
    a softmax over a graph's scores.
    """

    _sums = False

    def __init__(
        self,
        hidden_size: int,
        annotation_size: int,
        output_size: int = 1,
        *,
        dtype: DTypeLike = np.float32,
        seed: int | None = None,
    ) -> None:
        super().__init__(hidden_size, annotation_size, output_size, dtype=dtype, seed=seed)

    def __call__(self, h: ArrayLike, annotations: ArrayLike) -> Array:
        """(nodes, output_size) from h, (nodes, hidden_size), and annotations, (nodes, A)."""
        return self.forward(h, annotations)[0]

    def forward(self, h: ArrayLike, annotations: ArrayLike) -> tuple[Array, ReadoutTape]:
        """As calling it, and also a tape for ``backward``: ``scores, tape = ...``."""
        result: tuple[Array, Any] = self._core.forward(h, annotations, None, None)
        return result


@public
class GraphSum(_Readout):
    """A vector for each graph (Li, Tarlow, Brockschmidt and Zemel 2016).

    y = tanh(sum over the graph's nodes of tanh(f(z)) sigmoid(g(z))), z = [h; x]; weights as
    NodeScores (the paper's j and i are f and g).
    """

    _sums = True

    def __call__(
        self,
        h: ArrayLike,
        annotations: ArrayLike,
        graph: ArrayLike | None = None,
        num_graphs: int | None = None,
    ) -> Array:
        """(num_graphs, output_size) from h, (nodes, hidden_size), and annotations, (nodes, A).

        graph is (nodes,), integers: which graph each node belongs to, in any order; None means one
        graph. num_graphs is by default one more than the largest of them; a graph without nodes
        has zeros.
        """
        return self.forward(h, annotations, graph, num_graphs)[0]

    def forward(
        self,
        h: ArrayLike,
        annotations: ArrayLike,
        graph: ArrayLike | None = None,
        num_graphs: int | None = None,
    ) -> tuple[Array, ReadoutTape]:
        """As calling it, and also a tape for ``backward``: ``y, tape = ...``."""
        count = None if num_graphs is None else size("num_graphs", num_graphs)
        result: tuple[Array, Any] = self._core.forward(h, annotations, graph, count)
        return result
