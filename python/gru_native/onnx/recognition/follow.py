"""A graph followed with values of ``_values``: which layers stand behind each tensor.

The rules say of each operator what it makes of ``Features``; where none applies, the result is
``Unknown``, with the node's name.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from math import prod
from typing import Any, TypeAlias

import numpy as np

from ...layers import LSTM, Dense
from .._fusion import ACTIVATIONS, DENSE, ROW_WISE, is_on_rows, make_dense, with_activation
from .._model import Node
from .._program import RECURRENT, Program, named, tensors_of
from ..operators.shape import axes_of, integers, new_shape, slices, split_sizes
from .values import (
    BATCH_OR_TIME,
    DIRECTIONS,
    INPUTS,
    UNITS,
    Axis,
    Features,
    Given,
    Joined,
    State,
    Unknown,
    Value,
)

Rule: TypeAlias = Callable[..., list[Any] | None]  # None: it does not apply
_RULES: dict[str, Rule] = {}
_ENDS = (  # what may end a chain, of one number or of a row
    *(*ACTIVATIONS, "LeakyRelu", "Elu", "HardSigmoid", "Selu"),
    *("ThresholdedRelu", "Softplus", "Softsign"),
)
_MOVES = (  # what may be done to final states
    *("Transpose", "Squeeze", "Unsqueeze", "Reshape", "Flatten", "Concat", "Slice", "Split"),
    *("Gather", "Identity"),
)


def _rule(*names: str) -> Callable[[Rule], Rule]:
    def register(function: Rule) -> Rule:
        _RULES.update(dict.fromkeys(names, function))
        return function

    return register


def follow(program: Program, sizes: tuple[int, ...]) -> tuple[dict[str, Any], str]:
    """All values by name, and the name of the input that is the sequence.

    sizes: of the input's outer axes, instead of those that it declares. Raises ValueError, naming
    the node, where the graph cannot have such sizes.
    """
    values: dict[str, Any] = dict(program.constants)
    x = ""
    for name, given in program.inputs.items():
        values[name] = Given()
        rank = 3 if given.shape is None else len(given.shape)
        if not x and given.dtype.kind == "f" and rank in (2, 3):
            x = name
            values[name] = _input(program, given.shape or (None,) * rank, sizes)
    if not x:
        raise ValueError("no input is a sequence: floats of shape (seq, batch, input_size)")
    for node in program.nodes:
        inputs = [values.get(name) for name in node.inputs]  # weights are in their layers
        with named(node):
            results = _results(program, node, inputs, values)
        values.update(zip(node.outputs, results, strict=False))
    return values, x


def _input(program: Program, shape: tuple[int | None, ...], sizes: tuple[int, ...]) -> Features:
    outer = shape[:-1]
    own = [sizes[i] if sizes else outer[i] or 5 + 2 * i for i in range(len(outer))]
    width = shape[-1]
    if width is None:  # as the first layer says
        width = next((r.layers[0].input_size for r in program.layers.values()), 1)
    known = dict(zip(BATCH_OR_TIME, [*own, 1], strict=False))
    axes = tuple((atom,) for atom in BATCH_OR_TIME[: len(outer)])
    time = None if len(outer) == 2 else BATCH_OR_TIME[0]
    return Features((), (*axes, (INPUTS,)), {**known, INPUTS: width}, time)


def _results(program: Program, node: Node, inputs: list[Any], values: dict[str, Any]) -> list[Any]:
    for value in inputs:
        if isinstance(value, Unknown):
            return [value] * len(node.outputs)
    if node.op in RECURRENT:
        return _recurrent(program, node, values)
    if node.op == DENSE:
        return _dense(program, node, inputs[0])
    if all(value is None or isinstance(value, np.ndarray) for value in inputs):
        return list(program.compute(node, values).values())
    first = inputs[0]
    if node.op == "Shape" and hasattr(first, "shape"):
        start, end = node.attributes.get("start", 0), node.attributes.get("end")
        return [np.array(first.shape[start:end], np.int64)]
    kinds = {type(value) for value in inputs if not isinstance(value, (np.ndarray, type(None)))}
    if kinds == {Given}:
        return [Given()] * len(node.outputs)
    found = _RULES[node.op](node, *inputs) if node.op in _RULES else None
    if found is not None:
        return found + [Unknown(f"{node.label}: only its first output is followed")] * (
            len(node.outputs) - len(found)
        )
    if kinds <= {Features, State, Joined} and kinds != {Features} and node.op in _MOVES:
        return [State(())] * len(node.outputs)
    return [Unknown(f"{node.label} does not belong to one")] * len(node.outputs)


# --- layers


def _recurrent(program: Program, node: Node, values: dict[str, Value]) -> list[Any]:
    names = tensors_of(node)
    x = values[names["X"]]
    recurrent = program.layers.get(node.outputs)
    reason = ""
    if recurrent is None:
        reason = "has weights that the model computes"
    elif recurrent.direction == "reverse":
        reason = "runs in reverse only"
    elif len(recurrent.layers) > 1:
        reason = "has other functions in each direction"
    elif recurrent.dtype != recurrent.layers[0].dtype:
        reason = f"computes in {recurrent.dtype}"
    elif not isinstance(x, Features) or not x.complete or x.last or len(x.axes) != 3:
        reason = "does not take the steps of a sequence"
    elif _ends(x):
        reason = "comes after a function that is no layer"
    elif x.shape[-1] != recurrent.layers[0].input_size:
        raise ValueError(f"X has {x.shape[-1]} inputs; expected {recurrent.layers[0].input_size}")
    else:
        reason = _state_reason(names, values)
    if reason:
        return [Unknown(f"{node.label} {reason}")] * len(node.outputs)
    assert recurrent is not None
    assert isinstance(x, Features)
    steps, batch = (x.axes[1], x.axes[0]) if recurrent.layout else (x.axes[0], x.axes[1])
    if len(steps) != 1 or len(batch) > 1 or (x.time is not None and steps != (x.time,)):
        return [Unknown(f"{node.label} runs along another axis")] * len(node.outputs)
    lengths = values.get(names.get("sequence_lens", ""))
    if isinstance(lengths, np.ndarray) and (lengths != x.sizes[steps[0]]).any():
        return [Unknown(f"{node.label} has lengths of its own")] * len(node.outputs)

    layer = recurrent.layers[0]
    sizes = {atom: x.sizes[atom] for atom in BATCH_OR_TIME} | {UNITS: layer.hidden_size}
    directions: Axis = ()
    if layer.bidirectional:
        directions, sizes[DIRECTIONS] = (DIRECTIONS,), 2
    order = (batch, steps, directions) if recurrent.layout else (steps, directions, batch)
    y = Features((*x.blocks, layer), (*order, (UNITS,)), sizes, steps[0])
    ends = (batch, directions) if recurrent.layout else (directions, batch)
    final = replace(y, axes=(*ends, (UNITS,)), last=True)
    state = State(final.shape)
    h = state if layer.bidirectional else final  # in reverse, the end is the first step
    return [y, h, state][: 3 if isinstance(layer, LSTM) else 2]


def _state_reason(names: dict[str, str], values: dict[str, Value]) -> str:
    for role in ("initial_h", "initial_c"):
        state = values.get(names.get(role, ""))
        if isinstance(state, np.ndarray):
            if state.any():
                return f"has an {role} that is not 0"
        elif state is not None and not isinstance(state, Given):
            return f"has an {role} that comes from other layers"
    lengths = values.get(names.get("sequence_lens", ""))
    if lengths is not None and not isinstance(lengths, (np.ndarray, Given)):
        return "has lengths that come from layers"
    return ""


def _ends(x: Features) -> bool:
    return any(isinstance(block, Node) for block in x.blocks)


def _dense(program: Program, node: Node, x: Value) -> list[Any]:
    dense = program.dense[node.outputs]
    if not isinstance(x, Features) or not x.complete or _ends(x):
        return [Unknown(f"{node.label} does not belong to one")]
    if x.shape[-1] != dense.input_size:
        raise ValueError(f"has {dense.input_size} inputs and gets {x.shape[-1]}")
    sizes = {atom: x.sizes[atom] for atom in BATCH_OR_TIME} | {UNITS: dense.output_size}
    axes = (*x.axes[:-1], (UNITS,))
    return [replace(x, blocks=(*x.blocks, dense), axes=axes, sizes=sizes)]


@_rule("Add")
def _add(node: Node, x: Value, bias: Value) -> list[Any] | None:
    """The bias of a dense layer, where a Reshape stands between product and sum."""
    x, bias = (bias, x) if isinstance(x, np.ndarray) else (x, bias)
    last = _open_dense(x)
    if last is None or last.bias or not isinstance(bias, np.ndarray):
        return None
    if bias.shape != (last.output_size,):
        return None
    return [_closed(x, make_dense(last.weights["weight"], bias, "identity"))]


def _open_dense(x: Value) -> Dense | None:
    """The dense layer that x comes from, if it has no activation yet."""
    if not isinstance(x, Features) or not x.complete or not x.blocks:
        return None
    last = x.blocks[-1]
    return last if isinstance(last, Dense) and last.activation == "identity" else None


def _closed(x: Any, dense: Dense) -> Features:
    """x with the last layer exchanged."""
    done: Features = replace(x, blocks=(*x.blocks[:-1], dense))
    return done


@_rule(*_ENDS)
def _end(node: Node, x: Value) -> list[Any] | None:
    if not isinstance(x, Features) or not x.blocks or not x.complete:
        return None
    if not is_on_rows(node, len(x.axes)):
        return None
    last = _open_dense(x)
    if last is not None and node.op in ACTIVATIONS:
        return [_closed(x, with_activation(last, ACTIVATIONS[node.op]))]
    # on rows, as the end of a chain has them
    on_rows = {**node.attributes, "axis": 1} if node.op in ROW_WISE else node.attributes
    return [replace(x, blocks=(*x.blocks, node._replace(attributes=on_rows)))]


# --- where things lie


@_rule("Identity", "Dropout")
def _same(node: Node, x: Value, *others: Value) -> list[Any] | None:
    return [x]


@_rule("Cast")
def _cast(node: Node, x: Value) -> list[Any] | None:
    kinds = {np.dtype(np.float32): 1, np.dtype(np.float64): 11}
    if not isinstance(x, Features):
        return None
    layers = [block for block in x.blocks if not isinstance(block, Node)]
    same = layers and kinds[layers[-1].dtype] == node.attributes.get("to")
    return [x] if same else None


@_rule("Transpose")
def _transpose(node: Node, x: Value) -> list[Any] | None:
    if not isinstance(x, Features):
        return None
    order = node.attributes.get("perm") or range(len(x.axes))[::-1]
    if sorted(order) != list(range(len(x.axes))):
        raise ValueError(f"perm is {list(order)}; expected an order of {len(x.axes)} axes")
    return [replace(x, axes=tuple(x.axes[axis] for axis in order))]


@_rule("Squeeze")
def _squeeze(node: Node, x: Value, axes: Any = None) -> list[Any] | None:
    if not isinstance(x, Features):
        return None
    own = axes_of(node, axes)
    rank = len(x.axes)
    chosen = [i for i in range(rank) if x.shape[i] == 1] if own is None else own
    gone = sorted({axis % rank for axis in chosen}, reverse=True)
    for axis in gone:
        if x.shape[axis] != 1:
            raise ValueError(f"axis {axis} has size {x.shape[axis]}; expected 1")
        left = _without(x, axis)
        if left is None:
            return None
        x = left
    return [x]


def _without(x: Features, axis: int) -> Features | None:
    """x without an axis of size 1; of the steps that is the last."""
    atoms = x.axes[axis]
    if atoms and x.time is None:
        return None
    rest = x.axes[:axis] + x.axes[axis + 1 :]
    return replace(x, axes=rest, last=x.last or x.time in atoms)


@_rule("Unsqueeze")
def _unsqueeze(node: Node, x: Value, axes: Any = None) -> list[Any] | None:
    if not isinstance(x, Features):
        return None
    own = axes_of(node, axes) or []
    rank = len(x.axes) + len(own)
    new = list(x.axes)
    for axis in sorted(axis % rank for axis in own):
        new.insert(axis, ())
    return [replace(x, axes=tuple(new))]


@_rule("Reshape")
def _reshape(node: Node, x: Value, shape: Value | None = None) -> list[Any] | None:
    if not isinstance(x, Features) or not isinstance(shape, np.ndarray):
        return None
    return _regrouped(x, new_shape(node, x.shape, shape))


@_rule("Flatten")
def _flatten(node: Node, x: Value) -> list[Any] | None:
    if not isinstance(x, Features):
        return None
    axis = node.attributes.get("axis", 1)
    return _regrouped(x, [prod(x.shape[:axis]), prod(x.shape[axis:])])


def _regrouped(x: Features, shape: list[int]) -> list[Any] | None:
    """The same numbers in the same order, with axes of other parts, if these end where parts do."""
    left = [atom for axis in x.axes for atom in axis]
    axes: list[Axis] = []
    for i, size in enumerate(shape):
        atoms: list[str] = []
        here = 1
        if size == 1 and left and x.sizes[left[0]] == 1:
            ones = shape[i:].count(1)
            if sum(x.sizes[atom] == 1 for atom in left) >= ones:
                atoms.append(left.pop(0))
        while here < size and left:
            atoms.append(left.pop(0))
            here *= x.sizes[atoms[-1]]
        if here != size:
            return None
        axes.append(tuple(atoms))
    if any(x.sizes[atom] != 1 for atom in left) or not axes:
        return None
    if left:  # of size 1, at the end
        axes[-1] = (*axes[-1], *left)
    return [replace(x, axes=tuple(axes))]


@_rule("Slice")
def _slice(node: Node, x: Value, *where: Any) -> list[Any] | None:
    if not isinstance(x, (Features, Joined)) or not all(_is_array(a) for a in where):
        return None
    value: Any = x
    for axis, taken in enumerate(slices(node, x.shape, *where)):
        start, stop, step = taken.indices(x.shape[axis])
        if step != 1:
            return None
        value = None if value is None else _part(value, axis, start, stop)
    return None if value is None else [value]


@_rule("Split")
def _split(node: Node, x: Value, split: Any = None) -> list[Any] | None:
    if not isinstance(x, (Features, Joined)) or not _is_array(split):
        return None
    axis = node.attributes.get("axis", 0) % len(x.shape)
    ends = np.cumsum(split_sizes(node, x.shape[axis], split))
    parts = [
        _part(x, axis, int(start), int(end))
        for start, end in zip([0, *ends[:-1]], ends, strict=True)
    ]
    return [
        Unknown(f"{node.label} does not belong to one") if part is None else part for part in parts
    ]


@_rule("Gather")
def _gather(node: Node, x: Value, indices: Value) -> list[Any] | None:
    if not isinstance(x, (Features, Joined)) or not isinstance(indices, np.ndarray):
        return None
    if indices.size != 1 or indices.ndim > 1:
        return None
    axis = node.attributes.get("axis", 0) % len(x.shape)
    size, (at,) = x.shape[axis], integers("indices", indices)
    if not -size <= at < size:
        raise ValueError(f"index {at} is outside of an axis of size {size}")
    part = _part(x, axis, at % size, at % size + 1)
    if part is None or indices.ndim == 1:
        return None if part is None else [part]
    if isinstance(part, State):
        return [part]
    left = _without(part, axis)
    return None if left is None else [left]


def _is_array(value: Any) -> bool:
    return value is None or isinstance(value, np.ndarray)


def _part(x: Features | Joined, axis: int, start: int, stop: int) -> Any:
    """From start to stop along an axis, where that is a part that has a name."""
    size = x.shape[axis]
    if (start, stop) == (0, size):
        return x
    if isinstance(x, Joined):
        return x.parts[start] if axis == x.axis and stop - start == 1 else None
    own = x.axes[axis]
    cut: dict[str, Any] = {}
    if x.time is not None and own == (x.time,) and (start, stop) == (size - 1, size):
        cut = {"axis": (), "last": True}
    elif own[:1] == (DIRECTIONS,) and own in ((DIRECTIONS,), x.whole):
        half = size // 2
        if stop - start == half and start % half == 0:
            cut = {"axis": own[1:], "direction": start // half}
    if not cut:
        return None
    new = (*x.axes[:axis], cut.pop("axis"), *x.axes[axis + 1 :])
    return replace(x, axes=new, **cut)


@_rule("Concat")
def _concat(node: Node, *parts: Value) -> list[Any] | None:
    if not all(isinstance(part, (Features, State)) for part in parts):
        return None
    values: list[Any] = list(parts)
    if len({len(value.shape) for value in values}) != 1 or not values[0].shape:
        return None
    if len(values) == 1:
        return [values[0]]
    axis = node.attributes["axis"] % len(values[0].shape)
    both = _both_directions(values, axis)
    if both is not None:
        return [both]
    if all(value.shape[axis] == 1 for value in values):
        return [Joined(tuple(values), axis)]
    return None


def _both_directions(values: list[Any], axis: int) -> Features | None:
    if not all(isinstance(value, Features) for value in values):
        return None
    first: Features = values[0]
    if [value.direction for value in values] != [0, 1]:
        return None
    if values[1] != replace(first, direction=1) or first.axes[axis] not in ((), (UNITS,)):
        return None
    new = (*first.axes[:axis], (DIRECTIONS, *first.axes[axis]), *first.axes[axis + 1 :])
    return replace(first, axes=new, direction=None)
