"""The number of threads adapts, and no result does."""

import os

import numpy as np
import pytest

import gru_native
from helpers import assert_same_bits, assert_same_gradients, run_python

VARIABLE = "GRU_NATIVE_ADAPTIVE_THREADS"

# Both threads on one processor: each waits for the other's turn at every step, so two threads take
# many times as long as one. Prints the processor time of the other thread as a share of this one's:
# with threads that adapt, when they have, and with as many as were asked for.
ON_ONE_PROCESSOR = """
import os, time
os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
import numpy as np, gru_native
{CALL}
def share_of_the_other(adaptive, calls):
    gru_native.set_adaptive_threads(adaptive)
    all_threads, this = time.process_time(), time.thread_time()
    for _ in range(calls):
        assert call() == expected
    this = time.thread_time() - this
    return (time.process_time() - all_threads - this) / this
gru_native.set_num_threads(1)
expected = call()
gru_native.set_num_threads(2)
share_of_the_other(True, 300)
print(share_of_the_other(True, 400), share_of_the_other(False, 50))
"""


CALLS = {
    "layer": """
layer = gru_native.GRU(40, 64, seed=1)
x = np.random.default_rng(1).standard_normal((200, 1, 40)).astype(np.float32)
call = lambda: layer(x)[0].tobytes()
""",
    "weights": """
layer = gru_native.LSTM(64, 128, seed=1)
def call():
    with layer.editing() as weights:
        weights["bias_ih_l0"][0] = 1
    return layer.weights["bias_ih_l0"].tobytes()
""",
    "generate": """
decoder = gru_native.AttentionDecoder(1000, 64, 128, 64, cell="gru", seed=1)
memory = np.random.default_rng(1).standard_normal((20, 1, 64)).astype(np.float32)
call = lambda: repr(decoder.generate(memory, start=1, end=0, max_steps=20))
""",
}


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="no affinity on this system")
@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
def test_two_threads_on_one_processor_become_one(call):
    done = run_python(ON_ONE_PROCESSOR.replace("{CALL}", call))
    assert done.returncode == 0, done.stderr
    adaptive, fixed = map(float, done.stdout.split())
    assert adaptive < 0.2 < fixed


def test_same_bits_whatever_it_comes_to(threads):
    """More calls than it takes to see what one thread takes, to give way and to try again."""
    rng = np.random.default_rng(2)
    layer = gru_native.LSTM(24, 48, num_layers=2, seed=3)
    x = rng.standard_normal((30, 2, 24)).astype(np.float32)
    dy = rng.standard_normal((30, 2, 48)).astype(np.float32)
    lengths = np.array([30, 11])

    def results():
        y, state, tape = layer.forward(x, lengths=lengths)
        return y, state[0], layer.backward(tape, dy), layer(x, lengths=lengths)[0]

    threads(1)
    expected = results()
    threads(3)
    gru_native.set_adaptive_threads(True)
    for _ in range(700):
        y, h, grads, inferred = results()
        assert_same_bits(y, expected[0])
        assert_same_bits(h, expected[1])
        assert_same_gradients(grads, expected[2])
        assert_same_bits(inferred, expected[3])


def test_it_is_turned_off_and_on():
    before = gru_native.get_adaptive_threads()
    try:
        for adaptive in (False, True):
            gru_native.set_adaptive_threads(adaptive)
            assert gru_native.get_adaptive_threads() is adaptive
    finally:
        gru_native.set_adaptive_threads(before)


@pytest.mark.parametrize("value", [1, "yes", None, np.True_])
def test_only_a_bool_says_so(value):
    expected = rf"^adaptive is an? {type(value).__name__}; expected a bool$"
    with pytest.raises(TypeError, match=expected):
        gru_native.set_adaptive_threads(value)


@pytest.mark.parametrize(("value", "expected"), [("0", "False"), ("1", "True"), ("", "True")])
def test_environment_says_what_holds_at_the_start(value, expected):
    code = "import gru_native; print(gru_native.get_adaptive_threads())"
    assert run_python(code, **{VARIABLE: value}).stdout.strip() == expected


@pytest.mark.parametrize("value", ["2", "-1", "yes"])
def test_environment_that_makes_no_sense_is_an_error(value):
    done = run_python("import gru_native; gru_native.get_adaptive_threads()", **{VARIABLE: value})
    assert done.returncode == 1
    assert f"{VARIABLE} is {value!r}".replace("'", '"') in done.stderr
