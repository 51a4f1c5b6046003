"""Weights of few bits on every instruction set that this machine has, each in its own process."""

import numpy as np
import pytest

import gru_native
from helpers import run_python

AVAILABLE = list(gru_native.available_isas())
RUN = """
import sys
import numpy as np
import gru_native
from gru_native import GRU, LSTM, Dense

rng = np.random.default_rng(0)
found = {}
for precision in ("int8", "bf16"):
    for rows in (1, 2, 3, 70):
        x = rng.standard_normal((rows, 301), np.float32)
        found[f"{precision}.dense.{rows}"] = Dense(301, 131, seed=1).quantize(precision)(x)
    x = rng.standard_normal((20, 5, 33), np.float32)
    for layer in (LSTM(33, 67, seed=1), GRU(33, 67, seed=1)):
        name = f"{precision}.{type(layer).__name__}"
        found[name], _ = layer.quantize(precision)(x)
        found[f"float32.{name}"], _ = layer(x)
lengths = np.array([3, 20, 1, 0, 17])
kinds = {
    "plain": LSTM(33, 67, bidirectional=True, seed=1),
    "projection": LSTM(33, 67, num_layers=2, proj_size=20, seed=1),
    "gates": LSTM(33, 67, gate_recurrence=True, seed=1),
    "before": GRU(33, 67, reset_after=False, seed=1),
    "norm": GRU(33, 67, layer_norm=True, seed=1),
}
for name, layer in kinds.items():
    few = layer.quantize("bf16")
    found[f"five.{name}"], _ = few(x, lengths=lengths)
    found[f"two.{name}"], _ = few(x[:, :2], lengths=lengths[:2])
np.savez(sys.argv[1], **found)
"""


@pytest.fixture(scope="module")
def forced(tmp_path_factory):
    folder = tmp_path_factory.mktemp("isa")
    found = {}
    for isa in AVAILABLE:
        path = folder / f"{isa}.npz"
        done = run_python(RUN, path, GRU_NATIVE_ISA=isa)
        assert done.returncode == 0, done.stderr
        with np.load(path) as file:
            found[isa] = dict(file)
    return found


@pytest.mark.parametrize("isa", AVAILABLE[1:])
def test_products_of_int8_have_the_same_bits_everywhere(forced, isa):
    for rows in (1, 2, 3, 70):
        name = f"int8.dense.{rows}"
        np.testing.assert_array_equal(forced[isa][name], forced[AVAILABLE[0]][name], err_msg=name)


@pytest.mark.parametrize("isa", AVAILABLE)
def test_recurrent_layers_are_as_near_to_float32_as_anywhere(forced, isa):
    for precision, most in (("int8", 0.03), ("bf16", 0.0075)):
        for kind in ("LSTM", "GRU"):
            name = f"{precision}.{kind}"
            apart = np.abs(forced[isa][name] - forced[isa][f"float32.{name}"]).max()
            assert 0 < apart < most, name


@pytest.mark.parametrize("isa", AVAILABLE)
def test_batches_whose_weights_become_floats_once_have_the_same_bits(forced, isa):
    names = [name.removeprefix("two.") for name in forced[isa] if name.startswith("two.")]
    assert names
    for name in names:
        five, two = forced[isa][f"five.{name}"], forced[isa][f"two.{name}"]
        np.testing.assert_array_equal(five[:, :2], two, err_msg=name)
