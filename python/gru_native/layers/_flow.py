"""What goes through the blocks of a chain: one after the other, and in paths that join."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import cache, partial
from typing import Any, Generic, NamedTuple, TypeVar

import numpy as np

from .. import _core
from ._arguments import of_dtype
from ._blocks import RECURRENT, output_size, reads_steps
from ._images import WithWindows
from ._operation import Operation
from .embedding import Embedding
from .images import Columns, Image
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
# Channels of what are no images, of images, and of what may be either, which are not known yet.
ROWS, IMAGES, OTHER_IMAGES, EITHER = 0, -1, -2, -3


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
    channels: int = EITHER  # of images, or one of the names above

    def settled(self, of: int, channels: int) -> _Rows:
        """The same, with these channels if they were those before."""
        return self._replace(channels=channels) if self.channels == of else self


class Sizes(NamedTuple):
    """Of a chain or another container; None: any."""

    inputs: int | None
    outputs: int | None
    images: bool  # whether x are images


def sizes(steps: Sequence[Step], whole: bool) -> Sizes:
    """Of x and of y, or a ValueError that names the block that does not fit.

    whole: of a chain, all whose sizes must be known.
    """
    first: int | None = None
    images = False
    here = _Rows(None, None)
    paths = Paths[_Rows]()
    for i, (name, _, block) in enumerate(steps):
        if isinstance(block, Mark):
            join = partial(_joined, name, block.kind, whole)
            here = paths.pass_mark(block.kind, here, join)
            continue
        if here.channels == EITHER:
            images = _images_of(block)[1]
        here = _settled(name, block, here, paths)
        if i > 0 and isinstance(block, Embedding):
            raise ValueError(f"{name} is an Embedding, which can only be the first block")
        if here.pool is not None and reads_steps(block):
            raise ValueError(
                f"{name} is {_core.a_type(block)}, which reads steps; {here.pool}, a Pool, "
                "leaves none"
            )
        own: int | None = block.input_size
        if here.width not in (None, SOME, own) and own is not None:
            raise ValueError(
                f"{name} has input_size {own}; expected {here.width}, the output size of the block "
                "before it"
            )
        if first is None and own is not None and here.width is None:
            first = own
            paths.replace(partial(_filled, own))  # what came before has that width, too
        here = here._replace(width=here.width if own is None else own)
        here = _Rows(
            _width_behind(name, block, here),
            name if isinstance(block, Pool) else here.pool,
            _channels_behind(block, here.channels),
        )
    return Sizes(first, None if here.width == SOME else here.width, images)


def _images_of(block: Any) -> tuple[bool, bool]:
    """Whether x may be images, and whether it must."""
    return block._images if isinstance(block, Operation) else (False, False)


def _settled(name: str, block: Any, here: _Rows, paths: Paths[_Rows]) -> _Rows:
    """What these are, which a block may be the first to say, and whether it reads that."""
    may, must = _images_of(block)
    own = block._channels if may else 0
    kind = _core.a_type(block)
    if here.channels == EITHER and (must or not may):
        here = _told(here, IMAGES if must else ROWS, paths)
    if here.channels == IMAGES and own:
        here = _told(here, own, paths)
    if must and here.channels == ROWS:
        raise ValueError(f"{name} is {kind}, which reads images; expected an Image before it")
    if not may and here.channels != ROWS:
        raise ValueError(f"{name} is {kind}, which reads rows; expected Columns before it")
    if own and here.channels > 0 and here.channels != own:
        raise ValueError(
            f"{name} has {own} channels; expected {here.channels}, those of the images before it"
        )
    return here


def _told(here: _Rows, channels: int, paths: Paths[_Rows]) -> _Rows:
    """What these are, and all that is what these were."""
    change = partial(_Rows.settled, of=here.channels, channels=channels)
    paths.replace(change)
    return change(here)


def _width_behind(name: str, block: Any, here: _Rows) -> int | None:
    if not isinstance(block, WithWindows):
        return output_size(block, here.width)
    if here.width in (None, SOME) or here.channels < 1:
        return SOME
    height = here.width // here.channels
    made = block._output_height(height)
    if made < 1:
        raise ValueError(f"{name} gets images of height {height}, lower than its windows")
    return made * block._output_channels(here.channels)


def _channels_behind(block: Any, channels: int) -> int:
    if not isinstance(block, Operation):
        return ROWS
    known = block._output_channels(max(channels, 0))
    return channels if known == 0 and channels < 0 and not isinstance(block, Columns) else known


def _filled(width: int, rows: _Rows) -> _Rows:
    return rows._replace(width=width) if rows.width is None else rows


def _joined(name: str, kind: str, whole: bool, _begin: _Rows, ends: list[_Rows]) -> _Rows:
    if len({end.pool is None for end in ends}) > 1:
        raise ValueError(f"{name} joins what a Pool gives with steps; expected all or none")
    if len({end.channels == ROWS for end in ends}) > 1:
        raise ValueError(f"{name} joins images with rows; expected all or none")
    ends, images = _joined_images(name, kind, ends)
    widths = [end.width for end in ends]
    if kind == "concat":
        known = [width for width in widths if width not in (None, SOME)]
        if len(known) == len(widths):
            return ends[0]._replace(width=sum(width for width in known if width is not None))
        if whole and not images:
            raise ValueError(f"{name} joins what has no size yet; expected a block before that has")
        return ends[0]._replace(width=SOME)
    if SOME in widths:
        return ends[0]._replace(width=SOME)
    if len(set(widths)) > 1:
        raise ValueError(
            f"{name} is {kind!r} of paths with {widths} numbers; expected as many in each"
        )
    return ends[0]


def _joined_images(name: str, kind: str, ends: list[_Rows]) -> tuple[list[_Rows], bool]:
    """The same with the channels that the join has, and whether they are images."""
    channels = [end.channels for end in ends]
    if channels[0] in (ROWS, EITHER):
        return ends, False
    known = {n for n in channels if n > 0}
    if kind == "concat":
        made = sum(channels) if len(known) and min(channels) > 0 else OTHER_IMAGES
    else:
        if len(known) > 1:
            raise ValueError(
                f"{name} is {kind!r} of images with {channels} channels; expected as many"
            )
        made = max(channels)
    heights = {
        end.width // end.channels
        for end in ends
        if end.width not in (None, SOME) and end.channels > 0
    }
    if len(heights) > 1:
        raise ValueError(f"{name} joins images of heights {sorted(heights)}; expected the same")
    return [end._replace(channels=made) for end in ends], True


def _lengths_behind(block: object, lengths: Any) -> Any:
    """What has gone into a block with these lengths comes out with those."""
    return block._output_lengths(lengths) if isinstance(block, Operation) else lengths


class Joined(NamedTuple):
    """Of a mark, for backward: at a fork the lengths, at a join the ys that it joins."""

    of: Any
    images: bool


def walk(
    steps: Sequence[Step],
    x: Any,
    lengths: Any,
    compute: Callable[[Any, Any, Any], Any],
    *,
    images: bool,
    copies: bool = False,
) -> tuple[Any, list[Joined | None]]:
    """The y of the last block, and what is kept of each mark.

    compute(block, x, lengths): the y of a block. images: whether x are images. copies: what is
    returned holds no x of the call.
    """
    y = x
    joined: list[Joined | None] = []
    paths = Paths[tuple[Any, Any]]()

    def join(block: Mark, _begin: tuple[Any, Any], ends: list[tuple[Any, Any]]) -> tuple[Any, Any]:
        ys = [y for y, _ in ends]
        _check_ends(block.kind, ys, [lengths for _, lengths in ends], images)
        joined[-1] = Joined(tuple(ys), images)
        return block._core.join(ys, images), ends[-1][1]

    for step in steps:
        block = step.block
        joined.append(None)
        try:
            if not isinstance(block, Mark):
                y = compute(block, y, lengths)
                lengths = _lengths_behind(block, lengths)
                if isinstance(block, (Image, Columns)):
                    images = isinstance(block, Image)
                continue
            if block.kind == "fork":
                joined[-1] = Joined(lengths, images)
                y = block.masked(y, lengths, copies and y is x)
            y, lengths = paths.pass_mark(block.kind, (y, lengths), partial(join, block))
        except (TypeError, ValueError) as error:
            raise named(step, error) from error
    return y, joined


def _check_ends(kind: str, ys: list[Any], lengths: list[Any], images: bool) -> None:
    """Whether paths have the same steps, and, but for "concat", as many numbers."""
    side_by_side = (-3 if images else -1) if kind == "concat" else None

    def fixed(shape: tuple[int, ...]) -> list[int]:
        axes = range(-len(shape), 0)
        return [n for axis, n in zip(axes, shape, strict=True) if axis != side_by_side]

    for y in ys:
        if fixed(y.shape) != fixed(ys[0].shape):
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
                joins.append((block._core.split([*joined[i].of], gradient, joined[i].images), []))
                gradient = joins[-1][0].pop()
            else:
                ends, through = joins[-1]
                through.append(gradient)
                if block.kind == "next":
                    gradient = ends.pop()
                else:
                    joins.pop()
                    lengths, images = joined[i]
                    gradient = block.masked(_sum(block.dtype).join(through[::-1], images), lengths)
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
