"""Convolutions, pools, paddings and Resize with random options, against ONNX Runtime."""

import numpy as np
import pytest

onnx = pytest.importorskip("onnx")
runtime = pytest.importorskip("onnxruntime")
import gru_native.onnx  # noqa: E402


def compare(node, arrays, opset=17, atol=1e-5, domain=""):
    """Computes a node here and in ONNX Runtime; False where neither takes it."""
    kinds = [onnx.helper.np_dtype_to_tensor_dtype(a.dtype) for a in arrays]
    inputs = [
        onnx.helper.make_tensor_value_info(name, kind, a.shape)
        for name, kind, a in zip((n for n in node.input if n), kinds, arrays, strict=True)
    ]
    outputs = [onnx.ValueInfoProto(name=name) for name in node.output if name]
    graph = onnx.helper.make_graph([node], "graph", inputs, outputs)
    opsets = [onnx.helper.make_opsetid("", opset)]
    opsets += [onnx.helper.make_opsetid(domain, 1)] if domain else []
    model = onnx.helper.make_model(graph, opset_imports=opsets, ir_version=8)
    options = runtime.SessionOptions()
    options.log_severity_level = 4
    feeds = dict(zip((i.name for i in inputs), arrays, strict=True))
    try:
        session = runtime.InferenceSession(
            model.SerializeToString(), options, providers=["CPUExecutionProvider"]
        )
        expected = session.run(None, feeds)
    except Exception:
        expected = None
    try:
        names = [n for n in node.input if n]
        prepared = gru_native.onnx.run_node(
            node, dict(zip(names, arrays, strict=True)), opset_version=opset
        )
    except ValueError:
        assert expected is None, str(node)
        return False
    if expected is None:
        return False
    for actual, wanted in zip(prepared, expected, strict=True):
        assert actual.shape == wanted.shape, str(node)
        assert actual.dtype == wanted.dtype, str(node)
        np.testing.assert_allclose(actual, wanted, 1e-4, atol, err_msg=str(node))
    return True


def options(rng, rank, kernel):
    """Random strides, dilations and paddings."""
    own = {"kernel_shape": kernel, "strides": rng.integers(1, 4, rank).tolist()}
    how = int(rng.integers(4))
    if how < 2:
        own["pads"] = rng.integers(0, 3, 2 * rank).tolist()
    elif how == 2:
        own["auto_pad"] = str(rng.choice(["SAME_UPPER", "SAME_LOWER", "VALID"]))
    if how != 2 and rng.integers(2):
        own["dilations"] = rng.integers(1, 3, rank).tolist()
    return own


@pytest.mark.parametrize("op", ["Conv", "ConvTranspose"])
def test_convolutions(op):
    rng, tried = np.random.default_rng(0), 0
    for _ in range(120):
        rank = int(rng.integers(1, 4))
        groups, each, outs = (int(n) for n in rng.integers(1, 4, 3))
        each = 1 if rng.integers(3) == 0 else each  # a kernel for each channel
        kernel = rng.integers(1, 4, rank).tolist()
        x = rng.standard_normal(
            (int(rng.integers(1, 3)), groups * each, *rng.integers(4, 9, rank)), np.float32
        )
        first = (groups * outs, each) if op == "Conv" else (groups * each, outs)
        weight = rng.standard_normal((*first, *kernel), np.float32)
        bias = rng.standard_normal(groups * outs, np.float32)
        own = {**options(rng, rank, kernel), "group": groups}
        if op == "ConvTranspose" and own.get("auto_pad", "").startswith("SAME"):
            continue  # ONNX Runtime has another reading of it; ONNX's own cases have some
        arrays = [x, weight, bias][: int(rng.integers(2, 4))]
        node = onnx.helper.make_node(op, ["x", "w", "b"][: len(arrays)], ["y"], **own)
        tried += compare(node, arrays)
    assert tried > 60


def test_convolutions_in_pieces():
    """So large that the windows are gathered piece by piece."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal((2, 6, 90, 70), np.float32)
    weight = rng.standard_normal((8, 3, 5, 3), np.float32)
    node = onnx.helper.make_node(
        "Conv", ["x", "w"], ["y"], group=2, pads=[2, 1, 2, 1], strides=[1, 2]
    )
    assert compare(node, [x, weight], atol=1e-4)


OF_IMAGES = [
    ("Conv", [(3, 4, 1, 1)], {}),
    ("Conv", [(3, 4, 2, 2)], {"strides": [2, 1], "pads": [1, 0, 1, 0]}),
    ("Conv", [(6, 2, 3, 2)], {"group": 2}),
    ("Conv", [(4, 1, 2, 2)], {"group": 4}),
    ("ConvTranspose", [(4, 3, 2, 2)], {"strides": [2, 2]}),
    ("MaxPool", [], {"kernel_shape": [3, 2]}),
    ("MaxPool", [], {"kernel_shape": [3, 2], "outputs": ["y", "where"]}),
    ("AveragePool", [], {"kernel_shape": [2, 2]}),
    ("AveragePool", [], {"kernel_shape": [80, 2]}),
    ("LpPool", [], {"kernel_shape": [2, 2]}),
    ("GlobalMaxPool", [], {}),
    ("SpaceToDepth", [], {"blocksize": 2}),
    ("DepthToSpace", [], {"blocksize": 2}),
    ("InstanceNormalization", [(4,), (4,)], {}),
]


@pytest.mark.parametrize(("op", "weights", "own"), OF_IMAGES)
def test_a_batch_of_no_images(op, weights, own):
    for batch in (0, 2):
        arrays = [np.ones((batch, 4, 80, 6), np.float32)]
        arrays += [np.ones(shape, np.float32) for shape in weights]
        options = dict(own)
        outputs = options.pop("outputs", ["y"])
        node = onnx.helper.make_node(op, ["x", "w", "b"][: len(arrays)], outputs, **options)
        assert compare(node, arrays)


def test_no_rows_have_a_norm_of_groups():
    """ONNX Runtime refuses them."""
    node = onnx.helper.make_node("GroupNormalization", ["x", "s", "b"], ["y"], num_groups=2)
    arrays = {"x": np.ones((0, 4, 6, 6)), "s": np.ones(4), "b": np.ones(4)}
    (y,) = gru_native.onnx.run_node(node, arrays, opset_version=21)
    assert y.shape == (0, 4, 6, 6)


@pytest.mark.parametrize("op", ["MaxPool", "AveragePool", "LpPool"])
def test_pools(op):
    rng, tried = np.random.default_rng(1), 0
    for _ in range(120):
        rank = int(rng.integers(1, 3))
        kernel = rng.integers(1, 4, rank).tolist()
        own = options(rng, rank, kernel)
        if "auto_pad" in own:  # with gaps between windows ONNX Runtime's padding is below 0
            own["strides"] = np.minimum(own["strides"], kernel).tolist()
        if op != "MaxPool":
            own.pop("dilations", None)
        if op == "AveragePool":
            own["count_include_pad"] = int(rng.integers(2))
        if op != "LpPool" and "auto_pad" not in own:
            own["ceil_mode"] = int(rng.integers(2))
        x = rng.standard_normal((2, 3, *rng.integers(3, 9, rank)), np.float32)
        outputs = ["y", "where"] if op == "MaxPool" and rng.integers(2) else ["y"]
        tried += compare(onnx.helper.make_node(op, ["x"], outputs, **own), [x])
    assert tried > 60


def test_a_pool_of_many():
    rng = np.random.default_rng(1)
    x = rng.standard_normal((1, 2, 300), np.float32)
    for op in ("MaxPool", "AveragePool"):
        node = onnx.helper.make_node(
            op, ["x"], ["y"], kernel_shape=[100], strides=[7], pads=[30, 9]
        )
        assert compare(node, [x])


@pytest.mark.parametrize("mode", ["constant", "reflect", "edge", "wrap"])
def test_paddings(mode):
    rng, tried = np.random.default_rng(2), 0
    for _ in range(40):
        x = rng.standard_normal(rng.integers(4, 6, int(rng.integers(1, 4))), np.float32)
        pads = rng.integers(-2 if mode == "constant" else 0, 4, 2 * x.ndim)
        arrays = [x, pads, np.float32(2.5)] if mode == "constant" else [x, pads]
        node = onnx.helper.make_node("Pad", ["x", "pads", "v"][: len(arrays)], ["y"], mode=mode)
        tried += compare(node, [np.asarray(a) for a in arrays], opset=19)
    assert tried > 20


def test_resize():
    rng, tried = np.random.default_rng(3), 0
    rules = ("half_pixel", "pytorch_half_pixel", "align_corners", "asymmetric")
    for _ in range(80):
        x = rng.standard_normal((1, 2, *rng.integers(3, 8, 2)), np.float32)
        own = {"mode": str(rng.choice(["nearest", "linear", "cubic"]))}
        own["coordinate_transformation_mode"] = str(rng.choice(rules))
        if own["mode"] == "nearest":
            own["nearest_mode"] = str(rng.choice(["floor", "ceil", "round_prefer_floor"]))
        if own["mode"] == "cubic":
            own["exclude_outside"] = int(rng.integers(2))
        sizes = np.array([1, 2, *rng.integers(2, 12, 2)], np.int64)
        node = onnx.helper.make_node("Resize", ["x", "", "", "sizes"], ["y"], **own)
        tried += compare(node, [x, sizes], opset=18)
    assert tried > 60


def run(op, *arrays, opset=18, **attributes):
    names = [f"x{i}" for i in range(len(arrays))]
    node = onnx.helper.make_node(op, names, ["y"], name="here", **attributes)
    return gru_native.onnx.run_node(node, list(arrays), opset_version=opset)


X = np.ones((1, 1, 4), np.float32)


@pytest.mark.parametrize(
    ("op", "arrays", "attributes", "says"),
    [
        ("Conv", [X, X], {"pads": [2**39, 0]}, "would have shape"),
        ("Conv", [X, X], {"pads": [2**62, 0]}, "pads is"),
        ("Conv", [X, X], {"strides": [0]}, "strides is"),
        ("Conv", [X, X], {"strides": [1, 1]}, "strides is"),
        ("Conv", [X, X], {"dilations": [2**38]}, "does not fit"),
        ("Conv", [X, np.ones((1, 2, 1), np.float32)], {}, "channels"),
        ("Conv", [X, X, np.ones(3, np.float32)], {}, "B has shape"),
        ("Conv", [X, X], {"group": 0}, "groups"),
        ("ConvTranspose", [X, X], {"strides": [2**38]}, "would have shape"),
        ("ConvTranspose", [X, X], {"output_shape": [2**62]}, "output_shape is"),
        ("MaxPool", [X], {"kernel_shape": [2**38]}, "does not fit"),
        ("MaxPool", [X], {"kernel_shape": [2**39], "pads": [2**39, 0]}, "would have shape"),
        ("AveragePool", [X], {"kernel_shape": [1, 1]}, "kernel_shape is"),
        ("LRN", [X], {"size": 0}, "size is 0"),
        ("Pad", [X, np.array([0, 0, 0, 0, 0, 2**40])], {}, "would have shape"),
        ("Pad", [X, np.array([0, 0, 0, 0, 0, 2**40])], {"mode": "wrap"}, "would have shape"),
        ("Pad", [X, np.array([0, 0])], {}, "pads has 2"),
        ("Resize", [X, X[0, 0, :0], np.array([1, 1, 1e12], np.float32)], {}, "would have shape"),
        ("Resize", [X, X[0, 0, :0], np.array([1, 1, np.nan], np.float32)], {}, "scales are"),
        (
            "Resize",
            [X, X[0, 0, :0], np.array([1, 1, 1e-9], np.float32)],
            {"mode": "linear", "antialias": 1},
            "would have shape",
        ),
        ("Einsum", [X, X], {"equation": "abc,def->abcdefg"}, "letters"),
        ("Einsum", [X, X], {"equation": "abc->a"}, "terms"),
        ("Einsum", [np.ones(10**5)] * 5, {"equation": "a,b,c,d,e->"}, "too many products"),
        ("OneHot", [np.ones(3), np.array(2**40), np.ones(2)], {}, "would have shape"),
        ("CumSum", [X, np.array(7)], {}, "axis is 7"),
        ("GatherElements", [X, np.array([[[9]]])], {}, "out of bounds"),
        ("ScatterND", [X, np.array([[0, 0, 9]]), np.ones(1, np.float32)], {}, "out of bounds"),
        ("Tile", [X, np.array([1, 1, 2**40])], {}, "would have shape"),
        ("Range", [np.array(0), np.array(2**50), np.array(1)], {}, "would have shape"),
        ("Range", [np.array(0), np.array(1), np.array(0)], {}, "delta is 0"),
    ],
)
def test_hostile_options(op, arrays, attributes, says):
    """An error that names the node, at once and in little memory."""
    with pytest.raises(ValueError, match=f"node 'here' \\({op}\\).*{says}"):
        run(op, *arrays, **attributes)
