"""Synchronous training: rounds in which all workers' gradients are averaged."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import ray

from ..files import PathLike
from ..layers._weights import Array
from ..runtime import set_num_threads
from ._history import History, Records
from ._job import Crew, Job, Sent
from ._plan import Gradient, mean
from ._replica import Batches, LossFunction, Replica
from ._shard import Lost, MakeOptimizer, Shard, ShardState

M = TypeVar("M")


class Member:
    """Computes gradients of all weights, and steps the shard that is its own, if it has one.

    A round is ``gradients`` of every member, then ``reduce`` of every owner of a shard. ``attempt``
    counts how often the run was taken back, so that what belongs to an earlier attempt changes
    nothing. A new process can do nothing until ``load``.
    """

    def __init__(self) -> None:
        self._replica: Replica | None = None
        self._shard: Shard | None = None
        self._next: tuple[int, int] | None = None

    def load(
        self, sent: Sent, index: int, attempt: int, step: int, state: ShardState | None
    ) -> tuple[bool, list[Array]]:
        """Go on from here. Whether the process is a new one, and the shard's weights."""
        is_new = self._replica is None
        if is_new:
            set_num_threads(sent.threads)
            self._replica = sent.replica(index)
        self._shard = None if state is None else sent.shard(index, state)
        self._next = attempt, step
        return is_new, [] if self._shard is None else self._shard.weights()

    def gradients(self, step: int, *tables: list[Array]) -> tuple[Any, ...]:
        """The loss, and for each owner what it has to know; nothing where a process is new."""
        if self._replica is None or not all(tables):
            return (None,) * (1 + len(tables))
        loss, shards = self._replica.gradients(step, tables)
        return loss, *shards

    def reduce(
        self, attempt: int, step: int, lr: float | None, *gradients: list[Gradient] | None
    ) -> tuple[bool, list[Array]]:
        """Step the shard by the mean of all members' gradients, if they are there; its weights."""
        given = [g for g in gradients if g is not None]
        if self._shard is None or self._next != (attempt, step) or len(given) < len(gradients):
            return False, []
        self._shard.step([mean(of_piece) for of_piece in zip(*given, strict=True)], lr)
        self._next = attempt, step + 1
        return True, self._shard.weights()

    def state(self, attempt: int, step: int) -> ShardState:
        if self._shard is None or self._next != (attempt, step):
            raise Lost
        return self._shard.state()


class _Run:
    """The driver: it hands references from one member to another, and sees no gradient."""

    def __init__(self, job: Job, crew: Crew) -> None:
        self._job = job
        member = job.actor(Member, num_cpus=job.threads)
        self._members = [crew.add(member.remote()) for _ in range(job.workers)]
        self._owners = self._members[: len(job.plan.shards)]  # there may be more than weights
        self._attempt = 0
        self._weights = self._load()[1]
        self.records = Records()

    def run(self) -> None:
        job = self._job
        step = min(job.state.steps)
        while True:
            try:
                if step >= job.steps or (step % job.every == 0 and step > min(job.state.steps)):
                    self._keep(step)
                if step >= job.steps:
                    return
                self._round(step)
                step += 1
            except (Lost, ray.exceptions.ObjectLostError):
                self._attempt += 1
                restarts, self._weights = self._load()
                self.records.restarts += restarts
                step = min(job.state.steps)
                self.records.forget_from(step)

    def _round(self, step: int) -> None:
        lr = self._job.rate(step)
        returned = 1 + len(self._owners)
        computed = [
            member.gradients.options(num_returns=returned).remote(step, *self._weights)
            for member in self._members
        ]
        of_losses, *shards = zip(*computed, strict=True)
        stepped = [
            owner.reduce.options(num_returns=2).remote(self._attempt, step, lr, *gradients)
            for owner, gradients in zip(self._owners, shards, strict=True)
        ]
        losses = ray.get([*of_losses])
        if not all(ray.get([done for done, _ in stepped])):
            raise Lost
        self._weights = [weights for _, weights in stepped]
        for worker, loss in enumerate(losses):
            self.records.add(worker, step, loss)

    def _load(self) -> tuple[int, list[Any]]:
        """All members begin where the run's state is; how many were new, and all weights."""
        step = min(self._job.state.steps)
        states = [*self._job.shards(), *[None] * (len(self._members) - len(self._owners))]
        loaded = [
            member.load.options(num_returns=2).remote(self._job.sent, i, self._attempt, step, state)
            for i, (member, state) in enumerate(zip(self._members, states, strict=True))
        ]
        restarts = sum(ray.get([is_new for is_new, _ in loaded]))
        return restarts, [weights for _, weights in loaded[: len(self._owners)]]

    def _keep(self, step: int) -> None:
        states = [owner.state.remote(self._attempt, step) for owner in self._owners]
        self._job.keep([step] * self._job.workers, ray.get(states))


def train_sync(
    model: M,
    loss: LossFunction,
    batches: Batches,
    optimizer: MakeOptimizer,
    *,
    steps: int,
    workers: int = 2,
    threads: int | None = None,
    lr: Callable[[int], float] | None = None,
    checkpoint: PathLike | None = None,
    checkpoint_every: int = 100,
    resume: bool = False,
    max_restarts: int = 3,
    seed: int = 0,
) -> tuple[M, History]:
    """Train in rounds: the gradients of all workers are averaged, then the weights make one step.

    Each worker averages and steps its share of the weights, and gets the others' shares from them,
    so that no process has all gradients. Gradients are added in the order of the workers. So the
    result has the same bits in every run with as many workers, whatever the threads, also if it was
    interrupted and resumed, and if workers died: then all go on from the state that was kept last.

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
        The losses; nobody is ahead or stale.

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
    """
    job = Job(
        *(model, loss, batches, optimizer),
        steps=steps,
        workers=workers,
        servers=None,
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
        run = _Run(job, crew)
        run.run()
        return job.trained(), run.records.history()
