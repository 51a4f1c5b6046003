"""Inference over data sets of Ray."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import ray
import ray.data

from .._core import a_type
from ..layers._weights import Array, Weighted
from ..optim._optimizer import layers_of
from ..runtime import set_num_threads
from ._job import at_least, processors, sent_as, shared_threads


class _Predictor:
    """A worker of the pool, with a model of its own."""

    def __init__(self, model: Any, call: Any, threads: int) -> None:
        set_num_threads(threads)
        self._model, self._call = ray.get([model, call])

    def __call__(self, batch: dict[str, Array]) -> Any:
        made = self._call(self._model, batch)
        if not isinstance(made, Mapping):
            raise TypeError(f"call gave {a_type(made)}; expected a mapping of names to arrays")
        return made


def predict(
    model: Weighted | list[Weighted],
    data: Any,
    call: Callable[[Any, dict[str, Array]], Mapping[str, Array]],
    *,
    batch_size: int = 32,
    workers: int = 2,
    threads: int | None = None,
) -> Any:
    """Compute outputs for all rows of a data set, by workers that have a model each.

    What a layer computes for a sequence does not depend on the others in its batch. So outputs have
    the same bits whatever the batches, workers and threads.

    Parameters
    ----------
    model : layer, or list of layers
        What ``call`` needs: layers, chains or decoders, also with weights of few bits.
    data : ray.data.Dataset
        The rows.
    call : callable
        ``call(model, batch)`` takes a dict of the columns' names to arrays (rows, ...), and returns
        one like it, with any columns. It is called in the workers.
    batch_size : int, optional
        Rows in a batch, at most.
    workers : int, optional
        Processes, each with its copy of the model.
    threads : int, optional
        Threads of each. By default workers share out the processors that Ray has.

    Returns
    -------
    ray.data.Dataset
        What ``call`` returns for the rows. Nothing is computed until it is read. Its rows are in
        any order, unless Ray is told to keep it.

    Raises
    ------
    ValueError
        For an argument out of its range, and more workers than Ray has processors for.
    TypeError
        For an argument of the wrong kind or that cannot be sent to other processes.
    """
    layers = layers_of("model", model)
    own = model if isinstance(model, Weighted) else layers
    if not isinstance(data, ray.data.Dataset):
        raise TypeError(f"data is {a_type(data)}; expected a ray.data.Dataset")
    if not callable(call):
        raise TypeError(f"call is {a_type(call)}; expected a function")
    rows, pool = at_least("batch_size", batch_size, 1), at_least("workers", workers, 1)
    each = shared_threads(pool, threads)
    return data.map_batches(
        _Predictor,
        fn_constructor_args=(sent_as("model", own), sent_as("call", call), each),
        batch_size=rows,
        batch_format="numpy",
        compute=ray.data.ActorPoolStrategy(size=pool),
        num_cpus=_reserved(each),
    )


def _reserved(threads: int) -> float:
    """Of a worker: a little less than it uses. Data sets are read by tasks of one processor each,
    for which a machine full of workers has to have one left, or nothing ever begins."""
    on_one = max(n // threads for n in processors())
    return math.floor(100 * (threads - 1 / on_one)) / 100
