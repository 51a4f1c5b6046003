"""Random layers and inputs, and the comparisons, that several tests share."""

import os
import subprocess
import sys
from dataclasses import dataclass, replace

import numpy as np

from reference import Spec, Variant, weight_shapes

CELLS = ("rnn_tanh", "rnn_relu", "lstm", "gru", "gru_reset_before")

# With peepholes, where there is a gate that looks through one.
EVERY_GATE_SET = [
    *(
        Variant(peephole=i or f or o, input_gate=i, forget_gate=f, output_gate=o)
        for i in (True, False)
        for f in (True, False)
        for o in (True, False)
    ),
    Variant(peephole=True, coupled_gates=True),
    Variant(peephole=True, coupled_gates=True, output_gate=False),
    Variant(peephole=True, gate_recurrence=True),
]
ACTIVATION_NAMES = ("tanh", "sigmoid", "relu", "identity")
DENSE_ACTIVATION_NAMES = (*ACTIVATION_NAMES, "softmax", "log_softmax")
# All that recurrent layers have, those with numbers not with the usual ones.
FUNCTIONS = (
    *ACTIVATION_NAMES,
    "softsign",
    "softplus",
    ("leaky_relu", 0.25),
    ("thresholded_relu", -0.125),
    ("elu", 0.75),
    ("affine", -0.5, 0.25),
    ("scaled_tanh", -1.25, 0.75),
    ("hard_sigmoid", 0.25, 0.375),
)
EVERY_ACTIVATION = [
    Variant(input_activation=g, output_activation=h)
    for g in ACTIVATION_NAMES
    for h in ACTIVATION_NAMES
]
CELLS_AND_OPTIONS = (
    *(*CELLS, "lstm_proj", "lstm_variant", "lstm_two_proj"),
    *("lstm_gate_recurrence", "gru_logistic", "rnn_softplus"),
    *("lstm_layer_norm", "gru_layer_norm"),
)


def spec_of(name, input_size, hidden_size, num_layers=1, bidirectional=False, proj_size=4):
    """A Spec by a name of CELLS_AND_OPTIONS; proj_size is for those that project."""
    sizes = input_size, hidden_size, num_layers, bidirectional
    if name == "lstm_proj":
        return Spec("lstm", *sizes, proj_size=proj_size)
    if name == "lstm_variant":
        variant = Variant(True, True, output_activation="sigmoid", cell_clip=0.625)
        return Spec("lstm", *sizes, variant=variant)
    if name == "lstm_two_proj":  # what goes out is wider than the units
        functions = {"input_activation": "relu", "gate_activation": ("hard_sigmoid", 0.25, 0.375)}
        variant = Variant(True, forget_gate=False, **functions, cell_clip=2.0)
        wide = {"proj_size": proj_size, "nonrecurrent_proj_size": 2 * hidden_size}
        return Spec("lstm", *sizes, variant=variant, **wide)
    if name == "lstm_layer_norm":
        variant = Variant(True, True, output_activation="sigmoid", cell_clip=0.625)
        return Spec("lstm", *sizes, variant=variant, layer_norm=True)
    if name == "gru_layer_norm":
        return Spec("gru", *sizes, layer_norm=True)
    if name == "lstm_gate_recurrence":
        variant = Variant(True, gate_recurrence=True, input_activation="sigmoid")
        return Spec("lstm", *sizes, variant=variant)
    if name == "gru_logistic":
        return Spec(
            "gru",
            *sizes,
            candidate_activation="sigmoid",
            gate_activation=("scaled_tanh", 0.75, 0.5),
        )
    if name == "rnn_softplus":
        return Spec("rnn", *sizes, nonlinearity="softplus", activation_clip=1.5)
    return Spec(name, *sizes)


def random_weights(spec, rng):
    """Name -> float64 array, uniform in ±1/sqrt(hidden) as torch draws them: no two are alike."""
    k = 1 / np.sqrt(spec.hidden_size)
    return {name: rng.uniform(-k, k, shape) for name, shape in weight_shapes(spec).items()}


def random_state(spec, batch, rng):
    rows = spec.num_layers * spec.directions
    state = tuple(rng.standard_normal((rows, batch, size)) for size in spec.state_sizes)
    return state if spec.cell == "lstm" else state[0]


def output_width(spec):
    return spec.directions * spec.output_size


def parts(state):
    """The arrays of a state: (h,) or (h, c)."""
    return state if isinstance(state, tuple) else (state,)


def each(function, state):
    """The state with the function applied to each of its arrays."""
    return None if state is None else regroup(state, [function(part) for part in parts(state)])


def regroup(state, arrays):
    """The arrays in the form of the state: one array, or a tuple."""
    return tuple(arrays) if isinstance(state, tuple) else arrays[0]


def make_layer(spec, weights=None, *, dtype=np.float64, **options):
    """The gru_native layer of a reference Spec, holding these weights."""
    import gru_native

    kind = {"r": gru_native.RNN, "l": gru_native.LSTM, "g": gru_native.GRU}[spec.cell[0]]
    if spec.cell.startswith("rnn"):
        options |= {"nonlinearity": spec.function, "activation_clip": spec.activation_clip}
    elif spec.cell == "lstm":
        options["proj_size"] = spec.proj_size
        options["nonrecurrent_proj_size"] = spec.nonrecurrent_proj_size
        options["layer_norm"] = spec.layer_norm
        options.update(vars(spec.variant))
    else:
        options["reset_after"] = spec.cell == "gru"
        options["candidate_activation"] = spec.candidate_activation
        options["layer_norm"] = spec.layer_norm
        options["gate_activation"] = spec.gate_activation
        options["activation_clip"] = spec.activation_clip
    layer = kind(
        spec.input_size,
        spec.hidden_size,
        spec.num_layers,
        bias=spec.bias,
        bidirectional=spec.bidirectional,
        dtype=dtype,
        **options,
    )
    if weights is not None:
        layer.load_state_dict({name: value.astype(dtype) for name, value in weights.items()})
    return layer


@dataclass
class Case:
    """A network, its weights, and all that goes into forward and backward, in float64."""

    spec: Spec
    weights: dict
    x: np.ndarray
    state: object
    lengths: object
    dy: object
    dstate: object

    def cast(self, dtype):
        """The same case, rounded to what a layer of this dtype takes."""

        def convert(array):
            return None if array is None else np.ascontiguousarray(array, dtype)

        return replace(
            self,
            weights={name: convert(value) for name, value in self.weights.items()},
            x=convert(self.x),
            state=each(convert, self.state),
            dy=convert(self.dy),
            dstate=each(convert, self.dstate),
        )


def random_case(spec, rng, *, seq_len=5, batch=3, lengths=None, state=True, dy=True, dstate=True):
    return Case(
        spec,
        random_weights(spec, rng),
        rng.standard_normal((seq_len, batch, spec.input_size)),
        random_state(spec, batch, rng) if state else None,
        lengths,
        rng.standard_normal((seq_len, batch, output_width(spec))) if dy else None,
        random_state(spec, batch, rng) if dstate else None,
    )


def named_gradients(x, state, weights):
    """All gradients under one roof: name -> array."""
    dstate = dict(zip(("dh0", "dc0"), parts(state), strict=False))
    return {"dx": x, **dstate, **weights}


def relative_error(actual, expected):
    """The largest difference over the largest expected value; NaN and inf must agree in place."""
    actual, expected = np.asarray(actual, np.float64), np.asarray(expected, np.float64)
    assert actual.shape == expected.shape, f"{actual.shape} against {expected.shape}"
    finite = np.isfinite(expected)
    np.testing.assert_array_equal(actual[~finite], expected[~finite])
    difference = np.abs(actual[finite] - expected[finite]).max(initial=0.0)
    if difference == 0.0:
        return 0.0
    return difference / max(np.abs(expected[finite]).max(), np.finfo(np.float64).tiny)


def assert_close(actual, expected, tolerance, name="y"):
    error = relative_error(actual, expected)
    assert error <= tolerance, f"{name}: relative error {error:.3g} > {tolerance:.3g}"


def assert_near(actual, expected, tolerance):
    """Infinite in the same places, and elsewhere at most tolerance apart."""
    expected = np.asarray(expected)
    np.testing.assert_array_equal(np.isfinite(actual), np.isfinite(expected))
    there = np.isfinite(expected)
    assert np.abs(actual[there] - expected[there]).max(initial=0) <= tolerance


def assert_all_close(actual, expected, tolerance):
    """Dictionaries of arrays: the same names, and each array close."""
    assert list(actual) == list(expected)
    for name in expected:
        assert_close(actual[name], expected[name], tolerance, name)


def assert_same_bits(actual, expected, name="y"):
    assert actual.dtype == expected.dtype, name
    assert actual.shape == expected.shape, f"{name}: {actual.shape} against {expected.shape}"
    if actual.tobytes() != expected.tobytes():
        where = np.argwhere(as_integers(actual) != as_integers(expected))
        raise AssertionError(f"{name}: {len(where)} of {actual.size} differ, first at {where[0]}")


def as_integers(array):
    """The bits, so that a NaN equals itself and -0 differs from 0."""
    return np.ascontiguousarray(array).view(f"u{array.dtype.itemsize}")


def assert_same_state(actual, expected, name="state"):
    assert isinstance(actual, tuple) == isinstance(expected, tuple), name
    for a, e in zip(parts(actual), parts(expected), strict=True):
        assert_same_bits(a, e, name)


def gradient_arrays(grads):
    return named_gradients(grads.x, grads.state, dict(grads.weights))


def assert_same_gradients(actual, expected):
    actual, expected = gradient_arrays(actual), gradient_arrays(expected)
    assert list(actual) == list(expected)
    for name in expected:
        assert_same_bits(actual[name], expected[name], name)


def run_python(code, *arguments, timeout=120, **environment):
    """Run code in a fresh interpreter; the environment is this one's plus the keywords."""
    return subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=timeout,
        env={**os.environ, **environment},
    )


def without_rights(folder, run):
    """What run() raises, as text, where this is not root and ``folder`` the current folder."""
    ours, theirs = os.pipe()
    child = os.fork()
    if child == 0:
        text = "no error"
        try:
            os.chdir(folder)
            os.setuid(65534)
            run()
        except BaseException as error:
            text = f"{type(error).__name__}: {error}"
        finally:
            os.write(theirs, text.encode())
            os._exit(0)
    os.close(theirs)
    os.waitpid(child, 0)
    with os.fdopen(ours) as file:
        return file.read()


def assert_slopes(loss, arrays, gradients, rng):
    """Gradients against central differences of loss(), along one random direction of each array."""
    for name, array in arrays.items():
        direction, kept, step = rng.standard_normal(array.shape), array.copy(), 1e-6
        array[...] = kept + step * direction
        up = loss()
        array[...] = kept - step * direction
        down = loss()
        array[...] = kept
        expected = (up - down) / (2 * step)
        actual = np.sum(gradients[name] * direction)
        assert abs(actual - expected) <= 1e-7 * max(1.0, abs(expected)), name
