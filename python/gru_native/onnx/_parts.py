"""Parts of a graph: what lies between some of its tensors, and its recurrent layers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from ..layers import GRU, LSTM, RNN
from ..layers._weights import Array
from . import operators
from ._control import CONTROL
from ._model import Graph, Input, Node, shown
from ._program import named
from .operators import recurrent
from .operators.budget import at_most

_COMPUTED = 1 << 28  # bytes of tensors that weights are made of, beside those in the file


def part(graph: Graph, inputs: Sequence[str] | None, outputs: Sequence[str] | None) -> Graph:
    """The nodes from these inputs to these outputs. Raises ValueError, naming the tensor."""
    if inputs is None and outputs is None:
        return graph
    makers = {name: i for i, node in enumerate(graph.nodes) for name in node.outputs if name}
    known = {*makers, *graph.inputs, *graph.constants}
    for what, names in (("input", inputs), ("output", outputs)):
        for name in names or ():
            if name not in known:
                raise ValueError(f"there is no tensor {shown(name)}, which is to be an {what}")
    given = [*graph.inputs] if inputs is None else list(inputs)
    wanted = list(graph.outputs) if outputs is None else list(outputs)
    needed: set[int] = set()
    reached: set[str] = set()
    open_ = list(wanted)
    while open_:
        name = open_.pop()
        if not name or name in reached:
            continue
        reached.add(name)
        if name in given or name in graph.constants:
            continue
        if name in graph.inputs:
            raise ValueError(
                f"the outputs need input {shown(name)} of the model; expected it in inputs"
            )
        needed.add(makers[name])
        open_.extend(graph.nodes[makers[name]].needs)
    anything = Input(np.dtype(np.float32), None)
    own = {**graph.declared, **graph.inputs}
    return replace(
        graph,
        inputs={n: own.get(n, anything) for n in given if inputs is not None or n in reached},
        outputs=wanted,
        nodes=[node for i, node in enumerate(graph.nodes) if i in needed],
        constants={n: a for n, a in graph.constants.items() if n in reached and n not in given},
    )


def set_on_every(graph: Graph, op: str, **attributes: Any) -> None:
    """Gives all nodes of an operator these attributes, those in bodies too."""
    for node in graph.nodes:
        if node.op == op:
            node.attributes.update(attributes)
        for body in node.bodies.values():
            set_on_every(body, op, **attributes)


def recurrent_layers(
    graph: Graph, outer: Mapping[str, Array] | None = None
) -> dict[str, RNN | LSTM | GRU]:
    """The layers of all recurrent nodes whose weights are constant, by the nodes' names."""
    values: dict[str, Array] = {**(outer or {}), **graph.constants}
    found: dict[str, RNN | LSTM | GRU] = {}
    space = _COMPUTED
    for node in graph.nodes:
        for body in node.bodies.values():
            for name, layer in recurrent_layers(body, values).items():
                found[_free(name, found)] = layer
        if node.op in recurrent.OPERATORS:
            if all(name in values for name in recurrent.weights_of(node).values()):
                with named(node):
                    operators.find(node)
                    made = recurrent.make(node, values)
                for layer, end in zip(made.layers, ("", " (reverse)"), strict=False):
                    found[_free((node.proto.name or node.outputs[0]) + end, found)] = layer
        elif all(name in values for name in node.inputs if name):
            arrays = computed(node, values, space)
            space -= sum(a.nbytes for a in arrays.values())
            values.update(arrays)
    return found


def computed(node: Node, values: Mapping[str, Array], space: int) -> dict[str, Array]:
    """The outputs of a node whose inputs are constant; none if it cannot be computed."""
    if node.op in CONTROL or not operators.is_known(node):
        return {}
    inputs = [values[name] if name else None for name in node.inputs]
    try:  # what is wrong with it may not matter to the layers
        with named(node), at_most(space), np.errstate(all="ignore"):
            results = operators.compute(node, inputs)
    except ValueError:
        return {}
    return {n: np.asarray(a) for n, a in zip(node.outputs, results, strict=False) if n}


def _free(name: str, taken: Mapping[str, Any]) -> str:
    """The name, or with a number if another node has it."""
    number, free = 2, name
    while free in taken:
        free, number = f"{name} ({number})", number + 1
    return free
