"""Layers, and the functions behind them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from ... import files
from ...layers import LSTM, Dense
from .._fusion import ACTIVATIONS, ROW_WISE, is_on_rows, with_activation, with_bias
from .._model import Node
from .._program import Program
from ..operators.recurrent import tensors_of
from .block_rules import activation
from .block_rules import with_bias as with_bias_of_steps
from .images import as_rows, turned
from .images import with_bias as with_bias_of_channels
from .joins import join
from .rules import rule
from .values import (
    BATCH_OR_TIME,
    DIRECTIONS,
    UNITS,
    Axis,
    Features,
    Given,
    State,
    Unknown,
    Value,
)

_ENDS = (  # what may end a chain, of one number or of a row
    *(*ACTIVATIONS, "LeakyRelu", "Elu", "HardSigmoid", "Selu"),
    *("ThresholdedRelu", "Softplus", "Softsign"),
)


def recurrent_layer(program: Program, node: Node, values: dict[str, Value]) -> list[Any]:
    names = tensors_of(node)
    x, sides = as_rows(values[names["X"]])
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
    elif x is None or not x.complete or x.last or len(x.axes) != 3:
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
    assert x is not None
    steps, batch = (x.axes[1], x.axes[0]) if recurrent.layout else (x.axes[0], x.axes[1])
    if len(steps) != 1 or len(batch) > 1 or (x.time is not None and steps != (x.time,)):
        return [Unknown(f"{node.label} runs along another axis")] * len(node.outputs)
    lengths = values.get(names.get("sequence_lens", ""))
    if isinstance(lengths, np.ndarray) and (lengths != x.sizes[steps[0]]).any():
        return [Unknown(f"{node.label} has lengths of its own")] * len(node.outputs)

    layer = _turned(recurrent.layers[0], sides)
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


def _turned(layer: Any, sides: tuple[int, int] | None) -> Any:
    """A layer for what Columns makes, of one whose inputs are (height, channels)."""
    if sides is None:
        return layer
    options = files.describe(layer)
    if options["precision"] != "full":
        raise ValueError("has weights of few bits for columns of images in another order")
    weights = {
        name: turned(array, sides) if name == "weight" or "weight_ih" in name else array
        for name, array in layer.state_dict().items()
    }
    other = files.build(options, layer.dtype)
    other.load_state_dict(weights)
    return other


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


def dense_layer(program: Program, node: Node, x: Value) -> list[Any]:
    dense: Any = program.dense[node.outputs]
    found, sides = as_rows(x)
    if found is None or not found.complete or _ends(found):
        return [Unknown(f"{node.label} does not belong to one")]
    if found.shape[-1] != dense.input_size:
        raise ValueError(f"has {dense.input_size} inputs and gets {found.shape[-1]}")
    dense = _turned(dense, sides)
    sizes = {atom: found.sizes[atom] for atom in BATCH_OR_TIME} | {UNITS: dense.output_size}
    axes = (*found.axes[:-1], (UNITS,))
    return [replace(found, blocks=(*found.blocks, dense), axes=axes, sizes=sizes)]


@rule("Add")
def _add(node: Node, x: Value, bias: Value) -> list[Any] | None:
    """The bias of a dense layer, where a Reshape stands between; or two ways that join."""
    if isinstance(x, Features) and isinstance(bias, Features):
        return join("add", (x, bias))
    x, bias = (bias, x) if isinstance(x, np.ndarray) else (x, bias)
    if isinstance(x, Features) and x.images and isinstance(bias, np.ndarray):
        found = with_bias_of_channels(x, bias)
        return None if found is None else [found]
    if isinstance(x, Features) and isinstance(bias, np.ndarray):
        found = with_bias_of_steps(x, bias)
        if found is not None:
            return [found]
    last = _open_dense(x)
    if last is None or last.bias or not isinstance(bias, np.ndarray):
        return None
    if bias.shape != (last.output_size,):
        return None
    return [_closed(x, with_bias(last, bias))]


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


@rule(*_ENDS)
def _end(node: Node, x: Value) -> list[Any] | None:
    if not isinstance(x, Features) or not x.blocks:
        return None
    if not x.complete:
        return activation(node, x)
    if not is_on_rows(node, len(x.axes)):
        return None
    last = _open_dense(x)
    if last is not None and node.op in ACTIVATIONS:
        return [_closed(x, with_activation(last, ACTIVATIONS[node.op]))]
    block = activation(node, x)
    if block is not None:
        return block
    # on rows, as the end of a chain has them
    on_rows = {**node.attributes, "axis": 1} if node.op in ROW_WISE else node.attributes
    return [replace(x, blocks=(*x.blocks, node._replace(attributes=on_rows)))]
