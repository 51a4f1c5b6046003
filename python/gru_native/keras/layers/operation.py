"""What all layers have in common that are one block of the core without a state."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from numpy.typing import ArrayLike

from ...layers import Block
from ...layers._weights import Array
from .._assignment import Assignment
from .base import Layer, Masked, array_of


class Operation(Layer):
    """A layer that is one block of the core. Its class sets name, keras_class and layer."""

    layer: Any
    options: Mapping[str, Any]  # Keras's, with which it can be made again
    _hands_masks_on = False  # Keras drops masks behind other layers

    def __call__(self, x: ArrayLike) -> Array:
        """Compute what the Keras layer computes.

        Parameters
        ----------
        x : array_like
            (batch, seq, features), for a normalisation (..., features).

        Returns
        -------
        ndarray
            The outputs.

        Raises
        ------
        ValueError
            For wrong shapes; the text names the argument.
        TypeError
            For another dtype.
        """
        return self._compute(self._checked(x))

    def _checked(self, x: ArrayLike) -> Any:
        """x with the axes that the layer reads."""
        return array_of(x, str(self.layer.dtype), 3, "(batch, seq_len, features)")

    def _compute(self, x: Any) -> Array:
        y: Array = self.layer(x)
        return y

    def _run(self, x: Any, mask: Array | None) -> Masked:
        return self(x), mask if self._hands_masks_on else None

    def _native_arrays(self) -> Iterator[tuple[str, Array]]:
        """The core's name and array of each of Keras's tensors, in Keras's order and form."""
        return iter(())

    def _to_native(self, name: str, array: Array) -> Array:
        return array

    def _tensors(self) -> Iterator[tuple[str, Array]]:
        for i, (_, array) in enumerate(self._native_arrays()):
            yield f"vars/{i}", array

    def _assign(self, arrays: Iterator[Array], into: Assignment) -> None:
        own = [name for name, _ in self._native_arrays()]
        if own:
            weights = into.weights(self.layer)
            for name in own:
                weights[name] = self._to_native(name, next(arrays))

    def _sizes(self) -> tuple[int | None, int | None]:
        size = self.layer.input_size
        return size, self.layer._output_size(size)

    def _blocks(self, last: bool) -> list[Block]:
        return [self.layer]

    def _to_keras(self, keras: Any) -> Any:
        kind = getattr(keras.layers, self.keras_class)
        return kind(**self.options, name=self.name, dtype=str(self.layer.dtype))

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.name!r}, {self.layer})"
