"""Einsum of two arrays in calls of one kind: products of matrices, or layers of constants."""

import numpy as np
import pytest

pytest.importorskip("onnx")
from onnx import helper, numpy_helper

import gru_native.onnx
from helpers import assert_close

SIZES = dict(zip("abcdefg", (2, 3, 4, 5, 1, 6, 7), strict=True))
EQUATIONS = [
    "abcd,cdf->abcf",  # a product for each c, as grouped layers write it
    "abed,edf->abef",  # of one group
    "abd,df->abf",
    "abd,fd->fab",
    "bad,gfbd->afbg",
    "ab,bc->ca",
    "abc,bc->a",
    "bc,abc->a",
    "cb,bc->bc",  # no sum over anything that both have
    "ab,cd->adbc",
    "a,a->",
    "abc,b->abc",
    "aa,ab->ab",
    "...b,bc->...c",
]


def model_of(equation, a, b, constant, dtype):
    kind = helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
    node = helper.make_node("Einsum", ["a", "b"], ["y"], equation=equation)
    given = [("a", a)] if constant else [("a", a), ("b", b)]
    inputs = [helper.make_tensor_value_info(n, kind, v.shape) for n, v in given]
    rank = len(np.einsum(equation, a, b).shape)
    outputs = [helper.make_tensor_value_info("y", kind, [None] * rank)]
    weights = [numpy_helper.from_array(b, "b")] if constant else []
    graph = helper.make_graph([node], "graph", inputs, outputs, weights)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def arrays_of(equation, dtype):
    rng = np.random.default_rng(list(equation.encode()))
    terms = equation.split("->")[0].replace("...", "cd").split(",")
    return [rng.standard_normal([SIZES[c] for c in term]).astype(dtype) for term in terms]


@pytest.mark.parametrize("constant", [False, True])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("equation", EQUATIONS)
def test_against_numpy(equation, dtype, constant):
    a, b = arrays_of(equation, dtype)
    loaded = gru_native.onnx.load(model_of(equation, a, b, constant, dtype))
    for factor in (1, 2, 3, 4):  # planned from the second on
        x = (a * factor).astype(dtype)
        y = loaded(x) if constant else loaded(x, b)
        wanted = np.einsum(equation, x.astype(np.float64), b.astype(np.float64))
        assert y.shape == wanted.shape
        assert y.dtype == dtype
        assert y.flags.c_contiguous
        assert_close(y, wanted, 1e-5 if dtype == np.float32 else 1e-12)


@pytest.mark.parametrize("constant", [False, True])
@pytest.mark.parametrize("equation", EQUATIONS[:7])
def test_a_plan_needs_no_einsum(equation, constant, monkeypatch):
    a, b = arrays_of(equation, np.float32)
    loaded = gru_native.onnx.load(model_of(equation, a, b, constant, np.float32))
    arrays = [a] if constant else [a, b]
    wanted = [loaded(*arrays) for _ in range(2)][1]
    monkeypatch.setattr(np, "einsum", None)
    np.testing.assert_array_equal(loaded(*arrays), wanted)


def test_repeated_axes():
    """An axis of 1 beside one of 4 is repeated."""
    a, b = (np.ones(shape, np.float32) for shape in ((2, 4, 3), (1, 3, 5)))
    loaded = gru_native.onnx.load(model_of("agi,gih->agh", a, b, True, np.float32))
    for _ in range(3):
        np.testing.assert_array_equal(loaded(a), np.full((2, 4, 5), 3, np.float32))


@pytest.mark.parametrize("constant", [False, True])
@pytest.mark.parametrize("shapes", [((2, 4, 0), (4, 0, 5)), ((0, 4, 3), (4, 3, 5))])
def test_axes_of_no_elements(shapes, constant):
    """Sums of nothing are 0."""
    a, b = (np.ones(shape, np.float32) for shape in shapes)
    loaded = gru_native.onnx.load(model_of("agi,gih->agh", a, b, constant, np.float32))
    for _ in range(4):
        y = loaded(a) if constant else loaded(a, b)
        np.testing.assert_array_equal(y, np.zeros((len(a), 4, 5)))
