"""A chain of steps as a node, in the place of what it was written with."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np

from ...layers._weights import Array
from ..operators.arguments import axes_of, integers
from .chains import Layer
from .evaluate import Evaluation
from .one_step import OneStep
from .shapes import Shapes
from .writer import Writer


class Place(NamedTuple):
    """One step of a sequence: of this tensor, along this axis; kept: the axis is still there."""

    source: str
    axis: int
    number: int
    kept: bool


def write(layer: Layer, w: Writer, e: Evaluation, name: str = "") -> None:
    """Puts the node into the graph, where it can stand there."""
    rank, chain = layer.rank(), layer.chain
    outs = [step.out for step in chain]
    if rank is None:
        return
    if len(chain) > 1 and w.depends([n for own in layer.inputs for n in own], {*outs}):
        for step in chain if layer.kind != "RNN" else ():
            if not step.zero:
                write(Layer([step], e), w, e, name)
        return
    states = [n for n in (chain[0].h, chain[0].c) if n]
    every = [rows_of(own, e.shapes) for own in zip(*layer.inputs, strict=True)]
    rows = [*every, *(rows_of([n], e.shapes) for n in states)]
    if UNEQUAL in rows or not made_of(outs, rows, e.shapes):
        return
    sequence, backwards = _sequence(layer, every, w, e)
    y, ends = as_node(layer, w, sequence, states, rows, rank, name or layer.label(w), backwards)
    for own, end in zip((outs[-1], chain[-1].c_out), ends, strict=False):
        end_at(own, end, rank, w)
    for t, out in enumerate(outs[:-1]):
        at = len(chain) - 1 - t if backwards else t
        index = w.constant(np.array(at if rank == 2 else [at]), "step")
        w.node("Gather", [y, index], [out], axis=0)
    if len(chain) > 1:
        _stacks(y, outs[::-1] if backwards else outs, rank, w, e)


UNEQUAL = -1  # rows of tensors that have not all as many


def rows_of(names: Iterable[str], shapes: Shapes) -> int | None:
    """How many rows they have; None: that is not known."""
    found = {None if (own := shapes.of(n)) is None else own[-2] for n in names}
    return found.pop() if len(found) == 1 else None if len(found - {None}) < 2 else UNEQUAL


def made_of(outs: Sequence[str], rows: Sequence[int | None], shapes: Shapes) -> bool:
    """Whether outputs may have the rows of inputs and states, and not those of a constant."""
    return all(own in (None, *rows) for own in (rows_of([n], shapes) for n in outs))


def as_node(
    layer: Layer | OneStep,
    w: Writer,
    sequence: str,
    states: list[str],
    rows: list[int | None],
    rank: int,
    label: str,
    backwards: bool,
) -> tuple[str, list[str]]:
    """The node; returns all steps (seq, batch, size) and the final states (1, batch, size).

    states: before, of this rank. rows: of all that the sequence is made of, and of these.
    """
    if len({*rows}) > 1 or None in rows:
        sequence, states = _as_high(sequence, states, rank, w)
    if rank == 2:
        states = [w.on_axes("Unsqueeze", n, [0], f"{n} as a state") for n in states]
    tensors = {r: w.constant(a, f"{r} of {label}") for r, a in layer.tensors.items()}
    inputs = [sequence, tensors["W"], tensors["R"], tensors.get("B", ""), "", *states]
    if "P" in tensors:
        inputs = [*inputs, *[""] * (7 - len(inputs)), tensors["P"]]
    count = 2 + (layer.kind == "LSTM")
    outputs = [w.fresh(f"{r} of {label}") for r in ("Y", "Y_h", "Y_c")[:count]]
    own = layer.attributes() | ({"direction": "reverse"} if backwards else {})
    w.node(layer.kind, inputs, outputs, label, **own)
    return w.on_axes("Squeeze", outputs[0], [1], f"steps of {label}"), outputs[1:]


def end_at(name: str, state: str, rank: int, w: Writer) -> None:
    if rank == 2:
        w.on_axes("Squeeze", state, [0], [name])
    else:
        w.node("Identity", [state], [name])


def _sequence(layer: Layer, rows: list[int | None], w: Writer, e: Evaluation) -> tuple[str, bool]:
    """All inputs as (seq, batch, input), and whether the steps go backwards through them."""
    parts = [
        _one_by_one([own[i] for own in layer.inputs], w, e) for i in range(len(layer.inputs[-1]))
    ]
    if len({back for _, back in parts}) > 1 or (len(parts) > 1 and parts[0][1]):
        parts = [
            (_joined([own[i] for own in layer.inputs], w, e), False)
            for i in range(len(layer.inputs[-1]))
        ]
    if len(parts) == 1:
        return parts[0]
    return side_by_side([name for name, _ in parts], rows, w), parts[0][1]


def side_by_side(sequences: list[str], rows: Sequence[int | None], w: Writer) -> str:
    """Several (seq, batch, input) as one. Those of one row go with all rows of the others."""
    if len(sequences) == 1:
        return sequences[0]
    if len({*rows}) > 1 or None in rows:
        first, others = _as_high(sequences[0], sequences[1:], 3, w)
        sequences = [first, *others]
    return w.node("Concat", sequences, "inputs", axis=2)


def _one_by_one(names: list[str], w: Writer, e: Evaluation) -> tuple[str, bool]:
    places = [_place(name, w, e) for name in names]
    first = places[0]
    if first is None or first.axis not in (0, 1) or None in places:
        return _joined(names, w, e), False
    known = [p for p in places if p is not None]
    same = {(p.source, p.axis, p.kept) for p in known} == {(first.source, first.axis, first.kept)}
    indices = [p.number for p in known]
    forwards = list(range(indices[0], indices[0] + len(indices)))
    back = len(indices) > 1 and indices == list(range(indices[0], indices[0] - len(indices), -1))
    shape = e.shapes.of(first.source)
    fits = first.axis == 0 or not first.kept
    if not same or not fits or shape is None or len(shape) != 3 or min(indices) < 0:
        return _joined(names, w, e), False
    whole_one = shape[first.axis] == 1 or len(names) > 1
    if not whole_one or not (back or indices == forwards):
        return _joined(names, w, e), False
    whole = first.source
    if shape[first.axis] != len(indices):
        own = w.constant(np.array(sorted(indices)), "steps")
        whole = w.node("Gather", [whole, own], f"steps of {whole}", axis=first.axis)
    if first.axis == 1:
        whole = w.node("Transpose", [whole], f"{whole} by steps", perm=[1, 0, 2])
    return whole, back


def _joined(names: list[str], w: Writer, e: Evaluation) -> str:
    names = [
        w.on_axes("Unsqueeze", name, [0], f"{name} as a step") if e.shapes.rank(name) == 2 else name
        for name in names
    ]
    return names[0] if len(names) == 1 else w.node("Concat", names, "steps", axis=0)


def _as_high(x: str, others: list[str], rank: int, w: Writer) -> tuple[str, list[str]]:
    """x and others of this rank with as many rows each: those that a sum of them would have."""
    for name in others:
        x = w.node("Expand", [x, _rows(name, rank - 2, 3, w)], "inputs as high")
    return x, [w.node("Expand", [n, _rows(x, 1, rank, w)], f"{n} as high") for n in others]


def _rows(name: str, axis: int, rank: int, w: Writer) -> str:
    """The shape of so many axes, 1 but for the rows, which are a tensor's."""
    shape = w.node("Shape", [name], f"shape of {name}")
    own = w.node("Gather", [shape, w.constant(np.array([axis]), "axis")], "rows", axis=0)
    one = w.constant(np.array([1]), "one")
    return w.node("Concat", [*[one] * (rank - 2), own, one], "rows", axis=0)


def _place(name: str, w: Writer, e: Evaluation) -> Place | None:
    """Which step of which sequence a tensor is."""
    node = w.makers.get(name)
    rank = None if node is None or not node.inputs else e.shapes.rank(node.inputs[0])
    if node is None or not rank:
        return None
    own = [e.constants.get(n) for n in node.inputs]
    source = node.inputs[0]
    if node.op == "Gather" and own[1] is not None and own[1].size == 1 and own[1].ndim < 2:
        (index,) = integers("indices", own[1].reshape(-1))
        return Place(source, node.attributes.get("axis", 0) % rank, index, own[1].ndim == 1)
    if node.op == "Split":
        axis = node.attributes.get("axis", 0) % rank
        shapes = [e.shapes.of(n) for n in node.outputs]
        if all(s is not None and s[axis] == 1 for s in shapes):
            return Place(source, axis, node.outputs.index(name), True)
    if node.op == "Slice":
        return _slice_place(source, [*own[1:], None, None, None, None], rank)
    if node.op == "Squeeze":
        axes = axes_of(node, own[1] if len(own) > 1 else None)
        before = _place(source, w, e)
        if (
            before is not None
            and before.kept
            and axes
            and [a % rank for a in axes] == [before.axis]
        ):
            return before._replace(kept=False)
    return None


def _slice_place(source: str, own: list[Array | None], rank: int) -> Place | None:
    starts, ends, axes, steps = own[:4]
    if starts is None or ends is None or axes is None or starts.size != 1 or axes.size != 1:
        return None
    start, end, axis = (integers("slice", a.reshape(-1))[0] for a in (starts, ends, axes))
    if (steps is not None and (steps != 1).any()) or start < 0 or end != start + 1:
        return None
    return Place(source, axis % rank, start, True)


def _stacks(y: str, outs: list[str], rank: int, w: Writer, e: Evaluation) -> None:
    """What puts all steps together is the sequence itself."""
    for node in [*w.makers.values()]:
        if node.op != "Concat" or len(node.inputs) != len(outs):
            continue
        axis = node.attributes["axis"]
        found = [_unsqueezed(name, axis, w, e) if rank == 2 else name for name in node.inputs]
        if found != outs:
            continue
        if axis in (0, -3):
            w.node("Identity", [y], node.outputs)
        elif axis in (1, -2) and rank == 2:
            w.node("Transpose", [y], node.outputs, perm=[1, 0, 2])


def _unsqueezed(name: str, axis: int, w: Writer, e: Evaluation) -> str:
    node = w.makers.get(name)
    if node is None or node.op != "Unsqueeze":
        return ""
    axes = e.constants.get(node.inputs[1]) if len(node.inputs) > 1 else None
    own = axes_of(node, axes)
    return node.inputs[0] if own is not None and [a % 3 for a in own] == [axis % 3] else ""
