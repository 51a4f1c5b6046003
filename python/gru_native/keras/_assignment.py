"""New weights for all layers of a model at once."""

from __future__ import annotations

from typing import Any

from .. import _core
from ..layers._weights import EditableWeights


class Assignment:
    """What the layers of a model shall have, which becomes theirs at ``end``: all or nothing."""

    def __init__(self) -> None:
        self._edits: dict[int, Any] = {}

    def weights(self, layer: Any) -> EditableWeights:
        """Those of one of this package's layers; two cells may share it."""
        if id(layer) not in self._edits:
            self._edits[id(layer)] = layer._core.edit()
        return EditableWeights(self._edits[id(layer)])

    def end(self) -> None:
        _core.end_edits(list(self._edits.values()))
