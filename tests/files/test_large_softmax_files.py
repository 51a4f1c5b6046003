"""Softmax layers over large vocabularies in files: what is written comes back, and what is no such
file is refused."""

import copy
import json
import pickle
import struct

import numpy as np
import pytest

import gru_native
from gru_native import losses
from helpers import assert_same_bits
from vocabularies import COLUMNS, COUNTS, KINDS, WORDS, make, problem


def variants(kind):
    """Its usual options, and others that files have to hold."""
    default = {
        "ClassSoftmax": {"classes": None},
        "TreeSoftmax": {"counts": None},
    }.get(kind, {"proposal": "uniform"})
    more = [{}, default, {"bias": False}]
    return [*more, {"proposal": COUNTS + 0.25}] if "proposal" in default else more


VARIANTS = [(kind, options) for kind in KINDS for options in variants(kind)]


def check_same(again, layer):
    assert type(again) is type(layer)
    assert repr(again) == repr(layer)
    assert list(again.weights) == list(layer.weights)
    for name, w in layer.weights.items():
        assert_same_bits(np.asarray(again.weights[name]), np.asarray(w), name)
    for name in ("num_samples", "proposal", "classes", "counts"):
        own = getattr(layer, name, None)
        assert np.array_equal(getattr(again, name, None), own), name
    x, targets = problem(dtype=layer.dtype)
    for other, one in zip(again.top_k(x, 4), layer.top_k(x, 4), strict=True):
        assert_same_bits(other, one)
    assert again.forward(x, targets, seed=9)[0] == layer.forward(x, targets, seed=9)[0]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(("kind", "options"), VARIANTS)
def test_a_layer_comes_back(kind, options, dtype, tmp_path):
    layer = make(kind, dtype, **options)
    path = tmp_path / "softmax.safetensors"
    gru_native.save(layer, path)
    check_same(gru_native.load(path), layer)


@pytest.mark.parametrize("kind", KINDS)
def test_what_was_loaded_is_a_layer_like_any(kind, tmp_path):
    """It trains, and can be copied and saved once more, with the same bytes."""
    layer, path = make(kind), tmp_path / "softmax.safetensors"
    gru_native.save(layer, path)
    content = path.read_bytes()
    loaded = gru_native.load(path)
    check_same(copy.deepcopy(loaded), layer)
    check_same(pickle.loads(pickle.dumps(loaded)), layer)
    gru_native.save(loaded, path)
    assert path.read_bytes() == content
    x, targets = problem()
    before = loaded(x, targets)
    optimizer = gru_native.optim.Adam(loaded, lr=0.05)
    for step in range(30):
        _, tape = loaded.forward(x, targets, seed=step)
        optimizer.step(loaded.backward(tape))
    assert loaded(x, targets) < before
    check_same(gru_native.load(path), layer)


def test_a_subclass_is_saved_as_what_it_derives_from(tmp_path):
    class Own(losses.TreeSoftmax):
        pass

    gru_native.save(Own(3, 5), tmp_path / "softmax")
    assert type(gru_native.load(tmp_path / "softmax")) is losses.TreeSoftmax


def test_a_large_one_has_no_long_header(tmp_path):
    """Lists for each word are tensors: a million words fit."""
    words = 300_000
    counts = np.random.default_rng(0).random(words) + 1 / 3
    layer = losses.SampledSoftmax(1, words, 5, proposal=counts, bias=False)
    gru_native.save(layer, tmp_path / "softmax")
    assert np.array_equal(gru_native.load(tmp_path / "softmax").proposal, counts)


def change(path, edit):
    """Rewrites the header of a safetensors file."""
    content = path.read_bytes()
    (size,) = struct.unpack("<Q", content[:8])
    header = json.loads(content[8 : 8 + size])
    options = json.loads(header["__metadata__"]["gru_native.large_softmax"])
    edit(options, header)
    header["__metadata__"]["gru_native.large_softmax"] = json.dumps(options)
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    path.write_bytes(struct.pack("<Q", len(text)) + text + content[8 + size :])


@pytest.mark.parametrize(
    ("kind", "edit", "text"),
    [
        ("ClassSoftmax", lambda o, h: o.update(vocab_size=8), r'"classes" has shape \[37\]'),
        ("SampledSoftmax", lambda o, h: o.update(vocab_size=40), r'"weight" has shape \[37,11\]'),
        ("SampledSoftmax", lambda o, h: o.update(vocab_size=2**60), "vocab_size"),
        ("SampledSoftmax", lambda o, h: o.update(vocab_size=1), "vocab_size is 1"),
        ("SampledSoftmax", lambda o, h: o.update(num_samples=99), "num_samples is 99"),
        ("SampledSoftmax", lambda o, h: o.update(proposal="counts"), r"counts.size\(\) is 0"),
        ("SampledSoftmax", lambda o, h: o.update(proposal="zipf"), 'proposal is "zipf"'),
        ("SampledSoftmax", lambda o, h: o.update(type="TreeSoftmax"), 'unknown option "num_sam'),
        ("TreeSoftmax", lambda o, h: o.update(type="Softmax"), 'type is "Softmax"'),
        ("TreeSoftmax", lambda o, h: o.update(type=None), "type is no text"),
        ("TreeSoftmax", lambda o, h: o.update(version=2), "another version than 1"),
        ("TreeSoftmax", lambda o, h: o.update(bias=False), "tensors; expected"),
        ("TreeSoftmax", lambda o, h: h["counts"].update(dtype="I64"), '"counts" has dtype'),
        ("ClassSoftmax", lambda o, h: h["classes"].update(dtype="F64"), '"classes" has dtype F64'),
        ("ClassSoftmax", lambda o, h: h.update(more=h.pop("class_bias")), 'no tensor "class_bias"'),
        ("ClassSoftmax", lambda o, h: h.update(x=h.pop("classes")), '"x" has dtype "I64"'),
    ],
)
def test_what_does_not_fit_is_refused(kind, edit, text, tmp_path):
    path = tmp_path / "softmax.safetensors"
    gru_native.save(make(kind), path)
    change(path, edit)
    with pytest.raises(ValueError, match=text) as error:
        gru_native.load(path)
    assert str(path) in str(error.value)


@pytest.mark.parametrize(
    ("kind", "name", "value", "text"),
    [
        ("ClassSoftmax", "classes", np.int64(-1), r"classes\[0\] is -1"),
        ("TreeSoftmax", "counts", np.float64(np.nan), r"counts\[0\] is nan"),
        ("ClassSoftmax", "class_bias", np.float64(np.inf), '"class_bias" holds infinity'),
    ],
)
def test_numbers_that_cannot_be_are_refused(kind, name, value, text, tmp_path):
    path = tmp_path / "softmax.safetensors"
    gru_native.save(make(kind), path)
    content = bytearray(path.read_bytes())
    (size,) = struct.unpack("<Q", content[:8])
    at = 8 + size + json.loads(content[8 : 8 + size])[name]["data_offsets"][0]
    content[at : at + 8] = value.tobytes()
    path.write_bytes(content)
    with pytest.raises(ValueError, match=text):
        gru_native.load(path)


def test_a_description_makes_a_dense_layer_of_it(tmp_path):
    """As of any tensors of these names."""
    layer, path = make("SampledSoftmax"), tmp_path / "softmax.safetensors"
    gru_native.save(layer, path)
    dense = {"type": "Dense", "prefix": "", "input_size": COLUMNS, "output_size": WORDS}
    x, _ = problem()
    scores = gru_native.load(path, [dense])(x)
    log_p = scores - np.log(np.exp(scores).sum(1, keepdims=True))
    np.testing.assert_allclose(layer.dense()(x), log_p, atol=1e-12)
