"""OutputRNN: free and with teacher forcing, against the reference and against itself."""

import re

import numpy as np
import pytest

import gru_native
from helpers import (
    ACTIVATION_NAMES,
    assert_all_close,
    assert_close,
    assert_same_bits,
    assert_slopes,
)
from reference import output_rnn

ACTIVATIONS = [(phi, psi) for phi in ACTIVATION_NAMES for psi in ACTIVATION_NAMES]
FORMS = pytest.mark.parametrize("forced", [False, True], ids=["free", "forced"])


class Problem:
    """A layer with random weights, and arguments and gradients for it."""

    def __init__(
        self,
        *,
        forced,
        sizes=(3, 7, 4),
        seq_len=6,
        batch=3,
        lengths=None,
        phi="tanh",
        psi="identity",
        bias=True,
        state=True,
        seed=5,
        dtype=np.float64,
    ):
        rng = np.random.default_rng(seed)
        inputs, _, outputs = sizes
        self.sizes, self.phi, self.psi, self.lengths = sizes, phi, psi, lengths
        shapes = output_rnn.weight_shapes(*sizes, bias)

        def draw(*shape):
            return rng.standard_normal(shape).astype(dtype)

        self.weights = {name: 0.5 * draw(*shape) for name, shape in shapes.items()}
        self.x = draw(seq_len, batch, inputs)
        self.state = draw(1, batch, outputs) if state else None
        self.targets = draw(seq_len, batch, outputs) if forced else None
        self.dy, self.dstate = draw(seq_len, batch, outputs), draw(1, batch, outputs)
        self.layer = gru_native.OutputRNN(
            *sizes, activation=phi, output_activation=psi, bias=bias, dtype=dtype
        )
        self.layer.load_state_dict(self.weights)

    def __call__(self):
        return self.layer(self.x, self.state, targets=self.targets, lengths=self.lengths)

    def forward(self):
        return self.layer.forward(self.x, self.state, targets=self.targets, lengths=self.lengths)

    def gradients(self):
        _, _, tape = self.forward()
        return flat(self.layer.backward(tape, self.dy, self.dstate))

    def reference(self):
        """y, the state and all gradients, sequence by sequence, in float64."""
        w = {name: value.astype(np.float64) for name, value in self.weights.items()}
        seq_len, batch, _ = self.x.shape
        y, dx = np.zeros(self.dy.shape), np.zeros(self.x.shape)
        state, dstate = np.zeros((1, batch, self.sizes[2])), np.zeros((1, batch, self.sizes[2]))
        dtargets, total = np.zeros(self.dy.shape), {n: np.zeros_like(v) for n, v in w.items()}
        forced = self.targets is not None
        for b in range(batch):
            n = seq_len if self.lengths is None else self.lengths[b]
            o = np.zeros(self.sizes[2]) if self.state is None else self.state[0, b]
            teacher = self.targets[:n, b] if forced else None
            y[:n, b], state[0, b], saved = output_rnn.forward(
                w, self.x[:n, b], o, self.phi, self.psi, teacher
            )
            dx[:n, b], dstate[0, b], dtargets[:n, b], dw = output_rnn.backward(
                w, saved, self.phi, self.psi, self.dy[:n, b], self.dstate[0, b], forced
            )
            for name in total:
                total[name] += dw[name]
        gradients = {"x": dx, "state": dstate, **({"targets": dtargets} if forced else {}), **total}
        return y, state, gradients


def flat(grads):
    targets = {} if grads.targets is None else {"targets": grads.targets}
    return {"x": grads.x, "state": grads.state, **targets, **grads.weights}


def check(problem, tolerance):
    y, state = problem()
    expected_y, expected_state, expected = problem.reference()
    assert_close(y, expected_y, tolerance)
    assert_close(state, expected_state, tolerance, "state")
    assert_all_close(problem.gradients(), expected, tolerance)


@FORMS
@pytest.mark.parametrize("functions", ACTIVATIONS, ids=" ".join)
def test_against_the_reference(functions, forced):
    check(Problem(forced=forced, phi=functions[0], psi=functions[1]), 1e-12)


@FORMS
@pytest.mark.parametrize("lengths", [[6, 0, 3], [2, 4, 1], [0, 0, 0]], ids=str)
def test_lengths(forced, lengths):
    check(Problem(forced=forced, lengths=lengths, psi="sigmoid"), 1e-12)


@FORMS
@pytest.mark.parametrize("sizes", [(1, 1, 1), (5, 3, 40), (33, 20, 17)], ids=str)
@pytest.mark.parametrize("bias", [True, False])
def test_sizes_without_a_state(forced, sizes, bias):
    check(Problem(forced=forced, sizes=sizes, bias=bias, state=False, batch=25), 1e-12)


@FORMS
def test_float32(forced):
    check(Problem(forced=forced, dtype=np.float32, psi="tanh"), 2e-6)


@FORMS
def test_finite_differences(forced):
    p = Problem(forced=forced, phi="sigmoid", psi="tanh", lengths=[6, 2, 4])
    arrays = {"x": p.x, "state": p.state, **({"targets": p.targets} if forced else {})}
    arrays |= p.weights

    def loss():
        p.layer.load_state_dict(p.weights)
        y, state = p()
        return np.sum(y * p.dy) + np.sum(state * p.dstate)

    gradients = p.gradients()
    assert list(arrays) == list(gradients)
    assert_slopes(loss, arrays, gradients, np.random.default_rng(1))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("lengths", [None, [6, 0, 3]], ids=str)
def test_taught_with_its_own_outputs_it_does_the_same_bit_for_bit(dtype, lengths):
    free = Problem(forced=False, dtype=dtype, lengths=lengths, sizes=(5, 21, 19), psi="tanh")
    y, state = free()
    free.targets = y
    forced_y, forced_state = free()
    assert_same_bits(forced_y, y)
    assert_same_bits(forced_state, state, "state")


@FORMS
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_neither_chunks_nor_batches_nor_threads_change_a_bit(forced, dtype):
    p = Problem(forced=forced, dtype=dtype, sizes=(30, 70, 40), seq_len=9, batch=26, psi="sigmoid")
    before = gru_native.get_num_threads()
    try:
        gru_native.set_num_threads(1)
        (y, state), gradients = p(), p.gradients()
        gru_native.set_num_threads(3)
        (again, _), others = p(), p.gradients()
    finally:
        gru_native.set_num_threads(before)
    assert_same_bits(again, y)
    for name, g in gradients.items():
        assert_same_bits(others[name], g, name)

    def part(times, rows, state):
        targets = p.targets[times, rows] if forced else None
        return p.layer(p.x[times, rows], state, targets=targets)

    head, middle = part(slice(0, 4), slice(0, 26), p.state)
    tail, last = part(slice(4, 9), slice(0, 26), middle)
    assert_same_bits(np.concatenate([head, tail]), y)
    assert_same_bits(last, state, "state")
    alone, _ = part(slice(0, 9), slice(7, 8), p.state[:, 7:8])
    assert_same_bits(alone, y[:, 7:8])


@FORMS
def test_forms_of_x(forced):
    p = Problem(forced=forced)
    (y, state), gradients = p(), p.gradients()
    first = gru_native.OutputRNN(*p.sizes, batch_first=True, dtype=np.float64)
    first.load_state_dict(p.weights)

    def swapped(a):
        return None if a is None else a.swapaxes(0, 1)

    y_first, state_first, tape = first.forward(swapped(p.x), p.state, targets=swapped(p.targets))
    assert_same_bits(y_first.swapaxes(0, 1).copy(), y)
    assert_same_bits(state_first, state)
    grads = first.backward(tape, swapped(p.dy), p.dstate)
    assert_same_bits(grads.x.swapaxes(0, 1).copy(), gradients["x"])
    if forced:
        assert_same_bits(grads.targets.swapaxes(0, 1).copy(), gradients["targets"])
    else:
        assert grads.targets is None
    targets = p.targets[:, 1] if forced else None
    y_one, state_one = p.layer(p.x[:, 1], p.state[:, 1], targets=targets)
    assert_same_bits(y_one, y[:, 1].copy())
    assert_same_bits(state_one, state[:, 1].copy())


def test_a_tape_keeps_its_call():
    p = Problem(forced=True)
    y, _, tape = p.forward()
    expected = p.gradients()
    for array in (p.x, p.state, p.targets):
        array[...] = np.nan
    with p.layer.editing() as w:
        for value in w.values():
            value[...] = 0
    for name, g in flat(p.layer.backward(tape, p.dy, p.dstate)).items():
        assert_same_bits(g, expected[name], name)
    assert (p.layer(np.ones((2, 3)))[0] == 0).all()
    assert not (y == 0).any()


def test_one_of_both_gradients_is_enough():
    p = Problem(forced=False)
    _, _, tape = p.forward()
    whole = p.gradients()
    halves = [
        flat(p.layer.backward(tape, p.dy)),
        flat(p.layer.backward(tape, dstate=p.dstate)),
    ]
    assert_all_close({n: halves[0][n] + halves[1][n] for n in whole}, whole, 1e-13)


def test_it_learns_a_counter_with_teacher_forcing():
    """o counts modulo 4 in one-hot; taught in parallel, it then runs freely."""
    layer = gru_native.OutputRNN(1, 16, 4, output_activation="sigmoid", dtype=np.float64, seed=1)
    rng = np.random.default_rng(2)
    momentum = {name: np.zeros_like(w) for name, w in layer.weights.items()}

    def sample(seq_len, batch):
        x = rng.integers(0, 2, (seq_len, batch, 1)).astype(np.float64)
        return x, np.eye(4)[np.cumsum(x[..., 0], axis=0).astype(int) % 4]

    for _ in range(400):
        x, targets = sample(12, 16)
        start = np.broadcast_to(np.eye(4)[0], (1, 16, 4))
        y, _, tape = layer.forward(x, start, targets=targets)
        grads = layer.backward(tape, (y - targets) / 16)
        with layer.editing() as w:
            for name, g in grads.weights.items():
                momentum[name] = 0.9 * momentum[name] + g
                w[name] -= 0.2 * momentum[name]
    x, targets = sample(100, 8)
    y, _ = layer(x, np.broadcast_to(np.eye(4)[0], (1, 8, 4)))
    assert (y.argmax(axis=2) == targets.argmax(axis=2)).mean() > 0.99


def test_errors_name_the_argument():
    p = Problem(forced=True)
    layer, x = p.layer, p.x

    def refused(error, text, call):
        with pytest.raises(error, match=re.escape(text)):
            call()

    make = gru_native.OutputRNN
    refused(ValueError, "output_size is 0; expected at least 1", lambda: make(3, 4, 0))
    refused(ValueError, 'activation is "relux"', lambda: make(3, 4, 5, activation="relux"))
    refused(
        ValueError, 'output_activation is "soft"', lambda: make(3, 4, 5, output_activation="soft")
    )
    refused(TypeError, "hidden_size is a float", lambda: make(3, 4.0, 5))
    refused(ValueError, "larger than memory can be", lambda: make(2**40, 2**40, 1))
    refused(ValueError, "x has shape (6, 3, 2); expected", lambda: layer(x[..., :2]))
    refused(TypeError, "x has dtype float32", lambda: layer(x.astype(np.float32)))
    refused(ValueError, "state has shape (3, 4); expected (layers=1", lambda: layer(x, p.state[0]))
    refused(ValueError, "targets has shape", lambda: layer(x, targets=p.targets[:5]))
    refused(ValueError, "lengths[1] is 7", lambda: layer(x, lengths=[1, 7, 2]))
    _, _, tape = p.forward()
    refused(ValueError, "dy and dstate are both None", lambda: layer.backward(tape))
    refused(ValueError, "dy has shape", lambda: layer.backward(tape, p.dy[:2]))
    refused(TypeError, "tape is an int", lambda: layer.backward(3, p.dy))
    other = Problem(forced=True).layer
    refused(ValueError, "another layer", lambda: other.backward(tape, p.dy))
    single = Problem(forced=True, dtype=np.float32).layer
    refused(ValueError, "another dtype", lambda: single.backward(tape, p.dy))
    shown = make(3, 4, 5, activation="relu", bias=False)
    assert repr(shown) == "OutputRNN(3, 4, 5, activation='relu', bias=False, dtype=float32)"
    assert shown.num_parameters == 3 * 4 + 2 * 4 * 5
