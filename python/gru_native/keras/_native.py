"""Layers and chains of the core as layers and models of Keras.

A chain of images becomes one whose images have the steps first, (batch, width, height, channels):
so columns become steps by a Reshape alone but for their order.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from .._core import a_type
from ..layers import GRU, LSTM, RNN, Chain, Image, Parallel, Pool, Residual
from ..layers import Dense as NativeDense
from ..layers._images import OfImages
from ..layers._weights import Array
from ._activations import keras_name
from ._cells import Cell, Native, cells_of, to_keras_arrays
from ._config import Entry
from ._graph import Call, Graph, Ref
from ._native_blocks import layers_of
from ._recurrence import Recurrence
from .layers import Bidirectional, Dense, Functional, Layer, Merge, Recurrent, Sequential
from .layers.base import Shape
from .layers.embedding import Embedding
from .layers.reshaping import Reshape

_JOINS = {"add": "Add", "multiply": "Multiply", "concat": "Concatenate"}
_INPUT = "input"


def from_native(layer: Any) -> Layer:
    """A layer of the core as a Keras layer, with copies of the weights."""
    if isinstance(layer, NativeDense):
        return dense(layer, "dense")
    if isinstance(layer, (RNN, LSTM, GRU)):
        layers = recurrent(layer, type(layer).__name__.lower(), False)
        return layers[0] if len(layers) == 1 else Sequential("stack", layers, None)
    if not isinstance(layer, Chain):
        raise TypeError(
            f"layer is {a_type(layer)}; expected an RNN, LSTM, GRU, Dense or Chain, or "
            "what from_keras made"
        )
    return _Paths(layer).model()


def dense(layer: NativeDense, name: str) -> Dense:
    arrays = {"kernel": layer.weights["weight"].T}
    if layer.bias:
        arrays["bias"] = layer.weights["bias"]
    return Dense(name, keras_name("layer", "activation", layer.activation), arrays)


def recurrent(layer: Native, name: str, last: bool) -> Sequence[Layer]:
    """last: whether its y is that of the last step only."""

    def arrays(cell: Cell, k: int, end: str) -> Mapping[str, Array]:
        return to_keras_arrays(cell, layer.weights, f"_l{k}{end}")

    cells = tuple(
        cells_of(layer, name if layer.num_layers == 1 else f"{name}_{k}")
        for k in range(layer.num_layers)
    )
    kind = cells[0].kind
    if not layer.bidirectional:
        stacked = len(cells) > 1
        keras_class = "RNN" if stacked else kind
        spec = Recurrence(name, cells, keras_class, stacked, return_sequences=not last)
        return [Recurrent(spec, [arrays(cell, k, "") for k, cell in enumerate(cells)])]
    layers = []
    for k, cell in enumerate(cells):
        specs = tuple(
            Recurrence(
                f"{part}_{cell.name}",
                (cell,),
                kind,
                return_sequences=True,
                go_backwards=part == "backward",
                zero_output_for_mask=True,
            )
            for part in ("forward", "backward")
        )
        own = [arrays(cell, k, "")], [arrays(cell, k, "_reverse")]
        layers.append(Bidirectional(cell.name, (specs[0], specs[1]), "concat", own))
    return layers


class _Paths:
    """The blocks of a chain as nodes: a layer, and the names of what it reads."""

    def __init__(self, chain: Chain) -> None:
        self._nodes: list[tuple[Layer, list[str]]] = []
        self._dtype = str(chain.dtype)
        leaves = [leaf for leaf in _leaves(chain) if not isinstance(leaf, Pool)]
        # Numbers a step of what stands behind columns.
        self._sizes = [getattr(leaf, "input_size", None) for leaf in leaves]
        self._read = 0
        first = leaves[0] if leaves else None
        self._images = isinstance(first, OfImages)
        self._shape: Shape = (None, None, chain.input_size)
        here = _INPUT
        if self._images:
            channels = next((n for leaf in leaves if (n := getattr(leaf, "_channels", None))), None)
            self._shape = (None, channels, None, None)
            here = self._add(Reshape("turned", "Permute", {"dims": (3, 2, 1)}, self._dtype), here)
        here = self._row(chain.blocks, "", here)
        if self._images:
            here = self._add(Reshape("back", "Permute", {"dims": (3, 2, 1)}, self._dtype), here)
        self._end = here

    def model(self) -> Layer:
        layers = [layer for layer, _ in self._nodes]
        if layers and isinstance(layers[0], Embedding):
            self._shape = (None, None)
        if all(len(inputs) == 1 for _, inputs in self._nodes):
            return Sequential("chain", layers, self._shape)
        names = [(_INPUT, "InputLayer"), *((layer.name, layer.keras_class) for layer in layers)]
        entries = [
            Entry({"class_name": keras_class, "config": {"name": name}}, "chain")
            for name, keras_class in names
        ]
        calls = [
            Call(layer.name, 0, tuple(Ref(name, 0, 0) for name in inputs), (), ())
            for layer, inputs in self._nodes
        ]
        graph = Graph(tuple(entries), (Ref(_INPUT, 0, 0),), (Ref(self._end, 0, 0),), tuple(calls))
        return Functional("chain", graph, layers, {_INPUT: self._shape})

    def _add(self, layer: Layer, *inputs: str) -> str:
        self._nodes.append((layer, list(inputs)))
        return layer.name

    def _row(self, blocks: Sequence[Any], path: str, here: str) -> str:
        """Nodes of blocks one after the other; the name of the last one."""
        for i, block in enumerate(blocks):
            follows = blocks[i + 1] if i + 1 < len(blocks) else None
            before = blocks[i - 1] if i else None
            here = self._block(block, f"{path}{i}", here, before, follows)
        return here

    def _block(self, block: Any, where: str, here: str, before: Any, follows: Any) -> str:
        name = f"{type(block).__name__.lower()}_{where}"
        if isinstance(block, Chain):
            return self._row(block.blocks, f"{where}_", here)
        if isinstance(block, Residual):
            end = self._row([block.block], f"{where}_", here)
            return self._join(block.join, name, [here, end])
        if isinstance(block, Parallel):
            ends = [self._row([own], f"{where}_{k}_", here) for k, own in enumerate(block.blocks)]
            return ends[0] if len(ends) == 1 else self._join(block.join, name, ends)
        if isinstance(block, Pool) and block.kind == "last":
            if isinstance(before, (RNN, LSTM, GRU)) and not before.bidirectional:
                return here  # the layer before gives its last y only
            raise ValueError(
                f"layer has a Pool('last') behind {a_type(before)}, which Keras's layers "
                "do not have; expected an RNN, LSTM or GRU of one direction"
            )
        self._read += not isinstance(block, Pool)
        if isinstance(block, (RNN, LSTM, GRU)):
            last = isinstance(follows, Pool) and follows.kind == "last"
            layers = recurrent(block, name, last and not block.bidirectional)
        elif isinstance(block, NativeDense):
            layers = [dense(block, name)]
        else:
            if isinstance(block, Image):
                self._images = True
            features = next((n for n in self._sizes[self._read :] if n), None)
            layers = layers_of(block, name, self._images, features)
            if type(block).__name__ == "Columns":
                self._images = False
        for layer in layers:
            here = self._add(layer, here)
        return here

    def _join(self, join: str, name: str, ends: list[str]) -> str:
        if len(set(ends)) < len(ends):  # a path without a block
            raise ValueError(f"layer has a {name} with several empty paths; expected blocks")
        return self._add(Merge(name, _JOINS[join], self._dtype, -1), *ends)


def _leaves(block: Any) -> list[Any]:
    inner = [block.block] if isinstance(block, Residual) else getattr(block, "blocks", None)
    return [block] if inner is None else [leaf for own in inner for leaf in _leaves(own)]
