"""Tree-LSTM: argument names, weights by name, documentation. The mathematics is in cpp/."""

from __future__ import annotations

from typing import Any, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, DTypeLike

from .. import _core
from ._arguments import check_tape, flag, float_dtype, size
from ._options import public
from ._weights import Array, Weighted

TreeTape: TypeAlias = _core.TreeTape32 | _core.TreeTape64


class TreeGradients(NamedTuple):
    """What ``backward`` returns: gradients of a loss, each in the shape of what it belongs to."""

    x: Array
    weights: dict[str, Array]


class _TreeLSTM(Weighted):
    """What both Tree-LSTMs have in common."""

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        arity: int | None,
        bias: bool,
        dtype: DTypeLike,
        seed: int | None,
    ) -> None:
        self.dtype = float_dtype(dtype)
        self.input_size = size("input_size", input_size)
        self.hidden_size = size("hidden_size", hidden_size)
        self.bias = flag("bias", bias)
        layer_type = self._core_type(_core.TreeLayer32, _core.TreeLayer64)
        self._core: _core._TreeLayer[Any] = layer_type(
            input_size=self.input_size, hidden_size=self.hidden_size, arity=arity, bias=self.bias
        )
        super().__init__(seed, self.hidden_size**-0.5)

    def backward(
        self, tape: TreeTape, dh: ArrayLike | None = None, dc: ArrayLike | None = None
    ) -> TreeGradients:
        """Gradients of a loss from dh and dc, its gradients of the nodes' h and c.

        Both are (nodes, hidden_size); None means zeros, but not both may be None. Returns ``x``
        (nodes, input_size) and ``weights`` by name. A tape may be used again. Raises ValueError for
        a tape of another layer or a wrong shape, TypeError for wrong kinds.
        """
        check_tape(tape, self.dtype, _core.TreeTape32, _core.TreeTape64)
        return TreeGradients(*self._core.backward(tape, dh, dc))


@public
class ChildSumTreeLSTM(_TreeLSTM):
    """The child-sum Tree-LSTM of Tai, Socher and Manning (2015): any number of children, unordered.

    A node with input x and children k = 1.. computes, with s = sum_k h_k,

        i, g, o = sigmoid, tanh, sigmoid(W x + U s + b)     f_k = sigmoid(W_f x + U_f h_k + b_f)
        c = i g + sum_k f_k c_k                             h = o tanh(c)

    On a chain it is the LSTM. Weights: ``weight_ih`` (4 hidden_size, input_size), ``weight_hh``
    (4 hidden_size, hidden_size) and, with ``bias``, ``bias`` (4 hidden_size), rows in the order
    i, f, g, o. They start uniform in +-1/sqrt(hidden_size), drawn from ``seed``.

    Raises ValueError or TypeError, naming the argument, for sizes below 1 or a dtype other than
    float32 and float64.
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        *,
        bias: bool = True,
        dtype: DTypeLike = np.float32,
        seed: int | None = None,
    ) -> None:
        super().__init__(input_size, hidden_size, None, bias, dtype, seed)

    def __call__(self, x: ArrayLike, parents: ArrayLike) -> tuple[Array, Array]:
        """Inference: ``h, c = layer(x, parents)``, each (nodes, hidden_size), of every node.

        x is (nodes, input_size), of the layer's dtype; lists, integers and float16 are converted.
        parents is (nodes,), whole numbers: each node's parent, or -1 for a root. Nodes come in any
        order and may make up any number of trees. A node's h and c do not depend on the other
        trees, to the bit.

        Raises ValueError for wrong shapes and, naming the node, for parents that are no trees;
        TypeError for wrong dtypes or kinds.
        """
        return self._core(x, parents)

    def forward(self, x: ArrayLike, parents: ArrayLike) -> tuple[Array, Array, TreeTape]:
        """As calling the layer, and also a tape for ``backward``: ``h, c, tape = ...``.

        The tape keeps its own copies: the arrays and the weights may change before ``backward``.
        """
        result: tuple[Array, Array, Any] = self._core.forward(x, parents)
        return result

    def __repr__(self) -> str:
        bias = "" if self.bias else ", bias=False"
        return f"ChildSumTreeLSTM({self.input_size}, {self.hidden_size}{bias}, dtype={self.dtype})"


@public
class NaryTreeLSTM(_TreeLSTM):
    """The N-ary Tree-LSTM of Tai, Socher and Manning (2015): up to ``arity`` children, in slots.

    A node with input x and children in slots k = 0.. computes, with s = [h_0, h_1, ..] and zeros
    for a child that is not there,

        i, g, o = sigmoid, tanh, sigmoid(W x + U s + b)     f_k = sigmoid(W_f x + U_fk s + b_f)
        c = i g + sum_k f_k c_k                             h = o tanh(c)

    Weights: ``weight_ih`` (4 hidden_size, input_size), rows in the order i, f, g, o;
    ``weight_hh_iog`` (3 hidden_size, arity * hidden_size), rows in the order i, o, g, a block of
    columns for each child; ``weight_hh_f`` (arity * hidden_size, arity * hidden_size), row block k
    the forget gate of child k; and, with ``bias``, ``bias`` (4 hidden_size), i, f, g, o. They start
    uniform in +-1/sqrt(hidden_size), drawn from ``seed``.

    Raises as ChildSumTreeLSTM, for ``arity``, too.
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        arity: int,
        *,
        bias: bool = True,
        dtype: DTypeLike = np.float32,
        seed: int | None = None,
    ) -> None:
        self.arity = size("arity", arity)
        super().__init__(input_size, hidden_size, self.arity, bias, dtype, seed)

    def __call__(self, x: ArrayLike, parents: ArrayLike, slots: ArrayLike) -> tuple[Array, Array]:
        """Inference: ``h, c = layer(x, parents, slots)``, each (nodes, hidden_size).

        x and parents are as for ChildSumTreeLSTM. slots is (nodes,), whole numbers from 0 to
        arity - 1: which child of its parent a node is. That of a root is ignored.

        Raises as ChildSumTreeLSTM, and ValueError for a slot out of range or taken twice.
        """
        return self._core(x, parents, slots)

    def forward(
        self, x: ArrayLike, parents: ArrayLike, slots: ArrayLike
    ) -> tuple[Array, Array, TreeTape]:
        """As calling the layer, and also a tape for ``backward``: ``h, c, tape = ...``.

        The tape keeps its own copies: the arrays and the weights may change before ``backward``.
        """
        result: tuple[Array, Array, Any] = self._core.forward(x, parents, slots)
        return result

    def __repr__(self) -> str:
        bias = "" if self.bias else ", bias=False"
        sizes = f"{self.input_size}, {self.hidden_size}, {self.arity}"
        return f"NaryTreeLSTM({sizes}{bias}, dtype={self.dtype})"
