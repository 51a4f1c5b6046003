"""Random variants of the LSTM, and random networks and calls of any recurrent layer."""

import numpy as np

from checks import check, random_lengths
from helpers import ACTIVATION_NAMES, random_case
from reference import Spec, Variant

SIZES = [1, 2, 5, 7, 8, 16, 17, 33]
CLIP = 0.3125  # exact in float32, and among the values that c takes


# Functions that are not 0 at 0: gates near 0 in every layer leave gradients too small for float32.
OPEN_GATES = [
    "sigmoid",
    "sigmoid",
    "softplus",
    ("hard_sigmoid", 0.25, 0.375),
    ("affine", -0.5, 0.25),
]


def random_variant(gates, rng):
    """This set of gates, with or without each of the other options."""
    return Variant(
        peephole=gates.peephole and bool(rng.integers(2)),
        coupled_gates=gates.coupled_gates,
        input_gate=gates.input_gate,
        forget_gate=gates.forget_gate,
        output_gate=gates.output_gate,
        input_activation=str(rng.choice(ACTIVATION_NAMES)),
        output_activation=str(rng.choice(ACTIVATION_NAMES)),
        cell_clip=[None, CLIP, 50.0][rng.integers(3)],
        gate_recurrence=gates.gate_recurrence,
        gate_activation=OPEN_GATES[rng.integers(len(OPEN_GATES))],
        activation_clip=[None, None, 0.75][rng.integers(3)],
    )


def random_network(rng, variant=None, **options):
    """Any sizes, layers, directions and projections; a Spec of these options."""
    input_size, hidden_size = (int(size) for size in rng.choice(SIZES, 2))
    if variant is not None:
        options["variant"] = variant
        if hidden_size > 1 and rng.integers(2):
            options["proj_size"] = int(rng.integers(1, hidden_size))
            options["nonrecurrent_proj_size"] = int(rng.choice([0, 1, 7, 40]))
    return Spec(
        input_size=input_size,
        hidden_size=hidden_size,
        num_layers=int(rng.integers(1, 4)),
        bidirectional=bool(rng.integers(2)),
        bias=bool(rng.integers(2)),
        **options,
    )


def random_call(spec, seed, rng):
    """One step or more, one row or more; lengths, state, dy and dstate given or not."""
    seq_len, batch = (int(rng.choice([1, 1, 2, 5, 8])) for _ in range(2))
    lengths = random_lengths(seq_len, batch, rng) if batch > 1 and rng.integers(2) else None
    dy, dstate = [(True, True), (True, False), (False, True)][seed % 3]
    given = {"state": bool(rng.integers(2)), "dy": dy, "dstate": dstate}
    return random_case(spec, rng, seq_len=seq_len, batch=batch, lengths=lengths, **given)


def check_in_both_dtypes(case):
    check(case, np.float64, 1e-11)
    if not has_kinks(case.spec.variant):
        check(case, np.float32, 2e-5)


def has_kinks(variant):
    """Rounding may then put a number on the other side, where the slope is another."""
    functions = (variant.gate_activation, variant.input_activation, variant.output_activation)
    names = {f if isinstance(f, str) else f[0] for f in functions}
    smooth = names <= {
        "tanh",
        "sigmoid",
        "identity",
        "softsign",
        "softplus",
        "affine",
        "scaled_tanh",
    }
    return not smooth or variant.activation_clip is not None or variant.cell_clip == CLIP
