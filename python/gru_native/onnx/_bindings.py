"""What is left of a node's work once its shapes, and some of its inputs, are known."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Literal, NamedTuple, TypeAlias

import numpy as np

from ..layers import Activation, LayerNorm
from ..layers import _functions as functions
from ..layers._weights import Array
from ._model import Node
from .operators import compute
from .operators.convolution import Convolution, prepared, whole_image, whole_kernel
from .operators.einsum import prepared_einsum
from .operators.parts import slices
from .operators.pooling import prepared_max
from .operators.transposed import prepared_transpose
from .operators.windows import BACK, IMAGE

Call: TypeAlias = Callable[..., Any]  # of the node's inputs; returns its one output

_UFUNCS: dict[str, Call] = {
    "Add": np.add,
    "Sub": np.subtract,
    "Mul": np.multiply,
    "Div": np.true_divide,
    "Abs": np.abs,
    "Exp": np.exp,
    "Log": np.log,
    "Neg": np.negative,
    "Sqrt": np.sqrt,
    "Tanh": np.tanh,
    "Sigmoid": functions.quiet_sigmoid,
}
_SHAPES = ("Reshape", "Squeeze", "Unsqueeze", "Flatten")
WHOLE_VIEWS = (*_SHAPES, "Transpose")  # of all numbers of their input
_SPREAD = 1 << 16  # bytes that a constant may take in the shape of what it is added to


class Direct(NamedTuple):
    """A call of other arguments than the node's inputs, of which an int is one of these."""

    call: Call
    arguments: tuple[Any, ...]
    convolution: Convolution | None = None  # whose call it is
    repeats: tuple[int, int] = (1, 1)  # each dot of an image so often, below and beside each other


def bind(
    node: Node,
    inputs: Sequence[Any],
    known: Sequence[bool],
    outputs: Sequence[Array],
) -> Call | Direct | Literal["same"] | None:
    """A call for the node that gives its one output, new; "same": that is its first input.

    inputs, outputs: arrays of the shapes and dtypes that all have. None: there is nothing shorter
    than the operator itself.
    """
    if len([name for name in node.outputs if name]) != 1:
        return None
    x, y = inputs[0], outputs[0]
    if node.op == "Identity" or (node.op in ("Cast", "CastLike") and x.dtype == y.dtype):
        return "same"
    if node.op in _SHAPES:
        shape = y.shape
        return lambda x, *_: x.reshape(shape)
    if node.op == "Expand" and x.shape == y.shape:
        return "same"
    if node.op in _UFUNCS and all(a.dtype == y.dtype for a in inputs) and y.dtype.kind == "f":
        return _element_wise(node, inputs, known, y) if len(inputs) <= 2 and y.ndim else None
    make = _MAKERS.get(node.op)
    return None if make is None else make(node, inputs, known, y)


def _element_wise(
    node: Node, inputs: Sequence[Any], known: Sequence[bool], y: Array
) -> Call | Direct:
    if node.op == "Sigmoid" and y.ndim >= 2 and y.size and y.dtype != np.float16:
        return _of_array(Activation("sigmoid", dtype=y.dtype), y)
    call = _UFUNCS[node.op]
    return Direct(call, tuple(_spread(i, a, known[i], y) for i, a in enumerate(inputs)))


_BEHIND = {"Relu": "relu", "Tanh": "tanh", "Sigmoid": "sigmoid"}


def behind(convolution: Convolution, node: Node) -> Convolution | None:
    """The convolution with the function that the node behind it is; None if that cannot be."""
    function: Any = _BEHIND.get(node.op)
    if node.op == "Swish" and node.attributes.get("alpha", 1.0) == 1.0:
        function = "swish"
    if node.op == "LeakyRelu":
        function = ("leaky_relu", node.attributes.get("alpha", 0.01))
    return None if function is None else convolution.then(function)


def _of_array(function: Activation, y: Array) -> Direct:
    """A function on all numbers of an array. Images lie as they do, and are not moved."""
    core = function._core
    if y.ndim <= 4:
        return Direct(core, (0, None, False))
    shape, rows = y.shape, (-1, y.shape[-1])
    return Direct(lambda x: core(x.reshape(rows), None, False).reshape(shape), (0,))


def _of_rows(block: Any, y: Array) -> Call | Direct:
    """A block of the core that has no state, on all rows of an array."""
    core = block._core
    if y.ndim <= 3:
        return Direct(core, (0, None, False))
    shape, rows = y.shape, (-1, y.shape[-1])
    return lambda x, *_: core(x.reshape(rows), None, False).reshape(shape)


def _layer_norm(
    node: Node, inputs: Sequence[Any], known: Sequence[bool], y: Array
) -> Call | Direct | None:
    scale, *bias = numbers = [a for a in inputs[1:] if a is not None]
    last = node.attributes.get("axis", -1) in (-1, y.ndim - 1)
    floats = y.dtype in (np.float32, np.float64) and all(
        a.dtype == y.dtype for a in (inputs[0], *numbers)
    )
    if not last or not floats or not all(known[1:]) or y.ndim < 2 or not y.size:
        return None
    if any(a.shape != y.shape[-1:] for a in numbers):
        return None
    return _of_rows(layer_norm(node, scale, *bias), y)


def layer_norm(node: Node, scale: Array, bias: Array | None = None) -> LayerNorm:
    """The block that a LayerNormalization over the last axis is."""
    epsilon = node.attributes.get("epsilon", 1e-5)
    block = LayerNorm(len(scale), epsilon, bias=bias is not None, dtype=scale.dtype)
    block.load_state_dict({"weight": scale} | ({} if bias is None else {"bias": bias}))
    return block


def _spread(place: int, value: Array, known: bool, y: Array) -> Any:
    """A constant in the shape of the result, for NumPy adds arrays of one shape the fastest."""
    if known and y.nbytes <= _SPREAD and value.shape != y.shape:
        return np.broadcast_to(value, y.shape).copy()
    return place


def _transpose(node: Node, inputs: Sequence[Any], known: Sequence[bool], y: Array) -> Call:
    order = node.attributes.get("perm") or tuple(range(y.ndim))[::-1]
    return lambda x: x.transpose(order)


def _slice(node: Node, inputs: Sequence[Any], known: Sequence[bool], y: Array) -> Call:
    where = slices(node, inputs[0].shape, *inputs[1:])
    return lambda x, *_: x[where]


def _gather(node: Node, inputs: Sequence[Any], known: Sequence[bool], y: Array) -> Call | None:
    if not known[1] or inputs[1].ndim:
        return None
    axis = node.attributes.get("axis", 0) % inputs[0].ndim
    where = (*[slice(None)] * axis, int(inputs[1]))
    return lambda x, _: x[where]


def _concat(node: Node, inputs: Sequence[Any], known: Sequence[bool], y: Array) -> Call:
    axis = node.attributes["axis"]
    if y.ndim != 4 or axis % 4 != 1:
        return lambda *parts: np.concatenate(parts, axis)
    shape, dtype = [y.shape[i] for i in IMAGE], y.dtype

    def channels(*parts: Array) -> Array:
        if all(part.flags.c_contiguous for part in parts):
            return np.concatenate(parts, 1)
        return np.concatenate(parts, 1, out=np.empty(shape, dtype).transpose(BACK))

    return channels


def _max_pool(
    node: Node, inputs: Sequence[Any], known: Sequence[bool], y: Array
) -> Call | Direct | None:
    if y.ndim != 4 or y.dtype not in (np.float32, np.float64) or not y.size:
        return None
    made = prepared_max(node, inputs[0])
    return None if made is None else Direct(made, (0,))


def _resize(node: Node, inputs: Sequence[Any], known: Sequence[bool], y: Array) -> Direct | None:
    """Of images whose dots are copied: which ones is the same in each call."""
    x, own = inputs[0], node.attributes
    copies = own.get("mode", "nearest") == "nearest" and all(known[1:])
    if "crop" in own.get("coordinate_transformation_mode", "") or y.ndim != 4 or not copies:
        return None
    if x.shape[:2] != y.shape[:2] or x.dtype not in (np.float32, np.float64) or not y.size:
        return None

    def places(axis: int) -> Array:
        shape = [-1 if i == axis else 1 for i in range(4)]
        numbers = np.arange(x.shape[axis], dtype=np.float64).reshape(shape)
        found = compute(node, [np.broadcast_to(numbers, x.shape), *inputs[1:]])[0]
        line: Array = np.moveaxis(found, axis, -1)[0, 0, 0]
        return line.astype(np.intp)

    down, across = places(2), places(3)

    def resize(x: Array) -> Array:
        if x.flags.c_contiguous:
            return x.take(down, 2).take(across, 3)
        return x.transpose(IMAGE).take(across, 0).take(down, 2).transpose(BACK)

    def times(places: Array, size: int) -> int:
        """How often each place is taken; 0: not all alike."""
        n = len(places) // size
        return n if np.array_equal(places, np.arange(size).repeat(n)) else 0

    both = times(down, x.shape[2]), times(across, x.shape[3])
    return Direct(resize, (0,), repeats=both if all(both) else (1, 1))


def _power(node: Node, inputs: Sequence[Any], known: Sequence[bool], y: Array) -> Call | None:
    if known[1] and inputs[1].size == 1 and inputs[1].reshape(-1)[0] == 2 and y.ndim:
        return lambda x, _: np.square(x)
    return None


def _relu(node: Node, inputs: Sequence[Any], known: Sequence[bool], y: Array) -> Direct:
    return Direct(np.maximum, (0, np.zeros(y.shape if y.nbytes <= _SPREAD else (), y.dtype)))


def _mean(node: Node, inputs: Sequence[Any], known: Sequence[bool], y: Array) -> Call | None:
    x = inputs[0]
    axes = node.attributes.get("axes") if len(inputs) < 2 else inputs[1].reshape(-1).tolist()
    if not axes or x.dtype.kind != "f" or x.dtype == np.float16 or not x.size or not y.ndim:
        return None
    over, keep = tuple(axes), bool(node.attributes.get("keepdims", 1))
    count = x.dtype.type(x.size // y.size)
    return lambda x, *_: np.asarray(x.sum(over, keepdims=keep)) / count


def _pad(node: Node, inputs: Sequence[Any], known: Sequence[bool], y: Array) -> Call | None:
    """Constants, or reflections and the like along one axis."""
    if node.attributes.get("mode", "constant") == "constant":
        return _constant_pad(node, inputs, y)
    x = inputs[0]
    axes = [i for i in range(x.ndim) if x.shape[i] != y.shape[i]]
    if len(axes) != 1:
        return None
    (axis,) = axes
    numbers = np.arange(x.shape[axis]).reshape([-1 if i == axis else 1 for i in range(x.ndim)])
    places = compute(node, [np.broadcast_to(numbers, x.shape), *inputs[1:]])[0]
    column = np.moveaxis(places, axis, -1).reshape(-1, y.shape[axis])[0].copy()
    return lambda x, *_: x.take(column, axis)


def _constant_pad(node: Node, inputs: Sequence[Any], y: Array) -> Call | None:
    x = inputs[0]
    pads = node.attributes.get("pads") if len(inputs) < 2 else inputs[1].reshape(-1).tolist()
    if pads is None or len(pads) != 2 * x.ndim or min(pads) < 0:
        return None
    given = inputs[2] if len(inputs) > 2 else node.attributes.get("value", 0)
    value = y.dtype.type(0 if given is None else np.asarray(given).reshape(-1)[0])
    shape, dtype = y.shape, y.dtype
    where = tuple(slice(b, b + n) for b, n in zip(pads, x.shape, strict=False))

    def pad(x: Array, *_: Any) -> Array:
        result = np.full(shape, value, dtype)
        result[where] = x
        return result

    return pad


def _conv(node: Node, inputs: Sequence[Any], known: Sequence[bool], y: Array) -> Direct | None:
    if not all(known[1:]):
        return None
    made = prepared(node, *inputs)
    return None if made is None else Direct(made.call, (0,), made)


def _conv_transpose(
    node: Node, inputs: Sequence[Any], known: Sequence[bool], y: Array
) -> Direct | None:
    made = prepared_transpose(node, *inputs) if all(known[1:]) else None
    return None if made is None else Direct(made.call, (0,), made)


def bind_split(outputs: Sequence[Array], axis: int) -> Call:
    """Split into parts of these shapes; gives all of them."""
    ends = np.cumsum([part.shape[axis] for part in outputs]).tolist()
    before = (slice(None),) * (axis % outputs[0].ndim)
    parts = [
        (*before, slice(end - part.shape[axis], end))
        for part, end in zip(outputs, ends, strict=True)
    ]
    return lambda x, *_: [x[part] for part in parts]


def _conv_integer(
    node: Node, inputs: Sequence[Any], known: Sequence[bool], y: Array
) -> Call | None:
    x, weight, x_zero, w_zero = (*inputs, None, None)[:4]
    if not known[1] or not all(known[3:]):
        return None
    matrix = whole_kernel(weight, w_zero)
    dtype = matrix.dtype
    made = prepared(node, whole_image(x, x_zero, dtype), matrix)
    if made is None:
        return None
    conv = made.call

    def whole(x: Array, _: Array, x_zero: Array | None = None, *_others: Any) -> Array:
        result: Array = conv(whole_image(x, x_zero, dtype))
        return result.astype(np.int32)

    return whole


def _einsum(node: Node, inputs: Sequence[Any], known: Sequence[bool], y: Array) -> Direct | None:
    floats = y.dtype in (np.float32, np.float64) and all(a.dtype == y.dtype for a in inputs)
    if len(inputs) != 2 or not floats or known[0]:
        return None
    call = prepared_einsum(node, inputs[0], inputs[1], y, constant=known[1])
    return None if call is None else Direct(call, (0, 1))


def _swish(node: Node, inputs: Sequence[Any], known: Sequence[bool], y: Array) -> Direct | None:
    if (
        node.attributes.get("alpha", 1.0) != 1.0
        or y.ndim < 2
        or not y.size
        or y.dtype == np.float16
    ):
        return None
    block = Activation("sigmoid", dtype=y.dtype)
    sigmoid = _of_array(block, y)

    def swish(x: Array) -> Array:
        s = sigmoid.call(x, *sigmoid.arguments[1:])
        return np.multiply(x, s, s)

    return Direct(swish, (0,))


_MAKERS: dict[str, Callable[..., Call | Direct | None]] = {
    "Transpose": _transpose,
    "Slice": _slice,
    "Gather": _gather,
    "Concat": _concat,
    "Conv": _conv,
    "MaxPool": _max_pool,
    "Resize": _resize,
    "Upsample": _resize,
    "ConvInteger": _conv_integer,
    "ConvTranspose": _conv_transpose,
    "Einsum": _einsum,
    "Pow": _power,
    "Relu": _relu,
    "Swish": _swish,
    "ReduceMean": _mean,
    "LayerNormalization": _layer_norm,
    "Pad": _pad,
}
