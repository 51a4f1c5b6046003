"""The weights of a container's blocks, as one layer has its own."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Any

from .. import _core
from ._flow import Step, leaves
from ._weights import Array
from .quantized import Quantizable


class Parts:
    """The weights of all blocks, each name behind its block's prefix."""

    def __init__(self, steps: Sequence[Step]) -> None:
        self.steps = tuple(steps)
        self._leaves = leaves(steps)

    def weights(self) -> dict[str, Array]:
        return self._named(lambda block: block._core.weights())

    @property
    def precision(self) -> str:
        # Blocks that have no form of few bits are what they are in any chain.
        blocks = [step.block for step in self._leaves]
        precisions = {block.precision for block in blocks if isinstance(block, Quantizable)}
        if not precisions:
            return "full"
        return precisions.pop() if len(precisions) == 1 else "mixed"

    def stored(self) -> dict[str, Array]:
        return self._named(lambda block: block._stored())

    def edit(self) -> PartsEdit:
        return PartsEdit([(step.prefix, step.block._core) for step in self._leaves])

    @property
    def cores(self) -> list[Any]:
        """What streams run, marks among them."""
        return [step.block._core for step in self.steps]

    @cached_property
    def together(self) -> _core.Together:
        """For calls with the weights of one moment."""
        return _core.Together([step.block._core for step in self._leaves])

    def _named(self, of: Callable[[Any], dict[str, Array]]) -> dict[str, Array]:
        return {
            step.prefix + name: w for step in self._leaves for name, w in of(step.block).items()
        }


class PartsEdit:
    """An edit of all blocks. A block that is there twice is edited once."""

    def __init__(self, cores: list[tuple[str, Any]]) -> None:
        self._edits: dict[int, _core.Edit] = {id(core): core.edit() for _, core in cores}
        self._parts = {
            prefix + name: (edit, name)
            for prefix, edit in ((prefix, self._edits[id(core)]) for prefix, core in cores)
            for name in edit.names()
        }

    def names(self) -> list[str]:
        return list(self._parts)

    def weight(self, name: str) -> Array:
        edit, own = self._parts[name]
        return edit.weight(own)

    def made(self, name: str) -> Array | None:
        edit, own = self._parts[name]
        return edit.made(own)

    def array(self, name: str, copied: bool = True) -> Array:
        edit, own = self._parts[name]
        return edit.array(own, copied)

    def places(self) -> list[tuple[_core.Edit, str]]:
        return list(self._parts.values())

    def end(self) -> None:
        _core.end_edits(list(self._edits.values()))

    def cancel(self) -> None:
        for edit in self._edits.values():
            edit.cancel()

    @property
    def ended(self) -> bool:
        return all(edit.ended for edit in self._edits.values())
