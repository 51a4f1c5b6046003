"""The dense layer."""

from __future__ import annotations

from typing import Any, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, DTypeLike

from .. import _core
from ._arguments import check_tape, flag, float_dtype, size, text
from ._options import public
from ._weights import Array, Weighted
from .quantized import Quantizable

DenseTape: TypeAlias = _core.DenseTape32 | _core.DenseTape64


class DenseGradients(NamedTuple):
    """What ``Dense.backward`` returns, each in the shape of what it belongs to.

    Attributes
    ----------
    x : ndarray or None
        The gradient of x, in its shape; None where it was not wanted.
    weights : dict of str to ndarray
        The gradient of each weight, by its name.
    """

    x: Any
    weights: dict[str, Array]


@public
class Dense(Quantizable, Weighted):
    """A dense layer: y = f(W x + b) at every step.

    Parameters
    ----------
    input_size : int
        Numbers in each x.
    output_size : int
        Numbers in each y.
    bias : bool, optional
        Whether there is a b.
    activation : str, optional
        The function f: ``"identity"``, ``"tanh"``, ``"sigmoid"`` or ``"relu"``; or, of all
        output_size numbers of a step together, ``"softmax"`` or ``"log_softmax"``, defined as in
        ``torch.nn.functional``, also for infinities, and a NaN stays within its step.
    batch_first : bool, optional
        Whether x and y are (batch, seq, size) instead of (seq, batch, size). This layer computes
        every step by itself, so it matters only for calls with ``lengths``, in a ``Chain`` and in
        its streams.
    dtype : dtype_like, optional
        ``np.float32`` or ``np.float64``.
    seed : int, optional
        What the weights are drawn from; None draws them at random.

    Raises
    ------
    ValueError
        For sizes below 1, an unknown activation or another dtype; the text names the argument.
    TypeError
        For arguments of the wrong kind.

    Notes
    -----
    The options are attributes of the same names. The weights are those of ``torch.nn.Linear``:
    ``weight`` (output_size, input_size) and ``bias`` (output_size,). They start uniform in
    +-1/sqrt(input_size).
    """

    def __init__(
        self,
        input_size: int,
        output_size: int,
        *,
        bias: bool = True,
        activation: str = "identity",
        batch_first: bool = False,
        dtype: DTypeLike = np.float32,
        seed: int | None = None,
    ) -> None:
        self.dtype = float_dtype(dtype)
        self.input_size = size("input_size", input_size)
        self.output_size = size("output_size", output_size)
        self.bias = flag("bias", bias)
        self.activation = text("activation", activation)
        self.batch_first = flag("batch_first", batch_first)
        core_type = self._core_type(_core.Dense32, _core.Dense64)
        self._core: _core._Dense[Any] = core_type(
            input_size=self.input_size,
            output_size=self.output_size,
            bias=self.bias,
            activation=self.activation,
        )
        super().__init__(seed, self.input_size**-0.5)

    def __call__(self, x: ArrayLike, *, lengths: ArrayLike | None = None) -> Array:
        """Compute y.

        Parameters
        ----------
        x : array_like
            (..., input_size), of the layer's dtype; lists, integers and float16 are converted. With
            ``lengths`` it is (seq, batch, input_size), or with ``batch_first`` (batch, seq,
            input_size).
        lengths : array_like of int, optional
            (batch,), each from 0 to seq, in any order.

        Returns
        -------
        ndarray
            The y, in x's shape but with output_size columns; 0 past the end of a sequence.

        Raises
        ------
        ValueError
            For wrong shapes or lengths; the text names the argument.
        TypeError
            For another dtype or kind.
        """
        return self._core(x, lengths, self.batch_first)

    def forward(self, x: ArrayLike, *, lengths: ArrayLike | None = None) -> tuple[Array, DenseTape]:
        """Compute y, and a tape for ``backward``.

        Parameters
        ----------
        x : array_like
            (..., input_size), as when calling the layer.
        lengths : array_like of int, optional
            (batch,), each from 0 to seq, in any order.

        Returns
        -------
        y : ndarray
            In x's shape but with output_size columns; 0 past the end of a sequence.
        tape : DenseTape
            What ``backward`` needs. It has copies of its own: the arrays and the weights may change
            before ``backward``.

        Raises
        ------
        ValueError
            For wrong shapes or lengths; the text names the argument.
        TypeError
            For another dtype or kind.
        """
        result: tuple[Array, Any] = self._core.forward(x, lengths, self.batch_first)
        return result

    def backward(
        self, tape: DenseTape, dy: ArrayLike, *, input_gradient: bool = True
    ) -> DenseGradients:
        """Compute the gradients of a loss from its gradient of y.

        Parameters
        ----------
        tape : DenseTape
            What ``forward`` returned. It may be used again.
        dy : array_like
            The gradient of y, in its shape. Past the end of a sequence it is not read.
        input_gradient : bool, optional
            Whether the gradient of x is wanted. It is None otherwise, and takes no time.

        Returns
        -------
        DenseGradients
            ``x`` and ``weights``.

        Raises
        ------
        ValueError
            For the tape of another layer or a wrong shape.
        TypeError
            For another dtype or kind.
        """
        check_tape(tape, self.dtype, _core.DenseTape32, _core.DenseTape64)
        return DenseGradients(
            *self._core.backward(tape, dy, flag("input_gradient", input_gradient))
        )

    def __repr__(self) -> str:
        bias = "" if self.bias else ", bias=False"
        f = "" if self.activation == "identity" else f", activation={self.activation!r}"
        first = ", batch_first=True" if self.batch_first else ""
        return f"Dense({self.input_size}, {self.output_size}{bias}{f}{first}, dtype={self.dtype})"
