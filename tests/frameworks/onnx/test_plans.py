"""Calls of one kind, which are planned from the second on: the same numbers as before."""

import functools
import sys
import threading

import numpy as np
import pytest

onnx = pytest.importorskip("onnx")
from onnx import TensorProto, helper  # noqa: E402

import gru_native.onnx  # noqa: E402
from onnx_builder import Builder  # noqa: E402
from onnx_graphs import body, info, model, with_lstm  # noqa: E402


def plans(loaded):
    return loaded._planner._plans


def arrays(outputs):
    return outputs if isinstance(outputs, tuple) else (outputs,)


def glue(opset=17):
    """Much of what stands around a layer, from shapes and from constants."""
    rng, b = np.random.default_rng(0), Builder(opset)
    w, r = (b.tensor(rng.standard_normal((1, 16, n)).astype(np.float32)) for n in (6, 4))
    padded = b.node("Pad", "x", b.tensor([0, 0, 2, 0, 0, 0]), mode="reflect")
    padded = b.node("Pad", padded, b.tensor([0, 0, 1, 0, 0, 2]), b.tensor(np.float32(0.5)))
    kernel = b.tensor(rng.standard_normal((6, 3, 3)).astype(np.float32))
    bias = b.tensor(rng.standard_normal(6).astype(np.float32))
    y = b.node("Relu", b.node("Conv", padded, kernel, bias, strides=[2], pads=[1, 0]))
    y = b.node("Add", b.node("Pow", y, b.tensor(np.float32(2))), b.node("Sigmoid", y))
    y = b.node("Transpose", y, perm=[2, 0, 1])
    steps = b.node("Gather", b.node("Shape", y), b.tensor(np.array(1)), axis=0)
    start = b.node(
        "Expand",
        b.tensor(np.float32(0)),
        b.node(
            "Concat",
            b.tensor([1]),
            b.node("Unsqueeze", steps, b.tensor([0])),
            b.tensor([4]),
            axis=0,
        ),
    )
    y, h, c = b.node("LSTM", y, w, r, "", "", start, start, outputs=3, hidden_size=4)
    y = b.node("Squeeze", y, b.tensor([1]))
    first, second = b.node("Split", y, b.tensor([1, 3]), outputs=2, axis=2)
    y = b.node("Concat", second, b.node("Identity", first), axis=2)
    mean = b.node("ReduceMean", y, axes=[2])
    y = b.node(
        "Sub",
        b.node("Slice", y, b.tensor([1]), b.tensor([9]), b.tensor([0])),
        b.node("Slice", mean, b.tensor([1]), b.tensor([9]), b.tensor([0])),
    )
    return b.model({"x": [None, 3, None]}, [y, h, c])


def test_the_same_numbers():
    loaded, rng = gru_native.onnx.load(glue()), np.random.default_rng(1)
    for shape in ((2, 3, 9), (1, 3, 40), (1, 3, 200)):
        x, other = rng.standard_normal((2, *shape)).astype(np.float32)
        first = loaded(x)
        assert all(p.inputs is not None for p in plans(loaded).values())
        loaded(other)
        for actual, wanted in zip(loaded(x), first, strict=True):
            np.testing.assert_allclose(actual, wanted, 1e-5, 1e-6)
            assert actual.shape == wanted.shape
            assert actual.flags.c_contiguous
        for actual, wanted in zip(loaded(x[..., ::-1]), loaded(x[..., ::-1].copy()), strict=True):
            np.testing.assert_array_equal(actual, wanted)
    assert len(plans(loaded)) == 3
    with pytest.raises(ValueError, match="'x' has shape"):
        loaded(x[0])
    with pytest.raises(TypeError, match="x"):
        loaded(x.astype(np.float64))


def test_branches_by_small_whole_numbers():
    """What a rate or a flag chooses is chosen once, for each value."""
    then, other = (
        body([helper.make_node(op, ["x"], ["t"])], [], [info("t")]) for op in ("Neg", "Exp")
    )
    proto = model(
        [
            helper.make_node("Equal", ["rate", "rate"], ["e"]),
            helper.make_node("Cast", ["rate"], ["c"], to=TensorProto.BOOL),
            helper.make_node("If", ["c"], ["y"], then_branch=then, else_branch=other),
        ],
        [info("x", shape=[None]), info("rate", TensorProto.INT64, [])],
        [info("y", shape=[None])],
    )
    loaded, x = gru_native.onnx.load(proto), np.linspace(-1, 1, 5, dtype=np.float32)
    for _ in range(4):
        np.testing.assert_array_equal(loaded(x, np.array(7)), -x)
        np.testing.assert_allclose(loaded(x, np.array(0)), np.exp(x), 1e-6)
    assert len(plans(loaded)) == 2
    assert [len(p._steps) for p in plans(loaded).values()] == [1, 1]


def test_a_layer_in_a_branch():
    loaded = gru_native.onnx.load(with_lstm())
    x = np.random.default_rng(0).standard_normal((5, 2, 3)).astype(np.float32)
    for c in (True, False):
        first = loaded(x, np.array(c))
        for _ in range(3):
            np.testing.assert_allclose(loaded(x, np.array(c)), first, 1e-6)


def test_shapes_that_follow_from_values_have_no_plan():
    b = Builder()
    y = b.node("Cast", b.node("NonZero", "x"), to=TensorProto.FLOAT)
    loaded = gru_native.onnx.load(b.model({"x": [None]}, y, rank=2))
    for values in ([0, 1, 2], [0, 0, 3], [1, 2, 3], [0, 0, 0]):
        x = np.array(values, np.float32)
        np.testing.assert_array_equal(loaded(x), [np.flatnonzero(x)])
    assert not plans(loaded)


def test_few_plans_are_kept():
    loaded = gru_native.onnx.load(glue())
    for size in range(9, 40):
        for _ in range(3):
            loaded(np.ones((1, 3, size), np.float32))
    assert len(plans(loaded)) <= 8


def test_outputs_are_the_callers():
    b = Builder()
    outputs = b.node("Identity", b.tensor(np.ones((1, 1, 2), np.float32))), b.node("Identity", "x")
    loaded = gru_native.onnx.load(b.model({"x": [None, None, None]}, outputs))
    x = np.zeros((1, 1, 2), np.float32)
    for _ in range(4):
        for output in loaded(x):
            output += 1
    assert (x == 0).all()
    assert (loaded(x)[0] == 1).all()


def test_outputs_share_no_memory():
    """New arrays are handed out as they are, but never two views of one."""
    rng, b = np.random.default_rng(0), Builder()
    w, r = (b.tensor(rng.standard_normal((1, 12, n)).astype(np.float32)) for n in (3, 4))
    y, h = b.node("GRU", "x", w, r, outputs=2, hidden_size=4)
    flat = b.node("Squeeze", y, b.tensor([1]))
    part = b.node("Slice", flat, b.tensor([1]), b.tensor([3]), b.tensor([0]))
    turned = b.node("Transpose", flat, perm=[2, 1, 0])
    last = b.node("Squeeze", b.node("ReduceMean", b.node("Tanh", h), axes=[0, 1, 2]))
    total = b.node("Add", h, h)
    names = [y, flat, part, turned, h, total, last, b.node("Relu", total), b.node("Sigmoid", flat)]
    loaded = gru_native.onnx.load(b.model({"x": [None, None, 3]}, names))
    x = rng.standard_normal((5, 2, 3)).astype(np.float32)
    expected = [output.copy() for output in loaded(x)]
    for _ in range(3):
        outputs = loaded(x)
        for i, (output, wanted) in enumerate(zip(outputs, expected, strict=True)):
            np.testing.assert_allclose(output, wanted, 1e-6, 1e-7)
            assert output.shape == wanted.shape
            assert output.flags.c_contiguous
            assert not any(np.shares_memory(output, other) for other in outputs[i + 1 :])
        for output in outputs:
            output[...] = np.nan


def test_a_node_costs_little():
    """A model of many small nodes: a planned call runs no function of Python's for each of them."""
    rng, b, y = np.random.default_rng(0), Builder(), "x"
    constants = [rng.standard_normal((1, 64)).astype(np.float32) for _ in range(200)]
    for constant in constants:
        y = b.node("Add", y, b.tensor(constant[0]))
    loaded = gru_native.onnx.load(b.model({"x": [1, 64]}, y, rank=2))
    x = rng.standard_normal((1, 64)).astype(np.float32)
    expected = functools.reduce(np.add, constants, x)
    calls = []
    for _ in range(4):
        run = []
        sys.setprofile(lambda _, event, __, run=run: run.append(event == "call"))
        try:
            y = loaded(x)
        finally:
            sys.setprofile(None)
        calls.append(sum(run))
        np.testing.assert_array_equal(y, expected)
    assert calls[0] > 200  # before there is a plan
    assert calls[-1] < 20


def test_errors_name_the_node():
    b = Builder()
    y = b.node("Gather", "x", "i", axis=0)
    proto = b.model({"x": [None]}, y, rank=1)
    proto.graph.input.append(info("i", TensorProto.INT64, [None]))
    loaded = gru_native.onnx.load(proto)
    x, good = np.ones(3, np.float32), np.arange(20) % 3
    for _ in range(3):
        loaded(x, good)
    assert plans(loaded)
    with pytest.raises(ValueError, match=r"node 'Gather__0' \(Gather\): .*out of bounds"):
        loaded(x, good + 1)


def test_from_many_threads():
    loaded = gru_native.onnx.load(glue())
    rng = np.random.default_rng(2)
    xs = rng.standard_normal((4, 1, 3, 30)).astype(np.float32)
    for _ in range(3):
        loaded(xs[0])
    expected = [loaded(x) for x in xs]
    wrong = []

    def work(i):
        for _ in range(50):
            for actual, wanted in zip(loaded(xs[i]), expected[i], strict=True):
                if not np.array_equal(actual, wanted):
                    wrong.append(i)

    threads = [threading.Thread(target=work, args=(i,)) for i in range(4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert not wrong


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("shape", [(3, 5), (2, 3, 5), (2, 2, 3, 5), (5,), (0, 5)])
def test_rows_by_blocks_of_the_core(shape, dtype):
    """A normalisation and a sigmoid of the plan, beside those of the first call."""
    rng, b = np.random.default_rng(0), Builder(17)
    w, v = (b.tensor(a) for a in rng.standard_normal((2, 5)).astype(dtype))
    outputs = [
        b.node("LayerNormalization", "x", w, v, epsilon=1e-3),
        b.node("LayerNormalization", "x", w, "", axis=len(shape) - 1),
        b.node("Sigmoid", b.node("Mul", "x", w)),
    ]
    loaded = gru_native.onnx.load(b.model({"x": shape}, outputs, dtype, len(shape)))
    x = rng.standard_normal(shape).astype(dtype)
    first = loaded(x)
    for _ in range(2):
        for actual, wanted in zip(loaded(x), first, strict=True):
            assert actual.shape == shape
            assert actual.dtype == dtype
            tolerance = 1e-5 if dtype is np.float32 else 1e-12
            np.testing.assert_allclose(actual, wanted, tolerance, tolerance)
