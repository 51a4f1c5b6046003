"""The weights of a chain's blocks, as one layer has its own."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cached_property
from typing import Any

from .. import _core
from ._operation import Operation
from ._weights import Array
from .quantized import Quantizable


class Parts:
    """The weights of all blocks, each name behind its block's number."""

    def __init__(self, blocks: tuple[Any, ...]) -> None:
        self._blocks = blocks

    def weights(self) -> dict[str, Array]:
        return _numbered(block._core.weights() for block in self._blocks)

    @property
    def precision(self) -> str:
        # Blocks that have no form of few bits are what they are in any chain.
        precisions = {block.precision for block in self._blocks if isinstance(block, Quantizable)}
        if not precisions:
            return "full"
        return precisions.pop() if len(precisions) == 1 else "mixed"

    def stored(self) -> dict[str, Array]:
        return _numbered(block._stored() for block in self._blocks)

    def edit(self) -> PartsEdit:
        return PartsEdit([block._core for block in self._blocks])

    @cached_property
    def together(self) -> _core.Together:
        """For calls with the weights of one moment."""
        return _core.Together([block._core for block in self._blocks])


class PartsEdit:
    """An edit of all blocks. A block that is there twice is edited once."""

    def __init__(self, cores: list[Any]) -> None:
        self._edits: dict[int, _core.Edit] = {id(core): core.edit() for core in cores}
        self._parts = {
            f"{i}.{name}": (edit, name)
            for i, edit in enumerate(self._edits[id(core)] for core in cores)
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


def _numbered(weights: Iterable[dict[str, Array]]) -> dict[str, Array]:
    return {f"{i}.{name}": w for i, part in enumerate(weights) for name, w in part.items()}


def of_block(i: int, error: TypeError | ValueError) -> Exception:
    """What a chain raises for an error of one of its blocks."""
    kind = TypeError if isinstance(error, TypeError) else ValueError
    return kind(f"blocks[{i}]: {error}")


def lengths_behind(block: object, lengths: Any) -> Any:
    """What has gone into a block with these lengths comes out with those."""
    return block._output_lengths(lengths) if isinstance(block, Operation) else lengths
