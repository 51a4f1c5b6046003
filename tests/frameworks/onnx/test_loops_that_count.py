"""Loops as tf2onnx writes Keras' RNN and GRU: a count of their own, weights as states."""

import numpy as np
import pytest

onnx = pytest.importorskip("onnx")
runtime = pytest.importorskip("onnxruntime")
from onnx import TensorProto, helper  # noqa: E402

import gru_native  # noqa: E402
import gru_native.onnx  # noqa: E402
from onnx_builder import Builder, gru_tensors  # noqa: E402

N, X, H = 2, 3, 4
INT, FLOAT, BOOL = TensorProto.INT32, TensorProto.FLOAT, TensorProto.BOOL


def info(name, kind=FLOAT, shape=None):
    return helper.make_tensor_value_info(name, kind, shape)


class Loop:
    """y = tanh(x W + h R + b), a step at a time; ``other`` says what is different."""

    def __init__(self, other="", most="", seed=0):
        rng = np.random.default_rng(seed)
        self.w, self.r = (rng.standard_normal((n, H)).astype(np.float32) for n in (X, H))
        self.bias = rng.standard_normal(H).astype(np.float32)
        self.other = other
        b = Builder(15)
        by_time = b.node("Transpose", "x", perm=[1, 0, 2])
        sizes = b.node("Cast", b.node("Shape", by_time), to=INT)
        zero = b.tensor(np.array([0]))
        steps = b.node("Squeeze", b.node("Slice", sizes, zero, b.tensor([1]), zero), zero)
        bound = b.node("Sub", steps, b.tensor(np.array(1, np.int32))) if other == "bound" else steps
        if other == "half":  # an end between two steps
            steps = bound = b.node(
                "Sub", b.node("Cast", steps, to=FLOAT), b.tensor(np.float32(2.5))
            )
        begin = b.tensor(np.array(2 if other == "begin" else 0, np.int32))
        first = b.node("Less", b.tensor(np.float32(0)), b.node("Cast", bound, to=FLOAT))
        batch = b.node("Cast", b.node("Shape", "x"), to=INT)
        batch = b.node("Slice", batch, zero, b.tensor([1]), zero)
        size = b.node("Concat", batch, b.tensor(np.array([H], np.int32)), axis=0)
        zeros = b.node(
            "Expand", b.tensor(np.float32(0)), b.node("Cast", size, to=TensorProto.INT64)
        )
        states = [begin, zeros, steps, *map(b.tensor, (self.w, self.r, self.bias))]
        results = b.node(
            "Loop",
            b.tensor(np.array(most)) if most else "",
            first,
            *states,
            outputs=7,
            body=self.body(),
        )
        y = b.node("Transpose", results[-1], perm=[1, 0, 2])
        outputs = [y, b.node("Cast", results[0], to=FLOAT)] if other == "count" else [y]
        self.proto = b.model({"x": [None, None, X]}, outputs)
        for value in self.proto.graph.output:
            value.CopyFrom(info(value.name))

    def body(self):
        b = Builder(15)
        one = b.tensor(np.array(2 if self.other == "by two" else 1, np.int32))
        count = b.node("Add", "t", one)
        x = b.node("Gather", "Transpose__0:0", "t", axis=0)  # of the graph around it
        a = b.node("Add", b.node("MatMul", x, "w"), "b")
        y = b.node("Tanh", b.node("Add", a, b.node("MatMul", "h", "r")))
        again = b.node("Identity", y)
        left = count if self.other != "before" else "t"
        floats = b.node("Cast", left, to=FLOAT), b.node("Cast", "n", to=FLOAT)
        if self.other == "greater":
            go_on = b.node("Greater", *floats[::-1])
        elif self.other == "or equal":
            go_on = b.node("LessOrEqual", *floats)
        else:
            go_on = b.node("Less", *floats)
        steps = b.node(
            "Add", "n", b.tensor(np.array(-1, np.float32 if self.other == "half" else np.int32))
        )
        after = ["n", "w", "r", "b"]
        if self.other == "steps":
            after[0] = steps
        if self.other == "weights":
            after[2] = b.node("Mul", "r", b.tensor(np.float32(0.9)))
        kinds = {"t": INT, "n": FLOAT if self.other == "half" else INT}
        names = ["t", "h", "n", "w", "r", "b"]
        shapes = {"t": [], "n": [], "h": [None, H], "w": [X, H], "r": [H, H], "b": [H]}
        outputs = [go_on, count, y, *after, again]
        renamed = []
        for i, name in enumerate(outputs):  # a body's output has a name of its own
            renamed.append(b.node("Identity", name) if name in names or i == 7 else name)
        given = [info("i", TensorProto.INT64, []), info("go", BOOL, [])]
        given += [info(n, kinds.get(n, FLOAT), shapes[n]) for n in names]
        made = [info(renamed[0], BOOL, []), info(renamed[1], INT, [])]
        made += [info(renamed[2], FLOAT, [None, H])]
        made += [
            info(n, kinds.get(own, FLOAT), shapes[own])
            for n, own in zip(renamed[3:7], names[2:], strict=True)
        ]
        made.append(info(renamed[7], FLOAT, [None, H]))
        inner = {n: f"in_{n}" for node in b.nodes for n in node.output}
        inner |= {t.name: f"in_{t.name}" for t in b.tensors}
        for node in b.nodes:
            node.input[:] = [inner.get(n, n) for n in node.input]
            node.output[:] = [inner[n] for n in node.output]
        for own in (*made, *b.tensors):
            own.name = inner[own.name]
        return helper.make_graph(b.nodes, "body", given, made, b.tensors)


def check(proto, steps):
    session = runtime.InferenceSession(proto.SerializeToString())
    loaded = gru_native.onnx.load(proto)
    for _ in range(3):
        x = np.random.default_rng(steps).standard_normal((N, steps, X)).astype(np.float32)
        outputs = loaded(x)
        outputs = outputs if isinstance(outputs, tuple) else (outputs,)
        for actual, wanted in zip(outputs, session.run(None, {"x": x}), strict=True):
            if not steps:  # its other sizes are 0 there, as far as the body does not say them
                assert actual.size == wanted.size == 0 or actual.shape == wanted.shape
                continue
            assert actual.shape == wanted.shape
            np.testing.assert_allclose(actual, wanted, 1e-5, 1e-5)
    return loaded


@pytest.mark.parametrize(("other", "most"), [("", ""), ("greater", ""), ("", 1 << 40), ("", 4)])
def test_they_are_layers(other, most, tmp_path):
    loop = Loop(other, most)
    for steps in (6, 3, 1, 0):
        loaded = check(loop.proto, steps)
    assert {node.op for node in loaded._program.nodes} & {"RNN", "Loop", "Scan"} == {"RNN"}
    (layer,) = gru_native.onnx.layers(loop.proto).values()
    np.testing.assert_array_equal(layer.weights["weight_ih_l0"], loop.w.T)
    np.testing.assert_array_equal(layer.weights["weight_hh_l0"], loop.r.T)
    if most == 4:
        with pytest.raises(ValueError, match="the model is no chain"):
            loaded.layer()
        return
    loaded.save(tmp_path / "m.safetensors")
    x = np.random.default_rng(1).standard_normal((N, 5, X)).astype(np.float32)
    y, _ = gru_native.load(tmp_path / "m.safetensors")(x)
    np.testing.assert_allclose(y, loaded(x), 1e-5, 1e-5)


@pytest.mark.parametrize(
    "other", ["begin", "by two", "bound", "before", "or equal", "steps", "weights", "count", "half"]
)
def test_others_are_as_they_are(other):
    """Other first counts, steps and ends; what changes on the way; a count that is needed."""
    loop = Loop(other)
    for steps in (0,) if other in ("begin", "before", "or equal") else (6, 7):  # or beyond the end
        check(loop.proto, steps)
    assert "Loop" in {node.op for node in gru_native.onnx.load(loop.proto)._program.nodes}


@pytest.mark.parametrize(
    ("begin", "end"), [*((0, end) for end in (5, 7, 10, 11, 100, 100_000)), (-100, 2**31 - 1)]
)
def test_what_is_cut_at_a_number_is_no_chain(begin, end):
    """Also where that is the length that is tried first, or more than any that is tried."""
    b = Builder()
    w, r = gru_tensors(b, np.random.default_rng(0), X, H)
    cut = b.node("Slice", "x", b.tensor([begin]), b.tensor([end]), b.tensor([int(end == 7)]))
    by_time = b.node("Transpose", cut, perm=[1, 0, 2]) if end == 7 else cut
    y, _ = b.node("GRU", by_time, w, r, outputs=2, hidden_size=H)
    model = gru_native.onnx.load(
        b.model({"x": [None, None, X]}, b.node("Squeeze", y, b.tensor([1])))
    )
    with pytest.raises(ValueError, match="the model is no chain"):
        model.layer()
