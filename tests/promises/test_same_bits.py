"""The same bits for any number of threads, any batch composition and any cut of the sequence.

Each sum runs in one fixed order, so these are equalities, not tolerances. The sizes reach well past
where a second thread takes part, and past one block of units for every vector width.
"""

import itertools
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from helpers import (
    ACTIVATION_NAMES,
    CELLS,
    EVERY_GATE_SET,
    Case,
    assert_same_bits,
    assert_same_gradients,
    assert_same_state,
    each,
    make_layer,
    parts,
    random_case,
    spec_of,
)
from reference import Spec

SIZES = [1, 2, 5, 8, 15, 16, 17, 31, 33, 48, 64, 96, 100, 128, 161, 200]
bits_settings = settings(max_examples=40, deadline=None)


@st.composite
def variants(draw):
    """Any set of gates, any activations, with and without peepholes and a clip that cuts."""
    gates = draw(st.sampled_from(EVERY_GATE_SET))
    return replace(
        gates,
        peephole=gates.peephole and draw(st.booleans()),
        input_activation=draw(st.sampled_from(ACTIVATION_NAMES)),
        output_activation=draw(st.sampled_from(ACTIVATION_NAMES)),
        cell_clip=draw(st.sampled_from([None, 0.25, 2.0])),
    )


@st.composite
def cases(draw, directions=(False, True)):
    """A case in one dtype; `lengths` may be anything from all 0 to None."""
    cell = draw(st.sampled_from([*CELLS, "lstm_proj", "lstm_variant"]))
    hidden_size = draw(st.sampled_from(SIZES))
    options = {}
    if cell == "lstm_variant":
        options["variant"] = draw(variants())
    if cell.startswith("gru"):
        options["candidate_activation"] = draw(st.sampled_from(ACTIVATION_NAMES))
    if cell in ("lstm", "gru", "lstm_proj"):
        options["layer_norm"] = draw(st.booleans())
    if cell == "lstm_proj" or (cell == "lstm_variant" and draw(st.booleans())):
        hidden_size = max(2, hidden_size)
        options["proj_size"] = draw(st.integers(1, hidden_size - 1))
        options["nonrecurrent_proj_size"] = draw(st.sampled_from([0, 1, 50, 250]))
    spec = Spec(
        cell.removesuffix("_proj").removesuffix("_variant"),
        draw(st.sampled_from(SIZES)),
        hidden_size,
        num_layers=draw(st.integers(1, 3)),
        bidirectional=draw(st.sampled_from(directions)),
        bias=draw(st.booleans()),
        **options,
    )
    seq_len, batch = draw(st.integers(1, 12)), draw(st.integers(1, 9))
    one_length = st.integers(0, seq_len)
    lengths = draw(st.none() | st.lists(one_length, min_size=batch, max_size=batch))
    return build(spec, seq_len, batch, lengths, draw(st.integers(0, 2**32)), draw(st.booleans()))


def build(spec, seq_len, batch, lengths, seed, single):
    case = random_case(
        spec, np.random.default_rng(seed), seq_len=seq_len, batch=batch, lengths=lengths
    )
    return case.cast(np.float32 if single else np.float64)


# Hypothesis likes small numbers; these are never missed.
WIDE = build(Spec("lstm", 64, 200, 2), 12, 9, None, 1, True)
WIDE_BOTH_WAYS = build(Spec("gru", 33, 161, 2, True), 9, 7, [9, 0, 3, 9, 1, 7, 2], 2, True)
LONG_AND_ALONE = build(Spec("lstm", 200, 200, 3, proj_size=100), 40, 1, None, 3, True)
WIDE_VARIANT = build(spec_of("lstm_variant", 64, 200, 2), 12, 9, None, 5, True)
PROJECTED_VARIANT = build(
    spec_of("lstm_two_proj", 48, 161, 3, proj_size=70), 10, 6, [10, 2, 5, 0, 10, 9], 6, True
)
GATES_RECUR = build(
    spec_of("lstm_gate_recurrence", 48, 161, 2), 10, 6, [10, 2, 5, 0, 10, 9], 7, True
)
NORMALISED = build(spec_of("lstm_layer_norm", 48, 161, 2), 10, 6, [10, 2, 5, 0, 10, 9], 8, True)
NORMALISED_GRU = build(spec_of("gru_layer_norm", 64, 200, 2), 12, 9, None, 9, True)
DOUBLE = build(Spec("gru_reset_before", 100, 128, 2), 10, 6, [10, 2, 5, 0, 10, 9], 4, False)


def layer_of(case):
    return make_layer(case.spec, case.weights, dtype=case.x.dtype)


def rows(case, chosen, seq_len=None):
    """The case with only these sequences of its batch, cut off after seq_len steps."""
    return Case(
        case.spec,
        case.weights,
        np.ascontiguousarray(case.x[:seq_len, chosen]),
        each(lambda part: np.ascontiguousarray(part[:, chosen]), case.state),
        None if case.lengths is None else [case.lengths[row] for row in chosen],
        np.ascontiguousarray(case.dy[:seq_len, chosen]),
        each(lambda part: np.ascontiguousarray(part[:, chosen]), case.dstate),
    )


def with_every_option(**arguments):
    """Examples of a test with the options of layers that its random cases do not have."""

    def add(test):
        for case in (WIDE_VARIANT, PROJECTED_VARIANT, GATES_RECUR, NORMALISED, NORMALISED_GRU):
            test = example(case=case, **arguments)(test)
        return test

    return add


@given(case=cases())
@example(case=WIDE)
@example(case=WIDE_BOTH_WAYS)
@example(case=LONG_AND_ALONE)
@example(case=DOUBLE)
@with_every_option()
@bits_settings
def test_any_number_of_threads(case):
    import gru_native

    before, results = gru_native.get_num_threads(), []
    layer = layer_of(case)
    try:
        for count in (1, 2, 3):
            gru_native.set_num_threads(count)
            y, state, tape = layer.forward(case.x, case.state, lengths=case.lengths)
            results.append((y, state, layer.backward(tape, case.dy, case.dstate)))
    finally:
        gru_native.set_num_threads(before)
    for y, state, grads in results[1:]:
        assert_same_bits(y, results[0][0])
        assert_same_state(state, results[0][1])
        assert_same_gradients(grads, results[0][2])


@pytest.mark.parametrize("cell", CELLS)
def test_any_number_of_threads_with_dropout(cell, threads):
    spec = Spec(cell, 33, 96, 3, bidirectional=True)
    case = build(spec, 9, 5, None, 5, True)
    results = []
    for count in (1, 2, 3):
        threads(count)
        layer = make_layer(spec, case.weights, dtype=np.float32, dropout=0.5, seed=6)
        y, _, tape = layer.forward(case.x, case.state, training=True)
        results.append((y, layer.backward(tape, case.dy, case.dstate)))
    for y, grads in results[1:]:
        assert_same_bits(y, results[0][0])
        assert_same_gradients(grads, results[0][1])


@given(case=cases(), data=st.data())
@example(case=WIDE, data=None)
@example(case=WIDE_BOTH_WAYS, data=None)
@example(case=DOUBLE, data=None)
@with_every_option(data=None)
@bits_settings
def test_any_batch_composition(case, data):
    """Each sequence alone, cut to its own length, and among others in another order."""
    layer = layer_of(case)
    y, state = layer(case.x, case.state, lengths=case.lengths)
    batch = case.x.shape[1]
    for row in range(batch):
        length = len(case.x) if case.lengths is None else case.lengths[row]
        if length == 0:
            continue  # a sequence of length 0 is no x of its own
        alone = rows(case, [row], length)
        y_alone, state_alone = layer(alone.x, alone.state)
        assert_same_bits(y_alone, y[:length, [row]])
        assert_same_state(state_alone, each(lambda part, row=row: part[:, [row]], state))

    order = data.draw(st.permutations(range(batch))) if data else list(range(batch))[::-1]
    some = order[: data.draw(st.integers(1, batch))] if data else order[: batch - 1]
    chosen = rows(case, some)
    y_some, state_some = layer(chosen.x, chosen.state, lengths=chosen.lengths)
    assert_same_bits(y_some, y[:, some])
    assert_same_state(state_some, each(lambda part: part[:, some], state))


@given(case=cases())
@example(case=WIDE)
@example(case=WIDE_BOTH_WAYS)
@example(case=DOUBLE)
@with_every_option()
@bits_settings
def test_any_batch_composition_in_the_gradients_of_x_and_state(case):
    """The weights' gradients are sums over the batch; these two belong to one sequence."""
    layer = layer_of(case)
    _, _, tape = layer.forward(case.x, case.state, lengths=case.lengths)
    grads = layer.backward(tape, case.dy, case.dstate)
    for row in range(case.x.shape[1]):
        alone = rows(case, [row])
        _, _, tape = layer.forward(alone.x, alone.state, lengths=alone.lengths)
        grads_alone = layer.backward(tape, alone.dy, alone.dstate)
        assert_same_bits(grads_alone.x, grads.x[:, [row]], "dx")
        same_row = each(lambda part, row=row: part[:, [row]], grads.state)
        assert_same_state(grads_alone.state, same_row, "dstate")


@given(case=cases(directions=[False]), cuts=st.sets(st.integers(1, 11)))
@example(case=WIDE, cuts={1, 2, 7})
@example(case=LONG_AND_ALONE, cuts={1, 9, 25})
@example(case=DOUBLE, cuts={3, 4})
@with_every_option(cuts={3, 4})
@bits_settings
def test_any_cut_of_the_sequence(case, cuts):
    """Calls that carry the state; the reverse direction cannot be cut. Lengths are cut along."""
    layer = layer_of(case)
    y, state = layer(case.x, case.state, lengths=case.lengths)
    seq_len = len(case.x)
    edges = [0, *sorted(cut for cut in cuts if cut < seq_len), seq_len]
    carried, chunks = case.state, []
    for start, stop in itertools.pairwise(edges):
        lengths = None
        if case.lengths is not None:
            lengths = np.clip(np.array(case.lengths) - start, 0, stop - start)
        chunk, carried = layer(case.x[start:stop], carried, lengths=lengths)
        chunks.append(chunk)
    assert_same_bits(np.concatenate(chunks), y)
    assert_same_state(carried, state)


@given(case=cases(directions=[False]), cuts=st.sets(st.integers(1, 11)))
@example(case=WIDE, cuts={1, 2, 7})
@example(case=LONG_AND_ALONE, cuts=set(range(1, 40)))
@example(case=DOUBLE, cuts={3, 4})
@with_every_option(cuts={3, 4})
@bits_settings
def test_stream(case, cuts):
    """Chunks, and where one is a single step then that step without its time axis."""
    layer = layer_of(case)
    seq_len, batch, _ = case.x.shape
    y, state = layer(case.x)
    stream = layer.stream(batch_size=batch)
    edges = [0, *sorted(cut for cut in cuts if cut < seq_len), seq_len]
    chunks = []
    for start, stop in itertools.pairwise(edges):
        chunk = case.x[start:stop]
        if stop - start == 1:
            out = stream(chunk[0, 0] if batch == 1 else chunk[0])
            chunks.append(out.reshape(1, batch, -1))
        else:
            chunks.append(stream(chunk))
    assert_same_bits(np.concatenate(chunks), y)
    for part, expected in zip(parts(stream.state), parts(state), strict=True):
        assert_same_bits(part.reshape(expected.shape), expected, "state")


@given(case=cases(), training=st.booleans())
@example(case=WIDE, training=True)
@example(case=WIDE_BOTH_WAYS, training=False)
@with_every_option(training=False)
@bits_settings
def test_forward_and_call(case, training):
    layer = layer_of(case)
    y, state = layer(case.x, case.state, lengths=case.lengths)
    again, state_again, _ = layer.forward(
        case.x, case.state, lengths=case.lengths, training=training
    )
    assert_same_bits(again, y)
    assert_same_state(state_again, state)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("cell", CELLS)
def test_layouts_and_strides(cell, dtype):
    """batch_first, unbatched, and an x that is not contiguous are the same numbers."""
    spec = Spec(cell, 7, 33, 2, bidirectional=True)
    case = random_case(spec, np.random.default_rng(7)).cast(dtype)
    layer = layer_of(case)
    y, state = layer(case.x, case.state)

    turned = make_layer(spec, case.weights, dtype=dtype, batch_first=True)
    y_turned, state_turned = turned(np.ascontiguousarray(case.x.swapaxes(0, 1)), case.state)
    assert_same_bits(y_turned, y.swapaxes(0, 1))
    assert_same_state(state_turned, state)

    y_flat, state_flat = layer(case.x[:, 1], each(lambda part: part[:, 1], case.state))
    assert_same_bits(y_flat, y[:, 1])
    assert_same_state(state_flat, each(lambda part: part[:, 1], state))

    spread = np.full((5, 6, 14), np.nan, dtype)[:, ::-2, ::2]
    spread[...] = case.x
    for other in (spread, np.asfortranarray(case.x)):
        assert_same_bits(layer(other, case.state)[0], y)
