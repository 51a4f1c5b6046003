"""Products of whole numbers, as ONNX Runtime's quantize_dynamic writes dense layers.

    q, s, z = DynamicQuantizeLinear(x);  y = Cast(MatMulInteger(q, W, z, w_zero)) * (s * w_scale)

A layer computes what that stands for, x W^T, with a scale of its own for each row of x.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ..layers._weights import Array
from ._model import Node

_FLOAT = 1  # onnx.TensorProto.FLOAT
_OTHERS = 64  # rows of a weight within int8 for each that is not
_PARTS = ("DynamicQuantizeLinear", "MatMulInteger", "Cast", "Mul")


@dataclass(frozen=True)
class Weight:
    """Of a dense layer, (output_size, input_size). stored: the same in int8, if that holds it."""

    floats: Array
    stored: dict[str, Array] | None = None


def integer_products(
    nodes: Sequence[Node], constants: Mapping[str, Array], outputs: Sequence[str]
) -> tuple[list[Node], dict[tuple[str, ...], tuple[str, Weight, None]]]:
    """The nodes without what only such products need, and each product by its node's outputs."""
    makers = {name: node for node in nodes for name in node.outputs}
    products: dict[tuple[str, ...], tuple[str, Weight, None]] = {}
    parts: set[str] = set()  # what they are made of
    for node in nodes:
        if node.op != "Mul" or len(node.inputs) != 2:
            continue
        for first, second in (node.inputs, node.inputs[::-1]):
            found = _product(first, second, makers, constants)
            if found is not None:
                x, weight, own = found
                products[node.outputs] = x, weight, None
                parts.update(own)
                break
    left: list[Node] = []
    needed = {*outputs}
    for node in reversed(nodes):
        is_part = node.op in _PARTS and node.outputs[0] in parts
        if is_part and node.outputs not in products and not needed & {*node.outputs}:
            continue
        left.append(node)
        needed.update(products[node.outputs][:1] if node.outputs in products else node.needs)
    return left[::-1], products


def _product(
    cast: str, scales: str, makers: Mapping[str, Node], constants: Mapping[str, Array]
) -> tuple[str, Weight, list[str]] | None:
    whole, scale = makers.get(cast), makers.get(scales)
    if whole is None or whole.op != "Cast" or whole.attributes.get("to") != _FLOAT:
        return None
    product = makers.get(whole.inputs[0])
    if product is None or product.op != "MatMulInteger" or scale is None or scale.op != "Mul":
        return None
    x = makers.get(product.inputs[0])
    if x is None or x.op != "DynamicQuantizeLinear" or len(product.inputs) < 3:
        return None
    if product.inputs[0] != x.outputs[0] or product.inputs[2] != x.outputs[2]:
        return None
    others = [name for name in scale.inputs if name != x.outputs[1]]
    if len(others) != 1 or others[0] not in constants:
        return None
    zero = product.inputs[3] if len(product.inputs) > 3 else ""
    if zero and zero not in constants:
        return None
    weight = _weight(constants.get(product.inputs[1]), constants[others[0]], constants.get(zero))
    own = [x.outputs[0], product.outputs[0], whole.outputs[0], scale.outputs[0]]
    return None if weight is None else (x.inputs[0], weight, own)


def _weight(matrix: Array | None, scale: Array, zero: Array | None) -> Weight | None:
    """(inputs, outputs), with a scale and a zero point for all or for each output."""
    if matrix is None or matrix.ndim != 2 or 0 in matrix.shape or scale.dtype != np.float32:
        return None
    columns = matrix.shape[1]
    zero = np.zeros((), matrix.dtype) if zero is None else zero
    if any(a.size not in (1, columns) or a.ndim > 1 for a in (scale, zero)):
        return None
    q = (matrix.astype(np.int16) - zero.astype(np.int16)).T
    rows = np.broadcast_to(scale.reshape(-1), columns).astype(np.float32)
    floats = q.astype(np.float32) * rows[:, None]
    largest = np.abs(q).max(1)
    wide = largest > 127  # a row of these gets a larger scale, if they are few
    if not np.isfinite(floats).all() or _OTHERS * wide.sum() > columns or not (rows > 0).all():
        return Weight(floats)
    rows[wide] *= largest[wide] / np.float32(127)
    q[wide] = np.rint(q[wide] * (127 / largest[wide])[:, None])
    return Weight(floats, {"weight": q.astype(np.int8), "weight.scale": rows})
