"""Output recurrence: argument names and documentation. The mathematics is in cpp/."""

from __future__ import annotations

from typing import Any, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, DTypeLike

from .. import _core
from ._arguments import check_tape, flag, float_dtype, size, text
from ._options import public
from ._weights import Array, Weighted
from .quantized import Quantizable

OutputTape: TypeAlias = _core.OutputRnnTape32 | _core.OutputRnnTape64


class OutputGradients(NamedTuple):
    """What ``OutputRNN.backward`` returns, each in the shape of what it belongs to.

    Attributes
    ----------
    x : ndarray
        The gradient of x, in its shape.
    state : ndarray
        The gradient of the initial state.
    targets : ndarray or None
        The gradient of the targets; None if the call had none.
    weights : dict of str to ndarray
        The gradient of each weight, by its name.
    """

    x: Array
    state: Array
    targets: Array | None
    weights: dict[str, Array]


@public
class OutputRNN(Quantizable, Weighted):
    """A network that feeds back its output instead of its state (Jordan network).

    It computes [1]_::

        h(t) = phi(W_ih x(t) + W_oh o(t-1) + b_h)       y(t) = o(t) = psi(W_ho h(t) + b_o)

    It can do less than an RNN of the same size, because the output must hold all that is known of
    the past. But it can be taught with teacher forcing [2]_ [3]_: a call with ``targets`` feeds the
    wanted output of each step to the next one in place of o. No step then waits for another, and
    all are computed at once, as products over the whole sequence, forward and backward. Without
    targets it runs freely, step by step. If the targets are its own outputs, both give the same
    bits.

    Parameters
    ----------
    input_size : int
        Numbers in each x.
    hidden_size : int
        Numbers in each h.
    output_size : int
        Numbers in each y.
    activation : {"tanh", "sigmoid", "relu", "identity"}, optional
        The function phi.
    output_activation : {"identity", "tanh", "sigmoid", "relu"}, optional
        The function psi.
    bias : bool, optional
        Whether there are b_h and b_o.
    batch_first : bool, optional
        Whether x, y and targets are (batch, seq, size) instead of (seq, batch, size).
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
    The options are attributes of the same names. The weights are ``weight_ih`` (hidden_size,
    input_size), ``weight_oh`` (hidden_size, output_size), ``bias_h`` (hidden_size,), ``weight_ho``
    (output_size, hidden_size) and ``bias_o`` (output_size,). They start uniform in
    +-1/sqrt(hidden_size).

    References
    ----------
    .. [1] M. I. Jordan, "Serial Order: A Parallel Distributed Processing Approach", ICS Report
       8604, University of California, San Diego, 1986.
    .. [2] R. J. Williams and D. Zipser, "A Learning Algorithm for Continually Running Fully
       Recurrent Neural Networks", Neural Computation 1, 1989.
    .. [3] I. Goodfellow, Y. Bengio and A. Courville, "Deep Learning", MIT Press, 2016, section
       10.2.1.
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        output_size: int,
        *,
        activation: str = "tanh",
        output_activation: str = "identity",
        bias: bool = True,
        batch_first: bool = False,
        dtype: DTypeLike = np.float32,
        seed: int | None = None,
    ) -> None:
        self.dtype = float_dtype(dtype)
        self.input_size = size("input_size", input_size)
        self.hidden_size = size("hidden_size", hidden_size)
        self.output_size = size("output_size", output_size)
        self.activation = text("activation", activation)
        self.output_activation = text("output_activation", output_activation)
        self.bias = flag("bias", bias)
        self.batch_first = flag("batch_first", batch_first)
        core_type = self._core_type(_core.OutputRnn32, _core.OutputRnn64)
        self._core: _core._OutputRnn[Any] = core_type(
            input_size=self.input_size,
            hidden_size=self.hidden_size,
            output_size=self.output_size,
            bias=self.bias,
            batch_first=self.batch_first,
            activation=self.activation,
            output_activation=self.output_activation,
        )
        super().__init__(seed, self.hidden_size**-0.5)

    def __call__(
        self,
        x: ArrayLike,
        state: ArrayLike | None = None,
        *,
        targets: ArrayLike | None = None,
        lengths: ArrayLike | None = None,
    ) -> tuple[Array, Array]:
        """Compute the outputs and the final state.

        Parameters
        ----------
        x : array_like
            (seq, batch, input_size), with ``batch_first`` (batch, seq, input_size), or without a
            batch (seq, input_size); of the layer's dtype.
        state : array_like, optional
            What the first step is fed, (1, batch, output_size), without batch if x has none. None
            means zeros.
        targets : array_like, optional
            Shaped as y. Step t feeds targets[t] to step t + 1.
        lengths : array_like of int, optional
            (batch,), each from 0 to seq, in any order; a length of 0 hands the state through.

        Returns
        -------
        y : ndarray
            Shaped as x, with output_size columns; 0 past the end of a sequence.
        state : ndarray
            What the next step would be fed: the last output, or the last target.

        Raises
        ------
        ValueError
            For wrong shapes or values; the text names the argument.
        TypeError
            For another dtype or kind.
        """
        return self._core(x, state, targets, lengths)

    def forward(
        self,
        x: ArrayLike,
        state: ArrayLike | None = None,
        *,
        targets: ArrayLike | None = None,
        lengths: ArrayLike | None = None,
    ) -> tuple[Array, Array, OutputTape]:
        """Compute the outputs and the final state, and a tape for ``backward``.

        Parameters
        ----------
        x : array_like
            (seq, batch, input_size), with ``batch_first`` (batch, seq, input_size), or without a
            batch (seq, input_size); of the layer's dtype.
        state : array_like, optional
            What the first step is fed, (1, batch, output_size), without batch if x has none. None
            means zeros.
        targets : array_like, optional
            Shaped as y. Step t feeds targets[t] to step t + 1.
        lengths : array_like of int, optional
            (batch,), each from 0 to seq, in any order; a length of 0 hands the state through.

        Returns
        -------
        y : ndarray
            Shaped as x, with output_size columns; 0 past the end of a sequence.
        state : ndarray
            What the next step would be fed: the last output, or the last target.
        tape : OutputTape
            What ``backward`` needs. It has copies of its own: the arrays and the weights may change
            before ``backward``.

        Raises
        ------
        ValueError
            For wrong shapes or values; the text names the argument.
        TypeError
            For another dtype or kind.
        """
        result: tuple[Array, Array, Any] = self._core.forward(x, state, targets, lengths)
        return result

    def backward(
        self, tape: OutputTape, dy: ArrayLike | None = None, dstate: ArrayLike | None = None
    ) -> OutputGradients:
        """Compute the gradients of a loss from those of the outputs and of the final state.

        Parameters
        ----------
        tape : OutputTape
            What ``forward`` returned. It may be used again.
        dy : array_like, optional
            The gradient of y, in its shape; None means zeros.
        dstate : array_like, optional
            The gradient of the final state, in its shape; None means zeros. Not both may be None.

        Returns
        -------
        OutputGradients
            ``x``, ``state`` (the initial one's), ``targets`` and ``weights``.

        Raises
        ------
        ValueError
            For the tape of another layer or a wrong shape.
        TypeError
            For another dtype or kind.
        """
        check_tape(tape, self.dtype, _core.OutputRnnTape32, _core.OutputRnnTape64)
        return OutputGradients(*self._core.backward(tape, dy, dstate))

    def __repr__(self) -> str:
        options = {
            "activation": (self.activation, "tanh"),
            "output_activation": (self.output_activation, "identity"),
            "bias": (self.bias, True),
            "batch_first": (self.batch_first, False),
        }
        changed = [f", {name}={v!r}" for name, (v, usual) in options.items() if v != usual]
        sizes = f"{self.input_size}, {self.hidden_size}, {self.output_size}"
        return f"OutputRNN({sizes}{''.join(changed)}, dtype={self.dtype})"
