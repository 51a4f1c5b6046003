"""Steps that follow one another, and the node of ONNX that all of them are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from ...layers._weights import Array
from ..operators.recurrent.functions import onnx_functions
from .evaluate import Evaluation
from .shapes import Shapes
from .steps import Step, rnn, states_of
from .writer import Writer, row

_MOST = 256  # layers that are looked for in one graph


def chains_of(e: Evaluation, pairs: Mapping[str, str]) -> list[list[Step]]:
    """All steps, those that follow one another together.

    pairs: the states of a loop, before by after.
    """
    found = dict(e.steps)
    for name, value in e.written.items():
        step = None if name in found else rnn(name, value)
        if step is not None:
            found[name] = step
    follower: dict[str, Step] = {}
    begins: list[Step] = []
    for step in found.values():
        before = next(
            (
                found[name]
                for name in step.parts
                if name in found and name not in follower and step.could_follow(found[name])
            ),
            None,
        )
        if before is not None:
            follower[before.out] = step
        else:
            begins.append(step)
    chains = []
    for step in begins:
        chain = [step]
        while chain[-1].out in follower:
            chain.append(follower[chain[-1].out])
        if _settled(chain, pairs, e.shapes):
            chains.append(chain)
    return chains[:_MOST]


def _settled(chain: list[Step], pairs: Mapping[str, str], shapes: Shapes) -> bool:
    """Says for each step which of its inputs is the state; False: it is no recurrent layer."""
    for before, step in pairwise(chain):
        step.h = before.out
    first = chain[0]
    if len(chain) > 1:
        first.settle(chain[1].parts[first.out])
    elif pairs.get(first.out) in first.parts:
        first.h = pairs[first.out]
    elif first.kind == "RNN" or first.zero:
        return False
    elif first.h is None:
        states = states_of(first.parts, first.size)
        own = shapes.of(first.c)
        alike = [n for n in states if own is not None and shapes.of(n) == own]
        first.h = (alike or states)[-1]
    return len(chain[-1].parts) > 1


class Layer:
    """A chain as a node: ``write`` puts it in the place of what it was written with."""

    def __init__(self, chain: list[Step], e: Evaluation) -> None:
        self.chain, self._e, self.shapes = chain, e, e.shapes
        last = chain[-1]
        self.size, self.kind = last.size, last.kind
        self.inputs = [
            [name for name in step.parts if not step.h or name != step.h] for step in chain
        ]
        self.tensors = self._tensors(last)

    def _tensors(self, step: Step) -> dict[str, Array]:
        """W, R and, where there are any, B and P; of ONNX's orders."""
        own = dict(step.parts)
        assert step.h
        hidden = own.pop(step.h)
        kinds = {a.dtype for parts in step.parts.values() for a in parts if a is not None}
        dtype = next(iter(kinds))
        if len(kinds) > 1:
            raise ValueError("its matrices have different dtypes")

        def rows(parts: Sequence[Array | None]) -> Array:
            height = next(len(a) for a in parts if a is not None)
            gates = [np.zeros((height, self.size), dtype) if a is None else a for a in parts]
            return np.concatenate(gates, 1).T

        tensors = {
            "W": np.concatenate([rows(parts) for parts in own.values()], 1)[None],
            "R": rows(hidden)[None],
        }
        if any(b is not None for b in (*step.bias, step.hidden_bias)):
            second: list[Array | None] = [None] * len(step.bias)
            second[-1] = step.hidden_bias
            tensors["B"] = row([*step.bias, *second], self.size, dtype)[None]
        if any(p is not None for p in step.peepholes):
            tensors["P"] = row(step.peepholes, self.size, dtype)[None]
        return tensors

    def attributes(self) -> dict[str, Any]:
        own: dict[str, Any] = {"hidden_size": self.size}
        names, alphas, betas, _ = onnx_functions(self.chain[-1].functions)
        usual = {"LSTM": ["Sigmoid", "Tanh", "Tanh"], "GRU": ["Sigmoid", "Tanh"], "RNN": ["Tanh"]}
        if names != usual[self.kind]:
            own["activations"] = names
            own |= {"activation_alpha": alphas} if alphas else {}
            own |= {"activation_beta": betas} if betas else {}
        if self.chain[-1].coupled:
            own["input_forget"] = 1
        if self.kind == "GRU" and self.chain[-1].reset_after:
            own["linear_before_reset"] = 1
        return own

    def label(self, w: Writer) -> str:
        """The name of the first node."""
        stop = {n for step in self.chain[:1] for n in (*step.parts, step.c, step.h)}
        open_, seen = [self.chain[0].out], set()
        nodes = []
        while open_:
            name = open_.pop()
            if name in seen or name in stop or name not in w.makers:
                continue
            seen.add(name)
            node = w.makers[name]
            if all(n in self._e.constants for n in node.inputs if n):
                continue
            nodes.append(node)
            open_.extend(node.inputs)
        first = min(nodes, key=w.place_of)
        return first.proto.name or first.outputs[0]

    def rank(self) -> int | None:
        """Of the states: 2, or 3 with an axis of size 1 in front. None: not known, or others."""
        of = self.shapes.of
        first = self.chain[0]
        states = [of(n) for n in (first.h, first.c, *(step.out for step in self.chain)) if n]
        xs = [of(name) for own in self.inputs for name in own]
        ranks = {None if s is None else len(s) for s in states}
        if len(ranks) > 1 or any(s is None or len(s) not in (2, *ranks) for s in xs):
            return None
        (rank,) = ranks
        one = all(s is not None and (len(s) == 2 or s[0] == 1) for s in (*xs, *states))
        return rank if rank in (2, 3) and one else None
