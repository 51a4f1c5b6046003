"""What goes through the blocks of a chain: one after the other, and in paths that join."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import cache, partial
from typing import Any, Generic, NamedTuple, TypeVar

import numpy as np

from .. import _core
from ._arguments import of_dtype
from ._blocks import RECURRENT, output_size, reads_steps
from ._operation import Operation
from .embedding import Embedding
from .pooling import Pool

V = TypeVar("V")


class Mark:
    """Where paths begin ("fork"), follow each other ("next") or join; to the core an operation."""

    def __init__(self, kind: str, dtype: np.dtype[Any], batch_first: bool) -> None:
        self.kind, self.dtype, self.batch_first = kind, dtype, batch_first
        operation = of_dtype(dtype, _core.Operation32, _core.Operation64)
        self._core: Any = operation(type="Branch", mark=kind)

    def masked(self, x: Any, lengths: Any, copies: bool = False) -> Any:
        """An x that a path may hand on as it is: 0 past the end of a sequence."""
        own = isinstance(x, np.ndarray) and x.dtype == self.dtype
        if lengths is None and own and not copies:
            return x
        return self._core(x, lengths, self.batch_first)

    @property
    def joins(self) -> bool:
        """Whether paths end here."""
        return self.kind not in ("fork", "next")


class Step(NamedTuple):
    """A block or a mark: what errors call it, what its weights' names begin with, and itself."""

    name: str
    prefix: str
    block: Any

    def within(self, name: str, prefix: str) -> Step:
        """The same in a container that has these."""
        return Step(f"{name}.{self.name}" if self.name else name, prefix + self.prefix, self.block)


def named(step: Step | str, error: TypeError | ValueError) -> Exception:
    """What a chain raises for an error of one of its blocks."""
    kind = TypeError if isinstance(error, TypeError) else ValueError
    name = step if isinstance(step, str) else step.name
    return kind(f"{name}: {error}" if name else str(error))


SOME = -1  # a width that follows from that of the chain's input, but is another one


class Paths(Generic[V]):
    """What goes through blocks that branch: one value, which paths begin with and join."""

    def __init__(self) -> None:
        self._forks: list[tuple[V, list[V]]] = []  # where paths begin, and the ends of those behind

    def pass_mark(self, kind: str, value: V, join: Callable[[V, list[V]], V]) -> V:
        """The value behind a mark; join(beginning, ends): that behind a join."""
        if kind == "fork":
            self._forks.append((value, []))
            return value
        begin, ends = self._forks[-1]
        ends.append(value)
        if kind == "next":
            return begin
        self._forks.pop()
        return join(begin, ends)

    def replace(self, change: Callable[[V], V]) -> None:
        """Change all values that are kept."""
        self._forks = [(change(begin), [*map(change, ends)]) for begin, ends in self._forks]


class _Rows(NamedTuple):
    """What a block hands on, before it is computed."""

    width: int | None  # None: that of the chain's input, which is not known yet; or SOME
    pool: str | None  # behind which there are no steps


def sizes(steps: Sequence[Step], whole: bool) -> tuple[int | None, int | None]:
    """Of x and of y, or a ValueError that names the block that does not fit; None: any.

    whole: of a chain, all whose sizes must be known.
    """
    first: int | None = None
    here = _Rows(None, None)
    paths = Paths[_Rows]()
    for i, (name, _, block) in enumerate(steps):
        if isinstance(block, Mark):
            join = partial(_joined, name, block.kind, whole)
            here = paths.pass_mark(block.kind, here, join)
            continue
        if i > 0 and isinstance(block, Embedding):
            raise ValueError(f"{name} is an Embedding, which can only be the first block")
        if here.pool is not None and reads_steps(block):
            raise ValueError(
                f"{name} is a {type(block).__name__}, which reads steps; {here.pool}, a Pool, "
                "leaves none"
            )
        own: int | None = block.input_size
        if here.width not in (None, SOME, own) and own is not None:
            raise ValueError(
                f"{name} has input_size {own}; expected {here.width}, the output size of the block "
                "before it"
            )
        if first is None and own is not None:
            first = own
            paths.replace(partial(_filled, own))  # what came before has that width, too
        width = output_size(block, here.width if own is None else own)
        here = _Rows(width, name if isinstance(block, Pool) else here.pool)
    return first, None if here.width == SOME else here.width


def _filled(width: int, rows: _Rows) -> _Rows:
    return rows._replace(width=width) if rows.width is None else rows


def _joined(name: str, kind: str, whole: bool, _begin: _Rows, ends: list[_Rows]) -> _Rows:
    if len({end.pool is None for end in ends}) > 1:
        raise ValueError(f"{name} joins what a Pool gives with steps; expected all or none")
    widths = [end.width for end in ends]
    if kind == "concat":
        known = [width for width in widths if width not in (None, SOME)]
        if len(known) == len(widths):
            return ends[0]._replace(width=sum(width for width in known if width is not None))
        if whole:
            raise ValueError(f"{name} joins what has no size yet; expected a block before that has")
        return ends[0]._replace(width=SOME)
    if SOME in widths:
        return ends[0]._replace(width=SOME)
    if len(set(widths)) > 1:
        raise ValueError(
            f"{name} is {kind!r} of paths with {widths} numbers; expected as many in each"
        )
    return ends[0]


def _lengths_behind(block: object, lengths: Any) -> Any:
    """What has gone into a block with these lengths comes out with those."""
    return block._output_lengths(lengths) if isinstance(block, Operation) else lengths


def walk(
    steps: Sequence[Step],
    x: Any,
    lengths: Any,
    compute: Callable[[Any, Any, Any], Any],
    copies: bool = False,
) -> tuple[Any, list[Any]]:
    """The y of the last block, and at each fork the lengths, at each join the ys that it joins.

    compute(block, x, lengths): the y of a block. copies: what is returned holds no x of the call.
    """
    y = x
    joined: list[Any] = []
    paths = Paths[tuple[Any, Any]]()

    def join(block: Mark, _begin: tuple[Any, Any], ends: list[tuple[Any, Any]]) -> tuple[Any, Any]:
        ys = [y for y, _ in ends]
        _check_ends(block.kind, ys, [lengths for _, lengths in ends])
        joined[-1] = tuple(ys)
        return block._core.join(ys), ends[-1][1]

    for step in steps:
        block = step.block
        joined.append(None)
        try:
            if not isinstance(block, Mark):
                y = compute(block, y, lengths)
                lengths = _lengths_behind(block, lengths)
                continue
            if block.kind == "fork":
                joined[-1] = lengths
                y = block.masked(y, lengths, copies and y is x)
            y, lengths = paths.pass_mark(block.kind, (y, lengths), partial(join, block))
        except (TypeError, ValueError) as error:
            raise named(step, error) from error
    return y, joined


def _check_ends(kind: str, ys: list[Any], lengths: list[Any]) -> None:
    """Whether paths have the same steps, and, but for "concat", as many numbers."""
    for y in ys:
        if y.shape[:-1] != ys[0].shape[:-1] or (kind != "concat" and y.shape != ys[0].shape):
            raise ValueError(
                f"its paths give shapes {ys[0].shape} and {y.shape}; expected what {kind} can join"
            )
    for own in lengths:
        if not np.array_equal(np.asarray(own), np.asarray(lengths[0])):
            raise ValueError(f"its paths give lengths {lengths[0]} and {own}; expected the same")


def walk_back(
    steps: Sequence[Step], dy: Any, joined: Sequence[Any], compute: Callable[[int, Any, Any], Any]
) -> Any:
    """The gradient of x. compute(i, block, dy): that of a block's x."""
    gradient = dy
    joins: list[tuple[list[Any], list[Any]]] = []  # of the paths to come, and of x through others
    for i, step in reversed([*enumerate(steps)]):
        block = step.block
        try:
            if not isinstance(block, Mark):
                gradient = compute(i, block, gradient)
            elif block.joins:
                joins.append((block._core.split([*joined[i]], gradient), []))
                gradient = joins[-1][0].pop()
            else:
                ends, through = joins[-1]
                through.append(gradient)
                if block.kind == "next":
                    gradient = ends.pop()
                else:
                    joins.pop()
                    gradient = block.masked(_sum(block.dtype).join(through[::-1]), joined[i])
        except (TypeError, ValueError) as error:
            raise named(step, error) from error
    return gradient


@cache
def _sum(dtype: np.dtype[Any]) -> Any:
    """What joins by adding."""
    return Mark("add", dtype, False)._core


def leaves(steps: Iterable[Step]) -> list[Step]:
    """Those of blocks, without the marks."""
    return [step for step in steps if not isinstance(step.block, Mark)]


def recurrent(steps: Iterable[Step]) -> int:
    """How many layers have a state."""
    return sum(isinstance(step.block, RECURRENT) for step in steps)
