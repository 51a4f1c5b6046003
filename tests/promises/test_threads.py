"""One layer under many Python threads, with the team resized, and without the GIL."""

import os
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

import gru_native
from helpers import (
    CELLS,
    assert_same_bits,
    assert_same_gradients,
    make_layer,
    random_case,
    run_python,
)
from reference import Spec

VARIABLE = "GRU_NATIVE_NUM_THREADS"
HAS_GIL = getattr(sys, "_is_gil_enabled", lambda: True)()


def wide_case(cell, seed, **shape):
    """Wide enough that every thread of the team has something to do."""
    spec = Spec(cell, 64, 128, 2, bidirectional=cell != "lstm")
    shape = {"seq_len": 12, "batch": 4, **shape}
    return random_case(spec, np.random.default_rng(seed), **shape).cast(np.float32)


@pytest.mark.parametrize("cell", CELLS)
def test_many_python_threads_on_one_layer(cell, threads):
    threads(2)
    cases = [wide_case(cell, seed, seq_len=6 + seed, batch=1 + seed % 5) for seed in range(8)]
    layer = make_layer(cases[0].spec, cases[0].weights, dtype=np.float32)

    def run(case):
        y, _, tape = layer.forward(case.x, case.state)
        return y, layer.backward(tape, case.dy, case.dstate), layer(case.x, case.state)[0]

    expected = [run(case) for case in cases]
    barrier = threading.Barrier(len(cases))

    def worker(number):
        barrier.wait()
        for _ in range(5):
            y, grads, inferred = run(cases[number])
            assert_same_bits(y, expected[number][0])
            assert_same_gradients(grads, expected[number][1])
            assert_same_bits(inferred, expected[number][2])

    with ThreadPoolExecutor(len(cases)) as pool:
        list(pool.map(worker, range(len(cases))))


def test_streams_in_many_python_threads(threads):
    threads(2)
    case = wide_case("lstm", 1, seq_len=40, batch=1)
    layer = make_layer(case.spec, case.weights, dtype=np.float32)
    expected, _ = layer(case.x)

    def worker(_):
        stream = layer.stream()
        return np.stack([stream(x_t) for x_t in case.x[:, 0]])

    with ThreadPoolExecutor(6) as pool:
        for y in pool.map(worker, range(6)):
            assert_same_bits(y, expected[:, 0])


def test_weights_edited_while_others_compute(threads):
    """A call sees the weights from before an edit or from after it, never some of each."""
    threads(2)
    case = wide_case("gru", 2)
    layer = make_layer(case.spec, case.weights, dtype=np.float32)
    states = [layer.state_dict()]
    states.append({name: -array for name, array in states[0].items()})
    allowed = set()
    for state in reversed(states):
        layer.load_state_dict(state)
        allowed.add(layer(case.x)[0].tobytes())
    assert len(allowed) == 2
    done = threading.Event()

    def edit():
        for turn in range(200):
            layer.load_state_dict(states[turn % 2])
        done.set()

    editor = threading.Thread(target=edit)
    editor.start()
    try:
        calls = 0
        while not done.is_set() or calls == 0:
            assert layer(case.x)[0].tobytes() in allowed
            calls += 1
    finally:
        editor.join()


def test_team_resized_while_others_compute(threads):
    case = wide_case("gru", 3)
    layer = make_layer(case.spec, case.weights, dtype=np.float32)
    expected, _ = layer(case.x, case.state)
    stop = threading.Event()

    def compute(_):
        count = 0
        while not stop.is_set() or count == 0:
            assert_same_bits(layer(case.x, case.state)[0], expected)
            count += 1

    with ThreadPoolExecutor(3) as pool:
        running = [pool.submit(compute, number) for number in range(3)]
        try:
            for turn in range(150):
                threads(1 + turn % 4)
                assert gru_native.get_num_threads() == 1 + turn % 4
        finally:
            stop.set()
        for future in running:
            future.result()


def ticks_during(call):
    """How often another Python thread runs while the call is under way.

    No thread is ever asked to hand over the GIL, so the ticker advances between the two readings
    only if the call itself lets go of it.
    """
    count, stop = 0, threading.Event()

    def ticker():
        nonlocal count
        while not stop.is_set():
            count += 1
            time.sleep(1e-4)

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1000)
    thread = threading.Thread(target=ticker)
    try:
        thread.start()
        before = count
        call()
        return count - before
    finally:
        stop.set()
        sys.setswitchinterval(interval)
        thread.join()


@pytest.mark.skipif(not HAS_GIL, reason="this Python has no GIL")
@pytest.mark.parametrize("kind", ["dense", "lstm", "gru_backward"])
def test_large_weights_are_packed_alike_by_any_number_of_threads(kind, threads):
    """Those of an edit: 99 x 1203 and more numbers, which several threads share out."""
    rng = np.random.default_rng(4)
    x = rng.standard_normal((3, 2, 99)).astype(np.float32)

    def result(count):
        threads(count)
        if kind == "dense":
            layer = gru_native.Dense(99, 1203, seed=1)
        else:
            layer = (gru_native.LSTM if kind == "lstm" else gru_native.GRU)(99, 151, seed=1)
        fresh = np.random.default_rng(5)
        layer.load_state_dict(
            {n: fresh.standard_normal(w.shape).astype(w.dtype) for n, w in layer.weights.items()}
        )
        if kind != "gru_backward":
            return [layer(x)] if kind == "dense" else [layer(x)[0]]
        y, _, tape = layer.forward(x)
        return [layer.backward(tape, dy=y).x]

    for got, expected in zip(result(3), result(1), strict=True):
        assert_same_bits(got, expected)


def test_the_gil_is_released(threads):
    threads(1)
    case = wide_case("lstm", 4, seq_len=400, batch=8)
    layer = make_layer(case.spec, case.weights, dtype=np.float32)
    _, _, tape = layer.forward(case.x)
    stream = layer.stream(batch_size=8)
    calls = {
        "call": lambda: layer(case.x),
        "forward": lambda: layer.forward(case.x),
        "backward": lambda: layer.backward(tape, case.dy),
        "stream": lambda: stream(case.x),
    }
    assert ticks_during(lambda: sum(range(1_000_000))) <= 1  # which keeps the GIL
    for name, call in calls.items():
        # On a busy machine the ticker may find no core during one call, but not during thirty.
        assert any(ticks_during(call) >= 5 for _ in range(30)), f"{name} kept the GIL"


@pytest.mark.parametrize("count", [1, 3])
def test_environment_sets_the_number(count):
    code = "import gru_native; print(gru_native.get_num_threads())"
    done = run_python(code, **{VARIABLE: str(count)})
    assert done.stdout.strip() == str(count), done.stderr


@pytest.mark.parametrize("value", ["0", "-2", "two", "1.5", "99999999999999999999"])
def test_environment_that_makes_no_sense_is_an_error(value):
    code = """
import numpy as np, gru_native
gru_native.get_num_threads()
gru_native.GRU(3, 4)(np.zeros((2, 3), np.float32))
"""
    done = run_python(code, **{VARIABLE: value})
    assert done.returncode == 1
    assert VARIABLE in done.stderr.partition("Error")[2]


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="no affinity on this system")
def test_default_is_the_cores_that_the_process_may_use(monkeypatch):
    monkeypatch.delenv(VARIABLE, raising=False)
    code = """
import os
one = min(os.sched_getaffinity(0))
os.sched_setaffinity(0, {one})
import gru_native
print(gru_native.get_num_threads())
"""
    assert run_python(code).stdout.strip() == "1"
    done = run_python("import gru_native; print(gru_native.get_num_threads())")
    assert 1 <= int(done.stdout) <= len(os.sched_getaffinity(0))


@pytest.mark.parametrize("count", [0, -1, 257, 2**31, -(2**31) - 1, 2**70, 10**30, -(10**30)])
def test_set_num_threads_refuses_numbers(count):
    before = gru_native.get_num_threads()
    expected = rf"^n is {count}; expected a number of threads from 1 to 256$"
    with pytest.raises(ValueError, match=expected):
        gru_native.set_num_threads(count)
    assert gru_native.get_num_threads() == before


@pytest.mark.parametrize("count", [1.5, "2", None, [2], True, np.array([1, 2])])
def test_set_num_threads_refuses_what_is_no_number(count):
    before = gru_native.get_num_threads()
    expected = rf"^n is an? {type(count).__name__}; expected a number of threads from 1 to 256$"
    with pytest.raises(TypeError, match=expected):
        gru_native.set_num_threads(count)
    assert gru_native.get_num_threads() == before


def test_set_num_threads_takes_numpys_numbers(threads):
    threads(np.int64(3))
    assert gru_native.get_num_threads() == 3
    with pytest.raises(ValueError, match=r"^n is a number of \d+ bits; expected"):
        threads(10**9000)
