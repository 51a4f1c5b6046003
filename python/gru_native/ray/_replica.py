"""A worker's own copy of the model, with which it computes gradients."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from .._core import a_type
from ..layers._arguments import number
from ..layers._container import Container
from ..layers._flow import leaves
from ..layers._weights import Array, Weighted
from ..optim._optimizer import gradients_of, named_weights
from ._plan import Gradient, Plan

LossFunction = Callable[[Any, Any], tuple[float, Any]]
Batches = Callable[[int, int], Any]


def take(layers: Sequence[Weighted], single: bool, weights: Mapping[str, Array]) -> None:
    """Give the layers weights by the names that ``named_weights`` gives them."""
    for i, layer in enumerate(layers):
        prefix = "" if single else f"{i}."
        own = {n: weights[prefix + n] for n in layer.weights if prefix + n in weights}
        layer.load_state_dict(own, strict=False)


class Replica:
    """Computes the gradients of a worker's batch at weights that are given."""

    def __init__(
        self, worker: int, model: Any, loss: LossFunction, batches: Batches, seed: int, plan: Plan
    ) -> None:
        self._worker, self._model, self._seed, self._plan = worker, model, seed, plan
        self._loss, self._batches = loss, batches
        self._single = isinstance(model, Weighted)
        self._layers: list[Weighted] = [model] if self._single else model
        self._weights = named_weights(self._layers, self._single)

    def gradients(
        self, step: int, tables: Sequence[Sequence[Array]]
    ) -> tuple[float, list[list[Gradient]]]:
        """The loss, and the gradients of each shard."""
        take(self._layers, self._single, self._plan.join(tables))
        self._reseed(step)
        made = self._loss(self._model, self._batches(self._worker, step))
        where = f"loss of worker {self._worker} at step {step}"
        if not isinstance(made, tuple) or len(made) != 2:
            raise TypeError(f"{where} gave {a_type(made)}; expected (loss, gradients)")
        count = None if self._single else len(self._layers)
        try:
            loss = number("loss", made[0])
            given = {} if made[1] is None else gradients_of(made[1], self._weights, count)
            checked = {name: self._checked(name, g) for name, g in given.items()}
        except (TypeError, ValueError) as error:
            raise type(error)(f"{where}: {error}") from error
        return loss, self._plan.cut_gradients(checked)

    def _checked(self, name: str, gradient: Any) -> Gradient:
        """Of the weight's dtype and finite; rows in their order."""
        rows, numbers = gradient if isinstance(gradient, tuple) else (None, gradient)
        own = self._weights[name]
        values: Array = numbers.astype(own.dtype, copy=False)
        if not np.isfinite(values).all():
            raise ValueError(
                f"grads[{name!r}] is not finite; to leave a step out, give None as gradients"
            )
        if rows is None:
            return values
        if rows.dtype.kind not in "iu":
            raise TypeError(f"grads[{name!r}].rows has dtype {rows.dtype}; expected whole numbers")
        rows = rows.astype(np.int64)
        if len(rows) and (rows[0] < 0 or rows[-1] >= len(own) or (np.diff(rows) <= 0).any()):
            raise ValueError(
                f"grads[{name!r}].rows are {rows}; expected increasing ones from 0 to "
                f"{len(own) - 1}"
            )
        return rows, values

    def _reseed(self, step: int) -> None:
        """What is drawn in training depends on worker and step only, and not on what was before."""
        for i, layer in enumerate(self._layers):
            inner = (
                [part.block for part in leaves(layer._core.steps)]
                if isinstance(layer, Container)
                else [layer]
            )
            for k, block in enumerate(inner):
                drawn = [self._seed, self._worker, step, i, k]
                vars(block)["_random"] = np.random.default_rng(drawn)
