"""Layer normalisations written out: y = (x - mean) / sqrt(variance + epsilon) * w + b."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from ...layers._weights import Array
from .._model import Node
from ..operators.arguments import axes_of
from .shapes import Shapes
from .writer import Writer


def with_norms(w: Writer, constants: Mapping[str, Array], shapes: Shapes) -> None:
    """Puts LayerNormalization in the place of those that are written out over the last axis."""
    found = Norms(w, constants, shapes)
    for node in [*w.graph.nodes]:
        if node.op == "Div":
            found.write(node)


class Norms:
    def __init__(self, w: Writer, constants: Mapping[str, Array], shapes: Shapes) -> None:
        self._w, self._constants, self._shapes = w, constants, shapes
        self._uses = Counter(n for node in w.graph.nodes for n in node.needs)
        self._uses.update(w.graph.outputs)
        self._readers = {n: node for node in w.graph.nodes for n in node.inputs}

    def write(self, division: Node) -> None:
        apart, deviation = (self._w.makers.get(name) for name in division.inputs)
        if apart is None or apart.op != "Sub" or deviation is None or deviation.op != "Sqrt":
            return
        x, mean = apart.inputs
        inside = self._w.makers.get(deviation.inputs[0])
        if inside is None or inside.op != "Add" or self._mean_of(mean) != x:
            return
        variance, epsilon = self._with_constant(inside)
        square = self._w.makers.get(self._mean_of(variance))
        if square is None or epsilon is None or epsilon.size != 1:
            return
        if not self._is_square(square, apart):
            return
        end, scale = self._then("Mul", division)
        if end is None or scale is None:
            return
        last, bias = self._then("Add", end)
        if last is None or bias is None or bias.shape != scale.shape:
            last, bias = end, None
        given = [x, *(self._w.constant(a, "scale") for a in (scale, bias) if a is not None)]
        self._w.node(
            *("LayerNormalization", given, last.outputs, self._w.makers[mean].proto.name),
            axis=-1,
            epsilon=float(epsilon.reshape(())),
        )

    def _mean_of(self, name: str) -> str:
        """What a tensor is the mean of, over its last axis, which is kept; "" of others."""
        node = self._w.makers.get(name)
        if node is None or node.op != "ReduceMean" or not node.attributes.get("keepdims", 1):
            return ""
        given = self._constants.get(node.inputs[1]) if len(node.inputs) > 1 else None
        axes, rank = axes_of(node, given), self._shapes.rank(node.inputs[0])
        last = axes == [-1] or (rank is not None and axes == [rank - 1])
        return node.inputs[0] if last else ""

    def _is_square(self, node: Node, apart: Node) -> bool:
        made = self._w.makers.get(node.inputs[0])
        if made is None or (made.op, made.inputs) != (apart.op, apart.inputs):
            return False
        if node.op == "Mul":
            return node.inputs[0] == node.inputs[1]
        power = self._constants.get(node.inputs[1]) if node.op == "Pow" else None
        return power is not None and power.size == 1 and bool(power == 2)

    def _with_constant(self, node: Node) -> tuple[str, Array | None]:
        a, b = node.inputs
        return (b, self._constants[a]) if a in self._constants else (a, self._constants.get(b))

    def _then(self, op: str, node: Node) -> tuple[Node | None, Array | None]:
        """The only node that reads this one, with its constant (width,)."""
        name = node.outputs[0]
        reader = self._readers.get(name)
        if reader is None or reader.op != op or self._uses[name] != 1:
            return None, None
        other, constant = self._with_constant(reader)
        fits = constant is not None and constant.ndim == 1 and constant.dtype.kind == "f"
        wide = fits and constant is not None and constant.size == self._shapes.width(name)
        return (reader, constant) if other == name and wide else (None, None)
