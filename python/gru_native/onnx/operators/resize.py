"""Resize and Upsample: each axis by itself, as sums of a few elements with weights."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import ceil, floor, isfinite
from typing import Any

import numpy as np

from ...layers._weights import Array
from .._model import Node
from .arguments import axis_within, integers
from .budget import room
from .registry import operator

_FEW = 64  # elements that are added one by one

_NEAREST: dict[str, Callable[[Array], Array]] = {
    "round_prefer_floor": lambda at: np.ceil(at - 0.5),
    "round_prefer_ceil": lambda at: np.floor(at + 0.5),
    "floor": np.floor,
    "ceil": np.ceil,
}


@operator("Upsample")
def _upsample(node: Node, x: Array, scales: Array | None = None) -> Sequence[Array]:
    factors = node.attributes.get("scales", []) if scales is None else scales.tolist()
    return [_resized(node, x, _sizes(x, factors), factors, "asymmetric", "floor")]


@operator("Resize", since=10, until=10)
def _resize_10(node: Node, x: Array, scales: Array) -> Sequence[Array]:
    return [_resized(node, x, _sizes(x, scales.tolist()), scales.tolist(), "asymmetric", "floor")]


@operator("Resize", since=11)
def _resize(
    node: Node,
    x: Array,
    roi: Array | None = None,
    scales: Array | None = None,
    sizes: Array | None = None,
) -> Sequence[Array]:
    own = node.attributes
    axes = [axis_within("axes", a, x.ndim) for a in own.get("axes", range(x.ndim))]
    factors, out = [1.0] * x.ndim, list(x.shape)
    if sizes is not None and sizes.size:
        wanted = integers("sizes", sizes)
        if len(wanted) != len(axes):
            raise ValueError(f"sizes has {len(wanted)} numbers; expected {len(axes)}")
        ratios = [n / max(1, x.shape[a]) for a, n in zip(axes, wanted, strict=True)]
        policy = own.get("keep_aspect_ratio_policy", "stretch")
        if policy != "stretch":
            ratio = min(ratios) if policy == "not_larger" else max(ratios)
            ratios = [ratio] * len(axes)
            wanted = [floor(ratio * x.shape[a] + 0.5) for a in axes]
        for a, n, ratio in zip(axes, wanted, ratios, strict=True):
            factors[a], out[a] = ratio, n
    elif scales is not None and scales.size == len(axes):
        for a, factor in zip(axes, scales.tolist(), strict=True):
            factors[a] = factor
        out = _sizes(x, factors)
    else:
        raise ValueError("has neither scales nor sizes for its axes")
    rule = own.get("coordinate_transformation_mode", "half_pixel")
    part = [(0.0, 1.0)] * x.ndim
    if rule == "tf_crop_and_resize":
        if roi is None or roi.size != 2 * len(axes):
            raise ValueError("has no roi for its axes")
        ends = roi.reshape(2, -1).tolist()
        for a, begin, end in zip(axes, *ends, strict=True):
            part[a] = begin, end
    return [
        _resized(node, x, out, factors, rule, own.get("nearest_mode", "round_prefer_floor"), part)
    ]


def _sizes(x: Array, factors: Sequence[float]) -> list[int]:
    if len(factors) != x.ndim or not all(isfinite(f) and f > 0 for f in factors):
        raise ValueError(f"scales are {str(list(factors))[:80]}; expected {x.ndim} numbers above 0")
    return [floor(n * f) for n, f in zip(x.shape, factors, strict=True)]


def _resized(
    node: Node,
    x: Array,
    out: Sequence[int],
    factors: Sequence[float],
    rule: str,
    nearest: str,
    part: Sequence[tuple[float, float]] = (),
) -> Array:
    own, mode = node.attributes, node.attributes.get("mode", "nearest")
    if mode not in ("nearest", "linear", "cubic") or nearest not in _NEAREST:
        raise ValueError(f"mode is {mode!r} with {nearest!r}, which is not supported")
    result = x
    outside: list[tuple[int, Array]] = []
    for axis, (n, size, factor) in enumerate(zip(x.shape, out, factors, strict=True)):
        ends = part[axis] if part else (0.0, 1.0)
        if n == size and factor == 1 and ends == (0.0, 1.0):
            continue
        if not n:
            raise ValueError(f"axis {axis} has no elements")
        room([*result.shape[:axis], size, *result.shape[axis + 1 :]], x.dtype)
        room([size], np.dtype(np.float64))
        at = _coordinates(rule, size, n, factor, ends)
        if rule == "tf_crop_and_resize":
            outside.append((axis, (at < 0) | (at > n - 1)))
        if mode == "nearest":
            places = np.clip(_NEAREST[nearest](at), 0, n - 1).astype(np.int64)
            result = result.take(places, axis)
        else:
            result = _weighted(result, axis, *_taps(own, mode, at, n, factor))
    if any(mask.any() for _, mask in outside):
        result = result.copy()
        for axis, mask in outside:
            result[(slice(None),) * axis + (mask,)] = own.get("extrapolation_value", 0.0)
    return np.asarray(result, x.dtype)


def _coordinates(rule: str, size: int, n: int, factor: float, part: tuple[float, float]) -> Array:
    """Where in the old axis the new elements lie."""
    i = np.arange(size, dtype=np.float64)
    wide = factor * n  # not rounded
    if rule == "asymmetric":
        return np.asarray(i / factor)
    if rule == "align_corners":
        return np.asarray(i * (n - 1) / (wide - 1) if wide != 1 else i * 0)
    if rule == "pytorch_half_pixel":
        return np.asarray((i + 0.5) / factor - 0.5 if wide > 1 else i * 0)
    if rule == "half_pixel":
        return np.asarray((i + 0.5) / factor - 0.5)
    if rule == "half_pixel_symmetric":
        centre = n / 2 * (1 - size / wide)
        return np.asarray(centre + (i + 0.5) / factor - 0.5)
    if rule == "tf_half_pixel_for_nn":
        return np.asarray((i + 0.5) / factor)
    if rule == "tf_crop_and_resize":
        begin, end = part
        if size > 1:
            return np.asarray(begin * (n - 1) + i * (end - begin) * (n - 1) / (size - 1))
        return np.asarray(i + 0.5 * (begin + end) * (n - 1))
    raise ValueError(f"coordinate_transformation_mode is {rule!r}, which is not supported")


def _taps(own: dict[str, Any], mode: str, at: Array, n: int, factor: float) -> tuple[Array, Array]:
    """For each new element the places of old ones and their weights, (size, taps)."""
    shrinks = min(1.0, factor) if own.get("antialias", 0) else 1.0
    reach = (1 if mode == "linear" else 2) / shrinks
    room([max(1, len(at)), 2 * ceil(reach)], np.dtype(np.float64))
    base = np.floor(at)
    places = base[:, None] + np.arange(1 - ceil(reach), ceil(reach) + 1)
    distance = np.abs(places - at[:, None]) * shrinks
    if mode == "linear":
        weights = np.maximum(0, 1 - distance)
    else:
        weights = _cubic(distance, own.get("cubic_coeff_a", -0.75))
    if own.get("exclude_outside", 0) or shrinks < 1:
        inside = (places >= 0) & (places < n)
        weights = weights * inside if own.get("exclude_outside", 0) else weights
        weights = weights / weights.sum(1, keepdims=True)
    return np.clip(places, 0, n - 1).astype(np.int64), weights


def _cubic(d: Array, a: float) -> Array:
    """Keys' kernel of the distance."""
    near = ((a + 2) * d - (a + 3)) * d * d + 1
    far = ((a * d - 5 * a) * d + 8 * a) * d - 4 * a
    return np.where(d <= 1, near, np.where(d < 2, far, 0))


def _weighted(x: Array, axis: int, places: Array, weights: Array) -> Array:
    shape = [1] * x.ndim
    shape[axis] = -1
    dtype = x.dtype if x.dtype.kind == "f" else np.dtype(np.float64)
    if weights.shape[1] > _FEW:
        room([len(places), x.shape[axis]], dtype)
        matrix = np.zeros((len(places), x.shape[axis]), dtype)
        np.add.at(matrix, (np.arange(len(places))[:, None], places), weights)
        return np.moveaxis(np.tensordot(x.astype(dtype), matrix, (axis, 1)), -1, axis)
    total: Any = 0
    for column, weight in zip(places.T, weights.T, strict=True):
        if weight.any():
            total = total + x.take(column, axis) * weight.reshape(shape).astype(dtype)
    return np.asarray(total)
