"""The LSTM's variants and the GRU's candidate activation, against the papers in NumPy.

All options meet in random configurations; finite differences through the core ask no second
implementation. What the variants are to each other is in test_variant_identities.py.
"""

import numpy as np
import pytest

import gru_native
from checks import check, check_slopes, run
from helpers import (
    ACTIVATION_NAMES,
    EVERY_ACTIVATION,
    EVERY_GATE_SET,
    make_layer,
    random_case,
)
from reference import Spec, Variant
from variants import CLIP, check_in_both_dtypes, random_call, random_network, random_variant


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("gates", EVERY_GATE_SET, ids=str)
def test_all_options_together(gates, seed):
    rng = np.random.default_rng([20, EVERY_GATE_SET.index(gates), seed])
    spec = random_network(rng, random_variant(gates, rng), cell="lstm")
    check_in_both_dtypes(random_call(spec, seed, rng))


@pytest.mark.parametrize("variant", EVERY_ACTIVATION, ids=str)
def test_every_pair_of_activations(variant):
    rng = np.random.default_rng([21, EVERY_ACTIVATION.index(variant)])
    spec = Spec("lstm", 7, 17, 2, bidirectional=True, variant=variant)
    case = random_case(spec, rng, batch=5, lengths=[5, 1, 0, 3, 5])
    check(case, np.float64, 1e-11)
    check(case, np.float32, 2e-5)  # with kinks as well: these numbers keep away from them


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("phi", ACTIVATION_NAMES)
@pytest.mark.parametrize("cell", ["gru", "gru_reset_before"])
def test_candidate_activation(cell, phi, seed):
    rng = np.random.default_rng([22, ACTIVATION_NAMES.index(phi), seed])
    spec = random_network(rng, cell=cell, candidate_activation=phi)
    check_in_both_dtypes(random_call(spec, seed, rng))


# Each option alone, and all of them. The relu and the clip have kinks, where a difference is no
# derivative; it would take a sum within a millionth of one.
SLOPES = [
    *EVERY_GATE_SET,
    *(Variant(input_activation=f) for f in ACTIVATION_NAMES[1:]),
    *(Variant(output_activation=f) for f in ACTIVATION_NAMES[1:]),
    Variant(cell_clip=CLIP),
    Variant(True, True, input_activation="relu", output_activation="sigmoid", cell_clip=CLIP),
]


def slopes(spec):
    rng = np.random.default_rng(23)
    case = random_case(spec, rng, seq_len=6, batch=4, lengths=np.array([4, 6, 0, 1]))

    def forward():
        return make_layer(spec, case.weights)(case.x, case.state, lengths=case.lengths)

    _, _, gradients = run(make_layer(spec, case.weights), case)
    check_slopes(case, forward, gradients, rng)


@pytest.mark.parametrize("variant", SLOPES, ids=str)
@pytest.mark.parametrize("projections", [(0, 0), (2, 3)], ids=["", "projections"])
def test_gradients_are_derivatives(variant, projections):
    proj, nonrecurrent = projections
    slopes(
        Spec(
            "lstm", 3, 5, 2, True, True, proj, nonrecurrent_proj_size=nonrecurrent, variant=variant
        )
    )


@pytest.mark.parametrize("phi", ACTIVATION_NAMES)
@pytest.mark.parametrize("cell", ["gru", "gru_reset_before"])
def test_gradients_of_a_gru_are_derivatives(cell, phi):
    slopes(Spec(cell, 3, 5, 2, True, candidate_activation=phi))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_clip_cuts_c_and_the_gradient(dtype):
    """One step, where it can be seen: units that are cut stand at the limit and pass nothing."""
    spec = Spec("lstm", 7, 33, variant=Variant(peephole=True, cell_clip=CLIP))
    case = random_case(spec, np.random.default_rng(24), seq_len=1, batch=2, dstate=False)
    case = case.cast(dtype)
    free = make_layer(
        Spec("lstm", 7, 33, variant=Variant(peephole=True)), case.weights, dtype=dtype
    )
    _, (_, c_free) = free(case.x, case.state)
    _, (_, c), gradients = run(make_layer(spec, case.weights, dtype=dtype), case)
    np.testing.assert_array_equal(c, np.clip(c_free, -CLIP, CLIP))
    cut = abs(c_free) > CLIP
    assert cut.any()
    assert not cut.all()
    assert (abs(gradients["dc0"]) > 0).tolist() == (~cut).tolist()


def test_a_clip_that_nothing_reaches_changes_nothing():
    spec = Spec("lstm", 7, 33, 2, variant=Variant(cell_clip=1e30))
    plain = Spec("lstm", 7, 33, 2)
    case = random_case(spec, np.random.default_rng(25))
    for actual, expected in zip(
        run(make_layer(spec, case.weights), case),
        run(make_layer(plain, case.weights), case),
        strict=True,
    ):
        np.testing.assert_equal(actual, expected)


GREFF = {
    "V": Variant(peephole=True),
    "NIG": Variant(peephole=True, input_gate=False),
    "NFG": Variant(peephole=True, forget_gate=False),
    "NOG": Variant(peephole=True, output_gate=False),
    "NIAF": Variant(peephole=True, input_activation="identity"),
    "NOAF": Variant(peephole=True, output_activation="identity"),
    "CIFG": Variant(peephole=True, coupled_gates=True),
    "NP": Variant(),
    "FGR": Variant(peephole=True, gate_recurrence=True),
}


@pytest.mark.parametrize("name", GREFF)
def test_variants_by_their_names(name):
    named = gru_native.LSTM.variant(name, 5, 9, num_layers=2, dtype=np.float64, seed=1)
    spec = Spec("lstm", 5, 9, 2, variant=GREFF[name])
    case = random_case(spec, np.random.default_rng(26))
    named.load_state_dict(case.weights)
    for actual, expected in zip(
        run(named, case), run(make_layer(spec, case.weights), case), strict=True
    ):
        np.testing.assert_equal(actual, expected)


def test_options_of_a_named_variant():
    layer = gru_native.LSTM.variant("CIFG", 5, 9, num_layers=2, peephole=False, cell_clip=2.5)
    assert repr(layer) == (
        "LSTM(5, 9, num_layers=2, coupled_gates=True, cell_clip=2.5, dtype=float32)"
    )
    assert eval(repr(layer), {"LSTM": gru_native.LSTM, "float32": np.float32}).weights.keys() == (
        layer.weights.keys()
    )
