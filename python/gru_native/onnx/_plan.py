"""Calls of one kind, planned: for inputs of these shapes, and these small whole numbers.

What follows from shapes and such numbers is the same in each of these calls: the plan has it
computed once, with the branches of If chosen, what is left of each node is bound to its shapes
(``bindings``), and these calls become one function (``straight``). A model whose shapes depend on
other values than these has no plan.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from ..layers._weights import Array
from ._bindings import WHOLE_VIEWS, Direct, bind, bind_split
from ._control import CONTROL
from ._fallback import PIECE
from ._fusion import DENSE
from ._model import Node
from ._program import NODE_ERRORS, Program, Step, of_node
from ._straight import Bound, Straight, in_place, joined
from ._whole_convolutions import WHOLE
from .operators.budget import at_most, of_a_run
from .operators.convolution import Convolution
from .operators.recurrent import OPERATORS as RECURRENT

_PLANS = 8  # that are kept
_SEEN = 64  # kinds of calls of which it is known that they came once
_SMALL = 16  # numbers of an input whose values belong to the kind of a call
_STEPS = 1 << 14  # calls in one function
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


class Plan:
    """Made while the program computes one call. Raises _NoPlan."""

    def __init__(self, program: Program, feeds: Mapping[str, Array], limit: int) -> None:
        self._limit = limit
        self._values: list[Any] = [None]  # by number; what is known stays
        self._known = [True]
        self._steps: list[Bound] = []
        self._owners: dict[int, int] = {}  # the new array that a value is, or is a view of
        self._convolutions: dict[int, Convolution] = {}  # by the values that they make
        self._repeats: dict[int, tuple[int, int]] = {}  # of images of repeated dots
        self._checks = False  # whether some call asks how large a result may be
        self.inputs = []
        slots: dict[str, int] = {"": 0}
        for name, array in feeds.items():
            slots[name] = self._slot(array, array.dtype.kind in "iub" and array.size <= _SMALL)
            self.inputs.append(slots[name])
        with at_most(limit), of_a_run(), np.errstate(all="ignore"):
            self._follow(program, slots)
        self.outputs = [slots[name] for name in program.outputs]
        self._kinds = [(a.dtype, a.shape, _content(a)) for a in feeds.values()]
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
            return
        new = node.outputs in program.layers or node.op in (DENSE, "Concat")
        if isinstance(call, Direct):
            if call.convolution is not None:
                self._convolutions[own[0]] = call.convolution
            if call.repeats != (1, 1):
                self._repeats[own[0]] = call.repeats
            given = [reads[a] if type(a) is int else self._slot(a, True) for a in call.arguments]
            call, reads, new = call.call, tuple(given), True
        if new:
            self._owners.update((slot, slot) for slot in own)
        elif node.op in WHOLE_VIEWS and reads[0] in self._owners:
            self._owners[own[0]] = self._owners[reads[0]]
        self._steps.append(Bound(node, call, reads, own, single))
        if len(self._steps) > _STEPS:
            raise _NoPlan

    def _bound(
        self,
        program: Program,
        step: Step,
        arrays: Sequence[Any],
        known: Sequence[bool],
        results: Sequence[Array],
    ) -> tuple[Callable[..., Any] | Direct | None, bool]:
        """The step's call for such arrays, and whether it gives a single output itself."""
        node = step.node
        if node.outputs in program.layers:
            if 0 in arrays[0].shape[:2]:  # no step, or no sequence: a layer has no such call
                return step.call, False
            layer = program.layers[node.outputs]
            bound = layer.bound(*(a is not None for a in arrays[1:]))
            return bound or step.call, False
        if node.op == DENSE:
            return program.dense[node.outputs], True
        if node.op == WHOLE:
            made = program.whole[node.outputs].prepared(arrays[0])
            return (step.call, False) if made is None else (Direct(made.call, (0,), made), True)
        if node.op == "Split":
            return bind_split(results, node.attributes.get("axis", 0)), False
        call = bind(node, arrays, known, results)
        if call == "same":
            return None, True
        self._checks = self._checks or call is None
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
        """Forgets the values of this call, and makes one function of the calls."""
        roots = [self._owners.get(slot) for slot in self.outputs]
        own = [
            root is not None and roots.count(root) == 1 and self._values[slot].ndim > 0
            for slot, root in zip(self.outputs, roots, strict=True)
        ]
        constants = {
            slot: value
            for slot, (value, known) in enumerate(zip(self._values, self._known, strict=True))
            if known and slot not in self.inputs
        }
        kinds = [(getattr(v, "dtype", None), np.shape(v)) for v in self._values]
        self._steps = joined(self._steps, self.outputs, self._convolutions, self._repeats, kinds)
        new = {slot for slot, owner in self._owners.items() if slot == owner}
        self._steps = in_place(self._steps, self.outputs, new, kinds)
        self._values, self._convolutions, self._repeats = [], {}, {}
        self._straight = Straight(self._steps, self.inputs, self.outputs, own, constants)
        only_layers = (DENSE, *RECURRENT, *WHOLE_VIEWS)
        self._quiet = all(step.node.op in only_layers for step in self._steps)

    def fits(self, arrays: Sequence[Any]) -> bool:
        """Whether a call with these arrays is of this kind."""
        for array, (dtype, shape, content) in zip(arrays, self._kinds, strict=True):
            if type(array) is not np.ndarray or array.dtype != dtype or array.shape != shape:
                return False
            if content is not None and array.tobytes() != content:
                return False
        return True

    def run(self, arrays: Sequence[Array]) -> list[Array]:
        """The outputs of a call of this kind, the caller's own. Raises ValueError."""
        try:
            if self._quiet and not self._checks:
                return self._straight.call(*arrays)
            with np.errstate(all="ignore"):
                if not self._checks:
                    return self._straight.call(*arrays)
                with at_most(self._limit):
                    return self._straight.call(*arrays)
        except NODE_ERRORS as error:
            node = self._straight.node_of(error)
            if node is None:
                raise
            raise of_node(node, error) from error


class Planner:
    """A program and the plans of the kinds of calls that came more than once."""

    def __init__(self, program: Program) -> None:
        self._program = program
        self._plans: dict[Any, Plan] = {}
        self._last: Plan | None = None
        self._seen: dict[Any, bool] = {}  # False: has no plan

    def find(self, arrays: Sequence[Any]) -> Plan | None:
        """The plan of a call with these inputs, if it has one."""
        last = self._last
        if last is None or last.fits(arrays):
            return last
        for array in arrays:
            if type(array) is not np.ndarray:
                return None
        found = self._plans.get(_kind(arrays))
        self._last = found or last
        return found

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
                self._plans[kind] = self._last = plan
                return dict(zip(self._program.outputs, plan.run([*feeds.values()]), strict=True))
        results = self._program.run(feeds)
        if len(self._seen) >= _SEEN:
            self._seen = {}
        self._seen.setdefault(kind, True)
        return results


def _kind(arrays: Sequence[Array]) -> tuple[Any, ...]:
    return tuple((a.dtype, a.shape, _content(a)) for a in arrays)


def _content(a: Array) -> bytes | None:
    """The values that are what kind of a call it is."""
    return a.tobytes() if a.dtype.kind in "iub" and a.size <= _SMALL else None
