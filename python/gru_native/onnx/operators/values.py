"""Values that come from nothing or stay as they are: constants, types, shapes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx

from ...layers._weights import Array
from .._model import Node
from .arguments import integers
from .budget import room
from .registry import operator


@operator("Constant")
def _constant(node: Node) -> Sequence[Array]:
    dtypes: dict[str, Any] = {"value_float": np.float32, "value_floats": np.float32}
    dtypes |= {"value_int": np.int64, "value_ints": np.int64}
    for name, value in node.attributes.items():
        if name == "value":
            return [value]
        if name in dtypes:
            return [np.array(value, dtypes[name])]
    raise ValueError("has no value that is a tensor, a float or an int")


@operator("Identity")
def _identity(node: Node, x: Array) -> Sequence[Array]:
    return [x]


@operator("Dropout")
def _dropout(node: Node, x: Array, ratio: Any = None, training: Any = None) -> Sequence[Array]:
    if training is not None and training.any():
        raise ValueError("training_mode is on; expected a model exported for inference")
    return [x, np.ones(x.shape, bool)]


@operator("Cast")
def _cast(node: Node, x: Array) -> Sequence[Array]:
    dtype = np.dtype(onnx.helper.tensor_dtype_to_np_dtype(node.attributes["to"]))
    if dtype.kind not in "fiub":
        raise ValueError(f"to is {node.attributes['to']}; expected floats, integers or bools")
    return [x.astype(dtype)]


@operator("CastLike")
def _cast_like(node: Node, x: Array, target: Array) -> Sequence[Array]:
    return [x.astype(target.dtype)]


@operator("Shape")
def _shape(node: Node, x: Array) -> Sequence[Array]:
    start, end = node.attributes.get("start", 0), node.attributes.get("end")
    return [np.array(x.shape[start:end], np.int64)]


@operator("Size")
def _size(node: Node, x: Array) -> Sequence[Array]:
    return [np.array(x.size, np.int64)]


@operator("ConstantOfShape")
def _constant_of_shape(node: Node, shape: Array) -> Sequence[Array]:
    value = node.attributes.get("value", np.zeros(1, np.float32))
    sizes = integers("shape", shape)
    if value.size != 1:
        raise ValueError(f"value has shape {value.shape}; expected one element")
    room(sizes, value.dtype)
    return [np.full(sizes, value.reshape(()), value.dtype)]


@operator("Range")
def _range(node: Node, start: Array, stop: Array, delta: Array) -> Sequence[Array]:
    if not delta.item():
        raise ValueError("delta is 0; expected another number")
    steps = float(stop.item() - start.item()) / float(delta.item())
    room([max(0, int(np.ceil(min(steps, 1e18))))], start.dtype)
    steps_of: Any = (start.item(), stop.item(), delta.item())
    return [np.arange(*steps_of, dtype=start.dtype)]
