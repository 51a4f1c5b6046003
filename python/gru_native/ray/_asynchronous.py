"""Asynchronous training: parameter servers, and workers that do not wait for each other."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, TypeVar

import ray

from ..files import PathLike
from ..layers._weights import Array
from ..runtime import set_num_threads
from ._history import History, Records
from ._job import Crew, Job, Sent, at_least
from ._plan import Gradient
from ._replica import Batches, LossFunction, Replica
from ._shard import Lost, MakeOptimizer, Shard, ShardState

M = TypeVar("M")


class ServerState(NamedTuple):
    """A shard, and how many steps of each worker it has."""

    shard: ShardState
    steps: list[int]


class Server:
    """Holds a shard of the weights. A new process has none until ``load``."""

    def __init__(self) -> None:
        set_num_threads(1)
        self._shard: Shard | None = None
        self._steps: list[int] = []
        self._updates = 0

    def load(self, sent: Sent, index: int, state: ServerState) -> bool:
        """Begin with this, unless it has begun; whether it did."""
        if self._shard is not None:
            return False
        self._shard = sent.shard(index, state.shard)
        self._steps = list(state.steps)
        return True

    def fetch(self) -> tuple[int, list[Array]]:
        """How many updates there were, and the weights after them."""
        if self._shard is None:
            raise Lost
        return self._updates, self._shard.weights()

    def push(self, worker: int, step: int, gradients: list[Gradient], lr: float | None) -> int:
        """Step once, however often a worker says it; how many updates there were before."""
        if self._shard is None:
            raise Lost
        if step < self._steps[worker]:
            return self._updates - 1
        self._shard.step(gradients, lr)
        self._steps[worker] = step + 1
        self._updates += 1
        return self._updates - 1

    def state(self) -> ServerState:
        if self._shard is None:
            raise Lost
        return ServerState(self._shard.state(), self._steps)


class Worker:
    """Fetches weights, computes gradients and pushes them. A new process cannot, until ``load``."""

    def __init__(self) -> None:
        self._replica: Replica | None = None

    def load(self, sent: Sent, index: int, servers: Sequence[Any]) -> bool:
        """Get ready, unless it is; whether it was not."""
        if self._replica is not None:
            return False
        set_num_threads(sent.threads)
        self._index, self._servers = index, servers
        self._replica = sent.replica(index)
        return True

    def step(self, step: int, lr: float | None) -> tuple[float, int]:
        """The loss, and the staleness."""
        if self._replica is None:
            raise Lost
        fetched = ray.get([server.fetch.remote() for server in self._servers])
        loss, gradients = self._replica.gradients(step, [tables for _, tables in fetched])
        pushes = zip(self._servers, gradients, strict=True)
        updates = ray.get([s.push.remote(self._index, step, g, lr) for s, g in pushes])
        between = (n - before for n, (before, _) in zip(updates, fetched, strict=True))
        return loss, max(0, *between)


class _Run:
    """The driver: it says when a worker may begin its next step."""

    def __init__(self, job: Job, staleness: int, crew: Crew) -> None:
        self._job, self._staleness = job, staleness
        server = job.actor(Server, num_cpus=0, scheduling_strategy="SPREAD")
        worker = job.actor(Worker, num_cpus=job.threads)
        self._servers = [crew.add(server.remote()) for _ in job.plan.shards]
        self._workers = [crew.add(worker.remote()) for _ in range(job.workers)]
        self._steps = list(job.state.steps)
        self._kept = [ServerState(shard, list(job.state.steps)) for shard in job.shards()]
        self._restore()
        self.records = Records()

    def run(self) -> None:
        job, running = self._job, {}
        idle = set(range(job.workers))
        kept = min(self._steps)
        while min(self._steps) < job.steps:
            for i in sorted(idle):
                ahead = self._steps[i] - min(self._steps)
                if self._steps[i] < job.steps and ahead <= self._staleness:
                    rate = job.rate(self._steps[i])
                    running[self._workers[i].step.remote(self._steps[i], rate)] = i, ahead
                    idle.remove(i)
            (ready, *_), _ = ray.wait([*running])
            i, ahead = running.pop(ready)
            idle.add(i)
            try:
                loss, staleness = ray.get(ready)
            except Lost:
                self.records.restarts += self._restore()
                continue
            self.records.add(i, self._steps[i], loss, ahead, staleness)
            self._steps[i] += 1
            if min(self._steps) - kept >= job.every:
                kept = min(self._steps)
                self._keep()
        self._keep()

    def _restore(self) -> int:
        """Give processes that are new what they need, and servers the last state; how many."""
        sent = self._job.sent
        loads = [
            server.load.remote(sent, i, state)
            for i, (server, state) in enumerate(zip(self._servers, self._kept, strict=True))
        ]
        loads += [w.load.remote(sent, i, self._servers) for i, w in enumerate(self._workers)]
        return sum(ray.get(loads))

    def _keep(self) -> None:
        while True:
            try:
                self._kept = ray.get([server.state.remote() for server in self._servers])
                break
            except Lost:
                self.records.restarts += self._restore()
        # A step that is under way may be in some servers; one that was restored has fewer for ever.
        everywhere = [min(own) for own in zip(*(kept.steps for kept in self._kept), strict=True)]
        done = [max(own) for own in zip(self._steps, everywhere, strict=True)]
        self._job.keep(done, [kept.shard for kept in self._kept])


def train_async(
    model: M,
    loss: LossFunction,
    batches: Batches,
    optimizer: MakeOptimizer,
    *,
    steps: int,
    workers: int = 2,
    servers: int = 1,
    staleness: int = 0,
    threads: int | None = None,
    lr: Callable[[int], float] | None = None,
    checkpoint: PathLike | None = None,
    checkpoint_every: int = 100,
    resume: bool = False,
    max_restarts: int = 3,
    seed: int = 0,
) -> tuple[M, History]:
    """Train by asynchronous gradient descent, with workers and parameter servers as actors.

    A worker fetches the weights from the servers, computes the gradients of its batch, and pushes
    them; each server steps its part of the weights by every gradient that comes [1]_, [2]_. Nobody
    waits, unless a worker is ``staleness`` steps ahead of the slowest [3]_. With one worker this is
    plain gradient descent, and gives the bits of the optimizer's steps in one process.

    A worker that dies is replaced and does its step again, which servers count once. A server that
    dies is replaced and has the weights that were kept last; the others go on from where they are.
    With several servers, a run that is resumed does once more the steps that some of them had and
    others not when its state was kept.

    Parameters
    ----------
    model : layer, or list of layers
        What is trained: layers, chains or decoders of one dtype. They stay as they are.
    loss : callable
        ``loss(model, batch)`` returns the loss, a number, and its gradients, as the optimizers'
        ``step`` takes them: what ``backward`` returned, for a list of layers a list. None as
        gradients leaves the step out.
    batches : callable
        ``batches(worker, step)`` returns the batch of a worker, from 0, for its step, from 0. It
        has to be the same whenever it is asked for: a step that was interrupted is done again.
    optimizer : callable
        ``optimizer(layers)`` returns an optimizer of ``gru_native.optim`` for them. The layers that
        it is given hold parts of the weights, and are not those of the model.
    steps : int
        Steps of each worker.
    workers : int, optional
        Processes that compute gradients.
    servers : int, optional
        Processes that hold the weights, each about the same share of them, and their optimizers.
    staleness : int, optional
        How many steps a worker may be ahead of the slowest. With 0 all begin a step together.
    threads : int, optional
        Threads of each worker, for which Ray keeps as many processors. By default workers share out
        those that Ray has.
    lr : callable, optional
        ``lr(step)`` returns the learning rate of a step. By default it is the optimizer's own.
    checkpoint : str or path_like, optional
        A folder. It gets ``state.npz``, from which a run can go on, and ``model.safetensors`` for
        ``gru_native.load`` (``model.0.safetensors`` and so on for a list of layers), if models of
        this kind have files.
    checkpoint_every : int, optional
        After how many steps the state of the run is kept, in the folder if there is one. What dies
        goes on from there.
    resume : bool, optional
        Whether to go on with the run that is in the folder, if there is one. Otherwise a folder
        with a run is an error.
    max_restarts : int, optional
        How often Ray replaces each process that dies; -1 is without end.
    seed : int, optional
        What is drawn in training, such as dropout, follows from it, the worker and the step.

    Returns
    -------
    model : layer, or list of layers
        A copy of the model with the weights that were learnt.
    history : History
        The losses and how stale the gradients were.

    Raises
    ------
    ValueError
        For an argument out of its range, more workers than Ray has processors for, a folder that
        has a run or has no such run, and gradients that have a wrong name or shape or are not
        finite. The folder is then at the last state that was kept, and so it is after all errors.
    TypeError
        For an argument of the wrong kind or that cannot be sent to other processes, and for what
        ``loss`` gives if it is no loss with gradients.
    ray.exceptions.RayTaskError
        For what ``loss`` or ``batches`` raise; it is of that class, too.
    ray.exceptions.RayActorError
        For a process that died once more than ``max_restarts``.

    References
    ----------
    .. [1] H. Sak, A. Senior and F. Beaufays, "Long Short-Term Memory Based Recurrent Neural Network
       Architectures for Large Vocabulary Speech Recognition", 2014, arXiv:1402.1128.
    .. [2] J. Dean et al., "Large Scale Distributed Deep Networks", NIPS 2012.
    .. [3] Q. Ho et al., "More Effective Distributed ML via a Stale Synchronous Parallel Parameter
       Server", NIPS 2013.
    """
    own = at_least("staleness", staleness, 0)
    job = Job(
        *(model, loss, batches, optimizer),
        steps=steps,
        workers=workers,
        servers=servers,
        threads=threads,
        lr=lr,
        checkpoint=checkpoint,
        checkpoint_every=checkpoint_every,
        resume=resume,
        max_restarts=max_restarts,
        seed=seed,
    )
    if job.is_done:
        return job.trained(), Records().history()
    with Crew() as crew:
        run = _Run(job, own, crew)
        run.run()
        return job.trained(), run.records.history()
