"""What both ways to train share: arguments, the state of a run, the actors."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import ray

from .._core import a_type
from ..files import PathLike
from ..layers import Embedding
from ..layers._arguments import flag, number, size
from ..layers._weights import Array, Weighted
from ..optim._optimizer import Optimizer, layers_of, named_weights
from ._checkpoint import Checkpoint, State
from ._plan import Plan
from ._replica import Batches, LossFunction, Replica, take
from ._shard import MakeOptimizer, Shard, ShardState


class Sent(NamedTuple):
    """What an actor, and also one that is restarted, makes itself from: references into Ray's store
    that the driver keeps alive, and numbers."""

    model: Any
    loss: Any
    batches: Any
    optimizer: Any
    plan: Any
    dtype: np.dtype[Any]
    seed: int
    threads: int

    def replica(self, worker: int) -> Replica:
        model, loss, batches, plan = ray.get([self.model, self.loss, self.batches, self.plan])
        return Replica(worker, model, loss, batches, self.seed, plan)

    def shard(self, index: int, state: ShardState) -> Shard:
        optimizer, plan = ray.get([self.optimizer, self.plan])
        return Shard(plan.shards[index], self.dtype, optimizer, state)


class Job:
    """A run: its checked arguments, and the state to which it can return."""

    def __init__(
        self,
        model: Any,
        loss: LossFunction,
        batches: Batches,
        optimizer: MakeOptimizer,
        *,
        steps: int,
        workers: int,
        servers: int | None,
        threads: int | None,
        lr: Callable[[int], float] | None,
        checkpoint: PathLike | None,
        checkpoint_every: int,
        resume: bool,
        max_restarts: int,
        seed: int,
    ) -> None:
        self.single = isinstance(model, Weighted)
        self.layers = layers_of("model", model)
        if any(getattr(x, "precision", x.dtype.name) != x.dtype.name for x in self.layers):
            raise ValueError("model has weights of few bits; expected full precision to train")
        weights = _distinct(named_weights(self.layers, self.single))
        self.dtype = self.layers[0].dtype
        self.steps = at_least("steps", steps, 0)
        self.workers = at_least("workers", workers, 1)
        self.plan = Plan(weights, self._number_of_shards(servers, weights))
        self.every = at_least("checkpoint_every", checkpoint_every, 1)
        self.max_restarts = at_least("max_restarts", max_restarts, -1)
        called = {"loss": loss, "batches": batches, "optimizer": optimizer}
        for name, function in called.items() | ({"lr": lr}.items() if lr is not None else set()):
            if not callable(function):
                raise TypeError(f"{name} is {a_type(function)}; expected a function")
        self._lr = lr
        self.rate(0)
        kinds = _kinds_of_states(optimizer)
        flag("resume", resume)
        self._checkpoint = None if checkpoint is None else Checkpoint(checkpoint)
        read = self._checkpoint.read(resume, weights) if self._checkpoint else None
        if read is not None:
            _check_kinds(kinds, read.optimizer)
        self.state = read or State(
            [0] * self.workers, {n: w.copy() for n, w in weights.items()}, {}
        )
        if len(self.state.steps) != self.workers:
            done = min(self.state.steps)
            self.state = self.state._replace(steps=[done] * self.workers)
        self.threads = shared_threads(self.workers, threads)
        self.sent = Sent(
            model=sent_as("model", self.layers[0] if self.single else self.layers),
            loss=sent_as("loss", loss),
            batches=sent_as("batches", batches),
            optimizer=sent_as("optimizer", optimizer),
            plan=ray.put(self.plan),
            dtype=self.dtype,
            seed=at_least("seed", seed, 0),
            threads=self.threads,
        )

    @property
    def is_done(self) -> bool:
        """Whether the state is that after the last step."""
        return min(self.state.steps) >= self.steps

    def _number_of_shards(self, servers: int | None, weights: Mapping[str, Array]) -> int:
        """As many as servers; without any, one for each worker, if there is so much to share."""
        rows = sum(len(w) for w in weights.values() if w.size)
        if not rows:
            raise ValueError("model has no weights; expected some to train")
        if servers is None:
            return min(self.workers, rows)
        if at_least("servers", servers, 1) > rows:
            raise ValueError(
                f"servers is {servers}; expected at most {rows}, as many as all weights have rows"
            )
        return servers

    def rate(self, step: int) -> float | None:
        """The learning rate of a step, unless the optimizer has its own."""
        if self._lr is None:
            return None
        return number(f"lr({step})", self._lr(step))

    def shards(self) -> list[ShardState]:
        """The state in the parts that servers have."""
        weights = self.plan.cut(self.state.weights)
        optimizers = self.plan.cut_states(self.state.optimizer)
        return [ShardState(w, o) for w, o in zip(weights, optimizers, strict=True)]

    def keep(self, steps: Sequence[int], shards: Sequence[ShardState]) -> None:
        """Let this be what the run returns to; in a file, too, if there is a folder for it."""
        weights = self.plan.join([shard.weights for shard in shards])
        optimizer = self.plan.join_states([shard.optimizer for shard in shards])
        self.state = State(list(steps), weights, optimizer)
        if self._checkpoint:
            self._checkpoint.write(self.state, self.trained())

    def trained(self) -> Any:
        """The model, as a copy with the weights of the state."""
        layers = copy.deepcopy(self.layers)
        take(layers, self.single, self.state.weights)
        return layers[0] if self.single else layers

    def actor(self, kind: type[Any], **options: Any) -> Any:
        """A class as an actor that Ray restarts; calls wait for that, and are made again."""
        given = {"max_restarts": self.max_restarts, "max_task_retries": -1, **options}
        return ray.remote(kind).options(**given)


class Crew:
    """Actors that end with the block, however it ends."""

    def __init__(self) -> None:
        self._actors: list[Any] = []

    def add(self, actor: Any) -> Any:
        self._actors.append(actor)
        return actor

    def __enter__(self) -> Crew:
        return self

    def __exit__(self, *error: object) -> None:
        for actor in self._actors:
            ray.kill(actor)


def at_least(name: str, value: int, least: int) -> int:
    whole = size(name, value)
    if whole < least:
        raise ValueError(f"{name} is {whole}; expected {least} or more")
    return whole


def processors() -> list[int]:
    """Of each machine that Ray has."""
    if not ray.is_initialized():
        ray.init()
    return [int(node["Resources"].get("CPU", 0)) for node in ray.nodes() if node["Alive"]]


def shared_threads(workers: int, threads: int | None) -> int:
    """Of each worker: what is asked for, if there are so many processors, or an equal share."""
    machines = processors()
    if threads is None:
        most = max(1, sum(machines) // workers)
        threads = next((t for t in range(most, 1, -1) if _room(machines, t) >= workers), 1)
    each = at_least("threads", threads, 1)
    if (room := _room(machines, each)) < workers:
        raise ValueError(
            f"workers is {workers}, of threads={each}; expected at most {room} on machines with "
            f"{machines} processors, as Ray has them"
        )
    return each


def _room(machines: Sequence[int], threads: int) -> int:
    return sum(n // threads for n in machines)


def sent_as(name: str, value: object) -> Any:
    """A reference to an object in Ray's store."""
    try:
        return ray.put(value)
    except Exception as error:
        reason = error.__cause__ or error  # Ray's own text is a page long
        raise TypeError(f"{name} cannot be sent to other processes: {reason}") from error


def _distinct(weights: dict[str, Array]) -> dict[str, Array]:
    seen: dict[int, str] = {}
    for name, w in weights.items():
        first = seen.setdefault(w.ctypes.data, name)
        if first != name and w.size:
            raise ValueError(f"model has one weight as {first} and {name}; expected each once")
    return weights


def _kinds_of_states(optimizer: Any) -> set[str]:
    """Calls the function once, for a layer of one number: which states has what it makes?"""
    made = optimizer([Embedding(1, 1, seed=0)])
    if not isinstance(made, Optimizer):
        raise TypeError(
            f"optimizer gave {a_type(made)}; expected an optimizer of gru_native.optim "
            "for the layers that it is called with"
        )
    return {name.rpartition(".")[2] for name in made.state_dict()}


def _check_kinds(own: set[str], states: Mapping[str, Array]) -> None:
    found = {name.rpartition(".")[2] for name in states}
    if found and found != own:
        raise ValueError(
            f"checkpoint is of an optimizer with the states {sorted(found)}; expected "
            f"{sorted(own)}, those of optimizer"
        )
