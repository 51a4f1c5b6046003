"""Forward and every gradient against torch.nn, over random configurations of all options together.

The oracle always runs in float64 on the very numbers that the layer got.
"""

from dataclasses import dataclass

import numpy as np
import pytest

import gru_native
from helpers import (
    Case,
    assert_all_close,
    assert_close,
    each,
    gradient_arrays,
    make_layer,
    parts,
    random_case,
)
from reference import Spec

torch = pytest.importorskip("torch")
import torch_network  # noqa: E402 (it imports torch)

CELLS = ["rnn_tanh", "rnn_relu", "lstm", "lstm_proj", "gru"]
LAYOUTS = ["seq_first", "batch_first", "unbatched"]
# One lane, one lane more or less than a vector, and the vectors themselves.
SIZES = [1, 2, 3, 5, 7, 8, 9, 15, 16, 17, 31, 32, 33, 40, 65]
SEQ_LENS = [1, 1, 2, 3, 5, 8, 13, 20]
BATCHES = [1, 1, 2, 3, 4, 5, 7, 9]


@dataclass
class Configuration:
    case: Case
    layout: str

    def describe(self):
        case = self.case
        shape = f"x {case.x.shape}, lengths {case.lengths}"
        given = [name for name in ("state", "dy", "dstate") if getattr(case, name) is not None]
        return f"{case.spec}, {self.layout}, {shape}, given {given}"


def configuration(seed):
    rng = np.random.default_rng([2, seed])

    def chance():
        return bool(rng.integers(2))

    cell, layout = str(rng.choice(CELLS)), str(rng.choice(LAYOUTS))
    input_size, hidden_size = (int(size) for size in rng.choice(SIZES, 2))
    proj_size = 0
    if cell == "lstm_proj":
        hidden_size = max(hidden_size, 2)
        proj_size = int(rng.integers(1, hidden_size))
    spec = Spec(
        cell.removesuffix("_proj"),
        input_size,
        hidden_size,
        num_layers=int(rng.integers(1, 4)),
        bidirectional=chance(),
        bias=chance(),
        proj_size=proj_size,
    )
    seq_len = int(rng.choice(SEQ_LENS))
    batch = 1 if layout == "unbatched" else int(rng.choice(BATCHES))
    lengths = None
    if layout != "unbatched" and chance():
        lengths = rng.integers(1, seq_len + 1, batch)  # torch packs no empty sequence
    dy, dstate = [(True, True), (True, False), (False, True)][rng.integers(3)]
    given = {"state": chance(), "dy": dy, "dstate": dstate}
    return Configuration(
        random_case(spec, rng, seq_len=seq_len, batch=batch, lengths=lengths, **given), layout
    )


def run_core(config, dtype):
    """y, the final state and the named gradients, all in torch's sequence-first layout."""
    case = config.case.cast(dtype)

    def arrange(array):
        """Sequence-first to the layer's layout: x, y and their gradients."""
        if array is None or config.layout == "seq_first":
            return array
        if config.layout == "batch_first":
            return np.ascontiguousarray(array.swapaxes(0, 1))
        return array[:, 0]

    def arrange_back(array):
        if config.layout == "batch_first":
            return array.swapaxes(0, 1)
        return array[:, None] if config.layout == "unbatched" else array

    def drop_batch(state):
        return each(lambda part: part[:, 0], state) if config.layout == "unbatched" else state

    def restore_batch(state):
        return each(lambda part: part[:, None], state) if config.layout == "unbatched" else state

    layer = make_layer(
        case.spec, case.weights, dtype=dtype, batch_first=config.layout == "batch_first"
    )
    x, state = arrange(case.x), drop_batch(case.state)
    y, final, tape = layer.forward(x, state, lengths=case.lengths)
    grads = layer.backward(tape, dy=arrange(case.dy), dstate=drop_batch(case.dstate))
    gradients = gradient_arrays(grads)
    for array in (y, *parts(final), *gradients.values()):
        assert array.dtype == dtype
    names = [name for name in gradients if name not in case.weights]
    gradients["dx"] = arrange_back(gradients["dx"])
    for name in names[1:]:
        gradients[name] = restore_batch(gradients[name])
    return arrange_back(y), restore_batch(final), gradients


def check(seed, dtype, tolerance, gradient_tolerance):
    config = configuration(seed)
    expected = torch_network.run(config.case.cast(dtype))
    y, final, gradients = run_core(config, dtype)
    try:
        assert_close(y, expected.y, tolerance)
        for part, wanted in zip(parts(final), parts(expected.final), strict=True):
            assert_close(part, wanted, tolerance, "final state")
        assert_all_close(gradients, expected.gradients, gradient_tolerance)
    except AssertionError as error:
        raise AssertionError(f"{error}\n{config.describe()}") from None


@pytest.mark.parametrize("seed", range(300))
def test_float64(seed):
    check(seed, np.float64, 1e-11, 1e-11)


@pytest.mark.parametrize("seed", range(300, 400))
def test_float32(seed):
    check(seed, np.float32, 1e-5, 1e-5)


def test_the_configurations_meet_every_option():
    """A generator that lost an option would leave the tests above green and empty."""
    configs = [configuration(seed) for seed in range(300)]
    specs = [config.case.spec for config in configs]
    assert {(spec.cell, bool(spec.proj_size)) for spec in specs} == {
        ("rnn_tanh", False),
        ("rnn_relu", False),
        ("lstm", False),
        ("lstm", True),
        ("gru", False),
    }
    assert {config.layout for config in configs} == set(LAYOUTS)
    assert {spec.num_layers for spec in specs} == {1, 2, 3}
    assert {spec.bidirectional for spec in specs} == {False, True}
    assert {spec.bias for spec in specs} == {False, True}
    assert {spec.hidden_size for spec in specs} >= {1, 7, 17, 33}
    assert {config.case.x.shape[0] for config in configs} == set(SEQ_LENS)
    assert {config.case.x.shape[1] for config in configs} == set(BATCHES)
    for name in ("state", "lengths", "dy", "dstate"):
        assert {getattr(config.case, name) is None for config in configs} == {False, True}, name


def test_tensors_of_the_other_float_type_are_no_weights():
    wide = torch.nn.GRU(3, 4, dtype=torch.float64).state_dict()
    with pytest.raises(TypeError, match=r"weight_ih_l0 has dtype float64; expected float32"):
        gru_native.GRU(3, 4).load_state_dict(wide)
