"""If, Loop and Scan: nodes that have graphs of their own.

A body sees the tensors of the graphs around it by their names. Which of them it needs is read with
the model (``Node.captured``); here they come behind the node's own inputs.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

import numpy as np

from ..layers._weights import Array
from ._model import Input, Node
from .operators.arguments import axis_within
from .operators.budget import room, spend


class Body(Protocol):
    """A program, of which this much is needed here."""

    inputs: dict[str, Input]
    outputs: list[str]
    declared: dict[str, Input]
    steps: list[Any]

    def compute_all(self, feeds: Mapping[str, Any]) -> dict[str, Array]:
        """The outputs by name."""


CONTROL = {"If": ("then_branch", "else_branch"), "Loop": ("body",), "Scan": ("body",)}


def control_call(node: Node, bodies: Mapping[str, Body]) -> Callable[..., Sequence[Any]]:
    """What computes the node from its inputs and then the captured tensors."""
    count = len(node.inputs)
    first = next(iter(bodies.values()))

    def outer(arrays: Sequence[Any]) -> dict[str, Any]:
        return dict(zip(node.captured, arrays[count:], strict=True))

    def branch(*arrays: Any) -> Sequence[Any]:
        body = bodies["then_branch" if _one(arrays[0]) else "else_branch"]
        results = body.compute_all(outer(arrays))
        return [results[name] for name in body.outputs]

    def loop(*arrays: Any) -> Sequence[Any]:
        return _loop(first, arrays[:count], outer(arrays))

    def scan(*arrays: Any) -> Sequence[Any]:
        if node.opset >= 9:
            return _scan(node, first, arrays[:count], outer(arrays))
        if arrays[0] is not None:
            raise ValueError("has sequence_lens, which is not supported")
        rows = [
            _scan(node, first, [a[i] for a in arrays[1:count]], outer(arrays))
            for i in range(len(arrays[1]))
        ]
        return [np.stack(row) for row in zip(*rows, strict=True)]

    return {"If": branch, "Loop": loop, "Scan": scan}[node.op]


def check_bodies(node: Node) -> None:
    """Raises ValueError where a body does not go with its node."""
    for name in CONTROL[node.op]:
        if name not in node.bodies:
            raise ValueError(f"has no {name}")
    optional = {"If": 0, "Loop": 2, "Scan": int(node.opset < 9)}[node.op]
    if "" in node.inputs[optional:]:
        raise ValueError(f"has no input {1 + node.inputs.index('', optional)}")
    if node.op == "If":
        for name, body in node.bodies.items():
            if body.inputs or len(body.outputs) < len(node.outputs) or len(node.inputs) != 1:
                raise ValueError(f"its {name} has {len(body.outputs)} outputs; expected as the If")
        return
    body = node.bodies["body"]
    if node.op == "Loop":
        carried = len(node.inputs) - 2
        fits = carried >= 0 and len(body.inputs) == 2 + carried
        fits = fits and len(body.outputs) >= max(1 + carried, 1 + len(node.outputs))
    else:
        given = len(node.inputs) - (node.opset < 9)
        scanned = node.attributes.get("num_scan_inputs", 0)
        fits = 1 <= scanned <= given and len(body.inputs) == given
        fits = fits and len(body.outputs) >= max(given - scanned, len(node.outputs))
    if not fits:
        raise ValueError(
            f"its body has {len(body.inputs)} inputs and {len(body.outputs)} outputs, which do not "
            f"go with {len(node.inputs)} and {len(node.outputs)} of the node"
        )


def _one(condition: Array) -> bool:
    if condition.size != 1:
        raise ValueError(f"a condition has shape {condition.shape}; expected one bool")
    return bool(condition.reshape(())[()])


def _loop(body: Body, inputs: Sequence[Any], outer: dict[str, Any]) -> Sequence[Any]:
    trips, condition, *carried = inputs
    most = None if trips is None else int(trips.reshape(())[()])
    go_on = condition is None or _one(condition)
    names, kept = list(body.inputs), len(carried)
    collected: list[list[Array]] = [[] for _ in body.outputs[1 + kept :]]
    at = 0
    while go_on and (most is None or at < most):
        spend(1 + len(body.steps))
        feeds = dict(zip(names, (np.asarray(at), np.asarray(go_on), *carried), strict=True))
        results = body.compute_all({**outer, **feeds})
        go_on = _one(results[body.outputs[0]])
        carried = [results[name] for name in body.outputs[1 : 1 + kept]]
        _collect(collected, [results[name] for name in body.outputs[1 + kept :]])
        at += 1
    stacked = (
        _stacked(parts, body, name, 0)
        for parts, name in zip(collected, body.outputs[1 + kept :], strict=True)
    )
    return [*carried, *stacked]


def _scan(node: Node, body: Body, inputs: Sequence[Any], outer: dict[str, Any]) -> Sequence[Any]:
    own = node.attributes
    scanned = own["num_scan_inputs"]
    states, sources = list(inputs[:-scanned]), inputs[-scanned:]
    kept, names = len(states), list(body.inputs)
    old = "directions" if node.opset < 9 else "scan_input_directions"
    axes = _numbers(own, "scan_input_axes", scanned)
    backwards = _numbers(own, old, scanned)
    results_of = body.outputs[kept:]
    out_axes = _numbers(own, "scan_output_axes", len(results_of))
    out_backwards = _numbers(own, "scan_output_directions", len(results_of))
    turned = [
        np.moveaxis(x, axis_within("scan_input_axes", axis, x.ndim), 0)[:: -1 if back else 1]
        for x, axis, back in zip(sources, axes, backwards, strict=True)
    ]
    lengths = {len(x) for x in turned}
    if len(lengths) != 1:
        raise ValueError(f"its scan inputs have {sorted(lengths)} steps; expected the same")
    collected: list[list[Array]] = [[] for _ in results_of]
    for step in range(len(turned[0])):
        spend(1 + len(body.steps))
        feeds = dict(zip(names, (*states, *(x[step] for x in turned)), strict=True))
        results = body.compute_all({**outer, **feeds})
        states = [results[name] for name in body.outputs[:kept]]
        _collect(collected, [results[name] for name in results_of])
    stacked = (
        _stacked(parts[:: -1 if back else 1], body, name, axis)
        for parts, name, axis, back in zip(
            collected, results_of, out_axes, out_backwards, strict=True
        )
    )
    return [*states, *stacked]


def _numbers(own: dict[str, Any], name: str, count: int) -> list[int]:
    found = list(own.get(name, ())) or [0] * count
    if len(found) != count:
        raise ValueError(f"{name} has {len(found)} numbers; expected {count}")
    return found


def _collect(collected: list[list[Array]], results: Sequence[Array]) -> None:
    """One more step's results, if there is room for them."""
    for parts, result in zip(collected, results, strict=True):
        parts.append(np.array(result))
        room([len(parts), *result.shape], result.dtype)


def _stacked(parts: list[Array], body: Body, name: str, axis: int) -> Array:
    if parts:
        return np.stack(parts, axis_within("scan_output_axes", axis, parts[0].ndim + 1))
    declared = body.declared.get(name)  # of no step there is only what the model says of it
    shape = [] if declared is None or declared.shape is None else [n or 0 for n in declared.shape]
    room(shape, np.dtype(np.float64))
    return np.zeros((0, *shape), np.float32 if declared is None else declared.dtype)
