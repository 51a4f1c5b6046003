"""The dense layer."""

from __future__ import annotations

from typing import Any, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, DTypeLike

from .. import _core
from ._arguments import check_tape, flag, float_dtype, size, text
from ._options import public
from ._weights import Array, Weighted

DenseTape: TypeAlias = _core.DenseTape32 | _core.DenseTape64


class DenseGradients(NamedTuple):
    """What ``Dense.backward`` returns: gradients, each in the shape of what it belongs to."""

    x: Array
    weights: dict[str, Array]


@public
class Dense(Weighted):
    """y = f(W x + b) at every step.

    f is "identity", "tanh", "sigmoid" or "relu", or of all output_size numbers of a step together
    "softmax" or "log_softmax": these are defined as in torch.nn.functional, also for infinities,
    and a NaN stays within its step.

    Weights as torch.nn.Linear: weight (output_size, input_size), bias (output_size,). They start
    uniform in +-1/sqrt(input_size), drawn from ``seed``.

    Raises ValueError or TypeError, naming the argument, for sizes below 1, an unknown activation or
    a dtype other than float32 and float64.
    """

    def __init__(
        self,
        input_size: int,
        output_size: int,
        *,
        bias: bool = True,
        activation: str = "identity",
        dtype: DTypeLike = np.float32,
        seed: int | None = None,
    ) -> None:
        self.dtype = float_dtype(dtype)
        self.input_size = size("input_size", input_size)
        self.output_size = size("output_size", output_size)
        self.bias = flag("bias", bias)
        self.activation = text("activation", activation)
        core_type = self._core_type(_core.Dense32, _core.Dense64)
        self._core: _core._Dense[Any] = core_type(
            input_size=self.input_size,
            output_size=self.output_size,
            bias=self.bias,
            activation=self.activation,
        )
        super().__init__(seed, self.input_size**-0.5)

    def __call__(
        self, x: ArrayLike, *, lengths: ArrayLike | None = None, batch_first: bool = False
    ) -> Array:
        """Inference: x of shape (..., input_size) to y of shape (..., output_size).

        With lengths, (batch,), x is (seq, batch, input_size), or with ``batch_first`` (batch, seq,
        input_size), and y is 0 past each sequence's end. Raises ValueError for wrong shapes and
        TypeError for wrong dtypes, naming the argument.
        """
        return self._core(x, lengths, flag("batch_first", batch_first))

    def forward(
        self, x: ArrayLike, *, lengths: ArrayLike | None = None, batch_first: bool = False
    ) -> tuple[Array, DenseTape]:
        """As calling the layer, and also a tape for ``backward``: ``y, tape = ...``.

        The tape keeps its own copies: the arrays and the weights may change before ``backward``.
        """
        result: tuple[Array, Any] = self._core.forward(x, lengths, flag("batch_first", batch_first))
        return result

    def backward(self, tape: DenseTape, dy: ArrayLike) -> DenseGradients:
        """Gradients of a loss from dy, its gradient of y: ``x`` and ``weights`` by name.

        Raises ValueError for a tape of another layer or a wrong shape, TypeError for wrong kinds.
        """
        check_tape(tape, self.dtype, _core.DenseTape32, _core.DenseTape64)
        return DenseGradients(*self._core.backward(tape, dy))

    def __repr__(self) -> str:
        bias = "" if self.bias else ", bias=False"
        f = "" if self.activation == "identity" else f", activation={self.activation!r}"
        return f"Dense({self.input_size}, {self.output_size}{bias}{f}, dtype={self.dtype})"
