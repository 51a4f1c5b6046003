"""Streams over ONNX models."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..layers._arguments import size
from ..layers._weights import Array
from .operators import compute
from .recognition import Recognition

if TYPE_CHECKING:
    from typing_extensions import Self


class ModelStream:
    """A stream over an ONNX model: one step or one chunk at a time, the state kept.

    Made by ``Model.stream``. It is the stream of a layer, with the functions behind it that no
    layer has, such as Elu, or Softmax of what is no dense layer.

    Attributes
    ----------
    batch_size : int
        Sequences side by side.
    """

    def __init__(self, model: Recognition, batch_size: int) -> None:
        self.batch_size = size("batch_size", batch_size)
        self._tail = model.tail
        self._stream = model.stream(self.batch_size)

    def __copy__(self) -> Self:
        """Another one with a state of its own."""
        twin = type(self).__new__(type(self))
        vars(twin).update(vars(self), _stream=copy.copy(self._stream))
        return twin

    def __call__(self, x: ArrayLike, out: NDArray[Any] | None = None) -> Array:
        """Compute the outputs for x, and go on to the next state.

        Parameters
        ----------
        x : array_like
            One step, (input,) or for a batch (batch, input); or a chunk, (seq, input) or with the
            axes of the model's input.
        out : ndarray, optional
            An array to write the outputs to.

        Returns
        -------
        ndarray
            The outputs, in x's shape with the model's output size last; ``out``, if it was given.

        Raises
        ------
        ValueError
            For wrong shapes; the text names the argument.
        TypeError
            For another dtype.
        """
        if not self._tail:
            whole: Array = self._stream(x, out)
            return whole
        before = self._stream.state
        try:
            y: Array = self._stream(x, out)
            rows: Any = y.reshape(-1, y.shape[-1])
            for node in self._tail:
                rows = compute(node, [rows])[0]
            result = np.asarray(rows.reshape(y.shape))
            if out is None:
                return result
            y[...] = result
        except BaseException:  # then it has not gone on
            self._stream.state = before
            raise
        return y

    @property
    def state(self) -> Any:
        """A copy of the state, as the stream of a layer or chain has it; assigning sets it."""
        return self._stream.state

    @state.setter
    def state(self, value: Any) -> None:
        self._stream.state = value

    def reset(self) -> None:
        """Go back to the zero state."""
        self._stream.reset()
