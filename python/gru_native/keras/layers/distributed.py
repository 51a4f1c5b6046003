"""A layer or a model at each step."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from numpy.typing import ArrayLike

from ..._core import numpy_array
from ...layers import Activation, BatchNorm1d, Block, Dense, LayerNorm, Parallel, Residual
from ...layers._weights import Array
from .._assignment import Assignment
from .._config import Entry
from .._places import Place
from .._source import Source
from .base import Composite, Layer, Masked
from .dense import distributed_dense
from .registry import build, builds
from .reshaping import Reshape, columns_of

_EACH_STEP = (Activation, BatchNorm1d, Dense, LayerNorm)


class TimeDistributed(Layer):
    """A layer or a model that sees each step by itself.

    Made by ``from_keras`` and ``load``. TimeDistributed(Dense) is a ``Dense``.

    Attributes
    ----------
    name : str
        Keras's name of the layer.
    keras_class : str
        The layer's class in Keras.
    layer : Layer
        What is at each step.
    """

    keras_class = "TimeDistributed"
    _reads_masks = True

    def __init__(self, name: str, layer: Layer, dtype: str) -> None:
        self.name, self.layer, self.dtype = name, layer, dtype

    def __call__(self, x: ArrayLike) -> Array:
        """Compute what the Keras layer computes.

        Parameters
        ----------
        x : array_like
            (batch, seq, ...).

        Returns
        -------
        ndarray
            The outputs, (batch, seq, ...).

        Raises
        ------
        ValueError
            For wrong shapes; the text names the layer.
        TypeError
            For another dtype.
        """
        return self._run(x, None)[0]  # type: ignore[no-any-return]

    def _run(self, x: Any, mask: Array | None) -> Masked:
        array = numpy_array("x", x, "numbers")
        if array.ndim < 2:
            raise ValueError(f"x has shape {array.shape}; expected (batch, seq_len, ...)")
        if mask is not None and self.layer._reads_masks:
            raise ValueError(f"has a mask, and so has layer {self.layer.name!r} at each step")
        batch, steps = array.shape[:2]
        y, _ = self.layer._run(array.reshape(batch * steps, *array.shape[2:]), None)
        if isinstance(y, tuple):
            raise ValueError(f"layer {self.layer.name!r} has several outputs; expected one")
        return y.reshape(batch, steps, *y.shape[1:]), mask

    def _leaves(self) -> list[Layer]:
        return self.layer._leaves()

    def _tensors(self) -> Iterator[tuple[str, Array]]:
        for path, _, array in self._named():
            yield path, array

    def _named(self) -> Iterator[tuple[str, str, Array]]:
        for path, name, array in self.layer._named():
            yield f"layer/{path}", name, array

    def _assign(self, arrays: Iterator[Array], into: Assignment) -> None:
        self.layer._assign(arrays, into)

    def _sizes(self) -> tuple[int | None, int | None]:
        return self.layer._sizes()

    def _chained(self, place: Place, last: bool) -> tuple[list[Block], Place]:
        inner = self.layer
        shape = place.shape
        refused = ValueError(
            f"layer {self.name!r} (TimeDistributed) has {inner.name!r} ({inner.keras_class}) at "
            "each step, which a Chain cannot have"
        )
        if place.axes is not None:
            target = inner._flat_target() if isinstance(inner, Reshape) else None
            if target is None or place.zeros is not None:
                raise refused
            return columns_of(place, (None, target), self.dtype, refused)
        if shape is not None and len(shape) != 2:
            raise refused
        features = Place(None if shape is None else shape[-1:], order=place.order)
        try:
            blocks, after = inner._chained(features, True)
        except ValueError as error:
            raise ValueError(f"layer {self.name!r} (TimeDistributed): {error}") from error
        if not all(map(_sees_one_step, blocks)):
            raise refused
        if after.shape is None or shape is None:
            return blocks, replace(after, shape=None)
        return blocks, replace(after, shape=(*shape[:-1], *after.shape))

    def _to_keras(self, keras: Any) -> Any:
        inner = self.layer._to_keras(keras)
        return keras.layers.TimeDistributed(inner, name=self.name, dtype=self.dtype)

    def __repr__(self) -> str:
        return f"TimeDistributed({self.name!r}, {self.layer})"


def _sees_one_step(block: Any) -> bool:
    if isinstance(block, Residual):
        return _sees_one_step(block.block)
    inner = block.blocks if isinstance(block, Parallel) or hasattr(block, "blocks") else None
    return isinstance(block, _EACH_STEP) if inner is None else all(map(_sees_one_step, inner))


@builds("TimeDistributed")
def _time_distributed(entry: Entry, source: Source, path: str) -> Layer:
    inner = entry.entry("layer")
    if inner.keras_class == "Dense":
        return distributed_dense(inner, source, f"{path}layer/", entry.name)
    layer = build(inner, source, f"{path}layer/")
    if isinstance(layer, Composite) and layer._num_inputs != 1:
        raise ValueError(f"{entry.where}: layer has {layer._num_inputs} inputs; expected one")
    return TimeDistributed(entry.name, layer, entry.dtype())
