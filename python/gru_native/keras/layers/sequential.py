"""Layers one after the other."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from numpy.typing import ArrayLike

from ..._core import numpy_array
from ...layers import Block, Chain
from ...layers._weights import Array
from .._cells import numbered, snake_case
from .._config import Entry
from .._graph import MODELS, graph_of
from .._places import Place, check_end, ended, first_that_goes
from .._source import Source
from .base import Composite, Layer, Masked, Shape
from .bidirectional import Bidirectional
from .embedding import Embedding
from .functional import Functional
from .merging import Merge
from .recurrent import Recurrent
from .registry import build, builds
from .series import chained


class Sequential(Composite):
    """Layers one after the other, with Keras's masks from one to the next.

    Made by ``from_keras`` and ``load``, also of functional models in which each layer reads the one
    before it.

    Attributes
    ----------
    name : str
        Keras's name of the model.
    keras_class : str
        The model's class in Keras.
    layers : tuple of Layer
        The layers.
    input_shape : tuple or None
        The shape of the InputLayer, with the batch, if there is one.
    """

    keras_class = "Sequential"

    def __init__(self, name: str, layers: Sequence[Layer], input_shape: Shape | None) -> None:
        self.name, self.layers, self.input_shape = name, tuple(layers), input_shape

    def __call__(self, x: ArrayLike, *, mask: ArrayLike | None = None) -> Any:
        """Compute the output of the last layer.

        Parameters
        ----------
        x : array_like
            What the first layer takes.
        mask : array_like of bool, optional
            (batch, seq): False masks a step.

        Returns
        -------
        ndarray or tuple
            What the last layer returns.

        Raises
        ------
        ValueError
            For wrong shapes; the text names the layer.
        TypeError
            For another dtype.
        """
        return self._run(x, None if mask is None else numpy_array("mask", mask, "bool"))[0]

    def _run(self, x: Any, mask: Array | None) -> Masked:
        for layer in self.layers:
            try:
                x, mask = layer._run(x, mask)
            except (TypeError, ValueError) as error:
                kind = TypeError if isinstance(error, TypeError) else ValueError
                raise kind(f"layer {layer.name!r}: {error}") from error
        return x, mask

    def chain(self) -> Chain:
        """Make a ``gru_native.Chain`` of the same layers, to stream and to save.

        It shares the layers and has outputs at every step: if the last recurrent layer of this
        model has ``return_sequences=False``, the model's output is the chain's at the last step.
        Dropout is left out. A chain that begins with images reads (batch, channels, height, width),
        where the width is what the steps come from: ``x.transpose(0, 3, 1, 2)``, or where that
        is Keras's first side ``x.transpose(0, 3, 2, 1)``, of what has ``channels_last``.

        Returns
        -------
        gru_native.Chain
            The chain, which has ``batch_first``.

        Raises
        ------
        ValueError
            For what a chain cannot express; the text names the layer.
        """
        return Chain(first_that_goes(self.input_shape, self._all_steps))

    def _all_steps(self, place: Place) -> list[Block]:
        """The blocks of a chain behind a start, with outputs at every step."""
        leaves = self._in_a_row()
        recurrent = [i for i, o in enumerate(leaves) if isinstance(o, (Recurrent, Bidirectional))]
        blocks: list[Block] = []
        for i, layer in enumerate(leaves):
            with ended(i):
                made, place = layer._chained(place, not recurrent or i >= recurrent[-1])
            blocks += made
        with ended(len(leaves)):
            check_end(self.name, place)
        return blocks

    def _chained(self, place: Place, last: bool) -> tuple[list[Block], Place]:
        blocks: list[Block] = []
        for layer in self._in_a_row():
            made, place = chained(layer, place)
            blocks += made
        return blocks, place

    def _in_a_row(self) -> list[Layer]:
        """The layers, and in place of a Sequential those of it."""
        return [
            leaf
            for layer in self.layers
            for leaf in (layer._in_a_row() if isinstance(layer, Sequential) else [layer])
        ]

    @property
    def _num_outputs(self) -> int:
        return _outputs(self.layers[-1]) if self.layers else 1

    def _to_keras(self, keras: Any) -> Any:
        inner = [layer._to_keras(keras) for layer in self.layers]
        shape = self.input_shape or next(
            (own._input_shape() for own in self.layers if own.num_parameters), (None, None, None)
        )
        whole = bool(self.layers) and isinstance(self.layers[0], Embedding)
        dtype = "int32" if whole else inner[0].compute_dtype if inner else "float32"
        start = keras.Input(batch_shape=shape, dtype=dtype)
        return keras.Sequential([start, *inner], name=self.name)

    def __repr__(self) -> str:
        return f"Sequential({self.name!r}, {list(self.layers)})"


@builds(*MODELS)
def _model(entry: Entry, source: Source, path: str) -> Layer:
    entries = entry.entries("layers")
    if entry.keras_class != "Sequential":
        graph = graph_of(entry, entries)
        if not graph.in_a_row():
            own = [inner for inner in graph.entries if inner.keras_class != "InputLayer"]
            shapes = {
                inner.name: _shape_of(inner)
                for inner in graph.entries
                if inner.keras_class == "InputLayer"
            }
            return Functional(entry.name, graph, _build_all(own, source, path), shapes)
        entries = list(graph.entries)
    shape = None
    if entries and entries[0].keras_class == "InputLayer":
        shape = _shape_of(entries.pop(0))
    elif entries and entries[0].keras_2 and entries[0].raw("batch_input_shape") is not None:
        shape = _shape_of(entries[0])
    layers = _build_all(entries, source, path)
    for layer in layers:
        if isinstance(layer, Merge):
            raise ValueError(f"layer {layer.name!r} reads several; expected a functional model")
        if isinstance(layer, Composite) and layer._num_inputs > 1:
            raise ValueError(f"layer {layer.name!r} has several inputs; expected one")
    for layer in layers[:-1]:
        if isinstance(layer, Recurrent) and layer.spec.return_state:
            raise ValueError(f"layer {layer.name!r} has return_state, but layers follow")
        if _outputs(layer) > 1:
            raise ValueError(f"layer {layer.name!r} has several outputs, but layers follow")
    _check_sizes(layers, shape)
    return Sequential(entry.name, layers, shape)


def _build_all(entries: Sequence[Entry], source: Source, path: str) -> list[Layer]:
    for inner in entries:
        if inner.keras_class == "InputLayer":
            raise ValueError(f"{inner.where}: an InputLayer inside a model is not supported")
    groups = numbered(snake_case(inner.keras_class) for inner in entries)
    return [
        build(inner, source, f"{path}layers/{group}/")
        for inner, group in zip(entries, groups, strict=True)
    ]


def _outputs(layer: Layer) -> int:
    if isinstance(layer, Composite):
        return layer._num_outputs
    if isinstance(layer, Bidirectional):
        return 2 if layer.return_state or layer.merge_mode is None else 1
    return 2 if isinstance(layer, Recurrent) and layer.spec.return_state else 1


def _check_sizes(layers: list[Layer], shape: Shape | None) -> None:
    """Each layer must read as many numbers a step as the one before it gives."""
    width = shape[-1] if shape and len(shape) > 2 else None
    for layer in layers:
        reads, gives = layer._sizes()
        if None not in (reads, width) and reads != width:
            raise ValueError(
                f"layer {layer.name!r} has weights for inputs of size {reads}; expected {width}, "
                "the size of what it reads"
            )
        width = width if gives is None else gives or None


def _shape_of(entry: Entry) -> Shape:
    option = "batch_input_shape" if entry.keras_2 else "batch_shape"
    shape = entry.raw(option) if entry.raw(option) is not None else entry.raw("batch_shape")
    if not isinstance(shape, (list, tuple)) or not all(
        n is None or (isinstance(n, int) and not isinstance(n, bool) and n > 0) for n in shape
    ):
        raise ValueError(f"{entry.where}: batch_shape is {shape!r}; expected a list of sizes")
    return tuple(shape)
