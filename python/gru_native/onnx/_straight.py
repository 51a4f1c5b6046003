"""Calls one after the other as one function, so that no loop goes through them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from ..layers._weights import Array
from ._bindings import behind
from ._model import Node
from .operators.convolution import Convolution


class Bound(NamedTuple):
    """A call on numbered values; ``single``: it returns the one output itself. 0 is None.

    out: the input that the result is written to; 0: it is new.
    """

    node: Node
    call: Callable[..., Any]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    single: bool
    out: int = 0


def _uses(steps: Sequence[Bound], outputs: Sequence[int]) -> Counter[int]:
    uses = Counter(slot for step in steps for slot in step.inputs)
    uses.update(outputs)
    return uses


def joined(
    steps: Sequence[Bound], outputs: Sequence[int], convolutions: Mapping[int, Convolution]
) -> list[Bound]:
    """The steps with the functions behind convolutions as parts of these.

    convolutions: by the values that they make.
    """
    uses, made = _uses(steps, outputs), dict(convolutions)
    left: list[Bound] = []
    places: dict[int, int] = {}
    for step in steps:
        x = step.inputs[0] if step.inputs else 0
        before = made.pop(x, None) if uses[x] == 1 else None
        after = None if before is None else behind(before, step.node)
        if after is not None:
            left[places[x]] = left[places[x]]._replace(call=after.call, outputs=step.outputs)
            continue
        places |= dict.fromkeys(step.outputs, len(left))
        left.append(step)
    return left


def in_place(
    steps: Sequence[Bound],
    outputs: Sequence[int],
    new: Collection[int],
    kinds: Sequence[tuple[Any, tuple[int, ...]]],
) -> list[Bound]:
    """The steps, of which NumPy's write into an array that nobody needs any more.

    new: values that are arrays of their own, no views; kinds: dtype and shape of each value.
    """
    uses, left = _uses(steps, outputs), []
    for step in steps:
        if isinstance(step.call, np.ufunc) and len(step.inputs) == step.call.nin:
            y = kinds[step.outputs[0]]
            free = (s for s in step.inputs if uses[s] == 1 and s in new and kinds[s] == y)
            step = step._replace(out=next(free, 0))
        left.append(step)
    return left


class Straight:
    """``call`` takes the inputs and returns the outputs, as arrays of the caller's own.

    own: whether an output is new, and no other is made of the same memory. The function has a line
    for each step, which says where an error came from:

        def call(v1):
            v3 = f0(v1, v2)
            v4, v5, *_ = f1(v3); del v3
            return [contiguous(v4), copy(v5, order='C')]
    """

    def __init__(
        self,
        steps: Sequence[Bound],
        inputs: Sequence[int],
        outputs: Sequence[int],
        own: Sequence[bool],
        constants: Mapping[int, Any],
    ) -> None:
        self._steps = steps
        last = {slot: i for i, step in enumerate(steps) for slot in step.inputs}
        kept = {0, *outputs, *constants}
        names: dict[str, Any] = {f"v{slot}": value for slot, value in constants.items()}
        names |= {"contiguous": np.ascontiguousarray, "copy": np.array}
        lines = [f"def call({', '.join(f'v{slot}' for slot in inputs)}):"]
        for i, (_, call, reads, made, single, out) in enumerate(steps):
            names[f"f{i}"] = call
            given = ", ".join([f"v{slot}" for slot in reads] + [f"out=v{out}"] * bool(out))
            results = [f"v{slot}" if slot else "_" for slot in made]
            targets = results[0] if single else f"{', '.join(results)}, *_"
            gone = {slot for slot in (*reads, *made) if last.get(slot, i) == i} - kept
            ends = f"; del {', '.join(f'v{slot}' for slot in sorted(gone))}" if gone else ""
            lines.append(f"    {targets} = f{i}({given}){ends}")
        results = [
            f"contiguous(v{slot})" if new else f"copy(v{slot}, order='C')"
            for slot, new in zip(outputs, own, strict=True)
        ]
        lines.append(f"    return [{', '.join(results)}]")
        exec(compile("\n".join(lines), "<calls of a plan>", "exec"), names)
        self.call: Callable[..., list[Array]] = names["call"]

    def node_of(self, error: BaseException) -> Node | None:
        """The node whose call raised this error; None: what is behind all of them did."""
        at, trace = len(self._steps), error.__traceback__
        while trace is not None:
            if trace.tb_frame.f_code is self.call.__code__:
                at = trace.tb_lineno - 2
            trace = trace.tb_next
        return self._steps[at].node if at < len(self._steps) else None
