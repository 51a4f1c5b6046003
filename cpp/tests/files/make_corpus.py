"""Writes cpp/tests/files/corpus: small model files, good and bad, from which fuzz_load starts.

`python cpp/tests/files/make_corpus.py`; needs nothing but Python.
"""

import json
import math
import struct
from pathlib import Path

FOLDER = Path(__file__).with_name("corpus")


def values(name, count):
    """Weights that differ from each other and from tensor to tensor."""
    return [math.sin(1 + i + sum(name.encode())) / 2 for i in range(count)]


def recurrent(rows, inputs, hidden, prefix="", suffix="l0"):
    return {
        f"{prefix}weight_ih_{suffix}": (rows, inputs),
        f"{prefix}weight_hh_{suffix}": (rows, hidden),
        f"{prefix}bias_ih_{suffix}": (rows,),
        f"{prefix}bias_hh_{suffix}": (rows,),
    }


def dense(inputs, outputs, prefix=""):
    return {f"{prefix}weight": (outputs, inputs), f"{prefix}bias": (outputs,)}


ITEMS = {"F64": "d", "F32": "f", "BF16": "H", "I8": "b", "I64": "q"}


def tensor_bytes(name, shape, dtype):
    count = math.prod(shape)
    numbers = values(name, count)
    if dtype == "BF16":
        numbers = [struct.unpack("<I", struct.pack("<f", n))[0] >> 16 for n in numbers]
    if dtype == "I8":
        numbers = [round(254 * n) for n in numbers]
    if dtype == "I64":
        numbers = [i % 2 for i in range(count)]
    if name.endswith(".scale") or name == "counts":
        numbers = [abs(n) / 127 for n in numbers]
    return struct.pack(f"<{count}{ITEMS[dtype]}", *numbers)


def few_bits(shapes, dtype):
    """Name -> shape and dtype: matrices of few bits, those of int8 with their scales."""
    matrices = {name: (shape, dtype) for name, shape in shapes.items() if len(shape) == 2}
    scales = {f"{n}.scale": (s[:1], "F32") for n, (s, _) in matrices.items() if dtype == "I8"}
    vectors = {name: (shape, "F32") for name, shape in shapes.items() if len(shape) == 1}
    return vectors | scales | matrices


def safetensors(shapes, blocks=None, dtype="F32", **metadata):
    """shapes: of each tensor its shape, or its shape and dtype."""
    header, data = {}, b""
    if blocks is not None:
        metadata["gru_native"] = json.dumps({"version": 1, "blocks": blocks})
    if metadata:
        header["__metadata__"] = metadata
    for name, shape in shapes.items():
        own_shape, own = shape if isinstance(shape[-1], str) else (shape, dtype)
        packed = tensor_bytes(name, own_shape, own)
        offsets = [len(data), len(data) + len(packed)]
        header[name] = {"dtype": own, "shape": own_shape, "data_offsets": offsets}
        data += packed
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    return struct.pack("<Q", len(text)) + text + data


def softmax(kind, shapes, **options):
    """A softmax over five words, each of two numbers."""
    described = {"version": 1, "type": kind, "input_size": 2, "vocab_size": 5, "bias": True}
    return safetensors(shapes, **{"gru_native.large_softmax": json.dumps({**described, **options})})


def softmaxes():
    words = dense(2, 5)
    sampled = {"num_samples": 2, "proposal": "log_uniform"}
    classes = {"class_weight": (2, 2), "class_bias": (2,), "classes": ((5,), "I64")}
    counts = {"counts": ((5,), "F64")}
    return {
        "softmax_sampled": softmax("SampledSoftmax", words, **sampled),
        "softmax_counts": softmax(
            "NoiseContrastive", counts | words, num_samples=2, proposal="counts"
        ),
        "softmax_classes": softmax("ClassSoftmax", classes | words),
        "softmax_tree": softmax("TreeSoftmax", counts | dense(2, 4)),
        "bad_softmax_classes": softmax("ClassSoftmax", classes | words, vocab_size=4),
        "bad_softmax_counts": softmax("SampledSoftmax", words, num_samples=2, proposal="counts"),
        "bad_softmax_huge": softmax("SampledSoftmax", words, **sampled | {"vocab_size": 2**62}),
        "bad_softmax_type": softmax("Softmax", words),
    }


def decoder():
    """An LSTM decoder of three words that looks at a memory of one number, by the dot product."""
    options = {"vocab_size": 3, "embedding_dim": 1, "hidden_size": 1, "memory_size": 1}
    options |= {"version": 1, "attention": "dot"}
    shapes = {"weight_embedding": (3, 1), **recurrent(4, 2, 1)}
    shapes |= {"weight_readout": (1, 3), "bias_readout": (1,)}
    shapes |= {"weight_output": (3, 1), "bias_output": (3,)}
    return safetensors(shapes, **{"gru_native.decoder": json.dumps(options)})


def files():
    """Name of a file -> its bytes."""
    lstm = {"type": "LSTM", "prefix": "0.", "input_size": 1, "hidden_size": 2, "num_layers": 1}
    head = {
        "type": "Dense",
        "prefix": "1.",
        "input_size": 2,
        "output_size": 1,
        "activation": "tanh",
    }
    chain = recurrent(8, 1, 2, "0.") | dense(2, 1, "1.")
    good = safetensors(chain, [lstm, head])
    gru = {"type": "GRU", "prefix": "", "input_size": 2, "hidden_size": 1, "reset_after": False}
    rnn = {"type": "RNN", "prefix": "", "input_size": 1, "hidden_size": 1, "nonlinearity": "relu"}
    int8, bf16 = few_bits(chain, "I8"), few_bits(chain, "BF16")
    as_int8 = [{**lstm, "precision": "int8"}, {**head, "precision": "int8"}]
    both = recurrent(3, 1, 1) | recurrent(3, 1, 1, suffix="l0_reverse")
    return {
        "chain": good,
        "chain_f64": safetensors(chain, [lstm, head], "F64"),
        "chain_plain": safetensors(chain),
        "dense": safetensors(dense(3, 2)),
        "gru_before": safetensors(recurrent(3, 2, 1), [{**gru, "batch_first": True}]),
        "gru_bidirectional": safetensors(both),
        "lstm_layers": safetensors(recurrent(8, 1, 2) | recurrent(8, 2, 2, suffix="l1")),
        "lstm_projection": safetensors(recurrent(8, 1, 1) | {"weight_hr_l0": (1, 2)}),
        "rnn": safetensors(recurrent(1, 1, 1), [{**rnn, "bias": True, "dropout": 0.5}]),
        "int8": safetensors(int8, as_int8),
        "int8_plain": safetensors(int8),
        "bf16": safetensors(bf16, [{**b, "precision": "bf16"} for b in (lstm, head)]),
        "bf16_plain": safetensors(chain, dtype="BF16"),
        "bad_int8_full": safetensors(int8, [lstm, head]),
        "bad_int8_missing": safetensors(
            {name: t for name, t in int8.items() if name != "1.weight.scale"}, as_int8
        ),
        "bad_int8_mixed": safetensors({**int8, "1.weight": ((1, 2), "F32")}, as_int8),
        "bad_int8_size": safetensors({**int8, "1.weight.scale": ((2,), "F32")}, as_int8),
        "bad_empty": b"",
        "bad_length": struct.pack("<Q", 2**63) + good[8:],
        "bad_truncated": good[:-3],
        "bad_nested": struct.pack("<Q", 64) + b'{"a":' + b"[" * 59,
        "bad_twice": struct.pack("<Q", 16) + b'{"a":1,"a":2}   ',
        "bad_option": safetensors(chain, [{**lstm, "peephole": 1}, head]),
        "bad_type": safetensors(dense(1, 1), [{"type": "Conv"}]),
        "bad_version": safetensors(dense(1, 1), gru_native='{"version":2,"blocks":[]}'),
        "bad_huge": safetensors(dense(1, 1), [{**lstm, "hidden_size": 2**62}]),
        "bad_nan": good[:-4] + struct.pack("<f", math.nan),
        "bad_f16": good.replace(b"F32", b"F16", 1),
        "bad_offset": good.replace(b"[0,", b"[4,", 1),
        "decoder": decoder(),
        **softmaxes(),
    }


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    for name, content in files().items():
        (FOLDER / name).write_bytes(content)
    print(f"{len(files())} files in {FOLDER}")
