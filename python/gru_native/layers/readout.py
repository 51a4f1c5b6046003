"""What is read off a gated graph network: argument names and documentation. See cpp/."""

from __future__ import annotations

from typing import Any, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, DTypeLike

from .. import _core
from ._arguments import check_tape, float_dtype, size
from ._options import public
from ._weights import Array, Weighted
from .quantized import Quantizable

ReadoutTape: TypeAlias = _core.ReadoutTape32 | _core.ReadoutTape64


class ReadoutGradients(NamedTuple):
    """What the ``backward`` of a readout returns, each in the shape of what it belongs to.

    Attributes
    ----------
    h : ndarray
        The gradient of h, in its shape.
    annotations : ndarray
        The gradient of the annotations, in their shape.
    weights : dict of str to ndarray
        The gradient of each weight, by its name.
    """

    h: Array
    annotations: Array
    weights: dict[str, Array]


class _Readout(Quantizable, Weighted):
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
        """Compute the gradients of a loss from its gradient of y.

        Parameters
        ----------
        tape : ReadoutTape
            What ``forward`` returned. It may be used again.
        dy : array_like
            The gradient of y, in its shape.

        Returns
        -------
        ReadoutGradients
            ``h``, ``annotations`` and ``weights``.

        Raises
        ------
        ValueError
            For the tape of another readout or a wrong shape.
        TypeError
            For another dtype or kind.
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
    """Scores of the nodes of a graph: f(z) sigmoid(g(z)), with z = [h; x] and linear f and g [1]_.

    To select a node, put a softmax over the scores of a graph.

    Parameters
    ----------
    hidden_size : int
        Numbers in each h.
    annotation_size : int
        A, the numbers in each annotation.
    output_size : int, optional
        Scores for each node.
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

    See Also
    --------
    GatedGraph : Where h comes from.

    Notes
    -----
    The options are attributes of the same names. The weights are ``weight_f`` and ``weight_g``
    (output_size, hidden_size + A), ``bias_f`` and ``bias_g`` (output_size,). They start uniform in
    +-1/sqrt(hidden_size + A).

    References
    ----------
    .. [1] Y. Li, D. Tarlow, M. Brockschmidt and R. Zemel, "Gated Graph Sequence Neural Networks",
       ICLR 2016, arXiv:1511.05493.
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
        """Compute the scores of the nodes.

        Parameters
        ----------
        h : array_like
            (nodes, hidden_size), of the layer's dtype: the states of a ``GatedGraph``.
        annotations : array_like
            (nodes, A), of the same dtype.

        Returns
        -------
        ndarray
            The scores, (nodes, output_size).

        Raises
        ------
        ValueError
            For wrong shapes or values; the text names the argument.
        TypeError
            For another dtype or kind.
        """
        y: Array = self._core(h, annotations, None, None)
        return y

    def forward(self, h: ArrayLike, annotations: ArrayLike) -> tuple[Array, ReadoutTape]:
        """Compute the scores of the nodes, and a tape for ``backward``.

        Parameters
        ----------
        h : array_like
            (nodes, hidden_size), of the layer's dtype: the states of a ``GatedGraph``.
        annotations : array_like
            (nodes, A), of the same dtype.

        Returns
        -------
        y : ndarray
            The scores, (nodes, output_size).
        tape : ReadoutTape
            What ``backward`` needs. It has copies of its own: the arrays and the weights may change
            before ``backward``.

        Raises
        ------
        ValueError
            For wrong shapes or values; the text names the argument.
        TypeError
            For another dtype or kind.
        """
        result: tuple[Array, Any] = self._core.forward(h, annotations, None, None)
        return result


@public
class GraphSum(_Readout):
    """A vector for each graph: tanh of a sum over its nodes of tanh(f(z)) sigmoid(g(z)) [1]_.

    z is [h; x], and f and g are linear (i and j in the paper are g and f).

    Parameters
    ----------
    hidden_size : int
        Numbers in each h.
    annotation_size : int
        A, the numbers in each annotation.
    output_size : int
        Numbers in each graph's vector.
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

    See Also
    --------
    GatedGraph : Where h comes from.

    Notes
    -----
    The options are attributes of the same names. The weights are ``weight_f`` and ``weight_g``
    (output_size, hidden_size + A), ``bias_f`` and ``bias_g`` (output_size,). They start uniform in
    +-1/sqrt(hidden_size + A).

    References
    ----------
    .. [1] Y. Li, D. Tarlow, M. Brockschmidt and R. Zemel, "Gated Graph Sequence Neural Networks",
       ICLR 2016, arXiv:1511.05493.
    """

    _sums = True

    def __call__(
        self,
        h: ArrayLike,
        annotations: ArrayLike,
        graph: ArrayLike | None = None,
        num_graphs: int | None = None,
    ) -> Array:
        """Compute a vector for each graph.

        Parameters
        ----------
        h : array_like
            (nodes, hidden_size), of the layer's dtype: the states of a ``GatedGraph``.
        annotations : array_like
            (nodes, A), of the same dtype.
        graph : array_like of int, optional
            (nodes,): which graph each node belongs to, in any order; None means that there is one.
        num_graphs : int, optional
            How many graphs there are; by default one more than the largest number in ``graph``. A
            graph without nodes has zeros.

        Returns
        -------
        ndarray
            The vectors, (num_graphs, output_size).

        Raises
        ------
        ValueError
            For wrong shapes or values; the text names the argument.
        TypeError
            For another dtype or kind.
        """
        y: Array = self._core(h, annotations, graph, _count(num_graphs))
        return y

    def forward(
        self,
        h: ArrayLike,
        annotations: ArrayLike,
        graph: ArrayLike | None = None,
        num_graphs: int | None = None,
    ) -> tuple[Array, ReadoutTape]:
        """Compute a vector for each graph, and a tape for ``backward``.

        Parameters
        ----------
        h : array_like
            (nodes, hidden_size), of the layer's dtype: the states of a ``GatedGraph``.
        annotations : array_like
            (nodes, A), of the same dtype.
        graph : array_like of int, optional
            (nodes,): which graph each node belongs to, in any order; None means that there is one.
        num_graphs : int, optional
            How many graphs there are; by default one more than the largest number in ``graph``. A
            graph without nodes has zeros.

        Returns
        -------
        y : ndarray
            The vectors, (num_graphs, output_size).
        tape : ReadoutTape
            What ``backward`` needs. It has copies of its own: the arrays and the weights may change
            before ``backward``.

        Raises
        ------
        ValueError
            For wrong shapes or values; the text names the argument.
        TypeError
            For another dtype or kind.
        """
        count = _count(num_graphs)
        result: tuple[Array, Any] = self._core.forward(h, annotations, graph, count)
        return result


def _count(num_graphs: int | None) -> int | None:
    return None if num_graphs is None else size("num_graphs", num_graphs)
