"""What all layers have in common."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import ArrayLike

from ..._core import numpy_array
from ...layers import Block
from ...layers._weights import Array
from .._assignment import Assignment
from .._cells import Slot, numbered, snake_case
from .._places import Place, in_order
from .._source import UNNAMED

Masked: TypeAlias = tuple[Any, Array | None]
Shape: TypeAlias = tuple[int | None, ...]  # with the batch
ANY = 0  # numbers a step that are not known before a call


class Layer(ABC):
    """A layer or model of Keras on this core, for inference.

    Made by ``from_keras`` and ``load``, of a class of its own. Inputs have the batch first, as in
    Keras, and the layer's dtype.

    Attributes
    ----------
    name : str
        Keras's name of the layer.
    keras_class : str
        The layer's class in Keras.
    """

    name: str
    keras_class: str
    _keeps_steps = True  # gives as many as it reads
    _reads_masks = False
    _frozen = False  # not trained in Keras, where that orders the weights of old files
    _of_numbers = False  # computes each number by itself, so that it takes images as well

    @abstractmethod
    def _to_keras(self, keras: Any) -> Any:
        """The live object of Keras, not yet with these weights."""

    def _input_shape(self) -> Shape:
        """What Keras's ``build`` needs to know of the input."""
        return (None, None, None)

    @abstractmethod
    def _run(self, x: Any, mask: Array | None) -> Masked:
        """Output and its mask, as in a Sequential."""

    def _slots(self) -> list[Slot]:
        """The cells whose weights these are, in Keras's order."""
        return []

    def _tensors(self) -> Iterator[tuple[str, Array]]:
        """Path, relative to the layer's group in a Keras file, and array, in Keras's order."""
        for slot in self._slots():
            yield from slot.tensors()

    def _named(self) -> Iterator[tuple[str, str, Array]]:
        """The same with what each is called in its layer, where that is known."""
        for path, array in self._tensors():
            yield path, UNNAMED, array

    def _leaves(self) -> list[Layer]:
        """The layers that it is made of."""
        return [self]

    def _set(self, arrays: Iterable[Array]) -> None:
        """Set the weights, which have been checked, to arrays in Keras's order."""
        new = Assignment()
        self._assign(iter(arrays), new)
        new.end()

    def _assign(self, arrays: Iterator[Array], into: Assignment) -> None:
        """Let the weights be the next arrays."""
        for slot in self._slots():
            slot.assign(arrays, into)

    def _sizes(self) -> tuple[int | None, int | None]:
        """Numbers a step that it reads and gives; None: any, and as many as it reads.

        What it gives may be ANY.
        """
        return None, None

    def _blocks(self, last: bool) -> list[Block]:
        raise ValueError(f"layer {self.name!r} ({self.keras_class}) cannot be part of a Chain")

    def _chained(self, place: Place, last: bool) -> tuple[list[Block], Place]:
        """The blocks of a chain that are this layer behind a tensor, and what they give.

        ValueError, naming the layer, for what a chain cannot express.
        """
        if place.axes is not None:
            if place.zeros is not None or not self._of_numbers:
                what = "images with zeros around them" if place.zeros else "images"
                raise ValueError(
                    f"layer {self.name!r} ({self.keras_class}) reads {what}; "
                    "a Chain has no such path"
                )
            return self._blocks(last), place
        blocks = self._blocks(last)
        if place.order is not None:
            blocks, order = in_order(self.name, blocks, place.order)
            place = replace(place, order=order)
        return blocks, self._behind(place)

    def _behind(self, place: Place) -> Place:
        """What this layer makes of sequences."""
        return place.with_features(self._sizes()[1], self._keeps_steps)

    def get_weights(self) -> list[Array]:
        """Return copies of the weights, as ``get_weights()`` of the Keras layer has them.

        Returns
        -------
        list of ndarray
            In Keras's order.
        """
        return [array.copy() for _, array in self._tensors()]

    def set_weights(self, weights: Sequence[Array]) -> None:
        """Set all weights from what ``get_weights()`` of the Keras layer returns.

        Parameters
        ----------
        weights : sequence of ndarray
            In Keras's order, shapes and dtype.

        Raises
        ------
        ValueError
            For a wrong number, shape or dtype of arrays; the text names the tensor, and nothing has
            changed.
        """
        arrays = [numpy_array(f"weights[{i}]", a, "numbers") for i, a in enumerate(weights)]
        own = list(self._tensors())
        if len(arrays) != len(own):
            raise ValueError(f"weights has {len(arrays)} arrays; expected {len(own)}")
        for array, (path, present) in zip(arrays, own, strict=True):
            if array.shape != present.shape or array.dtype != present.dtype:
                raise ValueError(
                    f"tensor {path} is {array.dtype} of shape {array.shape}; "
                    f"expected {present.dtype} of shape {present.shape}"
                )
        self._set(arrays)

    @property
    def num_parameters(self) -> int:
        """The number of weights, as ``count_params()`` of the Keras layer has it."""
        return sum(array.size for _, array in self._tensors())


class Composite(Layer):
    """A model, whose weights are those of its layers."""

    layers: tuple[Layer, ...]
    _reads_masks = True

    @property
    def _num_inputs(self) -> int:
        return 1

    @property
    def _num_outputs(self) -> int:
        return 1

    def _leaves(self) -> list[Layer]:
        return [leaf for layer in self.layers for leaf in layer._leaves()]

    def _sizes(self) -> tuple[int | None, int | None]:
        return None, ANY  # its layers say so

    def _tensors(self) -> Iterator[tuple[str, Array]]:
        for path, _, array in self._named():
            yield path, array

    def _named(self) -> Iterator[tuple[str, str, Array]]:
        groups = numbered(snake_case(layer.keras_class) for layer in self.layers)
        for group, layer in zip(groups, self.layers, strict=True):
            for path, name, array in layer._named():
                yield f"layers/{group}/{path}", name, array

    def _assign(self, arrays: Iterator[Array], into: Assignment) -> None:
        for layer in self.layers:
            layer._assign(arrays, into)


def array_of(x: ArrayLike, dtype: str, rank: int, shape: str) -> Array:
    """x as an array. ValueError, with the expected shape, if it has not so many axes."""
    # A list of Python floats is float64 by NumPy's habit, not by the user's choice.
    array = x if isinstance(x, np.ndarray) else numpy_array("x", x, "numbers", dtype)
    if array.ndim != rank:
        raise ValueError(f"x has shape {array.shape}; expected {shape}")
    return array
