"""Models with convolutions, normalisations, activations and ways around are chains of blocks."""

import numpy as np
import pytest

onnxruntime = pytest.importorskip("onnxruntime")
torch = pytest.importorskip("torch")
pytest.importorskip("onnx")
from torch import nn  # noqa: E402

import gru_native  # noqa: E402
import gru_native.onnx as ours  # noqa: E402
from helpers import assert_same_bits  # noqa: E402
from onnx_builder import Builder, gru_tensors  # noqa: E402

F = nn.functional


class Net(nn.Module):
    """A speech model: causal convolutions with a way around, a recurrent layer, a head."""

    def __init__(self, kind, *, bidirectional=False, channels_first=True):
        super().__init__()
        self.first = nn.Conv1d(5, 6, 3, dilation=2)
        self.norm = nn.BatchNorm1d(6)
        self.second = nn.Conv1d(6, 6, 1, groups=2)
        self.rnn = kind(6, 4, 2, batch_first=True, bidirectional=bidirectional)
        width = 8 if bidirectional else 4
        self.layer_norm = nn.LayerNorm(width)
        self.gate, self.value = nn.Linear(width, width), nn.Linear(width, width)
        self.head = nn.Linear(2 * width, 3)
        self.channels_first = channels_first

    def forward(self, x):
        if not self.channels_first:
            x = x.transpose(1, 2)
        h = torch.relu(self.first(F.pad(x, (4, 0))))
        h = self.norm(h + F.leaky_relu(self.second(h), 0.1))
        y, _ = self.rnn(h.transpose(1, 2))
        y = self.layer_norm(y)
        y = torch.sigmoid(self.gate(y)) * F.elu(self.value(y))
        return self.head(torch.cat([y, torch.tanh(y)], dim=-1))


def exported(model, x, path, opset=17):
    torch.manual_seed(0)
    for m in model.modules():
        if isinstance(m, nn.BatchNorm1d):
            m.running_mean.uniform_(-1, 1)
            m.running_var.uniform_(0.4, 2)
    axes = {"x": {0: "batch", 2 if x.shape[1] == 5 else 1: "time"}}
    torch.onnx.export(
        model.eval(),
        (torch.from_numpy(x),),
        path,
        dynamo=False,
        input_names=["x"],
        output_names=["y"],
        dynamic_axes=axes,
        opset_version=opset,
    )
    return onnxruntime.InferenceSession(path).run(None, {"x": x})[0]


@pytest.mark.parametrize("channels_first", [True, False])
@pytest.mark.parametrize("kind", [nn.LSTM, nn.GRU])
def test_a_causal_model_streams_saves_and_agrees(kind, channels_first, tmp_path):
    rng = np.random.default_rng(1)
    x = rng.standard_normal((2, 9, 5)).astype(np.float32)
    given = np.ascontiguousarray(x.swapaxes(1, 2)) if channels_first else x
    torch.manual_seed(2)
    model = Net(kind, channels_first=channels_first)
    expected = exported(model, given, tmp_path / "m.onnx")
    loaded = ours.load(tmp_path / "m.onnx")
    assert np.abs(loaded(given) - expected).max() < 1e-5
    loaded.save(tmp_path / "m.safetensors")
    chain = gru_native.load(tmp_path / "m.safetensors")
    kinds = [type(b).__name__ for b in chain.blocks]
    assert kinds[:4] == ["Conv1d", "Activation", "Residual", "BatchNorm1d"]
    assert chain.batch_first
    y = chain(x)[0]
    assert np.abs(y - expected).max() < 1e-5
    stream = loaded.stream(batch_size=2)
    assert_same_bits(np.concatenate([stream(x[:, :4]), stream(x[:, 4:])], axis=1), y)


def test_both_directions_save(tmp_path):
    x = np.random.default_rng(3).standard_normal((2, 5, 9)).astype(np.float32)
    expected = exported(Net(nn.GRU, bidirectional=True), x, tmp_path / "m.onnx")
    loaded = ours.load(tmp_path / "m.onnx")
    loaded.save(tmp_path / "m.safetensors")
    chain = gru_native.load(tmp_path / "m.safetensors")
    y = chain(np.ascontiguousarray(x.swapaxes(1, 2)))[0]
    assert np.abs(y - expected).max() < 1e-5
    with pytest.raises(ValueError, match="is bidirectional and needs the end"):
        loaded.stream()


def test_a_window_that_needs_the_end_is_named(tmp_path):
    x = np.random.default_rng(6).standard_normal((2, 5, 9)).astype(np.float32)
    exported(nn.Sequential(nn.Conv1d(5, 4, 3, padding=1)), x, tmp_path / "m.onnx")
    with pytest.raises(ValueError, match=r"node '/0/Conv' \(Conv\): a Conv1d with zeros behind"):
        ours.load(tmp_path / "m.onnx").stream()


@pytest.mark.parametrize("seed", range(8))
def test_random_convolutions_and_pools(seed, tmp_path):
    rng = np.random.default_rng([4, seed])
    k, d = (int(n) for n in rng.integers(1, 4, 2))
    stride = int(rng.integers(1, 3))
    pool = (nn.MaxPool1d(2, 1, 1), nn.AvgPool1d(3, 2, count_include_pad=False), nn.Identity())
    model = nn.Sequential(
        nn.Conv1d(5, 8, k, stride=stride, padding=int(rng.integers(0, 3)), dilation=d, bias=False),
        (nn.Softplus(), nn.Sigmoid(), nn.Hardsigmoid(), nn.ELU(0.4))[seed % 4],
        pool[seed % 3],
        nn.Conv1d(8, 4, 3, padding="same", groups=(1, 2, 4)[seed % 3]),
    )
    x = rng.standard_normal((3, 5, 17)).astype(np.float32)
    expected = exported(model, x, tmp_path / "m.onnx", opset=14)
    loaded = ours.load(tmp_path / "m.onnx")
    loaded.save(tmp_path / "m.safetensors")
    y = gru_native.load(tmp_path / "m.safetensors")(np.ascontiguousarray(x.swapaxes(1, 2)))[0]
    assert np.abs(y.swapaxes(1, 2) - expected).max() < 1e-5


class Pooled(nn.Module):
    """One answer for a sequence: from the mean or the maximum of all steps."""

    def __init__(self, pool, bidirectional):
        super().__init__()
        self.conv = nn.Conv1d(5, 6, 3, padding="same")
        self.rnn = nn.GRU(6, 4, batch_first=True, bidirectional=bidirectional)
        self.head = nn.Linear(6 if pool == "channels" else 8 if bidirectional else 4, 3)
        self.average, self.pool = nn.AdaptiveAvgPool1d(1), pool

    def forward(self, x):
        h = torch.relu(self.conv(x))
        if self.pool == "channels":
            return self.head(self.average(h).flatten(1))
        y, _ = self.rnn(h.transpose(1, 2))
        y = y.mean(1, keepdim=True)[:, 0] if self.pool == "mean" else y.amax(1)
        return torch.sigmoid(self.head(y))


@pytest.mark.parametrize("pool", ["channels", "mean", "max"])
@pytest.mark.parametrize("bidirectional", [False, True])
def test_pools_of_all_steps(pool, bidirectional, tmp_path):
    x = np.random.default_rng(7).standard_normal((3, 5, 9)).astype(np.float32)
    expected = exported(Pooled(pool, bidirectional), x, tmp_path / "m.onnx")
    loaded = ours.load(tmp_path / "m.onnx")
    assert np.abs(loaded(x) - expected).max() < 1e-5
    own = [b for b in loaded.layer().blocks if isinstance(b, gru_native.Pool)]
    assert [b.kind for b in own] == ["max" if pool == "max" else "mean"]
    loaded.save(tmp_path / "m.safetensors")
    y = gru_native.load(tmp_path / "m.safetensors")(np.ascontiguousarray(x.swapaxes(1, 2)))[0]
    assert np.abs(y - expected).max() < 1e-5
    with pytest.raises(ValueError, match=r"\((ReduceM|Global).*\)|bidirectional"):
        loaded.stream()


class Other(nn.Module):
    def __init__(self, forward, **modules):
        super().__init__()
        for name, module in modules.items():
            setattr(self, name, module)
        self.own = forward

    def forward(self, x):
        return self.own(self, x)


@pytest.mark.parametrize(
    "forward",
    [
        lambda m, x: m.conv(F.pad(x, (1, 0), mode="reflect")),
        lambda m, x: m.conv(F.pad(x, (1, 0), value=0.5)),
        lambda m, x: m.conv(x) + x.flip(1)[:, :, :-1],
        lambda m, x: m.conv(x).mean(1),
        lambda m, x: F.pad(m.conv(x), (1, 0)),
    ],
)
def test_what_is_no_chain_is_computed_and_not_streamed(forward, tmp_path):
    x = np.random.default_rng(5).standard_normal((2, 5, 9)).astype(np.float32)
    expected = exported(Other(forward, conv=nn.Conv1d(5, 5, 2)), x, tmp_path / "m.onnx")
    loaded = ours.load(tmp_path / "m.onnx")
    assert np.abs(loaded(x) - expected).max() < 1e-5
    with pytest.raises(ValueError, match="the model is no chain"):
        loaded.stream()


def of_keras(*, pads=(0, 4, 0, 0, 0, 0), bias=(1, 6, 1), kernel=(1, 3), side=1, around=0):
    """Conv1D as tf2onnx writes it, as a convolution of images of one row, then a GRU."""
    b, rng = Builder(15), np.random.default_rng(8)

    def normal(*shape):
        return rng.standard_normal(shape).astype(np.float32)

    x = b.node("Pad", "x", b.tensor(np.array(pads)))
    x = b.node("Unsqueeze", x, b.tensor(np.array([side])))
    x = b.node("Transpose", x, perm=[0, 3, 1, 2])
    own = [around, 0, around, 0] if side == 1 else [0, around, 0, around]
    dilations = [1, 2] if side == 1 else [2, 1]
    kernel = kernel if side == 1 else kernel[::-1]
    weight = b.tensor(normal(6, 5, *kernel))
    x = b.node("Conv", x, weight, pads=own, dilations=dilations, kernel_shape=list(kernel))
    x = b.node("Squeeze", x, b.tensor(np.array([1 + side])))
    x = b.node("Tanh", b.node("Add", x, b.tensor(normal(*bias))))
    x = b.node("Transpose", x, perm=[2, 0, 1])
    w, r = gru_tensors(b, rng, 6, 4)
    y, _ = b.node("GRU", x, w, r, outputs=2, hidden_size=4)
    return b.model({"x": [None, 9, 5]}, b.node("Squeeze", y, b.tensor(np.array([1]))))


@pytest.mark.parametrize("side", [1, 2])
@pytest.mark.parametrize(
    ("other", "kinds"),
    [
        ({}, ["Conv1d", "Activation", "GRU"]),
        ({"pads": (0,) * 6}, ["Conv1d", "Activation", "GRU"]),
        ({"bias": (6, 1)}, ["Conv1d", "Activation", "GRU"]),
        ({"bias": (3, 1, 1)}, None),  # another for each sequence
        ({"bias": (1, 6, 9)}, None),  # another for each step
        ({"bias": (1, 1, 9)}, None),
        ({"pads": (0, 0, 0, 0, 0, 0), "kernel": (3, 1), "around": 1}, None),  # rows of zeros
        ({"pads": (1, 4, 0, 0, 0, 0)}, None),
    ],
)
def test_convolutions_of_keras(side, other, kinds, tmp_path):
    proto = of_keras(side=side, **other)
    x = np.random.default_rng(9).standard_normal((3, 9, 5)).astype(np.float32)
    (expected,) = onnxruntime.InferenceSession(proto.SerializeToString()).run(None, {"x": x})
    loaded = ours.load(proto)
    for _ in range(3):
        assert np.abs(loaded(x) - expected).max() < 1e-5
    if kinds is None:
        with pytest.raises(ValueError, match="the model is no chain"):
            loaded.layer()
        return
    loaded.save(tmp_path / "m.safetensors")
    chain = gru_native.load(tmp_path / "m.safetensors")
    assert [type(block).__name__ for block in chain.blocks] == kinds
    assert np.abs(chain(x)[0].swapaxes(0, 1) - expected).max() < 1e-5
