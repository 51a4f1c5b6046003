"""Which chain of layers a graph is.

The graph is followed once with sizes filled in: what follows from sizes and constants is computed
(``_follow``), and what follows from the input becomes one of the values of ``_values``. In the end
the chain must give what the graph gives, on random numbers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np

from ... import files
from ...layers import Activation, Block, Chain, Dense, Image, Parallel, Residual
from ...layers._blocks import RECURRENT
from ...layers._operation import Operation
from ...layers._weights import Array
from .._fusion import ROW_WISE, with_activation
from .._model import Node, shown
from .._program import Program
from ..operators import compute
from ..operators.budget import USUAL
from .block_rules import WINDOWS
from .follow import CHANNELS_FIRST, IMAGES, ROWS, TIME, Layout, follow
from .pool_rules import POOLS
from .values import (
    BATCH_OR_TIME,
    CHANNELS,
    HEIGHT,
    INPUTS,
    Features,
    Unknown,
    Value,
)

_PROBES: tuple[tuple[int, ...], ...] = ((5, 7), ())  # sizes of the two axes; () as declared
_LONG_PROBES = ((5, 7), (47, 53), ())  # where windows may be longer than 5 steps
_IMAGE_PROBES = ((2, 53), (3, 211), ())
_MOST_NUMBERS = 1 << 22  # of an input, and of what a layer makes of it, when layers are tried
_MOST_MACS = 1 << 35
_LONGEST = 256  # declared sizes that are tried as such


@dataclass(frozen=True)
class Recognition:
    """A layer or chain, and the functions that come behind it."""

    layer: Block | Chain
    tail: tuple[Node, ...]
    backward: str  # the label of a node that runs in both directions, "" if there is none
    windows: str  # and that of the first one with windows over time, or of all steps

    def logits(self) -> Block | Chain:
        """The layer or chain without a softmax at its end."""
        blocks = self.layer.blocks if isinstance(self.layer, Chain) else (self.layer,)
        last = blocks[-1]
        while isinstance(last, Activation) and len(blocks) > 1:
            blocks = blocks[:-1]
            last = blocks[-1]
        if isinstance(last, Dense) and last.activation in ROW_WISE.values():
            blocks = (*blocks[:-1], with_activation(last, "identity"))
        return blocks[0] if len(blocks) == 1 else Chain(blocks)

    def stream(self, batch_size: int) -> Any:
        if self.backward:
            raise ValueError(
                f"{self.backward} is bidirectional and needs the end of the sequence: there is no "
                "stream over it"
            )
        own = (*RECURRENT, Chain)
        layer: Any = self.layer if isinstance(self.layer, own) else Chain([self.layer])
        try:
            return layer.stream(batch_size)
        except ValueError as error:
            raise ValueError(f"{self.windows}: {error}" if self.windows else str(error)) from None


def recognise(program: Program) -> Recognition:
    """The layers that the program's first output comes from. Raises ValueError, naming the node."""
    reason = "the model has no output"
    reasons: list[str] = []
    convolves = any(node.op in ("Conv", "BatchNormalization") for node in program.nodes)
    layouts: tuple[Layout, ...] = (ROWS, CHANNELS_FIRST) if convolves else (ROWS,)
    probes = _LONG_PROBES if convolves else _PROBES
    if any(given.shape is not None and len(given.shape) == 4 for given in program.inputs.values()):
        layouts, probes = IMAGES, _IMAGE_PROBES
    for layout in layouts:
        for sizes in probes if program.outputs else ():
            try:
                return _with_sizes(program, sizes, layout)
            except ValueError as error:  # perhaps the graph was not made for these sizes
                reason = str(error)
        reasons.append(reason)
    reason = reasons[0 if layouts is IMAGES else -1]
    raise ValueError(f"the model is no chain of recurrent and dense layers: {reason}")


def _with_sizes(program: Program, sizes: tuple[int, ...], layout: Layout) -> Recognition:
    values, x = follow(program, sizes, layout)
    found = values[program.outputs[0]]
    if isinstance(found, Unknown):
        raise ValueError(found.reason)
    if not isinstance(found, Features) or not found.blocks or not found.whole_features:
        raise ValueError(f"output {shown(program.outputs[0])} is not what a layer returns")
    for name in program.outputs[1:]:
        _check_other(name, values[name], found)
    tail = tuple(block for block in found.blocks if isinstance(block, Node))
    layers = [block for block in found.blocks if not isinstance(block, Node)]
    if not layers:
        raise ValueError(f"output {shown(program.outputs[0])} comes from no layer")
    batch_first = found.time is not None and values[x].axes[0] != (found.time,)
    layer = _chain(layers, batch_first)
    _verify(program, x, values[x], found, layer, tail)
    _verify_larger(program, x, sizes, layout, layer, tail)
    named = POOLS if found.pooled else WINDOWS
    windows = (node.label for node in program.nodes if node.op in named)
    return Recognition(layer, tail, _backward(program, layers), next(windows, ""))


def _check_other(name: str, value: Value, found: Features) -> None:
    """Other outputs may be states, or what is in between; another branch would be lost."""
    if isinstance(value, Unknown):
        raise ValueError(f"output {shown(name)} is another one: {value.reason}")
    blocks = value.blocks if isinstance(value, Features) else ()
    on_the_way = [mine is other for mine, other in zip(blocks, found.blocks, strict=False)]
    if len(blocks) > len(found.blocks) or not all(on_the_way):
        raise ValueError(f"output {shown(name)} comes from layers of its own")


def _backward(program: Program, layers: Sequence[Block]) -> str:
    for node in program.nodes:
        for own in program.layers[node.outputs].layers if node.outputs in program.layers else ():
            if own.bidirectional and any(layer is own for layer in layers):
                return node.label
    return ""


def _chain(layers: Sequence[Block], batch_first: bool) -> Block | Chain:
    """Nodes that are a stack become one layer of several."""
    stacks: list[list[Block]] = []
    for layer in layers:
        if stacks and _stackable(stacks[-1][-1], layer):
            stacks[-1].append(layer)
        else:
            stacks.append([layer])
    blocks = [_stacked(stack, batch_first) for stack in stacks]
    return blocks[0] if len(blocks) == 1 else Chain(blocks)


def _stackable(below: Block, above: Block) -> bool:
    if not isinstance(below, RECURRENT) or not isinstance(above, RECURRENT):
        return False
    if below.dtype != above.dtype:
        return False
    mine, other = files.describe(below), files.describe(above)
    same = {k: v for k, v in mine.items() if k != "input_size"}
    return same == {k: v for k, v in other.items() if k != "input_size"}


def _stacked(stack: list[Any], batch_first: bool) -> Any:
    if isinstance(stack[0], Residual):
        return Residual(_path(stack[0].block, batch_first), stack[0].join)
    if isinstance(stack[0], Parallel):
        return Parallel([_path(b, batch_first) for b in stack[0].blocks], stack[0].join)
    options = {**files.describe(stack[0]), "batch_first": batch_first}
    if isinstance(stack[0], Operation):
        block = files.build(options, stack[0].dtype)
        block.load_state_dict(stack[0].weights)
        return block
    if isinstance(stack[0], RECURRENT):
        options["num_layers"] = len(stack)
    layer: Block = files.build(options, stack[0].dtype)
    return layer._of_stored(
        options["precision"],
        {
            name.replace("_l0", f"_l{k}"): array
            for k, one in enumerate(stack)
            for name, array in one._stored().items()
        },
    )


def _path(block: Any, batch_first: bool) -> Any:
    return _chain(block.blocks if isinstance(block, Chain) else [block], batch_first)


def _verify(
    program: Program,
    x: str,
    given: Features,
    found: Features,
    layer: Block | Chain,
    tail: tuple[Node, ...],
) -> None:
    """Raises ValueError if the layers do not compute what the graph does."""
    time, batch = _order(found)
    _check_work(x, given, layer)
    array = np.random.default_rng(0).standard_normal(given.shape).astype(layer.dtype)
    feeds: dict[str, Array] = {x: array}
    for name, other in program.inputs.items():
        if name != x:  # states, which are 0, and lengths, which are all
            shape = [given.sizes[batch] if n is None else n for n in other.shape or ()]
            _check_numbers(name, shape, prod(shape))
            value = 0 if other.dtype.kind == "f" else given.sizes[time]
            feeds[name] = np.full(shape, value, other.dtype)
    expected = program.run(feeds, limit=USUAL)[program.outputs[0]]
    result: Any = layer(_as_the_layer_reads(array, given, time, batch))
    y = result[0] if isinstance(result, tuple) else result
    for node in tail:
        y = compute(node, [y.reshape(-1, y.shape[-1])])[0].reshape(y.shape)
    if found.pooled:
        y = y[None]
    elif found.images:  # (batch, channels, height, time)
        y = y.transpose(3, 0, 1, 2).reshape(y.shape[3], y.shape[0], -1)
    elif given.axes[0] != (time,):
        y = y.swapaxes(0, 1)
    actual = _arranged(y[-1:] if found.last else y, found, [time, batch])
    tolerance = 1e-4 if layer.dtype == np.float32 else 1e-10
    known = np.isfinite(actual) | np.isfinite(expected)  # what grows without end does in both
    with np.errstate(invalid="ignore"):
        difference = np.abs(np.where(known, actual - expected, 0)).max(initial=0)
    largest = float(np.abs(expected[np.isfinite(expected)]).max(initial=0))
    if not difference <= tolerance * max(1.0, largest):
        raise ValueError(
            f"output {shown(program.outputs[0])} differs by {difference:.3g} from that of {layer!r}"
        )


def _verify_larger(
    program: Program,
    x: str,
    sizes: tuple[int, ...],
    layout: Layout,
    layer: Block | Chain,
    tail: tuple[Node, ...],
) -> None:
    """As ``_verify`` with sizes that are declared, or others where none are.

    What is cut at a number that the file has may be whole with the sizes that were tried first.
    """
    shape = program.inputs[x].shape or (None,) * 3
    if not sizes and None not in shape:
        return
    places = [0] if len(shape) == 2 else [layout.index(atom) for atom in ("", TIME)]
    larger = tuple(
        own + more if (n := shape[i]) is None or n > _LONGEST else n
        for i, own, more in zip(places, sizes or (5, 7), (1, 4), strict=False)
    )
    values, _ = follow(program, larger, layout)
    found = values[program.outputs[0]]
    if isinstance(found, Unknown):
        raise ValueError(found.reason)
    if not isinstance(found, Features) or not found.whole_features:
        raise ValueError(f"output {shown(program.outputs[0])} is not what a layer returns")
    _verify(program, x, values[x], found, layer, tail)


def _as_the_layer_reads(array: Array, given: Features, time: str, batch: str) -> Array:
    """Sequences with their features last, or images whose width is time."""
    outer = [atom for axis in given.axes for atom in axis if atom in (time, batch)]
    order = [batch, CHANNELS, HEIGHT, time] if given.images else [*outer, INPUTS]
    atoms = [atom for axis in given.axes for atom in axis]
    missing = [atom for atom in order if atom not in atoms]  # of size 1
    y = array.reshape([1] * len(missing) + [given.sizes[atom] for atom in atoms])
    y = y.transpose([(missing + atoms).index(atom) for atom in order])
    if len(order) == 2:
        y = y[:, None]
    return np.ascontiguousarray(y)


def _check_work(x: str, given: Features, layer: Block | Chain) -> None:
    """ValueError where it would take seconds to try the layers: sizes are what a stranger says."""
    blocks = layer.blocks if isinstance(layer, Chain) else (layer,)
    rows = prod(given.shape) // given.sizes.get(INPUTS, 1)  # of images, their places
    if any(isinstance(block, Image) for block in blocks):
        rows *= given.sizes.get(INPUTS, 1)
    widest = max(
        given.sizes.get(INPUTS, 1), *(w.shape[0] for b in blocks for w in b.weights.values())
    )
    _check_numbers(x, given.shape, rows * widest)
    if rows * layer.num_parameters > _MOST_MACS:
        raise ValueError(f"input {shown(x)} has declared sizes that take too long to try")


def _check_numbers(name: str, shape: Sequence[int], numbers: int) -> None:
    if numbers > _MOST_NUMBERS:
        raise ValueError(
            f"input {shown(name)} would be tried with shape {str(tuple(shape))[:80]}; expected at "
            f"most {_MOST_NUMBERS} numbers in it and in what layers make of it"
        )


def _order(found: Features) -> tuple[str, str]:
    first, second = BATCH_OR_TIME
    return (second, first) if found.time == second else (first, second)


def _arranged(y: Array, found: Features, order: list[str]) -> Array:
    """y, (time, batch, features), with the axes that the output has."""
    atoms = [*order, *found.whole]
    sizes = {**found.sizes, order[0]: len(y)}
    y = y.reshape([sizes[atom] for atom in atoms])
    wanted = [atom for axis in found.axes for atom in axis]
    gone = [atom for atom in atoms if atom not in wanted]  # of size 1
    y = y.transpose([atoms.index(atom) for atom in gone + wanted])
    return y.reshape(found.shape)
