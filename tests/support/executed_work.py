"""What the instrumented core has executed, beside what gru_native.complexity says."""

import pytest

from gru_native import _core
from helpers import CELLS, EVERY_GATE_SET, FUNCTIONS, make_layer
from variants import random_network, random_variant

if not hasattr(_core, "executed"):
    pytest.skip("needs the instrumented build: ctest --preset count", allow_module_level=True)


def executed(call, *arguments, **options):
    """What the call returns, and what it has executed, by kind."""
    _core.executed()
    result = call(*arguments, **options)
    return result, {kind: n for kind, n in _core.executed().items() if n}


def counted(passes):
    """What gru_native.complexity says of the call and of its backward, in the same form."""

    def of(work, **macs):
        return {kind: n for kind, n in {**macs, **work.elementwise}.items() if n}

    inputs, weights = passes.to_inputs.macs, passes.to_weights.macs
    return (
        of(passes.forward, mac_forward=passes.forward.macs),
        of(passes.backward, mac_inputs=inputs, mac_weights=weights),
    )


def pick(rng, *values):
    return values[rng.integers(len(values))]


def numbers(rng, dtype, *shape):
    return rng.standard_normal(shape).astype(dtype)


def any_lengths(rng, seq_len, batch):
    return rng.integers(0, seq_len + 1, batch)


def check(layer, forward, count, *gradients, inference=None):
    """forward() -> (.., tape) and backward with these gradients against the count of both."""
    first, second = counted(count.passes)
    if inference is not None:
        assert executed(inference)[1] == first, layer
    result, work = executed(forward)
    assert work == first, layer
    _, work = executed(layer.backward, result[-1], *gradients)
    assert work == second, layer


def recurrent(rng, dtype):
    """Any layer, with any options."""
    kind = rng.integers(4)
    clip = pick(rng, None, 0.75)
    if kind == 0:
        spec = random_network(rng, cell=pick(rng, *CELLS))
    elif kind == 1:
        spec = random_network(
            rng,
            cell=pick(rng, "gru", "gru_reset_before"),
            candidate_activation=pick(rng, *FUNCTIONS),
            gate_activation=pick(rng, "sigmoid", *FUNCTIONS),
            activation_clip=clip,
        )
    elif kind == 2:
        options = {"nonlinearity": pick(rng, *FUNCTIONS), "activation_clip": clip}
        spec = random_network(rng, cell="rnn", **options)
    else:
        spec = random_network(rng, random_variant(pick(rng, *EVERY_GATE_SET), rng), cell="lstm")
    return spec, make_layer(spec, dtype=dtype, dropout=pick(rng, 0.0, 0.5), seed=1)
