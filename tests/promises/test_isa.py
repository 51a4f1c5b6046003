"""Every instruction set that this machine has, forced by name and verified, in its own process."""

import json
import sys
from dataclasses import replace

import numpy as np
import pytest

import gru_native
import reference
from helpers import (
    EVERY_ACTIVATION,
    EVERY_GATE_SET,
    assert_all_close,
    assert_close,
    gradient_arrays,
    make_layer,
    named_gradients,
    parts,
    random_case,
    run_python,
    spec_of,
)
from reference import Spec

VARIABLE = "GRU_NATIVE_ISA"
AVAILABLE = list(gru_native.available_isas())

# Widths on both sides of every vector, one more than a block of units, and the odd ones.
SPECS = [
    Spec("rnn_tanh", 9, 33, 2, bidirectional=True),
    Spec("rnn_relu", 1, 17),
    Spec("lstm", 17, 35, 2),
    Spec("lstm", 5, 49, 2, bidirectional=True, proj_size=19),
    Spec("gru", 7, 67, 2, bidirectional=True, bias=False),
    Spec("gru_reset_before", 31, 15, 2),
    spec_of("lstm_two_proj", 9, 35, 2, bidirectional=True, proj_size=19),
    spec_of("gru_logistic", 7, 33),
    spec_of("lstm_layer_norm", 7, 33),
    spec_of("gru_layer_norm", 7, 49),
    *(Spec("lstm", 7, 33, variant=replace(gates, cell_clip=0.5)) for gates in EVERY_GATE_SET),
    *(Spec("lstm", 7, 33, variant=activations) for activations in EVERY_ACTIVATION),
]
DTYPES = {"float32": 1e-5, "float64": 1e-12}

# Runs in the process whose instruction set is forced; sys.path is the tests' own.
RUN = """
import json, sys
sys.path[:0] = json.loads(sys.argv[1])
import numpy as np
import gru_native, test_isa
np.savez(sys.argv[2], **test_isa.results())
print(gru_native.active_isa())
"""


def case_of(number, dtype):
    rng = np.random.default_rng(number)
    lengths = [7, 3, 0, 5, 7]
    return random_case(SPECS[number], rng, seq_len=7, batch=5, lengths=lengths).cast(dtype)


def results():
    """Name -> array: all outputs and gradients, on whatever is active here."""
    found = {}
    for dtype in DTYPES:
        for number, spec in enumerate(SPECS):
            case = case_of(number, dtype)
            layer = make_layer(spec, case.weights, dtype=dtype)
            y, final, tape = layer.forward(case.x, case.state, lengths=case.lengths)
            grads = layer.backward(tape, case.dy, case.dstate)
            arrays = {"y": y, **dict(zip(("h", "c"), parts(final), strict=False))}
            arrays.update(gradient_arrays(grads))
            found.update({f"{dtype}.{number}.{name}": array for name, array in arrays.items()})
    return found


@pytest.fixture(scope="module")
def forced(tmp_path_factory):
    """Instruction set -> (what the process said is active, its results)."""
    folder = tmp_path_factory.mktemp("isa")
    found = {}
    for isa in AVAILABLE:
        path = folder / f"{isa}.npz"
        done = run_python(RUN, json.dumps(sys.path), path, **{VARIABLE: isa})
        assert done.returncode == 0, done.stderr
        with np.load(path) as file:
            found[isa] = done.stdout.strip(), dict(file)
    return found


def test_there_is_a_baseline():
    assert "baseline" in AVAILABLE
    assert len(set(AVAILABLE)) == len(AVAILABLE)
    assert gru_native.active_isa() in AVAILABLE


@pytest.mark.parametrize("isa", AVAILABLE)
def test_the_one_asked_for_is_the_one_that_runs(forced, isa):
    assert forced[isa][0] == isa


@pytest.mark.parametrize("number", range(len(SPECS)))
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("isa", AVAILABLE)
def test_results_are_within_rounding_of_the_papers(forced, isa, dtype, number):
    case, spec = case_of(number, dtype).cast(np.float64), SPECS[number]
    y, final, tape = reference.forward(spec, case.weights, case.x, case.state, case.lengths)
    expected = {"y": y, **dict(zip(("h", "c"), parts(final), strict=False))}
    expected.update(named_gradients(*reference.backward(spec, tape, case.dy, case.dstate)))
    prefix = f"{dtype}.{number}."
    actual = {
        name.removeprefix(prefix): array
        for name, array in forced[isa][1].items()
        if name.startswith(prefix)
    }
    assert_all_close(actual, expected, DTYPES[dtype])


@pytest.mark.parametrize("isa", AVAILABLE[1:])
def test_results_are_within_rounding_of_each_other(forced, isa):
    for name, array in forced[AVAILABLE[0]][1].items():
        assert_close(forced[isa][1][name], array, DTYPES[name.partition(".")[0]], name)


@pytest.mark.parametrize("isa", ["sse9000", "*", *{"avx2", "avx512"}.difference(AVAILABLE)])
def test_one_that_is_not_there_is_an_error_that_lists_what_is(isa):
    code = """
import numpy as np, gru_native
gru_native.GRU(3, 4)(np.zeros((2, 3), np.float32))
print(gru_native.active_isa())
"""
    done = run_python(code, **{VARIABLE: isa})
    assert done.returncode == 1, done.stdout  # an exception, not a signal
    message = done.stderr.partition("Error")[2]  # after the traceback's own lines
    assert isa in message
    for available in AVAILABLE:
        assert available in message
