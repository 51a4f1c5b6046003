"""AttentionDecoder against PyTorch written out step by step, and the identities of attention."""

import numpy as np
import pytest

from gru_native import AttentionDecoder, DecoderState
from helpers import assert_same_bits

torch = pytest.importorskip("torch")
from reference import attention_decoder as reference  # noqa: E402

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

    def by_torch(self):
        """Logits and final state, then all gradients, of the loss that the d.. are the gradients
        of."""
        d = self.decoder
        leaf = lambda a: torch.tensor(a, requires_grad=True)  # noqa: E731
        w = {name: leaf(np.array(a)) for name, a in d.weights.items()}
        memory = [leaf(m) for m in self.memory]
        lstm = d.cell == "lstm"
        h = leaf(self.state.layers[0] if lstm else self.state.layers)
        c = leaf(self.state.layers[1]) if lstm else None
        context = leaf(np.zeros_like(self.dcontext) if d.attention is None else self.state.context)
        zeros = [np.zeros((self.batch, n)) for n in self.src]
        weights = [leaf(a) for a in (self.state.weights or zeros)]
        lengths = self.memory_lengths or [[n] * self.batch for n in self.src]
        out = reference.batch(
            w, d, self.targets, memory, lengths, self.lengths, h, c, context, weights
        )
        logits, h1, c1, context1, weights1 = out
        loss = (logits * torch.tensor(self.dlogits)).sum() + (
            h1 * torch.tensor(self.dlayers[0])
        ).sum()
        if lstm:
            loss = loss + (c1 * torch.tensor(self.dlayers[1])).sum()
        if d.attention is not None:
            loss = loss + (context1 * torch.tensor(self.dcontext)).sum()
        if d.attention == "location":
            pairs = zip(weights1, self.dweights, strict=True)
            loss = loss + sum((a * torch.tensor(da)).sum() for a, da in pairs)
        loss.backward()
        grad = lambda a: np.zeros(a.shape) if a.grad is None else a.grad.numpy()  # noqa: E731
        numpy = lambda a: a.detach().numpy()  # noqa: E731
        final = [
            numpy(h1),
            numpy(c1) if lstm else None,
            numpy(context1),
            [numpy(a) for a in weights1],
        ]
        grads = {f"weights.{name}": grad(a) for name, a in w.items()}
        grads |= {f"memory{m}": grad(a) for m, a in enumerate(memory)}
        grads["h"] = grad(h)
        if lstm:
            grads["c"] = grad(c)
        if d.attention is not None:
            grads["context"] = grad(context)
        if d.attention == "location":
            grads |= {f"weights{m}": grad(a) for m, a in enumerate(weights)}
        return numpy(logits), final, grads


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


def assert_near(ours, theirs, name, tolerance=1e-11):
    assert ours.shape == theirs.shape, name
    scale = max(1.0, float(np.abs(theirs).max(initial=0)))
    assert np.abs(ours - theirs).max(initial=0) <= tolerance * scale, name


@pytest.mark.parametrize("seed", range(120))
def test_agrees_with_pytorch(seed):
    rng = np.random.default_rng(seed)
    options = {"attention": ATTENTIONS[seed % 5]}
    if seed >= 110:  # several panels of every product
        options |= {"hidden_size": 70, "num_layers": 2, "attention_size": 67}
    decoder = make(rng, **options)
    problem = Problem(rng, decoder)
    arguments, named = problem.arguments
    logits, final, grads = problem.by_torch()
    ours, state, tape = decoder.forward(*arguments, **named)
    assert_near(ours, logits, "logits")
    h = state.layers[0] if decoder.cell == "lstm" else state.layers
    assert_near(h, final[0], "h")
    if decoder.cell == "lstm":
        assert_near(state.layers[1], final[1], "c")
    if decoder.attention is not None:
        assert_near(state.context, final[2], "context")
    for m, a in enumerate(state.weights):
        assert_near(a, final[3][m], f"weights{m}")
    inference, inferred = decoder(*arguments, **named)
    assert_same_bits(inference, ours)
    assert_same_bits(
        inferred.context if decoder.attention else h, state.context if decoder.attention else h
    )
    back = named_gradients(decoder, decoder.backward(tape, problem.dlogits, problem.dstate))
    assert sorted(back) == sorted(grads)
    for name, gradient in grads.items():
        assert_near(back[name], gradient, name)
