"""A tape is a record of one forward call: nothing that happens later changes its gradients."""

import gc

import numpy as np
import pytest

from helpers import (
    CELLS_AND_OPTIONS,
    assert_same_bits,
    assert_same_gradients,
    each,
    make_layer,
    parts,
    random_case,
    random_weights,
    spec_of,
)


@pytest.fixture(params=[np.float32, np.float64], ids=["float32", "float64"])
def dtype(request):
    return request.param


@pytest.fixture(params=CELLS_AND_OPTIONS)
def spec(request):
    return spec_of(request.param, 5, 19, 2, bidirectional=True, proj_size=6)


@pytest.fixture
def case(spec, dtype):
    return random_case(spec, np.random.default_rng(1), lengths=[4, 5, 2]).cast(dtype)


@pytest.fixture
def layer(case, dtype):
    return make_layer(case.spec, case.weights, dtype=dtype)


def forward(layer, case):
    return layer.forward(case.x, case.state, lengths=case.lengths)


@pytest.fixture
def expected(layer, case):
    """The gradients when nothing happens between forward and backward."""
    _, _, tape = forward(layer, case)
    return layer.backward(tape, case.dy, case.dstate)


def test_used_twice(layer, case, expected):
    _, _, tape = forward(layer, case)
    for _ in range(2):
        assert_same_gradients(layer.backward(tape, case.dy, case.dstate), expected)


def test_gradients_are_not_added_up_nor_shared(layer, case, expected):
    _, _, tape = forward(layer, case)
    first = layer.backward(tape, case.dy, case.dstate)
    for name in first.weights:
        array = first.weights[name]
        assert not np.shares_memory(array, expected.weights[name])
    layer.backward(tape, 2 * case.dy, case.dstate)
    assert_same_gradients(first, expected)


def test_two_alive_at_once(layer, case, expected, dtype):
    other = random_case(case.spec, np.random.default_rng(2), seq_len=7, batch=2).cast(dtype)
    _, _, tape = forward(layer, case)
    _, _, other_tape = forward(layer, other)
    other_grads = layer.backward(other_tape, other.dy, other.dstate)
    assert_same_gradients(layer.backward(tape, case.dy, case.dstate), expected)
    assert_same_gradients(layer.backward(other_tape, other.dy, other.dstate), other_grads)


def test_x_and_state_changed_by_the_user(layer, case, expected):
    _, _, tape = forward(layer, case)
    dy, dstate = case.dy, case.dstate
    case.x[...] = 9
    each(lambda part: part.fill(9), case.state)
    assert_same_gradients(layer.backward(tape, dy, dstate), expected)


def test_lengths_changed_by_the_user(layer, case, expected):
    lengths = np.array(case.lengths)
    _, _, tape = layer.forward(case.x, case.state, lengths=lengths)
    lengths[...] = 1
    assert_same_gradients(layer.backward(tape, case.dy, case.dstate), expected)


def test_y_and_final_state_changed_by_the_user(layer, case, expected):
    y, final, tape = forward(layer, case)
    y[...] = 9
    each(lambda part: part.fill(9), final)
    assert_same_gradients(layer.backward(tape, case.dy, case.dstate), expected)


def test_results_outlive_tape_and_layer(case, dtype):
    layer = make_layer(case.spec, case.weights, dtype=dtype)
    y, final, tape = forward(layer, case)
    grads = layer.backward(tape, case.dy, case.dstate)
    kept = [y, *parts(final), grads.x, *grads.weights.values()]
    copies = [array.copy() for array in kept]
    del layer, tape, grads, y, final
    gc.collect()
    np.full(1_000_000, np.nan)  # whoever read freed memory would now find this
    for array, copy in zip(kept, copies, strict=True):
        assert_same_bits(array, copy)


def test_weights_edited(layer, case, expected):
    _, _, tape = forward(layer, case)
    with layer.editing() as w:
        for name in w:
            w[name][...] *= 3
    assert_same_gradients(layer.backward(tape, case.dy, case.dstate), expected)


def test_weights_loaded(layer, case, expected, dtype):
    _, _, tape = forward(layer, case)
    others = random_weights(case.spec, np.random.default_rng(3))
    layer.load_state_dict({name: value.astype(dtype) for name, value in others.items()})
    assert_same_gradients(layer.backward(tape, case.dy, case.dstate), expected)


def test_backward_reads_only(layer, case, expected):
    """dy and dstate are the user's: read-only ones do, and none is changed."""
    _, _, tape = forward(layer, case)
    for array in (case.x, case.dy, *parts(case.state), *parts(case.dstate)):
        array.flags.writeable = False
    assert_same_gradients(layer.backward(tape, case.dy, case.dstate), expected)


def test_dy_and_dstate_add_up(layer, case, expected, dtype):
    """Backward is linear: dy alone and dstate alone sum to both."""
    _, _, tape = forward(layer, case)
    from_y = layer.backward(tape, dy=case.dy)
    from_state = layer.backward(tape, dstate=case.dstate)
    tolerance = 1e-5 if dtype == np.float32 else 1e-13
    for name, gradient in expected.weights.items():
        total = from_y.weights[name] + from_state.weights[name]
        np.testing.assert_allclose(total, gradient, atol=tolerance * abs(gradient).max(), rtol=0)
    np.testing.assert_allclose(
        from_y.x + from_state.x, expected.x, atol=tolerance * abs(expected.x).max(), rtol=0
    )


def test_gradient_names_and_shapes_are_those_of_the_weights(layer, expected):
    assert list(expected.weights) == list(layer.weights)
    for name, gradient in expected.weights.items():
        assert gradient.shape == layer.weights[name].shape
        assert gradient.dtype == layer.weights[name].dtype
