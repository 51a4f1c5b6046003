"""Executed work of decoders with attention, against gru_native.complexity."""

import numpy as np
import pytest

from decoders import ATTENTIONS, Problem, make
from executed_work import check, counted, executed, pick
from gru_native import complexity


@pytest.mark.parametrize("attention", ATTENTIONS)
@pytest.mark.parametrize("seed", range(40))
def test_decoder(seed, attention):
    rng = np.random.default_rng(seed)
    dtype, dropout = pick(rng, np.float32, np.float64), pick(rng, 0.0, 0.5)
    decoder = make(rng, attention=attention, dtype=dtype, dropout=dropout)
    problem = Problem(rng, decoder)
    (targets, memory), options = problem.arguments
    for name in ("lengths", "memory_lengths", "state"):
        if rng.integers(2):
            options[name] = None
    dlogits, dstate = pick(rng, (True, False), (False, True), (True, True))
    training = bool(rng.integers(2))
    call = {name: options[name] for name in ("lengths", "memory_lengths")}
    call |= {"state": options["state"] is not None, "dlogits": dlogits, "dstate": dstate}
    src = problem.src if attention else [1] * decoder.num_memories
    sizes = problem.steps, problem.one(src), problem.batch
    count = complexity.count_decoder(decoder, *sizes, training=training, **call)
    check(
        decoder,
        lambda: decoder.forward(targets, memory, **options, training=training),
        count,
        problem.dlogits if dlogits else None,
        problem.dstate if dstate else None,
    )
    inference = complexity.count_decoder(decoder, *sizes, training=False, **call)
    assert executed(decoder, targets, memory, **options)[1] == counted(inference.passes)[0]
    assert count.parameters == decoder.num_parameters
    assert [(t.name, t.shape) for t in count.tensors] == [
        (name, a.shape) for name, a in decoder.weights.items()
    ]


@pytest.mark.parametrize("attention", ATTENTIONS)
def test_threads_share_the_work(attention, threads):
    """And no work is done by two of them."""
    rng = np.random.default_rng(1)
    decoder = make(rng, attention=attention, num_memories=2, hidden_size=70, dtype=np.float32)
    problem = Problem(rng, decoder, 5, 40)
    (targets, memory), options = problem.arguments
    call = {name: options[name] for name in ("lengths", "memory_lengths")}
    src = problem.src if attention else [1, 1]
    count = complexity.count_decoder(decoder, 5, src, 40, **call, state=True, dstate=True)
    for n in (1, 2, 3):
        threads(n)
        check(
            decoder,
            lambda: decoder.forward(targets, memory, **options),
            count,
            problem.dlogits,
            problem.dstate,
        )
