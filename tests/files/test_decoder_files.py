"""Decoders in files: what is written comes back, and what is no such file is refused."""

import json
import struct

import numpy as np
import pytest

import gru_native
from decoders import ATTENTIONS, make
from helpers import assert_same_bits


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("attention", ATTENTIONS)
def test_a_decoder_comes_back(attention, dtype, tmp_path):
    decoder = make(np.random.default_rng(3), attention=attention, dtype=dtype, dropout=0.25)
    path = tmp_path / "decoder.safetensors"
    gru_native.save(decoder, path)
    again = gru_native.load(path)
    assert type(again) is gru_native.AttentionDecoder
    assert repr(again) == repr(decoder)
    assert list(again.weights) == list(decoder.weights)
    for name, w in decoder.weights.items():
        assert_same_bits(np.asarray(again.weights[name]), np.asarray(w), name)


def change(path, edit):
    """Rewrites the header of a safetensors file."""
    content = path.read_bytes()
    (size,) = struct.unpack("<Q", content[:8])
    header = json.loads(content[8 : 8 + size])
    options = json.loads(header["__metadata__"]["gru_native.decoder"])
    edit(options, header)
    header["__metadata__"]["gru_native.decoder"] = json.dumps(options)
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    path.write_bytes(struct.pack("<Q", len(text)) + text + content[8 + size :])


@pytest.mark.parametrize(
    ("edit", "text"),
    [
        (lambda o, h: o.update(vocab_size=8), "weight_embedding"),
        (lambda o, h: o.update(vocab_size=2**60), "larger than memory can be"),
        (lambda o, h: o.update(num_layers=10**9), "there is no tensor"),
        (lambda o, h: o.update(num_memories=10**6), "weight_ih_l0"),
        (lambda o, h: o.update(attention=None), "weight_readout|tensors; expected"),
        (lambda o, h: o.update(attention="x"), 'attention is "x"'),
        (lambda o, h: o.update(cell=3), "cell is no text"),
        (lambda o, h: o.update(depth=3), 'unknown option "depth"'),
        (lambda o, h: o.update(version=2), "another version than 1"),
        (lambda o, h: o.update(location_width=4), "location_width is 4"),
        (lambda o, h: h.update(more=h.pop("bias_output")), 'no tensor "bias_output"'),
    ],
)
def test_what_does_not_fit_is_refused(edit, text, tmp_path):
    path = tmp_path / "decoder.safetensors"
    gru_native.save(gru_native.AttentionDecoder(9, 4, 6, 5, seed=1), path)
    change(path, edit)
    with pytest.raises(ValueError, match=text):
        gru_native.load(path)
