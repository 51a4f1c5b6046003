"""The shapes of a graph's tensors, as far as they are known before a call."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeAlias

import numpy as np

from ...layers._weights import Array
from .._model import Graph, Node
from .._program import NODE_ERRORS
from ..operators.arguments import axes_of, integers
from ..operators.parts import slices, split_sizes
from ..operators.recurrent import OPERATORS, tensors_of
from .sizes import Numbers, numbers_of, of_constant

Shape: TypeAlias = tuple[int | None, ...]  # None: any size
_LIKE_THE_FIRST = (
    *("Identity", "Cast", "Dropout", "Sigmoid", "Tanh", "Relu", "HardSigmoid", "Softsign", "Neg"),
    *("Softplus", "LeakyRelu", "Elu", "ThresholdedRelu", "Clip", "Softmax", "LayerNormalization"),
    *("Abs", "Exp", "Log", "Sqrt", "Erf", "Gelu", "Selu", "PRelu", "Reciprocal", "LogSoftmax"),
    *("Celu", "HardSwish", "Mish", "BatchNormalization", "CumSum"),
)
_BROADCAST = ("Add", "Sub", "Mul", "Div", "Pow", "Sum", "Where", "Max", "Min")


class Shapes:
    """known: shapes from outside, by name. A file's own claims count for what has no rule only."""

    def __init__(
        self, graph: Graph, constants: dict[str, Array], known: Mapping[str, Shape | None]
    ) -> None:
        self.constants = constants
        self._declared = {
            name: own.shape for name, own in {**graph.declared, **graph.inputs}.items()
        }
        self._known: dict[str, Shape | None] = {n: s for n, s in known.items() if s is not None}
        self._numbers: dict[str, Numbers] = {}
        for node in graph.nodes:
            self.follow(node)

    def of(self, name: str) -> Shape | None:
        if name in self.constants:
            return self.constants[name].shape
        own = self._known.get(name)
        return self._declared.get(name) if own is None else own

    def rank(self, name: str) -> int | None:
        own = self.of(name)
        return None if own is None else len(own)

    def width(self, name: str) -> int | None:
        """The size of the last axis."""
        own = self.of(name)
        return own[-1] if own else None

    def follow(self, node: Node) -> None:
        """Learns the shapes of a node's outputs."""
        try:
            found = self._shapes(node)
        except NODE_ERRORS:
            return
        for name, shape in zip(node.outputs, found, strict=False):
            if name and shape is not None:
                self._known[name] = shape
        try:
            x = self.of(node.inputs[0]) if node.inputs else None
            numbers = numbers_of(node, x, self.numbers, self.constants)
        except NODE_ERRORS:
            return
        if numbers is not None:
            self._numbers[node.outputs[0]] = numbers

    def numbers(self, name: str) -> Numbers | None:
        """Of a small tensor of whole numbers: which these are."""
        if name in self.constants:
            return of_constant(self.constants[name])
        return self._numbers.get(name)

    def constant(self, node: Node, place: int) -> Array | None:
        name = node.inputs[place] if len(node.inputs) > place else ""
        numbers = self._numbers.get(name)
        if numbers is not None and None not in numbers:
            return np.array(numbers, np.int64)
        return self.constants[name] if name else None

    def _shapes(self, node: Node) -> list[Shape | None]:
        x = self.of(node.inputs[0]) if node.inputs else None
        if node.op in _BROADCAST:
            return [_broadcast([self.of(name) for name in node.inputs])]
        if node.op in OPERATORS:
            return self._of_layer(node)
        if node.op == "Reshape":
            return self._reshaped(node, x)
        if x is None:
            return []
        if node.op in _LIKE_THE_FIRST:
            return [x]
        rule = _RULES.get(node.op)
        return rule(self, node, x) if rule is not None else []

    def _of_layer(self, node: Node) -> list[Shape | None]:
        names = tensors_of(node)
        x, r = self.of(names["X"]), self.of(names["R"])
        if x is None or r is None or node.attributes.get("layout", 0):
            return []
        h = (r[0], x[1], r[2])
        return [(x[0], *h[:2], h[2]), h, h]

    def _reshaped(self, node: Node, x: Shape | None) -> list[Shape | None]:
        sizes = self.numbers(node.inputs[1])
        if sizes is None:
            return []
        keeps = not node.attributes.get("allowzero", 0)
        new = [
            (None if x is None else x[i]) if n == 0 and keeps else None if n is None or n < 0 else n
            for i, n in enumerate(sizes)
        ]
        if x is not None and None not in x and new.count(None) == 1 and -1 in sizes:
            rest = int(np.prod([n for n in new if n is not None]))
            new[sizes.index(-1)] = int(np.prod([n for n in x if n is not None])) // max(rest, 1)
        return [tuple(new)]


def _broadcast(shapes: list[Shape | None]) -> Shape | None:
    known = [s for s in shapes if s is not None]
    if len(known) != len(shapes) or not known:
        return None
    rank = max(map(len, known))
    result: list[int | None] = []
    for sizes in zip(*((1,) * (rank - len(s)) + s for s in known), strict=True):
        larger = [n for n in sizes if n not in (1, None)]
        result.append(larger[0] if larger else None if None in sizes else 1)
    return tuple(result)


Rule: TypeAlias = Callable[[Shapes, Node, Shape], "list[Shape | None]"]


def _matmul(s: Shapes, node: Node, x: Shape) -> list[Shape | None]:
    w = s.of(node.inputs[1])
    return [(*x[:-1], w[1])] if w is not None and len(w) == 2 else []


def _gemm(s: Shapes, node: Node, x: Shape) -> list[Shape | None]:
    w = s.of(node.inputs[1])
    if w is None:
        return []
    return [(x[bool(node.attributes.get("transA", 0))], w[not node.attributes.get("transB", 0)])]


def _gather(s: Shapes, node: Node, x: Shape) -> list[Shape | None]:
    indices = s.of(node.inputs[1])
    axis = node.attributes.get("axis", 0) % len(x)
    return [] if indices is None else [(*x[:axis], *indices, *x[axis + 1 :])]


def _squeeze(s: Shapes, node: Node, x: Shape) -> list[Shape | None]:
    axes = axes_of(node, s.constant(node, 1))
    if axes is None:
        return []
    gone = {axis % len(x) for axis in axes}
    return [tuple(n for i, n in enumerate(x) if i not in gone)]


def _unsqueeze(s: Shapes, node: Node, x: Shape) -> list[Shape | None]:
    axes = axes_of(node, s.constant(node, 1)) or []
    rank = len(x) + len(axes)
    new = list(x)
    for axis in sorted(axis % rank for axis in axes):
        new.insert(axis, 1)
    return [tuple(new)]


def _transpose(s: Shapes, node: Node, x: Shape) -> list[Shape | None]:
    order = node.attributes.get("perm") or range(len(x))[::-1]
    return [tuple(x[axis] for axis in order)]


def _split(s: Shapes, node: Node, x: Shape) -> list[Shape | None]:
    axis = node.attributes.get("axis", 0) % len(x)
    given = s.constant(node, 1)
    own = node.attributes.get("split") if given is None else integers("split", given)
    size = x[axis]
    sizes: list[int | None] = [None] * len(node.outputs)
    if size is not None:
        sizes = [*split_sizes(node, size, given)]
    elif own is not None:
        sizes = list(own)
    return [(*x[:axis], size, *x[axis + 1 :]) for size in sizes]


def _slice(s: Shapes, node: Node, x: Shape) -> list[Shape | None]:
    known = tuple(1 << 40 if n is None else n for n in x)
    where = slices(node, known, *(s.constant(node, i) for i in (1, 2, 3, 4)))
    sizes: list[int | None] = []
    for size, own in zip(x, where, strict=True):
        if own == slice(None):
            sizes.append(size)
        else:
            sizes.append(None if size is None else len(range(*own.indices(size))))
    return [tuple(sizes)]


def _concat(s: Shapes, node: Node, x: Shape) -> list[Shape | None]:
    axis = node.attributes["axis"] % len(x)
    sizes = [(s.of(name) or (None,) * len(x))[axis] for name in node.inputs]
    whole = None if None in sizes else sum(n for n in sizes if n is not None)
    return [(*x[:axis], whole, *x[axis + 1 :])]


def _conv(s: Shapes, node: Node, x: Shape) -> list[Shape | None]:
    w = s.of(node.inputs[1])
    return [] if w is None else [(x[0], w[0], *(None,) * (len(x) - 2))]


def _reduce(s: Shapes, node: Node, x: Shape) -> list[Shape | None]:
    axes = axes_of(node, s.constant(node, 1))
    if not axes:
        return []
    gone = {axis % len(x) for axis in axes}
    if node.attributes.get("keepdims", 1):
        return [tuple(1 if i in gone else n for i, n in enumerate(x))]
    return [tuple(n for i, n in enumerate(x) if i not in gone)]


def _expand(s: Shapes, node: Node, x: Shape) -> list[Shape | None]:
    shape = s.of(node.inputs[1])
    if not shape or shape[0] is None:
        return []
    sizes = s.numbers(node.inputs[1]) or (None,) * shape[0]
    return [_broadcast([x, sizes])]


def _of_numbers(s: Shapes, node: Node, _: Shape) -> list[Shape | None]:
    sizes = s.numbers(node.inputs[0])
    return [] if sizes is None else [sizes]


_RULES: dict[str, Rule] = {
    "MatMul": _matmul,
    "Gemm": _gemm,
    "Gather": _gather,
    "Squeeze": _squeeze,
    "Unsqueeze": _unsqueeze,
    "Transpose": _transpose,
    "Split": _split,
    "Slice": _slice,
    "Concat": _concat,
    "Conv": _conv,
    **dict.fromkeys(("MaxPool", "AveragePool"), lambda _, __, x: [(*x[:2], *(None,) * len(x[2:]))]),
    **dict.fromkeys(("ReduceMean", "ReduceSum", "ReduceMax", "ReduceMin"), _reduce),
    "Expand": _expand,
    "ConstantOfShape": _of_numbers,
    "Shape": lambda _, __, x: [(len(x),)],
    "Range": lambda *_: [(None,)],
}
