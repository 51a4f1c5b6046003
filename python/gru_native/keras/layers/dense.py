"""Dense layers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from ...layers import Activation, Block
from ...layers import Dense as NativeDense
from ...layers._weights import Array
from .._activations import DENSE, OUTPUT, RECURRENT, check_keras_3
from .._assignment import Assignment
from .._config import Entry
from .._source import Source, take
from .base import Layer, Masked, Shape
from .registry import builds


class Dense(Layer):
    """Dense, or TimeDistributed(Dense), which is the same on arrays.

    Made by ``from_keras`` and ``load``.

    Attributes
    ----------
    name : str
        Keras's name of the layer.
    keras_class : str
        The layer's class in Keras.
    activation : str
        Keras's name of the activation. It is computed in NumPy if the core has no such function.
    time_distributed : str or None
        Keras's name of the TimeDistributed around it.
    layer : gru_native.Dense
        The core's layer, with ``batch_first``.
    """

    def __init__(
        self,
        name: str,
        activation: str,
        arrays: Mapping[str, Array],
        time_distributed: str | None = None,
    ) -> None:
        if activation not in OUTPUT:
            raise ValueError(
                f"layer {name!r}: activation is {activation!r}; expected one of {', '.join(OUTPUT)}"
            )
        self.name, self.activation, self.time_distributed = name, activation, time_distributed
        self.keras_class = "Dense" if time_distributed is None else "TimeDistributed"
        self.layer = NativeDense(
            *arrays["kernel"].shape,
            bias="bias" in arrays,
            activation=DENSE.get(activation, "identity"),
            batch_first=True,
            dtype=arrays["kernel"].dtype,
            seed=0,
        )
        self._set(arrays.values())

    def __call__(self, x: ArrayLike) -> Array:
        """Compute what the Keras layer computes.

        Parameters
        ----------
        x : array_like
            (..., input).

        Returns
        -------
        ndarray
            The outputs, (..., units).

        Raises
        ------
        ValueError
            For wrong shapes; the text names the argument.
        TypeError
            For another dtype.
        """
        y = self.layer(x)
        return y if self.activation in DENSE else OUTPUT[self.activation](y)

    def _run(self, x: Any, mask: Array | None) -> Masked:
        return self(x), mask

    def _tensors(self) -> Iterator[tuple[str, Array]]:
        path = "vars" if self.time_distributed is None else "layer/vars"
        yield f"{path}/0", np.ascontiguousarray(self.layer.weights["weight"].T)
        if self.layer.bias:
            yield f"{path}/1", self.layer.weights["bias"]

    def _assign(self, arrays: Iterator[Array], into: Assignment) -> None:
        weights = into.weights(self.layer)
        weights["weight"] = next(arrays).T
        if self.layer.bias:
            weights["bias"] = next(arrays)

    def _sizes(self) -> tuple[int | None, int | None]:
        return self.layer.input_size, self.layer.output_size

    def _blocks(self, last: bool) -> list[Block]:
        if self.activation in DENSE:
            return [self.layer]
        if self.activation not in RECURRENT:
            raise ValueError(
                f"layer {self.name!r} has activation {self.activation!r}, which a Chain cannot "
                f"have; expected one of {', '.join([*RECURRENT, 'softmax', 'log_softmax'])}"
            )
        function = RECURRENT[self.activation]
        return [self.layer, Activation(function, batch_first=True, dtype=self.layer.dtype)]

    def _input_shape(self) -> Shape:
        size = self.layer.input_size
        return (None, size) if self.time_distributed is None else (None, None, size)

    def _to_keras(self, keras: Any) -> Any:
        check_keras_3(f"layer {self.name!r}", self.activation)
        dtype = str(self.layer.dtype)
        dense = keras.layers.Dense(
            self.layer.output_size,
            activation=self.activation,
            use_bias=self.layer.bias,
            name=self.name,
            dtype=dtype,
        )
        if self.time_distributed is None:
            return dense
        return keras.layers.TimeDistributed(dense, name=self.time_distributed, dtype=dtype)

    def __repr__(self) -> str:
        return f"Dense({self.name!r}, {self.layer}, activation={self.activation!r})"


def distributed_dense(
    entry: Entry, source: Source, path: str, time_distributed: str | None
) -> Dense:
    """One at each step; None: without a TimeDistributed around it."""
    entry.absent("lora_rank")
    units, dtype = entry.size("units"), entry.dtype()
    arrays = {"kernel": take(source, f"{path}vars/0", "kernel", (None, units), dtype)}
    if entry.flag("use_bias", True):
        arrays["bias"] = take(source, f"{path}vars/1", "bias", (units,), dtype)
    source.close_vars(f"{path}vars", len(arrays))
    return Dense(entry.name, entry.activation("activation", "linear"), arrays, time_distributed)


@builds("Dense")
def _dense(entry: Entry, source: Source, path: str) -> Dense:
    return distributed_dense(entry, source, path, None)
