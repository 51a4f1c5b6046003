"""The interface of onnx.backend: ONNX's own cases, and errors that name the node and the tensor."""

import importlib

import numpy as np
import pytest

onnx = pytest.importorskip("onnx")
from onnx import helper  # noqa: E402
from onnx.backend.test.case import node as node_cases  # noqa: E402
from onnx.backend.test.runner import Runner  # noqa: E402

import gru_native.onnx  # noqa: E402
from helpers import assert_same_bits, run_python  # noqa: E402
from onnx_cases import OPS, Case, random_case  # noqa: E402


def own_cases():
    """Of onnx.backend.test, those of the three operators; collecting all takes seconds."""
    for op in OPS:
        importlib.import_module(f"onnx.backend.test.case.node.{op.lower()}")
    cases = [case for case in node_cases._NodeTestCases if case.model.graph.node[0].op_type in OPS]
    return {case.name: case for case in cases}


CASES = own_cases()


def test_there_are_cases_of_each_operator():
    found = [case.model.graph.node[0].op_type for case in CASES.values()]
    assert {op: found.count(op) for op in OPS} == {"RNN": 6, "GRU": 6, "LSTM": 6}


@pytest.mark.parametrize("name", CASES)
def test_case_of_onnx(name):
    case = CASES[name]
    prepared = gru_native.onnx.prepare(case.model, "CPU")
    for inputs, outputs in case.data_sets:
        for run in (prepared.run, lambda inputs: gru_native.onnx.run_model(case.model, inputs)):
            Runner.assert_similar_outputs(outputs, run(inputs), rtol=case.rtol, atol=case.atol)


@pytest.fixture
def case():
    return random_case("LSTM", np.random.default_rng(80), given=["B", "initial_h", "P"])


def test_a_node_alone(case):
    whole = gru_native.onnx.prepare(case.model()).run(case.feeds())
    inputs = [case.tensors[name] for name in case.node().input if name]
    for given in (inputs, tuple(inputs), case.tensors):
        for actual, expected in zip(
            gru_native.onnx.run_node(case.node(), given), whole, strict=True
        ):
            assert_same_bits(actual, expected)
    old = helper.make_node("RNN", ["X", "W", "R"], ["Y"], hidden_size=2, output_sequence=1)
    x, w, r = np.ones((3, 1, 4)), np.ones((1, 2, 4)), np.zeros((1, 2, 2))
    (y,) = gru_native.onnx.run_node(old, [x, w, r], opset_version=1)
    np.testing.assert_allclose(y, np.full((3, 1, 1, 2), np.tanh(4)), rtol=1e-14)


def test_other_operators_around(case):
    nodes = [
        helper.make_node("Transpose", ["x"], ["X"], perm=[1, 0, 2]),
        case.node(),
        helper.make_node("Squeeze", ["Y", "axes"], ["y"]),
    ]
    model = case.model()
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    model.graph.input[0].name = "x"
    model.graph.initializer.append(onnx.numpy_helper.from_array(np.array([1]), "axes"))
    del model.graph.output[:]
    model.graph.output.append(helper.make_tensor_value_info("y", 11, [None] * 3))
    inputs = case.feeds()
    x = inputs.pop("X")
    (y,) = gru_native.onnx.run_model(model, {"x": x.swapaxes(0, 1), **inputs})
    assert_same_bits(y, gru_native.onnx.run_model(case.model(), case.feeds())["Y"][:, 0])


def test_devices(case):
    assert gru_native.onnx.supports_device("CPU")
    assert not gru_native.onnx.supports_device("CUDA")
    with pytest.raises(ValueError, match="device is 'CUDA:1'; expected 'CPU'"):
        gru_native.onnx.prepare(case.model(), "CUDA:1")


def test_what_is_compatible(case):
    assert gru_native.onnx.is_compatible(case.model())
    other = helper.make_node("NonMaxSuppression", ["X", "W"], ["Y"], name="the_node")
    assert not gru_native.onnx.is_compatible(case.model(node=other))


def refused(case, *words, feeds=None, constants=("W", "R", "B", "P")):
    with pytest.raises((ValueError, TypeError)) as caught:
        gru_native.onnx.run_model(case.model(constants), case.feeds(constants) | (feeds or {}))
    for word in words:
        assert word in str(caught.value)


WRONG_ATTRIBUTES = [
    ({"activations": ["Sigmoid", "Tanh", "Gelu"]}, ["activations", "'Gelu'", "Softplus"]),
    ({"activations": ["Sigmoid", "Tanh"]}, ["activations has 2", "expected 3"]),
    ({"activations": ["Sigmoid", "Tanh", "Tanh"] * 2}, ["activations has 6", "expected 3"]),
    ({"activation_alpha": [0.5]}, ["activation_alpha has 1 numbers; expected at most 0"]),
    (
        {"activations": ["Elu", "Tanh", "Tanh"], "activation_beta": [0.5]},
        ["activation_beta has 1 numbers"],
    ),
    ({"activations": ["Tanh", "Tanh", "ScaledTanh"]}, ["activation_alpha", "ScaledTanh"]),
    ({"activations": ["Elu", "Tanh", "Tanh"], "activation_alpha": [np.nan]}, ["finite numbers"]),
    ({"clip": 0.0}, ["clip is 0.0; expected a limit above 0"]),
    ({"clip": -1.0}, ["clip"]),
    ({"clip": float("nan")}, ["clip"]),
    ({"direction": "backward"}, ["direction is 'backward'", "bidirectional"]),
    ({"direction": "bidirectional"}, ["W has shape", "direction='bidirectional'"]),
    ({"layout": 2}, ["layout is 2"]),
    ({"input_forget": 3}, ["input_forget is 3"]),
    ({"hidden_size": 0}, ["hidden_size is 0"]),
    ({"hidden_size": -5}, ["hidden_size is -5"]),
    ({"hidden_size": 1000}, ["W has shape", "hidden_size=1000"]),
    ({"hidden_size": 2**62}, ["W has shape"]),
]


@pytest.mark.parametrize(("attributes", "words"), WRONG_ATTRIBUTES, ids=str)
def test_wrong_attributes(case, attributes, words):
    wrong = Case("LSTM", {**case.attributes, **attributes}, case.tensors)
    refused(wrong, "the_node", *words)


@pytest.mark.parametrize("name", ["W", "R", "B", "P", "initial_h"])
@pytest.mark.parametrize("constant", [True, False])
def test_wrong_shapes(case, name, constant):
    constants = ("W", "R", "B", "P") if constant else ()
    whole = case.tensors[name]
    for wrong in (whole[:, :-1], whole[..., None], whole.repeat(2, axis=0), whole[0]):
        case.tensors[name] = np.ascontiguousarray(wrong)
        refused(case, "the_node", f"{name} has shape", constants=constants)


def test_wrong_inputs(case):
    x = case.tensors["X"]
    case.tensors["sequence_lens"] = np.ones(x.shape[1], np.int32)
    refused(case, "'X' has shape", feeds={"X": x[0]})
    refused(case, "the_node", "X has", "inputs; expected", feeds={"X": x.repeat(2, axis=2)})
    refused(case, "X has dtype float32; expected float64", feeds={"X": x.astype(np.float32)})
    for lengths in ([len(x) + 1], [-1], [2**31 - 1]):
        wrong = np.resize(np.array(lengths, np.int32), x.shape[1])
        refused(case, "the_node", "sequence_lens[0] is", feeds={"sequence_lens": wrong})
    wrong = np.ones((x.shape[1], 1), np.int32)
    refused(case, "'sequence_lens' has shape", feeds={"sequence_lens": wrong})
    wrong = np.ones(x.shape[1] + 1, np.int32)
    refused(case, "the_node", "sequence_lens has shape", feeds={"sequence_lens": wrong})
    wrong = np.full(x.shape[1], np.nan, np.float32)
    refused(case, "sequence_lens has dtype float32", feeds={"sequence_lens": wrong})
    with pytest.raises(TypeError, match="there is no X"):
        gru_native.onnx.prepare(case.model()).run([])


def test_lengths_of_another_dtype_by_themselves(case):
    """Where no model says what they are."""
    inputs = dict(case.tensors, sequence_lens=np.full(case.tensors["X"].shape[1], np.nan))
    node = Case("LSTM", case.attributes, inputs).node()
    with pytest.raises(ValueError, match=r"the_node.*sequence_lens has dtype float64"):
        gru_native.onnx.run_node(node, inputs)


def test_dtypes_that_differ_within_a_node(case):
    case.tensors["R"] = case.tensors["R"].astype(np.float32)
    refused(case, "the_node", "R has dtype float32; expected float64")


def test_missing_weights(case):
    node = case.node()
    node.input[2] = ""
    with pytest.raises(ValueError, match=r"the_node|LSTM"):
        gru_native.onnx.prepare(case.model(node=node))


def test_without_the_package():
    code = """
import sys
sys.modules["onnx"] = None
import gru_native
try:
    import gru_native.onnx
except ImportError as error:
    print(error)
"""
    assert "pip install 'gru-native[onnx]'" in run_python(code).stdout
