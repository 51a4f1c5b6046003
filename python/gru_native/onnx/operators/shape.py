"""The operators around recurrent layers, on NumPy arrays, as ONNX defines them.

``OPERATORS`` has a function for each: it takes the node and its inputs, None where an optional one
is missing, and returns the outputs. What would need more than ``limit`` bytes is a ValueError
before any memory is asked for: a few bytes of a model's file can ask for terabytes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextvars import ContextVar
from math import prod
from typing import Any, TypeAlias

import numpy as np
import onnx

from ...layers._weights import Array
from .._model import Node

limit: ContextVar[int] = ContextVar("limit", default=1 << 28)  # bytes of one result

Operator: TypeAlias = Callable[..., Sequence[Array]]
OPERATORS: dict[str, Operator] = {}


def _operator(*names: str) -> Callable[[Operator], Operator]:
    def register(function: Operator) -> Operator:
        OPERATORS.update(dict.fromkeys(names, function))
        return function

    return register


class TooLarge(ValueError):
    """A result that would not fit in ``limit``."""


def _room(shape: Sequence[int], dtype: np.dtype[Any]) -> None:
    if any(size < 0 for size in shape):
        raise ValueError(f"the result would have shape {str(tuple(shape))[:80]}")
    if prod(shape) * dtype.itemsize > limit.get():
        raise TooLarge(
            f"the result would have shape {str(tuple(shape))[:80]}; expected at most "
            f"{limit.get()} bytes for inputs of this size"
        )


def _broadcast_room(*arrays: Array) -> None:
    _room(np.broadcast_shapes(*(a.shape for a in arrays)), np.result_type(*arrays))


def integers(what: str, array: Array) -> list[int]:
    """The whole numbers in an array of at most one dimension."""
    if array.dtype.kind not in "iu" or array.ndim > 1:
        raise ValueError(
            f"{what} has dtype {array.dtype} and shape {array.shape}; expected whole numbers"
        )
    return [int(n) for n in np.atleast_1d(array)]


def axes_of(node: Node, axes: Array | None) -> list[int] | None:
    """The axes of Squeeze, Unsqueeze and Reduce: an attribute in old opsets, an input in new."""
    if axes is not None:
        return integers("axes", axes)
    found: list[int] | None = node.attributes.get("axes")
    return found


# --- values and shapes


@_operator("Constant")
def _constant(node: Node) -> Sequence[Array]:
    dtypes: dict[str, Any] = {"value_float": np.float32, "value_floats": np.float32}
    dtypes |= {"value_int": np.int64, "value_ints": np.int64}
    for name, value in node.attributes.items():
        if name == "value":
            return [value]
        if name in dtypes:
            return [np.array(value, dtypes[name])]
    raise ValueError("has no value that is a tensor, a float or an int")


@_operator("Identity")
def _identity(node: Node, x: Array) -> Sequence[Array]:
    return [x]


@_operator("Dropout")
def _dropout(node: Node, x: Array, ratio: Any = None, training: Any = None) -> Sequence[Array]:
    if training is not None and training.any():
        raise ValueError("training_mode is on; expected a model exported for inference")
    return [x, np.ones(x.shape, bool)]


@_operator("Cast")
def _cast(node: Node, x: Array) -> Sequence[Array]:
    dtype = np.dtype(onnx.helper.tensor_dtype_to_np_dtype(node.attributes["to"]))
    if dtype.kind not in "fiub":
        raise ValueError(f"to is {node.attributes['to']}; expected floats, integers or bools")
    return [x.astype(dtype)]


@_operator("CastLike")
def _cast_like(node: Node, x: Array, target: Array) -> Sequence[Array]:
    return [x.astype(target.dtype)]


@_operator("Shape")
def _shape(node: Node, x: Array) -> Sequence[Array]:
    start, end = node.attributes.get("start", 0), node.attributes.get("end")
    return [np.array(x.shape[start:end], np.int64)]


@_operator("Size")
def _size(node: Node, x: Array) -> Sequence[Array]:
    return [np.array(x.size, np.int64)]


@_operator("ConstantOfShape")
def _constant_of_shape(node: Node, shape: Array) -> Sequence[Array]:
    value = node.attributes.get("value", np.zeros(1, np.float32))
    sizes = integers("shape", shape)
    if value.size != 1:
        raise ValueError(f"value has shape {value.shape}; expected one element")
    _room(sizes, value.dtype)
    return [np.full(sizes, value.reshape(()), value.dtype)]


@_operator("Expand")
def _expand(node: Node, x: Array, shape: Array) -> Sequence[Array]:
    sizes = np.broadcast_shapes(x.shape, tuple(integers("shape", shape)))
    _room(sizes, x.dtype)
    return [np.broadcast_to(x, sizes)]


@_operator("Range")
def _range(node: Node, start: Array, stop: Array, delta: Array) -> Sequence[Array]:
    steps = float(stop.item() - start.item()) / float(delta.item())
    _room([max(0, int(np.ceil(min(steps, 1e18))))], start.dtype)
    steps_of: Any = (start.item(), stop.item(), delta.item())
    return [np.arange(*steps_of, dtype=start.dtype)]


# --- where things lie


@_operator("Transpose")
def _transpose(node: Node, x: Array) -> Sequence[Array]:
    return [np.transpose(x, node.attributes.get("perm"))]


@_operator("Squeeze")
def _squeeze(node: Node, x: Array, axes: Array | None = None) -> Sequence[Array]:
    own = axes_of(node, axes)
    return [np.squeeze(x, None if own is None else tuple(own))]


@_operator("Unsqueeze")
def _unsqueeze(node: Node, x: Array, axes: Array | None = None) -> Sequence[Array]:
    return [np.expand_dims(x, tuple(axes_of(node, axes) or ()))]


def new_shape(node: Node, old: tuple[int, ...], shape: Array) -> list[int]:
    """What Reshape makes of a shape: 0 keeps a size (unless allowzero), -1 is what is left."""
    sizes = integers("shape", shape)
    if not node.attributes.get("allowzero", 0):
        if any(size == 0 for size in sizes[len(old) :]):
            raise ValueError(f"shape {sizes} keeps a size that shape {old} does not have")
        sizes = [old[i] if size == 0 else size for i, size in enumerate(sizes)]
    if sizes.count(-1) == 1 and (rest := -prod(sizes)) > 0:
        sizes[sizes.index(-1)] = prod(old) // rest
    if prod(sizes) != prod(old) or min(sizes, default=0) < 0:
        raise ValueError(f"cannot make shape {sizes} of shape {old}")
    return sizes


@_operator("Reshape")
def _reshape(node: Node, x: Array, shape: Array | None = None) -> Sequence[Array]:
    if shape is None:
        raise ValueError("has no shape")
    return [x.reshape(new_shape(node, x.shape, shape))]


@_operator("Flatten")
def _flatten(node: Node, x: Array) -> Sequence[Array]:
    axis = node.attributes.get("axis", 1)
    rows = prod(x.shape[:axis])
    return [x.reshape(rows, prod(x.shape[axis:]))]


@_operator("Concat")
def _concat(node: Node, *parts: Array) -> Sequence[Array]:
    _room([sum(part.size for part in parts)], np.result_type(*parts))
    return [np.concatenate(parts, node.attributes["axis"])]


def slices(
    node: Node,
    shape: tuple[int, ...],
    starts: Array | None = None,
    ends: Array | None = None,
    axes: Array | None = None,
    steps: Array | None = None,
) -> tuple[slice, ...]:
    """The slice of each axis that Slice takes of an array of this shape."""
    if starts is None or ends is None:
        first, last = node.attributes["starts"], node.attributes["ends"]
        which = node.attributes.get("axes", range(len(first)))
    else:
        first, last = integers("starts", starts), integers("ends", ends)
        which = range(len(first)) if axes is None else integers("axes", axes)
    step = [1] * len(first) if steps is None else integers("steps", steps)
    if not len(first) == len(last) == len(which) == len(step):
        raise ValueError("starts, ends, axes and steps differ in length")
    taken = [slice(None)] * len(shape)
    for axis, start, end, by in zip(which, first, last, step, strict=True):
        # before the first element, going backwards, NumPy calls None
        before = by < 0 and end < -shape[axis]
        taken[axis] = slice(start, None if before else end, by)
    return tuple(taken)


@_operator("Slice")
def _slice(node: Node, x: Array, *where: Array) -> Sequence[Array]:
    return [x[slices(node, x.shape, *where)]]


def split_sizes(node: Node, size: int, split: Array | None) -> list[int]:
    """The sizes of Split's parts of an axis."""
    parts = len(node.outputs)
    if split is None and "split" not in node.attributes:
        each = -(-size // parts)
        return [each] * (parts - 1) + [size - each * (parts - 1)]
    sizes = node.attributes["split"] if split is None else integers("split", split)
    if len(sizes) != parts or sum(sizes) != size or min(sizes, default=0) < 0:
        raise ValueError(f"split is {sizes}; expected {parts} sizes that make up {size}")
    return list(sizes)


@_operator("Split")
def _split(node: Node, x: Array, split: Array | None = None) -> Sequence[Array]:
    axis = node.attributes.get("axis", 0)
    sizes = split_sizes(node, x.shape[axis], split)
    return np.split(x, np.cumsum(sizes)[:-1], axis)


@_operator("Gather")
def _gather(node: Node, x: Array, indices: Array) -> Sequence[Array]:
    axis = node.attributes.get("axis", 0)
    _room([x.size // max(1, x.shape[axis]), indices.size], x.dtype)
    return [np.take(x, indices, axis)]


@_operator("GatherND")
def _gather_nd(node: Node, x: Array, indices: Array) -> Sequence[Array]:
    if node.attributes.get("batch_dims", 0):
        raise ValueError("batch_dims is not 0, which is not supported")
    rows = np.moveaxis(indices, -1, 0)
    _room([prod(rows.shape[1:]), prod(x.shape[len(rows) :])], x.dtype)
    return [x[tuple(rows)]]


@_operator("Tile")
def _tile(node: Node, x: Array, repeats: Array) -> Sequence[Array]:
    times = integers("repeats", repeats)
    _room([size * n for size, n in zip(x.shape, times, strict=True)], x.dtype)
    return [np.tile(x, times)]


@_operator("ReverseSequence")
def _reverse_sequence(node: Node, x: Array, lengths: Array) -> Sequence[Array]:
    batch, time = node.attributes.get("batch_axis", 1), node.attributes.get("time_axis", 0)
    if {batch, time} != {0, 1} or lengths.shape != (x.shape[batch],):
        raise ValueError(f"lengths has shape {lengths.shape} for x of shape {x.shape}")
    result = x.copy()
    rows, source = (result, x) if batch == 0 else (result.swapaxes(0, 1), x.swapaxes(0, 1))
    for row, length in enumerate(integers("lengths", lengths)):
        if not 0 <= length <= x.shape[time]:
            raise ValueError(f"a length is {length}; expected 0 to {x.shape[time]}")
        rows[row, :length] = source[row, :length][::-1]
    return [result]


# --- arithmetic


@_operator("MatMul")
def _matmul(node: Node, a: Array, b: Array) -> Sequence[Array]:
    if a.ndim > 1 and b.ndim > 1:
        batch = np.broadcast_shapes(a.shape[:-2], b.shape[:-2])
        _room([*batch, a.shape[-2], b.shape[-1]], a.dtype)
    return [np.matmul(a, b)]


@_operator("Gemm")
def _gemm(node: Node, a: Array, b: Array, c: Array | None = None) -> Sequence[Array]:
    own = node.attributes
    if a.ndim != 2 or b.ndim != 2:
        raise ValueError(f"takes matrices; got shapes {a.shape} and {b.shape}")
    a, b = (a.T if own.get("transA", 0) else a), (b.T if own.get("transB", 0) else b)
    _room([a.shape[0], b.shape[1]], a.dtype)
    y = a.dtype.type(own.get("alpha", 1.0)) * (a @ b)
    if c is None:
        return [y]
    _broadcast_room(y, c)
    return [y + y.dtype.type(own.get("beta", 1.0)) * c]


def _divide(a: Array, b: Array) -> Array:
    if a.dtype.kind not in "iu":
        return np.asarray(a / b)
    if not b.all():
        raise ValueError("divides whole numbers by 0")
    return np.asarray(np.sign(a) * np.sign(b) * (np.abs(a) // np.abs(b)), a.dtype)


_BINARY: dict[str, Callable[[Any, Any], Any]] = {
    "Add": np.add,
    "Sub": np.subtract,
    "Mul": np.multiply,
    "Div": _divide,
    "Pow": lambda a, b: np.power(a, b).astype(a.dtype),
    "Equal": np.equal,
    "Less": np.less,
    "LessOrEqual": np.less_equal,
    "Greater": np.greater,
    "GreaterOrEqual": np.greater_equal,
    "And": np.logical_and,
    "Or": np.logical_or,
    "Max": np.maximum,
    "Min": np.minimum,
}


@_operator(*_BINARY)
def _binary(node: Node, first: Array, *others: Array) -> Sequence[Array]:
    for other in others:
        _broadcast_room(first, other)
        first = np.asarray(_BINARY[node.op](first, other))
    return [first]


@_operator("Where")
def _where(node: Node, condition: Array, a: Array, b: Array) -> Sequence[Array]:
    _room(np.broadcast_shapes(condition.shape, a.shape, b.shape), a.dtype)
    return [np.where(condition, a, b)]


_REDUCE: dict[str, Callable[..., Any]] = {
    "ReduceSum": np.sum,
    "ReduceMean": np.mean,
    "ReduceMax": np.max,
    "ReduceMin": np.min,
    "ReduceProd": np.prod,
}


@_operator(*_REDUCE)
def _reduce(node: Node, x: Array, axes: Array | None = None) -> Sequence[Array]:
    own = axes_of(node, axes)
    keep = bool(node.attributes.get("keepdims", 1))
    if not own and node.attributes.get("noop_with_empty_axes", 0):
        return [x]
    y = _REDUCE[node.op](x, axis=tuple(own) if own else None, keepdims=keep)
    return [np.asarray(y, x.dtype)]


@_operator("ArgMax")
def _argmax(node: Node, x: Array) -> Sequence[Array]:
    axis = node.attributes.get("axis", 0)
    if node.attributes.get("select_last_index", 0):
        raise ValueError("select_last_index is 1, which is not supported")
    y = np.argmax(x, axis).astype(np.int64)
    return [np.expand_dims(y, axis) if node.attributes.get("keepdims", 1) else y]


# --- sorting, as packed sequences are written


@_operator("TopK")
def _top_k(node: Node, x: Array, count: Array | None = None) -> Sequence[Array]:
    axis = node.attributes.get("axis", -1)
    k = node.attributes.get("k") if count is None else integers("K", count)[0]
    if k is None or not 0 <= k <= x.shape[axis]:
        raise ValueError(f"K is {k}; expected 0 to {x.shape[axis]}")
    if node.attributes.get("largest", 1):  # a stable order from the end, so that ties stay
        order = x.shape[axis] - 1 - np.flip(np.argsort(np.flip(x, axis), axis, "stable"), axis)
    else:
        order = np.argsort(x, axis, "stable")
    chosen = np.take(order, range(k), axis)
    return [np.take_along_axis(x, chosen, axis), chosen.astype(np.int64)]


@_operator("ScatterElements")
def _scatter_elements(node: Node, x: Array, indices: Array, updates: Array) -> Sequence[Array]:
    if node.attributes.get("reduction", "none") != "none":
        raise ValueError(f"reduction is {node.attributes['reduction']!r}, which is not supported")
    result = x.copy()
    np.put_along_axis(result, indices, updates, node.attributes.get("axis", 0))
    return [result]


# --- activation functions


def _sigmoid(x: Array, _: Node) -> Array:
    small = np.exp(-np.abs(x))
    one = x.dtype.type(1)
    return np.asarray(np.where(x >= 0, one, small) / (one + small))


def _attribute(node: Node, name: str, usual: float, x: Array) -> Any:
    return x.dtype.type(node.attributes.get(name, usual))


def _elu(x: Array, node: Node) -> Array:
    return np.where(x > 0, x, _attribute(node, "alpha", 1.0, x) * np.expm1(np.minimum(x, 0)))


def _hard_sigmoid(x: Array, node: Node) -> Array:
    alpha, beta = _attribute(node, "alpha", 0.2, x), _attribute(node, "beta", 0.5, x)
    return np.asarray(np.clip(alpha * x + beta, 0, 1))


def _selu(x: Array, node: Node) -> Array:
    alpha = _attribute(node, "alpha", 1.6732632423543772, x)
    gamma = _attribute(node, "gamma", 1.0507009873554805, x)
    return np.asarray(gamma * np.where(x > 0, x, alpha * np.expm1(np.minimum(x, 0))))


_UNARY: dict[str, Callable[[Array, Node], Any]] = {
    "Relu": lambda x, _: np.maximum(x, 0),
    "Tanh": lambda x, _: np.tanh(x),
    "Sigmoid": _sigmoid,
    "LeakyRelu": lambda x, node: np.where(x >= 0, x, _attribute(node, "alpha", 0.01, x) * x),
    "ThresholdedRelu": lambda x, node: np.where(x > _attribute(node, "alpha", 1.0, x), x, 0),
    "Elu": _elu,
    "Selu": _selu,
    "HardSigmoid": _hard_sigmoid,
    "Softplus": lambda x, _: np.logaddexp(x, x.dtype.type(0)),
    "Softsign": lambda x, _: x / (1 + np.abs(x)),
    "Neg": lambda x, _: -x,
    "Abs": lambda x, _: np.abs(x),
    "Sqrt": lambda x, _: np.sqrt(x),
    "Exp": lambda x, _: np.exp(x),
    "Log": lambda x, _: np.log(x),
    "Reciprocal": lambda x, _: 1 / x,
    "Floor": lambda x, _: np.floor(x),
    "Ceil": lambda x, _: np.ceil(x),
    "Not": lambda x, _: np.logical_not(x),
}


@_operator(*_UNARY)
def _unary(node: Node, x: Array) -> Sequence[Array]:
    return [np.asarray(_UNARY[node.op](x, node), x.dtype)]


@_operator("Clip")
def _clip(node: Node, x: Array, low: Any = None, high: Any = None) -> Sequence[Array]:
    low, high = node.attributes.get("min", low), node.attributes.get("max", high)
    for bound, apply in ((low, np.maximum), (high, np.minimum)):
        x = x if bound is None else np.asarray(apply(x, x.dtype.type(bound)))
    return [x]


@_operator("Softmax", "LogSoftmax")
def _softmax(node: Node, x: Array) -> Sequence[Array]:
    axis = node.attributes.get("axis", -1 if node.opset >= 13 else 1)
    # before opset 13 all axes from this one on were one
    flat = x if node.opset >= 13 else x.reshape(prod(x.shape[:axis]), -1)
    axis = axis if node.opset >= 13 else 1
    shifted = flat - flat.max(axis, keepdims=True)
    total = np.exp(shifted).sum(axis, keepdims=True)
    y = shifted - np.log(total) if node.op == "LogSoftmax" else np.exp(shifted) / total
    return [y.reshape(x.shape)]
