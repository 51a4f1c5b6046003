"""Calls of one kind, planned: for inputs of these shapes, and these small whole numbers.

What follows from shapes and such numbers is the same in each of these calls: the plan has it
computed once, with the branches of If chosen, and what is left of each node is bound to its shapes
(``bindings``). A model whose shapes depend on other values than these has no plan.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from ..layers._weights import Array
from ._bindings import bind, bind_split
from ._control import CONTROL
from ._fallback import PIECE
from ._fusion import DENSE
from ._model import Node
from ._program import NODE_ERRORS, Program, Step, of_node
from .operators.budget import at_most, of_a_run

_PLANS = 8  # that are kept
_SEEN = 64  # kinds of calls of which it is known that they came once
_SMALL = 16  # numbers of an input whose values belong to the kind of a call
_KEPT = 1 << 20  # bytes of a result that is computed once

# Which inputs an output's shape is made of; of other operators the shapes of all inputs are enough.
_SHAPES = {
    **dict.fromkeys(("Reshape", "Squeeze", "Unsqueeze", "Expand", "Tile", "TopK", "Split"), (1,)),
    **dict.fromkeys(("OneHot", "Upsample"), (1,)),
    **dict.fromkeys(("Slice", "Pad", "Resize"), (1, 2, 3, 4)),
    **dict.fromkeys(("ConstantOfShape", "Range"), (0, 1, 2)),
}
_BY_VALUES = ("NonZero", "Compress", "Loop", "Scan", PIECE)


class _NoPlan(Exception):
    """Some shape follows from values."""


class _Bound(NamedTuple):
    """A step on numbered values; ``single``: the call returns the one output itself."""

    node: Node
    call: Callable[..., Any]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    single: bool
    done: tuple[int, ...]


class Plan:
    """Made while the program computes one call. Raises _NoPlan."""

    def __init__(self, program: Program, feeds: Mapping[str, Array], limit: int) -> None:
        self._limit = limit
        self._values: list[Any] = [None]  # by number; what is known stays
        self._known = [True]
        self._steps: list[_Bound] = []
        self.inputs = []
        slots: dict[str, int] = {"": 0}
        for name, array in feeds.items():
            slots[name] = self._slot(array, array.dtype.kind in "iub" and array.size <= _SMALL)
            self.inputs.append(slots[name])
        with at_most(limit), of_a_run(), np.errstate(all="ignore"):
            self._follow(program, slots)
        self.outputs = [slots[name] for name in program.outputs]
        self._finish()

    def _slot(self, value: Any, known: bool) -> int:
        self._values.append(value)
        self._known.append(known)
        return len(self._values) - 1

    def _follow(self, program: Program, slots: dict[str, int]) -> None:
        for name, array in program.constants.items():
            slots[name] = self._slot(array, True)
        for step in program.steps:
            try:
                self._add(program, step, slots)
            except NODE_ERRORS as error:
                raise of_node(step.node, error) from error

    def _add(self, program: Program, step: Step, slots: dict[str, int]) -> None:
        node = step.node
        reads = tuple(slots[name] for name in step.inputs)
        known = [self._known[i] for i in reads]
        if node.op in CONTROL and node.op == "If" and known[0]:
            self._branch(program, node, reads, slots)
            return
        shape_only = node.op in ("Shape", "Size")
        if node.op in _BY_VALUES or node.op in CONTROL:
            raise _NoPlan
        if not all(known[i] for i in _SHAPES.get(node.op, ()) if i < len(known)):
            raise _NoPlan
        if node.op.startswith("Reduce") and not all(known[1:]):
            raise _NoPlan
        arrays = [self._values[i] for i in reads]
        results = [np.asarray(a) for a in step.call(*arrays)[: len(step.outputs)]]
        once = shape_only or (all(known) and all(a.nbytes <= _KEPT for a in results))
        for name, array in zip(step.outputs, results, strict=False):
            if name:
                slots[name] = self._slot(array, once)
        if once:
            return
        own = tuple(slots[name] if name else 0 for name in step.outputs)
        call, single = self._bound(program, step, arrays, known, results)
        if call is None:  # the same as the first input
            slots[step.outputs[0]] = reads[0]
        else:
            self._steps.append(_Bound(node, call, reads, own, single, ()))

    def _bound(
        self,
        program: Program,
        step: Step,
        arrays: Sequence[Any],
        known: Sequence[bool],
        results: Sequence[Array],
    ) -> tuple[Callable[..., Any] | None, bool]:
        """The step's call for such arrays, and whether it gives a single output itself."""
        node = step.node
        if node.outputs in program.layers:
            layer = program.layers[node.outputs]
            return (layer.bound(*(a is not None for a in arrays[1:])) or step.call), False
        if node.op == DENSE:
            return program.dense[node.outputs], True
        if node.op == "Split":
            return bind_split(results, node.attributes.get("axis", 0)), False
        call = bind(node, arrays, known, results)
        if call == "same":
            return None, True
        return (step.call, False) if call is None else (call, True)

    def _branch(
        self, program: Program, node: Node, reads: Sequence[int], slots: dict[str, int]
    ) -> None:
        condition = self._values[reads[0]]
        which = "then_branch" if condition.reshape(-1)[0] else "else_branch"
        body = program.bodies[node.outputs][which]
        inside = {"": 0, **dict(zip(node.captured, reads[len(node.inputs) :], strict=True))}
        self._follow(body, inside)
        for name, inner in zip(node.outputs, body.outputs, strict=False):
            if name:
                slots[name] = inside[inner]

    def _finish(self) -> None:
        """Forgets the values of this call, and says where others are not needed any more."""
        last = {slot: i for i, step in enumerate(self._steps) for slot in step.inputs}
        kept = {0, *self.outputs, *(i for i, known in enumerate(self._known) if known)}
        for i, step in enumerate(self._steps):
            done = {s for s in (*step.inputs, *step.outputs) if last.get(s, i) == i} - kept
            self._steps[i] = step._replace(done=tuple(done))
        self._values = [
            value if known else None for value, known in zip(self._values, self._known, strict=True)
        ]

    def run(self, arrays: Sequence[Array]) -> list[Array]:
        """The outputs of a call of this kind. Raises ValueError, naming the node."""
        values = self._values.copy()
        for slot, array in zip(self.inputs, arrays, strict=True):
            values[slot] = array
        with at_most(self._limit), np.errstate(all="ignore"):
            for node, call, reads, own, single, done in self._steps:
                try:
                    result = call(*[values[i] for i in reads])
                except NODE_ERRORS as error:
                    raise of_node(node, error) from error
                if single:
                    values[own[0]] = result
                else:
                    for slot, array in zip(own, result, strict=False):
                        values[slot] = array
                for slot in done:
                    values[slot] = None
        return [values[slot] for slot in self.outputs]


class Planner:
    """A program and the plans of the kinds of calls that came more than once."""

    def __init__(self, program: Program) -> None:
        self._program = program
        self._plans: dict[Any, Plan] = {}
        self._seen: dict[Any, bool] = {}  # False: has no plan

    def find(self, arrays: Sequence[Any]) -> Plan | None:
        """The plan of a call with these inputs, if it has one."""
        if not self._plans:
            return None
        for array in arrays:
            if type(array) is not np.ndarray:
                return None
        return self._plans.get(_kind(arrays))

    def run(self, feeds: Mapping[str, Array]) -> dict[str, Array]:
        """The outputs by name, as ``Program.run``; plans what comes for the second time."""
        kind = _kind([*feeds.values()])
        if self._seen.get(kind):
            try:
                plan = Plan(self._program, feeds, self._program.limit(feeds))
            except _NoPlan:
                self._seen[kind] = False
            else:
                if len(self._plans) >= _PLANS:
                    self._plans = {}
                self._plans[kind] = plan
                return dict(zip(self._program.outputs, plan.run([*feeds.values()]), strict=True))
        results = self._program.run(feeds)
        if len(self._seen) >= _SEEN:
            self._seen = {}
        self._seen.setdefault(kind, True)
        return results


def _kind(arrays: Sequence[Array]) -> tuple[Any, ...]:
    return tuple(
        (a.dtype, a.shape, a.tobytes())
        if a.dtype.kind in "iub" and a.size <= _SMALL
        else (a.dtype, a.shape)
        for a in arrays
    )
