"""A graph that can be computed: NumPy for the glue, this project's layers for the rest."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from ..layers._weights import Array
from ._fusion import DENSE, fuse
from ._model import Graph, Node
from .operators.recurrent.node import INPUTS, Recurrent, recurrent
from .operators.shape import OPERATORS, TooLarge, limit

RECURRENT = ("RNN", "LSTM", "GRU")
_CONSTANT = ("W", "R", "B", "P")
_FOLDED = 1 << 24  # bytes that constants of constants may take, beside what the file has
_GROWTH = 256  # how many times the bytes of its inputs and weights one result may have


@contextmanager
def named(node: Node) -> Iterator[None]:
    """Errors inside name the node."""
    try:
        yield
    except MemoryError:
        raise ValueError(f"{node.label}: the result does not fit in memory") from None
    except (ValueError, TypeError, LookupError, ArithmeticError) as error:
        kind = TooLarge if isinstance(error, TooLarge) else ValueError
        raise kind(f"{node.label}: {error}") from None


class Program:
    """What ``Graph`` says, with the layers made and what is constant computed.

    Raises ValueError, naming the node, for an operator that is not known and for weights that do
    not fit their node.
    """

    def __init__(self, graph: Graph) -> None:
        self.inputs = graph.inputs
        self.outputs = graph.outputs
        self.constants = dict(graph.constants)
        self.layers: dict[tuple[str, ...], Recurrent] = {}  # by the node's outputs
        self.nodes: list[Node] = []
        size = sum(array.nbytes for array in graph.constants.values())
        self._size = size
        room = _FOLDED + 4 * size
        for node in graph.nodes:
            if node.op not in OPERATORS and node.op not in RECURRENT:
                raise ValueError(f"{node.label}: operator {node.op} is not supported")
            if node.op in RECURRENT:
                self._make_layer(node)
            elif all(name in self.constants for name in node.inputs if name):
                room = self._fold(node, room)
                continue
            self.nodes.append(node)
        self.nodes, self.dense = fuse(self.nodes, self.constants, self.outputs)
        self._forget_weights()
        self._last_use = {name: i for i, node in enumerate(self.nodes) for name in node.inputs}

    def _fold(self, node: Node, room: int) -> int:
        """Compute a node once and for all, if its result is small; returns the room left."""
        kept = limit.set(room)
        try:
            results = self.compute(node, self.constants)
        except TooLarge:  # a matter of the call, if there ever is one
            self.nodes.append(node)
            return room
        finally:
            limit.reset(kept)
        self.constants.update(results)
        return room - sum(array.nbytes for array in results.values())

    def _make_layer(self, node: Node) -> None:
        weights = _weight_names(node)
        if all(name in self.constants for name in weights.values()):
            self.layers[node.outputs] = _layer(node, self.constants)

    def _forget_weights(self) -> None:
        """The layers have copies of their weights; the tensors are not needed any more."""
        needed = {*self.outputs}
        for node in self.nodes:
            own = _weight_names(node).values() if node.outputs in self.layers else ()
            needed.update(name for name in node.inputs if name not in own)
        self.constants = {name: a for name, a in self.constants.items() if name in needed}

    def run(self, feeds: Mapping[str, Array]) -> dict[str, Array]:
        """The outputs by name; feeds has all inputs. Raises ValueError, naming the node."""
        values: dict[str, Array] = {**self.constants, **feeds}
        given = sum(array.nbytes for array in feeds.values())
        kept = limit.set(max(limit.get(), _GROWTH * (given + self._size)))
        try:
            for i, node in enumerate(self.nodes):
                values.update(self.compute(node, values))
                for name in {*node.inputs}:
                    if self._last_use[name] == i and name not in self.outputs:
                        values.pop(name, None)
        finally:
            limit.reset(kept)
        return {name: values[name] for name in self.outputs}

    def compute(self, node: Node, values: Mapping[str, Array]) -> dict[str, Array]:
        """A node's outputs, by name, from its inputs."""
        with named(node), np.errstate(all="ignore"):
            if node.op in RECURRENT:
                results: Sequence[Any] = self._recurrent(node, values)
            elif node.op == DENSE:
                results = [self.dense[node.outputs](values[node.inputs[0]])]
            else:
                inputs = [values[name] if name else None for name in node.inputs]
                results = OPERATORS[node.op](node, *inputs)
            if len(results) < len([name for name in node.outputs if name]):
                raise ValueError(f"has {len(node.outputs)} outputs; expected {len(results)}")
        pairs = zip(node.outputs, results, strict=False)
        return {name: np.asarray(a) for name, a in pairs if name}

    def _recurrent(self, node: Node, values: Mapping[str, Array]) -> Sequence[Array | None]:
        layer = self.layers.get(node.outputs) or _layer(node, values)
        given = tensors_of(node)
        roles = ("sequence_lens", "initial_h", "initial_c")
        others = (values[given[role]] if role in given else None for role in roles)
        return layer.run(values[given["X"]], *others)


def tensors_of(node: Node) -> dict[str, str]:
    """The tensors that a recurrent node has, by the names of the operator's documentation."""
    order = INPUTS if node.op == "LSTM" else INPUTS[:6]
    return {role: name for role, name in zip(order, node.inputs, strict=False) if name}


def _weight_names(node: Node) -> dict[str, str]:
    return {role: name for role, name in tensors_of(node).items() if role in _CONSTANT}


def _layer(node: Node, values: Mapping[str, Array]) -> Recurrent:
    weights = {role: values[name] for role, name in _weight_names(node).items()}
    with named(node):
        return recurrent(node.op, node.attributes, weights)
