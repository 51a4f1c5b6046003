"""Calls one after the other as one function, so that no loop goes through them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from ..layers._weights import Array
from ._bindings import behind
from ._model import Node
from .operators.convolution import Convolution

Kind: TypeAlias = tuple[Any, tuple[int, ...]]  # dtype and shape of a value


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
    steps: Sequence[Bound],
    outputs: Sequence[int],
    convolutions: Mapping[int, Convolution],
    repeats: Mapping[int, tuple[int, int]],
    kinds: Sequence[Kind],
) -> list[Bound]:
    """The steps with what is before and behind convolutions as a part of these.

    convolutions, repeats: by the values that they make; kinds: of all values.
    """
    left, made = _with_functions(steps, outputs, convolutions)
    left = _without_concats(left, outputs, made, kinds)
    left = _without_repeats(left, outputs, made, repeats)
    return _with_zeros(left, outputs, made)


def _with_functions(
    steps: Sequence[Bound], outputs: Sequence[int], convolutions: Mapping[int, Convolution]
) -> tuple[list[Bound], dict[int, Convolution]]:
    """Steps of which a function behind a convolution is none, and the convolutions there are."""
    uses, made = _uses(steps, outputs), dict(convolutions)
    left: list[Bound] = []
    places: dict[int, int] = {}
    ends: set[int] = set()
    for step in steps:
        x = step.inputs[0] if step.inputs else 0
        before = made.get(x) if uses[x] == 1 else None
        after = None if before is None or x in ends else behind(before, step.node)
        if after is not None:
            left[places[x]] = left[places[x]]._replace(call=after.call, outputs=step.outputs)
            made[step.outputs[0]] = after
            ends.add(step.outputs[0])
            continue
        places |= dict.fromkeys(step.outputs, len(left))
        left.append(step)
    return left, made


def _readers(steps: Sequence[Bound]) -> dict[int, list[Bound]]:
    readers: dict[int, list[Bound]] = {}
    for step in steps:
        for slot in set(step.inputs):
            readers.setdefault(slot, []).append(step)
    return readers


def _without_concats(
    steps: Sequence[Bound],
    outputs: Sequence[int],
    convolutions: Mapping[int, Convolution],
    kinds: Sequence[Kind],
) -> list[Bound]:
    """The steps, where convolutions read what is side by side in their x where it lies.

    Images of different widths they would have to copy: more than one of them does not do that.
    """
    readers = _readers(steps)

    def reads_parts(step: Bound) -> bool:
        made = convolutions.get(step.outputs[0]) if step.outputs else None
        return made is not None and made.parts and len(step.inputs) == 1

    parts: dict[int, tuple[int, ...]] = {}
    for step in steps:
        y, (dtype, shape) = step.outputs[0], kinds[step.outputs[0]]
        if step.node.op != "Concat" or step.node.attributes["axis"] not in (1, -3):
            continue
        whole = len(shape) == 4 and y not in outputs and all(map(reads_parts, readers.get(y, ())))
        widths = [kinds[slot][1][1] for slot in step.inputs] if whole else []
        same = all(kinds[slot][0] == dtype for slot in step.inputs)
        if (
            whole
            and same
            and all(widths)
            and (len(readers.get(y, ())) < 2 or len(set(widths)) == 1)
        ):
            parts[y] = step.inputs
    left = (step for step in steps if step.outputs[0] not in parts)
    return [step._replace(inputs=parts.get(step.inputs[0], step.inputs)) for step in left]


def _without_repeats(
    steps: Sequence[Bound],
    outputs: Sequence[int],
    made: dict[int, Convolution],
    repeats: Mapping[int, tuple[int, int]],
) -> list[Bound]:
    """The steps, where sums over a first part of repeated dots are made once for each dot."""
    readers, gone = _readers(steps), set()
    for y in repeats:
        users = readers.get(y, ())
        firsts = (
            len(user.inputs) > 1
            and user.inputs.index(y) == 0
            and user.inputs.count(y) == 1
            and user.outputs[0] in made
            and made[user.outputs[0]].moves_only
            for user in users
        )
        if y not in outputs and all(firsts):
            gone.add(y)
    sources = {step.outputs[0]: step.inputs[0] for step in steps if step.outputs[0] in gone}
    left = []
    for step in steps:
        first = step.inputs[0] if step.inputs else 0
        if first in gone:
            factors = [repeats[first]] + [(1, 1)] * (len(step.inputs) - 1)
            made[step.outputs[0]] = made[step.outputs[0]].of_repeated(factors)
            step = step._replace(inputs=(sources[first], *step.inputs[1:]))
        if step.outputs[0] not in gone:
            left.append(step)
    return left


def _with_zeros(
    steps: Sequence[Bound], outputs: Sequence[int], made: dict[int, Convolution]
) -> list[Bound]:
    """The steps, where convolutions write the zeros that all those behind them need around x."""
    readers = _readers(steps)
    for step in steps:
        y = step.outputs[0]
        behind_it = [reader for reader in readers.get(y, ()) if len(reader.inputs) == 1]
        users = [made[reader.outputs[0]] for reader in behind_it if reader.outputs[0] in made]
        if y not in made or y in outputs or len(users) != len(readers.get(y, ())):
            continue
        paddings = {user.padding for user in users}
        if len(paddings) != 1 or not all(c.parts for c in (made[y], *users)):
            continue
        (zeros,) = paddings
        if any(zeros):
            made[y] = made[y].with_zeros(zeros)
            made |= {reader.outputs[0]: made[reader.outputs[0]].of_padded() for reader in behind_it}
    return [
        step._replace(call=made[step.outputs[0]].call) if step.outputs[0] in made else step
        for step in steps
    ]


def in_place(
    steps: Sequence[Bound],
    outputs: Sequence[int],
    new: Collection[int],
    kinds: Sequence[Kind],
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
