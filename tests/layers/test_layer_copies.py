"""copy and pickle of layers: the same numbers, to the bit, from then on."""

import copy
import io
import pickle

import numpy as np
import pytest

import gru_native
from copies import LAYERS, WAYS, arguments_of, arrays_in, computed
from gru_native import GRU, LSTM, Chain, Dense, complexity
from gru_native.layers import _pickling
from helpers import assert_same_bits


def assert_same(actual, expected):
    assert len(actual) == len(expected) > 0
    for a, b in zip(actual, expected, strict=True):
        assert_same_bits(a, b)


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", LAYERS)
def test_a_copy_computes_the_same(name, dtype, way):
    layer = LAYERS[name](dtype=dtype, seed=3)
    computed(layer)  # so that its random numbers are not those of the beginning
    twin = way(layer)
    assert type(twin) is type(layer)
    assert repr(twin) == repr(layer)
    assert list(twin.weights) == list(layer.weights)
    for weight, own in zip(twin.weights.values(), layer.weights.values(), strict=True):
        assert_same_bits(np.asarray(weight), np.asarray(own))
        assert not weight.flags.writeable
        assert not np.shares_memory(weight, own)
    for _ in range(2):  # dropout and zoneout go on as in the original
        assert_same(computed(twin), computed(layer))


@pytest.mark.parametrize("name", LAYERS)
def test_a_copy_is_independent(name):
    layer = LAYERS[name](seed=3)
    before, kept = layer.state_dict(), layer(*arguments_of(layer))
    for way in (copy.deepcopy, WAYS["pickle 5"]):
        twin = way(layer)
        with twin.editing() as weights:
            for weight in weights.values():
                weight *= 2
        for weight_name, weight in layer.weights.items():
            assert_same_bits(np.asarray(weight), before[weight_name])
        assert_same(arrays_in(layer(*arguments_of(layer))), arrays_in(kept))
        *outputs, tape = layer.forward(*arguments_of(layer))
        with pytest.raises((ValueError, TypeError), match="tape"):
            twin.backward(tape, outputs[0])
        with pytest.raises(AttributeError, match="fixed when"):
            twin.dtype = np.float64


@pytest.mark.parametrize("name", LAYERS)
def test_copy_copy_is_the_same_weights(name):
    layer = LAYERS[name](seed=3)
    twin = copy.copy(layer)
    assert type(twin) is type(layer)
    assert twin is not layer
    with twin.editing() as weights:
        for weight in weights.values():
            weight *= 2
    assert_same(arrays_in(dict(twin.weights)), arrays_in(dict(layer.weights)))
    arguments = arguments_of(layer)
    assert_same(arrays_in(twin(*arguments)), arrays_in(layer(*arguments)))
    *outputs, tape = layer.forward(*arguments)
    twin.backward(tape, outputs[0])  # a tape belongs to the weights


class Named(LSTM):
    """With another constructor, and attributes of all kinds."""

    __slots__ = ("__secret", "slot")

    def __init__(self, name, sizes):
        super().__init__(*sizes, peephole=True, seed=1)
        self.name = name
        self.sizes = sizes
        self.slot = [name]
        self.__secret = 7

    def secret(self):
        return self.__secret


class Head(Chain):
    def __init__(self, width, label):
        super().__init__([GRU(3, width, seed=1), Dense(width, 2, seed=2)])
        self.label = label


@pytest.mark.parametrize("way", [*WAYS.values(), copy.copy], ids=[*WAYS, "copy"])
def test_subclasses_keep_their_class_and_attributes(way):
    layer = Named("a", (3, 4))
    layer.friend = layer  # a circle
    twin = way(layer)
    assert type(twin) is Named
    assert (twin.name, twin.sizes, twin.slot, twin.secret()) == ("a", (3, 4), ["a"], 7)
    assert twin.friend is (layer if way is copy.copy else twin)
    assert (twin.slot is layer.slot) == (way is copy.copy)
    assert_same_bits(twin(*arguments_of(twin))[0], layer(*arguments_of(twin))[0])
    chain = Head(4, {"x": 1})
    twin = way(chain)
    assert type(twin) is Head
    assert twin.label == {"x": 1}
    assert_same_bits(twin(*arguments_of(twin))[0], chain(*arguments_of(twin))[0])


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
def test_what_is_shared_stays_shared(way):
    layer = GRU(4, 4, seed=1)
    chain = Chain([layer, Dense(4, 4, seed=2), layer])
    twin, own, again = way((chain, layer, chain))
    assert twin.blocks[0] is twin.blocks[2] is own
    assert again is twin
    with own.editing() as weights:
        weights["weight_hh_l0"] *= 2
    assert_same_bits(np.asarray(twin.weights["2.weight_hh_l0"]), 2 * layer.weights["weight_hh_l0"])


def test_pickles_of_numpy_alone_can_read_the_weights_out_of_band():
    layer = GRU(3, 64, seed=1)
    buffers = []
    data = pickle.dumps(layer, 5, buffer_callback=buffers.append)
    assert len(buffers) >= len(layer.weights)
    assert len(data) < 5000
    twin = pickle.loads(data, buffers=buffers)
    assert_same(computed(twin), computed(layer))


@pytest.mark.parametrize("way", [*WAYS.values(), copy.copy], ids=[*WAYS, "copy"])
def test_descriptions(way):
    for layer in (
        complexity.LSTM(4, 10**6, peephole=True),
        complexity.Chain([complexity.GRU(3, 4), complexity.Dense(4, 2)]),
        complexity.GatedGraph(5, 2),
    ):
        twin = way(layer)
        assert type(twin) is type(layer)
        assert repr(twin) == repr(layer)
        assert twin.num_parameters == layer.num_parameters


@pytest.mark.parametrize("way", [*WAYS.values(), copy.copy], ids=[*WAYS, "copy"])
@pytest.mark.parametrize("precision", ["int8", "bf16"])
@pytest.mark.parametrize("name", ["lstm", "gru", "rnn", "dense", "chain"])
def test_layers_of_few_bits(name, precision, way):
    layer = LAYERS[name](seed=3).quantize(precision)
    twin = way(layer)
    assert twin.precision == layer.precision == precision
    assert type(twin) is type(layer)
    for _ in range(2):
        assert_same(arrays_in(twin(*arguments_of(twin))), arrays_in(layer(*arguments_of(layer))))
        twin = way(twin)


@pytest.mark.parametrize("name", LAYERS)
def test_tapes_have_no_copies(name):
    layer = LAYERS[name](seed=3)
    *_, tape = layer.forward(*arguments_of(layer))
    for way in (copy.deepcopy, pickle.dumps):
        with pytest.raises(TypeError, match=r"[cC]annot .*pickle.*Tape|Tape.*pickle"):
            way(tape)
    twin = copy.deepcopy(layer)  # its owner has, whatever tapes are alive
    assert_same(computed(twin), computed(layer))


# --- pickles that are none


def altered(layer, change, sealed=True):
    """What comes of the layer if its state is changed on the way; sealed: as by who means it."""
    state = copy.deepcopy(layer.__getstate__())
    change(state)
    if sealed:
        held = {n: v for n, v in state.items() if n in ("options", "precision", "weights")}
        state["checksum"] = _pickling.checksum(held)
    twin = type(layer).__new__(type(layer))
    twin.__setstate__(state)
    return twin


DAMAGES = {
    "version": (lambda s: s.update(format=99), "format 99"),
    "no version": (lambda s: s.pop("format"), "format"),
    "no options": (lambda s: s.pop("options"), "options"),
    "an option less": (lambda s: s["options"].pop("hidden_size"), "hidden_size"),
    "an option more": (lambda s: s["options"].update(attention=True), "attention"),
    "an option's kind": (lambda s: s["options"].update(hidden_size="4"), "hidden_size is a str"),
    "an option's value": (lambda s: s["options"].update(hidden_size=0), "hidden_size is 0"),
    "another size": (lambda s: s["options"].update(hidden_size=5), "weight_ih_l0 has shape"),
    "a huge size": (lambda s: s["options"].update(hidden_size=2**40), "larger than memory"),
    "dtype": (lambda s: s["options"].update(dtype=np.dtype("i4")), "dtype is int32"),
    "no weights": (lambda s: s.pop("weights"), "weights"),
    "weights": (lambda s: s.update(weights=[1, 2]), "expected a mapping"),
    "a weight less": (lambda s: s["weights"].popitem(), "lacks"),
    "a weight more": (lambda s: s["weights"].update(w=np.zeros(3)), "does not have"),
    "a weight's kind": (lambda s: s["weights"].update(bias_ih_l0="x"), "bias_ih_l0"),
    "a weight's dtype": (
        lambda s: s["weights"].update(bias_ih_l0=np.zeros(12)),
        "bias_ih_l0 has dtype float64",
    ),
    "attributes": (lambda s: s.update(attributes=3), "attributes"),
    "random": (lambda s: s["attributes"].update(_random=3), "random"),
}


@pytest.mark.parametrize(("change", "text"), DAMAGES.values(), ids=DAMAGES)
def test_a_damaged_state_is_an_error_that_says_what(change, text):
    with pytest.raises(pickle.UnpicklingError, match=f"pickled GRU cannot be read: .*{text}"):
        altered(GRU(3, 4, seed=1), change)


@pytest.mark.parametrize(
    "change",
    [
        lambda s: s["options"].update(hidden_size=1000),
        lambda s: s["weights"]["bias_hh_l0"].__setitem__(3, 7),
        lambda s: s.update(checksum=1),
    ],
)
def test_a_checksum_finds_what_would_pass(change):
    with pytest.raises(pickle.UnpicklingError, match="its checksum does not match"):
        altered(GRU(3, 4, seed=1), change, sealed=False)


@pytest.mark.parametrize("state", [None, 3, {}, ({}, {}), "state"], ids=repr)
def test_a_state_of_another_kind(state):
    for kind in (GRU, Dense, Chain, gru_native.GatedGraph):
        twin = kind.__new__(kind)
        with pytest.raises(pickle.UnpicklingError, match=f"pickled {kind.__name__} cannot"):
            twin.__setstate__(state)
        with pytest.raises((TypeError, AttributeError)):
            twin.weights  # noqa: B018


def test_another_version_is_named():
    with pytest.raises(pickle.UnpicklingError, match=r"gru_native 9\.9.*save"):
        altered(GRU(3, 4), lambda s: s.update(format=9, version="9.9"))


def test_a_chain_of_other_blocks():
    chain = Chain([GRU(3, 4), Dense(4, 2)])

    def change(state):
        state["options"]["blocks"] = [chain.blocks[1], 3]

    with pytest.raises(pickle.UnpicklingError, match=r"blocks\[1\] is an int"):
        altered(chain, change)


def test_bytes_that_are_damaged_crash_nothing():
    layer = Chain([GRU(3, 2, seed=1), Dense(2, 2, seed=2)])
    data = pickle.dumps(layer, 4)
    for end in range(0, len(data), 7):
        with pytest.raises(Exception):  # noqa: B017, PT011  pickle's own, of many kinds
            pickle.loads(data[:end])
    rng = np.random.default_rng(1)
    survived = 0
    for _ in range(400):
        broken = bytearray(data)
        broken[rng.integers(len(data))] ^= 1 << rng.integers(8)
        try:
            twin = pickle.Unpickler(io.BytesIO(broken)).load()
        except Exception:
            continue
        if isinstance(twin, Chain):  # a bit of a weight, for example
            twin(*arguments_of(twin))
            survived += 1
    assert survived > 0
