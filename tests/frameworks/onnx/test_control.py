"""If, Loop and Scan: what their bodies see of the graphs around them, and how they end."""

import numpy as np
import pytest

onnx = pytest.importorskip("onnx")
from onnx import TensorProto, helper  # noqa: E402

import gru_native  # noqa: E402
import gru_native.onnx  # noqa: E402
from onnx_builder import Builder  # noqa: E402
from onnx_graphs import body, info, model, with_lstm  # noqa: E402

F, I, B = TensorProto.FLOAT, TensorProto.INT64, TensorProto.BOOL  # noqa: E741
X = np.random.default_rng(0).standard_normal((5, 2, 3)).astype(np.float32)


def run_elsewhere(proto, **feeds):
    runtime = pytest.importorskip("onnxruntime")
    session = runtime.InferenceSession(
        proto.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    return session.run(None, feeds)


def test_branches():
    proto = with_lstm()
    loaded = gru_native.onnx.load(proto)
    for c in (True, False):
        expected = run_elsewhere(proto, x=X, c=np.array(c))[0]
        np.testing.assert_allclose(loaded(X, np.array(c)), expected, 1e-5, 1e-6)
    assert loaded(X, np.array(True)).shape == (1, 2, 4)


def test_a_layer_inside_is_found():
    ((name, layer),) = gru_native.onnx.layers(with_lstm()).items()
    assert name == "inner"
    _, (h, _) = layer(2 * X)
    np.testing.assert_allclose(h, gru_native.onnx.load(with_lstm())(X, np.array(True)), 1e-5)


def test_a_branch_needs_what_nobody_makes():
    with pytest.raises(ValueError, match=r"\(If\) needs tensor 'nowhere'|nowhere"):
        gru_native.onnx.load(with_lstm(weight="nowhere"))


def counting(most, stop=None, nodes=None):
    """A loop that doubles x, and gives each step's number times the outer tensor k."""
    own = nodes or [
        helper.make_node("Add", ["v", "v"], ["v2"]),
        helper.make_node("Mul", ["i", "k"], ["n"]),
        helper.make_node("Less", ["i", "stop"], ["go"]),
    ]
    inner = body(
        own,
        [info("i", I, []), info("c", B, []), info("v", F, [None, None, None])],
        [info("go", B, []), info("v2", F, [None, None, None]), info("n", I, [])],
    )
    return model(
        [helper.make_node("Loop", ["most", "", "x"], ["y", "ns"], body=inner)],
        [info("x", shape=[None, None, None]), info("k", I, [])],
        [info("y", shape=[None, None, None]), info("ns", I, [None])],
        [("most", np.array(most)), ("stop", np.array(2**40 if stop is None else stop))],
    )


@pytest.mark.parametrize(("most", "stop", "times"), [(3, None, 3), (10**9, 4, 5), (0, None, 0)])
def test_loops(most, stop, times):
    loaded = gru_native.onnx.load(counting(most, stop))
    y, numbers = loaded(X, np.array(7))
    np.testing.assert_array_equal(y, X * 2.0**times)
    np.testing.assert_array_equal(numbers, 7 * np.arange(times))
    assert numbers.dtype == np.int64


def test_a_loop_that_does_not_end():
    nodes = [
        helper.make_node("Identity", ["v"], ["v2"]),
        helper.make_node("Mul", ["i", "k"], ["n"]),
        helper.make_node("Identity", ["c"], ["go"]),
    ]
    loaded = gru_native.onnx.load(counting(2**62, nodes=nodes))
    gru_native.onnx.operators.budget._STEPS, kept = 10_000, gru_native.onnx.operators.budget._STEPS
    try:
        with pytest.raises(ValueError, match=r"\(Loop\): its loops take more than"):
            loaded(X, np.array(1))
    finally:
        gru_native.onnx.operators.budget._STEPS = kept


def test_a_loop_that_grows():
    nodes = [
        helper.make_node("Concat", ["v", "v"], ["v2"], axis=0),
        helper.make_node("Mul", ["i", "k"], ["n"]),
        helper.make_node("Identity", ["c"], ["go"]),
    ]
    loaded = gru_native.onnx.load(counting(2**62, nodes=nodes))
    with pytest.raises(ValueError, match=r"\(Loop\): node 'v2' \(Concat\): the result would have"):
        loaded(X, np.array(1))


@pytest.mark.parametrize("backwards", [0, 1])
def test_scans(backwards):
    """A cumulative sum along the second axis, with an outer factor."""
    inner = body(
        [
            helper.make_node("Add", ["s", "e"], ["s2"]),
            helper.make_node("Mul", ["s2", "k"], ["o"]),
        ],
        [info("s", F, [None, None]), info("e", F, [None, None])],
        [info("s2", F, [None, None]), info("o", F, [None, None])],
    )
    own = {"scan_input_axes": [1], "scan_output_axes": [2], "num_scan_inputs": 1}
    own |= {"scan_input_directions": [backwards], "scan_output_directions": [backwards]}
    proto = model(
        [helper.make_node("Scan", ["start", "x"], ["end", "y"], body=inner, **own)],
        [info("start", shape=[None, None]), info("x", shape=[None] * 3), info("k", shape=[])],
        [info("end", shape=[None, None]), info("y", shape=[None] * 3)],
    )
    feeds = {"start": np.ones((5, 3), np.float32), "x": X, "k": np.array(2, np.float32)}
    for actual, wanted in zip(
        gru_native.onnx.load(proto)(**feeds), run_elsewhere(proto, **feeds), strict=True
    ):
        np.testing.assert_allclose(actual, wanted, 1e-6)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda node: node.input.append("x"), "body has 3 inputs"),
        (lambda node: node.output.append("more"), "body has 3 inputs and 3 outputs"),
        (lambda node: node.attribute[0].g.input.pop(), "."),
        (lambda node: node.input.__setitem__(2, ""), r"\(Loop\): has no input 3"),
        (lambda node: node.attribute.pop(), "has no body|Required attribute"),
    ],
)
def test_bodies_that_do_not_fit(change, says):
    proto = counting(3)
    change(proto.graph.node[0])
    with pytest.raises(ValueError, match=says):
        gru_native.onnx.load(proto)


# --- what nothing here computes


def strange(b):
    """Two pieces of strange nodes around a GRU, one of three nodes."""
    first = b.node("Det", b.node("Unsqueeze", "x", b.tensor([0])))
    second = b.node("Unique", "x", outputs=1, sorted=1)
    w, r = (b.tensor(np.full((1, 12, n), 0.1, np.float32)) for n in (3, 4))
    _, h = b.node("GRU", "x", w, r, outputs=2, hidden_size=4)
    square = b.node("Reshape", h, b.tensor([3, 2, 2]))
    third = b.node("Det", square)
    return b.node(
        "Add", b.node("ReduceSum", first), b.node("Add", b.node("ReduceMax", second), third)
    )


def test_all_that_is_missing_is_named():
    b = Builder(opset=18)
    proto = b.model({"x": [3, None, 3]}, strange(b), rank=1)
    with pytest.raises(ValueError, match=r"Det is not supported .*Det__1.*Det__5") as caught:
        gru_native.onnx.load(proto)
    assert "operator Unique is not supported (node 'Unique__2' (Unique))" in str(caught.value)


def test_the_rest_in_onnx_runtime():
    pytest.importorskip("onnxruntime")
    b = Builder(opset=18)
    proto = b.model({"x": [3, None, 3]}, strange(b), rank=1)
    x = X[:3, :1].repeat(3, 1)
    x[0, 0, 0] += 1
    (expected,) = run_elsewhere(proto, x=x)
    loaded = gru_native.onnx.load(proto, fallback="onnxruntime")
    np.testing.assert_allclose(loaded(x), expected, 1e-5, 1e-6)


def test_one_session_for_each_piece():
    pytest.importorskip("onnxruntime")
    b = Builder(opset=18)
    one = b.node("Det", "x")
    two = b.node("Bernoulli", one, seed=1.0)
    three = b.node("Tanh", two)
    four = b.node("Det", b.node("Add", "x", b.node("Unsqueeze", three, b.tensor([1, 2]))))
    proto = b.model({"x": [None, 3, 3]}, [b.node("Add", four, two), three], rank=1)
    loaded = gru_native.onnx.load(proto, fallback="onnxruntime")
    found = [step.node for step in loaded._program.steps if "piece" in step.node.op]
    assert [len(node.attributes["nodes"]) for node in found] == [2, 1]
    x = np.stack([np.eye(3, dtype=np.float32)] * 4)
    y, t = loaded(x)
    assert y.shape == t.shape == (4,)


def test_wrong_fallbacks():
    b = Builder(opset=18)
    proto = b.model({"x": [None, None, 3]}, b.node("Det", "x"), rank=1)
    with pytest.raises(ValueError, match="fallback is 'torch'; expected None or 'onnxruntime'"):
        gru_native.onnx.load(proto, fallback="torch")
    pytest.importorskip("onnxruntime")
    with pytest.raises(ValueError, match=r"node 'Det__0' \(Det\): ONNX Runtime: "):
        gru_native.onnx.load(proto, fallback="onnxruntime")(np.zeros((2, 3, 3), np.float32)[:, :0])


# --- parts


def two_layers(**attributes):
    rng, b = np.random.default_rng(0), Builder()
    x = "x"
    for size in (3, 4):
        w = b.tensor(rng.standard_normal((1, 12, size)).astype(np.float32))
        r = b.tensor(rng.standard_normal((1, 12, 4)).astype(np.float32))
        bias = b.tensor(rng.standard_normal((1, 24)).astype(np.float32))
        y, _ = b.node("GRU", x, w, r, bias, outputs=2, hidden_size=4, **attributes)
        x = b.node("Squeeze", y, b.tensor([1]))
    return b.model({"x": [None, None, 3]}, x), "Squeeze__1:0"


def test_a_part():
    proto, between = two_layers()
    whole = gru_native.onnx.load(proto)
    first = gru_native.onnx.load(proto, outputs=[between])
    second = gru_native.onnx.load(proto, inputs=[between])
    assert list(second.inputs) == [between]
    np.testing.assert_array_equal(second(first(X)), whole(X))
    assert second.layer().input_size == 4
    for names in ({"inputs": ["nowhere"]}, {"outputs": ["nowhere"]}):
        with pytest.raises(ValueError, match="there is no tensor 'nowhere'"):
            gru_native.onnx.load(proto, **names)
    with pytest.raises(ValueError, match="the outputs need input 'x' of the model"):
        gru_native.onnx.load(proto, inputs=[])
    with pytest.raises(TypeError, match="inputs is 'x'; expected a list"):
        gru_native.onnx.load(proto, inputs="x")


def test_layers_by_name():
    proto, _ = two_layers(linear_before_reset=1)
    proto.graph.node.append(helper.make_node("Nothing", ["x"], ["z"], domain="strange"))
    proto.opset_import.append(helper.make_opsetid("strange", 1))
    found = gru_native.onnx.layers(proto)
    assert list(found) == ["GRU__0", "GRU__2"]
    y = X
    for gru in found.values():
        y, _ = gru(y)
    np.testing.assert_array_equal(y, gru_native.onnx.load(two_layers(linear_before_reset=1)[0])(X))
    with pytest.raises(ValueError, match="Nothing is not supported"):
        gru_native.onnx.load(proto)


def test_grus_of_exporters_that_lose_the_form():
    lost, right = two_layers()[0], gru_native.onnx.load(two_layers(linear_before_reset=1)[0])
    as_written = gru_native.onnx.load(lost)(X)
    assert np.abs(as_written - right(X)).max() > 0.01
    meant = gru_native.onnx.load(lost, linear_before_reset=True)
    np.testing.assert_array_equal(meant(X), right(X))
    assert all(
        g.reset_after for g in gru_native.onnx.layers(lost, linear_before_reset=True).values()
    )
    with pytest.raises(TypeError, match="linear_before_reset"):
        gru_native.onnx.load(lost, linear_before_reset=2)
