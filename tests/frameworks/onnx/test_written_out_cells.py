"""Cells written out step by step: they are the layers that they are, with the same numbers."""

import tracemalloc

import numpy as np
import pytest

onnx = pytest.importorskip("onnx")
runtime = pytest.importorskip("onnxruntime")
from onnx import TensorProto, helper, numpy_helper  # noqa: E402

import gru_native  # noqa: E402
import gru_native.onnx  # noqa: E402
from gru_native.onnx import _model  # noqa: E402
from gru_native.onnx.cells import with_layers  # noqa: E402
from onnx_builder import Builder, from_torch  # noqa: E402
from onnx_graphs import info  # noqa: E402
from written_out import Body, Weights  # noqa: E402

KINDS = ("LSTM", "GRU", "GRU before", "RNN")
STYLES = ("fused", "gemm", "separate")
I, B = TensorProto.INT64, TensorProto.BOOL  # noqa: E741
T, N, X, H = 6, 2, 3, 4


def feeds_for(kind, seed=0, rows=N, steps=T):
    rng = np.random.default_rng(seed)
    names = ("h", "c") if kind == "LSTM" else ("h",)
    states = {n: rng.standard_normal((rows, H)).astype(np.float32) for n in names}
    return {"x": rng.standard_normal((steps, rows, X)).astype(np.float32), **states}


def check(proto, feeds, tolerance=1e-5):
    """Against ONNX Runtime, before and after the plan; returns the model."""
    session = runtime.InferenceSession(
        proto.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    expected = session.run(None, feeds)
    loaded = gru_native.onnx.load(proto)
    for _ in range(3):
        outputs = loaded(**feeds)
        outputs = outputs if isinstance(outputs, tuple) else (outputs,)
        for actual, wanted in zip(outputs, expected, strict=True):
            assert actual.shape == wanted.shape
            np.testing.assert_allclose(actual, wanted, tolerance, tolerance)
    return loaded


def operators(loaded):
    return {node.op for node in loaded._program.nodes}


def assert_found(proto, name, weights, loaded=None, direction="forward"):
    """The layer has this name, and the weights of such a node; no step is left as nodes."""
    found = gru_native.onnx.layers(proto)
    assert list(found) == [name]
    w, r, b = weights.tensors()
    op = weights.kind.split()[0]
    node = helper.make_node(
        op,
        ["x", "w", "r", "b"],
        ["y"],
        hidden_size=H,
        **({"linear_before_reset": 1} if weights.kind == "GRU" else {}),
    )
    graph = helper.make_graph(
        [node],
        "g",
        [info("x", shape=[None, None, X])],
        [info("y", shape=[None] * 4)],
        [numpy_helper.from_array(a, n) for n, a in (("w", w), ("r", r), ("b", b))],
    )
    own = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    ((_, expected),) = gru_native.onnx.layers(own).items()
    layer = found[name]
    assert type(layer) is type(expected)
    assert repr(layer) == repr(expected)
    x = np.random.default_rng(9).standard_normal((T, N, X)).astype(np.float32)
    np.testing.assert_allclose(layer(x)[0], expected(x)[0], 1e-5, 1e-6)
    if loaded is not None:
        assert operators(loaded) & {"LSTM", "GRU", "RNN"}
        assert not operators(loaded) & {"Sigmoid", "Tanh", "Loop", "Scan", "Mul", "Split", "Dense"}


def one_step(kind, style, opset=17, prefix="", seed=0):
    """The body of a loop, its weights, and the names of its states."""
    weights = Weights(kind, X, H, seed)
    b = Body(weights, style, opset, prefix)
    names = [prefix + n for n in (("h", "c") if kind == "LSTM" else ("h",))]
    return b, weights, names


def scan(kind, style, *, opset=17, axis=0, backwards=False, seed=0):
    b, weights, names = one_step(kind, style, opset, "in_", seed)
    after = b.step("in_x", *names)
    y = b.node("Identity", after[0])
    body = helper.make_graph(
        b.nodes,
        "body",
        [*(info(n, shape=[None, H]) for n in names), info("in_x", shape=[None, X])],
        [*(info(n, shape=[None, H]) for n in after), info(y, shape=[None, H])],
    )
    outer = [n.removeprefix("in_") for n in names]
    ends = [f"{n}_after" for n in outer]
    node = helper.make_node(
        "Scan",
        [*outer, "x"],
        [*ends, "y"],
        "steps",
        body=body,
        num_scan_inputs=1,
        scan_input_axes=[axis],
        scan_output_axes=[axis],
        scan_input_directions=[int(backwards)],
        scan_output_directions=[int(backwards)],
    )
    return finished([node], b.tensors, outer, [*ends, "y"], opset), weights


def finished(nodes, tensors, states, outputs, opset=17, x=(None, None, X)):
    graph = helper.make_graph(
        nodes,
        "g",
        [info("x", shape=x), *(info(n, shape=[None, H]) for n in states)],
        [info(n, shape=None) for n in outputs],
        tensors,
    )
    opsets = [helper.make_opsetid("", opset)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=8)


def loop(kind, style, opset=17, extra=False):
    """As long as x is, each step's x taken by its number."""
    b, weights, names = one_step(kind, style, opset, "in_")
    step = b.node("Gather", "x", "i", axis=0)
    after = b.step(step, *names)
    outputs = [after[0]]
    if extra:  # what a later layer does with each step, and with the step's number
        number = b.node("Cast", "i", to=TensorProto.FLOAT)
        outputs.append(b.node("Mul", b.node("Exp", after[0]), number))
    going = b.node("Identity", "go")
    body = helper.make_graph(
        b.nodes,
        "body",
        [info("i", I, []), info("go", B, []), *(info(n, shape=[None, H]) for n in names)],
        [info(going, B, []), *(info(n, shape=[None, H]) for n in (*after, *outputs))],
    )
    outer = [n.removeprefix("in_") for n in names]
    ends = [f"{n}_after" for n in outer]
    collected = ["y", "other"][: len(outputs)]
    nodes = [
        helper.make_node("Shape", ["x"], ["shape"]),
        helper.make_node("Gather", ["shape", "first"], ["most"], axis=0),
        helper.make_node("Loop", ["most", "", *outer], [*ends, *collected], "steps", body=body),
    ]
    b.tensor(np.array(0), "first")
    return finished(nodes, b.tensors, outer, [*ends, *collected], opset), weights


def unrolled(kind, style, opset=17, steps=T, seed=0, other=None):
    """steps: of x. other: what has the last step's weights."""
    b, weights, states = one_step(kind, style, opset, "", seed)
    outs = []
    for t in range(steps):
        if other is not None and t == steps - 1:
            b.own = other
        x = b.node("Gather", "x", b.tensor(np.array(t)), axis=0)
        states = b.step(x, *states)
        outs.append(b.node("Unsqueeze", states[0], b.tensor(np.array([0]))))
    y = b.node("Concat", *outs, axis=0)
    names = ["h", "c"] if kind == "LSTM" else ["h"]
    proto = finished(b.nodes, b.tensors, names, [y, *states], opset, (steps, None, X))
    return proto, weights


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("style", STYLES)
def test_loops_of_cells(kind, style):
    for make in (scan, loop):
        proto, weights = make(kind, style)
        loaded = check(proto, feeds_for(kind))
        assert_found(proto, "steps", weights, loaded)
    proto, weights = unrolled(kind, style)
    loaded = check(proto, feeds_for(kind))
    name = next(n.name for n in proto.graph.node if n.op_type not in ("Gather", "Unsqueeze"))
    assert_found(proto, name, weights, loaded)


@pytest.mark.parametrize("kind", ["LSTM", "GRU"])
@pytest.mark.parametrize("opset", [11, 13, 21])
def test_ways_through_a_sequence(kind, opset):
    for axis in (0, 1):
        for backwards in (False, True):
            proto, weights = scan(kind, "gemm", opset=opset, axis=axis, backwards=backwards)
            feeds = feeds_for(kind)
            feeds["x"] = feeds["x"].swapaxes(0, 1).copy() if axis else feeds["x"]
            assert_found(proto, "steps", weights, check(proto, feeds))


def test_the_rest_of_a_loop_goes_through_the_layers_steps():
    proto, weights = loop("LSTM", "separate", extra=True)
    loaded = check(proto, feeds_for("LSTM"))
    assert_found(proto, "steps", weights)
    assert operators(loaded) >= {"LSTM", "Scan"}
    (left,) = (n for n in loaded._program.nodes if n.op == "Scan")
    assert {n.op for n in left.bodies["body"].nodes} == {"Exp", "Mul", "Cast"}


def test_two_layers_in_one_loop():
    first, second = Weights("GRU", X, H, 1), Weights("GRU", H, H, 2)
    b = Body(first, "fused", prefix="in_")
    (below,) = b.step("in_x", "in_h")
    b.own = second
    (above,) = b.step(below, "in_c")
    y = b.node("Identity", above)
    body = helper.make_graph(
        b.nodes,
        "body",
        [*(info(n, shape=[None, H]) for n in ("in_h", "in_c")), info("in_x", shape=[None, X])],
        [info(n, shape=[None, H]) for n in (below, above, y)],
    )
    node = helper.make_node(
        "Scan", ["h", "c", "x"], ["p", "q", "y"], "steps", body=body, num_scan_inputs=1
    )
    proto = finished([node], b.tensors, ["h", "c"], ["y", "p", "q"])
    loaded = check(proto, feeds_for("LSTM"))
    assert operators(loaded) & {"GRU", "Scan", "Loop", "Sigmoid", "Tanh"} == {"GRU"}
    assert list(gru_native.onnx.layers(proto)) == ["steps", "steps (2)"]


@pytest.mark.parametrize("kind", KINDS)
def test_one_row_for_many(kind):
    """A state of one row is that of all rows, as where the nodes add it to others."""
    for make in (scan, loop, unrolled):
        proto, _ = make(kind, "separate")
        for rows in ((3, 1), (1, 3), (1, 1)):
            feeds = feeds_for(kind, rows=3)
            feeds["x"] = feeds["x"][:, : rows[0]].copy()
            if make is not unrolled and rows == (3, 1):
                continue  # a loop's states keep their shapes
            feeds |= {n: feeds[n][: rows[1]].copy() for n in ("h", "c") if n in feeds}
            check(proto, feeds)


@pytest.mark.parametrize("cell", ["LSTM", "GRU", "RNN"])
@pytest.mark.parametrize("dynamo", [False, True])
def test_loops_over_cells_of_torch(cell, dynamo):
    torch = pytest.importorskip("torch")

    class Network(torch.nn.Module):
        def __init__(self, backwards, given):
            super().__init__()
            self.cell = getattr(torch.nn, f"{cell}Cell")(X, H)
            self.head = torch.nn.Linear(H, 2)
            self.backwards, self.given = backwards, given

        def forward(self, x, *states):
            zero = torch.zeros(x.shape[1], H)
            state = (zero, zero) if cell == "LSTM" else zero
            if self.given:
                state = states if cell == "LSTM" else states[0]
            steps = []
            for t in reversed(range(T)) if self.backwards else range(T):
                state = self.cell(x[t], state)
                steps.append(state[0] if cell == "LSTM" else state)
            steps = steps[::-1] if self.backwards else steps
            return self.head(torch.stack(steps))

    torch.manual_seed(3)
    for backwards, given in ((False, False), (False, True), (True, False)):
        network = Network(backwards, given).eval()
        feeds = feeds_for(cell)
        example = [torch.from_numpy(a) for a in (feeds.values() if given else [feeds["x"]])]
        proto = from_torch(network, *example, dynamo=dynamo)
        names = [v.name for v in proto.graph.input]
        loaded = check(proto, dict(zip(names, feeds.values(), strict=False)))
        (layer,) = gru_native.onnx.layers(proto).values()
        x = feeds["x"][::-1] if backwards else feeds["x"]
        with torch.no_grad():
            wanted = getattr(torch.nn, cell)(X, H)
            own = {f"{n}_l0": w for n, w in network.cell.state_dict().items()}
            wanted.load_state_dict(own)
            y = wanted(torch.from_numpy(x.copy()))[0].numpy()
        np.testing.assert_allclose(layer(np.ascontiguousarray(x))[0], y, 1e-5, 1e-6)
        if not backwards:
            assert isinstance(loaded.layer().blocks[0], type(layer))
            stream = loaded.stream(N)
            if not given:
                whole = loaded(feeds["x"])
                np.testing.assert_array_equal([stream(row) for row in feeds["x"]], whole)


def test_rnn_as_the_newer_exporter_writes_it():
    """All inputs' products in front, steps taken out of these, and states with another axis."""
    torch = pytest.importorskip("torch")
    rnn = torch.nn.RNN(X, H, 2, batch_first=True).eval()
    x = np.random.default_rng(0).standard_normal((N, T, X)).astype(np.float32)
    loaded = check(from_torch(rnn, torch.from_numpy(x), dynamo=True), {"input": x})
    assert repr(loaded.layer()) == repr(gru_native.RNN(X, H, 2, batch_first=True))
    both = torch.nn.RNN(X, H, bidirectional=True).eval()
    proto = from_torch(both, torch.from_numpy(x), dynamo=True)
    check(proto, {"input": x})
    assert len(gru_native.onnx.layers(proto)) == 2


def test_what_is_nearly_a_cell_stays_as_it_is():
    """Other weights in one step, another gate in the sum, the state of another step."""
    proto, _ = unrolled("LSTM", "gemm", other=Weights("LSTM", X, H, 7))
    check(proto, feeds_for("LSTM"))
    assert len(gru_native.onnx.layers(proto)) == 2
    for kind, op, place in (("LSTM", "Mul", 0), ("GRU", "Mul", -1), ("LSTM", "Add", -1)):
        proto, _ = scan(kind, "separate")
        body = proto.graph.node[0].attribute[0].g
        nodes = [n for n in body.node if n.op_type == op]
        (wrong,) = [nodes[place]]
        wrong.input[0] = wrong.input[1]
        loaded = check(proto, feeds_for(kind))
        assert not gru_native.onnx.layers(proto)
        assert "Scan" in operators(loaded)
    proto, _ = scan("LSTM", "fused")
    body = proto.graph.node[0].attribute[0].g
    body.output[0].name, body.output[1].name = body.output[1].name, body.output[0].name
    check(proto, feeds_for("LSTM"))


def test_steps_that_depend_on_the_state_before():
    """Each output is the next input: a cell is found in every step, and no sequence."""
    weights = Weights("GRU", H, H)
    b = Body(weights, "fused")
    x = b.node("Gather", "x", b.tensor(np.array(0)), axis=0)
    x = b.node("MatMul", x, b.tensor(np.random.default_rng(0).standard_normal((X, H), np.float32)))
    h = "h"
    for _ in range(3):
        (h,) = b.step(x, h)
        x = b.node("Exp", h)
    proto = finished(b.nodes, b.tensors, ["h"], [x])
    loaded = check(proto, feeds_for("GRU"), 1e-4)
    assert [n.op for n in loaded._program.nodes].count("GRU") == 3
    assert not operators(loaded) & {"Sigmoid", "Tanh"}


def test_what_would_take_long_or_much_memory_stays_as_it_is():
    """Many products one beside the other, over and over, and products of many pieces."""
    b, rng = Builder(17), np.random.default_rng(0)
    y = b.node("MatMul", "x", b.tensor(rng.standard_normal((512, 512), np.float32)))
    many = [
        b.node("Tanh", b.node("Concat", *[b.node("Mul", y, b.tensor(np.float32(i)))] * 16, axis=-1))
        for i in range(1, 60)
    ]
    ones = b.node("Concat", *["x"] * 900, axis=-1)
    matrix = b.tensor(rng.standard_normal((900 * 512, 1), np.float32))
    many += [b.node("Sigmoid", b.node("MatMul", ones, matrix)) for _ in range(300)]
    proto = b.model({"x": [1, 512]}, many, rank=2)
    tracemalloc.start()
    try:
        graph = _model.read(proto)
        before = tracemalloc.get_traced_memory()[0]
        tracemalloc.reset_peak()
        assert with_layers(graph) is not None
        assert tracemalloc.get_traced_memory()[1] - before < 1 << 28
    finally:
        tracemalloc.stop()


def test_functions_of_other_names():
    """Keras' hard sigmoid, written with Clip; relu in the place of tanh."""
    proto, _ = scan("LSTM", "separate")
    body = proto.graph.node[0].attribute[0].g
    new = []
    for node in body.node:
        if node.op_type == "Sigmoid":
            a, b, out = node.input[0], f"{node.name}_b", node.output[0]
            new.append(helper.make_node("Mul", [a, "fifth"], [f"{node.name}_a"]))
            new.append(helper.make_node("Add", ["half", f"{node.name}_a"], [b]))
            new.append(helper.make_node("Clip", [b, "zero", "one"], [out]))
        else:
            node.op_type = "Relu" if node.op_type == "Tanh" else node.op_type
            new.append(node)
    del body.node[:]
    body.node.extend(new)
    for name, value in (("fifth", 0.2), ("half", 0.5), ("zero", 0), ("one", 1)):
        proto.graph.initializer.append(numpy_helper.from_array(np.float32(value), name))
    check(proto, feeds_for("LSTM"))
    (layer,) = gru_native.onnx.layers(proto).values()
    assert layer.gate_activation[0] == "hard_sigmoid"
    np.testing.assert_allclose(layer.gate_activation[1:], (0.2, 0.5), 1e-6)
    assert layer.input_activation == "relu"
