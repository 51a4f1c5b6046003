"""Loops that count by themselves, and that carry what never changes, as TensorFlow has them.

n steps     while i < n, with i from 0 and i + 1 behind each step; also of several such counts
weights     states that come out of each step as they went in
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import onnx

from ...layers._weights import Array
from .._model import Graph, Node, read_node
from .writer import Writer, with_captured

_ENDLESS = 1 << 31  # steps that nobody means
_SAME = ("Identity", "Cast", "Squeeze", "Unsqueeze", "Reshape")  # of one whole number


class _Other(Exception):
    """It is no such loop."""


def counted(node: Node, w: Writer, constants: Mapping[str, Array]) -> Node:
    """The Loop with a number of steps, no condition, and the states that change; or as it is."""
    try:
        return _counted(node, w, constants)
    except _Other:
        return node


def _counted(node: Node, w: Writer, constants: Mapping[str, Array]) -> Node:
    body = node.bodies["body"]
    if any(own.bodies for own in body.nodes):
        raise _Other
    most, go_on, *outer = node.inputs
    number, condition, *inner = body.inputs
    kept = len(outer)
    makers = {n: own for own in body.nodes for n in own.outputs}
    known = {**constants, **body.constants}

    def root(name: str) -> str:
        while name in makers and makers[name].op == "Identity":
            name = makers[name].inputs[0]
        return name

    after = [root(name) for name in body.outputs[1 : 1 + kept]]
    same = {i: o for i, o, end in zip(inner, outer, after, strict=True) if end == i}
    counters = {
        i: end
        for i, o, end in zip(inner, outer, after, strict=True)
        if i not in same and _is(constants.get(o), 0) and _is_next(makers.get(end), i, known)
    }
    if not same and not counters:
        raise _Other
    inputs, last = (most, go_on), body.outputs[0]
    if counters and root(last) != condition:
        ends = {*counters.values()}
        bounds = [same.get(end, end) for end in _bounds(root(last), makers, ends.__contains__)]
        inside = {*makers, *body.inputs, *body.constants}
        if not bounds or any(end in inside for end in bounds):
            raise _Other
        if not all(_is_whole(end, w, constants) for end in bounds):
            raise _Other
        _check_begin(go_on, bounds, w, constants)
        inputs, last = (_steps(most, bounds, w, constants), ""), condition
    results = [*node.outputs, *[""] * (len(body.outputs) - 1)]
    used = {n for own in w.graph.nodes for n in own.needs} | {*w.graph.outputs}
    gone = same.keys() | counters.keys()
    for i, o, result in zip(inner, outer, results, strict=False):
        if i in counters and result in used:
            raise _Other
        if i in same and result in used:
            w.node("Identity", [o], [result])
    new = _body(body, same, [*counters], number, last, gone)
    left = [k for k, i in enumerate(inner) if i not in gone]
    return node._replace(
        inputs=(*inputs, *(outer[k] for k in left)),
        outputs=tuple([*(results[k] for k in left), *results[kept : len(body.outputs) - 1]]),
        bodies={"body": new},
        captured=tuple(sorted(new.captured)),
    )


def _is(array: Array | None, number: int) -> bool:
    return array is not None and array.size == 1 and bool(array.reshape(-1)[0] == number)


def _is_next(node: Node | None, name: str, known: Mapping[str, Array]) -> bool:
    """Whether it counts on from a tensor."""
    if node is None or node.op != "Add":
        return False
    a, b = node.inputs
    return (a == name and _is(known.get(b), 1)) or (b == name and _is(known.get(a), 1))


def _is_whole(name: str, w: Writer, constants: Mapping[str, Array]) -> bool:
    """Whether a tensor is known to be of whole numbers."""
    while name in w.makers and name not in constants:
        node = w.makers[name]
        if node.op in ("Shape", "Size"):
            return True
        if node.op == "Cast":
            return node.attributes.get("to") in _WHOLE
        if node.op not in _MOVES:
            return False
        name = node.inputs[0]
    own = constants[name].dtype if name in constants else None
    given = w.graph.inputs.get(name)
    kind = own or (given.dtype if given is not None else np.dtype(np.float32))
    return kind.kind in "iu"


_WHOLE = (onnx.TensorProto.INT32, onnx.TensorProto.INT64)
_MOVES = ("Identity", "Squeeze", "Unsqueeze", "Reshape", "Slice", "Gather", "Add", "Sub", "Mul")


def _plain(name: str, makers: Mapping[str, Node]) -> str:
    """Where a whole number comes from."""
    while name in makers and makers[name].op in _SAME:
        name = makers[name].inputs[0]
    return name


def _bounds(name: str, makers: Mapping[str, Node], counts: Any) -> list[str]:
    """What all counts must be below for this condition; none: it is another one."""
    node = makers.get(name)
    if node is None:
        return []
    if node.op == "Identity":
        return _bounds(node.inputs[0], makers, counts)
    if node.op == "And":
        both = [_bounds(n, makers, counts) for n in node.inputs]
        return both[0] + both[1] if all(both) else []
    left, right = (_plain(n, makers) for n in node.inputs) if node.op in _ORDERS else ("", "")
    if node.op == "Greater":
        left, right = right, left
    return [right] if node.op in _ORDERS and counts(left) else []


_ORDERS = ("Less", "Greater")


def _check_begin(
    go_on: str, bounds: Sequence[str], w: Writer, constants: Mapping[str, Array]
) -> None:
    """Whether the condition before the first step is that of the others, of 0."""
    own = {_plain(end, w.makers) for end in bounds}
    if go_on in constants or not go_on:
        fixed = [constants.get(end) for end in own]
        if go_on and not bool(constants[go_on].reshape(-1)[:1].all()):
            raise _Other
        if any(a is None or a.size != 1 or a.reshape(-1)[0] < 1 for a in fixed):
            raise _Other
        return
    first = _bounds(go_on, w.makers, lambda name: _is(constants.get(name), 0))
    if {_plain(end, w.makers) for end in first} != own:
        raise _Other


def _steps(most: str, bounds: Sequence[str], w: Writer, constants: Mapping[str, Array]) -> str:
    """The number of steps: the least of these."""
    given = constants.get(most)
    names = [*dict.fromkeys(bounds)]
    if most and not (
        given is not None and given.size == 1 and given.reshape(-1)[0] >= _ENDLESS - 1
    ):
        names.append(most)
    shape = w.constant(np.zeros(0, np.int64), "shape")
    whole = [w.node("Reshape", [w.node("Cast", [n], "steps", to=7), shape], "steps") for n in names]
    return whole[0] if len(whole) == 1 else w.node("Min", whole, "steps")


def _body(
    body: Graph,
    same: Mapping[str, str],
    counters: Sequence[str],
    number: str,
    last: str,
    gone: Any,
) -> Graph:
    """The body without states: others for what they are, and the number of the step for counts."""
    opset = max(own.opset for own in body.nodes)
    nodes = []
    for name in counters:  # of the type that the state has; as an index it is the number itself
        kind = body.inputs[name].dtype
        to = onnx.helper.np_dtype_to_tensor_dtype(kind)
        nodes.append(read_node(onnx.helper.make_node("Cast", [number], [name], to=to), opset))
    for own in body.nodes:
        names = [same.get(n, n) for n in own.inputs]
        if own.op == "Gather" and names[1] in counters:
            names[1] = number
        nodes.append(own._replace(inputs=tuple(names)))
    kept = len(body.inputs) - 2
    after = [n for n, i in zip(body.outputs[1:], [*body.inputs][2:], strict=False) if i not in gone]
    collected = [same.get(n, n) for n in body.outputs[1 + kept :]]
    inputs = {n: own for n, own in body.inputs.items() if n not in gone}
    return with_captured(
        replace(body, nodes=nodes, inputs=inputs, outputs=[last, *after, *collected])
    )
