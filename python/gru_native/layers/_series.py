"""Graphs whose branches begin at one node and join at another, as blocks of a chain."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from .activation import Activation
from .branches import Parallel, Residual
from .chain import Chain

_DEEPEST = 50  # branches within branches


class Series:
    """Nodes by their names, each behind those that it reads."""

    def __init__(self, begin: str, nodes: Iterable[tuple[str, Sequence[str]]]) -> None:
        self._begin = begin
        self._inputs: dict[str, Sequence[str]] = {}
        self._used: set[str] = set()
        # Of each node the one that all ways to it go through last, and its place in this order.
        self._gate = {begin: begin}
        self._place = {begin: 0}
        for name, inputs in nodes:
            gate = inputs[0]
            for other in inputs[1:]:
                gate = self._common(gate, other)
            self._inputs[name] = inputs
            self._gate[name] = gate
            self._place[name] = len(self._place)

    def _common(self, a: str, b: str) -> str:
        while a != b:
            if self._place[a] < self._place[b]:
                a, b = b, a
            a = self._gate[a]
        return a

    def blocks(
        self,
        end: str,
        of: Callable[[str], Sequence[Any]],
        join: Callable[[str, list[list[Any]]], Sequence[Any]],
    ) -> list[Any]:
        """The blocks that make end of the beginning, by those of each node.

        of(name): the blocks of a node that reads one other. join(name, paths): of one that reads
        several, by the blocks of each way to it. ValueError, naming the node, for what is no such
        graph.
        """
        found = self._between(self._begin, end, of, join, 0)
        for name in self._inputs:
            if name not in self._used:
                raise ValueError(f"layer {name!r} is not on the way to the output")
        return found

    def _between(self, begin: str, end: str, of: Any, join: Any, depth: int) -> list[Any]:
        if depth > _DEEPEST:
            raise ValueError(f"layer {end!r} is within more than {_DEEPEST} branches")
        parts: list[Sequence[Any]] = []
        here = end
        while here != begin:
            if here in self._used:
                raise ValueError(
                    f"layer {here!r} is read by branches that do not join where they begin; "
                    "a Chain has no such paths"
                )
            self._used.add(here)
            inputs, gate = self._inputs[here], self._gate[here]
            if len(inputs) == 1:
                parts.append(of(here))
            else:
                paths = [self._between(gate, name, of, join, depth + 1) for name in inputs]
                parts.append(join(here, paths))
            here = gate
        return [block for part in reversed(parts) for block in part]


def joined(paths: Sequence[list[Any]], join: str, batch_first: bool, dtype: Any) -> Any:
    """A Residual or Parallel block of paths; an empty one hands x on."""
    if len(paths) == 2 and join != "concat" and not paths[1]:
        paths = paths[::-1]
    if len(paths) == 2 and not paths[0] and paths[1]:
        return Residual(_one(paths[1]), join)
    unchanged = Activation("identity", batch_first=batch_first, dtype=np.dtype(dtype))
    return Parallel([_one(path) if path else unchanged for path in paths], join)


def _one(path: list[Any]) -> Any:
    return path[0] if len(path) == 1 else Chain(path)
