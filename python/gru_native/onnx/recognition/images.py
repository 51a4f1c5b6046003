"""Images, (batch, channels, height, width): blocks that read them, and the way there and back.

One of the two axes behind the channels is time, which is the width in a chain; where a graph has
it first, kernels are turned.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from ...layers import AvgPool2d, BatchNorm2d, Columns, Conv2d, Image, MaxPool2d
from ...layers._weights import Array
from .._model import Node
from .values import BATCH_OR_TIME, CHANNELS, HEIGHT, UNITS, Axis, Features, Value


def is_image(x: Value) -> bool:
    """Whether a node reads it as images: by its axes."""
    return isinstance(x, Features) and len(x.axes) == 4


def as_image(x: Value, dtype: Any) -> Features | None:
    """x with the axes batch, channels and two others; sequences become images of one channel."""
    if not isinstance(x, Features) or x.last or x.direction is not None or len(x.axes) != 4:
        return None
    if x.padding != (0, 0) or any(isinstance(block, Node) for block in x.blocks):
        return None
    batch, channels, *sides = x.axes
    height = (HEIGHT,) if x.images else x.whole
    if x.images and x.sizes[HEIGHT] == 1:
        height = ()
    across = next((i for i in (1, 0) if sides[1 - i] == height and _is_step(sides[i])), None)
    if across is None or not _is_step(batch) or batch == sides[across]:
        return None
    if x.time is not None and sides[across] != (x.time,):
        return None
    if channels != ((CHANNELS,) if x.images and x.sizes[CHANNELS] != 1 else ()):
        return None
    (time,) = sides[across]
    if x.images:
        return replace(x, time=time)
    rows = x.shape[2 + 1 - across]
    return _behind(replace(x, time=time), Image(rows, dtype=dtype), 1, rows, x.sizes[time])


def _is_step(axis: Axis) -> bool:
    return len(axis) == 1 and axis[0] in BATCH_OR_TIME


def _time_axis(x: Features) -> int:
    """0 where time is the axis behind the channels, 1 where it is the last one."""
    return 0 if x.axes[2] == (x.time,) else 1


def _behind(x: Features, block: Any, channels: int, height: int, width: int) -> Features:
    """x behind one more block that makes such images."""
    if min(height, width) < 1:
        raise ValueError(f"it has windows larger than images of {x.shape[2]} by {x.shape[3]}")
    assert x.time is not None
    sizes = {atom: x.sizes[atom] for atom in BATCH_OR_TIME if atom in x.sizes}
    sizes |= {x.time: width, CHANNELS: channels, HEIGHT: height}
    own: list[Axis] = [(x.time,), (x.time,)]
    own[1 - _time_axis(x)] = () if height == 1 else (HEIGHT,)
    axes = (x.axes[0], () if channels == 1 else (CHANNELS,), *own)
    return replace(x, blocks=(*x.blocks, block), axes=axes, sizes=sizes)


def _made(x: Features, block: Any, channels: int) -> list[Any]:
    assert x.time is not None
    height, width = x.sizes[HEIGHT], x.sizes[x.time]
    return [_behind(x, block, channels, block._outputs(0, height), block._outputs(1, width))]


def as_rows(x: Value) -> tuple[Features | None, tuple[int, int] | None]:
    """x with Columns behind images whose channels and rows are one axis; others as they are.

    Second: (height, channels) where that axis has them in this order; a layer behind must have
    turned weights then.
    """
    if not isinstance(x, Features):
        return None, None
    if not x.images or not x.blocks:
        return x, None
    turned = x.whole[::-1]
    at = [i for i, axis in enumerate(x.axes) if axis and axis in (x.whole, turned)]
    if len(at) != 1:
        return x, None
    (axis,) = at
    last: Any = x.blocks[-1]
    size = x.shape[axis]
    sizes = {atom: x.sizes[atom] for atom in BATCH_OR_TIME if atom in x.sizes} | {UNITS: size}
    axes = (*x.axes[:axis], (UNITS,), *x.axes[axis + 1 :])
    rows = replace(x, blocks=(*x.blocks, Columns(dtype=last.dtype)), axes=axes, sizes=sizes)
    return rows, None if x.axes[axis] == x.whole else (x.sizes[HEIGHT], x.sizes[CHANNELS])


def turned(weight: Array, sides: tuple[int, int]) -> Array:
    """The columns of a matrix for an input (channels, height) instead of (height, channels)."""
    return np.ascontiguousarray(
        weight.reshape(-1, *sides).swapaxes(1, 2).reshape(len(weight), -1), weight.dtype
    )


class _Sides:
    """Windows of a node, (height, width) in all that it has; None where no block has such."""

    def __init__(self, node: Node, x: Features, kernel: list[int]) -> None:
        own, first = node.attributes, _time_axis(x)
        order = (1, 0) if first == 0 else (0, 1)
        assert x.time is not None

        def both(name: str) -> tuple[int, ...]:
            given = list(own.get(name, [1, 1]))
            if len(given) != 2 or min(given) < 1:
                raise ValueError(f"{name} is {given}; expected two numbers of 1 or more")
            return tuple(given[i] for i in order)

        self.kernel = tuple(kernel[i] for i in order)
        self.stride, self.dilation = both("strides"), both("dilations")
        self.named = own.get("auto_pad", "NOTSET")
        pads = list(own.get("pads", [0, 0, 0, 0])) if self.named == "NOTSET" else [0, 0, 0, 0]
        self.pads = [(pads[i], pads[i + 2]) for i in order] if len(pads) == 4 else []
        self.sizes = x.sizes[HEIGHT], x.sizes[x.time]
        self.fixed = self.named in ("NOTSET", "VALID")
        if self.named in ("SAME_UPPER", "SAME_LOWER"):
            self.pads = [self._same(side) for side in (0, 1)]
            # how many zeros there are across would be a matter of the width
            self.fixed = self.stride[1] == 1 or self.kernel[1] == 1

    def _same(self, side: int) -> tuple[int, int]:
        stride, reach = self.stride[side], self.dilation[side] * (self.kernel[side] - 1)
        n = self.sizes[side]
        missing = max((-(-n // stride) - 1) * stride + reach + 1 - n, 0)
        half, rest = missing // 2, missing - missing // 2
        return (half, rest) if self.named == "SAME_UPPER" else (rest, half)

    @property
    def padding(self) -> str | tuple[int, ...] | None:
        """A Conv2d's."""
        if not self.fixed or len(self.pads) != 2 or min(map(min, self.pads)) < 0:
            return None
        if all(before == after for before, after in self.pads):
            return tuple(before for before, _ in self.pads)
        reach = [d * (k - 1) for d, k in zip(self.dilation, self.kernel, strict=True)]
        same = [(n // 2, n - n // 2) for n in reach]
        return "same" if self.pads == same and self.stride == (1, 1) else None

    def of_pool(self, ceil: bool) -> tuple[tuple[int, ...], bool] | None:
        """A pool's padding and ceil_mode."""
        if self.named in ("SAME_UPPER", "SAME_LOWER"):
            ends = []  # windows that reach beyond the end, where there are no zeros in front
            padding = []
            for side in (0, 1):
                step, window = self.stride[side], self.kernel[side]
                two = step == window == 2 and self.dilation[side] == 1
                if two and self.named == "SAME_UPPER":
                    ends.append(True)
                    padding.append(0)
                    continue
                before, after = self.pads[side]
                if before != after or (side == 1 and step != 1 and window != 1):
                    return None
                padding.append(before)
                if step != 1:
                    ends.append(False)
            return (tuple(padding), any(ends)) if len(set(ends)) < 2 else None
        if len(self.pads) != 2 or any(a != b or a < 0 for a, b in self.pads):
            return None
        return tuple(before for before, _ in self.pads), ceil


def conv(node: Node, x: Value, weight: Array, bias: Array | None) -> list[Any] | None:
    """A Conv of four axes. weight, bias: of its shapes, of floats."""
    found = as_image(x, weight.dtype)
    if found is None:
        return None
    groups = node.attributes.get("group", 1)
    channels = found.sizes[CHANNELS]
    if groups < 1 or channels != groups * weight.shape[1] or len(weight) % groups:
        raise ValueError(f"has {channels} channels; expected {groups * weight.shape[1]}")
    sides = _Sides(node, found, list(weight.shape[2:]))
    if sides.padding is None:
        return None
    block = Conv2d(
        channels,
        len(weight),
        sides.kernel,  # type: ignore[arg-type]
        sides.stride,  # type: ignore[arg-type]
        sides.padding,  # type: ignore[arg-type]
        sides.dilation,  # type: ignore[arg-type]
        groups,
        bias is not None,
        dtype=weight.dtype,
        seed=0,
    )
    kernel = weight.swapaxes(2, 3) if _time_axis(found) == 0 else weight
    block.load_state_dict({"weight": kernel} | ({} if bias is None else {"bias": bias}))
    return _made(found, block, len(weight))


def with_bias(x: Features, bias: Array) -> Features | None:
    """x with a bias for each channel that was added behind a convolution, (1, channels, 1, 1)."""
    last = x.blocks[-1] if x.blocks else None
    if not isinstance(last, Conv2d) or last.bias or not is_image(x):
        return None
    if bias.shape not in ((last.out_channels, 1, 1), (1, last.out_channels, 1, 1)):
        return None
    options = {name: getattr(last, name) for name in ("stride", "padding", "dilation", "groups")}
    sizes: Any = last.in_channels, last.out_channels, last.kernel_size
    block = Conv2d(*sizes, **options, dtype=last.dtype, seed=0)
    block.load_state_dict({"weight": last.weights["weight"], "bias": bias.reshape(-1)})
    return replace(x, blocks=(*x.blocks[:-1], block))


def pool(node: Node, x: Features) -> list[Any] | None:
    """A MaxPool or AveragePool of four axes, behind other blocks."""
    last: Any = x.blocks[-1] if x.blocks else None
    found = None if last is None else as_image(x, last.dtype)
    shape = list(node.attributes.get("kernel_shape", []))
    if found is None or len(shape) != 2 or min(shape) < 1:
        return None
    sides = _Sides(node, found, shape)
    own = sides.of_pool(bool(node.attributes.get("ceil_mode", 0)))
    if own is None:
        return None
    padding, ceil = own
    block: Any
    common: Any = {
        "kernel_size": sides.kernel,
        "stride": sides.stride,
        "padding": padding,
        "ceil_mode": ceil,
        "dtype": last.dtype,
    }
    if node.op == "MaxPool":
        dilation: Any = sides.dilation
        block = MaxPool2d(dilation=dilation, **common)
    elif sides.dilation == (1, 1):
        counts = bool(node.attributes.get("count_include_pad", 0))
        if counts and sides.named != "NOTSET":
            return None
        block = AvgPool2d(count_include_pad=counts, **common)
    else:
        return None
    return _made(found, block, found.sizes[CHANNELS])


def batch_norm(x: Features, numbers: list[Array], eps: float) -> list[Any] | None:
    """Of four axes. numbers: weight, bias, mean and variance of each channel."""
    found = as_image(x, numbers[0].dtype)
    if found is None or any(a.shape != (found.sizes[CHANNELS],) for a in numbers):
        return None
    block = BatchNorm2d(found.sizes[CHANNELS], eps, dtype=numbers[0].dtype)
    names = ("weight", "bias", "running_mean", "running_var")
    block.load_state_dict(dict(zip(names, numbers, strict=True)))
    return [replace(found, blocks=(*found.blocks, block))]


def over_heights(x: Features, kind: str, axis: int, kept: bool) -> list[Any] | None:
    """The mean or the maximum of each column of a channel."""
    last: Any = x.blocks[-1] if x.blocks else None
    found = None if last is None else as_image(x, last.dtype)
    if found is None or axis not in (2, 3) or found.axes[axis] == (found.time,):
        return None
    window: Any = (found.sizes[HEIGHT], 1)
    block = (AvgPool2d if kind == "mean" else MaxPool2d)(window, dtype=last.dtype)
    (made,) = _made(found, block, found.sizes[CHANNELS])
    if kept:
        return [made]
    return [replace(made, axes=(*made.axes[:axis], *made.axes[axis + 1 :]))]
