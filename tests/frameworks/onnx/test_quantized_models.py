"""Models of 8 bits, as ONNX Runtime makes and computes them, and layers of int8 written so."""

import warnings

import numpy as np
import pytest

from helpers import assert_same_bits

onnx = pytest.importorskip("onnx")
runtime = pytest.importorskip("onnxruntime")
from onnx import TensorProto, helper, numpy_helper  # noqa: E402

import gru_native  # noqa: E402
import gru_native.onnx  # noqa: E402
from gru_native import GRU, LSTM, RNN, Chain, Dense  # noqa: E402

NEAR = 0.03  # of outputs below 1: both round what they multiply


def runs(model, **feeds):
    """ONNX Runtime's outputs, of the graph as it is."""
    options = runtime.SessionOptions()
    options.graph_optimization_level = runtime.GraphOptimizationLevel.ORT_DISABLE_ALL
    return runtime.InferenceSession(model.SerializeToString(), options).run(None, feeds)


def numbers(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


# --- what ONNX Runtime quantizes


def float_model(layer, path):
    gru_native.onnx.export(layer, path)
    return path


def quantized_by_runtime(layer, folder, kind, per_channel):
    from onnxruntime.quantization import QuantType, quantize_dynamic

    path = float_model(layer, folder / "float.onnx")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        quantize_dynamic(
            path, folder / "int8.onnx", weight_type=QuantType[kind], per_channel=per_channel
        )
    return onnx.load(folder / "int8.onnx")


@pytest.mark.parametrize("per_channel", [False, True])
@pytest.mark.parametrize("kind", ["QInt8", "QUInt8"])
@pytest.mark.parametrize("bidirectional", [False, True])
def test_models_of_quantize_dynamic(tmp_path, kind, per_channel, bidirectional):
    width = 40 if bidirectional else 20
    chain = Chain(
        [
            LSTM(6, 20, 2, bidirectional=bidirectional, seed=1),
            Dense(width, 5, activation="tanh", seed=2),
        ]
    )
    model = quantized_by_runtime(chain, tmp_path, kind, per_channel)
    ops = {node.op_type for node in model.graph.node}
    assert {"DynamicQuantizeLSTM", "MatMulInteger"} <= ops
    loaded = gru_native.onnx.load(model)
    x = numbers(9, 3, 6)
    theirs = runs(model, x=x)[0]
    y = loaded(x)[0]
    exact = chain(x)[0]
    assert 0 < np.abs(y - theirs).max() < NEAR
    assert np.abs(y - exact).mean() < 1.2 * np.abs(theirs - exact).mean()
    layer = loaded.layer()
    assert repr(layer) == repr(chain)
    assert layer.blocks[0].precision == "int8"
    np.testing.assert_array_equal(layer(x)[0], y)
    if not bidirectional:
        np.testing.assert_array_equal(loaded.stream(3)(x), y)
    loaded.save(tmp_path / "saved")
    assert_same_bits(gru_native.load(tmp_path / "saved")(x)[0], y)


# --- DynamicQuantizeLSTM as such

HIDDEN, INPUTS = 8, 5


def node_model(w, r, scales, zeros, bias, *, direction="forward", given=()):
    """W and R (directions, columns, rows) of any 8 bits, with scales and zero points."""
    tensors = {"W": w, "R": r, "B": bias, "W_scale": scales[0], "R_scale": scales[1]}
    tensors |= {"W_zero_point": zeros[0], "R_zero_point": zeros[1]}
    names = ["X", "W", "R", "B", "", *(n if n in given else "" for n in ("h0", "c0")), ""]
    names += ["W_scale", "W_zero_point", "R_scale", "R_zero_point"]
    node = helper.make_node(
        "DynamicQuantizeLSTM",
        names,
        ["Y", "Y_h", "Y_c"],
        domain="com.microsoft",
        hidden_size=HIDDEN,
        direction=direction,
    )

    def info(name):
        rank = 4 if name == "Y" else 3
        return helper.make_tensor_value_info(name, TensorProto.FLOAT, [None] * rank)

    graph = helper.make_graph(
        [node],
        "graph",
        [info(n) for n in ("X", *given)],
        [info(n) for n in ("Y", "Y_h", "Y_c")],
        [numpy_helper.from_array(a, n) for n, a in tensors.items()],
    )
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("com.microsoft", 1)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=8)


def eight_bits(floats, kind, per_channel, asymmetric):
    """floats (directions, rows, columns) -> (directions, columns, rows), scales, zero points."""
    over = 2 if per_channel else (1, 2)
    low, high = floats.min(axis=over), floats.max(axis=over)
    limits = np.iinfo(kind)
    if asymmetric:
        scale = ((high - low) / 255).astype(np.float32)
        zero = np.clip(np.rint(limits.min - low / scale), limits.min, limits.max)
    else:
        scale = (np.maximum(-low, high) / 127).astype(np.float32)
        zero = np.full(scale.shape, 0 if limits.min else 128)
    by_row = (scale, zero) if per_channel else (scale[:, None], zero[:, None])
    q = np.rint(floats / by_row[0][..., None]) + by_row[1][..., None]
    q = np.clip(q, limits.min, limits.max).astype(kind)
    return np.ascontiguousarray(q.swapaxes(1, 2)), scale, zero.astype(kind)


def of_floats(model, numbers, scales, zeros):
    """The same node as an LSTM of what its numbers stand for."""
    other = onnx.ModelProto()
    other.CopyFrom(model)
    node = other.graph.node[0]
    node.op_type, node.domain = "LSTM", ""
    del node.input[7:]
    del other.graph.initializer[:]
    kept = {t.name: t for t in model.graph.initializer if t.name == "B"}
    for name, q, scale, zero in zip("WR", numbers, scales, zeros, strict=True):
        rows = (q.swapaxes(1, 2).astype(int) - zero[..., None]) * scale[..., None]
        kept[name] = numpy_helper.from_array(rows.astype(np.float32), name)
    other.graph.initializer.extend(kept.values())
    return other


@pytest.mark.parametrize("asymmetric", [False, True])
@pytest.mark.parametrize("per_channel", [False, True])
@pytest.mark.parametrize("kind", [np.int8, np.uint8])
@pytest.mark.parametrize("direction", ["forward", "reverse", "bidirectional"])
def test_node(direction, kind, per_channel, asymmetric):
    directions = 1 + (direction == "bidirectional")
    # a positive mean, so that zero points differ from those of symmetric numbers
    floats = [
        0.3 * numbers(directions, 4 * HIDDEN, n, seed=n) + 0.1 * asymmetric
        for n in (INPUTS, HIDDEN)
    ]
    made = [eight_bits(f, kind, per_channel, asymmetric) for f in floats]
    bias = 0.3 * numbers(directions, 8 * HIDDEN, seed=3)
    model = node_model(
        *(m[0] for m in made),
        [m[1] for m in made],
        [m[2] for m in made],
        bias,
        direction=direction,
        given=("h0", "c0"),
    )
    feeds = {"X": numbers(7, 3, INPUTS, seed=4)}
    feeds |= {n: 0.5 * numbers(directions, 3, HIDDEN, seed=5) for n in ("h0", "c0")}
    loaded = gru_native.onnx.load(model)
    other = model  # ONNX Runtime refuses zero points of rows that are not 0
    if asymmetric and per_channel:
        other = of_floats(model, [m[0] for m in made], [m[1] for m in made], [m[2] for m in made])
    for ours, theirs in zip(loaded(**feeds), runs(other, **feeds), strict=True):
        assert ours.shape == theirs.shape
        assert np.abs(ours - theirs).max() < NEAR
    (recurrent,) = loaded._program.layers.values()
    layer = recurrent.layers[0]
    assert layer.precision == ("float32" if asymmetric else "int8")
    # the weights are what the numbers stand for, gates in the order i f g o
    q, scale, zero = (made[0][0].swapaxes(1, 2).astype(int), made[0][1], made[0][2].astype(int))
    if not per_channel:
        scale, zero = scale[:, None], zero[:, None]
    rows = (q - zero[..., None]).astype(np.float32) * scale[..., None].astype(np.float32)
    i, o, f, g = np.split(rows[0], 4)
    np.testing.assert_array_equal(layer.weights["weight_ih_l0"], np.concatenate([i, f, g, o]))


ERRORS = {
    "scale": (lambda p: p["scales"].__setitem__(0, np.ones(3, np.float32)), "W_scale has shape"),
    "not finite": (
        lambda p: p["scales"].__setitem__(1, np.full(1, np.nan, np.float32)),
        "R_scale is not finite",
    ),
    "zero point": (lambda p: p["zeros"].__setitem__(0, np.zeros(1, np.uint8)), "W_zero_point has"),
    "floats": (lambda p: p.update(w=p["w"].astype(np.float32)), "W has dtype float32"),
    "size": (lambda p: p.update(r=p["r"][:, :-1]), "R has shape"),
}


@pytest.mark.parametrize("case", ERRORS)
def test_errors(case):
    change, text = ERRORS[case]
    parts = {
        "w": np.ones((1, INPUTS, 4 * HIDDEN), np.int8),
        "r": np.ones((1, HIDDEN, 4 * HIDDEN), np.int8),
        "scales": [np.ones(1, np.float32), np.ones(1, np.float32)],
        "zeros": [np.zeros(1, np.int8), np.zeros(1, np.int8)],
        "bias": np.zeros((1, 8 * HIDDEN), np.float32),
    }
    change(parts)
    with pytest.raises(ValueError, match=rf"\(DynamicQuantizeLSTM\): {text}"):
        gru_native.onnx.load(node_model(**parts))


def test_another_operator_of_the_runtime():
    model = node_model(
        np.ones((1, INPUTS, 4 * HIDDEN), np.int8),
        np.ones((1, HIDDEN, 4 * HIDDEN), np.int8),
        [np.ones(1, np.float32)] * 2,
        [np.zeros(1, np.int8)] * 2,
        np.zeros((1, 8 * HIDDEN), np.float32),
    )
    model.graph.node[0].op_type = "Inverse"
    with pytest.raises(ValueError, match=r"operator Inverse of com\.microsoft is not"):
        gru_native.onnx.load(model)


# --- layers of int8, written

LAYERS = {
    "lstm": lambda: LSTM(6, 20, 2, seed=1),
    "both ways": lambda: LSTM(6, 20, bidirectional=True, batch_first=True, seed=2),
    "peephole": lambda: LSTM(6, 20, peephole=True, bias=False, seed=3),
    "coupled": lambda: LSTM(6, 20, coupled_gates=True, seed=4),
    "dense": lambda: Dense(6, 5, activation="sigmoid", seed=5),
    "chain": lambda: Chain([Dense(6, 12, seed=6), LSTM(12, 9, seed=7), Dense(9, 4, seed=8)]),
}


@pytest.mark.parametrize("name", LAYERS)
def test_export_of_int8(name, tmp_path):
    layer = LAYERS[name]()
    fast = layer.quantize("int8")
    gru_native.onnx.export(fast, tmp_path / "int8.onnx")
    model = onnx.load(tmp_path / "int8.onnx")
    onnx.checker.check_model(model)
    x = numbers(4, 7, 6)
    y = fast(x) if isinstance(fast, Dense) else fast(x)[0]
    if name != "coupled":  # ONNX Runtime computes another function there
        assert np.abs(runs(model, x=x)[0] - y).max() < NEAR
    loaded = gru_native.onnx.load(model).layer()
    assert loaded.precision == "int8"
    assert repr(loaded) == repr(fast)
    for key, tensor in fast._stored().items():
        assert_same_bits(loaded._stored()[key], tensor)
    assert_same_bits(loaded(x) if isinstance(fast, Dense) else loaded(x)[0], y)


def test_what_has_no_operator(tmp_path):
    cases = {"a GRU of int8": GRU(3, 4).quantize("int8")}
    cases["an RNN of int8"] = RNN(3, 4).quantize("int8")
    cases["an LSTM of bf16"] = LSTM(3, 4).quantize("bf16")
    cases["a Dense of bf16"] = Chain([GRU(3, 4), Dense(4, 2).quantize("bf16")])
    for text, layer in cases.items():
        with pytest.raises(ValueError, match=rf"layer has {text}, for which ONNX has no operator"):
            gru_native.onnx.export(layer, tmp_path / "m.onnx")
    assert not list(tmp_path.iterdir())


# --- quantized numbers around layers


def test_weights_behind_dequantize_linear():
    """As static quantization writes them: such a layer is one of float32."""
    from onnx_builder import Builder

    b = Builder(opset=17)
    q = np.random.default_rng(1).integers(-128, 128, (6, 4)).astype(np.int8)
    scale, zero = np.full(4, 0.01, np.float32), np.full(4, 3, np.int8)
    weight = b.node("DequantizeLinear", b.tensor(q), b.tensor(scale), b.tensor(zero), axis=1)
    model = b.model({"x": [None, None, 6]}, b.node("MatMul", "x", weight))
    loaded = gru_native.onnx.load(model)
    layer = loaded.layer()
    np.testing.assert_array_equal(layer.weights["weight"].T, (q - 3.0).astype("f4") * scale)
    x = numbers(3, 2, 6)
    np.testing.assert_allclose(loaded(x), runs(model, x=x)[0], atol=1e-5)


def test_quantize_and_dequantize():
    from onnx_builder import Builder

    b = Builder(opset=17)
    scale, zero = b.tensor(np.float32(0.02)), b.tensor(np.uint8(111))
    whole = b.node("QuantizeLinear", "x", scale, zero)
    model = b.model({"x": [None, None, 6]}, b.node("DequantizeLinear", whole, scale, zero))
    x = np.concatenate([numbers(30, 2, 6), np.full((1, 2, 6), 1e9, np.float32)])
    assert_same_bits(gru_native.onnx.load(model)(x), runs(model, x=x)[0])


def test_integers_that_are_no_dense_layer():
    """The same numbers as ONNX Runtime's, where no layer stands for the product."""
    from onnx_builder import Builder

    b = Builder(opset=17)
    weight = b.tensor(np.random.default_rng(1).integers(0, 256, (6, 4)).astype(np.uint8))
    q, _, z = b.node("DynamicQuantizeLinear", "x", outputs=3)
    product = b.node("MatMulInteger", q, weight, z, b.tensor(np.uint8(7)))
    model = b.model({"x": [None, None, 6]}, b.node("Cast", product, to=TensorProto.FLOAT))
    x = numbers(5, 2, 6)
    assert_same_bits(gru_native.onnx.load(model)(x), runs(model, x=x)[0])


@pytest.mark.parametrize("wide", [0, 1, 2, 64])
def test_few_rows_beyond_127(wide):
    """Those of unsigned weights, in a dense layer: a few are rounded again, with a larger scale."""
    rng = np.random.default_rng(0)
    weight = rng.integers(119 - 100, 119 + 100, (30, 128)).astype(np.uint8)
    weight[3, :wide] = 255
    scale = np.float32(0.01)
    tensors = {"w": weight, "z": np.uint8(119), "s": scale}
    nodes = [
        helper.make_node("DynamicQuantizeLinear", ["x"], ["q", "sx", "zx"]),
        helper.make_node("MatMulInteger", ["q", "w", "zx", "z"], ["i"]),
        helper.make_node("Cast", ["i"], ["f"], to=TensorProto.FLOAT),
        helper.make_node("Mul", ["sx", "s"], ["m"]),
        helper.make_node("Mul", ["f", "m"], ["y"]),
    ]
    kind = TensorProto.FLOAT
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("x", kind, [None, 30])],
        [helper.make_tensor_value_info("y", kind, [None, 128])],
        [numpy_helper.from_array(np.asarray(a), n) for n, a in tensors.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 15)], ir_version=8)
    loaded, x = gru_native.onnx.load(model), rng.standard_normal((7, 30)).astype(np.float32)
    (dense,) = loaded._program.dense.values()
    assert dense.precision == ("int8" if wide <= 2 else "float32")
    exact = x @ ((weight.astype(np.float32) - 119) * scale)
    (theirs,) = runs(model, x=x)
    for _ in range(3):
        error = np.abs(loaded(x) - exact).max(0)
        assert (error <= 1.5 * np.abs(theirs - exact).max() + 1e-4).all()
