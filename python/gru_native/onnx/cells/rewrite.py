"""Graphs with layers in the place of what exporters wrote step by step."""

from __future__ import annotations

from collections.abc import Mapping

from ...layers._weights import Array
from .._control import CONTROL
from .._model import Graph, Node
from .._parts import computed
from .._program import NODE_ERRORS
from .chains import Layer, chains_of
from .evaluate import Evaluation
from .layers import write
from .loops import Walk, finish, root, take_out, walk_of
from .norms import with_norms
from .one_step import OneStep, layers_of_one_step
from .sequences import without_sequences
from .shapes import Shape, Shapes
from .writer import Writer, with_bodies, with_captured

_ACTIVATIONS = {"Sigmoid", "Tanh", "Relu", "HardSigmoid", "Clip", "Softsign", "Softplus", "Elu"}
_MOST_TAKEN = 16  # layers that are taken out of one loop
_COMPUTED = 1 << 26  # bytes of constants that nodes make


def with_layers(graph: Graph) -> Graph:
    """The graph with a node RNN, LSTM or GRU for each layer that is written out step by step.

    All others stay as they are, and so does what cannot be shown to be a layer.
    """
    try:
        graph = without_sequences(graph)
        return _rewritten(graph, {}, {}, {}, "") if _may_have_some(graph) else graph
    except NODE_ERRORS:  # who computes the graph says what is wrong with it
        return graph


def _may_have_some(graph: Graph, inside: bool = False) -> bool:
    ops = {node.op for node in graph.nodes}
    if inside and ops & {"LSTM", "GRU", "RNN"}:
        return True
    own = bool(ops & _ACTIVATIONS) and bool(ops & {"MatMul", "Gemm"})
    own = own or ops >= {"ReduceMean", "Sqrt", "Div"}
    return own or any(_may_have_some(b, True) for node in graph.nodes for b in node.bodies.values())


def _rewritten(
    graph: Graph,
    outer: Mapping[str, Array],
    known: Mapping[str, Shape | None],
    pairs: Mapping[str, str],
    name: str,
) -> Graph:
    """outer: constants of the graphs around it. pairs: a loop's states, before by after."""
    constants = constants_of(graph, outer)
    shapes = Shapes(graph, constants, known)
    w = Writer(graph, {*outer, *known}, shapes)
    with_norms(w, constants, shapes)
    e = Evaluation(graph, constants, shapes)
    for node in e.made.values():
        w.add(node)
    for chain in chains_of(e, pairs):
        write(Layer(chain, e), w, e, name)
    for node in graph.nodes:
        if node.op in CONTROL and w.makers.get(node.outputs[0]) is node:
            _in_bodies(node, w, constants, shapes)
    return w.finished()


def constants_of(graph: Graph, outer: Mapping[str, Array]) -> dict[str, Array]:
    """Constants, and what nodes make of them."""
    found = {**outer, **graph.constants}
    space = _COMPUTED
    for node in graph.nodes:
        if not node.bodies and all(name in found for name in node.inputs if name):
            arrays = computed(node, found, space)
            space -= sum(a.nbytes for a in arrays.values())
            found.update(arrays)
    return found


def _in_bodies(node: Node, w: Writer, constants: Mapping[str, Array], shapes: Shapes) -> None:
    """Rewrites the bodies of a node, and takes layers out of loops."""
    if node.op == "If":
        around = {name: shapes.of(name) for name in node.captured}
        bodies = {n: _rewritten(b, constants, around, {}, "") for n, b in node.bodies.items()}
        w.add(with_bodies(node, {n: with_captured(b) for n, b in bodies.items()}))
        return
    name = node.proto.name or node.outputs[0]
    walk = walk_of(node, w, constants)
    count = 0
    while (
        walk is not None and count < _MOST_TAKEN and _take_one_out(walk, w, constants, shapes, name)
    ):
        count += 1
    if count and walk is not None:
        inner = _rewritten(walk.body, constants, walk.known(shapes), walk.pairs(), name)
        walk.body = with_captured(inner)
        finish(walk, w)
        return
    around = {n: shapes.of(n) for n in node.captured}
    own = _rewritten(node.bodies["body"], constants, around, _pairs(node), name)
    w.add(with_bodies(node, {"body": with_captured(own)}))


def _take_one_out(
    walk: Walk, w: Writer, constants: Mapping[str, Array], shapes: Shapes, name: str
) -> bool:
    own = constants_of(walk.body, constants)
    e = Evaluation(walk.body, own, Shapes(walk.body, own, walk.known(shapes)))
    layers: list[Layer | OneStep] = [
        Layer(chain, e) for chain in chains_of(e, walk.pairs()) if len(chain) == 1
    ]
    layers += layers_of_one_step(walk.body, own, e.shapes)
    return any(take_out(walk, layer, w, shapes, name) for layer in layers)


def _pairs(node: Node) -> dict[str, str]:
    """A loop's states, before by after."""
    body = node.bodies["body"]
    if node.op == "Loop":
        before, after = [*body.inputs][2:], body.outputs[1:]
    else:
        kept = len(node.inputs) - node.attributes["num_scan_inputs"] - (node.opset < 9)
        before, after = [*body.inputs][:kept], body.outputs
    return {root(name, body): own for own, name in zip(before, after, strict=False)}
