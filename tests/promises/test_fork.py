"""A child of os.fork() computes, although the threads of its parent's team are not in it."""

import os

import pytest

from helpers import run_python

FORK = """
import os, signal, sys, threading
import numpy as np
import gru_native

gru_native.set_num_threads(2)
layer = gru_native.LSTM(64, 160, 2, seed=1)
x = np.random.default_rng(1).standard_normal((20, 4, 64)).astype(np.float32)

def run():
    y, _, tape = layer.forward(x)
    return y.tobytes() + layer.backward(tape, y).x.tobytes()

expected = run()                      # the team is up
busy = sys.argv[1] == "busy"
stop = threading.Event()
turns = []

def keep_computing():
    while not stop.is_set():
        turns.append(run() == expected)

worker = threading.Thread(target=keep_computing)
if busy:
    worker.start()

codes = []
for _ in range(10 if busy else 3):
    child = os.fork()
    if child == 0:
        signal.alarm(60)              # a child that hangs must not outlive the test
        code = 1
        try:
            right = run() == expected
            gru_native.set_num_threads(3)
            right = right and run() == expected and gru_native.get_num_threads() == 3
            code = 0 if right else 2
        finally:
            os._exit(code)
    codes.append(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
stop.set()
if busy:
    worker.join()
    assert turns and all(turns), turns
assert codes == [0] * len(codes), codes
assert run() == expected              # and the parent's team works on
print("fine")
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")
@pytest.mark.parametrize("parent", ["idle", "busy"])
def test_child_of_a_fork_computes(parent):
    """Forked while the parent's team waits, and while another thread is inside the core."""
    done = run_python(FORK, parent, timeout=120)
    assert done.stdout.strip() == "fine", done.stderr
