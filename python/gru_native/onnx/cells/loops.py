"""Scan, and Loop where it is one: layers taken out of them.

A layer whose inputs are steps of what the loop goes through, and whose states are the loop's, runs
before the loop, which then goes through the layer's steps; of what nothing is left goes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import onnx

from ...layers._weights import Array
from .._model import Graph, Node, read_node
from .chains import Layer
from .counted import counted
from .layers import as_node, end_at, made_of, rows_of, side_by_side
from .one_step import OneStep
from .shapes import Shape, Shapes
from .writer import Writer, with_bodies, with_captured


@dataclass(frozen=True)
class State:
    outer: str  # before the loop
    inner: str
    after: str  # inside, behind a step
    result: str  # behind the loop


@dataclass(frozen=True)
class Source:
    """What the loop goes through, and how a step calls it."""

    outer: str
    inner: str
    axis: int
    backwards: bool


@dataclass(frozen=True)
class Result:
    """What is collected from the steps."""

    outer: str
    inner: str
    axis: int
    backwards: bool


@dataclass
class Walk:
    """A Scan: its body, and what goes in and out. node: the one that it was."""

    node: Node
    body: Graph
    states: list[State]
    sources: list[Source]
    results: list[Result]

    def known(self, shapes: Shapes) -> dict[str, Shape | None]:
        """Shapes inside. A state's may change in all axes but the last."""
        found: dict[str, Shape | None] = {n: shapes.of(n) for n in self.body.captured}
        for state in self.states:
            own = shapes.of(state.outer)
            found[state.inner] = (*(None,) * (len(own) - 1), own[-1]) if own else own
        for source in self.sources:
            own = shapes.of(source.outer)
            if own:
                axis = source.axis % len(own)
                found[source.inner] = (*own[:axis], *own[axis + 1 :])
        return found

    def pairs(self) -> dict[str, str]:
        """States before by those after."""
        return {root(state.after, self.body): state.inner for state in self.states}


def root(name: str, graph: Graph) -> str:
    """What a tensor is called where it is made."""
    makers = {n: node for node in graph.nodes for n in node.outputs if node.op == "Identity"}
    while name in makers:
        name = makers[name].inputs[0]
    return name


def walk_of(node: Node, w: Writer, constants: Mapping[str, Array]) -> Walk | None:
    """The loop as a Scan, if it is one."""
    if node.op == "Loop":
        return _walk_of_loop(counted(node, w, constants), w, constants)
    if node.opset < 9:
        return None
    own, body = node.attributes, node.bodies["body"]
    scanned = own["num_scan_inputs"]
    kept = len(node.inputs) - scanned
    inner, outputs = list(body.inputs), [*node.outputs, *[""] * len(body.outputs)]

    def numbers(name: str, count: int) -> list[int]:
        return list(own.get(name, ())) or [0] * count

    ways = zip(
        *(node.inputs[kept:], inner[kept:], numbers("scan_input_axes", scanned)),
        numbers("scan_input_directions", scanned),
        strict=True,
    )
    count = len(body.outputs) - kept
    ends = zip(
        *(outputs[kept : len(body.outputs)], body.outputs[kept:]),
        *(numbers("scan_output_axes", count), numbers("scan_output_directions", count)),
        strict=True,
    )
    states = zip(node.inputs[:kept], inner, body.outputs, outputs, strict=False)
    return Walk(
        *(node, body, [State(*of) for of in states]),
        [Source(o, i, axis, bool(back)) for o, i, axis, back in ways],
        [Result(o, i, axis, bool(back)) for o, i, axis, back in ends],
    )


def _walk_of_loop(node: Node, w: Writer, constants: Mapping[str, Array]) -> Walk | None:
    """A loop of so many steps, some of whose tensors are the steps of others by their number."""
    body = node.bodies["body"]
    most, go_on, *states = node.inputs
    number, condition, *inner = body.inputs
    last = root(body.outputs[0], body)
    if not most or (last != condition and not _is_true(last, constants, body)):
        return None
    if go_on and not _is_true(go_on, constants, body):
        return None
    outputs = [*node.outputs, *[""] * len(body.outputs)]
    kept = len(states)
    sources: list[Source] = []
    nodes: list[Node] = []
    inside = {n for own in body.nodes for n in own.outputs} | {*body.inputs}
    for own in body.nodes:
        indexed = own.op == "Gather" and own.inputs[0] not in {*inside, *body.constants}
        if indexed and root(own.inputs[1], body) == number:
            sources.append(
                Source(own.inputs[0], own.outputs[0], own.attributes.get("axis", 0), False)
            )
        else:
            nodes.append(own)
    if not sources:
        return None
    sources.append(Source("", number, 0, False))
    new = {**body.constants, condition: np.array(True)}
    states_ = zip(states, inner, body.outputs[1:], outputs, strict=False)
    ends = zip(outputs[kept:], body.outputs[1 + kept :], strict=False)
    return Walk(
        *(node, replace(body, nodes=nodes, constants=new), [State(*of) for of in states_]),
        *(sources, [Result(o, i, 0, False) for o, i in ends]),
    )


def _is_true(name: str, constants: Mapping[str, Array], body: Graph) -> bool:
    own = body.constants.get(name, constants.get(name))
    if own is None:
        maker = next((n for n in body.nodes if name in n.outputs and n.op == "Constant"), None)
        own = None if maker is None else maker.attributes.get("value")
    return own is not None and own.size == 1 and bool(own.reshape(-1)[0])


def take_out(walk: Walk, layer: Layer | OneStep, w: Writer, shapes: Shapes, name: str) -> bool:
    """Puts a layer before the loop, if it can run there, and changes the loop."""
    (step,) = layer.chain
    states = {state.inner: state for state in walk.states}
    pairs = walk.pairs()
    sources = {source.inner: source for source in walk.sources if source.outer}
    own = [(step.h, step.out)] + ([(step.c, step.c_out)] if step.kind == "LSTM" else [])
    xs = [sources.get(x) for x in layer.inputs[0]]
    found = [source for source in xs if source is not None]
    if any(pairs.get(after) != before for before, after in own) or len(found) != len(xs):
        return False
    if layer.rank() != 2 or len({source.backwards for source in found}) != 1:
        return False
    mine = [states[before] for before, _ in own if before is not None]
    left = replace(walk, states=[s for s in walk.states if s not in mine])
    body = _body(left, walk.body, step.out)
    if {n for n in body.captured} & {n for both in own for n in both}:
        return False
    sequences, rows = [], []
    for source in found:
        shape = shapes.of(source.outer)
        if shape is None or len(shape) != 3 or source.axis % 3 not in (0, 1):
            return False
        rows.append(shape[1 - source.axis % 3])
    states_rows = [rows_of([state.outer], shapes) for state in mine]
    if not made_of([step.out], [*rows, *states_rows], layer.shapes):
        return False
    _settle(walk, w, shapes)
    for inner in layer.inputs[0]:
        source = next(s for s in walk.sources if s.inner == inner)
        turned = source.axis % 3 == 1
        sequences.append(
            w.node("Transpose", [source.outer], f"{source.outer} by steps", perm=[1, 0, 2])
            if turned
            else source.outer
        )
    x = side_by_side(sequences, rows, w)
    before = [state.outer for state in mine]
    rows += states_rows
    back = found[0].backwards
    y, ends = as_node(layer, w, x, before, rows, 2, name, back)
    for state, end in zip(mine, ends, strict=True):
        if state.result:
            end_at(state.result, end, 2, w)
    walk.states = left.states
    walk.sources.append(Source(y, step.out, 0, back))
    walk.body = body
    return True


def _settle(walk: Walk, w: Writer, shapes: Shapes) -> None:
    """Of a Loop: what it goes through is so many steps of it."""
    if walk.node.op != "Loop" or not any(
        source.inner and not source.outer for source in walk.sources
    ):
        return
    most = walk.node.inputs[0]
    if shapes.of(most) != ():
        most = w.node("Reshape", [most, w.constant(np.zeros(0, np.int64), "shape")], "steps")
    ends = w.constant(np.array(0), "zero"), w.constant(np.array(1), "one")
    numbers = w.node("Range", [ends[0], most, ends[1]], "numbers of steps")
    settled = []
    for source in walk.sources:
        outer = numbers
        if source.outer:
            outer = w.node("Gather", [source.outer, numbers], "steps", axis=source.axis)
        settled.append(replace(source, outer=outer))
    walk.sources = settled


def _body(walk: Walk, body: Graph, given: str) -> Graph:
    """What is left of a body where a tensor comes from outside."""
    inside = Writer(body)
    for name in [n for n in inside.makers if n == given]:
        del inside.makers[name]
    outputs = [s.after for s in walk.states] + [r.inner for r in walk.results]
    left = inside.finished(outputs)
    inputs = [s.inner for s in walk.states] + [s.inner for s in walk.sources] + [given]
    any_input = {n: body.inputs.get(n, next(iter(body.inputs.values()))) for n in inputs}
    return with_captured(replace(left, inputs=any_input))


def finish(walk: Walk, w: Writer) -> None:
    """Puts what is left of the loop into the graph."""
    sources = {source.inner: source for source in walk.sources}
    results = []
    for result in walk.results:
        source = sources.get(root(result.inner, walk.body))
        if not result.outer:
            continue
        if source is None or not _moved(source, result, w):
            results.append(result)
    if not results and not walk.states:
        return
    inner = Writer(walk.body).finished([s.after for s in walk.states] + [r.inner for r in results])
    used = {n for node in inner.nodes for n in node.needs} | {*inner.outputs}
    left = [s for s in walk.sources if s.inner in used] or walk.sources[:1]
    names = [s.inner for s in walk.states] + [s.inner for s in left]
    body = with_captured(replace(inner, inputs={n: walk.body.inputs[n] for n in names}))
    outputs = [s.result or w.fresh("state") for s in walk.states] + [r.outer for r in results]
    own: dict[str, Any] = {
        "num_scan_inputs": len(left),
        "scan_input_axes": [s.axis for s in left],
        "scan_input_directions": [int(s.backwards) for s in left],
    }
    if results:
        own["scan_output_axes"] = [r.axis for r in results]
        own["scan_output_directions"] = [int(r.backwards) for r in results]
    given = [s.outer for s in walk.states] + [s.outer for s in left]
    proto = onnx.helper.make_node("Scan", given, outputs, name=walk.node.proto.name, **own)
    w.add(with_bodies(read_node(proto, w.opset), {"body": body}))


def _moved(source: Source, result: Result, w: Writer) -> bool:
    """Whether a result is what the loop goes through, which is then put in its place."""
    axes = source.axis, result.axis
    if source.backwards != result.backwards or (axes[0] != axes[1] and {*axes} != {0, 1}):
        return False
    if axes[0] == axes[1]:
        w.node("Identity", [source.outer], [result.outer])
    else:
        w.node("Transpose", [source.outer], [result.outer], perm=[1, 0, 2])
    return True
