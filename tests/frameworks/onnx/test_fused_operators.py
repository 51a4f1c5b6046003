"""ONNX Runtime's own operators, which its optimiser writes, against ONNX Runtime."""

import numpy as np
import pytest

onnx = pytest.importorskip("onnx")
runtime = pytest.importorskip("onnxruntime")
import gru_native.onnx  # noqa: E402

RNG = np.random.default_rng(0)


def floats(*shape):
    return RNG.standard_normal(shape).astype(np.float32)


def bits(dtype, *shape):
    limits = np.iinfo(dtype)
    return RNG.integers(limits.min, limits.max, shape, endpoint=True).astype(dtype)


SCALE, ZERO = np.float32(0.02), np.uint8(120)
X = floats(2, 3, 8)
FEW = (bits(np.uint8, 2, 3, 4), SCALE, ZERO)
CASES = [
    ("FusedMatMul", [floats(4, 3), floats(5, 4)], {"transA": 1, "transB": 1, "alpha": 0.5}, 1),
    ("FusedMatMul", [floats(2, 3, 4), floats(4, 5)], {"alpha": 2.0}, 1),
    ("FusedMatMul", [floats(3, 2, 4), floats(2, 4, 5)], {"transBatchA": 1}, 1),
    ("FusedGemm", [floats(3, 4), floats(4, 5), floats(5)], {"activation": "Relu"}, 1),
    (
        "FusedGemm",
        [floats(3, 4), floats(5, 4)],
        {"activation": "LeakyRelu", "activation_alpha": 0.2, "transB": 1, "alpha": 0.3},
        1,
    ),
    (
        "FusedConv",
        [floats(1, 4, 9), floats(6, 2, 3), floats(6)],
        {"activation": "Tanh", "group": 2, "pads": [1, 1]},
        1,
    ),
    (
        "FusedConv",
        [floats(1, 4, 6, 6), floats(4, 4, 3, 3), floats(4), floats(1, 4, 4, 4)],
        {"activation": "Relu"},
        1,
    ),
    (
        "FusedConv",
        [floats(1, 2, 6), floats(4, 2, 3)],
        {"activation": "Clip", "activation_params": [-0.5, 0.7]},
        1,
    ),
    ("Gelu", [X], {}, 1),
    ("QuickGelu", [X], {"alpha": 1.3}, 1),
    ("BiasGelu", [X, floats(8)], {}, 1),
    ("FastGelu", [X], {}, 1),
    ("FastGelu", [X, floats(8)], {}, 1),
    ("SkipLayerNormalization", [X, floats(2, 3, 8), floats(8), floats(8)], {"epsilon": 1e-5}, 1),
    ("SkipLayerNormalization", [X, floats(2, 3, 8), floats(8), floats(8), floats(8)], {}, 4),
    ("SkipSimplifiedLayerNormalization", [X, floats(2, 3, 8), floats(8)], {}, 1),
    ("DynamicQuantizeMatMul", [X, bits(np.int8, 8, 5), floats(5) ** 2], {}, 1),
    (
        "DynamicQuantizeMatMul",
        [X, bits(np.uint8, 8, 5), floats(5) ** 2, bits(np.uint8, 5), floats(5)],
        {},
        1,
    ),
    (
        "MatMulIntegerToFloat",
        [bits(np.uint8, 3, 8), bits(np.int8, 8, 5), SCALE, floats(5) ** 2, ZERO],
        {},
        1,
    ),
    ("QLinearAdd", [*FEW, *FEW, np.float32(0.05), np.uint8(9)], {}, 1),
    ("QLinearMul", [*FEW, *FEW, np.float32(0.05), np.uint8(9)], {}, 1),
    ("QLinearSigmoid", [*FEW, np.float32(1 / 256), np.uint8(0)], {}, 1),
    ("QLinearLeakyRelu", [*FEW, np.float32(0.03), np.uint8(40)], {"alpha": 0.2}, 1),
    ("QLinearGlobalAveragePool", [*FEW, np.float32(0.02), np.uint8(40)], {}, 1),
]


@pytest.mark.parametrize(("op", "arrays", "attributes", "outputs"), CASES)
def test_against_onnx_runtime(op, arrays, attributes, outputs):
    arrays = [np.asarray(a) for a in arrays]
    names = [f"x{i}" for i in range(len(arrays))]
    # what only training needs has no values in ONNX Runtime
    results = ["y", "", "", "sum"][:outputs]
    node = onnx.helper.make_node(op, names, results, domain="com.microsoft", **attributes)
    kind = onnx.helper.np_dtype_to_tensor_dtype
    graph = onnx.helper.make_graph(
        [node],
        "graph",
        [
            onnx.helper.make_tensor_value_info(n, kind(a.dtype), a.shape)
            for n, a in zip(names, arrays, strict=True)
        ],
        [
            onnx.helper.make_tensor_value_info(
                n, kind(np.dtype(np.uint8 if op.startswith("QL") else np.float32)), None
            )
            for n in results
            if n
        ],
    )
    opsets = [onnx.helper.make_opsetid("", 17), onnx.helper.make_opsetid("com.microsoft", 1)]
    model = onnx.helper.make_model(graph, opset_imports=opsets, ir_version=8)
    session = runtime.InferenceSession(
        model.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    expected = session.run(None, dict(zip(names, arrays, strict=True)))
    actual = gru_native.onnx.load(model)(*arrays)
    actual = actual if isinstance(actual, tuple) else (actual,)
    for mine, wanted in zip(actual, expected, strict=True):
        assert mine.shape == wanted.shape
        assert mine.dtype == wanted.dtype
        if mine.dtype == np.uint8:  # ties of rounding
            assert np.abs(mine.astype(int) - wanted.astype(int)).max() <= 1
        else:
            # ONNX Runtime's erf and tanh of these operators are themselves rough
            np.testing.assert_allclose(mine, wanted, 1e-3, 1e-4)
