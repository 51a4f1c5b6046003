"""A graph that can be computed: NumPy for the glue, this project's layers for the rest."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from ..layers._weights import Array
from . import operators
from ._fusion import DENSE, fuse
from ._model import Graph, Node
from .operators import recurrent
from .operators.budget import USUAL, TooLarge, at_most

_FOLDED = 1 << 24  # bytes that constants of constants may take, beside what the file has
_GROWTH = 256  # how many times the bytes of its inputs and weights one result may have
_AT_ONCE = 4  # and how many such results there may be at once


@contextmanager
def named(node: Node) -> Iterator[None]:
    """Errors inside name the node."""
    try:
        yield
    except MemoryError as error:
        raise ValueError(f"{node.label}: the result does not fit in memory") from error
    except (ValueError, TypeError, LookupError, ArithmeticError) as error:
        kind = TooLarge if isinstance(error, TooLarge) else ValueError
        raise kind(f"{node.label}: {error}") from error


class Program:
    """What ``Graph`` says, with the layers made and what is constant computed.

    Raises ValueError, naming the node, for an operator that is not known and for weights that do
    not fit their node.
    """

    def __init__(self, graph: Graph) -> None:
        self.inputs = graph.inputs
        self.outputs = graph.outputs
        self.constants = dict(graph.constants)
        self.layers: dict[tuple[str, ...], recurrent.Recurrent] = {}  # by the node's outputs
        self.nodes: list[Node] = []
        size = sum(array.nbytes for array in graph.constants.values())
        self._size = size
        room = _FOLDED + 4 * size
        for node in graph.nodes:
            with named(node):
                operators.find(node)
            if node.op in recurrent.OPERATORS:
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
        try:
            with at_most(room):
                results = self.compute(node, self.constants)
        except TooLarge:  # a matter of the call, if there ever is one
            self.nodes.append(node)
            return room
        self.constants.update(results)
        return room - sum(array.nbytes for array in results.values())

    def _make_layer(self, node: Node) -> None:
        weights = recurrent.weights_of(node)
        if all(name in self.constants for name in weights.values()):
            with named(node):
                self.layers[node.outputs] = recurrent.make(node, self.constants)

    def _forget_weights(self) -> None:
        """The layers have copies of their weights; the tensors are not needed any more."""
        needed = {*self.outputs}
        for node in self.nodes:
            own = recurrent.weights_of(node).values() if node.outputs in self.layers else ()
            needed.update(name for name in node.inputs if name not in own)
        self.constants = {name: a for name, a in self.constants.items() if name in needed}

    def run(self, feeds: Mapping[str, Array], limit: int | None = None) -> dict[str, Array]:
        """The outputs by name; feeds has all inputs. Raises ValueError, naming the node.

        limit: the bytes of one result, of what is no layer; usually by feeds and weights.
        """
        values: dict[str, Array] = {**self.constants, **feeds}
        if limit is None:
            given = sum(array.nbytes for array in feeds.values())
            limit = max(USUAL, _GROWTH * (given + self._size))
        taken: dict[str, int] = {}  # by the results that are still needed
        for i, node in enumerate(self.nodes):
            with at_most(min(limit, _AT_ONCE * limit - sum(taken.values()))):
                results = self.compute(node, values)
            values.update(results)
            if node.op not in (*recurrent.OPERATORS, DENSE):
                taken.update((name, array.nbytes) for name, array in results.items())
            for name in {*node.inputs}:
                if self._last_use[name] == i and name not in self.outputs:
                    values.pop(name, None)
                    taken.pop(name, None)
        return {name: values[name] for name in self.outputs}

    def compute(self, node: Node, values: Mapping[str, Array]) -> dict[str, Array]:
        """A node's outputs, by name, from its inputs."""
        with named(node), np.errstate(all="ignore"):
            if node.outputs in self.layers:
                results: Sequence[Any] = self._run_layer(node, values)
            elif node.op == DENSE:
                results = [self.dense[node.outputs](values[node.inputs[0]])]
            else:
                inputs = [values[name] if name else None for name in node.inputs]
                results = operators.compute(node, inputs)
            if len(results) < len([name for name in node.outputs if name]):
                raise ValueError(f"has {len(node.outputs)} outputs; expected {len(results)}")
        pairs = zip(node.outputs, results, strict=False)
        return {name: np.asarray(a) for name, a in pairs if name}

    def _run_layer(self, node: Node, values: Mapping[str, Array]) -> Sequence[Array | None]:
        given = recurrent.tensors_of(node)
        roles = ("sequence_lens", "initial_h", "initial_c")
        others = (values[given[role]] if role in given else None for role in roles)
        return self.layers[node.outputs].run(values[given["X"]], *others)
