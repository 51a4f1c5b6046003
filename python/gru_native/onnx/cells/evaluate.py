"""What the tensors of a graph are, as the sums of ``terms``, and the steps among them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple, TypeAlias

import numpy as np

from ...layers._weights import Array
from .._model import Graph, Node
from .._program import NODE_ERRORS
from ..operators.arguments import axes_of
from ..operators.parts import slices, split_sizes
from ..recognition.block_rules import function_of
from . import steps
from .shapes import Shapes
from .terms import Algebra, Atom, Matrix, Monomial, NoAlgebra, Sum

_PRODUCTS = ("MatMul", "Gemm")
_MOST_PIECES = 16  # that are one beside the other


class Pieces(NamedTuple):
    """Tensors one beside the other, which only a product makes a sum of."""

    names: tuple[str, ...]


Value: TypeAlias = Sum | Pieces
Rule: TypeAlias = Callable[["Evaluation", Node], list[Value]]
_RULES: dict[str, Rule] = {}


def _rule(*names: str) -> Callable[[Rule], Rule]:
    def register(function: Rule) -> Rule:
        _RULES.update(dict.fromkeys(names, function))
        return function

    return register


class Evaluation:
    """All nodes of a graph, in order.

    constants: by name, those of the graphs around it and what nodes make of constants among them.
    written: each tensor as its node wrote it. steps: by the names of their h'. made: nodes that
    take a part of a tensor where the graph takes it of a product with it.
    """

    def __init__(self, graph: Graph, constants: Mapping[str, Array], shapes: Shapes) -> None:
        self.algebra = Algebra()
        self.constants = constants
        self.shapes = shapes
        self.written: dict[str, Sum] = {}
        self.steps: dict[str, steps.Step] = {}
        self.made: dict[str, Node] = {}
        self._values: dict[str, Value] = {}
        self._tensors: dict[int, str] = {}  # by the keys of what they are
        self._turned: dict[str, Array] = {}
        self._operands = self._find_operands(graph)
        for node in graph.nodes:
            if node.op in _RULES and any(n not in constants for n in node.inputs if n):
                self._evaluate(node)

    def _find_operands(self, graph: Graph) -> set[str]:
        """What products with constants are taken of: states and inputs, and no more is asked."""
        found = set()
        for node in graph.nodes:
            if node.op in _PRODUCTS and len(node.inputs) > 1 and node.inputs[1] in self.constants:
                found.add(node.inputs[0])
        for node in graph.nodes:
            if node.op == "Concat" and node.outputs[0] in found:
                found.update(node.inputs)
        return found

    def _evaluate(self, node: Node) -> None:
        try:
            results = _RULES[node.op](self, node)
        except (NoAlgebra, *NODE_ERRORS):
            return
        for name, value in zip(node.outputs, results, strict=False):
            if not name:
                continue
            if isinstance(value, Sum):
                self._see(name, value, node.op == "Identity")
            else:
                self._values[name] = value

    def _see(self, name: str, value: Sum, again: bool) -> None:
        """again: it has another name already."""
        self.written[name] = value
        if name not in self._operands or _gated(value.single):
            self._values[name] = value
        if not again:
            self._tensors[self.algebra.key(value)] = name
        step = steps.lstm(name, value, self._tensors, self.algebra.key) or steps.gru(name, value)
        if step is not None:
            self.steps[name] = step
            self._values.pop(name, None)
            self._values.pop(step.c_out, None)

    def value(self, name: str) -> Value:
        if name in self._values:
            return self._values[name]
        if name in self.constants:
            return self.algebra.constant(self.constants[name])
        return self.algebra.atom(name, self.shapes.width(name))

    def sum(self, name: str) -> Sum:
        value = self.value(name)
        return (
            self.algebra.atom(name, self.shapes.width(name)) if isinstance(value, Pieces) else value
        )

    def addend(self, name: str) -> Sum:
        """As it was written where it is (1 - f) g: a GRU's first step, or a part of an LSTM's c."""
        step = self.steps.get(name)
        part = step is not None and step.kind == "GRU" and step.zero and step.unknown is not None
        return self.written[name] if part else self.sum(name)

    def factors(self, name: str) -> Monomial:
        """What a product with a matrix is taken of: a tensor, or a gate times one."""
        value = self._values.get(name)
        own = value.single if isinstance(value, Sum) else None
        if own is not None and (_gated(own) or (len(own) == 1 and isinstance(own[0], Atom))):
            return own
        if name in self.constants:
            raise NoAlgebra
        (term,) = self.algebra.atom(name, None).terms.values()
        return term.of

    def matrix(self, name: str, turned: bool = False) -> Matrix:
        array = self.constants.get(name)
        if array is None or array.ndim != 2 or array.dtype.kind != "f" or 0 in array.shape:
            raise NoAlgebra
        if turned:
            array = self._turned.setdefault(name, array.T)
        return self.algebra.matrix(array)

    def product(self, name: str, matrix: Matrix) -> Sum:
        value = self._values.get(name)
        if not isinstance(value, Pieces):
            return self.algebra.product(self.factors(name), matrix)
        rows = len(matrix.array)
        widths = [self.shapes.width(n) for n in value.names]
        if widths.count(None) > 1:
            raise NoAlgebra
        widths = [rows - sum(w or 0 for w in widths) if w is None else w for w in widths]
        if sum(w or 0 for w in widths) != rows or min(w or 0 for w in widths) < 1:
            raise NoAlgebra
        ends = np.cumsum([w or 0 for w in widths]).tolist()
        return self.algebra.add(
            *(
                self.algebra.product(self.factors(n), matrix.part(0, end - (w or 0), end))
                for n, w, end in zip(value.names, widths, ends, strict=True)
            )
        )


def _gated(own: Monomial | None) -> bool:
    """r * h, of which a product with a matrix is taken."""
    return own is not None and sorted(type(f).__name__ for f in own) == ["Applied", "Atom"]


@_rule("MatMul")
def _matmul(e: Evaluation, node: Node) -> list[Value]:
    return [e.product(node.inputs[0], e.matrix(node.inputs[1]))]


@_rule("Gemm")
def _gemm(e: Evaluation, node: Node) -> list[Value]:
    own = node.attributes
    if own.get("transA", 0):
        raise NoAlgebra
    product = e.product(node.inputs[0], e.matrix(node.inputs[1], bool(own.get("transB", 0))))
    result = _times(e, product, own.get("alpha", 1.0))
    if len(node.inputs) > 2 and node.inputs[2]:
        result = e.algebra.add(result, _times(e, e.sum(node.inputs[2]), own.get("beta", 1.0)))
    return [result]


def _times(e: Evaluation, value: Sum, number: float) -> Sum:
    if number == 1:
        return value
    return e.algebra.multiply(value, e.algebra.constant(np.asarray(float(number))))


@_rule("Add", "Sum")
def _add(e: Evaluation, node: Node) -> list[Value]:
    return [e.algebra.add(*(e.addend(name) for name in node.inputs))]


@_rule("Sub")
def _sub(e: Evaluation, node: Node) -> list[Value]:
    a, b = (e.sum(name) for name in node.inputs)
    return [e.algebra.add(a, _times(e, b, -1.0))]


@_rule("Neg")
def _neg(e: Evaluation, node: Node) -> list[Value]:
    return [_times(e, e.sum(node.inputs[0]), -1.0)]


@_rule("Mul")
def _mul(e: Evaluation, node: Node) -> list[Value]:
    a, b = (e.sum(name) for name in node.inputs)
    return [e.algebra.multiply(a, b)]


@_rule("Identity")
def _same(e: Evaluation, node: Node) -> list[Value]:
    return [e.sum(node.inputs[0])]


@_rule(
    *("Sigmoid", "Tanh", "Relu", "HardSigmoid", "Softsign", "Softplus", "LeakyRelu", "Elu"),
    "ThresholdedRelu",
)
def _function(e: Evaluation, node: Node) -> list[Value]:
    function = function_of(node)
    if function is None:
        raise NoAlgebra
    return [e.algebra.apply(function, e.sum(node.inputs[0]))]


@_rule("Clip")
def _clip(e: Evaluation, node: Node) -> list[Value]:
    """From 0 to 1: a hard sigmoid of what is inside."""
    limits = [
        float(e.constants[name].reshape(())) if name else node.attributes.get(which)
        for which, name in zip(("min", "max"), (*node.inputs[1:], "", ""), strict=False)
    ]
    if limits != [0.0, 1.0]:
        raise NoAlgebra
    value = e.sum(node.inputs[0])
    base, alpha, beta = value.affine or (value, 1.0, 0.0)
    return [e.algebra.apply(("hard_sigmoid", alpha, beta), base)]


@_rule("Concat")
def _concat(e: Evaluation, node: Node) -> list[Value]:
    rank = e.shapes.rank(node.inputs[0])
    axis = node.attributes["axis"]
    if axis != -1 and (rank is None or axis != rank - 1):
        raise NoAlgebra
    if len(node.inputs) > _MOST_PIECES or any(name in e.constants for name in node.inputs):
        raise NoAlgebra
    values = [e.value(name) for name in node.inputs]
    sums = [v for v in values if isinstance(v, Sum)]
    if len(sums) == len(values) and all(v.linear for v in sums):
        return [e.algebra.beside(sums)]
    return [Pieces(tuple(node.inputs))]


def _constant(e: Evaluation, node: Node, place: int) -> Array | None:
    if len(node.inputs) <= place or not node.inputs[place]:
        return None
    if node.inputs[place] in e.constants:
        return e.constants[node.inputs[place]]
    numbers = e.shapes.numbers(node.inputs[place])  # as PyTorch's chunk has them, of sizes
    if numbers is None or None in numbers:
        raise NoAlgebra
    return np.array(numbers, np.int64)


@_rule("Split")
def _split(e: Evaluation, node: Node) -> list[Value]:
    value, rank = e.sum(node.inputs[0]), e.shapes.rank(node.inputs[0])
    axis = node.attributes.get("axis", 0)
    if axis != -1 and rank is None:
        raise NoAlgebra
    if axis != -1 and axis % (rank or 1) != (rank or 1) - 1:
        return [_taken(e, node, value, i) for i in range(len(node.outputs))]
    if value.width is None:
        raise NoAlgebra
    ends = np.cumsum(split_sizes(node, value.width, _constant(e, node, 1))).tolist()
    return [
        e.algebra.part(value, a, b) if a < b else e.algebra.joined([], 0)
        for a, b in zip([0, *ends[:-1]], ends, strict=True)
    ]


@_rule("Slice")
def _slice(e: Evaluation, node: Node) -> list[Value]:
    value, rank = e.sum(node.inputs[0]), e.shapes.rank(node.inputs[0])
    if rank is None or value.width is None:
        raise NoAlgebra
    huge = 1 << 40
    where = slices(
        node, (*[huge] * (rank - 1), value.width), *(_constant(e, node, i) for i in (1, 2, 3, 4))
    )
    *outer, last = where
    if outer == [slice(None)] * (rank - 1):
        start, stop, step = last.indices(value.width)
        if step != 1:
            raise NoAlgebra
        return [e.algebra.part(value, start, stop)]
    if last.indices(value.width) != (0, value.width, 1):
        raise NoAlgebra
    axes = [axis for axis, own in enumerate(outer) if own != slice(None)]
    return [_taken(e, node, value, 0, axes)]


@_rule("Gather")
def _gather(e: Evaluation, node: Node) -> list[Value]:
    rank = e.shapes.rank(node.inputs[0])
    if rank is None or (axis := node.attributes.get("axis", 0) % rank) == rank - 1:
        raise NoAlgebra
    return [_taken(e, node, e.sum(node.inputs[0]), 0, [axis])]


@_rule("Expand")
def _expand(e: Evaluation, node: Node) -> list[Value]:
    """To the shape that it has."""
    shape = e.shapes.of(node.inputs[0])
    if shape is None or None in shape or e.shapes.numbers(node.inputs[1]) != shape:
        raise NoAlgebra
    return [e.sum(node.inputs[0])]


@_rule("Squeeze")
def _squeeze(e: Evaluation, node: Node) -> list[Value]:
    rank, axes = e.shapes.rank(node.inputs[0]), axes_of(node, _constant(e, node, 1))
    if rank is None or not axes or any(axis % rank == rank - 1 for axis in axes):
        raise NoAlgebra
    return [_taken(e, node, e.sum(node.inputs[0]), 0)]


@_rule("Unsqueeze")
def _unsqueeze(e: Evaluation, node: Node) -> list[Value]:
    rank, axes = e.shapes.rank(node.inputs[0]), axes_of(node, _constant(e, node, 1)) or []
    if rank is None or any(axis % (rank + len(axes)) == rank + len(axes) - 1 for axis in axes):
        raise NoAlgebra
    return [_taken(e, node, e.sum(node.inputs[0]), 0)]


@_rule("Transpose")
def _transpose(e: Evaluation, node: Node) -> list[Value]:
    order = node.attributes.get("perm")
    if not order or order[-1] != len(order) - 1:
        raise NoAlgebra
    return [_taken(e, node, e.sum(node.inputs[0]), 0)]


def _taken(e: Evaluation, node: Node, value: Sum, which: int, axes: Sequence[int] = ()) -> Sum:
    """What a node takes of a sum of products, along other axes: the products of what it takes.

    axes: along which it takes some of the numbers. All that is added has to have as many there.
    """
    if not value.linear or not any(value.terms):
        raise NoAlgebra
    terms = []
    rank = e.shapes.rank(node.inputs[0])
    for term in value.terms.values():
        if not term.of:
            terms.append(term)
            continue
        if (
            len(term.of) != 1
            or not isinstance(term.of[0], Atom)
            or not isinstance(term.map, Matrix)
        ):
            raise NoAlgebra
        source = term.of[0].name
        if rank is None or e.shapes.rank(source) != rank:
            raise NoAlgebra
        part, whole = e.shapes.of(source), e.shapes.of(node.inputs[0])
        if len(value.terms) > 1 and axes:
            if part is None or whole is None:
                raise NoAlgebra
            if any(whole[axis] is None or part[axis] != whole[axis] for axis in axes):
                raise NoAlgebra
        names = [f"{name} of {source}" if name else "" for name in node.outputs]
        if names[which] not in e.made:
            own = node._replace(inputs=(source, *node.inputs[1:]), outputs=tuple(names))
            e.made.update({name: own for name in names if name})
            e.shapes.follow(own)
        (atom,) = e.algebra.atom(names[which], None).terms.values()
        terms.append(type(term)(atom.of, term.map))
    return e.algebra.joined(terms, value.width)
