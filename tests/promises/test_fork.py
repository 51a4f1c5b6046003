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


EVERYWHERE = """
import os, signal, sys, threading
import numpy as np
import gru_native

with_torch, count = sys.argv[1] == "torch", int(sys.argv[2])
gru_native.set_num_threads(2)
layer = gru_native.LSTM(16, 48, 2, seed=1)
tree = gru_native.ChildSumTreeLSTM(4, 8, seed=1)
x = np.random.default_rng(1).standard_normal((12, 4, 16)).astype(np.float32)

def run():
    y, _, tape = layer.forward(x)
    return y.tobytes() + layer.backward(tape, y).x.tobytes()

edited = gru_native.Chain([gru_native.GRU(16, 32), gru_native.Dense(32, 4)])
fresh = gru_native.Chain([gru_native.GRU(16, 32), gru_native.Dense(32, 4)])
states = [edited.state_dict(), {n: -w for n, w in edited.state_dict().items()}]

def edit():
    for state in states:
        edited.load_state_dict(state)

def is_whole(state):  # that of one edit, and the chain computes with it
    fresh.load_state_dict(state)
    right = edited(x)[0].tobytes() == fresh(x)[0].tobytes()
    return right and any(all((own[n] == state[n]).all() for n in own) for own in states)

from gru_native import decoding, losses, optim
decoder = gru_native.AttentionDecoder(50, 8, 32, 16, seed=1)
tokens, memory = np.ones((9, 4), np.int64), np.ones((9, 4, 16), np.float32)
softmax, targets = losses.ClassSoftmax(16, 300, seed=1), np.ones((12, 4), np.int64)
table, other = gru_native.Embedding(9, 8, seed=1), gru_native.Dense(16, 9, seed=1)
adam = optim.Adam(other)
joint = decoding.TransducerJoint(gru_native.LSTM(9, 7, seed=1), gru_native.Dense(23, 9, seed=1))
gradients, weights = other.state_dict(), other.state_dict()
each = threading.Lock()

def learn():
    with each:
        adam.step(gradients)
        other.load_state_dict(weights)

def run_others():
    logits, _, tape = decoder.forward(tokens, memory)
    results = [logits, decoder.backward(tape, logits).memory, softmax.top_k(x, 3)[1]]
    results.append(softmax.backward(softmax.forward(x, targets)[1]).x)
    results.append(table(tokens % 9))
    results.append(np.array([h.score for h in decoding.transducer_beam(joint, x[:, 0])]))
    return b"".join(r.tobytes() for r in results)

layers_alone = run
run = lambda: layers_alone() + run_others()

works = [
    run_others,
    learn,
    run,
    edit,
    lambda: edited(x),
    lambda: gru_native.GRU(16, 32).stream(4)(x),
    lambda: tree.forward(np.ones((3, 4), np.float32), [1, 2, -1]),
]
if with_torch:
    import torch, gru_native.torch
    torch.manual_seed(1)
    modules = [gru_native.torch.LSTM(16, 48), gru_native.torch.GRU(16, 48)]
    input = torch.from_numpy(x)

    def infer():
        with torch.no_grad():
            return modules[0](input)[0].numpy().tobytes()

    def train():
        modules[1](input)[0].sum().backward()
        with torch.no_grad():
            for p in modules[1].parameters():
                p -= 0.001 * p.grad

    works = [train, infer, lambda: modules[0](input)[0].sum().backward()]
    alone, run = run, lambda: alone() + infer()

expected = run()
stop = threading.Event()

def keep_busy(number):
    turn = number
    while not stop.is_set():
        works[turn % len(works)]()
        turn += 1

threads = [threading.Thread(target=keep_busy, args=(i,)) for i in range(3)]
for thread in threads:
    thread.start()
codes = []
for _ in range(count):
    child = os.fork()
    if child == 0:
        signal.alarm(60)
        code = 1
        try:
            right = run() == expected and is_whole(edited.state_dict())
            edit()
            gru_native.GRU(2, 3)
            try:
                adam.state_dict()
            except RuntimeError as error:  # it was inside a step
                right = right and "in use by another call" in str(error)
            code = 0 if right else 2
        finally:
            os._exit(code)
    codes.append(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
    if codes[-1]:
        break
stop.set()
for thread in threads:
    thread.join()
print(set(codes), run() == expected)
"""


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")
@pytest.mark.parametrize("through", ["gru_native", "torch"])
def test_children_of_a_process_that_is_busy_everywhere(through):
    """Forward, backward, editing, loading, making layers; cpp/tests/runtime/forks.cpp does more."""
    if through == "torch":
        pytest.importorskip("torch")
    done = run_python(EVERYWHERE, through, 60, timeout=600)
    assert done.stdout.strip() == "{0} True", done.stdout + done.stderr
