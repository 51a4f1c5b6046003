"""Output recurrence: argument names and documentation. The mathematics is in cpp/."""

from __future__ import annotations

from typing import Any, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, DTypeLike

from .. import _core
from ._arguments import check_tape, flag, float_dtype, size, text
from ._options import public
from ._weights import Array, Weighted

OutputTape: TypeAlias = _core.OutputRnnTape32 | _core.OutputRnnTape64


class OutputGradients(NamedTuple):
    """What ``OutputRNN.backward`` returns, each in the shape of what it belongs to.

    ``targets`` is None where the forward call had none.
    """

    x: Array
    state: Array
    targets: Array | None
    weights: dict[str, Array]


@public
class OutputRNN(Weighted):
    """A network that feeds back its output instead of its state (Jordan 1986)::

        h(t) = phi(W_ih x(t) + W_oh o(t-1) + b_h)       y(t) = o(t) = psi(W_ho h(t) + b_o)

    It can do less than an RNN of the same size, because the output must hold all that is to be
    known of the past, but it can be taught with teacher forcing (Williams and Zipser 1989;
    Goodfellow, Bengio and Courville 2016, section 10.2.1): a call with ``targets`` feeds the wanted
    output of each step to the next one in place of o. Then no step waits for another, and all of
    them are computed at once, as products over the whole sequence; backward likewise. Without
    targets it runs freely, step by step. If the targets are its own outputs, both give the same
    bits.

    Weights: weight_ih (hidden_size, input_size), weight_oh (hidden_size, output_size), bias_h
    (hidden_size,), weight_ho (output_size, hidden_size), bias_o (output_size,). They start uniform
    in +-1/sqrt(hidden_size), drawn from ``seed``. activation is phi, output_activation psi:
    "identity", "tanh", "sigmoid" or "relu".

    Raises ValueError or TypeError, naming the argument, for sizes below 1, unknown activations or a
    dtype other than float32 and float64.
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
        """Inference: ``y, state = layer(x, state=None, targets=None, lengths=None)``.

        x is (seq, batch, input_size), with ``batch_first`` (batch, seq, input_size), or unbatched
        (seq, input_size). state is what the first step is fed, (1, batch, output_size), without
        batch when x has none; None means zeros. targets, if given, are shaped as y, and step t
        feeds targets[t] to step t + 1. lengths as for the other layers: y is 0 past a sequence's
        end, and length 0 hands the state through.

        Returns y, shaped as x with output_size columns, and what the next step would be fed: the
        last output, or the last target. Raises ValueError for wrong shapes or values and TypeError
        for wrong dtypes or kinds, naming the argument.
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
        """As calling the layer, and also a tape for ``backward``: ``y, state, tape = ...``.

        The tape keeps its own copies: the arrays and the weights may change before ``backward``.
        """
        result: tuple[Array, Array, Any] = self._core.forward(x, state, targets, lengths)
        return result

    def backward(
        self, tape: OutputTape, dy: ArrayLike | None = None, dstate: ArrayLike | None = None
    ) -> OutputGradients:
        """Gradients of a loss from dy, its gradient of y, and/or dstate, of the final state.

        None means zeros, but not both may be None. A tape may be used again. Raises ValueError for
        a tape of another layer or a wrong shape, TypeError for wrong kinds.
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
