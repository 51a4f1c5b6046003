"""What looks like a layer written out step by step, and is none, or one of other rows."""

import numpy as np
import pytest

onnx = pytest.importorskip("onnx")
runtime = pytest.importorskip("onnxruntime")

import gru_native.onnx  # noqa: E402
from onnx_builder import Builder  # noqa: E402

X, H = 3, 4


def normal(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


class Steps(Builder):
    """Nodes of cells over weights that are drawn once."""

    def __init__(self):
        super().__init__(17)
        self.drawn = {}

    def weight(self, name, *shape):
        if name not in self.drawn:
            self.drawn[name] = self.tensor(normal(*shape, seed=len(self.drawn)))
        return self.drawn[name]

    def gate(self, function, name, x, h=None, more=None):
        a = self.node("MatMul", x, self.weight(f"W{name}", X, H))
        a = self.node("Add", a, self.weight(f"b{name}", H))
        if h:
            a = self.node("Add", a, self.node("MatMul", h, self.weight(f"R{name}", H, H)))
        return self.node(function, self.node("Add", a, more) if more else a)

    def lstm(self, x, h, c, peephole=None):
        """From h and c, or from zeros; peephole: of o."""
        i, g = self.gate("Sigmoid", "i", x, h), self.gate("Tanh", "g", x, h)
        new = self.node("Mul", i, g)
        if c:
            kept = self.node("Mul", self.gate("Sigmoid", "f", x, h), c)
            new = self.node("Add", kept, new)
        more = None if peephole is None else self.node("Mul", new, self.tensor(peephole))
        o = self.gate("Sigmoid", "o", x, h, more)
        return self.node("Mul", o, self.node("Tanh", new)), new

    def gru(self, x, h=None, hidden_bias=None):
        """Reset after; from zeros without reset."""
        z = self.gate("Sigmoid", "z", x, h)
        a = self.node("Add", self.node("MatMul", x, self.weight("Wn", X, H)), self.weight("bn", H))
        if h:
            own = self.node("MatMul", h, self.weight("Rn", H, H))
            own = own if hidden_bias is None else self.node("Add", own, self.tensor(hidden_bias))
            a = self.node("Add", a, self.node("Mul", self.gate("Sigmoid", "r", x, h), own))
        one = self.tensor(np.float32(1))
        new = self.node("Mul", self.node("Sub", one, z), self.node("Tanh", a))
        return self.node("Add", new, self.node("Mul", z, h)) if h else new


def layers(model, **feeds):
    """How many there are in what is loaded, whose outputs are ONNX Runtime's."""
    session = runtime.InferenceSession(
        model.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    loaded = gru_native.onnx.load(model)
    for _ in range(3):
        outputs = loaded(**feeds)
        for actual, wanted in zip(outputs, session.run(None, feeds), strict=True):
            assert actual.shape == wanted.shape
            np.testing.assert_allclose(actual, wanted, 1e-5, 1e-5)
    return sum(node.op in ("LSTM", "GRU", "RNN") for node in loaded._program.nodes)


TWO = {"x0": ["N", X], "x1": ["N", X]}


@pytest.mark.parametrize("hidden_bias", [None, normal(H, seed=9)])
def test_a_first_step_without_reset_hides_no_hidden_bias(hidden_bias):
    """r b is there from a state of zeros, too."""
    b = Steps()
    first = b.gru("x0")
    model = b.model(TWO, [first, b.gru("x1", first, hidden_bias)], rank=2)
    assert layers(model, x0=normal(2, X), x1=normal(2, X, seed=1)) == 1


@pytest.mark.parametrize("same", [True, False])
@pytest.mark.parametrize("first_has_one", [True, False])
def test_a_first_step_has_the_peephole_of_the_others(same, first_has_one):
    """o sees the new c, which is not 0."""
    b, own = Steps(), normal(H, seed=9)
    first = own if first_has_one else None
    second = first if same else normal(H, seed=8)
    h, c = b.lstm("x0", None, None, first)
    h2, c2 = b.lstm("x1", h, c, second)
    model = b.model(TWO, [h, h2, c2], rank=2)
    assert layers(model, x0=normal(2, X), x1=normal(2, X, seed=1)) == 1  # of one or both steps


@pytest.mark.parametrize("rows", [1, 3])
@pytest.mark.parametrize("known", [True, False])
def test_one_row_goes_with_all_rows(rows, known):
    """x W + v V + h R, where v is one row."""
    b, size = Steps(), (lambda n: n) if known else (lambda n: "N" if n == 3 else "M")
    more = {k: b.node("MatMul", "v", b.weight(f"V{k}", X, H)) for k in "ifgo"}
    gates = {k: b.gate("Tanh" if k == "g" else "Sigmoid", k, "x", "h", more[k]) for k in "ifgo"}
    c = b.node("Add", b.node("Mul", gates["f"], "c"), b.node("Mul", gates["i"], gates["g"]))
    h = b.node("Mul", gates["o"], b.node("Tanh", c))
    inputs = {"x": [size(3), X], "v": [size(rows), X], "h": [size(3), H], "c": [size(3), H]}
    feeds = {n: normal(rows if n == "v" else 3, shape[1]) for n, shape in inputs.items()}
    assert layers(b.model(inputs, [h, c], rank=2), **feeds) == 1


@pytest.mark.parametrize("op", ["Gather", "Slice"])
def test_one_step_goes_with_all_steps(op):
    """Steps of a sum of products, one of which is the same for all steps."""
    b = Steps()
    v = b.node("MatMul", "v", b.weight("V", X, H))
    both = b.node("Add", b.node("MatMul", "x", b.weight("W", X, H)), v)
    h, outputs = "h", []
    for t in range(2):
        if op == "Gather":
            a = b.node("Gather", both, b.tensor(np.array(t)), axis=0)
        else:
            where = [b.tensor(np.array([n])) for n in (t, t + 1, 0)]
            a = b.node("Squeeze", b.node("Slice", both, *where), b.tensor(np.array([0])))
        h = b.node("Tanh", b.node("Add", a, b.node("MatMul", h, b.weight("R", H, H))))
        outputs.append(h)
    model = b.model({"x": [2, 2, X], "v": [1, 2, X], "h": [2, H]}, outputs, rank=2)
    layers(model, x=normal(2, 2, X), v=normal(1, 2, X, seed=1), h=normal(2, H))


@pytest.mark.parametrize(("rows", "found"), [(3, 1), (1, 0)])
def test_a_constant_may_have_more_rows_than_the_input(rows, found):
    b = Steps()
    zeros = b.tensor(np.zeros((3, H), np.float32))
    h, c = b.lstm("x", zeros, zeros)
    model = b.model({"x": [rows, X]}, [h, *b.lstm("x", h, c)], rank=2)
    assert layers(model, x=normal(rows, X)) == found


@pytest.mark.parametrize("function", ["Sigmoid", "Tanh"])
@pytest.mark.parametrize("form", ["s (1 - s)", "s - s s", "tanh(s - s s)"])
def test_a_gate_times_itself_is_no_cell(function, form):
    """As in n - z n, where z is n."""
    b = Steps()
    s = b.gate(function, "s", "x")
    if form == "s (1 - s)":
        y = b.node("Mul", s, b.node("Sub", b.tensor(np.float32(1)), s))
    else:
        y = b.node("Sub", s, b.node("Mul", s, s))
    y = b.node("Tanh", y) if form.startswith("tanh") else y
    model = b.model({"x": [2, X]}, [y, b.gate("Tanh", "t", "x")], rank=2)
    assert layers(model, x=normal(2, X)) == 0
