"""Nodes that take the place of others in a graph."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import onnx

from ...layers._weights import Array
from .._model import Graph, Node, read_node
from .shapes import Shapes


class Writer:
    """A graph that is being rewritten. What is not needed any more goes in the end."""

    def __init__(
        self, graph: Graph, taken: Iterable[str] = (), shapes: Shapes | None = None
    ) -> None:
        self.graph = graph
        self._shapes = shapes
        self.opset = max((node.opset for node in graph.nodes), default=13)
        self.constants = dict(graph.constants)
        self.makers: dict[str, Node] = {n: node for node in graph.nodes for n in node.outputs if n}
        self._order = {node.outputs: i for i, node in enumerate(graph.nodes)}
        self._names = {*taken, *self.makers, *self.constants, *graph.inputs, *graph.captured}

    def place_of(self, node: Node) -> int:
        """Where the graph has it."""
        return self._order.get(node.outputs, len(self._order))

    def fresh(self, like: str) -> str:
        name, number = like, 2
        while name in self._names:
            name, number = f"{like} ({number})", number + 1
        self._names.add(name)
        return name

    def constant(self, array: Any, like: str) -> str:
        name = self.fresh(like)
        self.constants[name] = np.asarray(array)
        if self._shapes is not None:
            self._shapes.constants[name] = self.constants[name]
        return name

    def add(self, node: Node) -> None:
        for name in node.outputs:
            if name:
                self.makers[name] = node
                self._names.add(name)
        if self._shapes is not None:
            self._shapes.follow(node)

    def node(
        self,
        op: str,
        inputs: Sequence[str],
        outputs: Sequence[str] | str,
        name: str = "",
        **attributes: Any,
    ) -> str:
        """Adds a node; returns its first output. outputs: names, or what a new one is like."""
        names = [self.fresh(outputs)] if isinstance(outputs, str) else list(outputs)
        proto = onnx.helper.make_node(op, inputs, names, name=name, **attributes)
        self.add(read_node(proto, self.opset))
        return names[0]

    def on_axes(self, op: str, x: str, axes: list[int], outputs: Sequence[str] | str) -> str:
        """Squeeze or Unsqueeze, as the opset has them."""
        if self.opset < 13:
            return self.node(op, [x], outputs, axes=axes)
        return self.node(op, [x, self.constant(np.array(axes), "axes")], outputs)

    def depends(self, names: Iterable[str], on: set[str]) -> bool:
        """Whether some of these tensors are made of some of those."""
        seen: set[str] = set()
        open_ = list(names)
        while open_:
            name = open_.pop()
            if name in on:
                return True
            if name not in seen:
                seen.add(name)
                if name in self.makers:
                    open_.extend(self.makers[name].needs)
        return False

    def finished(self, outputs: Sequence[str] | None = None) -> Graph:
        """The graph of the nodes that its outputs need, in an order in which they can run."""
        wanted = list(self.graph.outputs if outputs is None else outputs)
        order: list[Node] = []
        done: set[int] = set()
        begun: set[int] = set()
        open_: list[tuple[str, bool]] = [(name, False) for name in reversed(wanted)]
        while open_:
            name, ready = open_.pop()
            node = self.makers.get(name)
            if node is None or id(node) in done:
                continue
            if ready:
                done.add(id(node))
                order.append(node)
                continue
            if id(node) in begun:
                raise ValueError(f"{node.label} would need itself")
            begun.add(id(node))
            open_.append((name, True))
            open_.extend((need, False) for need in reversed(node.needs))
        kept = {n for node in order for n in node.needs} | {*wanted}
        return replace(
            self.graph,
            nodes=order,
            outputs=wanted,
            constants={n: a for n, a in self.constants.items() if n in kept},
        )


def with_captured(graph: Graph) -> Graph:
    """The body of a node, which may need less of the graphs around it than before."""
    own = {"", *graph.constants, *graph.inputs, *(n for node in graph.nodes for n in node.outputs)}
    needed = {n for node in graph.nodes for n in node.needs} | {*graph.outputs}
    return replace(graph, captured=frozenset(needed - own))


def with_bodies(node: Node, bodies: Mapping[str, Graph]) -> Node:
    captured = dict.fromkeys(n for body in bodies.values() for n in sorted(body.captured))
    return node._replace(bodies=dict(bodies), captured=tuple(captured))


def row(arrays: Sequence[Array | None], size: int, dtype: np.dtype[Any]) -> Array:
    """Numbers of all gates, one after the other; of those that have none zeros."""
    return np.concatenate([np.zeros(size) if a is None else a for a in arrays]).astype(dtype)
