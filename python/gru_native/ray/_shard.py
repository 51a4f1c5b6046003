"""A part of the weights and the optimizer that changes it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from ..layers import Embedding, RowGradient
from ..layers._weights import Array, Weighted
from ..optim._optimizer import Optimizer
from ._plan import Gradient, Piece

MakeOptimizer: TypeAlias = Callable[[list[Weighted]], Optimizer]


class Lost(Exception):
    """Its process is a new one, and has nothing of what the one before had."""


class ShardState(NamedTuple):
    """All that a shard has to remember."""

    weights: list[Array]
    optimizer: dict[str, Array]


class Shard:
    """Tables (rows, width) of the pieces, each as a layer of its own, for any optimizer."""

    def __init__(
        self,
        pieces: Sequence[Piece],
        dtype: np.dtype[Any],
        optimizer: MakeOptimizer,
        state: ShardState,
    ) -> None:
        self._tables = [Embedding(p.end - p.begin, p.width, dtype=dtype, seed=0) for p in pieces]
        for table, numbers in zip(self._tables, state.weights, strict=True):
            table.load_state_dict({"weight": numbers})
        self._optimizer = optimizer([*self._tables])
        if state.optimizer:  # none at the very beginning
            self._optimizer.load_state_dict(state.optimizer)

    def weights(self) -> list[Array]:
        """Views of the tables, which later steps change."""
        return [table.weights["weight"] for table in self._tables]

    def state(self) -> ShardState:
        return ShardState(self.weights(), self._optimizer.state_dict())

    def step(self, gradients: Sequence[Gradient], lr: float | None) -> None:
        if lr is not None:
            self._optimizer.lr = lr
        self._optimizer.step(
            [{"weight": RowGradient(*g) if isinstance(g, tuple) else g} for g in gradients]
        )
