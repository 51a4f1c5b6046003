"""Convolutions of whole numbers, as ONNX Runtime's quantize_dynamic writes them.

    q, s, z = DynamicQuantizeLinear(x);  y = Cast(ConvInteger(q, W, z, w_zero) + b) * (s * scale)
    b = Reshape(Cast(Floor(bias / (s * scale))))

The core computes all of it in one call.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from ..layers._weights import Array
from ._model import Node
from .operators.convolution import OfWholeNumbers, prepared, whole_conv, whole_kernel
from .operators.quantized import dynamic_quantize

WHOLE = "ConvolutionOfWholeNumbers"  # the op of a node that stands for all of it; none of ONNX's
_PARTS = ("DynamicQuantizeLinear", "ConvInteger", "Cast", "Add", "Mul", "Div", "Floor", "Reshape")
_FLOAT, _INT32 = 1, 6  # of onnx.TensorProto


class WholeConvolution(NamedTuple):
    """What such a node computes. bias: None, or of each channel."""

    node: Node  # ConvInteger
    weight: Array
    zero: Array | None
    scale: Array
    bias: Array | None

    def run(self, x: Array) -> Sequence[Array]:
        """As it is written."""
        numbers, step, zero = dynamic_quantize(x)
        sums = whole_conv(self.node, numbers, zero, self.weight, self.zero)
        factor = step * self.scale if np.isfinite(step) else np.float32(np.nan)
        if self.bias is not None:
            with np.errstate(over="ignore"):
                whole = np.floor(self.bias / factor).clip(-(2.0**31), 2.0**31)
            sums += whole.reshape(-1, *[1] * (sums.ndim - 2))
        return [np.asarray(sums * factor, np.float32)]

    def prepared(self, x: Array) -> OfWholeNumbers | None:
        """What computes it for arrays of x's shape; None for those that the core does not do."""
        kernel = whole_kernel(self.weight, self.zero).astype(np.float32)
        made = prepared(self.node, x, kernel)
        scale = float(self.scale.reshape(()))
        return None if made is None else made.of_whole_numbers(scale, self.bias)


def whole_convolutions(
    nodes: Sequence[Node], constants: Mapping[str, Array], outputs: Sequence[str]
) -> tuple[list[Node], dict[tuple[str, ...], WholeConvolution]]:
    """The nodes with one for each of these, and what it computes by its outputs."""
    makers = {name: node for node in nodes for name in node.outputs}
    found: dict[tuple[str, ...], WholeConvolution] = {}
    whole: list[Node] = []
    for node in nodes:
        made = _found(node, makers, constants)
        if made is not None:
            x, found[node.outputs] = made
            node = node._replace(op=WHOLE, inputs=(x,), attributes={})
        whole.append(node)
    if not found:
        return [*nodes], found
    left: list[Node] = []
    needed = {*outputs}
    for node in reversed(whole):  # without what only these needed
        if node.op in _PARTS and not needed & {*node.outputs}:
            continue
        left.append(node)
        needed.update(node.needs)
    return left[::-1], found


def _found(
    node: Node, makers: Mapping[str, Node], constants: Mapping[str, Array]
) -> tuple[str, WholeConvolution] | None:
    """Of the product that ends it: the name of x, and what is computed."""

    def made_by(name: str, op: str, inputs: int, **attributes: Any) -> Node | None:
        maker = makers.get(name)
        if maker is None or maker.op != op or len(maker.inputs) != inputs:
            return None
        return maker if attributes.items() <= maker.attributes.items() else None

    if node.op != "Mul" or len(node.inputs) != 2:
        return None
    for first, second in (node.inputs, node.inputs[::-1]):
        cast, factor = made_by(first, "Cast", 1, to=_FLOAT), made_by(second, "Mul", 2)
        if cast is not None and factor is not None:
            break
    else:
        return None
    sums, added = cast.inputs[0], None
    plus = made_by(sums, "Add", 2)
    if plus is not None:
        sums, added = (
            plus.inputs if made_by(plus.inputs[0], "ConvInteger", 4) else plus.inputs[::-1]
        )
    convolution = made_by(sums, "ConvInteger", 4)
    if convolution is None:
        return None
    levels = made_by(convolution.inputs[0], "DynamicQuantizeLinear", 1)
    if levels is None or (convolution.inputs[0], convolution.inputs[2]) != levels.outputs[::2]:
        return None
    weight, zero = constants.get(convolution.inputs[1]), constants.get(convolution.inputs[3])
    if weight is None or weight.ndim not in (3, 4) or zero is None:
        return None
    scale = _scale(factor, levels.outputs[1], weight.ndim, constants)
    if scale is None:
        return None
    if weight.dtype not in (np.int8, np.uint8) or zero.size not in (1, len(weight)):
        return None
    bias = None
    if added is not None:
        bias = _bias(added, levels.outputs[1], scale, weight, made_by, constants)
        if bias is None:
            return None
    return levels.inputs[0], WholeConvolution(convolution, weight, zero, scale, bias)


def _scale(factor: Node, step: str, axes: int, constants: Mapping[str, Array]) -> Array | None:
    """What a Mul multiplies the step of the levels by: one number, with no more axes than these."""
    others = [name for name in factor.inputs if name != step]
    scale = constants.get(others[0]) if len(others) == 1 else None
    if scale is None or scale.size != 1 or scale.ndim > axes or scale.dtype != np.float32:
        return None
    return scale.reshape(()) if scale > 0 else None


def _bias(
    name: str,
    step: str,
    scale: Array,
    weight: Array,
    made_by: Callable[..., Node | None],
    constants: Mapping[str, Array],
) -> Array | None:
    reshape = made_by(name, "Reshape", 2)
    shape = constants.get(reshape.inputs[1]) if reshape is not None else None
    sizes = [1, len(weight), *[1] * (weight.ndim - 2)]
    if reshape is None or shape is None or shape.size != len(sizes):
        return None
    if any(given not in (-1, size) for given, size in zip(shape.tolist(), sizes, strict=True)):
        return None
    cast = made_by(reshape.inputs[0], "Cast", 1, to=_INT32)
    floor = made_by(cast.inputs[0], "Floor", 1) if cast is not None else None
    quotient = made_by(floor.inputs[0], "Div", 2) if floor is not None else None
    factor = made_by(quotient.inputs[1], "Mul", 2) if quotient is not None else None
    if quotient is None or factor is None or _scale(factor, step, weight.ndim, constants) != scale:
        return None
    bias = constants.get(quotient.inputs[0])
    usual = bias is not None and bias.dtype == np.float32 and bias.shape == (len(weight),)
    return bias if usual else None
