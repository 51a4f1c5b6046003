"""The modules' computation as operators of PyTorch, for graphs: torch.compile and torch.export.

A graph knows operators by their schemas, so all that is no tensor is numbers and texts here: the
layer is made again from its options, once for each, and its weights come with each call. Outputs
are y, h, c and a ticket: a number for the tape that the call has left behind, which lives as long
as the ticket's memory does. Where a graph has copied that, or computes again what it does not
save, backward runs forward once more.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor

from .. import layers
from ._function import (
    Call,
    Optional,
    array_of,
    find_tape,
    gradients_of,
    no_second_derivative,
    record,
    state_of,
    with_torch_threads,
)

CLASSES: dict[str, type[Any]] = {"LSTM": layers.LSTM, "GRU": layers.GRU, "RNN": layers.RNN}


@lru_cache(maxsize=64)
def _layer(description: str, double: bool, of: int) -> Any:
    """A layer of its own for the weights that lie there, since it keeps them packed."""
    options = json.loads(description)
    kind = CLASSES[options.pop("kind")]
    return kind(**options, dtype="float64" if double else "float32", seed=0)


def _call(description: str, weights: Sequence[Tensor], training: bool, seed: Tensor) -> Call:
    first = weights[0]
    layer = _layer(description, first.dtype == torch.float64, first.data_ptr())
    return Call(layer._core, None, training, int(seed))


@torch.library.custom_op("gru_native::recur", mutates_args=(), device_types="cpu")  # type: ignore[untyped-decorator]
def recur(
    x: Tensor,
    state: list[Tensor],
    weights: list[Tensor],
    description: str,
    training: bool,
    seed: Tensor,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """y, h, c (empty where there is none) and a ticket."""
    call = _call(description, weights, training, seed)
    return _four(with_torch_threads(record, call, array_of(x), state_of(state), weights))


def _four(outputs: Any) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    y, *final, ticket = outputs
    return y, final[0], final[1] if len(final) == 2 else y.new_empty(0), ticket


@recur.register_fake  # type: ignore[untyped-decorator]
def _(
    x: Tensor,
    state: list[Tensor],
    weights: list[Tensor],
    description: str,
    training: bool,
    seed: Tensor,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    y, h, *c = [x.new_empty(shape) for shape in _shapes(x, description)]
    return y, h, c[0] if c else x.new_empty(0), x.new_empty(1, dtype=torch.int64)


def _shapes(x: Tensor, description: str) -> list[Any]:
    """Of y, h, and of an LSTM c."""
    options = json.loads(description)
    directions = 2 if options["bidirectional"] else 1
    outputs = options.get("proj_size", 0) or options["hidden_size"]
    width = directions * (outputs + options.get("nonrecurrent_proj_size", 0))
    batch = x.shape[0] if options["batch_first"] else x.shape[1]
    depth = options["num_layers"] * directions
    shapes = [(*x.shape[:2], width), (depth, batch, outputs)]
    return (
        [*shapes, (depth, batch, options["hidden_size"])] if options["kind"] == "LSTM" else shapes
    )


@torch.library.custom_op("gru_native::recur_backward", mutates_args=(), device_types="cpu")  # type: ignore[untyped-decorator]
def recur_backward(
    dy: Optional,
    dh: Optional,
    dc: Optional,
    ticket: Tensor,
    x: Tensor,
    state: list[Tensor],
    weights: list[Tensor],
    description: str,
    training: bool,
    seed: Tensor,
) -> list[Tensor]:
    """The gradients of x, of the state and of the weights."""
    call = _call(description, weights, training, seed)
    tape = find_tape(ticket)
    if tape is None:
        outputs = with_torch_threads(record, call, array_of(x), state_of(state), weights)
        ticket = outputs[-1]
        tape = find_tape(ticket)
    shapes = _shapes(x, description)[1:]
    dfinal = (dh, dc)[: len(shapes)]
    dx, dstate, dweights = gradients_of(call, tape, dy, dfinal, shapes, x)
    return [torch.from_numpy(array) for array in (dx, *dstate[: len(state)], *dweights)]


@recur_backward.register_fake  # type: ignore[untyped-decorator]
def _(
    dy: Optional,
    dh: Optional,
    dc: Optional,
    ticket: Tensor,
    x: Tensor,
    state: list[Tensor],
    weights: list[Tensor],
    description: str,
    training: bool,
    seed: Tensor,
) -> list[Tensor]:
    return [torch.empty_like(tensor) for tensor in (x, *state, *weights)]


def _setup(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
    x, state, weights, ctx.description, ctx.training, seed = inputs
    ctx.counts = len(state), len(weights)
    ctx.save_for_backward(output[-1], seed, x, *state, *weights)
    ctx.set_materialize_grads(False)


def _backward(ctx: Any, dy: Optional, dh: Optional, dc: Optional, dticket: Optional) -> Any:
    ticket, seed, x, *rest = ctx.saved_tensors
    n, m = ctx.counts
    state, weights = rest[:n], rest[n:]
    if dy is None and dh is None and dc is None:
        return None, [None] * n, [None] * m, None, None, None
    dx, *found = recur_backward(
        dy, dh, dc, ticket, x, state, weights, ctx.description, ctx.training, seed
    )
    return dx, found[:n], found[n:], None, None, None


recur.register_autograd(_backward, setup_context=_setup)
recur_backward.register_autograd(no_second_derivative)
