"""A graph followed with values of ``values``: which layers stand behind each tensor."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, TypeAlias

import numpy as np

from .._fusion import DENSE
from .._model import Node
from .._program import Program, named
from ..operators.recurrent import OPERATORS as RECURRENT
from . import block_rules, part_rules, pool_rules, shape_rules  # noqa: F401  (they register)
from .layer_rules import dense_layer, recurrent_layer
from .rules import RULES
from .values import (
    BATCH_OR_TIME,
    CHANNELS,
    HEIGHT,
    INPUTS,
    Features,
    Given,
    Joined,
    State,
    Unknown,
)

# What the axes of the input are: of sequences, or of images, whose batch is "".
Layout: TypeAlias = tuple[str, ...]
TIME = "time"
ROWS: Layout = ("", TIME, INPUTS)
CHANNELS_FIRST: Layout = ("", INPUTS, TIME)
IMAGES: tuple[Layout, ...] = (
    ("", CHANNELS, HEIGHT, TIME),
    ("", CHANNELS, TIME, HEIGHT),
    ("", HEIGHT, TIME, CHANNELS),
    ("", TIME, HEIGHT, CHANNELS),
)

_MOVES = (  # what may be done to final states
    *("Transpose", "Squeeze", "Unsqueeze", "Reshape", "Flatten", "Concat", "Slice", "Split"),
    *("Gather", "Identity"),
)


def follow(program: Program, sizes: tuple[int, ...], layout: Layout) -> tuple[dict[str, Any], str]:
    """All values by name, and the name of the input that is the sequence.

    sizes: of the input's outer axes, instead of those that it declares. Raises ValueError, naming
    the node, where the graph cannot have such sizes.
    """
    values: dict[str, Any] = dict(program.constants)
    x = ""
    for name, given in program.inputs.items():
        values[name] = Given()
        rank = 3 if given.shape is None else len(given.shape)
        if not x and given.dtype.kind == "f" and rank in (2, 3, 4):
            x = name
            values[name] = _input(program, given.shape or (None,) * rank, sizes, layout)
    if not x:
        raise ValueError("no input is a sequence: floats of shape (seq, batch, input_size)")
    for node in program.nodes:
        inputs = [values.get(name) for name in node.needs]  # weights are in their layers
        with named(node):
            results = _results(program, node, inputs, values)
        values.update(zip(node.outputs, results, strict=False))
    return values, x


def _input(
    program: Program, shape: tuple[int | None, ...], sizes: tuple[int, ...], layout: Layout
) -> Features:
    if len(shape) == 4:
        return _images(shape, sizes, layout)
    if layout != ROWS:
        if len(shape) != 3 or layout != CHANNELS_FIRST:
            raise ValueError("no input has such axes")
        found = _input(program, (shape[0], shape[2], shape[1]), sizes, ROWS)
        return replace(found, axes=(found.axes[0], found.axes[2], found.axes[1]))
    outer = shape[:-1]
    own = [sizes[i] if sizes else outer[i] or 5 + 2 * i for i in range(len(outer))]
    width = shape[-1]
    if width is None:  # as the first layer says
        width = next((r.layers[0].input_size for r in program.layers.values()), 1)
    known = dict(zip(BATCH_OR_TIME, [*own, 1], strict=False))
    axes = tuple((atom,) for atom in BATCH_OR_TIME[: len(outer)])
    time = None if len(outer) == 2 else BATCH_OR_TIME[0]
    return Features((), (*axes, (INPUTS,)), {**known, INPUTS: width}, time)


def _images(shape: tuple[int | None, ...], sizes: tuple[int, ...], layout: Layout) -> Features:
    """Batch, channels, and two others of which one is time; those of one channel are sequences."""
    if layout not in IMAGES:
        raise ValueError("no input is a sequence: floats of shape (seq, batch, input_size)")
    channels, height, time = (shape[layout.index(atom)] for atom in (CHANNELS, HEIGHT, TIME))
    if channels is None or height is None or min(channels, height) < 1:
        raise ValueError("the input has images whose channels or height are not known")
    batch = sizes[0] if sizes else shape[0] or 5
    first, second = BATCH_OR_TIME
    known = {first: batch, second: sizes[1] if sizes else time or 47}
    own = {"": (first,), TIME: (second,), CHANNELS: (), HEIGHT: (INPUTS,)}
    if channels == 1:
        known[INPUTS] = height
        return Features((), tuple(own[atom] for atom in layout), known, second)
    own |= {CHANNELS: (CHANNELS,), HEIGHT: (HEIGHT,) if height != 1 else ()}
    known |= {CHANNELS: channels, HEIGHT: height}
    return Features((), tuple(own[atom] for atom in layout), known, second)


def _results(program: Program, node: Node, inputs: list[Any], values: dict[str, Any]) -> list[Any]:
    for value in inputs:
        if isinstance(value, Unknown):
            return [value] * len(node.outputs)
    if node.op in RECURRENT:
        return recurrent_layer(program, node, values)
    if node.op == DENSE:
        return dense_layer(program, node, inputs[0])
    if all(value is None or isinstance(value, np.ndarray) for value in inputs):
        return list(program.compute(node, values).values())
    first = inputs[0]
    if node.op == "Shape" and hasattr(first, "shape"):
        start, end = node.attributes.get("start", 0), node.attributes.get("end")
        return [np.array(first.shape[start:end], np.int64)]
    kinds = {type(value) for value in inputs if not isinstance(value, (np.ndarray, type(None)))}
    if kinds == {Given}:
        return [Given()] * len(node.outputs)
    found = RULES[node.op](node, *inputs) if node.op in RULES else None
    if found is not None:
        return found + [Unknown(f"{node.label}: only its first output is followed")] * (
            len(node.outputs) - len(found)
        )
    if kinds <= {Features, State, Joined} and kinds != {Features} and node.op in _MOVES:
        return [State(())] * len(node.outputs)
    return [Unknown(f"{node.label} does not belong to one")] * len(node.outputs)
