"""The operators around recurrent layers, against ONNX's own cases for them."""

import warnings

import numpy as np
import pytest

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnx.backend.test.case.node")
import gru_native.onnx  # noqa: E402
from gru_native.onnx import operators  # noqa: E402


def names():
    """All operators of ONNX that are computed."""
    return operators.names() | {"If", "Loop", "Scan"}


# What is not supported, and refused: a part of the case's name, and of the error.
REFUSED = {"training_dropout": "training_mode is on"}
# Operators of ONNX's cases that are not computed, by subject. All others are.
NOT_COMPUTED = {
    "attention": "Attention FlexAttention LinearAttention RotaryEmbedding TensorScatter SwiGLU",
    "signals": "BlackmanWindow DFT HammingWindow HannWindow MelWeightMatrix STFT",
    "images": "AffineGrid CenterCropPad Col2Im DeformConv GridSample ImageDecoder MaxUnpool "
    "NonMaxSuppression RoiAlign",
    "losses, training": "Adagrad Adam Gradient Momentum NegativeLogLikelihoodLoss "
    "SoftmaxCrossEntropyLoss",
    "random numbers": "Bernoulli RandomUniformLike",
    "sequences, optional values": "OptionalGetElement OptionalHasElement SequenceEmpty "
    "SequenceInsert SequenceLength SequenceMap SplitToSequence",
    "texts": "RegexFullMatch StringConcat StringNormalizer StringSplit TfIdfVectorizer",
    "ai.onnx.ml": "ArrayFeatureExtractor Binarizer LabelEncoder TreeEnsemble",
    "others": "BitCast CausalConvWithState Det Unique",
}


def usual(arrays):
    """Arrays, of floats, integers or bools: all that is supported."""
    return all(isinstance(a, np.ndarray) and a.dtype.kind in "fiub" for a in arrays)


@pytest.fixture(scope="module")
def cases():
    """Operator -> the cases of a graph that has it and only operators that we have."""
    from onnx.backend.test.case.node import collect_testcases

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = collect_testcases(None)
    result = {name: [] for name in names()}
    for case in found:
        if case.model is None or case.model.opset_import[0].version < 7:
            continue
        ops = {node.op_type for node in case.model.graph.node}
        sets = [
            (list(map(as_array, inputs)), list(map(as_array, outputs)))
            for inputs, outputs in case.data_sets
        ]
        if ops <= names() and all(usual(i) and usual(o) for i, o in sets):
            for op in ops:
                result[op].append((case.name, case.model, sets))
    return result


def as_array(value):
    return np.asarray(value) if isinstance(value, np.generic) else value


@pytest.mark.parametrize(
    "op", sorted(names() - {"Not", "GlobalLpPool", "QuickGelu", "SimplifiedLayerNormalization"})
)  # no cases of today
def test_cases_of_onnx(op, cases):
    assert cases[op]
    for name, model, sets in cases[op]:
        # some expect numbers that are rounded, or halves rounded once more
        rough = 1e-4 if "last_window_starts_on_pad" in name else 1e-6
        if says := next((says for part, says in REFUSED.items() if part in name), None):
            with pytest.raises(ValueError, match=says):
                gru_native.onnx.load(model)(*sets[0][0])
            continue
        loaded = gru_native.onnx.load(model)
        for inputs, expected in sets * 3:  # calls of one kind are planned from the second on
            outputs = loaded(*inputs)
            outputs = outputs if isinstance(outputs, tuple) else (outputs,)
            for actual, wanted in zip(outputs, expected, strict=True):
                assert actual.dtype == wanted.dtype, name
                assert actual.shape == wanted.shape, name
                relative = 2e-3 if wanted.dtype == np.float16 else 10 * rough
                np.testing.assert_allclose(
                    actual.astype(float), wanted.astype(float), relative, rough, err_msg=name
                )


def test_the_list_of_what_is_not_computed():
    """Every operator that ONNX has cases for is either tested above or named in the list."""
    from onnx.backend.test.case.node import collect_testcases

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        models = [case.model for case in collect_testcases(None) if case.model is not None]
    ops = {node.op_type for model in models for node in model.graph.node}
    listed = {op for names_ in NOT_COMPUTED.values() for op in names_.split()}
    assert not listed & names()
    assert ops - names() <= listed


def test_old_forms():
    """Axes, splits and slices as attributes; Softmax over all axes from one on."""
    from onnx_builder import Builder

    rng, b = np.random.default_rng(0), Builder(opset=9)
    x = rng.standard_normal((4, 1, 6), np.float32)
    first, second = b.node("Split", "x", outputs=2, axis=2, split=[2, 4])
    part = b.node("Slice", second, starts=[1, -3], ends=[4, 9], axes=[0, 2])
    flat = b.node("Squeeze", part, axes=[1])
    back = b.node("Unsqueeze", b.node("Softmax", flat, axis=0), axes=[1])
    model = gru_native.onnx.load(b.model({"x": [None, None, None]}, (first, back)))
    a, y = model(x)
    np.testing.assert_array_equal(a, x[..., :2])
    e = np.exp(x[1:, 0, 3:].astype(np.float64))
    np.testing.assert_allclose(y[:, 0], e / e.sum(), 1e-6)


def test_an_operator_of_another_opset():
    """Before opset 7 broadcasting was another."""
    node = onnx.helper.make_node("Add", ["a", "b"], ["y"])
    one = np.ones((2, 3), np.float32)
    (y,) = gru_native.onnx.run_node(node, [one, one], opset_version=7)
    np.testing.assert_array_equal(y, one + one)
    with pytest.raises(ValueError, match=r"\(Add\): operator Add of opset 6 is not supported"):
        gru_native.onnx.run_node(node, [one, one], opset_version=6)


def test_not():
    node = onnx.helper.make_node("Not", ["x"], ["y"])
    kind = onnx.TensorProto.BOOL
    values = [onnx.helper.make_tensor_value_info(name, kind, [None]) for name in "xy"]
    graph = onnx.helper.make_graph([node], "graph", values[:1], values[1:])
    model = gru_native.onnx.load(onnx.helper.make_model(graph))
    np.testing.assert_array_equal(model(np.array([True, False])), [False, True])


def test_what_comes_out_is_not_the_model(tmp_path):
    """Writing into an output changes neither the input nor the constants."""
    from onnx_builder import Builder

    b = Builder()
    outputs = b.node("Identity", b.tensor(np.ones((1, 1, 2), np.float32))), b.node("Identity", "x")
    model = gru_native.onnx.load(b.model({"x": [None, None, None]}, outputs))
    x = np.zeros((1, 1, 2), np.float32)
    for output in model(x):
        output += 1
    assert (x == 0).all()
    assert (model(x)[0] == 1).all()
