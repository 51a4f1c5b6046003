"""Streams and RTRL take one call at a time; streams write into any array, their own input too."""

import threading

import numpy as np
import pytest

import gru_native
from helpers import assert_same_bits, run_python

BUSY = """
import sys, threading
import numpy as np
import gru_native

kind = sys.argv[1]
sys.setswitchinterval(1e-6)
gru_native.set_num_threads(2)
layer = gru_native.GRU(8, 24, seed=1)
x = np.random.default_rng(1).standard_normal((40, 8)).astype(np.float32)
shared = gru_native.RTRL(layer) if kind == "rtrl" else (
    layer.stream() if kind == "stream" else gru_native.Chain([layer]).stream())
zeros = np.zeros((1, 1, 24), np.float32)
state = (zeros,) if kind == "chain" else zeros

def step():
    for x_t in x if kind == "rtrl" else [x] * 20:
        shared(x_t)

calls = [
    step,
    step,
    lambda: shared.state,
    lambda: setattr(shared, "state", state),
    shared.reset,
]
if kind == "rtrl":
    calls.append(lambda: shared.gradient(np.ones(24, np.float32)))
    calls.append(lambda: shared.reset_rows(np.ones(1, bool)))
refused = [0] * len(calls)
stop = threading.Event()

def work(number):
    while not stop.is_set():
        try:
            calls[number]()
        except RuntimeError as error:
            assert "in use by another call" in str(error), error
            refused[number] += 1

threads = [threading.Thread(target=work, args=(i,)) for i in range(len(calls))]
for thread in threads:
    thread.start()
stop.wait(2.0)
stop.set()
for thread in threads:
    thread.join()
assert sum(refused) > 0, refused
shared.reset()
fresh = gru_native.RTRL(layer) if kind == "rtrl" else layer.stream()
for x_t in x:
    assert shared(x_t).tobytes() == fresh(x_t).tobytes()
print("fine")
"""


OTHERS = """
import sys, threading
import numpy as np
import gru_native
from gru_native import decoding, optim

sys.setswitchinterval(1e-6)
if sys.argv[1] == "labels":
    networks = gru_native.LSTM(9, 40, seed=1), gru_native.Dense(49, 9, seed=2)
    joint = decoding.TransducerJoint(*networks)
    shared, x = joint.stream(), np.random.default_rng(1).standard_normal((60, 9), np.float32)
    expected = shared(x).tolist(), shared.scores.tolist()
    calls = [lambda: shared(x), lambda: shared(x), lambda: shared.scores, shared.reset]

    def again():
        shared.reset()
        return shared(x).tolist(), shared.scores.tolist()
else:
    layer = gru_native.Dense(500, 300, seed=1)
    shared, weights = optim.Adam(layer), layer.state_dict()
    empty = shared.state_dict()
    calls = [
        lambda: shared.step(weights),
        lambda: shared.step(weights),
        lambda: shared.load_state_dict(empty),
        shared.state_dict,
    ]

    def again():
        layer.load_state_dict(weights)
        shared.load_state_dict(empty)
        shared.step(weights)
        return [w.tobytes() for w in [*layer.weights.values(), *shared.state_dict().values()]]

    expected = again()
refused, stop = [0] * len(calls), threading.Event()

def work(number):
    while not stop.is_set():
        try:
            calls[number]()
        except RuntimeError as error:
            assert "in use by another call" in str(error), error
            refused[number] += 1

threads = [threading.Thread(target=work, args=(i,)) for i in range(len(calls))]
for thread in threads:
    thread.start()
stop.wait(1.0)
stop.set()
for thread in threads:
    thread.join()
assert sum(refused) > 0, refused
assert again() == expected
print("fine")
"""


@pytest.mark.parametrize("kind", ["stream", "chain", "rtrl"])
def test_a_second_call_at_once_is_refused(kind):
    """Every call and attribute, from many threads; afterwards the object is as good as new."""
    done = run_python(BUSY, kind)
    assert done.stdout.strip() == "fine", done.stderr


def test_a_stream_in_use_elsewhere_says_so(threads):
    threads(1)
    layer = gru_native.LSTM(64, 128, seed=1)
    stream, x = layer.stream(8), np.ones((3000, 8, 64), np.float32)
    worker = threading.Thread(target=stream, args=(x,))
    worker.start()

    def reset_until_the_call_ends():
        while worker.is_alive():
            stream.reset()

    with pytest.raises(RuntimeError, match=r"stream is in use by another call; expected one call"):
        reset_until_the_call_ends()
    worker.join()
    stream.reset()
    assert_same_bits(stream(x[:3]), layer(x[:3])[0])


@pytest.mark.parametrize("kind", ["labels", "optimizer"])
def test_what_else_takes_one_call_at_a_time(kind):
    done = run_python(OTHERS, kind)
    assert done.stdout.strip() == "fine", done.stderr


def rows_of(memory, first, shape):
    return memory[first : first + int(np.prod(shape))].reshape(shape)


@pytest.mark.parametrize("count", [1, 2])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_stream_writes_over_its_input(threads, count, dtype):
    threads(count)
    shape = (8, 600, 256)
    layer = gru_native.GRU(256, 256, dtype=dtype, seed=1)
    x = np.random.default_rng(1).standard_normal(shape).astype(dtype)
    expected = layer.stream(600)(x)
    both = x.copy()
    assert layer.stream(600)(both, out=both) is both
    assert_same_bits(both, expected)


@pytest.mark.parametrize("count", [1, 2])
@pytest.mark.parametrize("outputs", [24, 40, 64])
def test_out_that_overlaps_x(threads, count, outputs):
    threads(count)
    batch, steps, inputs = 40, 12, 40
    layer = gru_native.LSTM(inputs, outputs, seed=1)
    x = np.random.default_rng(1).standard_normal((steps, batch, inputs)).astype(np.float32)
    expected = layer.stream(batch)(x)
    for first_x, first_y in ((0, 0), (0, 7), (7, 0), (0, 1600), (1600, 0), (100, 9000)):
        memory = np.full(2 * batch * steps * 64, np.float32(np.nan))
        rows_of(memory, first_x, x.shape)[...] = x
        y = layer.stream(batch)(
            rows_of(memory, first_x, x.shape), out=rows_of(memory, first_y, expected.shape)
        )
        assert_same_bits(y, expected)


def test_out_at_an_odd_address():
    layer = gru_native.LSTM(5, 6, seed=1)
    x = np.random.default_rng(1).standard_normal((7, 5)).astype(np.float32)
    out = np.zeros(7 * 6 * 4 + 1, np.uint8)[1:].view(np.float32).reshape(7, 6)
    assert not out.flags.aligned
    assert layer.stream()(x, out=out) is out
    assert_same_bits(out, layer.stream()(x))
