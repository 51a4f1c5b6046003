"""More of what the fuzzer of the API calls: blocks of chains, decoders, softmaxes over many words,
transducers and optimizers."""

import numpy as np

import gru_native as gn
from fuzzing_subjects import Subject, _extent, _flat, _numbers, _some
from gru_native import decoding, losses, optim


def _ids(rnd, below, *shape):
    return np.random.default_rng(rnd.getrandbits(32)).integers(0, below, shape)


def blocks(rnd):
    dtype = rnd.choice((np.float32, np.float64))
    options = {"dtype": dtype, **_some(rnd, batch_first=(True, False))}
    seq, batch = 3 + rnd.randrange(3), rnd.randrange(1, 4)
    kind = rnd.randrange(9)
    if kind == 0:
        layer = gn.Embedding(7, 3, seed=1, padding_idx=rnd.choice((None, 2)), **options)
    elif kind == 1:
        layer = gn.LayerNorm(3, **options)
    elif kind == 2:
        layer = gn.Activation(rnd.choice(("tanh", ("elu", 0.5))), **options)
    elif kind == 3:
        layer = gn.BatchNorm1d(3, **options)
    elif kind == 4:
        layer = gn.Pool(rnd.choice(("last", "mean", "max")), **options)
    elif kind == 5:
        layer = gn.MaxPool1d(2, padding=1, dilation=rnd.choice((1, 2)), **options)
    elif kind == 6:
        options |= _some(rnd, ceil_mode=(True,), count_include_pad=(False,))
        layer = gn.AvgPool1d(3, 2, **options)
    elif kind == 7:
        paths = [gn.Dense(3, 3, seed=1, **options), gn.Activation("tanh", **options)]
        join = rnd.choice(("add", "multiply", "concat"))
        layer = rnd.choice((gn.Residual(paths[0], join), gn.Parallel(paths, join)))
    else:
        options |= _some(rnd, padding=("causal", "valid", 1), dilation=(1, 2), stride=(1, 2))
        layer = gn.Conv1d(3, 3, 2, groups=rnd.choice((1, 3)), seed=1, **options)
    order = (batch, seq) if layer.batch_first else (seq, batch)
    x = _ids(rnd, 7, *order) if kind == 0 else _numbers(rnd, *order, 3, dtype=dtype)
    lengths = np.array([seq, *(rnd.randrange(seq + 1) for _ in range(batch - 1))])
    y, *_, tape = layer.forward(x, lengths=lengths)
    given = {"x": x, "lengths": lengths}
    calls = {"call": given, "forward": given, "backward": {"tape": tape, "dy": y}}
    if kind == 3:
        calls["update_statistics"] = {"tape": tape}
    return Subject(layer, calls, isinstance(layer, gn.BatchNorm1d))


def streams_of_ids(rnd):
    chain = gn.Chain([gn.Embedding(7, 3, seed=1), gn.Conv1d(3, 4, 2, seed=2), gn.GRU(4, 3, seed=3)])
    seq, batch = _extent(rnd)
    stream = chain.stream(batch)
    x = _ids(rnd, 7, seq, batch, 1).astype(np.float32)
    y = stream(x)
    calls = {"call": {"x": x, "out": y}, "state": {"state": stream.state}}
    return Subject(stream, calls, True)


def _decoder(rnd):
    """A decoder that ends soon, whatever max_steps is, and what it is called with."""
    attention = rnd.choice((None, "additive", "dot", "general", "location"))
    memories = rnd.choice((1, 1, 2))
    options = _some(
        rnd, num_layers=(2,), input_feeding=(False,), readout=("maxout",), cell=("gru",)
    )
    options |= {"attention": attention, "num_memories": memories, "seed": 1}
    dtype = rnd.choice((np.float32, np.float64))
    layer = gn.AttentionDecoder(7, 2, 3, 3, location_width=3, dtype=dtype, **options)
    with layer.editing() as weights:
        weights["bias_output"][0] = 50.0
    steps, batch = _extent(rnd)
    source = 1 + rnd.randrange(4)
    shape = (batch, 3) if attention is None else (source, batch, 3)
    memory = [_numbers(rnd, *shape, dtype=dtype) for _ in range(memories)]
    ends = [np.array([rnd.randint(1, source) for _ in range(batch)]) for _ in range(memories)]
    given = {
        "targets": _ids(rnd, 7, steps, batch),
        "memory": memory if memories > 1 else memory[0],
        "memory_lengths": None if attention is None else ends if memories > 1 else ends[0],
        "lengths": np.array([rnd.randrange(steps + 1) for _ in range(batch)]),
        "state": None,
    }
    return layer, given


def decoders(rnd):
    layer, given = _decoder(rnd)
    logits, state, tape = layer.forward(**given)
    given["state"] = state
    calls = {"call": given, "forward": {**given, "training": False}}
    calls["backward"] = {"tape": tape, "dlogits": logits, "dstate": state}
    calls["stream"] = {name: given[name] for name in ("memory", "memory_lengths", "state")}
    return Subject(layer, calls, False)


class Writer:
    """generate with the one end that surely comes: another one would come after max_steps."""

    def __init__(self, layer):
        self.layer = layer

    def generate(self, **given):
        if isinstance(given["max_steps"], int) and given["max_steps"] > 1000:
            given["max_steps"] = 1000  # a length penalty can put the end off for ever
        return self.layer.generate(end=0, **given)


def writers(rnd):
    layer, given = _decoder(rnd)
    del given["targets"], given["lengths"]
    given |= {"start": 1, "max_steps": 4, "beam_size": 3, "length_penalty": 0.5}
    return Subject(Writer(layer), {"generate": {**given, "return_attention": False}}, False)


def decoder_streams(rnd):
    layer, given = _decoder(rnd)
    stream = layer.stream(given["memory"], memory_lengths=given["memory_lengths"])
    tokens = given["targets"][0]
    stream(tokens)
    calls = {"call": {"tokens": tokens}, "state": {"state": stream.state}}
    return Subject(stream, calls, True, copies=False)


def softmaxes(rnd):
    dtype, words = rnd.choice((np.float32, np.float64)), 9
    kind = rnd.choice(
        (losses.SampledSoftmax, losses.NoiseContrastive, losses.ClassSoftmax, losses.TreeSoftmax)
    )
    samples = (4,) if issubclass(kind, (losses.SampledSoftmax, losses.NoiseContrastive)) else ()
    layer = kind(3, words, *samples, dtype=dtype, seed=1, **_some(rnd, bias=(True, False)))
    rows = rnd.randrange(1, 5), rnd.randrange(1, 3)
    x, targets = _numbers(rnd, *rows, 3, dtype=dtype), _ids(rnd, words, *rows)
    _, tape = layer.forward(x, targets, seed=2)
    calls = {
        "call": {"x": x, "targets": targets, "ignore": 0},
        "forward": {"x": x, "targets": targets, "ignore": 0, "seed": 2},
        "backward": {"tape": tape, "dloss": 0.5},
        "log_probability": {"x": x, "ids": _ids(rnd, words, *rows, 2)},
        "top_k": {"x": x, "k": 2},
    }
    return Subject(layer, calls, False)


def _joint(rnd, dtype=np.float32):
    size = 3 if (join := rnd.choice(("add", "concat"))) == "add" else 5
    options = {"dtype": dtype, "seed": 1}
    networks = gn.LSTM(4, 3, **options), gn.Dense(size, 4, **options)
    if join == "concat" and rnd.randrange(2):
        return decoding.TransducerJoint(
            networks[0], lambda e, g: np.concatenate([e, g], -1)[:, :4], encoded_size=2
        )
    return decoding.TransducerJoint(*networks, join=join, activation="tanh")


class Searches:
    """Functions of a transducer, as methods of one object."""

    @staticmethod
    def transducer_beam(joint, encoded, lengths, beam_size, max_symbols):
        if all(isinstance(n, int) and n > 1000 for n in (beam_size, max_symbols)):
            max_symbols = 2  # a search of all ways ends when memory does
        return decoding.transducer_beam(
            joint, encoded, lengths, beam_size=beam_size, max_symbols=max_symbols
        )

    TransducerJoint = staticmethod(decoding.TransducerJoint)


def transducers(rnd):
    seq, batch = _extent(rnd)
    joint = _joint(rnd)
    beam = {
        "joint": joint,
        "encoded": _numbers(rnd, seq, batch, joint.encoded_size),
        "lengths": np.array([rnd.randrange(seq + 1) for _ in range(batch)]),
        "beam_size": 3,
        "max_symbols": 2,
    }
    made = {
        "prediction": gn.LSTM(4, 3, seed=1),
        "output": gn.Dense(5, 4, seed=1),
        "embedding": _numbers(rnd, 4, 4),
        "join": "concat",
        "activation": "tanh",
        "encoded_size": None,
        "blank": 0,
    }
    return Subject(Searches(), {"transducer_beam": beam, "TransducerJoint": made}, False)


class Scored(Subject):
    """A stream of labels: what it remembers can be seen by its scores."""

    def look(self):
        return _flat(self.thing.scores)


def transducer_streams(rnd):
    seq, batch = _extent(rnd)
    joint = _joint(rnd)
    stream = joint.stream(batch, max_symbols=2)
    encoded = _numbers(rnd, seq, batch, joint.encoded_size)
    stream(encoded)
    return Scored(stream, {"call": {"encoded": encoded}}, True, copies=False)


class Remembering(Subject):
    """An optimizer: its states, and the weights that it changes."""

    def look(self):
        states = self.thing.state_dict().values()
        return b"".join(a.tobytes() for a in [*states, *self.thing._layers[0].weights.values()])


def optimizers(rnd):
    dtype = rnd.choice((np.float32, np.float64))
    options = {"dtype": dtype, "seed": 1}
    layer = gn.Chain([gn.Embedding(5, 3, **options), gn.Dense(3, 2, **options)])
    kind = rnd.choice((optim.SGD, optim.Adagrad, optim.Adam, optim.AdamW))
    own = kind(layer, 0.1, **({"momentum": 0.5} if kind is optim.SGD else {}))
    rows = np.array([1, 3])
    grads = {
        "0.weight": gn.training.RowGradient(rows, _numbers(rnd, 2, 3, dtype=dtype)),
        "1.weight": _numbers(rnd, 2, 3, dtype=dtype),
        "1.bias": _numbers(rnd, 2, dtype=dtype),
    }
    own.step(grads)
    calls = {"step": {"grads": grads}, "load_state_dict": {"mapping": own.state_dict()}}
    return Remembering(own, calls, True, copies=False)


def constructors(rnd):
    kind, given = rnd.choice(
        [
            (gn.Embedding, {"num_embeddings": 5, "embedding_dim": 2, "padding_idx": 1}),
            (gn.LayerNorm, {"normalized_shape": 3, "eps": 1e-5, "elementwise_affine": True}),
            (gn.Conv1d, {"in_channels": 2, "out_channels": 2, "kernel_size": 3, "stride": 1}),
            (gn.Conv1d, {"in_channels": 2, "out_channels": 2, "kernel_size": 3, "groups": 2}),
            (gn.Conv1d, {"in_channels": 2, "out_channels": 2, "kernel_size": 3, "padding": "same"}),
            (gn.Conv2d, {"in_channels": 2, "out_channels": 2, "kernel_size": (3, 2), "padding": 1}),
            (gn.MaxPool2d, {"kernel_size": 3, "stride": (2, 1), "padding": (1, 0)}),
            (gn.AvgPool2d, {"kernel_size": (3, 2), "ceil_mode": True, "divisor_override": 3}),
            (gn.BatchNorm2d, {"num_features": 3, "eps": 1e-5}),
            (gn.Image, {"features": 3}),
            (gn.Activation, {"name": "tanh"}),
            (gn.BatchNorm1d, {"num_features": 3, "eps": 1e-5, "momentum": 0.5, "affine": True}),
            (gn.Pool, {"kind": "mean"}),
            (gn.MaxPool1d, {"kernel_size": 3, "stride": 2, "padding": 1, "dilation": 2}),
            (gn.AvgPool1d, {"kernel_size": 3, "stride": 2, "padding": 1, "ceil_mode": True}),
            (gn.Residual, {"block": gn.Dense(2, 2), "join": "add"}),
            (gn.Parallel, {"blocks": [gn.Dense(2, 3), gn.GRU(2, 2)], "join": "concat"}),
            (gn.LSTM, {"input_size": 2, "hidden_size": 3, "learn_initial_state": True}),
            (gn.Chain, {"blocks": [gn.Dense(2, 3), gn.GRU(3, 2)]}),
            (
                gn.AttentionDecoder,
                {"vocab_size": 5, "embedding_dim": 2, "hidden_size": 3, "memory_size": 3}
                | {"attention": "location", "location_width": 3, "readout": "tanh"},
            ),
            (losses.SampledSoftmax, {"input_size": 2, "vocab_size": 5, "num_samples": 3}),
            (
                losses.NoiseContrastive,
                {"input_size": 2, "vocab_size": 5, "num_samples": 3, "proposal": np.ones(5)},
            ),
            (
                losses.ClassSoftmax,
                {"input_size": 2, "vocab_size": 4, "classes": np.array([0, 1, 1, 0])},
            ),
            (losses.TreeSoftmax, {"input_size": 2, "vocab_size": 4, "counts": np.arange(1.0, 5)}),
            (optim.SGD, {"layers": gn.Dense(2, 2), "lr": 0.1, "momentum": 0.5}),
            (optim.Adam, {"layers": [gn.Dense(2, 2)], "lr": 0.1, "betas": (0.9, 0.99)}),
        ]
    )
    return Subject(kind, {"make": dict(given)}, False)


KINDS = (
    *(
        blocks,
        blocks,
        streams_of_ids,
        decoders,
        decoders,
        writers,
        decoder_streams,
        softmaxes,
        softmaxes,
        transducers,
    ),
    *(transducer_streams, optimizers, constructors),
)
