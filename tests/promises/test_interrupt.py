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
from gru_native import decoding, losses

SECONDS = 1.5  # that a whole call takes
LATER = 0.1  # when the signal comes
random = np.random.default_rng(0)


def numbers(*shape):
    return random.standard_normal(shape).astype(np.float32)


# Each is a pair: an object that is used again, and make(n): a call whose time grows with n.


def recurrent(layer, batch=1, training=False, backward=False):
    def make(n):
        x = numbers(n, batch, layer.input_size)
        if not training:
            return lambda: layer(x)[0]
        if not backward:
            return lambda: layer.forward(x)[0]
        y, _, tape = layer.forward(x)
        dy = numbers(*y.shape)
        return lambda: layer.backward(tape, dy).weights["weight_hh_l0"]

    return make


def quantized(n):
    layer = gru_native.LSTM(8, 1024, seed=1).quantize("int8")
    return recurrent(layer)(n)


def stream(n):
    own = gru_native.LSTM(8, 1024, seed=1).stream()
    x = numbers(n, 8)

    def call():
        before = own.state
        try:
            return own(x)
        finally:
            # As before an interrupted call; and the next call begins anew.
            same = all(np.array_equal(a, b) for a, b in zip(own.state, before, strict=True))
            assert same or not STATE["interrupted"]
            own.reset()

    return call


def chain(n):
    own = gru_native.Chain([gru_native.GRU(8, 1024, seed=1), gru_native.Dense(1024, 8, seed=2)])
    x = numbers(n, 1, 8)
    return lambda: own(x)[0]


def dense(backward=False):
    layer = gru_native.Dense(2048, 2048, activation="tanh", seed=1)

    def make(n):
        x = numbers(max(n // 8, 1), 8, 2048)
        if not backward:
            return lambda: layer(x)
        y, tape = layer.forward(x)
        dy = numbers(*y.shape)
        return lambda: layer.backward(tape, dy).weights["weight"]

    return make


def one_step(n):  # of many rows: what is one piece to the time loop
    layer = gru_native.GRU(8, 1024, seed=1)
    x = numbers(2, n, 8)
    return lambda: layer(x)[0]


def rtrl(n):
    own = gru_native.RTRL(gru_native.GRU(n, n, seed=1))
    x = numbers(n)

    def call():
        before = own.state
        try:
            return own(x)
        finally:
            assert not STATE["interrupted"] or np.array_equal(own.state, before)
            own.reset()

    return call


def output_rnn(forced):
    layer = gru_native.OutputRNN(8, 1024, 64, seed=1)

    def make(n):
        x, targets = numbers(n, 2, 8), numbers(n, 2, 64)
        return lambda: layer(x, targets=targets if forced else None)[0]

    return make


def decoder(attention, backward=False):
    layer = gru_native.AttentionDecoder(1000, 64, 256, 128, attention=attention, seed=1)

    def make(n):
        targets, memory = random.integers(0, 1000, (n, 4)), numbers(200, 4, 128)
        if not backward:
            return lambda: layer(targets, memory)[0]
        logits, _, tape = layer.forward(targets, memory)
        return lambda: layer.backward(tape, logits).weights["weight_output"]

    return make


def trees(backward=False, nary=False):
    layer = (
        gru_native.NaryTreeLSTM(8, 512, 2, seed=1)
        if nary
        else gru_native.ChildSumTreeLSTM(8, 512, seed=1)
    )

    def make(n):
        parents = [(i - 1) // 2 if i else -1 for i in range(n)]
        slots = {"slots": [(i + 1) % 2 for i in range(n)]} if nary else {}
        x = numbers(n, 8)
        if not backward:
            return lambda: layer(x, parents, **slots)[0]
        h, _, tape = layer.forward(x, parents, **slots)
        dh = numbers(*h.shape)
        return lambda: layer.backward(tape, dh).weights["weight_ih"]

    return make


def graph(backward=False):
    layer = gru_native.GatedGraph(256, 6, seed=1)

    def make(n):
        x, edges = numbers(n, 8), np.array([range(n), [(i + 1) % n for i in range(n)]])
        if not backward:
            return lambda: layer(x, edges)
        h, tape = layer.forward(x, edges)
        dh = numbers(*h.shape)
        return lambda: layer.backward(tape, dh).weights["weight_hh"]

    return make


def readout(n):
    layer = gru_native.GraphSum(512, 8, 512, seed=1)
    h, x = numbers(n, 512), numbers(n, 8)
    return lambda: layer(h, x)


def grconv(n):
    layer = gru_native.GatedRecursiveConv(8, 512, seed=1)
    x = numbers(60, n, 8)
    return lambda: layer(x)


def ctc(n):
    logits, targets = numbers(500, n, 30), random.integers(1, 30, (n, 200))
    return lambda: losses.ctc(logits, targets, [500] * n, [200] * n)[1]


def ctc_beam(n):
    logits = numbers(200, n, 100)
    return lambda: decoding.ctc_beam(logits, beam_size=40)[0][0].ids


CASES = {
    "lstm": recurrent(gru_native.LSTM(8, 1024, seed=1)),
    "gru_of_small_size": recurrent(gru_native.GRU(3, 5, seed=1)),
    "layer_norm": recurrent(gru_native.LSTM(8, 512, layer_norm=True, seed=1)),
    "projection": recurrent(gru_native.LSTM(8, 1024, proj_size=256, seed=1), batch=4),
    "reset_before": recurrent(gru_native.GRU(8, 1024, reset_after=False, seed=1), batch=4),
    "two_directions": recurrent(gru_native.GRU(8, 512, 2, bidirectional=True, seed=1), batch=2),
    "large_input": recurrent(gru_native.RNN(4096, 1024, seed=1)),
    "forward": recurrent(gru_native.GRU(8, 512, seed=1), batch=4, training=True),
    "backward": recurrent(gru_native.LSTM(8, 512, seed=1), batch=4, training=True, backward=True),
    "one_step": one_step,
    "quantized": quantized,
    "stream": stream,
    "chain": chain,
    "dense": dense(),
    "dense_backward": dense(backward=True),
    "rtrl": rtrl,
    "output_rnn": output_rnn(forced=False),
    "output_rnn_forced": output_rnn(forced=True),
    "decoder": decoder("location"),
    "decoder_backward": decoder("additive", backward=True),
    "trees": trees(),
    "trees_backward": trees(backward=True),
    "nary_trees": trees(nary=True),
    "graph": graph(),
    "graph_backward": graph(backward=True),
    "readout": readout,
    "grconv": grconv,
    "ctc": ctc,
    "ctc_beam": ctc_beam,
}
STATE = {"interrupted": False}


def seconds(call):
    begin = time.perf_counter()
    call()
    return time.perf_counter() - begin


def long_call(name):
    """The call at a size that takes SECONDS; its time."""
    make = CASES[name]
    if name == "rtrl":  # whose time grows with the fourth power, and memory with the third
        call = make(400)
        return call, seconds(call)
    n = 16
    while True:
        call = make(n)
        took = min(seconds(call), seconds(call))
        if took > 0.05:
            break
        n *= 2
    factor = SECONDS / took
    return make(int(n * factor)), factor * took


@pytest.fixture
def alarm():
    """Sets a handler of SIGALRM, which comes LATER, or sooner."""

    def set_handler(handler, later=LATER):
        signal.signal(signal.SIGALRM, handler)
        signal.setitimer(signal.ITIMER_REAL, later)

    before = signal.getsignal(signal.SIGALRM)
    yield set_handler
    signal.setitimer(signal.ITIMER_REAL, 0)
    signal.signal(signal.SIGALRM, before)


@pytest.fixture
def threads():
    before = gru_native.get_num_threads()
    yield gru_native.set_num_threads
    gru_native.set_num_threads(before)


ALONE = ["lstm", "two_directions", "stream", "dense_backward", "rtrl", "ctc"]


@pytest.mark.parametrize(
    ("name", "members"), [*((name, 2) for name in CASES), *((name, 1) for name in ALONE)]
)
def test_calls_end_soon(name, members, threads, alarm):
    threads(members)
    make = CASES[name]
    small = make(6)
    expected = small()
    call, whole = long_call(name)
    STATE["interrupted"] = True
    came = []

    def handler(*_):
        came.append(time.perf_counter())
        raise KeyboardInterrupt

    alarm(handler, min(LATER, whole / 5))
    try:
        with pytest.raises(KeyboardInterrupt):
            call()
        late = time.perf_counter() - came[0]
    finally:
        STATE["interrupted"] = False
    print(f"{name}: {late:.3f} s")
    assert late < whole / 2
    np.testing.assert_array_equal(small(), expected)


@pytest.mark.parametrize("members", [1, 2])
def test_a_handler_that_returns_lets_the_call_go_on(members, threads, alarm):
    threads(members)
    layer = gru_native.LSTM(8, 1024, seed=1)
    call, _ = long_call("lstm")
    expected = call()
    inside = []

    def handler(*_):
        inside.append(layer(np.ones((3, 1, 8), np.float32))[0])  # it may compute, too

    alarm(handler)
    np.testing.assert_array_equal(call(), expected)
    np.testing.assert_array_equal(inside, [layer(np.ones((3, 1, 8), np.float32))[0]])


def test_other_errors_of_a_handler_come_out(alarm):
    call, _ = long_call("lstm")

    def handler(*_):
        raise ZeroDivisionError("of the handler")

    alarm(handler)
    with pytest.raises(ZeroDivisionError, match="of the handler"):
        call()


def test_only_the_main_thread_is_interrupted(alarm):
    call, whole = long_call("lstm")
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
