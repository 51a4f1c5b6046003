"""Dense layers from their parts: MatMul or Gemm, then perhaps Add, then perhaps an activation."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np

from .. import files
from ..layers import Dense
from ..layers._weights import Array
from ._integers import Weight, integer_products
from ._model import Node

DENSE = "Dense"  # the op of a node that stands for a whole layer; ONNX has none of that name
ROW_WISE = {"Softmax": "softmax", "LogSoftmax": "log_softmax"}
ACTIVATIONS = {"Relu": "relu", "Tanh": "tanh", "Sigmoid": "sigmoid", **ROW_WISE}


def fuse(
    nodes: Sequence[Node], constants: Mapping[str, Array], outputs: Sequence[str]
) -> tuple[list[Node], dict[tuple[str, ...], Dense]]:
    """The nodes with one for each dense layer, and these layers by their node's outputs."""
    nodes, integers = integer_products(_swishes(nodes, outputs), constants, outputs)
    uses = Counter(name for node in nodes for name in node.needs)
    uses.update(outputs)
    consumer = {name: node for node in nodes for name in node.needs if uses[name] == 1}
    gone: set[tuple[str, ...]] = set()
    left: list[Node] = []
    layers: dict[tuple[str, ...], Dense] = {}
    for node in nodes:
        found = integers.get(node.outputs) or _product(node, constants)
        if node.outputs in gone:
            continue
        if found is None:
            left.append(node)
            continue
        x, weight, bias = found
        end = node
        after = consumer.get(end.outputs[0])
        if bias is None and after is not None and after.op == "Add":
            bias = _bias(after, end.outputs[0], constants, len(weight.floats))
            if bias is not None:
                end = after
                gone.add(end.outputs)
                after = consumer.get(end.outputs[0])
        activation = "identity"
        rank = 2 if node.op == "Gemm" else None  # of a MatMul's result only the call knows it
        if after is not None and after.op in ACTIVATIONS and is_on_rows(after, rank):
            activation, end = ACTIVATIONS[after.op], after
            gone.add(end.outputs)
        fused = node._replace(op=DENSE, inputs=(x,), outputs=end.outputs, attributes={})
        layers[fused.outputs] = make_dense(weight, bias, activation)
        left.append(fused)
    return left, layers


def _swishes(nodes: Sequence[Node], outputs: Sequence[str]) -> list[Node]:
    """The nodes with one for each product of a number with its logistic function."""
    uses = Counter(name for node in nodes for name in node.needs)
    uses.update(outputs)
    gates = {n.outputs[0]: n for n in nodes if n.op == "Sigmoid" and uses[n.outputs[0]] == 1}
    gone: set[str] = set()
    left: list[Node] = []
    for node in nodes:
        for gate, x in (node.inputs, node.inputs[::-1]) if node.op == "Mul" else ():
            if gate in gates and gates[gate].inputs[0] == x:
                gone.add(gate)
                node = node._replace(op="Swish", inputs=(x,), attributes={})
                break
        left.append(node)
    return [node for node in left if not gone.intersection(node.outputs)]


def _product(node: Node, constants: Mapping[str, Array]) -> tuple[str, Weight, Array | None] | None:
    """The input, weight (output_size, input_size) and bias of a product that a layer computes."""
    if node.op not in ("MatMul", "Gemm") or node.inputs[0] in constants:
        return None
    weight = constants.get(node.inputs[1])
    if weight is None or weight.ndim != 2 or 0 in weight.shape:
        return None
    if weight.dtype not in (np.float32, np.float64):
        return None
    if node.op == "MatMul":
        return node.inputs[0], Weight(weight.T), None
    own = node.attributes
    if own.get("transA", 0) or own.get("alpha", 1.0) != 1.0 or own.get("beta", 1.0) != 1.0:
        return None
    weight = weight if own.get("transB", 0) else weight.T
    if len(node.inputs) < 3 or not node.inputs[2]:
        return node.inputs[0], Weight(weight), None
    bias = constants.get(node.inputs[2])
    if bias is None or bias.shape not in ((len(weight),), (1, len(weight))):
        return None
    return node.inputs[0], Weight(weight), bias.reshape(-1)


def _bias(add: Node, product: str, constants: Mapping[str, Array], size: int) -> Array | None:
    other = add.inputs[1] if add.inputs[0] == product else add.inputs[0]
    bias = constants.get(other)
    return bias if bias is not None and bias.shape == (size,) else None


def is_on_rows(node: Node, rank: int | None) -> bool:
    """Whether a node computes each row by itself, if its input has so many axes."""
    if node.op not in ROW_WISE:
        return True
    # before opset 13 all axes from this one on were one
    axis = node.attributes.get("axis", -1 if node.opset >= 13 else 1)
    return axis == -1 or (rank is not None and axis == rank - 1)


def make_dense(weight: Weight, bias: Array | None, activation: str) -> Dense:
    """A layer with this weight, in the shape that Dense has."""
    outputs, inputs = weight.floats.shape
    dtype = weight.floats.dtype
    dense = Dense(inputs, outputs, bias=bias is not None, activation=activation, dtype=dtype)
    tensors = {"weight": weight.floats} if weight.stored is None else weight.stored
    precision = "full" if weight.stored is None else "int8"
    return dense._of_stored(precision, tensors | ({} if bias is None else {"bias": bias}))


def with_bias(dense: Dense, bias: Array) -> Dense:
    """The same layer, which has none, with a bias."""
    options = {**files.describe(dense), "bias": True}
    other: Dense = files.build(options, dense.dtype)
    return other._of_stored(options["precision"], dense._stored() | {"bias": bias})


def with_activation(dense: Dense, activation: str) -> Dense:
    """The same layer with another function."""
    options = {**files.describe(dense), "activation": activation}
    other: Dense = files.build(options, dense.dtype)
    return other._of_stored(options["precision"], dense._stored())
