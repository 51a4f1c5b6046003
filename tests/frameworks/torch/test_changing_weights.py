"""Weights that others change between calls, and while autograd waits."""

import copy

import numpy as np
import pytest

torch = pytest.importorskip("torch")
from torch import nn  # noqa: E402

import gru_native.torch as ours  # noqa: E402
from torch_models import assert_near, tagger, train  # noqa: E402


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
