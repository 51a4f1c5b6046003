"""Blocks without a state: convolutions and pools over time, normalisations, activations, joins."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from ...layers import Activation, AvgPool1d, BatchNorm1d, Conv1d, MaxPool1d
from ...layers._arguments import Function
from ...layers._weights import Array
from .._bindings import layer_norm
from .._model import Node
from . import images
from .joins import join
from .rules import rule
from .values import BATCH_OR_TIME, Axis, Features, Value, behind

WINDOWS = ("Conv", "MaxPool", "AveragePool")
_FLOATS = (np.dtype(np.float32), np.dtype(np.float64))


def function_of(node: Node) -> Function | None:
    """The core's function that a node computes of each number."""
    own = node.attributes
    plain = {"Tanh": "tanh", "Sigmoid": "sigmoid", "Relu": "relu"}
    plain |= {"Softsign": "softsign", "Softplus": "softplus"}
    if node.op in plain:
        return plain[node.op]
    alpha = {"LeakyRelu": 0.01, "Elu": 1.0, "ThresholdedRelu": 1.0}
    names = {"LeakyRelu": "leaky_relu", "Elu": "elu", "ThresholdedRelu": "thresholded_relu"}
    if node.op in alpha:
        return (names[node.op], float(own.get("alpha", alpha[node.op])))
    if node.op == "HardSigmoid":
        return ("hard_sigmoid", float(own.get("alpha", 0.2)), float(own.get("beta", 0.5)))
    return None


def activation(node: Node, x: Features) -> list[Any] | None:
    """A block for a function behind others; None: no block has it."""
    function = function_of(node)
    at = next((i for i, own in enumerate(x.axes) if own == x.whole), None)
    if function is None or x.direction is not None or x.padding != (0, 0):
        return None
    if not x.blocks or any(isinstance(block, Node) for block in x.blocks):
        return None
    if x.images and x.whole_features:
        return [replace(x, blocks=(*x.blocks, Activation(function, dtype=_dtype(x))))]
    if at is None:
        return None
    return [behind(x, Activation(function, dtype=_dtype(x)), at, x.shape[at])]


def _channels(x: Value, steps: bool = True) -> Features | None:
    """x if its axes are batch, features and, where it has them, steps."""
    found, turned = images.as_rows(x)
    if found is None or found.direction is not None or found.last or turned:
        return None
    axes = found.axes
    if any(isinstance(block, Node) for block in found.blocks) or len(axes) not in (2, 3):
        return None
    if axes[1] != found.whole or (steps and len(axes) != 3):
        return None
    outer = (axes[0], *axes[2:])
    if any(len(axis) != 1 or axis[0] not in BATCH_OR_TIME for axis in outer):
        return None
    if len(axes) == 3 and found.time is not None and axes[2] != (found.time,):
        return None
    return found


def _over_time(x: Features, block: Any, width: int) -> list[Any]:
    (steps,) = x.axes[2]
    length = block._core.output_len(x.sizes[steps] - sum(x.padding))
    if length < 1:
        raise ValueError(f"it has windows longer than {x.sizes[steps]} steps")
    made = behind(x, block, 1, width, time=steps, sizes={steps: length}, padding=(0, 0))
    return [made]


def _window(node: Node, x: Features, size: int) -> tuple[int, int, tuple[int, int]] | None:
    """Stride, dilation and pads of a window over time."""
    own = node.attributes
    stride, dilation = (own.get(n, [1])[0] for n in ("strides", "dilations"))
    named = own.get("auto_pad", "NOTSET")
    pads = tuple(own.get("pads", [0, 0]))
    if named in ("SAME_UPPER", "SAME_LOWER") and stride == 1:
        missing = dilation * (size - 1)
        half = missing // 2
        pads = (half, missing - half) if named == "SAME_UPPER" else (missing - half, half)
    elif named not in ("NOTSET", "VALID"):
        return None
    if len(pads) != 2 or min(pads) < 0 or min(stride, dilation) < 1:
        return None
    return stride, dilation, (pads[0] + x.padding[0], pads[1] + x.padding[1])


@rule("Conv")
def _conv(node: Node, x: Value, weight: Value, bias: Value | None = None) -> list[Any] | None:
    if not isinstance(weight, np.ndarray) or weight.dtype not in _FLOATS or 0 in weight.shape:
        return None
    if bias is not None and (not isinstance(bias, np.ndarray) or bias.shape != weight.shape[:1]):
        return None
    if isinstance(x, Features) and images.is_image(x) and weight.ndim == 4:
        flat = _flat(node, x, weight)
        if flat is None:
            return images.conv(node, x, weight, bias)
        own, side = flat
        left = replace(x, axes=(*x.axes[: 2 + side], *x.axes[3 + side :]))
        made = _conv(own, left, weight.squeeze(2 + side), bias)
        if made is None:
            return None
        (y,) = made
        return [replace(y, axes=(*y.axes[: 2 + side], (), *y.axes[2 + side :]))]
    found = _channels(x)
    if found is None or weight.ndim != 3:
        return None
    groups, size = node.attributes.get("group", 1), weight.shape[2]
    window = _window(node, found, size)
    if window is None or groups < 1:
        return None
    stride, dilation, pads = window
    reach = dilation * (size - 1)
    padding: str | int
    if pads == (reach, 0):  # also a window of one step
        padding = "causal"
    elif pads[0] == pads[1]:
        padding = pads[0] or "valid"
    elif stride == 1 and pads == (reach // 2, reach - reach // 2):
        padding = "same"
    else:
        return None
    if found.shape[1] != groups * weight.shape[1] or len(weight) % groups:
        raise ValueError(f"has {found.shape[1]} channels; expected {groups * weight.shape[1]}")
    block = Conv1d(
        found.shape[1],
        len(weight),
        size,
        stride=stride,
        dilation=dilation,
        groups=groups,
        padding=padding,
        bias=bias is not None,
        dtype=weight.dtype,
        seed=0,
    )
    block.load_state_dict({"weight": weight} | ({} if bias is None else {"bias": bias}))
    return _over_time(found, block, len(weight))


def _flat(node: Node, x: Features, weight: Array) -> tuple[Node, int] | None:
    """The node along one side, and the other one, of size 1: as TensorFlow convolves sequences."""
    if x.images or x.axes[1] != x.whole:
        return None
    sides = [i for i in (0, 1) if x.axes[2 + i] == () and weight.shape[2 + i] == 1]
    pads = node.attributes.get("pads", [0] * 4)
    if not sides or len(pads) != 4 or pads[sides[0]] or pads[2 + sides[0]]:
        return None
    (gone,) = sides[:1]
    own = {**node.attributes, "kernel_shape": [weight.shape[3 - gone]]}
    own |= {n: own[n][1 - gone : 2 - gone] for n in ("strides", "dilations") if n in own}
    if "pads" in own:
        own["pads"] = [pads[1 - gone], pads[3 - gone]]
    return node._replace(attributes=own), gone


def with_bias(x: Features, bias: Array) -> Features | None:
    """x with a bias for each feature that was added behind a convolution over time."""
    last = x.blocks[-1] if x.blocks else None
    at = next((i for i, own in enumerate(x.axes) if own == x.whole), None)
    if not isinstance(last, Conv1d) or last.bias or at is None or x.padding != (0, 0):
        return None
    shape = (1,) * (len(x.axes) - bias.ndim) + bias.shape
    if shape != tuple(last.out_channels if i == at else 1 for i in range(len(x.axes))):
        return None
    options = {name: getattr(last, name) for name in ("stride", "padding", "dilation", "groups")}
    sizes = last.in_channels, last.out_channels, last.kernel_size
    block = Conv1d(*sizes, **options, dtype=last.dtype, seed=0)
    block.load_state_dict({"weight": last.weights["weight"], "bias": bias.reshape(-1)})
    return replace(x, blocks=(*x.blocks[:-1], block))


@rule("Pad")
def _pad(node: Node, x: Value, pads: Any = None, value: Any = None, axes: Any = None) -> Any:
    """Zeros around the steps, which belong to the convolution behind them."""
    if not isinstance(x, Features) or x.images or x.last or x.direction is not None:
        return None
    if axes is not None or node.attributes.get("mode", "constant") != "constant":
        return None
    if value is not None and (not isinstance(value, np.ndarray) or value.any()):
        return None
    around = node.attributes.get("pads") if pads is None else pads
    if around is None or node.attributes.get("value", 0.0) != 0.0:
        return None
    numbers = [int(n) for n in np.asarray(around).reshape(-1)]
    rank = len(x.axes)
    padded = [i for i in range(rank) if any(numbers[i::rank])]
    if rank != 3 or len(numbers) != 6 or min(numbers) < 0:
        return None
    if not padded:
        return [x]
    if len(padded) > 1:
        return None
    (axis,) = padded
    steps = x.axes[axis]
    if any(isinstance(block, Node) for block in x.blocks) or steps not in _steps_of(x):
        return None
    before, after = numbers[axis], numbers[3 + axis]
    sizes = {**x.sizes, steps[0]: x.sizes[steps[0]] + before + after}
    padding = x.padding[0] + before, x.padding[1] + after
    return [replace(x, sizes=sizes, padding=padding, time=steps[0])]


def _steps_of(x: Features) -> list[Axis]:
    """Which axis may be time: the one that is, or one of two."""
    return [(x.time,)] if x.time is not None else [(atom,) for atom in BATCH_OR_TIME]


@rule(*WINDOWS[1:])
def _pool(node: Node, x: Value) -> list[Any] | None:
    if isinstance(x, Features) and images.is_image(x):
        return images.pool(node, x)
    found = _channels(x)
    shape = node.attributes.get("kernel_shape", [])
    if found is None or len(shape) != 1 or found.padding != (0, 0) or not found.blocks:
        return None
    window = _window(node, found, shape[0])
    if window is None or window[2][0] != window[2][1]:
        return None
    stride, dilation, (pad, _) = window
    common: dict[str, Any] = {
        "ceil_mode": bool(node.attributes.get("ceil_mode", 0)),
        "dtype": _dtype(found),
    }
    block: Any
    if node.op == "MaxPool":
        block = MaxPool1d(shape[0], stride, pad, dilation, **common)
    elif dilation == 1:
        counts = bool(node.attributes.get("count_include_pad", 0))
        block = AvgPool1d(shape[0], stride, pad, count_include_pad=counts, **common)
    else:
        return None
    return _over_time(found, block, found.shape[1])


def _dtype(x: Features) -> Any:
    last: Any = x.blocks[-1]
    return last.dtype


@rule("BatchNormalization")
def _batch_norm(node: Node, x: Value, *numbers: Value) -> list[Any] | None:
    arrays = [n for n in numbers if isinstance(n, np.ndarray)]
    if len(arrays) != 4 or node.attributes.get("training_mode", 0):
        return None
    if arrays[0].dtype not in _FLOATS or len({a.dtype for a in arrays}) > 1:
        return None
    eps = node.attributes.get("epsilon", 1e-5)
    if isinstance(x, Features) and images.is_image(x):
        return images.batch_norm(x, arrays, eps)
    found = _channels(x, steps=False)
    if found is None or found.padding != (0, 0):
        return None
    width = found.shape[1]
    if any(a.shape != (width,) for a in arrays):
        return None
    block = BatchNorm1d(width, eps, dtype=arrays[0].dtype)
    names = ("weight", "bias", "running_mean", "running_var")
    block.load_state_dict(dict(zip(names, arrays, strict=True)))
    return [behind(found, block, 1, width)]


@rule("LayerNormalization")
def _layer_norm(node: Node, x: Value, scale: Value, bias: Value | None = None) -> list[Any] | None:
    found, turned = images.as_rows(x)
    if found is None or not found.complete or found.last or turned:
        return None
    width, rank = found.shape[-1], len(found.axes)
    if node.attributes.get("axis", -1) not in (-1, rank - 1):
        return None
    if any(isinstance(b, Node) for b in found.blocks) or not isinstance(scale, np.ndarray):
        return None
    if scale.shape != (width,) or scale.dtype not in _FLOATS:
        return None
    if bias is not None and (not isinstance(bias, np.ndarray) or bias.shape != (width,)):
        return None
    return [behind(found, layer_norm(node, scale, bias), rank - 1, width)]


@rule("Mul")
def _multiply(node: Node, *values: Value) -> list[Any] | None:
    return join("multiply", values)


@rule("Sum")
def _sum(node: Node, *values: Value) -> list[Any] | None:
    return join("add", values)
