"""Tree-LSTM: argument names, weights by name, documentation. The mathematics is in cpp/."""

from __future__ import annotations

from typing import Any, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, DTypeLike

from .. import _core
from ._arguments import check_tape, flag, float_dtype, size
from ._options import public
from ._weights import Array, Weighted
from .quantized import Quantizable

TreeTape: TypeAlias = _core.TreeTape32 | _core.TreeTape64


class TreeGradients(NamedTuple):
    """What the ``backward`` of a Tree-LSTM returns, each in the shape of what it belongs to.

    Attributes
    ----------
    x : ndarray
        The gradient of x, in its shape.
    weights : dict of str to ndarray
        The gradient of each weight, by its name.
    """

    x: Array
    weights: dict[str, Array]


class _TreeLSTM(Quantizable, Weighted):
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

    def _parts(self, result: tuple[Array, Array]) -> list[tuple[str, Array]]:
        return list(zip("hc", result, strict=True))

    def backward(
        self, tape: TreeTape, dh: ArrayLike | None = None, dc: ArrayLike | None = None
    ) -> TreeGradients:
        """Compute the gradients of a loss from those of the nodes' h and c.

        Parameters
        ----------
        tape : TreeTape
            What ``forward`` returned. It may be used again.
        dh : array_like, optional
            The gradient of h, (nodes, hidden_size); None means zeros.
        dc : array_like, optional
            The gradient of c, (nodes, hidden_size); None means zeros. Not both may be None.

        Returns
        -------
        TreeGradients
            ``x`` and ``weights``.

        Raises
        ------
        ValueError
            For the tape of another layer or a wrong shape.
        TypeError
            For another dtype or kind.
        """
        check_tape(tape, self.dtype, _core.TreeTape32, _core.TreeTape64)
        return TreeGradients(*self._core.backward(tape, dh, dc))


@public
class ChildSumTreeLSTM(_TreeLSTM):
    """The child-sum Tree-LSTM, in which a node has any number of children, in no order.

    A node with input x and children k = 1.. computes, with s = sum_k h_k [1]_::

        i, g, o = sigmoid, tanh, sigmoid(W x + U s + b)     f_k = sigmoid(W_f x + U_f h_k + b_f)
        c = i g + sum_k f_k c_k                             h = o tanh(c)

    On a chain it is the LSTM.

    Parameters
    ----------
    input_size : int
        Numbers in each x.
    hidden_size : int
        H, the numbers in each h and c.
    bias : bool, optional
        Whether there are biases.
    dtype : dtype_like, optional
        ``np.float32`` or ``np.float64``.
    seed : int, optional
        What the weights are drawn from; None draws them at random.

    Raises
    ------
    ValueError
        For sizes below 1 or another dtype; the text names the argument.
    TypeError
        For arguments of the wrong kind.

    Notes
    -----
    The options are attributes of the same names. The weights are ``weight_ih`` (4 H, input_size),
    ``weight_hh`` (4 H, H) and ``bias`` (4 H,), with rows in the order i, f, g, o. They start
    uniform in +-1/sqrt(H).

    References
    ----------
    .. [1] K. S. Tai, R. Socher and C. D. Manning, "Improved Semantic Representations From
       Tree-Structured Long Short-Term Memory Networks", ACL 2015, arXiv:1503.00075.
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
        """Compute h and c of every node.

        Parameters
        ----------
        x : array_like
            (nodes, input_size), of the layer's dtype; lists, integers and float16 are converted.
        parents : array_like of int
            (nodes,): each node's parent, or -1 for a root. The nodes may come in any order and make
            up any number of trees. The bits of a node do not depend on the other trees.

        Returns
        -------
        h : ndarray
            (nodes, hidden_size).
        c : ndarray
            (nodes, hidden_size).

        Raises
        ------
        ValueError
            For wrong shapes, and, naming the node, for parents that make no trees.
        TypeError
            For another dtype or kind.
        """
        return self._core(x, parents)

    def forward(self, x: ArrayLike, parents: ArrayLike) -> tuple[Array, Array, TreeTape]:
        """Compute h and c of every node, and a tape for ``backward``.

        Parameters
        ----------
        x : array_like
            (nodes, input_size), of the layer's dtype; lists, integers and float16 are converted.
        parents : array_like of int
            (nodes,): each node's parent, or -1 for a root. The nodes may come in any order and make
            up any number of trees. The bits of a node do not depend on the other trees.

        Returns
        -------
        h : ndarray
            (nodes, hidden_size).
        c : ndarray
            (nodes, hidden_size).
        tape : TreeTape
            What ``backward`` needs. It has copies of its own: the arrays and the weights may change
            before ``backward``.

        Raises
        ------
        ValueError
            For wrong shapes, and, naming the node, for parents that make no trees.
        TypeError
            For another dtype or kind.
        """
        result: tuple[Array, Array, Any] = self._core.forward(x, parents)
        return result

    def __repr__(self) -> str:
        bias = "" if self.bias else ", bias=False"
        return f"ChildSumTreeLSTM({self.input_size}, {self.hidden_size}{bias}, dtype={self.dtype})"


@public
class NaryTreeLSTM(_TreeLSTM):
    """The N-ary Tree-LSTM, in which a node has up to ``arity`` children, each in a slot of its own.

    A node with input x and children in slots k = 0.. computes, with s = [h_0, h_1, ..] and zeros
    for a child that is not there [1]_::

        i, g, o = sigmoid, tanh, sigmoid(W x + U s + b)     f_k = sigmoid(W_f x + U_fk s + b_f)
        c = i g + sum_k f_k c_k                             h = o tanh(c)

    Parameters
    ----------
    input_size : int
        Numbers in each x.
    hidden_size : int
        H, the numbers in each h and c.
    arity : int
        The most children that a node may have.
    bias : bool, optional
        Whether there are biases.
    dtype : dtype_like, optional
        ``np.float32`` or ``np.float64``.
    seed : int, optional
        What the weights are drawn from; None draws them at random.

    Raises
    ------
    ValueError
        For sizes below 1 or another dtype; the text names the argument.
    TypeError
        For arguments of the wrong kind.

    Notes
    -----
    The options are attributes of the same names. The weights are

    - ``weight_ih`` (4 H, input_size), with rows in the order i, f, g, o;
    - ``weight_hh_iog`` (3 H, arity H), with rows in the order i, o, g and a block of columns for
      each child;
    - ``weight_hh_f`` (arity H, arity H), in which block k of the rows is the forget gate of child
      k;
    - ``bias`` (4 H,), in the order i, f, g, o.

    They start uniform in +-1/sqrt(H).

    References
    ----------
    .. [1] K. S. Tai, R. Socher and C. D. Manning, "Improved Semantic Representations From
       Tree-Structured Long Short-Term Memory Networks", ACL 2015, arXiv:1503.00075.
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
        """Compute h and c of every node.

        Parameters
        ----------
        x : array_like
            (nodes, input_size), of the layer's dtype; lists, integers and float16 are converted.
        parents : array_like of int
            (nodes,): each node's parent, or -1 for a root. The nodes may come in any order and make
            up any number of trees. The bits of a node do not depend on the other trees.
        slots : array_like of int
            (nodes,), each from 0 to arity - 1: which child of its parent a node is. That of a root
            is ignored.

        Returns
        -------
        h : ndarray
            (nodes, hidden_size).
        c : ndarray
            (nodes, hidden_size).

        Raises
        ------
        ValueError
            For wrong shapes, and, naming the node, for parents that make no trees and for a slot
            that is out of range or taken twice.
        TypeError
            For another dtype or kind.
        """
        return self._core(x, parents, slots)

    def forward(
        self, x: ArrayLike, parents: ArrayLike, slots: ArrayLike
    ) -> tuple[Array, Array, TreeTape]:
        """Compute h and c of every node, and a tape for ``backward``.

        Parameters
        ----------
        x : array_like
            (nodes, input_size), of the layer's dtype; lists, integers and float16 are converted.
        parents : array_like of int
            (nodes,): each node's parent, or -1 for a root. The nodes may come in any order and make
            up any number of trees. The bits of a node do not depend on the other trees.
        slots : array_like of int
            (nodes,), each from 0 to arity - 1: which child of its parent a node is. That of a root
            is ignored.

        Returns
        -------
        h : ndarray
            (nodes, hidden_size).
        c : ndarray
            (nodes, hidden_size).
        tape : TreeTape
            What ``backward`` needs. It has copies of its own: the arrays and the weights may change
            before ``backward``.

        Raises
        ------
        ValueError
            For wrong shapes, and, naming the node, for parents that make no trees and for a slot
            that is out of range or taken twice.
        TypeError
            For another dtype or kind.
        """
        result: tuple[Array, Array, Any] = self._core.forward(x, parents, slots)
        return result

    def __repr__(self) -> str:
        bias = "" if self.bias else ", bias=False"
        sizes = f"{self.input_size}, {self.hidden_size}, {self.arity}"
        return f"NaryTreeLSTM({sizes}{bias}, dtype={self.dtype})"
