"""copy and pickle of streams and RTRL: the same numbers, to the bit, from then on."""

import copy
import copyreg
import pickle

import numpy as np
import pytest

from copies import WAYS, arrays_in
from gru_native import GRU, LSTM, RNN, RTRL, Chain, Dense
from gru_native.layers import _pickling
from helpers import assert_same_bits

ALL_WAYS = {**WAYS, "copy": copy.copy}
# Sizes that fill no vector evenly; options that each change what is packed or kept.
STREAMED = {
    "rnn": lambda **o: RNN(3, 19, 2, nonlinearity=("leaky_relu", 0.125), batch_first=True, **o),
    "rnn_without_bias": lambda **o: RNN(3, 4, bias=False, dropout=0.5, **o),
    "lstm": lambda **o: LSTM(3, 37, 2, **o),
    "lstm_projections": lambda **o: LSTM(3, 21, 2, proj_size=5, nonrecurrent_proj_size=3, **o),
    "lstm_variant": lambda **o: LSTM(3, 18, 2, peephole=True, input_gate=False, cell_clip=2.0, **o),
    "lstm_coupled": lambda **o: LSTM.variant("CIFG", 3, 9, zoneout=0.25, zoneout_cell=0.5, **o),
    "lstm_gate_recurrence": lambda **o: LSTM.variant("FGR", 3, 17, **o),
    "lstm_layer_norm": lambda **o: LSTM(3, 21, 2, peephole=True, layer_norm=True, **o),
    "gru": lambda **o: GRU(3, 35, 2, zoneout=0.125, **o),
    "gru_reset_before": lambda **o: GRU(3, 20, 2, reset_after=False, **o),
    "gru_layer_norm": lambda **o: GRU(3, 9, layer_norm=True, candidate_activation="relu", **o),
    "chain": lambda **o: Chain(
        [
            Dense(3, 21, activation="tanh", **o),
            GRU(21, 19, 2, dropout=0.5, **o),
            LSTM(19, 6, proj_size=5, **o),
            Dense(5, 7, bias=False, **o),
        ]
    ),
    "short_chain": lambda **o: Chain([RNN(3, 4, **o)]),
}
LEARNING = {
    "rnn": lambda **o: RNN(3, 5, nonlinearity="softsign", **o),
    "lstm": lambda **o: LSTM(3, 5, peephole=True, forget_gate=False, **o),
    "lstm_projections": lambda **o: LSTM(3, 6, proj_size=2, nonrecurrent_proj_size=3, **o),
    "gru": lambda **o: GRU(3, 9, bias=False, **o),
    "gru_reset_before": lambda **o: GRU(3, 5, reset_after=False, **o),
}


def assert_same(actual, expected):
    actual, expected = arrays_in(actual), arrays_in(expected)
    assert len(actual) == len(expected) > 0
    for a, b in zip(actual, expected, strict=True):
        assert_same_bits(a, b)


def changed(layer):
    """Other weights than those that its streams have."""
    with layer.editing() as weights:
        for weight in weights.values():
            weight *= 0.5


def inputs(stream, columns, steps, seed):
    shape = (steps, columns) if stream.batch_size == 1 else (steps, stream.batch_size, columns)
    dtype = np.asarray(arrays_in(stream.state)[0]).dtype
    return np.random.default_rng(seed).standard_normal(shape).astype(dtype)


def run(stream, x, batch_first=False):
    return stream(x.swapaxes(0, 1) if batch_first and x.ndim == 3 else x)


@pytest.mark.parametrize("way", ALL_WAYS.values(), ids=ALL_WAYS)
@pytest.mark.parametrize("batch_size", [1, 3])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", STREAMED)
def test_a_copy_goes_on_with_the_same_bits(name, dtype, batch_size, way):
    layer = STREAMED[name](dtype=dtype, seed=3)
    stream = layer.stream(batch_size)
    first, *rest = (inputs(stream, 3, steps, seed) for seed, steps in enumerate((5, 1, 4, 2)))
    run(stream, first, layer.batch_first)
    changed(layer)
    twin = way(stream)
    assert type(twin) is type(stream)
    assert twin.batch_size == batch_size
    before = stream.state
    assert_same(twin.state, before)
    ours = [run(twin, x, layer.batch_first) for x in rest]
    assert_same(stream.state, before)  # which is its own
    assert_same(ours, [run(stream, x, layer.batch_first) for x in rest])
    assert_same(twin.state, stream.state)
    again = way(twin)  # a copy of a copy
    assert_same(run(again, first, layer.batch_first), run(stream, first, layer.batch_first))
    twin.reset()
    assert not any(array.any() for array in arrays_in(twin.state))
    assert any(array.any() for array in arrays_in(stream.state))


@pytest.mark.parametrize("way", ALL_WAYS.values(), ids=ALL_WAYS)
@pytest.mark.parametrize("precision", ["int8", "bf16"])
@pytest.mark.parametrize("name", ["rnn", "lstm_projections", "gru", "gru_reset_before", "chain"])
def test_streams_of_few_bits(name, precision, way):
    layer = STREAMED[name](seed=3).quantize(precision)
    stream = layer.stream(2)
    run(stream, inputs(stream, 3, 5, 1), layer.batch_first)
    del layer
    twin = way(stream)
    x = inputs(stream, 3, 6, 2)
    batch_first = name == "rnn"
    assert_same(run(twin, x, batch_first), run(stream, x, batch_first))
    assert_same(run(way(twin), x, batch_first), run(stream, x, batch_first))


def test_a_chain_of_few_and_many_bits():
    chain = Chain([LSTM(3, 21, seed=1).quantize("int8"), GRU(21, 6, seed=2)])
    stream = chain.stream()
    x = inputs(stream, 3, 6, 2)
    stream(x)
    for way in ALL_WAYS.values():
        assert_same(way(stream)(x), copy.copy(stream)(x))


def test_what_state_can_hold_travels():
    """NaN, infinity, denormals and both zeros."""
    stream = GRU(3, 6, seed=1).stream()
    special = [np.nan, np.inf, 1e-42, -0.0, 0.0, -1.5]
    stream.state = np.array(special, np.float32).reshape(1, 1, 6)
    for way in ALL_WAYS.values():
        assert_same(way(stream).state, stream.state)


@pytest.mark.parametrize("way", ALL_WAYS.values(), ids=ALL_WAYS)
@pytest.mark.parametrize("batch_size", [1, 3])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", LEARNING)
def test_rtrl_goes_on_with_the_same_bits(name, dtype, batch_size, way):
    layer = LEARNING[name](dtype=dtype, seed=3)
    r = RTRL(layer, batch_size)
    rng = np.random.default_rng(4)

    def numbers(columns):
        shape = (columns,) if batch_size == 1 else (batch_size, columns)
        return rng.standard_normal(shape).astype(dtype)

    outputs = r(numbers(3)).shape[-1]
    for _ in range(4):
        r(numbers(3))
        r.gradient(numbers(outputs))
    if batch_size > 1:
        r.reset_rows([False, True, False])
    twin = way(r)
    assert type(twin) is RTRL
    assert twin.batch_size == batch_size
    assert (twin.layer is layer) == (way is copy.copy)
    assert_same((twin.state, twin.gradients), (r.state, r.gradients))
    kept = copy.deepcopy(r.gradients), r.state
    given = [(numbers(3), numbers(outputs)) for _ in range(3)]
    found = [(twin(x), twin.gradient(dy)) for x, dy in given]
    assert_same((r.gradients, r.state), kept)
    assert_same(found, [(r(x), r.gradient(dy)) for x, dy in given])
    assert_same((twin.state, twin.gradients), (r.state, r.gradients))
    twin.clear_gradients()
    twin.reset()
    assert any(g.any() for g in r.gradients.values())
    assert any(array.any() for array in arrays_in(r.state))
    if way is not copy.copy:  # its layer is another, too
        changed(twin.layer)
        assert_same(r.layer.state_dict(), LEARNING[name](dtype=dtype, seed=3).state_dict())


def test_rtrl_and_its_layer_stay_together():
    layer = GRU(3, 4, seed=1)
    for way in WAYS.values():
        one, r, two = way((layer, RTRL(layer), layer))
        assert one is r.layer is two


def test_a_subclass_of_rtrl_keeps_its_class_and_attributes():
    r = Named(GRU(3, 4, seed=1), "a")
    for way in ALL_WAYS.values():
        twin = way(r)
        assert type(twin) is Named
        assert twin.name == "a"


class Named(RTRL):
    def __init__(self, layer, name):
        super().__init__(layer, 2)
        self.name = name


# --- pickles that are none


def altered_stream(change, sealed=True):
    stream = GRU(3, 4, 2, seed=1).stream(2)
    make, (state,) = copyreg.dispatch_table[type(stream)](stream)
    change(state)
    return make(resealed(state, ("model", "batch_size", "state")) if sealed else state)


def resealed(state, names):
    state["checksum"] = _pickling.checksum({n: v for n, v in state.items() if n in names})
    return state


STREAM_DAMAGES = {
    "format": (lambda s: s.update(format=99), "format 99"),
    "no model": (lambda s: s.pop("model"), "no model"),
    "a model's kind": (lambda s: s.update(model=3), "its model is an int"),
    "a dense model": (lambda s: s.update(model=Dense(3, 4)), "its model is a Dense"),
    "another model": (lambda s: s.update(model=LSTM(3, 4, 2)), "state is an ndarray|tuple"),
    "another size": (lambda s: s.update(model=GRU(3, 5, 2)), "state has shape"),
    "two directions": (lambda s: s.update(model=GRU(3, 4, bidirectional=True)), "bidirectional"),
    "another dtype": (lambda s: s.update(model=GRU(3, 4, 2, dtype=np.float64)), "dtype"),
    "batch_size": (lambda s: s.update(batch_size=3), "expected batch=3"),
    "a huge batch_size": (lambda s: s.update(batch_size=2**62), "expected batch="),
    "no batch_size": (lambda s: s.update(batch_size=None), "expected batch=None"),
    "a state's kind": (lambda s: s.update(state="x"), "state holds a str"),
    "a state of objects": (lambda s: s.update(state=np.full((2, 2, 4), None)), "state"),
    "no state": (lambda s: s.update(state=()), "state"),
}


@pytest.mark.parametrize(("change", "text"), STREAM_DAMAGES.values(), ids=STREAM_DAMAGES)
def test_a_damaged_stream_is_an_error_that_says_what(change, text):
    with pytest.raises(pickle.UnpicklingError, match=f"pickled Stream cannot be read: .*({text})"):
        altered_stream(change)


def altered_rtrl(change, sealed=True):
    state = copy.deepcopy(RTRL(GRU(3, 4, seed=1), 2).__getstate__())
    change(state)
    twin = RTRL.__new__(RTRL)
    names = ("layer", "batch_size", "carried", "gradients")
    twin.__setstate__(resealed(state, names) if sealed else state)
    return twin


RTRL_DAMAGES = {
    "format": (lambda s: s.update(format=99), "format 99"),
    "no layer": (lambda s: s.pop("layer"), "no layer"),
    "a layer's kind": (lambda s: s.update(layer=3), "layer is an int"),
    "another layer": (lambda s: s.update(layer=GRU(3, 5)), "carried has shape|too little"),
    "a smaller layer": (lambda s: s.update(layer=GRU(1, 2)), "carried has shape"),
    "a stack": (lambda s: s.update(layer=GRU(1, 2, 2)), "num_layers"),
    "batch_size": (lambda s: s.update(batch_size=1), "carried has shape"),
    "a batch_size of 0": (lambda s: s.update(batch_size=0), "batch_size is 0"),
    "a huge batch_size": (lambda s: s.update(batch_size=2**62), "too little"),
    "a batch_size's kind": (lambda s: s.update(batch_size="2"), "batch_size is a str"),
    "carried's kind": (lambda s: s.update(carried=[1.0]), "too little"),
    "carried's dtype": (lambda s: s.update(carried=s["carried"].astype("f8")), "dtype float64"),
    "less carried": (lambda s: s.update(carried=s["carried"][:-1]), "carried has shape"),
    "two dimensions": (lambda s: s.update(carried=s["carried"][None]), "carried has shape"),
    "gradients' kind": (lambda s: s.update(gradients=3), "mapping is an int"),
    "a gradient less": (lambda s: s["gradients"].popitem(), "lacks"),
    "a gradient's shape": (
        lambda s: s["gradients"].update(bias_ih_l0=np.zeros(5, np.float32)),
        "bias_ih_l0 has shape",
    ),
    "attributes": (lambda s: s.update(attributes=3), "attributes"),
}


@pytest.mark.parametrize(("change", "text"), RTRL_DAMAGES.values(), ids=RTRL_DAMAGES)
def test_a_damaged_rtrl_is_an_error_that_says_what(change, text):
    with pytest.raises(pickle.UnpicklingError, match=f"pickled RTRL cannot be read: .*({text})"):
        altered_rtrl(change)


def test_a_checksum_finds_what_would_pass():
    for altered, change in (
        (altered_stream, lambda s: s["state"].__setitem__((0, 0, 0), 7)),
        (altered_rtrl, lambda s: s["carried"].__setitem__(0, 7)),
    ):
        altered(change)  # by who means it
        with pytest.raises(pickle.UnpicklingError, match="its checksum does not match"):
            altered(change, sealed=False)


@pytest.mark.parametrize(
    "make",
    [lambda: Chain([GRU(3, 2, seed=1), Dense(2, 2)]).stream(), lambda: RTRL(GRU(3, 2, seed=1))],
    ids=["stream", "rtrl"],
)
def test_bytes_that_are_damaged_crash_nothing(make):
    data = pickle.dumps(make(), 4)
    for end in range(0, len(data), 7):
        with pytest.raises(Exception):  # noqa: B017, PT011  pickle's own, of many kinds
            pickle.loads(data[:end])
    rng = np.random.default_rng(1)
    survived = 0
    for _ in range(400):
        broken = bytearray(data)
        broken[rng.integers(len(data))] ^= 1 << rng.integers(8)
        try:
            twin = pickle.loads(broken)
        except Exception:
            continue
        if callable(twin):
            twin(np.ones(3, np.float32))
            survived += 1
    assert survived > 0
