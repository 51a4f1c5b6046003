"""LSTMs written out whose gates are coupled: one is 1 minus the other."""

import numpy as np
import pytest

onnx = pytest.importorskip("onnx")
runtime = pytest.importorskip("onnxruntime")
torch = pytest.importorskip("torch")

import gru_native  # noqa: E402
import gru_native.onnx  # noqa: E402
from onnx_builder import from_torch  # noqa: E402

T, N, X, H = 4, 2, 3, 5


class Coupled(torch.nn.Module):
    """of(f, c, g, o): what becomes of c."""

    def __init__(self, of, gate=torch.sigmoid, given=False):
        super().__init__()
        self.gates = torch.nn.Linear(X + H, 3 * H)
        self.of, self.gate, self.given = of, gate, given

    def forward(self, x, h, c):
        if not self.given:
            h, c = torch.zeros(x.size(1), H), torch.zeros(x.size(1), H)
        steps = []
        for v in x.unbind(0):
            f, o, g = self.gates(torch.cat([v, h], 1)).chunk(3, 1)
            f, o = self.gate(f), torch.sigmoid(o)
            c = self.of(f, c, torch.tanh(g), o)
            h = o * torch.tanh(c)
            steps.append(h)
        return torch.stack(steps), h, c


def check(module):
    """The layers that are found; the numbers are those of ONNX Runtime."""
    torch.manual_seed(2)
    for p in module.parameters():
        torch.nn.init.uniform_(p, -1, 1)
    rng = np.random.default_rng(0)
    shapes = {"x": (T, N, X), "h": (N, H), "c": (N, H)}
    feeds = {n: rng.standard_normal(shape).astype(np.float32) for n, shape in shapes.items()}
    proto = from_torch(
        module.eval(),
        *map(torch.from_numpy, feeds.values()),
        input_names=list(feeds),
        dynamic_axes={"x": {1: "batch"}, "h": {0: "batch"}, "c": {0: "batch"}},
        opset_version=17,
    )
    session = runtime.InferenceSession(proto.SerializeToString())
    feeds = {i.name: feeds[i.name] for i in session.get_inputs()}
    expected = session.run(None, feeds)
    loaded = gru_native.onnx.load(proto)
    for _ in range(3):
        for actual, wanted in zip(loaded(**feeds), expected, strict=True):
            np.testing.assert_allclose(actual, wanted, 1e-5, 1e-5)
    return loaded, [*gru_native.onnx.layers(proto).values()]


@pytest.mark.parametrize("given", [False, True])
@pytest.mark.parametrize(
    "of",
    [
        lambda f, c, g, o: f * c + (1 - f) * g,
        lambda f, c, g, o: (1 - f) * c + f * g,
        lambda f, c, g, o: g + f * (c - g),
        lambda f, c, g, o: c + f * (g - c),
    ],
)
def test_they_are_one_layer(of, given):
    loaded, (layer,) = check(Coupled(of, given=given))
    assert isinstance(layer, gru_native.LSTM)
    assert layer.coupled_gates
    assert not {"Sigmoid", "Tanh"} & {node.op for node in loaded._program.nodes}


@pytest.mark.parametrize(
    ("of", "gate"),
    [
        (lambda f, c, g, o: f * c + (1 - o) * g, torch.sigmoid),
        (lambda f, c, g, o: f * c + (2 - f) * g, torch.sigmoid),
        (lambda f, c, g, o: f * c - (1 - f) * g, torch.sigmoid),
        (lambda f, c, g, o: f * c + (1 - f) * c, torch.sigmoid),
        (lambda f, c, g, o: f * c + (1 - f) * g, torch.nn.functional.hardsigmoid),
        (lambda f, c, g, o: f * c + (1 - f) * g + 0.1, torch.sigmoid),
    ],
)
@pytest.mark.parametrize("given", [False, True])
def test_others_are_none(of, gate, given):
    _, layers = check(Coupled(of, gate, given))
    assert not any(getattr(layer, "coupled_gates", False) for layer in layers)
