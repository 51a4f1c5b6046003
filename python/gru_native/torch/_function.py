"""The autograd function: forward keeps the core's tape, backward runs it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import count
from typing import Any, TypeAlias
from weakref import WeakValueDictionary

import numpy as np
import torch
from torch import Tensor

from .. import _core
from ..layers import State
from ..layers._weights import Array

Optional: TypeAlias = Tensor | None


@dataclass(slots=True)
class Call:
    """One call of a module: what is no tensor."""

    core: _core._Layer[Any]
    lengths: Array | None
    training: bool
    seed: int  # of dropout


def with_torch_threads(function: Any, *arguments: Any) -> Any:
    """The function's result; in it the core uses as many threads as PyTorch may, and PyTorch's own.

    PyTorch's OpenMP threads spin for milliseconds after each of its operations, ready for the next.
    Threads of our own would have to share the cores with them.
    """
    before = _core.use_threads_here(torch.get_num_threads(), True)
    try:
        return function(*arguments)
    finally:
        _core.use_threads_here(*before)


def infer(call: Call, x: Tensor, state: tuple[Tensor, ...], weights: list[Tensor]) -> Any:
    """(y, h) or (y, h, c), without a tape."""
    return _tensors(*with_torch_threads(_infer, call, x, state, weights))


def _infer(call: Call, x: Tensor, state: tuple[Tensor, ...], weights: list[Tensor]) -> Any:
    call.core.load([array_of(w) for w in weights])
    return call.core(
        array_of(x), state_of(state), call.lengths, training=call.training, seed=call.seed
    )


class _Held(np.ndarray[Any, Any]):
    """An array that owns a tape."""

    tape: Any


# The tape of a call belongs to a tensor that autograd saves. So it lives as long as what autograd
# saves does: until backward, unless the graph is retained, and under checkpointing not even that.
_tapes: WeakValueDictionary[int, _Held] = WeakValueDictionary()
_numbers = count()


def _hold(tape: Any) -> Tensor:
    held = np.array([next(_numbers)]).view(_Held)
    held.tape = tape
    _tapes[int(held[0])] = held
    return torch.from_numpy(held)


def find_tape(ticket: Tensor) -> Any:
    """The tape that a ticket stands for; None where it is gone, or a ticket was copied."""
    held = _tapes.get(int(ticket))
    return None if held is None else held.tape


def _held(ticket: Tensor) -> Any:
    tape = find_tape(ticket)
    if tape is None:
        raise RuntimeError(
            "saved tensors of this call were copied by torch.autograd.graph.saved_tensors_hooks, "
            "but gru_native's tape cannot be"
        )
    return tape


def recur(
    call: Call, x: Tensor, h0: Optional, c0: Optional, weights: list[Tensor]
) -> tuple[Tensor, ...]:
    """(y, h) or (y, h, c), for autograd to differentiate. Initial states may be None."""
    function = _TransformedRecurrence if _transforms_active() else _Recurrence
    outputs: tuple[Tensor, ...] = function.apply(call, x, h0, c0, *weights)
    return outputs[:-1]


# Under the transforms of torch.func a function must say what it saves apart from what it computes;
# otherwise that costs more than a small layer's computation.
_transforms_active = getattr(torch._C, "_are_functorch_transforms_active", lambda: False)


def _forward(
    call: Call, x: Tensor, h0: Optional, c0: Optional, *weights: Tensor
) -> tuple[Tensor, ...]:
    """The outputs and, last, the ticket."""
    state = state_of([s for s in (h0, c0) if s is not None])
    outputs: tuple[Tensor, ...] = with_torch_threads(record, call, array_of(x), state, weights)
    return outputs


def record(call: Call, x: Array, state: State | None, weights: Sequence[Tensor]) -> Any:
    """The outputs and, last, the ticket of their tape."""
    call.core.load([array_of(w) for w in weights])
    y, final, tape = call.core.forward(
        x, state, call.lengths, training=call.training, seed=call.seed
    )
    return (*_tensors(y, final), _hold(tape))


def _save(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
    ctx.call, *ctx.inputs = inputs
    ctx.save_for_backward(output[-1])
    ctx.mark_non_differentiable(output[-1])
    ctx.set_materialize_grads(False)
    ctx.shapes = [state.shape for state in output[1:-1]]


def _backward(ctx: Any, *gradients: Optional) -> tuple[Optional, ...]:
    (ticket,) = ctx.saved_tensors
    if all(g is None for g in gradients[:-1]):
        return (None,) * (1 + len(ctx.inputs))
    wanted = ctx.needs_input_grad[1:]
    run = FirstDerivative.apply if torch.is_grad_enabled() else FirstDerivative.forward
    return (None, *run(ctx.call, ticket, wanted, ctx.shapes, *gradients[:-1], *ctx.inputs))


class _Recurrence(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, *inputs: Any) -> tuple[Tensor, ...]:
        output = _forward(*inputs)
        _save(ctx, inputs, output)
        return output

    backward = staticmethod(_backward)


class _TransformedRecurrence(torch.autograd.Function):
    forward = staticmethod(_forward)
    setup_context = staticmethod(_save)
    backward = staticmethod(_backward)


class FirstDerivative(torch.autograd.Function):
    """Recurrence's backward, and where a second one would begin."""

    @staticmethod
    def forward(
        call: Call,
        ticket: Tensor,
        wanted: tuple[bool, ...],
        shapes: list[torch.Size],
        dy: Optional,
        *tensors: Optional,
    ) -> tuple[Optional, ...]:
        dstate = _state_gradient(tensors[: len(shapes)], shapes, tensors[len(shapes)])
        want_x, want_state, want_weights = wanted[0], any(wanted[1:3]), any(wanted[3:])
        dx, dinitial, dweights = with_torch_threads(
            call.core.backward,
            _held(ticket),
            None if dy is None else array_of(dy),
            dstate,
            want_x,
            want_state,
            want_weights,
        )
        found = [dx, *(_parts(dinitial) if want_state else [None, None])]
        found += [None] * (3 - len(found))
        found += dweights.values() if want_weights else [None] * len(wanted[3:])
        return tuple(
            torch.from_numpy(array) if want and array is not None else None
            for array, want in zip(found, wanted, strict=True)
        )

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: object) -> None:
        pass

    @staticmethod
    def backward(ctx: Any, *gradients: Optional) -> Any:
        no_second_derivative()


def no_second_derivative(*_: Any) -> Any:
    """What a backward of a backward says."""
    raise RuntimeError(
        "gru_native.torch has no second derivatives; gru_native.torch.restore(model) brings "
        "back torch.nn's layers, which have them where they run without oneDNN"
    )


def gradients_of(
    call: Call,
    tape: Any,
    dy: Optional,
    dfinal: tuple[Optional, ...],
    shapes: list[torch.Size],
    x: Tensor,
) -> tuple[Array, list[Array], list[Array]]:
    """Those of x, of the initial state and of the weights; shapes: those of the final state."""
    dstate = _state_gradient(dfinal, shapes, x)
    dx, dinitial, dweights = with_torch_threads(
        call.core.backward, tape, None if dy is None else array_of(dy), dstate, True, True, True
    )
    return dx, _parts(dinitial), list(dweights.values())


def array_of(tensor: Tensor) -> Array:
    """The tensor's memory; the core copies it where it is not contiguous."""
    array: Array = tensor.detach().numpy()
    return array


def state_of(state: Any) -> Any:
    """Tensors as the core takes a state: None, h, or (h, c)."""
    arrays = [array_of(s) for s in state]
    return None if not arrays else arrays[0] if len(arrays) == 1 else tuple(arrays)


def _state_gradient(
    gradients: tuple[Optional, ...], shapes: list[torch.Size], like: Optional
) -> State | None:
    """As the core takes it: None, or zeros for those of the parts that are None."""
    if like is None or all(g is None for g in gradients):
        return None
    pairs = zip(gradients, shapes, strict=True)
    result: State | None = state_of([like.new_zeros(s) if g is None else g for g, s in pairs])
    return result


def _parts(state: State) -> list[Array]:
    return list(state) if isinstance(state, tuple) else [state]


def _tensors(y: Array, final: State) -> tuple[Tensor, ...]:
    return tuple(torch.from_numpy(array) for array in (y, *_parts(final)))
