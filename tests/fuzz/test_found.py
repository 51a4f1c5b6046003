"""What the fuzzers found, each once more by itself."""

import time

import numpy as np
import pytest

import gru_native as gn

x = np.ones((2, 1, 3), np.float32)
EMPTY = np.array([], np.float32)  # which is neither true nor false


@pytest.mark.parametrize(
    ("call", "kind", "text"),
    [
        (lambda: gn.GRU(3, 4).forward(x, training=EMPTY), TypeError, "training is an ndarray"),
        (lambda: gn.GRU(3, 4).load_state_dict({}, strict=EMPTY), TypeError, "strict is an ndarray"),
        (lambda: gn.GRU(3, 4)(x, masked_output="\ud800"), ValueError, "masked_output holds what"),
        (lambda: gn.GRU(3, 4).quantize("\ud800"), ValueError, "precision holds what is no"),
        (lambda: gn.GatedRecursiveConv(3, 4, activation="\ud800"), ValueError, "activation holds"),
        (
            lambda: gn.GRU(3, 4).sessions(1).step(np.array(0.0), x[0]),
            TypeError,
            "sessions is of dtype float64; expected whole numbers",
        ),
        (lambda: gn.GRU(3, 4, dtype="\ud800"), TypeError, "dtype is "),
        (
            lambda: gn.GraphSum(3, 2, 2)(np.ones((1, 3), np.float32), [[1, 2]], num_graphs=2**62),
            ValueError,
            "num_graphs=4611686018427387904: the sums would be larger than memory can be",
        ),
    ],
)
def test_an_error_names_the_argument(call, kind, text):
    with pytest.raises(kind) as raised:
        call()
    assert str(raised.value).startswith(text)


def test_gradients_in_a_subclass():
    masked = np.ma.masked_array(np.full(4, 2.0), [False, True, False, False])
    assert gn.clip_gradients([masked], 1.0) == 4.0
    np.testing.assert_array_equal(np.asarray(masked), 0.5)


def test_many_layers_take_time_by_their_number():
    begin = time.perf_counter()
    gn.GRU(3, 4, 1000)
    few = time.perf_counter() - begin
    begin = time.perf_counter()
    gn.GRU(3, 4, 10_000)
    assert time.perf_counter() - begin < 50 * few  # 100 where each weight was looked for
