"""Ctrl-C ends long calls soon, and everything works afterwards."""

import os
import signal
import subprocess
import sys
import threading
import time

import numpy as np
import pytest

import gru_native
import long_calls
import long_calls_of_words
from long_calls import long_call

CASES = {**long_calls.CASES, **long_calls_of_words.CASES}
SECONDS = 1.5  # that a whole call takes
LATER = 0.1  # when the signal comes


def interrupt(*_):
    raise KeyboardInterrupt


@pytest.fixture
def alarm():
    """Sets a handler of SIGALRM, which comes LATER, or sooner; returns when."""

    def set_handler(handler, later=LATER):
        signal.signal(signal.SIGALRM, handler)
        signal.setitimer(signal.ITIMER_REAL, later)
        return time.perf_counter() + later

    before = signal.getsignal(signal.SIGALRM)
    yield set_handler
    signal.setitimer(signal.ITIMER_REAL, 0)
    signal.signal(signal.SIGALRM, before)


@pytest.fixture
def threads():
    before = gru_native.get_num_threads()
    yield gru_native.set_num_threads
    gru_native.set_num_threads(before)


ALONE = ["lstm", "two_directions", "stream", "sessions", "dense_backward", "rtrl", "ctc"]


@pytest.mark.parametrize(
    ("name", "members"), [*((name, 2) for name in CASES), *((name, 1) for name in ALONE)]
)
def test_calls_end_soon(name, members, threads, alarm):
    threads(members)
    make = CASES[name]
    small = make(6)
    expected = small()
    call, whole = long_call(name, SECONDS, CASES[name])
    comes = alarm(interrupt, min(LATER, whole / 5))
    with pytest.raises(KeyboardInterrupt):
        call()
    late = time.perf_counter() - comes  # a handler runs only when the call lets it
    print(f"{name}: {late:.3f} s")
    assert late < whole / 2
    np.testing.assert_array_equal(small(), expected)


@pytest.mark.parametrize("members", [1, 2])
def test_a_handler_that_returns_lets_the_call_go_on(members, threads, alarm):
    threads(members)
    layer = gru_native.LSTM(8, 1024, seed=1)
    call, _ = long_call("lstm", SECONDS)
    expected = call()
    inside = []

    def handler(*_):
        inside.append(layer(np.ones((3, 1, 8), np.float32))[0])  # it may compute, too

    alarm(handler)
    np.testing.assert_array_equal(call(), expected)
    np.testing.assert_array_equal(inside, [layer(np.ones((3, 1, 8), np.float32))[0]])


@pytest.mark.parametrize("kind", ["recurrent", "dense"])
def test_a_handler_may_go_backward_while_the_weights_are_transposed(kind, threads, alarm):
    """By the same weights: its own call makes what the other one is still making."""
    threads(2)
    if kind == "recurrent":
        layer = gru_native.GRU(3000, 3000, seed=1)
        x = np.ones((1, 1, 3000), np.float32)
        of_weights = "weight_hh_l0"
    else:
        layer = gru_native.Dense(8000, 4000, seed=1)
        x = np.ones((1, 1, 8000), np.float32)
        of_weights = "weight"
    first = layer.forward(x)
    y, tape = first[0], first[-1]
    expected = layer.backward(tape, y).x
    inside = []

    def handler(*_):
        inside.append(layer.backward(tape, y).x)

    for later in (0.02, 0.04, 0.06, 0.08, 0.12):
        with layer.editing() as w:
            w[of_weights][0, 0] += 0  # packs anew
        tape = layer.forward(x)[-1]
        alarm(handler, later)
        np.testing.assert_array_equal(layer.backward(tape, y).x, expected)
        time.sleep(0.2)
    assert len(inside) == 5
    for dx in inside:
        np.testing.assert_array_equal(dx, expected)


def test_the_first_backward_ends_soon(threads, alarm):
    threads(1)
    layer = gru_native.LSTM(4000, 4000, seed=1)
    x = np.ones((1, 1, 4000), np.float32)
    y, _, tape = layer.forward(x)

    took = time.perf_counter()
    expected = layer.backward(tape, y).x
    took = time.perf_counter() - took
    early = 0
    for part in (0.1, 0.2, 0.3, 0.4, 0.5):
        with layer.editing() as w:
            w["bias_ih_l0"][0] += 0
        tape = layer.forward(x)[-1]
        comes = alarm(interrupt, part * took)
        try:
            layer.backward(tape, y)
            time.sleep(took)
        except KeyboardInterrupt:
            early += time.perf_counter() - comes < took / 2
        np.testing.assert_array_equal(layer.backward(tape, y).x, expected)
    assert early >= 3


def test_other_errors_of_a_handler_come_out(alarm):
    call, _ = long_call("lstm", SECONDS)

    def handler(*_):
        raise ZeroDivisionError("of the handler")

    alarm(handler)
    with pytest.raises(ZeroDivisionError, match="of the handler"):
        call()


def test_only_the_main_thread_is_interrupted(alarm):
    call, whole = long_call("lstm", SECONDS)
    ended = []

    def work():
        call()
        ended.append(time.perf_counter())

    worker = threading.Thread(target=work)

    def handler(*_):
        raise KeyboardInterrupt

    alarm(handler)
    worker.start()
    with pytest.raises(KeyboardInterrupt):
        time.sleep(whole * 10)
    worker.join()
    assert ended


def test_a_call_that_is_waited_for_ends_by_sigint():
    """As a user does it: from outside, with Python's own handler."""
    program = """
import numpy as np, gru_native, sys
layer = gru_native.GRU(8, 1024, seed=1)
x = np.ones((300000, 1, 8), np.float32)
print("begun", flush=True)
try:
    layer(x)
except KeyboardInterrupt:
    y = layer(x[:5])[0]
    print("interrupted", np.isfinite(y).all(), flush=True)
"""
    process = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "begun\n"
    time.sleep(0.3)
    process.send_signal(signal.SIGINT)
    assert process.communicate(timeout=60)[0] == "interrupted True\n"
    assert process.returncode == 0


def test_a_save_that_is_interrupted_leaves_the_old_file(tmp_path, alarm):
    path = tmp_path / "model"
    path.write_bytes(b"old")
    layer = gru_native.LSTM(2000, 2000, seed=1)

    def handler(*_):
        raise KeyboardInterrupt

    signal.signal(signal.SIGALRM, handler)
    for pause in (1e-4, 1e-3, 0.01, 0.03, 0.06, 0.1):
        try:
            signal.setitimer(signal.ITIMER_REAL, pause)
            gru_native.save(layer, path)
        except KeyboardInterrupt:
            pass
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
        assert os.listdir(tmp_path) == ["model"]
        assert path.read_bytes()[:3] == b"old" or gru_native.load(path).hidden_size == 2000
