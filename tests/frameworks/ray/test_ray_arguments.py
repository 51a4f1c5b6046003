"""gru_native.ray: wrong arguments and wrong gradients, cuts of weights, checkpoints, data sets."""

import functools
import threading

import numpy as np
import pytest

import gru_native
import ray_runs
from helpers import run_python
from ray_runs import batches, loss, same

pytest.importorskip("ray")
import ray.data

from gru_native.ray import predict, train_async, train_sync
from gru_native.ray._plan import Plan, mean
from gru_native.ray._replica import Replica

pytestmark = pytest.mark.usefixtures("by_value")
adam = functools.partial(gru_native.optim.Adam, lr=0.01)


def test_without_ray_the_error_says_what_to_install():
    code = "import sys; sys.modules['ray'] = None; import gru_native.ray"
    done = run_python(code)
    assert "pip install 'gru-native[ray]'" in done.stderr
    assert "ImportError" in done.stderr


# --- arguments


def int8():
    return ray_runs.model(np.float32).quantize("int8")


def twice():
    gru = gru_native.GRU(3, 3)
    return gru_native.Chain([gru, gru])


WRONG = [
    ({"model": 3}, TypeError, "model is an int; expected a layer"),
    ({"model": []}, ValueError, "model is empty"),
    ({"model": [ray_runs.model(), 5]}, TypeError, r"model\[1\] is an int"),
    ({"model": gru_native.Activation("tanh")}, ValueError, "model has no we"),
    ({"model": twice()}, ValueError, "model has one weight as 0.weight_ih_l0 and 1.weight_ih_l0"),
    ({"model": int8()}, ValueError, "model has weights of few bits"),
    ({"loss": 3}, TypeError, "loss is an int; expected a function"),
    ({"batches": None}, TypeError, "batches is a NoneType; expected a function"),
    ({"optimizer": "adam"}, TypeError, "optimizer is a str; expected a function"),
    ({"optimizer": lambda layers: None}, TypeError, "optimizer gave a NoneType"),
    ({"lr": 0.1}, TypeError, "lr is a float; expected a function"),
    ({"lr": lambda step: "fast"}, TypeError, r"lr\(0\) is a str; expected a number"),
    ({"steps": -1}, ValueError, "steps is -1; expected 0 or more"),
    ({"steps": 1.5}, TypeError, "steps is a float"),
    ({"workers": 0}, ValueError, "workers is 0; expected 1 or more"),
    ({"workers": 5}, ValueError, r"workers is 5, of threads=1; expected at most 3"),
    ({"threads": 3}, ValueError, r"workers is 2, of threads=3; expected at most 1"),
    ({"threads": 0}, ValueError, "threads is 0"),
    ({"max_restarts": -2}, ValueError, "max_restarts is -2; expected -1 or more"),
    ({"checkpoint_every": 0}, ValueError, "checkpoint_every is 0"),
    ({"checkpoint": 5}, TypeError, "checkpoint is an int; expected a path"),
    ({"resume": "yes"}, TypeError, "resume is a str"),
    ({"seed": -1}, ValueError, "seed is -1"),
]
OF_SERVERS = [
    ({"servers": 0}, ValueError, "servers is 0; expected 1 or more"),
    ({"servers": 10**6}, ValueError, "servers is 1000000; expected at most"),
    ({"staleness": -1}, ValueError, "staleness is -1"),
    ({"staleness": None}, TypeError, "staleness is a NoneType"),
]


@pytest.mark.parametrize(
    ("train", "wrong", "error", "text"),
    [(train_sync, *case) for case in WRONG] + [(train_async, *case) for case in WRONG + OF_SERVERS],
)
def test_wrong_arguments_are_named(train, wrong, error, text):
    right = {"model": ray_runs.model(), "loss": loss, "batches": batches, "optimizer": adam}
    with pytest.raises(error, match=text):
        train(**(right | {"steps": 2} | wrong))


def test_what_cannot_be_sent_is_named():
    lock = threading.Lock()
    with pytest.raises(TypeError, match=r"loss cannot be sent to other processes: .*lock"):
        train_sync(ray_runs.model(), lambda model, batch: lock, batches, adam, steps=2)
    model = ray_runs.model()
    model.lock = lock
    with pytest.raises(TypeError, match=r"model cannot be sent to other processes: .*lock"):
        train_async(model, loss, batches, adam, steps=2)


@pytest.mark.parametrize("train", [train_sync, train_async])
def test_no_steps_are_a_copy(train):
    model = ray_runs.model()
    trained, history = train(model, loss, batches, adam, steps=0)
    assert same(trained, model)
    assert trained is not model
    assert len(history.loss) == 0


# --- gradients


def replica(loss, model):
    layers = {name: w for name, w in model.weights.items()}
    return Replica(1, model, loss, lambda worker, step: None, 0, Plan(layers, 2)), layers


NAN = np.array([[1.0, np.nan, 1.0]])
ROWS = gru_native.RowGradient
BAD = [
    (lambda m, b: None, TypeError, r"loss of worker 1 at step 4 gave a NoneType; expected \(loss"),
    (lambda m, b: (1.0, 2, 3), TypeError, "at step 4 gave a tuple"),
    (lambda m, b: ("low", {}), TypeError, "loss is a str; expected a number"),
    (lambda m, b: (1.0, 3), TypeError, "grads is an int"),
    (lambda m, b: (1.0, {"w": NAN}), ValueError, "grads has 'w', which is no weight"),
    (lambda m, b: (1.0, {"weight": NAN}), ValueError, r"grads\['weight'\] is not finite; .* None"),
    (lambda m, b: (1.0, {"weight": NAN.T}), ValueError, r"has shape \(3, 1\); expected \(1, 3\)"),
    (
        lambda m, b: (1.0, {"bias": np.ones(1, "f")}),
        TypeError,
        r"grads\['bias'\] has dtype float32",
    ),
    (lambda m, b: (1.0, {"weight": ROWS([0, 0], np.ones((2, 3)))}), ValueError, "rows are .0 0."),
    (lambda m, b: (1.0, {"weight": ROWS([1], np.ones((1, 3)))}), ValueError, "rows are .1."),
    (lambda m, b: (1.0, {"weight": ROWS([0.0], np.ones((1, 3)))}), TypeError, "rows has dtype fl"),
]


@pytest.mark.parametrize(("wrong", "error", "text"), BAD)
def test_wrong_gradients_name_worker_and_step(wrong, error, text):
    own, weights = replica(wrong, gru_native.Dense(3, 1, dtype=np.float64))
    with pytest.raises(error, match=text):
        own.gradients(4, Plan(weights, 2).cut(weights))


def test_a_step_may_be_left_out():
    own, weights = replica(lambda m, b: (1.0, None), gru_native.Dense(3, 1, dtype=np.float64))
    assert own.gradients(4, Plan(weights, 2).cut(weights)) == (1.0, [[None], [None]])


# --- cuts


def test_cuts_are_even_and_joined_again():
    rng = np.random.default_rng(0)
    for _ in range(300):
        shapes = [tuple(rng.integers(1, 9, rng.integers(1, 4))) for _ in range(rng.integers(1, 6))]
        weights = {f"w.{i}": rng.standard_normal(shape) for i, shape in enumerate(shapes)}
        rows = sum(shape[0] for shape in shapes)
        plan = Plan(weights, int(rng.integers(1, rows + 1)))
        cut = plan.cut(weights)
        sizes = [sum(t.size for t in tables) for tables in cut]
        widest = max(w.size // len(w) for w in weights.values())
        even = sum(sizes) / len(sizes)
        assert min(sizes) >= 1
        assert max(sizes) <= even + 2 * widest or len(sizes) > rows / 2
        joined = plan.join(cut)
        assert all(np.array_equal(joined[name], w) for name, w in weights.items())
        moments = {f"{name}.exp_avg": w + 1 for name, w in weights.items()}
        counts = {f"{name}.step": np.array(i) for i, name in enumerate(weights)}
        again = plan.join_states(plan.cut_states(moments | counts))
        assert again.keys() == (moments | counts).keys()
        assert all(np.array_equal(again[n], state) for n, state in (moments | counts).items())


def test_the_mean_of_rows_and_of_whole_gradients():
    rng = np.random.default_rng(0)
    whole = rng.standard_normal((6, 2))
    few = [
        (np.array(rows, int), rng.standard_normal((len(rows), 2))) for rows in ([0, 4], [4, 5], [])
    ]
    dense = [gru_native.RowGradient(*g).dense(6) for g in few]
    rows, values = mean([*few, None])
    assert rows.tolist() == [0, 4, 5]
    expected = sum(dense) / 4
    np.testing.assert_allclose(gru_native.RowGradient(rows, values).dense(6), expected, atol=1e-15)
    np.testing.assert_allclose(mean([few[0], whole]), (dense[0] + whole) / 2, atol=1e-15)
    assert mean([None, None]) is None


# --- checkpoints


def test_a_list_of_layers_with_a_softmax_of_many_words(tmp_path):
    """Several layers, files of each, and another number of servers for the rest."""

    def large(model, batch):
        _, step, ids, wanted = batch
        gru, words = model
        y, _, tape = gru.forward(wanted)
        value, words_tape = words.forward(y, ids, seed=step)
        gradients = words.backward(words_tape)
        return value, [gru.backward(tape, gradients.x), gradients]

    gru = gru_native.GRU(2, 4, dtype=np.float64, seed=0)
    words = gru_native.losses.SampledSoftmax(4, 11, num_samples=3, dtype=np.float64, seed=1)
    arguments = ([gru, words], large, batches, adam)
    options = {"checkpoint": tmp_path, "workers": 1, "resume": True}
    train_async(*arguments, steps=4, servers=2, **options)
    trained, _ = train_async(*arguments, steps=9, servers=1, **options)
    own = adam([gru, words])
    for step in range(9):
        own.step(large([gru, words], batches(0, step))[1])
    assert same(trained[0], gru)
    assert same(trained[1], words)
    for i in range(2):
        assert same(gru_native.load(tmp_path / f"model.{i}.safetensors"), trained[i])
    with pytest.raises(ValueError, match=r"the states \['exp_avg', 'exp_avg_sq', 'step'\]"):
        train_sync(
            *([gru, words], large, batches, gru_native.optim.SGD),
            steps=9,
            checkpoint=tmp_path,
            resume=True,
        )
    with pytest.raises(ValueError, match=r"checkpoint: .*state.npz: mapping lacks"):
        train_sync(gru, large, batches, adam, steps=9, checkpoint=tmp_path, resume=True)


@pytest.mark.parametrize("content", [b"", b"PK\3\4 and then nothing", b"\x93NUMPY"])
def test_a_damaged_file_is_named(content, tmp_path):
    (tmp_path / "state.npz").write_bytes(content)
    with pytest.raises(ValueError, match=r"checkpoint: .*state.npz: "):
        train_sync(ray_runs.model(), loss, batches, adam, steps=9, checkpoint=tmp_path, resume=True)


# --- data sets


def test_predictions_have_the_bits_of_one_call(tmp_path):
    """However the rows are cut, and with processors for the workers only."""
    ray.data.DataContext.get_current().enable_progress_bars = False
    chain = gru_native.Chain([gru_native.GRU(3, 8, seed=0), gru_native.Dense(8, 2, seed=1)])
    x = np.random.default_rng(0).standard_normal((60, 5, 3), np.float32)

    def last(model, batch):
        y, _ = model(np.swapaxes(x[batch["id"]], 0, 1))
        return {"id": batch["id"], "y": np.ascontiguousarray(y[-1])}

    found = predict(chain, ray.data.range(60), last, batch_size=7, workers=3)
    expected = chain(np.swapaxes(x, 0, 1))[0][-1]
    rows = {int(row["id"]): row["y"] for row in found.take_all()}
    assert sorted(rows) == list(range(60))
    assert all(np.array_equal(rows[i], expected[i]) for i in rows)


def test_wrong_arguments_of_predict_are_named():
    right = {"model": gru_native.Dense(3, 2), "data": ray.data.range(4), "call": lambda m, b: b}
    for wrong, error, text in [
        ({"model": 3}, TypeError, "model is an int"),
        ({"data": np.zeros(4)}, TypeError, "data is an ndarray; expected a ray.data.Dataset"),
        ({"call": 3}, TypeError, "call is an int; expected a function"),
        ({"batch_size": 0}, ValueError, "batch_size is 0"),
        ({"workers": 9}, ValueError, "workers is 9, of threads=1; expected at most 3"),
    ]:
        with pytest.raises(error, match=text):
            predict(**(right | wrong))
