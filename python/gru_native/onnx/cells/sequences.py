"""Loops that collect steps in a sequence, as PyTorch's scripts do: as loops that give all steps."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from .._model import Graph, Node
from .shapes import Shapes
from .writer import Writer, with_bodies, with_captured


def without_sequences(graph: Graph) -> Graph:
    """The graph with a result of the Loop for each sequence that begins empty, gets a tensor in
    each step and is joined behind the Loop; others stay as they are."""
    if not any(node.op == "SequenceEmpty" for node in graph.nodes):
        return graph
    shapes = Shapes(graph, dict(graph.constants), {})
    w = Writer(graph, shapes=shapes)
    uses = {name: [n for n in graph.nodes if name in n.needs] for name in w.makers}
    for node in graph.nodes:
        if node.op == "Loop" and w.makers.get(node.outputs[0]) is node:
            _replace(node, w, uses, shapes)
    return w.finished()


def _replace(node: Node, w: Writer, uses: Mapping[str, list[Node]], shapes: Shapes) -> None:
    body = node.bodies["body"]
    kept = len(node.inputs) - 2
    found = []
    for k, outer in enumerate(node.inputs[2:]):
        value = _collected(k, outer, node, w, uses)
        if value:
            found.append((k, value))
    if not found:
        return
    gone = {k for k, _ in found}
    names = [*body.inputs]
    inputs = {n: own for i, (n, own) in enumerate(body.inputs.items()) if i - 2 not in gone}
    after = [n for k, n in enumerate(body.outputs[1 : 1 + kept]) if k not in gone]
    results = [*node.outputs, *[""] * (len(body.outputs) - 1 - len(node.outputs))]
    fresh = [w.fresh(f"steps of {results[k]}") for k, _ in found]
    inner = replace(
        body,
        nodes=[n for n in body.nodes if not {names[2 + k] for k in gone} & {*n.inputs}],
        inputs=inputs,
        outputs=[body.outputs[0], *after, *body.outputs[1 + kept :], *(v for _, v in found)],
    )
    inner = with_captured(inner)
    loop = node._replace(
        inputs=(*node.inputs[:2], *(n for k, n in enumerate(node.inputs[2:]) if k not in gone)),
        outputs=(
            *(n for k, n in enumerate(results[:kept]) if k not in gone),
            *results[kept:],
            *fresh,
        ),
    )
    w.add(with_bodies(loop, {"body": inner}))
    for (k, _), steps in zip(found, fresh, strict=True):
        for user in uses[results[k]]:
            _join(user, steps, w, shapes)


def _collected(k: int, outer: str, node: Node, w: Writer, uses: Mapping[str, list[Node]]) -> str:
    """What each step puts at the end of a sequence that begins empty; "": it is another state."""
    begin, body = w.makers.get(outer), node.bodies["body"]
    result = node.outputs[k] if k < len(node.outputs) else ""
    if begin is None or begin.op != "SequenceEmpty" or not result or result in w.graph.outputs:
        return ""
    if any(user.op != "ConcatFromSequence" for user in uses[result]):
        return ""
    name, after = [*body.inputs][2 + k], body.outputs[1 + k]
    inserts = [own for own in body.nodes if name in own.needs]
    last = [own for own in body.nodes if after in own.needs]
    if len(inserts) != 1 or last or body.outputs.count(after) != 1:
        return ""
    (insert,) = inserts
    if insert.op != "SequenceInsert" or insert.outputs != (after,):
        return ""
    if len(insert.inputs) != 2 or insert.inputs[0] != name or insert.inputs[1] == name:
        return ""
    return insert.inputs[1]


def _join(node: Node, steps: str, w: Writer, shapes: Shapes) -> None:
    """ConcatFromSequence of (steps, ...)."""
    axis = node.attributes["axis"]
    (out,) = node.outputs
    if node.attributes.get("new_axis", 0):
        if axis == 0:
            w.node("Identity", [steps], [out])
            return
        rank = shapes.rank(out)
        if rank is None:
            raise ValueError(f"{node.label} joins along an axis of tensors of unknown rank")
        axis %= rank
        order = [*range(1, axis + 1), 0, *range(axis + 1, rank)]
        w.node("Transpose", [steps], [out], perm=order)
        return
    if axis != 0:
        raise ValueError(f"{node.label} joins along axis {axis}")
    ends = (w.constant(np.array([n]), "place") for n in (2, 1 << 40, 0))
    rest = w.node("Slice", [w.node("Shape", [steps], "shape"), *ends], "shape")
    shape = w.node("Concat", [w.constant(np.array([-1]), "any"), rest], "shape", axis=0)
    w.node("Reshape", [steps, shape], [out])
