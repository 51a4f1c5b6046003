"""PyTorch's random numbers, autocast and threads."""

import os
import threading

import pytest

from helpers import run_python

torch = pytest.importorskip("torch")
from torch import nn  # noqa: E402

import gru_native.torch as ours  # noqa: E402
from torch_models import assert_near  # noqa: E402


def test_dropout_is_drawn_from_torchs_generator():
    mine = ours.GRU(3, 16, num_layers=2, dropout=0.5)
    x = torch.randn(5, 2, 3)

    def run(seed):
        torch.manual_seed(seed)
        return mine(x)[0]

    assert torch.equal(run(1), run(1))
    assert not torch.equal(run(1), run(2))
    torch.manual_seed(1)
    first = mine(x)[0]
    assert not torch.equal(mine(x)[0], first)
    with torch.no_grad():  # training goes by the module's mode, not by autograd's
        assert torch.equal(run(1), first)
    mine.eval()
    assert torch.equal(run(1), run(2))
    theirs = nn.GRU(3, 16, num_layers=2, dropout=0.5).eval()
    theirs.load_state_dict(mine.state_dict())
    assert_near(mine(x)[0], theirs(x)[0])


def test_autocast_computes_in_the_dtype_of_the_weights():
    model = ours.accelerate(nn.ModuleList([nn.Linear(3, 3), nn.LSTM(3, 4)]))
    x = torch.randn(5, 2, 3)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        middle = model[0](x)
        y, _ = model[1](middle)
    assert middle.dtype == torch.bfloat16
    assert y.dtype == torch.float32
    assert torch.equal(y, model[1](middle.float())[0])
    y.sum().backward()
    assert model[0].weight.grad.dtype == torch.float32


THREADS = """
import os, sys, torch, gru_native, gru_native.torch
gru_native.set_num_threads(2)
torch.set_num_threads(int(sys.argv[1]))
layer = gru_native.torch.LSTM(64, 128)
x = torch.zeros(50, 4, 64)  # too small for threads of PyTorch


def threads():
    return len(os.listdir("/proc/self/task"))


before = threads()
layer(x)[0].sum().backward()
after = threads()
torch.ones(10**6).add(1)
print(after - before, threads() - before)
"""


@pytest.mark.skipif(not os.path.exists("/proc/self/task"), reason="threads are counted in /proc")
@pytest.mark.parametrize("threads", [1, 2])
def test_the_threads_are_torchs_and_as_many(threads):
    """What the layer's call brings to life, PyTorch's next operation uses."""
    done = run_python(THREADS, threads)
    assert done.stdout.split() == 2 * [str(threads - 1)], done.stderr


FORK = """
import os, signal, torch, gru_native, gru_native.torch
gru_native.set_num_threads(2)
torch.set_num_threads(2)
torch.manual_seed(0)
layer = gru_native.torch.LSTM(64, 128)
x = torch.randn(50, 4, 64)
expected = layer(x)[0]
child = os.fork()
if child == 0:
    signal.alarm(60)  # a child that hangs must not outlive the test
    os._exit(0 if torch.equal(layer(x)[0], expected) else 2)
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")
def test_the_child_of_a_fork_computes():
    """Although PyTorch's threads are not in it, and OpenMP would wait for them forever."""
    done = run_python(FORK)
    assert done.stdout.strip() == "0", done.stderr


def test_many_python_threads_share_a_module():
    mine = ours.LSTM(8, 32)
    xs = torch.randn(6, 20, 2, 8)
    expected = [mine(x)[0].detach() for x in xs]
    wrong = []

    def work(i):
        for _ in range(20):
            y = mine(xs[i])[0]
            y.sum().backward()
            if not torch.equal(y, expected[i]):
                wrong.append(i)

    workers = [threading.Thread(target=work, args=(i,)) for i in range(6)]
    for w in workers:
        w.start()
    for w in workers:
        w.join()
    assert not wrong
