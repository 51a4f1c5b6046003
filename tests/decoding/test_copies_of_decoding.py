"""copy and pickle of a decoder's and a transducer's stream: the same numbers from then on."""

import copy
import pickle

import numpy as np
import pytest

from copies import WAYS
from gru_native import GRU, AttentionDecoder, Chain, Dense, decoding
from gru_native.layers import _pickling
from helpers import assert_same_bits

ALL_WAYS = {**WAYS, "copy": copy.copy}
KINDS = {
    "additive": {},
    "gru": {"cell": "gru", "num_layers": 2, "input_feeding": False, "dropout": 0.5},
    "dot": {"attention": "dot", "memory_size": 21, "readout": "maxout", "readout_size": 19},
    "general": {"attention": "general", "num_memories": 2},
    "location": {"attention": "location", "attention_size": 18},
    "none": {"attention": None},
}


def decoder_of(dtype=np.float32, memory_size=5, **options):
    decoder = AttentionDecoder(7, 3, 21, memory_size, dtype=dtype, seed=2, **options)
    rng = np.random.default_rng(3)
    with decoder.editing() as weights:  # biases, too
        for weight in weights.values():
            weight += 0.3 * rng.standard_normal(weight.shape).astype(dtype)
    return decoder


def stream_of(decoder, batched=True):
    rng = np.random.default_rng(4)
    row = (3, decoder.memory_size) if batched else (decoder.memory_size,)
    memories, lengths = [], []
    for positions in (6, 4)[: decoder.num_memories]:
        shape = row if decoder.attention is None else (positions, *row)
        memories.append(rng.standard_normal(shape).astype(decoder.dtype))
        lengths.append(None if decoder.attention is None or not batched else [positions, 1, 3])
    several = decoder.num_memories > 1
    memory, lengths = (memories, lengths) if several else (memories[0], lengths[0])
    return decoder.stream(memory, memory_lengths=lengths)


def numbers(stream):
    """All that can be read of it."""
    layers, context, weights = stream.state
    layers = layers if isinstance(layers, tuple) else (layers,)
    return [array for array in (*layers, context, *weights) if array is not None]


def looked(stream):
    """The attention weights of the last step, or why there are none."""
    try:
        found = stream.attention
    except ValueError as error:
        return str(error)
    return [a.tobytes() for a in (found if isinstance(found, list) else [found])]


def assert_same(stream, other):
    for a, b in zip(numbers(stream), numbers(other), strict=True):
        assert_same_bits(a, b)
    assert looked(stream) == looked(other)


@pytest.mark.parametrize("way", ALL_WAYS.values(), ids=ALL_WAYS)
@pytest.mark.parametrize("batched", [True, False])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", KINDS)
def test_a_copy_of_a_decoders_stream_goes_on_with_the_same_bits(name, dtype, batched, way):
    decoder = decoder_of(dtype, **KINDS[name])
    stream = stream_of(decoder, batched)
    assert_same(way(stream), stream)  # before it has looked
    tokens = np.random.default_rng(5).integers(0, 7, (6, 3))
    fed = tokens if batched else tokens[:, 0]
    stream(fed[0])
    stream(fed[1])
    with decoder.editing() as weights:  # which streams do not see
        for weight in weights.values():
            weight *= 0.5
    twin = way(stream)
    assert type(twin) is type(stream)
    assert twin.batch_size == stream.batch_size
    assert_same(twin, stream)
    before = numbers(stream)
    ours = [twin(token) for token in fed[2:]]
    for a, b in zip(numbers(stream), before, strict=True):  # which is its own
        assert_same_bits(a, b)
    for logits, token in zip(ours, fed[2:], strict=True):
        assert_same_bits(logits, stream(token))
    assert_same(twin, stream)
    again = way(twin)  # a copy of a copy
    twin.reset()
    assert_same(again, stream)
    assert_same_bits(again(fed[0]), stream(fed[0]))


class Named(decoding.TransducerStream):
    pass


def joint_of(dtype=np.float32, output="dense", **options):
    rng = np.random.default_rng(6)
    embedding = rng.standard_normal((4, 3)).astype(dtype)
    prediction = GRU(3, 19, 2, dtype=dtype, batch_first=True, seed=7)
    if output == "function":
        mix = rng.standard_normal((5 + 19, 4)).astype(dtype) * 3
        options = {"encoded_size": 5, **options}
        made = Mixed(mix)
    elif output == "chain":
        first = GRU(3, 19, dtype=dtype, seed=7)
        prediction = Chain([first, Dense(19, 8, activation="tanh", dtype=dtype, seed=8)])
        made = Chain([Dense(13, 9, dtype=dtype, seed=9), Dense(9, 4, dtype=dtype, seed=10)])
    elif output == "int8":
        prediction, made = prediction.quantize("int8"), Dense(24, 4, seed=9).quantize("int8")
    else:
        made = Dense(24, 4, dtype=dtype, seed=9)
    return decoding.TransducerJoint(prediction, made, embedding=embedding, blank=2, **options)


class Mixed:
    """A function that a pickle can hold."""

    def __init__(self, mix):
        self.mix = mix

    def __call__(self, encoded, predicted):
        return np.concatenate([encoded, predicted], 1) @ self.mix


def encoded_of(dtype, *shape):
    return 3 * np.random.default_rng(11).standard_normal((*shape, 5)).astype(dtype)


@pytest.mark.parametrize("way", ALL_WAYS.values(), ids=ALL_WAYS)
@pytest.mark.parametrize("batch_size", [1, 3])
@pytest.mark.parametrize("output", ["dense", "chain", "function", "int8"])
def test_a_copy_of_a_transducers_stream_says_the_same(output, batch_size, way):
    dtype = np.float32 if output == "int8" else np.float64
    joint = joint_of(dtype, output, activation="identity" if output == "function" else "tanh")
    stream = joint.stream(batch_size, max_symbols=3)
    encoded = encoded_of(dtype, 20, batch_size)
    first, rest = (encoded[:7], encoded[7:]) if batch_size > 1 else (encoded[:7, 0], encoded[7:, 0])
    fresh = way(stream)
    assert same_labels(fresh(first), stream(first))
    assert len(np.hstack(fresh(rest))) > 3  # it says something
    if output != "int8":
        with joint.prediction.editing() as weights:  # which streams do not see
            for weight in weights.values():
                weight *= 0.25
    twin = way(stream)
    assert type(twin) is type(stream)
    assert twin.batch_size == batch_size
    assert_same_bits(twin.scores, stream.scores)
    scores = stream.scores
    said = twin(rest)
    assert_same_bits(stream.scores, scores)  # which are its own
    assert same_labels(said, stream(rest))
    assert_same_bits(twin.scores, stream.scores)
    again = way(twin)
    twin.reset()
    assert not twin.scores.any()
    assert same_labels(again(first), stream(first))
    assert same_labels(way(twin)(first), twin(first))


def same_labels(found, other):
    pairs = zip(found, other, strict=True) if isinstance(found, list) else [(found, other)]
    return all(a.tolist() == b.tolist() for a, b in pairs)


def test_copies_of_a_joint():
    joint = joint_of(np.float64)
    encoded = encoded_of(np.float64, 9)
    expected = joint.stream()(encoded).tolist()
    for name, way in ALL_WAYS.items():
        twin = way(joint)
        assert twin.stream()(encoded).tolist() == expected
        assert (twin.prediction is joint.prediction) == (name == "copy")
        assert (twin.blank, twin.classes, twin.encoded_size) == (2, 4, 5)
    one, other = copy.deepcopy((joint, joint.prediction))
    assert one.prediction is other


def test_subclasses_keep_class_and_attributes():
    stream = Named(joint_of(np.float64))
    stream.name = ["a"]
    for name, way in ALL_WAYS.items():
        twin = way(stream)
        assert type(twin) is Named
        assert twin.name == ["a"]
        assert (twin.name is stream.name) == (name == "copy")
        with pytest.raises(AttributeError, match="batch_size is fixed"):
            twin.batch_size = 3


# --- pickles that are none


def altered(stream, names, change, sealed=True):
    state = copy.deepcopy(stream.__getstate__())
    change(state)
    if sealed:
        held = {n: v for n, v in state.items() if n in names and n != "attributes"}
        state["checksum"] = _pickling.checksum(held)
    twin = type(stream).__new__(type(stream))
    try:
        twin.__setstate__(state)
    except BaseException:
        assert not vars(twin)  # as if it had never been tried
        raise
    return twin


NAN = np.full((3, 6), np.nan, np.float32)
DECODER_DAMAGES = {
    "format": (lambda s: s.update(format=99), "format 99"),
    "no decoder": (lambda s: s.pop("decoder"), "no decoder"),
    "a decoder's kind": (lambda s: s.update(decoder=GRU(3, 4)), "its decoder is a GRU"),
    "another decoder": (lambda s: s.update(decoder=decoder_of(memory_size=4)), "memory has shape"),
    "another dtype": (lambda s: s.update(decoder=decoder_of(np.float64)), "dtype"),
    "no attention": (lambda s: s.update(decoder=decoder_of(attention=None)), "(memory|state)"),
    "two memories": (lambda s: s["memory"].append(s["memory"][0]), "memory"),
    "memory's kind": (lambda s: s.update(memory=[None]), "(memory|state)"),
    "an empty memory": (lambda s: s.update(memory=[s["memory"][0][:0]]), "memory has shape"),
    "lengths": (lambda s: s.update(memory_lengths=[np.array([1, 7, 1])]), "expected 1 to src_len"),
    "fewer lengths": (lambda s: s.update(memory_lengths=[np.array([1, 7])]), "memory_lengths"),
    "a state's kind": (lambda s: s.update(state="abc"), "its state is no tuple"),
    "no state": (lambda s: s.update(state=()), "its state is no tuple"),
    "a memory alone": (lambda s: s.update(memory=s["memory"][0]), "its memories"),
    "a smaller state": (lambda s: s.update(state=(s["state"][0][0], None, None)), "state"),
    "attention's shape": (lambda s: s.update(attention=[NAN[:, :5]]), "attention has shape"),
    "attention's count": (lambda s: s.update(attention=[NAN, NAN]), "attention has 2 items"),
    "attention's kind": (lambda s: s.update(attention=3), ""),
    "attributes": (lambda s: s.update(attributes=3), "attributes"),
}


@pytest.mark.parametrize(("change", "text"), DECODER_DAMAGES.values(), ids=DECODER_DAMAGES)
def test_a_damaged_stream_of_a_decoder_is_an_error_that_says_what(change, text):
    stream = stream_of(decoder_of())
    stream([1, 2, 3])
    names = ("decoder", "memory", "memory_lengths", "state", "attention")
    text = f"pickled DecoderStream cannot be read: .*{text}"
    with pytest.raises(pickle.UnpicklingError, match=text):
        altered(stream, names, change)


def other_state(place, value):
    def change(s):
        state = [*s["state"]]
        state[place] = value(state[place])
        s.update(state=tuple(state))

    return change


TRANSDUCER_DAMAGES = {
    "format": (lambda s: s.update(format=99), "format 99"),
    "no joint": (lambda s: s.pop("joint"), "no joint"),
    "a joint's kind": (lambda s: s.update(joint=GRU(3, 4)), "joint is a GRU"),
    "another joint": (lambda s: s.update(joint=joint_of(np.float64, "chain")), "states has shape"),
    "another dtype": (lambda s: s.update(joint=joint_of()), "dtype"),
    "batch_size": (lambda s: s.update(batch_size=2), "batch_size=2"),
    "a huge batch_size": (lambda s: s.update(batch_size=2**62), "batch_size=4611"),
    "max_symbols": (lambda s: s.update(max_symbols=0), "max_symbols is 0"),
    "a state's kind": (lambda s: s.update(state="abc"), "its state"),
    "a smaller state": (other_state(1, lambda a: a[:, :-1]), "states has shape"),
    "numbers of another kind": (other_state(2, lambda a: a.astype("f")), "predicted has dtype"),
    "fewer scores": (other_state(0, lambda a: a[:-1]), "its state"),
    "attributes": (lambda s: s.update(attributes=3), "attributes"),
}


@pytest.mark.parametrize(("change", "text"), TRANSDUCER_DAMAGES.values(), ids=TRANSDUCER_DAMAGES)
def test_a_damaged_stream_of_a_transducer_is_an_error_that_says_what(change, text):
    stream = joint_of(np.float64).stream(3)
    stream(encoded_of(np.float64, 5, 3))
    names = ("joint", "batch_size", "max_symbols", "state")
    text = f"pickled TransducerStream cannot be read: .*{text}"
    with pytest.raises(pickle.UnpicklingError, match=text):
        altered(stream, names, change)


def test_a_checksum_finds_what_would_pass():
    stream = joint_of(np.float64).stream(3)
    names = ("joint", "batch_size", "max_symbols", "state")
    change = other_state(0, lambda a: a + 1)
    with pytest.raises(pickle.UnpicklingError, match="its checksum does not match"):
        altered(stream, names, change, sealed=False)
