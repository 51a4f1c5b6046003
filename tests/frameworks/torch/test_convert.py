"""from_torch and to_torch: weights to the bit, both ways; options of this package's own modules."""

import numpy as np
import pytest

import gru_native
from helpers import assert_same_bits

torch = pytest.importorskip("torch")
from torch import nn  # noqa: E402

import gru_native.torch as ours  # noqa: E402

SHARED = [
    lambda d: gru_native.LSTM(3, 5, dtype=d, seed=1),
    lambda d: gru_native.LSTM(3, 5, 2, bidirectional=True, proj_size=2, dtype=d, seed=1),
    lambda d: gru_native.GRU(3, 5, 2, bias=False, batch_first=True, dtype=d, seed=1),
    lambda d: gru_native.RNN(3, 5, 2, nonlinearity="relu", dropout=0.25, dtype=d, seed=1),
    lambda d: gru_native.RNN(3, 5, dtype=d, seed=1),
]
OWN = [
    lambda d: gru_native.LSTM.variant("CIFG", 3, 5, num_layers=2, dtype=d, seed=1),
    lambda d: gru_native.LSTM(
        3, 5, proj_size=2, nonrecurrent_proj_size=4, cell_clip=0.5, dtype=d, seed=1
    ),
    lambda d: gru_native.LSTM(3, 5, forget_gate=False, output_activation="relu", dtype=d, seed=1),
    lambda d: gru_native.GRU(3, 5, reset_after=False, bidirectional=True, dtype=d, seed=1),
    lambda d: gru_native.GRU(3, 5, candidate_activation="sigmoid", dtype=d, seed=1),
]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("make", SHARED + OWN)
def test_there_and_back(make, dtype):
    layer = make(dtype)
    module = ours.to_torch(layer)
    own_options = make in OWN
    kinds = {gru_native.LSTM: "LSTM", gru_native.GRU: "GRU", gru_native.RNN: "RNN"}
    assert type(module) is getattr(ours if own_options else nn, kinds[type(layer)])
    assert list(module.state_dict()) == list(layer.weights)
    for name, tensor in module.state_dict().items():
        assert_same_bits(tensor.numpy(), layer.weights[name], name)
    back = ours.from_torch(module)
    assert repr(back) == repr(layer)
    for name, w in layer.weights.items():
        assert_same_bits(back.weights[name], w, name)
    x = np.random.default_rng(2).standard_normal((4, 2, 3)).astype(dtype)
    assert_same_bits(back(x)[0], layer(x)[0])
    y, _ = ours.accelerate(module).eval()(torch.from_numpy(x))
    assert_same_bits(y.detach().numpy(), layer(x)[0])


@pytest.mark.parametrize("make", SHARED)
def test_the_module_computes_what_the_layer_does(make):
    layer = make(np.float64)
    x = np.random.default_rng(2).standard_normal((4, 2, 3))
    y, _ = ours.to_torch(layer).eval()(torch.from_numpy(x))
    np.testing.assert_allclose(y.detach().numpy(), layer(x)[0], rtol=0, atol=1e-14)


def test_what_is_converted_is_a_copy():
    layer = gru_native.LSTM(3, 5, seed=1)
    module = ours.to_torch(layer)
    with torch.no_grad():
        module.weight_hh_l0.zero_()
    assert layer.weights["weight_hh_l0"].all()
    back = ours.from_torch(module)
    with torch.no_grad():
        module.weight_ih_l0.zero_()
    assert back.weights["weight_ih_l0"].all()


@pytest.mark.parametrize("make", OWN)
def test_own_options_through_autograd(make):
    """Forward and every gradient are those of the layer on NumPy arrays, to the bit."""
    layer = make(np.float64)
    module = ours.to_torch(layer)
    rng = np.random.default_rng(3)
    x = rng.standard_normal((4, 2, 3))
    tensor = torch.from_numpy(x).requires_grad_()
    y, final, tape = layer.forward(x)
    grads = layer.backward(tape, y)
    y_module, final_module = module(tensor)
    assert_same_bits(y_module.detach().numpy(), y)
    pairs = zip(
        final if isinstance(final, tuple) else (final,),
        final_module if isinstance(final_module, tuple) else (final_module,),
        strict=True,
    )
    for expected, found in pairs:
        assert_same_bits(found.detach().numpy(), expected)
    y_module.backward(torch.from_numpy(y))
    assert_same_bits(tensor.grad.numpy(), grads.x)
    for name, p in module.named_parameters():
        assert_same_bits(p.grad.numpy(), grads.weights[name], name)


def test_options_in_constructor_and_repr():
    module = ours.LSTM(3, 4, 2, False, dropout=0.5, peephole=True, cell_clip=3.0)
    assert repr(module) == (
        "LSTM(3, 4, num_layers=2, bias=False, dropout=0.5, peephole=True, cell_clip=3.0)"
    )
    assert [n for n, _ in module.named_parameters()] == [
        f"weight_{part}_l{layer}" for layer in (0, 1) for part in ("ih", "hh", "ci", "cf", "co")
    ]
    assert [len(w) for w in module.all_weights] == [5, 5]
    assert repr(ours.GRU(3, 4, reset_after=True)) == repr(nn.GRU(3, 4))
    with pytest.raises(TypeError, match="coupled"):
        ours.GRU(3, 4, coupled_gates=True)
    with pytest.raises(ValueError, match="coupled_gates is True; expected both"):
        ours.LSTM(3, 4, coupled_gates=True, input_gate=False)


@pytest.mark.parametrize("options", [{}, {"peephole": True}])
def test_initialisation_is_torchs(options):
    torch.manual_seed(4)
    mine = ours.LSTM(20, 100, **options)
    torch.manual_seed(4)
    again = ours.LSTM(20, 100, **options)
    for name, p in mine.named_parameters():
        assert torch.equal(p, again.state_dict()[name])
        assert 0.095 < p.abs().max() <= 0.1
    if not options:
        torch.manual_seed(4)
        theirs = nn.LSTM(20, 100)
        for name, p in mine.named_parameters():
            assert torch.equal(p, theirs.state_dict()[name])


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: ours.from_torch(nn.PReLU()), TypeError, "module is a PReLU; expected"),
        (
            lambda: ours.from_torch(nn.GRU(3, 4).half()),
            ValueError,
            "weights of dtype torch.float16",
        ),
        (lambda: ours.to_torch(gru_native.Dense(3, 4)), TypeError, "layer is a Dense; expected"),
    ],
)
def test_errors(call, error, message):
    with pytest.raises(error, match=message):
        call()


def test_an_own_module_in_training_without_autograd():
    """What options draw at random needs training's way; without such options it draws nothing."""
    module = ours.GRU(3, 4, reset_after=False)
    x = torch.randn(5, 2, 3)
    with torch.no_grad():
        training = module(x)[0]
        assert torch.equal(training, module.eval()(x)[0])
    with pytest.raises(ValueError, match=r"state has shape \(1, 2, 5\); expected"):
        module(x, torch.zeros(1, 2, 5))
