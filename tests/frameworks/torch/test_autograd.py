"""gru_native.torch's modules in what PyTorch programs do with modules."""

import copy
import io
import os
import threading

import numpy as np
import pytest

from helpers import run_python

torch = pytest.importorskip("torch")
from torch import nn  # noqa: E402

import gru_native.torch as ours  # noqa: E402


class Tagger(nn.Module):
    """Two recurrent layers among others, one of them used twice."""

    def __init__(self):
        super().__init__()
        self.embed = nn.Embedding(11, 6)
        self.layers = nn.ModuleList([nn.LSTM(6, 8, batch_first=True, bidirectional=True)])
        self.gru = nn.GRU(16, 16, batch_first=True)
        self.head = nn.Linear(16, 5)

    def forward(self, tokens):
        y, _ = self.layers[0](self.embed(tokens))
        y, h = self.gru(y)
        y, _ = self.gru(y, h)
        return self.head(torch.relu(y))


def tagger():
    torch.manual_seed(0)
    return Tagger()


TOKENS = torch.tensor([[1, 4, 2, 10, 0], [7, 7, 3, 2, 9], [5, 1, 1, 0, 6]])


def assert_near(found, expected):
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-6)


def gradients(model, tokens=TOKENS):
    model.zero_grad()
    model(tokens).square().sum().backward()
    return {name: p.grad.clone() for name, p in model.named_parameters()}


def train(model, optimizer, steps=4):
    """The losses of a few steps, with gradients clipped."""
    losses = []
    for _ in range(steps):
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(model(TOKENS).flatten(0, 1), TOKENS.flatten() % 5)
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 0.5)
        optimizer.step()
        losses.append(loss.item())
    return losses


# --- accelerate and restore


def test_accelerate_and_restore_change_the_class_and_nothing_else():
    model = tagger()
    before = dict(model.named_modules())
    parameters = {name: (id(p), p.data_ptr()) for name, p in model.named_parameters()}
    expected = gradients(model)
    assert ours.accelerate(model) is model
    assert type(model.gru) is ours.GRU
    assert type(model.layers[0]) is ours.LSTM
    assert dict(model.named_modules()) == before  # the same objects
    assert {n: (id(p), p.data_ptr()) for n, p in model.named_parameters()} == parameters
    for name, gradient in gradients(model).items():
        assert_near(gradient, expected[name])
    assert ours.restore(model) is model
    assert type(model.gru) is nn.GRU
    assert type(model.layers[0]) is nn.LSTM
    assert "_made" not in model.gru.__dict__
    for name, gradient in gradients(model).items():
        assert torch.equal(gradient, expected[name])


def test_a_model_that_is_itself_a_layer():
    layer = nn.RNN(3, 4, nonlinearity="relu")
    x = torch.randn(5, 2, 3)
    expected = layer(x)[0]
    assert type(ours.accelerate(layer)) is ours.RNN
    assert_near(layer(x)[0], expected)


def test_subclasses_and_own_options_are_left_alone():
    class Mine(nn.LSTM):
        pass

    model = nn.ModuleList([Mine(3, 4), ours.LSTM(3, 4, peephole=True), ours.GRU(3, 4)])
    ours.accelerate(model)
    assert type(model[0]) is Mine
    ours.restore(model)
    assert [type(m) for m in model] == [Mine, ours.LSTM, nn.GRU]


@pytest.mark.parametrize("function", [ours.accelerate, ours.restore])
def test_no_model(function):
    with pytest.raises(TypeError, match=r"model is a dict; expected a torch\.nn\.Module"):
        function({})


def test_hooks_run():
    model = tagger()
    seen = []
    model.gru.register_forward_pre_hook(lambda m, args: seen.append("before"))
    model.gru.register_forward_hook(lambda m, args, out: seen.append(out[0].shape))
    model.gru.register_full_backward_hook(lambda m, gi, go: seen.append(gi[0].shape))
    model.gru.weight_hh_l0.register_hook(lambda g: seen.append("weight"))
    gradients(model)
    expected, seen[:] = list(seen), []
    ours.accelerate(model)
    gradients(model)
    assert seen == expected
    assert len(seen) > 6


# --- weights that change


def write_data(weight):
    weight.data[3] += 1


def write_numpy(weight):
    weight.detach().numpy()[2, 1] = 7


def write_under_no_grad(weight):
    with torch.no_grad():
        weight.mul_(-1)


def other_memory(weight):
    weight.data = torch.randn_like(weight)


def transposed_memory(weight):
    weight.data = torch.randn(weight.shape[::-1]).t()


@pytest.mark.parametrize(
    "write", [write_data, write_numpy, write_under_no_grad, other_memory, transposed_memory]
)
@pytest.mark.parametrize("grad", [True, False])
def test_the_next_call_sees_weights_written_in_any_way(write, grad):
    mine = ours.LSTM(3, 4)
    x = torch.randn(5, 2, 3)
    with torch.set_grad_enabled(grad):
        old = mine(x)[0]
        write(mine.weight_hh_l0)
        new = mine(x)[0]
        assert not torch.equal(new, old)
        theirs = nn.LSTM(3, 4)
        theirs.load_state_dict(mine.state_dict())
        assert_near(new, theirs(x)[0])


def test_gradients_are_those_of_the_weights_and_inputs_of_the_call():
    mine = ours.GRU(3, 4)
    x = torch.randn(5, 2, 3, requires_grad=True)

    def run(between):
        y, _ = mine(x)
        loss = y.square().sum()
        kept = copy.deepcopy(mine.state_dict()), x.detach().clone()
        between()
        loss.backward()
        mine.load_state_dict(kept[0])
        found = x.grad.clone()
        x.grad = None
        with torch.no_grad():
            x.copy_(kept[1])
        return found

    def spoil():
        mine.weight_ih_l0.data.zero_()
        x.data.zero_()
        mine(x)

    assert torch.equal(run(spoil), run(lambda: None))


@pytest.mark.parametrize("fused", [False, True])
def test_training_with_adam_follows_torch(fused):
    theirs, mine = tagger(), ours.accelerate(tagger())
    expected = train(theirs, torch.optim.Adam(theirs.parameters(), 0.05, fused=fused))
    found = train(mine, torch.optim.Adam(mine.parameters(), 0.05, fused=fused))
    np.testing.assert_allclose(found, expected, rtol=1e-4)
    assert expected[-1] < 0.9 * expected[0]


def test_only_what_requires_grad_gets_a_gradient():
    mine = ours.LSTM(3, 4)
    x = torch.randn(5, 2, 3)
    whole = torch.autograd.grad(mine(x)[0].sum(), list(mine.parameters()))
    mine.weight_ih_l0.requires_grad_(False)
    mine(x)[0].sum().backward()
    assert mine.weight_ih_l0.grad is None
    assert torch.equal(mine.weight_hh_l0.grad, whole[1])
    mine.requires_grad_(False)
    assert not mine(x)[0].requires_grad
    x.requires_grad_()
    mine(x)[0].sum().backward()
    theirs = nn.LSTM(3, 4).requires_grad_(False)
    theirs.load_state_dict(mine.state_dict())
    assert_near(x.grad, torch.autograd.grad(theirs(x)[0].sum(), x)[0])


def test_weights_that_are_computed_of_parameters():
    theirs = nn.GRU(3, 4)
    mine = ours.GRU(3, 4)
    mine.load_state_dict(theirs.state_dict())
    for module in (theirs, mine):
        nn.utils.parametrizations.weight_norm(module, "weight_hh_l0")
        module.parametrizations.weight_hh_l0.original0.data.mul_(3)
    x = torch.randn(5, 2, 3)
    found, expected = mine(x)[0], theirs(x)[0]
    assert_near(found, expected)
    parameters = [list(module.parameters()) for module in (mine, theirs)]
    for a, b in zip(
        torch.autograd.grad(found.sum(), parameters[0]),
        torch.autograd.grad(expected.sum(), parameters[1]),
        strict=True,
    ):
        assert_near(a, b)


# --- copies, files, functional calls


def own_modules():
    torch.manual_seed(1)
    return [
        ours.LSTM(3, 4, proj_size=2, num_layers=2),
        ours.LSTM(3, 4, peephole=True, coupled_gates=True),
        ours.GRU(3, 4, reset_after=False, bidirectional=True),
        ours.accelerate(nn.RNN(3, 4)),
    ]


def through_file(module):
    file = io.BytesIO()
    torch.save(module, file)
    file.seek(0)
    return torch.load(file, weights_only=False)


@pytest.mark.parametrize("copied", [copy.deepcopy, copy.copy, through_file])
@pytest.mark.parametrize("called", [False, True])
@pytest.mark.parametrize("module", own_modules(), ids=repr)
def test_copies_compute_the_same(copied, called, module):
    x = torch.randn(5, 2, 3)
    if called:
        module(x)
    twin = copied(module)
    assert "_made" not in twin.__dict__
    assert repr(twin) == repr(module)
    assert type(twin) is type(module)
    assert torch.equal(twin(x)[0], module(x)[0])
    if copied is not copy.copy:
        with torch.no_grad():
            twin.weight_hh_l0.mul_(2)
        assert not torch.equal(twin(x)[0], module(x)[0])


def test_state_dict_goes_between_torch_and_here():
    theirs, mine = tagger(), ours.accelerate(Tagger())
    file = io.BytesIO()
    torch.save(theirs.state_dict(), file)
    file.seek(0)
    mine.load_state_dict(torch.load(file))
    assert list(mine.state_dict()) == list(theirs.state_dict())
    assert_near(mine(TOKENS), theirs(TOKENS))


def test_another_dtype_after_a_call():
    mine = ours.LSTM(3, 4)
    x = torch.randn(5, 2, 3)
    y = mine(x)[0]
    wide = mine.double()(x.double())[0]
    assert wide.dtype == torch.float64
    assert_near(wide.float(), y)
    assert torch.equal(mine.float()(x)[0], y)


def test_functional_call_computes_with_the_weights_that_it_is_given():
    model = ours.accelerate(tagger().double())
    reference = tagger().double()
    own = model(TOKENS)
    other = {name: torch.randn_like(p).requires_grad_() for name, p in model.named_parameters()}
    found = torch.func.functional_call(model, other, TOKENS)
    expected = torch.func.functional_call(reference, other, TOKENS)
    assert_near(found, expected)
    pairs = zip(
        torch.autograd.grad(found.sum(), list(other.values())),
        torch.autograd.grad(expected.sum(), list(other.values())),
        strict=True,
    )
    for mine, theirs in pairs:
        assert_near(mine, theirs)
    assert torch.equal(model(TOKENS), own)


def test_func_grad_takes_first_derivatives():
    mine = ours.LSTM(3, 4)
    x = torch.randn(5, 2, 3)
    weights = {name: p.detach() for name, p in mine.named_parameters()}

    def loss(weights):
        return torch.func.functional_call(mine, weights, (x,))[0].square().sum()

    found = torch.func.grad(loss)(weights)
    mine(x)[0].square().sum().backward()
    for name, p in mine.named_parameters():
        assert torch.equal(found[name], p.grad), name


# --- autograd's rules


@pytest.mark.parametrize("module", own_modules(), ids=repr)
def test_gradcheck(module):
    module = copy.deepcopy(module).double()
    x = torch.randn(4, 2, 3, dtype=torch.float64, requires_grad=True)
    weights = list(module.parameters())
    assert torch.autograd.gradcheck(lambda x, *_: module(x)[0], (x, *weights))


def test_a_graph_is_used_once_unless_it_is_retained():
    mine = ours.LSTM(3, 4)
    loss = mine(torch.randn(5, 2, 3))[0].sum()
    loss.backward(retain_graph=True)
    first = mine.weight_hh_l0.grad.clone()
    loss.backward()
    assert torch.equal(mine.weight_hh_l0.grad, 2 * first)
    with pytest.raises(RuntimeError, match="backward through the graph a second time"):
        loss.backward()


def test_backward_frees_the_tape():
    from gru_native.torch import _function

    mine = ours.LSTM(3, 4)
    others = set(_function._tapes)
    loss = mine(torch.randn(5, 2, 3))[0].sum()
    assert len(set(_function._tapes) - others) == 1
    loss.backward()
    assert not set(_function._tapes) - others
    unused = mine(torch.randn(5, 2, 3))
    assert len(set(_function._tapes) - others) == 1
    del unused
    assert not set(_function._tapes) - others


def by_grad(mine, x):
    (dx,) = torch.autograd.grad(mine(x)[0].sum(), x, create_graph=True)
    assert torch.equal(dx, torch.autograd.grad(mine(x)[0].sum(), x)[0])
    torch.autograd.grad(dx.sum(), x)


def by_penalty(mine, x):
    loss = mine(x)[0].sum()
    (dx,) = torch.autograd.grad(loss, x, create_graph=True)
    (loss + dx.square().sum()).backward()


def by_func(mine, x):
    torch.func.grad(lambda x: torch.func.grad(lambda x: mine(x)[0].sum())(x).sum())(x)


@pytest.mark.parametrize("twice", [by_grad, by_penalty, by_func])
def test_a_second_derivative_is_an_error(twice):
    x = torch.randn(5, 2, 3, requires_grad=True)
    with pytest.raises(RuntimeError, match=r"gru_native\.torch has no second derivatives"):
        twice(ours.LSTM(3, 4), x)


def test_checkpoints_recompute():
    from torch.utils.checkpoint import checkpoint

    mine = ours.LSTM(3, 4, num_layers=2, dropout=0.5)
    x = torch.randn(5, 2, 3, requires_grad=True)

    def run(call):
        torch.manual_seed(3)
        return torch.autograd.grad(call(x)[0].sum(), [x, *mine.parameters()])

    for found, expected in zip(
        run(lambda x: checkpoint(mine, x, use_reentrant=False)), run(mine), strict=True
    ):
        assert torch.equal(found, expected)


def test_saved_tensors_that_are_copied_cannot_bring_the_tape_back():
    mine = ours.LSTM(3, 4)
    with torch.autograd.graph.save_on_cpu():
        mine(torch.randn(5, 2, 3))[0].sum().backward()  # copies nothing that is there already
    with torch.autograd.graph.saved_tensors_hooks(torch.clone, lambda saved: saved):
        y = mine(torch.randn(5, 2, 3))[0]
    with pytest.raises(RuntimeError, match="saved tensors of this call were copied"):
        y.sum().backward()


# --- dropout, autocast, threads


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
