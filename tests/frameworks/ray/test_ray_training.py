"""gru_native.ray trains what one process would, and goes on when processes die."""

import functools
import os
import threading
import time

import numpy as np
import pytest

import gru_native
import ray_runs
from ray_runs import Once, actors_beside, batches, gone, kill, loss, same

pytest.importorskip("ray")
from gru_native.ray import train_async, train_sync

pytestmark = pytest.mark.usefixtures("by_value")
KINDS = {
    "momentum": functools.partial(gru_native.optim.SGD, lr=0.01, momentum=0.9),
    "adagrad": functools.partial(gru_native.optim.Adagrad, lr=0.05),
    "adam": functools.partial(gru_native.optim.Adam, lr=0.01),
}


# --- asynchronous


@pytest.mark.parametrize(
    ("kind", "dtype", "servers"),
    [("momentum", np.float32, 1), ("adagrad", np.float64, 2), ("adam", np.float32, 3)],
)
def test_one_worker_has_the_bits_of_one_process(kind, dtype, servers):
    """Also with weights that are cut, gradients of rows, and a rate that falls."""
    model = ray_runs.model(dtype)
    rate = 0.02
    trained, history = train_async(
        *(model, loss, batches, KINDS[kind]),
        steps=12,
        workers=1,
        servers=servers,
        lr=lambda step: rate * 0.9**step,
    )
    assert same(model, ray_runs.model(dtype))  # the caller's model is as it was
    own = KINDS[kind](model)
    for step in range(12):
        own.lr = rate * 0.9**step
        value, gradients = loss(model, batches(0, step))
        assert history.loss[step] == value
        own.step(gradients)
    assert same(trained, model)
    assert history.restarts == 0
    assert not history.ahead.any()
    assert not history.staleness.any()
    assert (np.diff(history.time) > 0).all()


def slow(model, batch):
    """The first worker takes its time."""
    if batch[0] == 0:
        time.sleep(0.03)
    return loss(model, batch)


def test_no_worker_is_further_ahead_than_it_may(tmp_path):
    trained, history = train_async(
        *(ray_runs.model(), slow, batches, KINDS["adam"]),
        steps=15,
        staleness=3,
        servers=2,
        checkpoint=tmp_path,
    )
    assert history.ahead.max() == 3
    assert history.ahead[history.worker == 0].max() == 0
    assert history.staleness.max() >= 1
    steps = sorted(zip(history.worker, history.step, strict=True))
    assert steps == [(w, s) for w in range(2) for s in range(15)]
    assert same(gru_native.load(tmp_path / "model.safetensors"), trained)


def constant(model, batch, dies=None):
    """Each step takes 1 from each weight, so that the weights count the steps."""
    worker, step, *_ = batch
    if dies is not None:
        dies(worker, step)
    time.sleep(0.01)
    return 0.0, {name: np.ones_like(w) for name, w in model.weights.items()}


def counted(model):
    before = ray_runs.model().weights
    return [np.unique(np.round(before[n] - w, 9)).tolist() for n, w in model.weights.items()]


def test_a_worker_dies_and_no_step_is_lost_or_counted_twice(tmp_path):
    first = Once(tmp_path / "died")

    def dies(worker, step):
        if (worker, step) == (1, 6) and first():
            kill(os.getpid())

    descent = functools.partial(gru_native.optim.SGD, lr=1.0)
    trained, history = train_async(
        *(ray_runs.model(), functools.partial(constant, dies=dies), batches, descent),
        steps=15,
        servers=2,
    )
    assert history.restarts == 1
    assert history.ahead.max() == 0  # with staleness 0 all begin together
    assert counted(trained) == [[30.0]] * len(trained.weights)


def test_a_server_dies_and_has_what_was_kept_last(tmp_path):
    first = Once(tmp_path / "died")

    def dies(worker, step):
        if (worker, step) == (0, 17) and first():
            kill(min(actors_beside("Server")))

    descent = functools.partial(gru_native.optim.SGD, lr=1.0)
    trained, history = train_async(
        *(ray_runs.model(), functools.partial(constant, dies=dies), batches, descent),
        steps=25,
        servers=2,
        staleness=1,
        checkpoint_every=5,
    )
    assert history.restarts == 1
    assert len(history.step) == 50
    counts = {n for of_weight in counted(trained) for n in of_weight}
    assert max(counts) == 50.0
    assert len(counts) == 2  # of the server that died, and of the other
    assert 50 - 2 * 8 <= min(counts) < 50  # since the fifteenth step, or a little more


# --- synchronous


def test_rounds_are_descent_by_the_mean():
    """Against the formula."""
    model = ray_runs.model()
    trained, history = train_sync(
        *(model, loss, batches, functools.partial(gru_native.optim.SGD, lr=0.02)),
        steps=10,
        workers=3,
        threads=1,
    )
    for step in range(10):
        made = [loss(model, batches(worker, step)) for worker in range(3)]
        at_step = history.loss[history.step == step]
        np.testing.assert_allclose(at_step, [value for value, _ in made], rtol=1e-10)
        with model.editing() as weights:
            for _, gradients in made:
                for name, g in gradients.weights.items():
                    dense = g if isinstance(g, np.ndarray) else g.dense(len(weights[name]))
                    weights[name] -= 0.02 / 3 * dense
    for name, w in model.weights.items():
        np.testing.assert_allclose(trained.weights[name], w, rtol=0, atol=1e-13)


@pytest.fixture(scope="module")
def undisturbed(cluster):
    cluster.cloudpickle.register_pickle_by_value(ray_runs)
    model = ray_runs.model(np.float32, dropout=0.4)
    return train_sync(model, loss, batches, KINDS["adam"], steps=12)


def test_a_run_is_resumed_to_the_bit(undisturbed, tmp_path):
    """With dropout, moments of Adam, and a file between."""
    model = ray_runs.model(np.float32, dropout=0.4)
    arguments = (model, loss, batches, KINDS["adam"])
    half, first = train_sync(*arguments, steps=7, checkpoint=tmp_path)
    assert same(gru_native.load(tmp_path / "model.safetensors"), half)
    with pytest.raises(ValueError, match=r"checkpoint is .*expected resume=True"):
        train_sync(*arguments, steps=12, checkpoint=tmp_path)
    whole, second = train_sync(*arguments, steps=12, checkpoint=tmp_path, resume=True)
    assert same(whole, undisturbed[0])
    assert [*first.loss, *second.loss] == undisturbed[1].loss.tolist()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["model.safetensors", "state.npz"]


def test_a_death_changes_no_bit(undisturbed, tmp_path):
    first = Once(tmp_path / "died")

    def dying(model, batch):
        if batch[:2] == (1, 8) and first():
            kill(os.getpid())
        return loss(model, batch)

    model = ray_runs.model(np.float32, dropout=0.4)
    trained, history = train_sync(
        *(model, dying, batches, KINDS["adam"]), steps=12, checkpoint_every=5
    )
    assert history.restarts == 1
    assert same(trained, undisturbed[0])
    assert history.loss.tolist() == undisturbed[1].loss.tolist()


# --- ends


def raylet():
    """The process above all actors."""
    import ray

    return ray.get(ray.remote(lambda: os.getppid()).remote())


def test_what_dies_too_often_ends_the_run():
    import ray

    with pytest.raises(ray.exceptions.RayActorError):
        train_async(
            *(ray_runs.model(), lambda model, batch: kill(os.getpid()), batches, KINDS["adam"]),
            steps=3,
            max_restarts=0,
        )
    assert gone([*actors_beside("Server", raylet()), *actors_beside("Worker", raylet())])


def test_an_error_of_the_loss_is_raised_and_nothing_stays():
    def broken(model, batch):
        if batch[1] == 2:
            raise ZeroDivisionError("the user's own")
        return loss(model, batch)

    with pytest.raises(ZeroDivisionError, match="the user's own"):
        train_sync(ray_runs.model(), broken, batches, KINDS["adam"], steps=5)
    assert gone(actors_beside("Member", raylet()))


def test_an_interrupted_run_leaves_no_actor():
    import _thread

    above = raylet()
    seen = []

    def interrupt():
        while len(seen) < 3:
            time.sleep(0.1)
            seen[:] = [*actors_beside("Server", above), *actors_beside("Worker", above)]
        time.sleep(0.5)
        _thread.interrupt_main()

    waiting = threading.Thread(target=interrupt)
    waiting.start()
    with pytest.raises(KeyboardInterrupt):
        train_async(ray_runs.model(), slow, batches, KINDS["adam"], steps=10**6)
    waiting.join()
    assert gone(seen)
