"""A graph that can be computed: NumPy for the glue, this project's layers for the rest."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from ..layers._weights import Array
from . import operators
from ._control import CONTROL, check_bodies, control_call
from ._fallback import PIECE, Piece, pieces
from ._fusion import DENSE, fuse
from ._model import Graph, Node
from ._whole_convolutions import WHOLE, whole_convolutions
from .operators import recurrent
from .operators.budget import USUAL, TooLarge, at_most, now_at_most, of_a_run, room_left

_FOLDED = 1 << 24  # bytes that constants of constants may take, beside what the file has
_GROWTH = 256  # how many times the bytes of its inputs and weights one result may have
_AT_ONCE = 4  # and how many such results there may be at once
NODE_ERRORS = (MemoryError, ValueError, TypeError, LookupError, ArithmeticError)


class Step(NamedTuple):
    """A node with what computes it, and what is not needed any more afterwards."""

    node: Node
    call: Callable[..., Sequence[Any]]
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    counts: bool  # whether its results count as memory that the model asks for
    done: tuple[str, ...]


def of_node(node: Node, error: Exception) -> ValueError:
    """The same error, with the node's name."""
    if isinstance(error, MemoryError):
        return ValueError(f"{node.label}: the result does not fit in memory")
    kind = TooLarge if isinstance(error, TooLarge) else ValueError
    return kind(f"{node.label}: {error}")


@contextmanager
def named(node: Node) -> Iterator[None]:
    """Errors inside name the node."""
    try:
        yield
    except NODE_ERRORS as error:
        raise of_node(node, error) from error


class Program:
    """What ``Graph`` says, with the layers made and what is constant computed.

    outer: constants of the graphs around this one. fallback: "onnxruntime" if that shall compute
    the nodes that nothing here does. Raises ValueError, naming the nodes, for operators that are
    not known and for weights that do not fit their node.
    """

    def __init__(
        self, graph: Graph, outer: Mapping[str, Array] | None = None, fallback: str = ""
    ) -> None:
        unknown = missing(graph)
        if unknown and not fallback:
            raise ValueError(_said(unknown))
        self.inputs = graph.inputs
        self.outputs = graph.outputs
        self.declared = graph.declared
        self.constants = {n: a for n, a in (outer or {}).items() if n in graph.captured}
        self.constants |= graph.constants
        self.layers: dict[tuple[str, ...], recurrent.Recurrent] = {}  # by the node's outputs
        self.nodes: list[Node] = []
        self.bodies: dict[tuple[str, ...], dict[str, Program]] = {}
        self._pieces: dict[tuple[str, ...], Piece] = {}
        size = sum(array.nbytes for array in self.constants.values())
        self._size = size
        space = _FOLDED + 4 * size
        for node in pieces(graph, unknown) if unknown else graph.nodes:
            if node.op == PIECE:
                self._pieces[node.outputs] = Piece(graph, node, self.constants)
                self.nodes.append(node)
                continue
            with named(node):
                if node.op in CONTROL:
                    node = self._with_bodies(node)
                else:
                    operators.find(node)
            if node.op in recurrent.OPERATORS:
                self._make_layer(node)
            elif all(name in self.constants for name in node.needs if name):
                space = self._fold(node, space)
                continue
            self.nodes.append(node)
        self.nodes, self.whole = whole_convolutions(self.nodes, self.constants, self.outputs)
        self.nodes, self.dense = fuse(self.nodes, self.constants, self.outputs)
        self._forget_weights()
        self.steps = self._steps()

    def _with_bodies(self, node: Node) -> Node:
        check_bodies(node)
        bodies = {name: Program(body, self.constants) for name, body in node.bodies.items()}
        self.bodies[node.outputs] = bodies
        self._size += sum(body._size for body in bodies.values())
        return node._replace(captured=tuple(n for n in node.captured if n not in self.constants))

    def _fold(self, node: Node, space: int) -> int:
        """Compute a node once and for all, if its result is small; returns the space left."""
        try:
            with at_most(space), of_a_run():
                results = self.compute(node, self.constants)
        except TooLarge:  # a matter of the call, if there ever is one
            self.nodes.append(node)
            return space
        self.constants.update(results)
        return space - sum(array.nbytes for array in results.values())

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
            needed.update(name for name in node.needs if name not in own)
        self.constants = {name: a for name, a in self.constants.items() if name in needed}

    def _steps(self) -> list[Step]:
        last = {name: i for i, node in enumerate(self.nodes) for name in self._read_by(node)}
        kept = {"", *self.outputs, *self.constants}
        steps = []
        for i, node in enumerate(self.nodes):
            reads = self._read_by(node)
            done = {name for name in reads if last[name] == i and name not in kept}
            done |= {name for name in node.outputs if name not in last and name not in kept}
            counts = node.op not in (*recurrent.OPERATORS, DENSE)
            steps.append(Step(node, self._call(node), reads, node.outputs, counts, tuple(done)))
        return steps

    def _read_by(self, node: Node) -> tuple[str, ...]:
        """The tensors that the node's call takes."""
        if node.outputs not in self.layers:
            return node.needs
        given = recurrent.tensors_of(node)
        return tuple(given.get(r, "") for r in ("X", "sequence_lens", "initial_h", "initial_c"))

    def _call(self, node: Node) -> Callable[..., Sequence[Any]]:
        if node.outputs in self.layers:
            return self.layers[node.outputs].run
        if node.op == DENSE:
            dense = self.dense[node.outputs]
            return lambda x: (dense(x),)
        if node.op == WHOLE:
            return self.whole[node.outputs].run
        if node.op in CONTROL:
            return control_call(node, self.bodies[node.outputs])
        if node.op == PIECE:
            return self._pieces[node.outputs].run
        return partial(operators.find(node).compute, node)

    def run(self, feeds: Mapping[str, Array], limit: int | None = None) -> dict[str, Array]:
        """The outputs by name; feeds has all inputs. Raises ValueError, naming the node.

        limit: the bytes of one result, of what is no layer; usually by feeds and weights.
        """
        with (
            at_most(self.limit(feeds) if limit is None else limit),
            of_a_run(),
            np.errstate(all="ignore"),
        ):
            return self.compute_all(feeds)

    def limit(self, feeds: Mapping[str, Array]) -> int:
        """The bytes that one result may have for these inputs, where nothing else is said."""
        given = sum(array.nbytes for array in feeds.values())
        return max(USUAL, _GROWTH * (given + self._size))

    def compute_all(self, feeds: Mapping[str, Any]) -> dict[str, Array]:
        """The outputs by name, within the room that there is; for bodies in a run."""
        values: dict[str, Any] = {"": None, **self.constants, **feeds}
        limit, taken, narrow = room_left(), 0, False
        sizes: dict[str, int] = {}  # by the results that are still needed
        for step in self.steps:
            node, call, reads, made, counts, done = step
            if narrow or taken > (_AT_ONCE - 1) * limit:
                narrow = taken > (_AT_ONCE - 1) * limit
                now_at_most(min(limit, _AT_ONCE * limit - taken))
            try:
                results = call(*[values[name] for name in reads])
                if len(made) == 1 == len(results) and made[0] and type(results[0]) is np.ndarray:
                    values[made[0]] = results[0]  # as _take does, for most
                else:
                    self._take(step, results, values)
            except NODE_ERRORS as error:
                raise of_node(node, error) from error
            if counts:
                for name in made:
                    if name:
                        sizes[name] = size = values[name].nbytes
                        taken += size
            for name in done:
                del values[name]
                taken -= sizes.pop(name, 0)
        now_at_most(limit)
        return {name: values[name] for name in self.outputs}

    @staticmethod
    def _take(step: Step, results: Sequence[Any], values: dict[str, Any]) -> None:
        if len(results) < len(step.outputs) and any(step.outputs[len(results) :]):
            raise ValueError(f"has {len(step.outputs)} outputs; expected {len(results)}")
        for name, array in zip(step.outputs, results, strict=False):
            if name:
                values[name] = array if type(array) is np.ndarray else np.asarray(array)

    def compute(self, node: Node, values: Mapping[str, Array]) -> dict[str, Array]:
        """A node's outputs, by name, from its inputs."""
        found: dict[str, Any] = {}
        with named(node), np.errstate(all="ignore"):
            reads = self._read_by(node)
            step = Step(node, self._call(node), reads, node.outputs, False, ())
            results = step.call(*[values[name] if name else None for name in reads])
            self._take(step, results, found)
        return found


def missing(graph: Graph) -> list[Node]:
    """The nodes that nothing here computes, those with such nodes inside among them."""
    return [
        node
        for node in graph.nodes
        if not (node.op in CONTROL or operators.is_known(node))
        or any(missing(body) for body in node.bodies.values())
    ]


def _said(unknown: Sequence[Node]) -> str:
    """All of them, by operator, in one sentence."""
    found: dict[str, list[str]] = {}

    def add(nodes: Sequence[Node]) -> None:
        for node in nodes:
            inside = [n for body in node.bodies.values() for n in missing(body)]
            if inside:
                add(inside)
            else:
                found.setdefault(operators.why_not(node), []).append(node.label)

    add(unknown)
    if len(found) == 1:
        ((why, labels),) = found.items()
        if len(labels) == 1:
            return f"{labels[0]}: {why}"
    return "; ".join(f"{why} ({', '.join(labels)})" for why, labels in found.items())
