"""Models that look at images are chains: Image, Conv2d, pools, Columns, recurrent layers."""

import numpy as np
import pytest

onnxruntime = pytest.importorskip("onnxruntime")
torch = pytest.importorskip("torch")
pytest.importorskip("onnx")
from torch import nn  # noqa: E402

import gru_native  # noqa: E402
import gru_native.onnx as ours  # noqa: E402
from onnx_builder import from_torch  # noqa: E402

F = nn.functional


class Net(nn.Module):
    """Images that become steps in one of several ways, then a recurrent layer and a head."""

    def __init__(self, columns, *, channels=1, height=12, down=2, kind=nn.LSTM, last=False):
        super().__init__()
        self.first = nn.Conv2d(channels, 6, (3, 5), padding=(1, 2), bias=False)
        self.norm = nn.BatchNorm2d(6)
        self.second = nn.Conv2d(6, 4, (3, 2), stride=(down, 1), groups=2)
        self.columns, self.last = columns, last
        left = (height // 2 - 3) // down + 1
        self.rnn = kind(4 * left, 5, 2, bidirectional=True)
        self.head = nn.Linear(10, 3)

    def images(self, x):
        h = F.leaky_relu(self.norm(self.first(x)), 0.2)
        return torch.tanh(self.second(F.max_pool2d(h, (2, 3), (2, 1))))

    def forward(self, x):
        y, _ = self.rnn(self.columns(self.images(x)))
        return self.head(y[-1] if self.last else y)


def drawn(model):
    torch.manual_seed(3)
    for m in model.modules():
        if isinstance(m, nn.BatchNorm2d):
            m.running_mean.uniform_(-1, 1)
            m.running_var.uniform_(0.4, 2)
            m.weight.data.uniform_(0.5, 2)
            m.bias.data.uniform_(-1, 1)
    return model.eval()


def compared(model, x, axes, **options):
    """The model, which agrees with ONNX Runtime, and what that gives."""
    example = torch.from_numpy(x)
    names = {"input_names": ["x"], "output_names": ["y"]}
    proto = from_torch(drawn(model), example, dynamic_axes={"x": axes}, **names, **options)
    session = onnxruntime.InferenceSession(proto.SerializeToString())
    (expected,) = session.run(None, {"x": x})
    loaded = ours.load(proto)
    assert np.abs(loaded(x) - expected).max() < 1e-5
    return loaded, expected


def saved(loaded, tmp_path):
    loaded.save(tmp_path / "m.safetensors")
    return gru_native.load(tmp_path / "m.safetensors")


def kinds(chain):
    return [type(block).__name__ for block in chain.blocks]


BLOCKS = ["Image", "Conv2d", "Activation", "MaxPool2d", "Conv2d", "Activation", "Columns", "LSTM"]


@pytest.mark.parametrize("height", [6, 12])
def test_characters_in_an_image(height, tmp_path):
    """(batch, 1, height, width), of which the columns are steps."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal((2, 1, height, 31)).astype(np.float32)
    ways = [
        lambda h: h.permute(3, 0, 1, 2).flatten(2),
        lambda h: h.permute(3, 0, 2, 1).flatten(2),  # rows outside, channels inside
        lambda h: h.flatten(1, 2).permute(2, 0, 1),
    ]
    if height == 6:
        ways.append(lambda h: h.squeeze(2).permute(2, 0, 1))
    for way in ways:
        model = Net(way, height=height, down=1 if height == 6 else 2)
        loaded, expected = compared(model, x, {0: "batch", 3: "width"})
        chain = saved(loaded, tmp_path)
        assert kinds(chain)[-9:] == [*BLOCKS, "Dense"]
        assert chain.batch_first
        assert chain.blocks[0].features == height
        assert chain.blocks[-2].num_layers == 2
        y = chain(np.ascontiguousarray(x[:, 0].swapaxes(1, 2)))[0]
        assert np.abs(y.swapaxes(0, 1) - expected).max() < 1e-5
        with pytest.raises(ValueError, match="bidirectional"):
            loaded.stream()


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("order", ["cht", "cth", "htc", "thc"])
def test_orders_of_the_inputs_axes(channels, order, tmp_path):
    """Channels, height and time; the chain has the width for time."""
    rng = np.random.default_rng(1)
    images = rng.standard_normal((2, channels, 12, 17)).astype(np.float32)
    given = np.ascontiguousarray(images.transpose(0, *("cht".index(a) + 1 for a in order)))
    back = [0, *(order.index(a) + 1 for a in "cht")]

    class Other(Net):
        def forward(self, x):
            return super().forward(x.permute(*back))

    model = Other(lambda h: h.permute(3, 0, 1, 2).flatten(2), channels=channels, last=True)
    axes = {0: "batch", order.index("t") + 1: "time"}
    loaded, expected = compared(model, given, axes)
    chain = saved(loaded, tmp_path)
    first = "Image" if channels == 1 else "Conv2d"
    assert kinds(chain)[0] == first
    x = images if channels > 1 else np.ascontiguousarray(images[:, 0].swapaxes(1, 2))
    y = chain(x)[0]
    assert y.shape == (2, *y.shape[1:2], 3)
    assert np.abs(y[:, -1] - expected).max() < 1e-5


@pytest.mark.parametrize("time_first", [True, False])
@pytest.mark.parametrize("turned", [True, False])
def test_an_acoustic_model(time_first, turned, tmp_path):
    """Sequences of spectra that are looked at as images, with steps as rows or as columns."""

    class Acoustic(Net):
        def forward(self, x):
            x = x.transpose(0, 1) if time_first else x
            x = (x if turned else x.transpose(1, 2)).unsqueeze(1)
            return super().forward(x)

    def steps(h):
        return h.permute(2, 0, 1, 3).flatten(2) if turned else h.permute(3, 0, 1, 2).flatten(2)

    model = Acoustic(steps, kind=nn.GRU)
    if turned:
        model.first = nn.Conv2d(1, 6, (5, 3), padding=(2, 1), bias=False)
        model.second = nn.Conv2d(6, 4, (2, 3), stride=(1, 2), groups=2)
        model.images = lambda x: torch.relu(
            model.second(F.avg_pool2d(model.norm(model.first(x)), (3, 2), (1, 2)))
        )
    x = np.random.default_rng(2).standard_normal((23, 2, 12) if time_first else (2, 23, 12))
    x = x.astype(np.float32)
    axes = {0: "time", 1: "batch"} if time_first else {0: "batch", 1: "time"}
    loaded, expected = compared(model, x, axes)
    chain = saved(loaded, tmp_path)
    assert chain.batch_first != time_first
    assert {"Image", "Conv2d", "Columns", "GRU", "Dense"} <= set(kinds(chain))
    y = chain(x)[0]
    assert np.abs((y if time_first else y.swapaxes(0, 1)) - expected).max() < 1e-5


class Ways(nn.Module):
    """Ways around and side by side, a bias by itself, means of columns; an image is left."""

    def __init__(self):
        super().__init__()
        self.a, self.b = nn.Conv2d(2, 4, 3, padding=1), nn.Conv2d(4, 4, 3, padding="same")
        self.c, self.d = nn.Conv2d(4, 2, 1), nn.Conv2d(4, 3, (1, 4), padding="same", bias=False)
        self.bias = nn.Parameter(torch.randn(3, 1, 1))

    def forward(self, x):
        h = torch.sigmoid(self.a(x))
        h = h + torch.relu(self.b(h))
        h = torch.cat([self.c(h), self.d(h) + self.bias], 1)
        return F.elu(h.mean(2, keepdim=True))


def test_ways_that_join(tmp_path):
    x = np.random.default_rng(4).standard_normal((3, 2, 5, 9)).astype(np.float32)
    loaded, expected = compared(Ways(), x, {0: "batch", 3: "width"})
    chain = saved(loaded, tmp_path)
    own = ["Conv2d", "Activation", "Residual", "Parallel", "AvgPool2d", "Activation"]
    assert kinds(chain) == own
    assert np.abs(chain(x)[0] - expected).max() < 1e-5


@pytest.mark.parametrize("seed", range(8))
def test_random_convolutions_and_pools(seed, tmp_path):
    rng = np.random.default_rng([5, seed])

    def pair(high):
        return tuple(int(n) for n in rng.integers(1, high + 1, 2))

    pads = tuple(int(n) for n in rng.integers(0, 2, 2))
    ceil = bool(rng.integers(2))
    pool = (
        nn.MaxPool2d((2, 3), pair(2), (1, 0), pair(2), ceil_mode=ceil),
        nn.AvgPool2d((3, 2), pair(3), (0, 1), ceil, bool(rng.integers(2))),
        nn.Identity(),
    )
    model = nn.Sequential(
        nn.Conv2d(2, 8, pair(3), pair(2), pads, pair(2), bias=bool(rng.integers(2))),
        (nn.Softplus(), nn.Hardsigmoid(), nn.ELU(0.3), nn.ReLU())[seed % 4],
        pool[seed % 3],
        nn.Conv2d(8, 4, (3, 2), padding="same", groups=(1, 2, 4)[seed % 3]),
    )
    x = rng.standard_normal((2, 2, 13, 14 + seed)).astype(np.float32)
    loaded, expected = compared(model, x, {0: "batch", 3: "width"}, opset_version=14)
    assert np.abs(saved(loaded, tmp_path)(x)[0] - expected).max() < 1e-5


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
        lambda m, x: m.rnn(m.conv(x).permute(1, 0, 2, 3).flatten(2)[:, :, :9])[0],  # channels
        lambda m, x: m.rnn(m.conv(x).flip(1).permute(3, 0, 1, 2).flatten(2))[0],
        lambda m, x: m.rnn((m.conv(x) + m.row).permute(3, 0, 1, 2).flatten(2))[0],
        lambda m, x: m.rnn((m.conv(x) * m.column).permute(3, 0, 1, 2).flatten(2))[0],
        lambda m, x: m.conv(x).mean(1),
        lambda m, x: m.conv(x).permute(0, 2, 1, 3) + m.conv(x),  # channels are rows of the other
        lambda m, x: m.conv(F.pad(x, (1, 0, 0, 0))),
        lambda m, x: m.conv(F.pad(x, (1, 1, 0, 0), value=0.5)),
        lambda m, x: m.conv(x).reshape(x.shape[0], -1, 4),
        lambda m, x: m.rnn(m.conv(x).reshape(-1, x.shape[0], 9))[0],
        lambda m, x: torch.softmax(m.conv(x), 1),
        lambda m, x: m.conv(x) + m.conv(x).mean(3, keepdim=True),
    ],
)
def test_what_is_no_chain_is_computed(forward):
    x = np.random.default_rng(6).standard_normal((2, 1, 5, 8)).astype(np.float32)
    model = Other(forward, conv=nn.Conv2d(1, 3, 3, padding=(0, 1)), rnn=nn.GRU(9, 3))
    model.register_buffer("row", torch.randn(1, 1, 3, 1))
    model.register_buffer("column", torch.randn(1, 3, 1, 1))
    loaded, _ = compared(model, x, {0: "batch"})
    with pytest.raises(ValueError, match="the model is no chain"):
        loaded.layer()


def test_rows_and_columns_change_places_on_the_way(tmp_path):
    """What is across in one convolution is down in the next."""

    def forward(m, x):
        h = torch.relu(m.first(x)).transpose(2, 3)
        return m.rnn(m.second(h).permute(2, 0, 3, 1).flatten(2))[0]

    x = np.random.default_rng(7).standard_normal((2, 1, 6, 15)).astype(np.float32)
    model = Other(
        forward,
        first=nn.Conv2d(1, 4, (2, 5), (1, 2)),
        second=nn.Conv2d(4, 3, (1, 3), (1, 2), (0, 1)),
        rnn=nn.GRU(9, 4),
    )
    loaded, expected = compared(model, x, {0: "batch", 3: "width"})
    chain = saved(loaded, tmp_path)
    assert kinds(chain) == ["Image", "Conv2d", "Activation", "Conv2d", "Columns", "GRU"]
    y = chain(np.ascontiguousarray(x[:, 0].swapaxes(1, 2)))[0]
    assert np.abs(y.swapaxes(0, 1) - expected).max() < 1e-5
