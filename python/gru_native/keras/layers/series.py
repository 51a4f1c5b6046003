"""Functional models whose branches join again, as blocks of a chain."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from ...layers import Activation, Pool
from ...layers._series import Series, joined
from .._graph import Graph
from .._places import Place, ended
from .base import Layer
from .merging import Merge
from .recurrent import Recurrent

_JOINS = {"Add": "add", "Average": "add", "Multiply": "multiply", "Concatenate": "concat"}


def blocks_of(graph: Graph, layers: Mapping[str, Layer], start: Place) -> tuple[list[Any], Place]:
    """The blocks of a model with one input and one output behind a tensor, and what they give.

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
    made: dict[str, list[Any]] = {}
    places = {graph.inputs[0].layer: start}
    for i, call in enumerate(graph.calls):
        layer, read = layers[call.layer], [places[ref.layer] for ref in call.inputs]
        with ended(i):
            if len(read) == 1:
                made[call.layer], places[call.layer] = chained(layer, read[0])
            else:
                places[call.layer] = _meeting(layer, read)
    nodes = [(call.layer, [ref.layer for ref in call.inputs]) for call in graph.calls]
    with ended(len(graph.calls)):
        blocks = Series(graph.inputs[0].layer, nodes).blocks(
            graph.outputs[0].layer,
            lambda name: made[name],
            lambda name, paths: _joined(layers[name], paths),
        )
    return blocks, places[graph.outputs[0].layer]


def chained(layer: Layer, place: Place) -> tuple[list[Any], Place]:
    """The blocks of one layer, with what it gives in Keras, and not at every step."""
    blocks, after = layer._chained(place, True)
    if isinstance(layer, Recurrent) and not layer.spec.return_sequences:
        pool = Pool("last", batch_first=True, dtype=layer.layers[0].dtype)
        return [*blocks, pool], after
    return list(blocks), after


def _merge(layer: Layer) -> tuple[Merge, str]:
    join = _JOINS.get(layer.keras_class)
    if not isinstance(layer, Merge) or join is None:
        raise ValueError(f"layer {layer.name!r} ({layer.keras_class}) cannot be part of a Chain")
    return layer, join


def _meeting(layer: Layer, places: Sequence[Place]) -> Place:
    """What a layer gives that joins these."""
    merge, join = _merge(layer)
    first = places[0]
    shapes = [place.shape for place in places]
    ranks = {None if shape is None else len(shape) for shape in shapes}
    orders = {None if place.order is None else place.order.tobytes() for place in places}
    if (
        len(ranks) > 1
        or len(orders) > 1
        or any(place.axes != first.axes or place.zeros is not None for place in places)
        or (join == "concat" and first.order is not None)
    ):
        raise ValueError(f"layer {layer.name!r} joins what a Chain has in several orders")
    if join != "concat" or (first.shape is None and merge.axis == -1):
        return first
    if first.shape is None:
        raise ValueError(f"layer {layer.name!r} joins along axis {merge.axis} of an unknown shape")
    axis = merge.axis - 1 if merge.axis > 0 else len(first.shape) - 1
    if axis != (len(first.shape) - 1 if first.axes is None else first.axes.channels):
        raise ValueError(
            f"layer {layer.name!r} joins along axis {merge.axis}, which a Chain does not"
        )
    sizes = [shape[axis] for shape in shapes if shape is not None]
    total = None if None in sizes else sum(n for n in sizes if n is not None)
    return replace(first, shape=(*first.shape[:axis], total, *first.shape[axis + 1 :]))


def _joined(layer: Layer, paths: list[list[Any]]) -> list[Any]:
    merge, join = _merge(layer)
    block = joined(paths, join, True, merge.dtype)
    if merge.keras_class != "Average":
        return [block]
    mean = ("affine", 1 / len(paths), 0.0)
    return [block, Activation(mean, batch_first=True, dtype=np.dtype(merge.dtype))]
