"""Streams over ONNX models."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..layers._arguments import size
from ..layers._weights import Array
from .operators import compute
from .recognition import Recognition


class ModelStream:
    """One step or one chunk of a model after the other, the state kept: ``y_t = stream(x_t)``.

    As the stream of a layer, which it is, with the functions behind it that no layer has (Elu, or
    Softmax of what is no dense layer).
    """

    def __init__(self, model: Recognition, batch_size: int) -> None:
        self.batch_size = size("batch_size", batch_size)
        self._tail = model.tail
        self._stream = model.stream(self.batch_size)

    def __call__(self, x: ArrayLike, out: NDArray[Any] | None = None) -> Array:
        """x and y as for a layer's stream: (input,), (batch, input), (seq, input) or of rank 3.

        With ``out``, y is written there and returned. Raises ValueError and TypeError, naming the
        argument.
        """
        y: Array = self._stream(x, out)
        if not self._tail:
            return y
        rows: Any = y.reshape(-1, y.shape[-1])
        for node in self._tail:
            rows = compute(node, [rows])[0]
        result = rows.reshape(y.shape)
        if out is None:
            return np.asarray(result)
        y[...] = result
        return y

    @property
    def state(self) -> Any:
        """As that of the layer's or the chain's stream: reading copies it, writing sets it."""
        return self._stream.state

    @state.setter
    def state(self, value: Any) -> None:
        self._stream.state = value

    def reset(self) -> None:
        """Back to the zero state."""
        self._stream.reset()
