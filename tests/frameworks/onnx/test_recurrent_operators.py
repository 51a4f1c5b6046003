"""The operators RNN, GRU and LSTM of ONNX: every attribute, with random weights, against their
documentation in NumPy, and against ONNX Runtime in what that supports.

The nodes are run as models. Weights are constants of the model or its inputs.
"""

import numpy as np
import pytest

from helpers import assert_close, assert_same_bits
from reference import onnx_ops

onnx = pytest.importorskip("onnx")
import gru_native.onnx  # noqa: E402
from onnx_cases import INPUTS, OPS, Case, random_case  # noqa: E402


def check(case):
    """In float64 and float32, prepared once and run twice."""
    for dtype, tolerance in ((np.float64, 1e-12), (np.float32, 1e-5)):
        own = case.cast(dtype)
        prepared = gru_native.onnx.prepare(own.model())
        outputs = prepared.run(list(own.feeds().values()))
        for name, actual, expected in zip(
            ("Y", "Y_h", "Y_c"), outputs, own.expected(), strict=False
        ):
            assert actual.dtype == dtype
            assert_close(actual, expected, tolerance, name)
        for first, second in zip(outputs, prepared.run(own.feeds()), strict=True):
            assert_same_bits(second, first)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("layout", [0, 1])
@pytest.mark.parametrize("direction", ["forward", "reverse", "bidirectional"])
@pytest.mark.parametrize("op", OPS)
def test_directions_layouts_and_missing_inputs(op, direction, layout, seed):
    rng = np.random.default_rng([70, OPS.index(op), layout, seed])
    check(random_case(op, rng, direction=direction, layout=layout))


def own_attributes(op, rng):
    attributes = {"direction": str(rng.choice(["forward", "reverse", "bidirectional"]))}
    if rng.integers(2):
        attributes["clip"] = float(np.float32(rng.choice([0.25, 0.75, 3.0])))
    if op == "LSTM":
        attributes["input_forget"] = int(rng.integers(2))
    if op == "GRU":
        attributes["linear_before_reset"] = int(rng.integers(2))
    return attributes


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("op", OPS)
def test_all_attributes_together(op, seed):
    rng = np.random.default_rng([71, OPS.index(op), seed])
    attributes = own_attributes(op, rng)
    directions = 2 if attributes["direction"] == "bidirectional" else 1
    names = [str(n) for n in rng.choice(list(onnx_ops.FUNCTIONS), len(onnx_ops.USUAL[op]))]
    if directions == 2 and rng.integers(2):  # other functions in reverse
        names += [str(n) for n in rng.choice(list(onnx_ops.FUNCTIONS), len(names))]
    else:
        names *= directions
    check(random_case(op, rng, names=names, layout=int(rng.integers(2)), **attributes))


PLACES = [(op, place) for op in OPS for place in range(len(onnx_ops.USUAL[op]))]


@pytest.mark.parametrize("function", onnx_ops.FUNCTIONS)
@pytest.mark.parametrize(("op", "place"), PLACES)
def test_every_function_in_every_place(op, place, function):
    rng = np.random.default_rng([72, place, list(onnx_ops.FUNCTIONS).index(function)])
    names = list(onnx_ops.USUAL[op])
    names[place] = function
    check(random_case(op, rng, names=names))


@pytest.mark.parametrize(
    "function", ["Affine", "LeakyRelu", "ThresholdedRelu", "HardSigmoid", "Elu"]
)
def test_functions_without_their_numbers(function):
    rng = np.random.default_rng([73])
    case = random_case("RNN", rng, given=["B"])
    case.attributes["activations"] = [function.lower()]  # any case will do
    expected = Case("RNN", {"activations": [function]}, case.tensors).expected()
    outputs = gru_native.onnx.prepare(case.model()).run(case.feeds())
    for actual, wanted in zip(outputs, expected, strict=True):
        assert_close(actual, wanted, 1e-12)


@pytest.mark.parametrize("op", OPS)
def test_weights_that_are_inputs(op):
    case = random_case(op, np.random.default_rng([74]), given=INPUTS, direction="bidirectional")
    constant = gru_native.onnx.prepare(case.model()).run(case.feeds())
    prepared = gru_native.onnx.prepare(case.model(constants=()))
    for actual, expected in zip(prepared.run(case.feeds(())), constant, strict=True):
        assert_same_bits(actual, expected)
    case.tensors["R"][:] *= -0.5  # and other ones in the next call
    outputs = prepared.run(case.feeds(()))
    for actual, expected in zip(outputs, case.expected(), strict=True):
        assert_close(actual, expected, 1e-12)


@pytest.mark.parametrize(
    "outputs", [["Y"], ["", "Y_h"], ["", "", "Y_c"], ["Y", "", "Y_c"]], ids=str
)
def test_missing_outputs(outputs):
    case = random_case("LSTM", np.random.default_rng([75]))
    whole = gru_native.onnx.prepare(case.model()).run(case.feeds())
    node = case.node()
    del node.output[:]
    node.output.extend(outputs)
    results = gru_native.onnx.prepare(case.model(node=node)).run(case.feeds())
    names = [name for name in outputs if name]
    assert len(results) == len(names)
    for name in names:
        assert_same_bits(results[name], whole[name])


@pytest.mark.parametrize("op", OPS)
@pytest.mark.parametrize(("steps", "batch"), [(0, 3), (4, 0)])
def test_nothing_to_compute(op, steps, batch):
    case = random_case(op, np.random.default_rng([76]), given=["initial_h", "initial_c"])
    hidden = case.tensors["R"].shape[2]
    case.tensors["X"] = np.zeros((steps, batch, case.tensors["W"].shape[2]))
    for name in ("initial_h", "initial_c"):
        if name in case.tensors:
            case.tensors[name] = np.random.default_rng(1).standard_normal((1, batch, hidden))
    outputs = gru_native.onnx.prepare(case.model()).run(case.feeds())
    for actual, expected in zip(outputs, case.expected(), strict=True):
        np.testing.assert_array_equal(actual, expected)


def test_half_precision_is_computed_in_single():
    case = random_case("LSTM", np.random.default_rng([77]), given=INPUTS).cast(np.float16)
    outputs = gru_native.onnx.prepare(case.model()).run(case.feeds())
    single = case.cast(np.float32)
    wanted = gru_native.onnx.prepare(single.model()).run(single.feeds())
    for actual, expected in zip(outputs, wanted, strict=True):
        assert_same_bits(actual, expected.astype(np.float16))


def test_past_the_end_nothing_is_read():
    case = random_case("GRU", np.random.default_rng([78]), given=["B"], direction="bidirectional")
    case.tensors["X"] = np.random.default_rng(2).standard_normal((4, 3, case.tensors["X"].shape[2]))
    case.tensors["sequence_lens"] = np.array([2, 0, 4], np.int32)
    outputs = gru_native.onnx.prepare(case.model()).run(case.feeds())
    case.tensors["X"][2:, 0] = case.tensors["X"][:, 1] = np.nan
    for actual, expected in zip(
        gru_native.onnx.prepare(case.model()).run(case.feeds()), outputs, strict=True
    ):
        assert_same_bits(actual, expected)


def by_runtime(case):
    ort = pytest.importorskip("onnxruntime")
    options = ort.SessionOptions()
    options.log_severity_level = 4
    model = case.model().SerializeToString()
    session = ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    return session.run(None, case.feeds())


# ONNX Runtime has no layout 1 and no float64 for these functions. It hands on 0, not the initial
# state where a length is 0, and does not bound what h sees of Ct. Its tanh is an approximation.
@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("op", OPS)
def test_against_onnx_runtime(op, seed):
    rng = np.random.default_rng([79, OPS.index(op), seed])
    attributes = own_attributes(op, rng)
    names = [str(n) for n in rng.choice(list(onnx_ops.FUNCTIONS), len(onnx_ops.USUAL[op]))]
    names *= 2 if attributes["direction"] == "bidirectional" else 1
    clip = attributes.pop("clip", None) if op == "LSTM" else None
    case = random_case(op, rng, names=names, **attributes).cast(np.float32)
    if clip and "initial_c" not in case.tensors:  # Ct stays below the clip in the first step
        case.tensors["X"] = 2 * case.tensors["X"][:1]
        case.attributes.update(
            clip=1.0, activations=["Sigmoid", "Tanh", "Tanh"] * (len(names) // 3)
        )
        case.attributes.pop("activation_alpha", None)
        case.attributes.pop("activation_beta", None)
    case.attributes["hidden_size"] = case.tensors["R"].shape[2]
    if "sequence_lens" in case.tensors:
        case.tensors["sequence_lens"] = case.tensors["sequence_lens"].clip(
            1, len(case.tensors["X"])
        )
    outputs = gru_native.onnx.prepare(case.model()).run(case.feeds())
    for actual, expected in zip(outputs, by_runtime(case), strict=True):
        assert_close(actual, expected, 5e-5)
