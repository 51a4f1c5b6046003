"""Modules under autograd and torch.func: what may be differentiated, how often, what is freed."""

import copy

import pytest

torch = pytest.importorskip("torch")
from torch import nn  # noqa: E402

import gru_native.torch as ours  # noqa: E402
from torch_models import TOKENS, assert_near, own_modules, tagger  # noqa: E402


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


@pytest.mark.parametrize("kind", [ours.RNN, ours.LSTM, ours.GRU])
def test_vmap_is_an_error(kind):
    with pytest.raises(RuntimeError, match=r"vmap"):
        torch.func.vmap(kind(3, 4))(torch.randn(2, 5, 2, 3))


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
