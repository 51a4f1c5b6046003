"""OutputRNN with int8 and bf16 weights: its definition, the promises it keeps, what holds it."""

import copy
import pickle

import numpy as np
import pytest

import gru_native
from few_bits import bf16, int8_product, widened
from gru_native import OutputRNN
from helpers import assert_same_bits

PRECISIONS = ("int8", "bf16")


def layer_of(**options):
    return OutputRNN(13, 37, 6, output_activation="tanh", seed=1, **options)


def inputs(steps=21, batch=5, columns=13, seed=0):
    return np.random.default_rng(seed).standard_normal((steps, batch, columns), dtype=np.float32)


def reference(w, x, targets, product):
    fed = np.zeros(targets.shape[1:], np.float32)
    outputs = []
    for step, target in zip(x, targets, strict=True):
        from_x = product(step, w["weight_ih"]) + product(fed, w["weight_oh"])
        h = np.tanh(from_x + w["bias_h"]).astype(np.float32)
        outputs.append(np.tanh(product(h, w["weight_ho"]) + w["bias_o"]))
        fed = target
    return np.stack(outputs)


def test_int8_is_the_recurrence_in_whole_numbers():
    layer = layer_of()
    x, targets = inputs(), inputs(columns=6, seed=2)
    y, last = layer.quantize("int8")(x, targets=targets)
    np.testing.assert_allclose(
        y, reference(layer.weights, x, targets, int8_product), atol=2e-5, rtol=0
    )
    assert_same_bits(last[0], targets[-1])


def test_bf16_has_rounded_weights():
    layer = layer_of()
    x, targets = bf16(inputs()), bf16(inputs(columns=6, seed=2))
    y, _ = layer.quantize("bf16")(x, targets=targets)
    rounded = {k: bf16(w) if w.ndim == 2 else w for k, w in layer.weights.items()}
    expected = reference(rounded, x, targets, lambda a, w: a.astype(float) @ w.T.astype(float))
    np.testing.assert_allclose(y, expected, atol=0.004)  # where the CPU has them, h is bf16, too


@pytest.mark.parametrize("precision", PRECISIONS)
def test_weights_precision_and_nearness(precision):
    layer = layer_of()
    fast = layer.quantize(precision)
    assert (type(fast), fast.precision, layer.precision) == (OutputRNN, precision, "float32")
    for key, w in layer.weights.items():
        expected = widened(w, precision) if w.ndim == 2 else w
        np.testing.assert_array_equal(fast.weights[key], expected, err_msg=key)
    x = inputs()
    output, state = gru_native.compare(layer, fast, x, lengths=[21, 3, 20, 0, 7])
    assert 0 < output.largest < (0.05 if precision == "int8" else 0.02)
    assert state.what == "state of layer 0"


@pytest.mark.parametrize("forced", [False, True])
@pytest.mark.parametrize("precision", PRECISIONS)
def test_same_bits_for_threads_batch_and_chunks(precision, forced, threads):
    fast = layer_of().quantize(precision)
    x = inputs(40, 70)
    threads(1)
    free, last = fast(x)
    targets = inputs(40, 70, 6, seed=2) if forced else None
    y = fast(x, targets=targets)[0]
    threads(2)
    assert_same_bits(fast(x, targets=targets)[0], y)
    alone = fast(x[:, 3:4], targets=targets[:, 3:4] if forced else None)[0]
    assert_same_bits(alone, y[:, 3:4])
    if forced:  # its own outputs as targets are what it does freely
        assert_same_bits(fast(x, targets=free)[0], free)
        return
    first, middle = fast(x[:11])
    rest, end = fast(x[11:], middle)
    assert_same_bits(np.concatenate([first, rest]), y)
    assert_same_bits(end, last)


@pytest.mark.parametrize("precision", PRECISIONS)
def test_nan_stays_in_its_row(precision):
    fast = layer_of().quantize(precision)
    x = inputs()
    y, _ = fast(x)
    x[7, 2, 4] = np.nan
    strange, _ = fast(x)
    assert np.isnan(strange[7:, 2]).all()
    strange[7:, 2] = y[7:, 2]
    assert_same_bits(strange, y)


@pytest.mark.parametrize(
    "copied", [copy.copy, copy.deepcopy, lambda x: pickle.loads(pickle.dumps(x))]
)
@pytest.mark.parametrize("options", [{}, {"bias": False, "batch_first": True}])
@pytest.mark.parametrize("precision", PRECISIONS)
def test_copies_and_pickles(precision, options, copied):
    fast = layer_of(**options).quantize(precision)
    twin = copied(fast)
    assert twin.precision == precision
    x = inputs()
    assert_same_bits(twin(x)[0], fast(x)[0])


def test_errors():
    fast = layer_of().quantize("int8")
    with pytest.raises(ValueError, match="train the layer of full precision"):
        fast.forward(inputs())
    with pytest.raises(ValueError, match="edit the layer of full"), fast.editing():
        pass
    with pytest.raises(ValueError, match="already"):
        fast.quantize("bf16")
    with pytest.raises(TypeError, match="float64"):
        layer_of(dtype=np.float64).quantize("int8")
    with pytest.raises(ValueError, match="precision is 'int4'"):
        layer_of().quantize("int4")
