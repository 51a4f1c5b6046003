"""AttentionDecoder: what attention is, what padding, threads and company cannot change, errors."""

import numpy as np
import pytest

import gru_native
from decoders import ATTENTIONS, Problem, make, named_gradients
from gru_native import AttentionDecoder, DecoderState
from helpers import assert_close, assert_same_bits, assert_slopes

SCORES = [attention for attention in ATTENTIONS if attention]


def everything(decoder, problem, **changed):
    """Logits, final state and all gradients of a call, by name."""
    arguments, named = problem.arguments
    logits, state, tape = decoder.forward(*arguments, **{**named, **changed})
    found = named_gradients(decoder, decoder.backward(tape, problem.dlogits, problem.dstate))
    layers = state.layers if decoder.cell == "lstm" else [state.layers]
    found |= {f"final{i}": a for i, a in enumerate([*layers, *state.weights])}
    if state.context is not None:
        found["final context"] = state.context
    return {"logits": logits, **found}


@pytest.mark.parametrize("attention", SCORES)
@pytest.mark.parametrize("cell", ["lstm", "gru"])
def test_a_memory_of_one_position_is_the_context(attention, cell):
    rng = np.random.default_rng(1)
    decoder = make(rng, attention=attention, cell=cell, num_memories=1)
    targets = rng.integers(0, decoder.vocab_size, (4, 3))
    memory = rng.standard_normal((1, 3, decoder.memory_size))
    _, state = decoder(targets, memory)
    assert_same_bits(state.context, memory[0])
    if attention == "location":
        assert np.array_equal(state.weights[0], np.ones((3, 1)))
    vectors = AttentionDecoder(
        decoder.vocab_size,
        decoder.embedding_dim,
        decoder.hidden_size,
        decoder.memory_size,
        **{
            name: getattr(decoder, name)
            for name in ("cell", "num_layers", "input_feeding", "readout_size", "readout", "dtype")
        },
        attention=None,
    )
    vectors.load_state_dict({n: w for n, w in decoder.weights.items() if n in vectors.weights})
    first = DecoderState(decoder(targets[:1], memory)[1].layers, memory[0])
    with_attention, _ = decoder(targets[1:], memory, state=first)
    without, _ = vectors(targets[1:], memory[0], state=first.layers)
    assert_same_bits(with_attention, without)


@pytest.mark.parametrize("attention", SCORES[:3])
def test_permuted_positions_change_nothing(attention):
    rng = np.random.default_rng(2)
    decoder = make(rng, attention=attention, num_memories=1)
    targets = rng.integers(0, decoder.vocab_size, (5, 2))
    memory = rng.standard_normal((7, 2, decoder.memory_size))
    order = rng.permutation(7)
    assert_close(decoder(targets, memory[order])[0], decoder(targets, memory)[0], 1e-13)


def test_location_attention_sees_the_order():
    rng = np.random.default_rng(3)
    decoder = make(rng, attention="location", num_memories=1, location_width=5)
    targets = rng.integers(0, decoder.vocab_size, (5, 2))
    memory = rng.standard_normal((7, 2, decoder.memory_size))
    difference = decoder(targets, memory[::-1])[0] - decoder(targets, memory)[0]
    assert np.abs(difference).max() > 1e-8


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("attention", SCORES)
def test_padding_changes_no_bit_and_is_never_read(attention, dtype):
    rng = np.random.default_rng(4)
    decoder = make(rng, attention=attention, dtype=dtype, num_memories=2)
    problem = Problem(rng, decoder, batch=4)
    expected = everything(decoder, problem)
    for memory, lengths in zip(problem.memory, problem.memory_lengths, strict=True):
        for b, length in enumerate(lengths):
            memory[length:, b] = np.nan
    found = everything(decoder, problem)
    for name, array in expected.items():
        assert_same_bits(found[name], array, name)
    for m, lengths in enumerate(problem.memory_lengths):
        for b, length in enumerate(lengths):
            assert not found[f"memory{m}"][length:, b].any()


def test_steps_past_the_end_are_not_made():
    rng = np.random.default_rng(5)
    decoder = make(rng, attention="location", num_memories=1, cell="lstm")
    problem = Problem(rng, decoder, steps=5, batch=3)
    problem.lengths = np.array([0, 5, 2])
    found = everything(decoder, problem)
    assert not found["logits"][0:, 0].any()
    assert not found["logits"][2:, 2].any()
    assert_same_bits(found["final0"][:, 0], problem.state.layers[0][:, 0])
    assert_same_bits(found["final context"][0], problem.state.context[0])
    assert_same_bits(found["final2"][0], problem.state.weights[0][0])
    assert_same_bits(found["h"][:, 0], problem.dlayers[0][:, 0])
    assert_same_bits(found["context"][0], problem.dcontext[0])
    length = problem.memory_lengths[0][0]
    assert_same_bits(found["weights0"][0, :length], problem.dweights[0][0, :length])
    problem.dlogits[2:, 2] = np.nan  # of steps that were not made
    problem.dlogits[:, 0] = np.nan
    problem.targets[2:, 2] = -7
    again = everything(decoder, problem)
    for name, array in found.items():
        assert_same_bits(again[name], array, name)


@pytest.mark.parametrize("attention", ATTENTIONS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("size", [13, 96])
def test_same_bits_for_threads_company_and_chunks(attention, dtype, size):
    rng = np.random.default_rng(6)
    decoder = make(rng, attention=attention, dtype=dtype, hidden_size=size)
    problem = Problem(rng, decoder, steps=9, batch=14)
    before = gru_native.get_num_threads()
    try:
        gru_native.set_num_threads(1)
        expected = everything(decoder, problem)
        for threads in (2, 3, 5):
            gru_native.set_num_threads(threads)
            found = everything(decoder, problem)
            for name, array in expected.items():
                assert_same_bits(found[name], array, f"{name}, {threads} threads")
    finally:
        gru_native.set_num_threads(before)
    lengths = problem.memory_lengths or [None] * decoder.num_memories

    def one(items):
        return items if decoder.num_memories > 1 else items[0]

    for b in (0, 7):
        rows = slice(b, b + 1)
        state = DecoderState(
            tuple(part[:, rows] for part in problem.state.layers)
            if decoder.cell == "lstm"
            else problem.state.layers[:, rows],
            None if problem.state.context is None else problem.state.context[rows],
            tuple(a[rows] for a in problem.state.weights),
        )
        memory = [m[rows] if attention is None else m[:, rows] for m in problem.memory]
        own = one([None if n is None else n[rows] for n in lengths])
        logits = []
        for t in range(problem.lengths[b]):
            row, state = decoder(
                problem.targets[t : t + 1, rows], one(memory), memory_lengths=own, state=state
            )
            logits.append(row)
        if logits:
            whole = expected["logits"][: problem.lengths[b], rows]
            assert_same_bits(np.concatenate(logits), np.ascontiguousarray(whole))


@pytest.mark.parametrize("attention", ATTENTIONS)
def test_gradients_are_slopes(attention):
    rng = np.random.default_rng(7)
    decoder = make(rng, attention=attention, num_memories=2, readout="tanh")
    problem = Problem(rng, decoder)
    weights = decoder.state_dict()
    layers = problem.state.layers
    arrays = {f"weights.{name}": w for name, w in weights.items()}
    arrays |= {f"memory{m}": a for m, a in enumerate(problem.memory)}
    arrays |= dict(zip(("h", "c"), layers if decoder.cell == "lstm" else (layers,), strict=False))
    if attention is not None:
        arrays["context"] = problem.state.context
    arguments, named = problem.arguments

    def loss():
        decoder.load_state_dict(weights)
        logits, state = decoder(*arguments, **named)
        sums = np.sum(problem.dlogits * logits)
        pairs = zip(
            problem.dlayers,
            state.layers if decoder.cell == "lstm" else [state.layers],
            strict=False,
        )
        sums += sum(np.sum(d * s) for d, s in pairs)
        if attention is not None:
            sums += np.sum(problem.dcontext * state.context)
        return sums + sum(
            np.sum(d * a) for d, a in zip(problem.dweights, state.weights, strict=False)
        )

    _, _, tape = decoder.forward(*arguments, **named)
    gradients = named_gradients(decoder, decoder.backward(tape, problem.dlogits, problem.dstate))
    assert_slopes(loss, arrays, gradients, rng)


def test_dropout_is_that_of_its_seed_and_between_layers_only():
    rng = np.random.default_rng(8)
    make_one = lambda layers, p: AttentionDecoder(  # noqa: E731
        9, 4, 6, 5, num_layers=layers, dropout=p, dtype=np.float64, seed=1
    )
    targets, memory = rng.integers(0, 9, (4, 3)), rng.standard_normal((5, 3, 5))
    single = make_one(1, 0.5)
    assert_same_bits(single.forward(targets, memory)[0], single(targets, memory)[0])
    first, second = (make_one(2, 0.5).forward(targets, memory)[0] for _ in range(2))
    assert_same_bits(first, second)
    decoder = make_one(2, 0.5)
    logits = decoder.forward(targets, memory)[0]
    assert np.abs(logits - decoder(targets, memory)[0]).max() > 1e-6
    assert_same_bits(
        decoder.forward(targets, memory, training=False)[0], decoder(targets, memory)[0]
    )


def test_gradients_with_dropout_are_slopes():
    rng = np.random.default_rng(9)
    decoder = AttentionDecoder(9, 4, 6, 5, num_layers=3, dropout=0.4, dtype=np.float64, seed=1)
    targets, memory = rng.integers(0, 9, (4, 3)), rng.standard_normal((5, 3, 5))
    dlogits = rng.standard_normal((4, 3, 9))

    def drawn():
        decoder._random = np.random.default_rng(5)
        return decoder.forward(targets, memory)

    gradients = {"memory": decoder.backward(drawn()[2], dlogits).memory}
    assert_slopes(lambda: np.sum(dlogits * drawn()[0]), {"memory": memory}, gradients, rng)


def test_without_a_batch():
    rng = np.random.default_rng(10)
    decoder = make(rng, attention="location", num_memories=1)
    targets = rng.integers(0, decoder.vocab_size, 4)
    memory = rng.standard_normal((6, decoder.memory_size))
    logits, state, tape = decoder.forward(targets, memory)
    batched, batched_state, _ = decoder.forward(targets[:, None], memory[:, None])
    assert_same_bits(logits, batched[:, 0])
    assert_same_bits(state.context, batched_state.context[0])
    grads = decoder.backward(tape, logits)
    assert grads.memory.shape == memory.shape
    assert grads.state.weights[0].shape == (6,)


def test_a_tape_keeps_what_it_needs():
    rng = np.random.default_rng(11)
    decoder = make(rng, attention="additive", num_memories=1)
    problem = Problem(rng, decoder)
    arguments, named = problem.arguments
    _, _, tape = decoder.forward(*arguments, **named)
    before = named_gradients(decoder, decoder.backward(tape, problem.dlogits, problem.dstate))
    problem.memory[0][...] = 0
    problem.targets[...] = 0
    with decoder.editing() as w:
        for name in w:
            w[name] *= 0.5
    after = named_gradients(decoder, decoder.backward(tape, problem.dlogits, problem.dstate))
    for name, array in before.items():
        assert_same_bits(after[name], array, name)
    with pytest.raises(ValueError, match="tape was made by another layer"):
        make(np.random.default_rng(11), attention="additive").backward(tape, problem.dlogits)


T, M = np.zeros((3, 2), int), np.zeros((4, 2, 5), np.float32)
CALLS = [
    ((T - 1, M), {}, ValueError, r"targets\[0, 0\] is -1; expected 0 to vocab_size-1=8"),
    ((T + 9, M), {}, ValueError, r"targets\[0, 0\] is 9; expected 0 to vocab_size-1=8"),
    ((T * 0.5, M), {}, TypeError, "targets is of dtype float64; expected whole numbers"),
    ((T[None], M), {}, ValueError, r"targets has shape \(1, 3, 2\); expected \(steps, batch\)"),
    ((T[:0], M), {}, ValueError, r"targets has shape \(0, 2\); expected at least one step"),
    ((T, M[:0]), {}, ValueError, r"memory has shape \(0, 2, 5\); expected at least one position"),
    (
        (T, M[:, :1]),
        {},
        ValueError,
        r"memory has shape .*; expected \(src_len, batch=2, memory_size=5",
    ),
    ((T, M[..., :4]), {}, ValueError, r"memory has shape \(4, 2, 4\); expected"),
    ((T, M.astype(float)), {}, TypeError, "memory has dtype float64; expected float32"),
    (
        (T, M),
        {"memory_lengths": [4, 5]},
        ValueError,
        r"memory_lengths\[1\] is 5; expected 1 to src_len=4",
    ),
    (
        (T, M),
        {"memory_lengths": [0, 4]},
        ValueError,
        r"memory_lengths\[0\] is 0; expected 1 to src_len=4",
    ),
    (
        (T, M),
        {"memory_lengths": [4]},
        ValueError,
        r"memory_lengths has shape \(1,\); expected \(batch=2,\)",
    ),
    ((T, M), {"lengths": [4, 0]}, ValueError, r"lengths\[0\] is 4; expected 0 to seq_len=3"),
    ((T[:, 0], M[:, 0]), {"lengths": [2]}, ValueError, "lengths was given with targets of rank 1"),
    ((T, M), {"state": M}, TypeError, "state is an ndarray; expected the LSTM's pair"),
    (
        (T, M),
        {"state": DecoderState(None, M)},
        ValueError,
        r"state.context has shape \(4, 2, 5\); expected",
    ),
    ((T, M), {"state": DecoderState(None, None, (M,))}, ValueError, "state.weights is not empty"),
]


@pytest.mark.parametrize(("arguments", "named", "error", "text"), CALLS)
def test_calls_are_checked(arguments, named, error, text):
    decoder = AttentionDecoder(9, 4, 6, 5, seed=1)
    for call in (decoder, decoder.forward):
        with pytest.raises(error, match=text):
            call(*arguments, **named)


def test_several_memories_are_a_list():
    decoder = AttentionDecoder(9, 4, 6, 5, num_memories=2, seed=1)
    with pytest.raises(TypeError, match="memory is an ndarray; expected a list of 2 arrays"):
        decoder(T, M)
    with pytest.raises(ValueError, match="memory has 3 items; expected num_memories=2"):
        decoder(T, [M, M, M])
    with pytest.raises(ValueError, match=r"memory\[1\] has shape"):
        decoder(T, [M, M[:, :1]])
    one = AttentionDecoder(9, 4, 6, 5, seed=1)
    assert_same_bits(one(T, [M])[0], one(T, M)[0])


@pytest.mark.parametrize(
    ("options", "error", "text"),
    [
        ({"cell": "rnn"}, ValueError, 'cell is "rnn"; expected "lstm" or "gru"'),
        ({"attention": "x"}, ValueError, 'attention is "x"; expected "additive", "dot", "general"'),
        ({"attention": "none"}, ValueError, 'attention is "none"; expected "additive"'),
        ({"attention": "dot"}, ValueError, "memory_size is 5; expected hidden_size=6"),
        ({"attention_size": 0}, ValueError, "attention_size is 0; expected at least 1"),
        ({"readout_size": -1}, ValueError, "readout_size is -1; expected at least 1"),
        ({"readout": "relu"}, ValueError, 'readout is "relu"; expected "tanh" or "maxout"'),
        ({"num_memories": 0}, ValueError, "num_memories is 0; expected at least 1"),
        ({"num_layers": 0}, ValueError, "num_layers is 0; expected at least 1"),
        ({"location_width": 4}, ValueError, "location_width is 4; expected an odd number"),
        ({"dropout": 1.5}, ValueError, "dropout is 1.5"),
        ({"num_memories": 2**62}, ValueError, "would be larger than memory can be"),
        ({"cell": 3}, TypeError, "cell is an int; expected a string"),
        ({"input_feeding": 1}, TypeError, "input_feeding is an int; expected True or False"),
    ],
)
def test_options_are_checked(options, error, text):
    with pytest.raises(error, match=text):
        AttentionDecoder(9, 4, 6, 5, **options)


def test_gradients_that_are_none():
    rng = np.random.default_rng(12)
    decoder = make(rng, attention="location", num_memories=1)
    problem = Problem(rng, decoder)
    arguments, named = problem.arguments
    _, _, tape = decoder.forward(*arguments, **named)
    zeros = DecoderState(
        tuple(0 * d for d in problem.dlayers) if decoder.cell == "lstm" else 0 * problem.dlayers[0],
        0 * problem.dcontext,
        tuple(0 * d for d in problem.dweights),
    )
    pairs = [
        (decoder.backward(tape, problem.dlogits), decoder.backward(tape, problem.dlogits, zeros)),
        (
            decoder.backward(tape, None, problem.dstate),
            decoder.backward(tape, 0 * problem.dlogits, problem.dstate),
        ),
    ]
    for short, whole in pairs:
        short, whole = named_gradients(decoder, short), named_gradients(decoder, whole)
        for name, array in whole.items():
            assert_close(short[name], array, 1e-15, name)
    with pytest.raises(ValueError, match="dlogits and dstate are both None"):
        decoder.backward(tape)
