"""Functional models whose branches join again, as blocks of a chain."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ...layers import Activation, Chain, Parallel, Pool, Residual
from .._graph import Call, Graph, Ref
from .base import Layer
from .merging import Merge
from .recurrent import Recurrent

_JOINS = {"Add": "add", "Average": "add", "Multiply": "multiply", "Concatenate": "concat"}
_DEEPEST = 50  # branches within branches


def blocks_of(graph: Graph, layers: Mapping[str, Layer]) -> list[Any]:
    """The blocks of a model with one input and one output.

    ValueError, naming the layer, for what is no such chain.
    """
    if len(graph.inputs) != 1 or len(graph.outputs) != 1:
        raise ValueError(
            f"the model has {len(graph.inputs)} inputs and {len(graph.outputs)} outputs; "
            "a Chain has one of each"
        )
    series = _Series(graph, layers)
    blocks = series.between(graph.inputs[0], graph.outputs[0], 0)
    for call in graph.calls:
        if call.layer not in series.used:
            raise ValueError(f"layer {call.layer!r} is not on the way to the output")
    return blocks


class _Series:
    def __init__(self, graph: Graph, layers: Mapping[str, Layer]) -> None:
        self._layers = layers
        self._calls: dict[str, Call] = {}
        self.used: set[str] = set()
        # Of each layer the one that all ways to it go through last, by a place in this order.
        self._place: dict[str, int] = {graph.inputs[0].layer: 0}
        self._gate: dict[str, str] = {graph.inputs[0].layer: graph.inputs[0].layer}
        for call in graph.calls:
            if call.index:
                raise ValueError(f"layer {call.layer!r} is called twice; a Chain has it once")
            if call.state:
                raise ValueError(f"layer {call.layer!r} reads a state; a Chain has no such paths")
            for ref in call.inputs:
                if ref.output:
                    raise ValueError(f"layer {call.layer!r} reads a state of {ref.layer!r}")
            gate = call.inputs[0].layer
            for ref in call.inputs[1:]:
                gate = self._common(gate, ref.layer)
            self._calls[call.layer] = call
            self._place[call.layer] = len(self._place)
            self._gate[call.layer] = gate

    def _common(self, a: str, b: str) -> str:
        while a != b:
            if self._place[a] < self._place[b]:
                a, b = b, a
            a = self._gate[a]
        return a

    def between(self, begin: Ref, end: Ref, depth: int) -> list[Any]:
        """The blocks that make end of begin."""
        if depth > _DEEPEST:
            raise ValueError(f"layer {end.layer!r} is within more than {_DEEPEST} branches")
        parts: list[list[Any]] = []
        here = end.layer
        while here != begin.layer:
            call, layer = self._calls[here], self._layers[here]
            if here in self.used:
                raise ValueError(
                    f"layer {here!r} is read by branches that do not join where they begin; "
                    "a Chain has no such paths"
                )
            self.used.add(here)
            gate = self._gate[here]
            if len(call.inputs) == 1:
                parts.append(_blocks(layer))
            else:
                paths = [self.between(Ref(gate, 0, 0), ref, depth + 1) for ref in call.inputs]
                parts.append(_joined(layer, paths))
            here = gate
        return [block for part in reversed(parts) for block in part]


def _blocks(layer: Layer) -> list[Any]:
    blocks: list[Any] = list(layer._blocks(last=True))
    if isinstance(layer, Recurrent) and not layer.spec.return_sequences:
        blocks.append(Pool("last", batch_first=True, dtype=layer.layers[0].dtype))
    return blocks


def _joined(layer: Layer, paths: list[list[Any]]) -> list[Any]:
    join = _JOINS.get(layer.keras_class)
    if not isinstance(layer, Merge) or join is None:
        raise ValueError(f"layer {layer.name!r} ({layer.keras_class}) cannot be part of a Chain")
    dtype = np.dtype(layer.dtype)
    behind: list[Any] = []
    if layer.keras_class == "Average":
        behind = [Activation(("affine", 1 / len(paths), 0.0), batch_first=True, dtype=dtype)]
    if len(paths) == 2 and join != "concat" and not paths[1]:
        paths = paths[::-1]
    if len(paths) == 2 and not paths[0] and paths[1]:
        return [Residual(_one(paths[1]), join), *behind]
    unchanged = Activation("identity", batch_first=True, dtype=dtype)
    return [Parallel([_one(path) if path else unchanged for path in paths], join), *behind]


def _one(path: list[Any]) -> Any:
    return path[0] if len(path) == 1 else Chain(path)
