"""Functional models whose branches join again, as blocks of a chain."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ...layers import Activation, Pool
from ...layers._series import Series, joined
from .._graph import Graph
from .base import Layer
from .merging import Merge
from .recurrent import Recurrent

_JOINS = {"Add": "add", "Average": "add", "Multiply": "multiply", "Concatenate": "concat"}


def blocks_of(graph: Graph, layers: Mapping[str, Layer]) -> list[Any]:
    """The blocks of a model with one input and one output.

    ValueError, naming the layer, for what is no such chain.
    """
    if len(graph.inputs) != 1 or len(graph.outputs) != 1:
        raise ValueError(
            f"the model has {len(graph.inputs)} inputs and {len(graph.outputs)} outputs; "
            "a Chain has one of each"
        )
    for call in graph.calls:
        if call.index:
            raise ValueError(f"layer {call.layer!r} is called twice; a Chain has it once")
        if call.state:
            raise ValueError(f"layer {call.layer!r} reads a state; a Chain has no such paths")
        for ref in call.inputs:
            if ref.output:
                raise ValueError(f"layer {call.layer!r} reads a state of {ref.layer!r}")
    nodes = [(call.layer, [ref.layer for ref in call.inputs]) for call in graph.calls]
    return Series(graph.inputs[0].layer, nodes).blocks(
        graph.outputs[0].layer,
        lambda name: _blocks(layers[name]),
        lambda name, paths: _joined(layers[name], paths),
    )


def _blocks(layer: Layer) -> list[Any]:
    blocks: list[Any] = list(layer._blocks(last=True))
    if isinstance(layer, Recurrent) and not layer.spec.return_sequences:
        blocks.append(Pool("last", batch_first=True, dtype=layer.layers[0].dtype))
    return blocks


def _joined(layer: Layer, paths: list[list[Any]]) -> list[Any]:
    join = _JOINS.get(layer.keras_class)
    if not isinstance(layer, Merge) or join is None:
        raise ValueError(f"layer {layer.name!r} ({layer.keras_class}) cannot be part of a Chain")
    block = joined(paths, join, True, layer.dtype)
    if layer.keras_class != "Average":
        return [block]
    mean = ("affine", 1 / len(paths), 0.0)
    return [block, Activation(mean, batch_first=True, dtype=np.dtype(layer.dtype))]
