"""Random decoders with attention, and random calls of them."""

import numpy as np

from gru_native import AttentionDecoder, DecoderState

ATTENTIONS = ["additive", "dot", "general", "location", None]


def make(rng, **options):
    """A decoder of odd sizes in float64, drawn from rng unless an option says otherwise."""
    attention = options.setdefault("attention", ATTENTIONS[rng.integers(5)])
    hidden = int(options.pop("hidden_size", rng.integers(1, 20)))
    memory = hidden if attention == "dot" else int(rng.integers(1, 20))
    chosen = {
        "cell": ["lstm", "gru"][rng.integers(2)],
        "num_layers": int(rng.integers(1, 4)),
        "num_memories": int(rng.integers(1, 3)),
        "input_feeding": bool(rng.integers(4)),
        "readout": ["tanh", "maxout"][rng.integers(2)],
        "attention_size": [None, int(rng.integers(1, 20))][rng.integers(2)],
        "readout_size": [None, int(rng.integers(1, 20))][rng.integers(2)],
        "location_channels": int(rng.integers(1, 5)),
        "location_width": 2 * int(rng.integers(0, 5)) + 1,
        "dtype": np.float64,
        "seed": int(rng.integers(1000)),
        **options,
    }
    vocab, dim = (int(rng.integers(low, 40)) for low in (2, 1))
    return AttentionDecoder(vocab, dim, hidden, memory, **chosen)


class Problem:
    """A random call of a decoder."""

    def __init__(self, rng, decoder, steps=None, batch=None):
        self.decoder = d = decoder
        self.steps = steps or int(rng.integers(1, 7))
        self.batch = batch or int(rng.integers(1, 6))
        self.targets = rng.integers(0, d.vocab_size, (self.steps, self.batch))
        self.lengths = rng.integers(0, self.steps + 1, self.batch)
        draw = lambda *shape: rng.standard_normal(shape).astype(d.dtype)  # noqa: E731
        self.src = [int(rng.integers(1, 9)) for _ in range(d.num_memories)]
        if d.attention is None:
            self.memory = [draw(self.batch, d.memory_size) for _ in self.src]
            self.memory_lengths = None
        else:
            self.memory = [draw(n, self.batch, d.memory_size) for n in self.src]
            self.memory_lengths = [rng.integers(1, n + 1, self.batch) for n in self.src]
        h, c = (draw(d.num_layers, self.batch, d.hidden_size) for _ in range(2))
        context = draw(self.batch, d.num_memories * d.memory_size)
        weights = tuple(np.abs(draw(self.batch, n)) for n in self.src)
        for m, a in enumerate(weights):
            for b in range(self.batch if self.memory_lengths else 0):
                a[b, self.memory_lengths[m][b] :] = 0
        self.state = DecoderState(
            (h, c) if d.cell == "lstm" else h,
            None if d.attention is None else context,
            weights if d.attention == "location" else (),
        )
        self.dlogits = draw(self.steps, self.batch, d.vocab_size)
        self.dlayers = tuple(draw(d.num_layers, self.batch, d.hidden_size) for _ in range(2))
        self.dcontext = draw(self.batch, d.num_memories * d.memory_size)
        self.dweights = tuple(draw(self.batch, n) for n in self.src)

    def one(self, items):
        return items if self.decoder.num_memories > 1 or items is None else items[0]

    @property
    def arguments(self):
        return (self.targets, self.one(self.memory)), {
            "memory_lengths": self.one(self.memory_lengths),
            "lengths": self.lengths,
            "state": self.state,
        }

    @property
    def dstate(self):
        lstm, attends = self.decoder.cell == "lstm", self.decoder.attention is not None
        location = self.decoder.attention == "location"
        return DecoderState(
            self.dlayers if lstm else self.dlayers[0],
            self.dcontext if attends else None,
            self.dweights if location else (),
        )


def named_gradients(decoder, grads):
    named = {f"weights.{name}": a for name, a in grads.weights.items()}
    memory = grads.memory if decoder.num_memories > 1 else [grads.memory]
    named |= {f"memory{m}": a for m, a in enumerate(memory)}
    if decoder.cell == "lstm":
        named["h"], named["c"] = grads.state.layers
    else:
        named["h"] = grads.state.layers
    if decoder.attention is not None:
        named["context"] = grads.state.context
    named |= {f"weights{m}": a for m, a in enumerate(grads.state.weights)}
    return named
