"""from_torch of Sequentials and modules that hold known ones: chains with the same numbers."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")
from torch import nn  # noqa: E402

import gru_native  # noqa: E402
from gru_native.torch import from_torch  # noqa: E402
from helpers import assert_same_bits  # noqa: E402

F = nn.functional


def close(ours, theirs, tolerance=1e-11):
    expected = theirs.detach().numpy()
    assert ours.shape == expected.shape
    assert np.abs(ours - expected).max() < tolerance


def drawn(module, seed):
    """In float64, with random weights and statistics."""
    torch.manual_seed(seed)
    module = module.double().eval()
    for m in module.modules():
        if isinstance(m, nn.BatchNorm1d):
            m.running_mean.uniform_(-1, 1)
            m.running_var.uniform_(0.3, 2)
        for p in m.parameters(recurse=False):
            nn.init.uniform_(p, -0.7, 0.7)
    return module


@pytest.mark.parametrize("seed", range(6))
def test_sequentials_over_channels(seed):
    rng = np.random.default_rng(seed)
    activations = [nn.ReLU(), nn.LeakyReLU(0.03), nn.ELU(0.7), nn.Hardsigmoid(), nn.Softsign()]
    model = nn.Sequential(
        nn.Conv1d(4, 6, int(rng.integers(1, 4)), padding=int(rng.integers(0, 2)), dilation=2),
        nn.BatchNorm1d(6, eps=0.01, affine=bool(seed % 2)),
        activations[seed % 5],
        (nn.MaxPool1d(2, ceil_mode=True), nn.AvgPool1d(3, 2, 1, count_include_pad=False))[seed % 2],
        nn.Dropout(0.5),
        nn.Sequential(nn.Conv1d(6, 4, 3, groups=2, bias=False, padding="same"), nn.Tanh()),
    )
    x = torch.randn(3, 4, 20, dtype=torch.float64)
    chain = from_torch(drawn(model, seed))
    assert chain.batch_first
    close(chain(x.transpose(1, 2).numpy())[0].swapaxes(1, 2), model(x))


class Tagger(nn.Module):
    """What speech models look like: convolutions, a recurrent layer, a head, with ways around."""

    def __init__(self, kind, first, end):
        super().__init__()
        self.conv = nn.Conv1d(5, 6, 3, padding=1)
        self.norm = nn.LayerNorm(6, bias=False)
        self.rnn = kind(6, 6, 2, batch_first=first, bidirectional=end == "y")
        self.gate = nn.Linear(12 if end == "y" else 6, 6)
        self.head = nn.Sequential(nn.Dropout(0.2), nn.Linear(12, 3))
        self.first, self.end = first, end

    def forward(self, x):
        h = F.relu(self.conv(x))
        h = h.transpose(1, 2) if self.first else h.permute(2, 0, 1)
        h = self.norm(h) + h
        y, state = self.rnn(h)
        if self.end == "h":
            h = state[0][-1] if isinstance(self.rnn, nn.LSTM) else state[-1]
            return self.gate(h)
        if self.end == "last":
            return self.gate(y[:, -1] if self.first else y[-1])
        if self.end == "mean":
            return self.gate(y.mean(1 if self.first else 0))
        gated = torch.sigmoid(self.gate(y)) * h
        return self.head(torch.cat([h, gated], dim=-1)), state


@pytest.mark.parametrize("first", [True, False])
@pytest.mark.parametrize("end", ["y", "h", "last", "mean"])
@pytest.mark.parametrize("kind", [nn.LSTM, nn.GRU, nn.RNN])
def test_modules_with_a_forward_of_their_own(kind, end, first, tmp_path):
    model = drawn(Tagger(kind, first, end), 7)
    x = torch.randn(2, 5, 9, dtype=torch.float64)
    expected = model(x)
    if end == "y":
        expected = expected[0] if first else expected[0].transpose(0, 1)
    chain = from_torch(model)
    assert chain.batch_first  # as x has it
    close(chain(x.transpose(1, 2).numpy())[0], expected)
    gru_native.save(chain, tmp_path / "m.safetensors")
    again = gru_native.load(tmp_path / "m.safetensors")
    assert_same_bits(again(x.transpose(1, 2).numpy())[0], chain(x.transpose(1, 2).numpy())[0])


def test_ids_and_a_stream():
    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.embedding = nn.Embedding(11, 4, padding_idx=0)
            self.gru = nn.GRU(4, 5, batch_first=True)
            self.out = nn.Linear(5, 3)

        def forward(self, ids, state=None):
            y, state = self.gru(self.embedding(ids))
            return self.out(y), state

    model = drawn(Model(), 8)
    ids = torch.randint(11, (2, 7))
    chain = from_torch(model)
    y = chain(ids.numpy())[0]
    close(y, model(ids)[0])
    stream = chain.stream(2)
    assert_same_bits(np.stack([stream(ids.numpy()[:, t, None]) for t in range(7)], 1), y)


def test_float32_has_the_same_bits_of_weights():
    model = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2)).eval()
    chain = from_torch(model)
    assert chain.dtype == np.float32
    assert_same_bits(chain.weights["2.weight"], model[2].weight.detach().numpy())
    half = from_torch(nn.Sequential(nn.LSTM(3, 4)).bfloat16())
    assert half.blocks[0].precision == "bf16"


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("kind", [nn.LSTMCell, nn.GRUCell, nn.RNNCell])
def test_cells_are_layers_of_one(kind, bias):
    options = {"nonlinearity": "relu"} if kind is nn.RNNCell else {}
    cell = drawn(kind(3, 4, bias=bias, **options), 9)
    x = torch.randn(6, 2, 3, dtype=torch.float64)
    state, ys = None, []
    for x_t in x:
        state = cell(x_t, state)
        ys.append(state[0] if kind is nn.LSTMCell else state)
    close(from_torch(cell)(x.numpy())[0], torch.stack(ys))


@pytest.mark.parametrize(
    ("module", "x"),
    [
        (nn.Conv1d(3, 4, 2, stride=2), (2, 3, 9)),
        (nn.BatchNorm1d(3), (2, 3, 9)),
        (nn.LayerNorm(3), (2, 9, 3)),
        (nn.LayerNorm(3, elementwise_affine=False), (2, 9, 3)),
        (nn.Softplus(), (2, 9, 3)),
    ],
)
def test_blocks_by_themselves(module, x):
    block = from_torch(drawn(module, 10))
    x = torch.randn(x, dtype=torch.float64)
    if isinstance(module, (nn.Conv1d, nn.BatchNorm1d)):
        x_of_block = x.permute(2, 0, 1).numpy()
        close(block(np.ascontiguousarray(x_of_block)).transpose(1, 2, 0), module(x))
    else:
        dtype = getattr(block, "dtype", np.float32)
        close(block(x.numpy().astype(dtype)), module(x), 1e-11 if dtype == np.float64 else 1e-6)


def with_forward(forward, **modules):
    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            for name, module in modules.items():
                setattr(self, name, module)

    Model.forward = forward
    return Model()


@pytest.mark.parametrize(
    ("module", "text"),
    [
        (nn.Sequential(nn.Conv1d(3, 4, 1), nn.Linear(4, 2)), "1 reads axes in another order than"),
        (nn.Sequential(nn.Conv1d(3, 4, 1, padding=1, padding_mode="reflect")), "0: padding_mode"),
        (nn.Sequential(nn.Linear(3, 4), nn.Conv2d(3, 4, 1)), "1: module is a Conv2d; expected"),
        (nn.Sequential(nn.BatchNorm1d(3, track_running_stats=False)), "0: it has no running"),
        (nn.Sequential(nn.GRUCell(3, 4)), "0: it computes one step"),
        (
            with_forward(lambda self, x: self.a(x) if x.sum() > 0 else x, a=nn.Linear(3, 3)),
            "forward of Model cannot be followed: symbolically traced variables",
        ),
        (with_forward(lambda self, x: torch.sin(self.a(x)), a=nn.Linear(3, 3)), "forward calls "),
        (
            with_forward(lambda self, x, y: self.a(x) + y, a=nn.Linear(3, 3)),
            "forward has 'y', too; expected one input",
        ),
        (
            with_forward(lambda self, x: self.b(x, self.a(x)[1]), a=nn.GRU(3, 3), b=nn.GRU(3, 3)),
            "b is called with more than one input",
        ),
        (with_forward(lambda self, x: self.a(x)[1], a=nn.GRU(3, 3)), "reads a state of 'a'"),
        (
            with_forward(lambda self, x: self.b(self.a(x)[1][0]), a=nn.LSTM(3, 3), b=nn.Tanh()),
            "b reads a state of 'a'; a Chain has no such paths",
        ),
        (with_forward(lambda self, x: self.a(x)[0, 1], a=nn.Linear(3, 3)), r"takes \(0, 1\)"),
        (with_forward(lambda self, x: self.a(x) + 1, a=nn.Linear(3, 3)), "reads 1; expected"),
    ],
)
def test_what_is_no_chain_is_named(module, text):
    with pytest.raises((TypeError, ValueError), match=text):
        from_torch(module)
