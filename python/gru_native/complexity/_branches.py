"""Paths of a chain, as they are counted."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from ..layers._flow import Paths
from ..layers._operation import Operation
from ._extent import Extent
from ._roofline import Weights
from ._work import Passes, Tensor, Work, ops


@dataclass(frozen=True)
class Branch:
    """A mark: where paths begin, follow each other or join. Only a join computes."""

    kind: str
    width: int  # columns behind it
    ends: tuple[int, ...] = ()  # of a join: columns of each path
    begin: int = 0  # columns of the x that all paths read

    def tensors(self) -> list[Tensor]:
        """There are none."""
        return []

    def passes(self, rows: int) -> Passes:
        """The work of one call."""
        more, paths = sum(self.ends[1:]), len(self.ends)
        products = self.kind == "multiply"
        forward = ops(
            add=rows * more if self.kind == "add" else 0, multiply=rows * more if products else 0
        )
        backward = ops(
            add=rows * self.begin * max(0, paths - 1),
            multiply=rows * sum(self.ends) * (paths - 1) if products else 0,
        )
        return Passes(Work(elementwise=forward), Work(elementwise=backward), Work())

    def reads(self) -> list[Weights]:
        """Nothing."""
        return []

    def kept(self, rows: int) -> dict[str, int]:
        """Numbers that a tape holds for backward: what joins."""
        return {"joined": rows * sum(self.ends)} if self.ends else {}


class Width(NamedTuple):
    """What a block hands on."""

    columns: int
    channels: int  # of images; 0: these are rows


class Widths:
    """Columns behind each step of a chain."""

    def __init__(self, width: int) -> None:
        self.now = Width(width, 0)
        self._paths = Paths[Width]()

    def behind(self, block: Any, columns: int) -> None:
        """The next block gives so many."""
        channels = self.now.channels
        own = block._output_channels(channels) if isinstance(block, Operation) else 0
        self.now = Width(columns, own)

    def pass_mark(self, kind: str) -> Branch:
        """The mark as it is counted."""
        of_join: dict[str, Any] = {}

        def join(begin: Width, ends: list[Width]) -> Width:
            of_join.update(ends=tuple(end.columns for end in ends), begin=begin.columns)
            if kind != "concat":
                return ends[0]
            return Width(sum(end.columns for end in ends), sum(end.channels for end in ends))

        self.now = self._paths.pass_mark(kind, self.now, join)
        return Branch(kind, self.now.columns, **of_join)


def flow(
    parts: Mapping[str, Any], extent: Extent, behind: Any
) -> Iterator[tuple[str, Any, Extent]]:
    """Each part, and what of a call comes to it; behind(part, extent): what comes out of it."""
    paths = Paths[Extent]()
    for prefix, part in parts.items():
        if isinstance(part, Branch):
            extent = paths.pass_mark(part.kind, extent, lambda _, ends: ends[-1])
        yield prefix, part, extent
        if not isinstance(part, Branch):
            extent = behind(part, extent)
