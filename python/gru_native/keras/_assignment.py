"""New weights for all layers of a model at once."""

from __future__ import annotations

from typing import Any

from .. import _core
from ..layers._weights import Array, EditableWeights


class Assignment:
    """What the layers of a model shall have, which becomes theirs at ``end``: all or nothing."""

    def __init__(self) -> None:
        self._edits: dict[int, Any] = {}
        self._tables: list[tuple[Any, Array]] = []

    def weights(self, layer: Any) -> EditableWeights:
        """Those of one of this package's layers; two cells may share it."""
        if id(layer) not in self._edits:
            self._edits[id(layer)] = layer._core.edit()
        return EditableWeights(self._edits[id(layer)])

    def table(self, owner: Any, table: Array) -> None:
        """That of an embedding."""
        self._tables.append((owner, table))

    def end(self) -> None:
        edits = list(self._edits.values())
        before = [owner.table for owner, _ in self._tables]
        try:
            for owner, table in self._tables:
                owner.table = table
            _core.end_edits(edits)
        except BaseException:  # a signal may come at any line, also behind the last one
            if not edits or not all(edit.ended for edit in edits):
                for (owner, _), table in zip(self._tables, before, strict=True):
                    owner.table = table
            raise
