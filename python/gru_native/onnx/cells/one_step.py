"""Layers of one step in the body of a loop: PyTorch's cells, as its older exporter writes them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ...layers._weights import Array
from .._model import Graph, Node
from ..operators.arguments import axes_of
from ..operators.recurrent import tensors_of
from .shapes import Shapes
from .steps import Step

_KINDS = ("LSTM", "GRU", "RNN")
_WEIGHTS = ("W", "R", "B", "P")


class OneStep:
    """A node of one step as ``chains.Layer`` is one."""

    def __init__(
        self, node: Node, step: Step, x: str, tensors: Mapping[str, Array], shapes: Shapes
    ) -> None:
        self._node, self.shapes = node, shapes
        self.chain, self.inputs, self.tensors = [step], [[x]], dict(tensors)
        self.kind, self.size = step.kind, step.size

    def attributes(self) -> dict[str, Any]:
        return dict(self._node.attributes)

    def rank(self) -> int | None:
        return 2


def layers_of_one_step(
    graph: Graph, constants: Mapping[str, Array], shapes: Shapes
) -> list[OneStep]:
    """Those whose x, states and final states are rows, with an axis of size 1 in front inside."""
    makers = {n: node for node in graph.nodes for n in node.outputs if n}
    users: dict[str, list[Node]] = {}
    for node in graph.nodes:
        for name in node.needs:
            users.setdefault(name, []).append(node)

    def axes(node: Node | None, op: str) -> list[int] | None:
        if node is None or node.op != op:
            return None
        given = constants.get(node.inputs[1]) if len(node.inputs) > 1 else None
        return axes_of(node, given)

    def row(name: str) -> str:
        """What the axis was put in front of."""
        node = makers.get(name)
        return node.inputs[0] if node is not None and axes(node, "Unsqueeze") == [0] else ""

    def end(name: str) -> str:
        """The final state without it, where nothing else takes the output."""
        own = users.get(name, [])
        if name in graph.outputs or len(own) != 1 or axes(own[0], "Squeeze") != [0]:
            return ""
        return own[0].outputs[0]

    found = []
    for node in graph.nodes:
        own = node.attributes
        if (
            node.op not in _KINDS
            or own.get("direction", "forward") != "forward"
            or own.get("layout", 0)
        ):
            continue
        names = tensors_of(node)
        weights = {r: constants[n] for r, n in names.items() if r in _WEIGHTS and n in constants}
        if "sequence_lens" in names or len(weights) != sum(r in _WEIGHTS for r in names):
            continue
        states = ["initial_h", "initial_c"][: 1 + (node.op == "LSTM")]
        before = [row(names.get(state, "")) for state in states]
        x = row(names["X"])
        outputs = [*node.outputs, "", ""]
        if outputs[0] in users or outputs[0] in graph.outputs or not x or "" in before:
            continue
        after = [end(name) for name in outputs[1 : 1 + len(states)]]
        if "" in after:
            continue
        size = weights["R"].shape[-1]
        step = Step(
            *(node.op, size, after[0], after[1] if len(after) > 1 else "", before[0]),
            before[1] if len(before) > 1 else "",
        )
        found.append(OneStep(node, step, x, weights, shapes))
    return found
