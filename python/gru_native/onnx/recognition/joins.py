"""Ways that join: values that come from one."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from ...layers._series import joined
from .._model import Node
from .values import BATCH_OR_TIME, CHANNELS, HEIGHT, Features, behind


def join(kind: str, values: tuple[Any, ...], axis: int | None = None) -> list[Any] | None:
    """Values that come from one, by ways of their own: "add", "multiply" or "concat"."""
    if len(values) < 2 or not all(_can_join(value) for value in values):
        return None
    first: Features = values[0]
    if first.images:
        return _join_images(kind, values, axis)
    at = next((i for i, own in enumerate(first.axes) if own == first.whole), None)
    if at is None or (axis is not None and axis != at):
        return None
    for value in values:
        outer = (*value.axes[:at], *value.axes[at + 1 :])
        if (
            value.images
            or value.axes[at : at + 1] != (value.whole,)
            or outer != (*first.axes[:at], *first.axes[at + 1 :])
            or any(value.sizes[a] != first.sizes[a] for a in BATCH_OR_TIME)
            or (kind != "concat" and value.shape != first.shape)
        ):
            return None
    found = _joined(kind, values)
    if found is None:
        return None
    width = sum(v.shape[at] for v in values) if kind == "concat" else first.shape[at]
    return [behind(found[0], found[1], at, width, time=found[0].time)]


def _join_images(kind: str, values: tuple[Any, ...], axis: int | None) -> list[Any] | None:
    """As join; of axes batch, channels and two others."""
    first: Features = values[0]
    if len(first.axes) != 4 or axis not in (None, 1):
        return None
    for value in values:
        if not value.images or value.time != first.time:
            return None
        own, theirs = value.axes, first.axes
        if (own[0], own[2:]) != (theirs[0], theirs[2:]) or own[1] not in ((), (CHANNELS,)):
            return None
        if any(value.sizes[a] != first.sizes[a] for a in (*BATCH_OR_TIME, HEIGHT)):
            return None
        if kind != "concat" and value.shape != first.shape:
            return None
    found = _joined(kind, values)
    if found is None:
        return None
    channels = [value.sizes[CHANNELS] for value in values]
    made = sum(channels) if kind == "concat" else channels[0]
    before, block = found
    sizes = {**before.sizes, CHANNELS: made}
    axes = (first.axes[0], () if made == 1 else (CHANNELS,), *first.axes[2:])
    return [replace(before, blocks=(*before.blocks, block), sizes=sizes, axes=axes)]


def _joined(kind: str, values: tuple[Any, ...]) -> tuple[Features, Any] | None:
    """The first value with the blocks that all have only, and the block of all ways from there."""
    first: Features = values[0]
    times = {value.time for value in values} - {None}
    shared = 0
    while all(len(v.blocks) > shared and v.blocks[shared] is first.blocks[shared] for v in values):
        shared += 1
    paths = [list(value.blocks[shared:]) for value in values]
    known = [block for path in paths for block in path]
    if len(times) > 1 or not known or len({block.dtype for block in known}) > 1:
        return None
    block = joined(paths, kind, False, known[0].dtype)
    before = replace(first, blocks=first.blocks[:shared], time=next(iter(times), None))
    return before, block


def _can_join(value: Any) -> bool:
    return (
        isinstance(value, Features)
        and value.direction is None
        and not value.last
        and value.padding == (0, 0)
        and not any(isinstance(block, Node) for block in value.blocks)
    )
