"""AttentionDecoder against PyTorch written out step by step, and the identities of attention."""

import numpy as np
import pytest

from decoders import ATTENTIONS, Problem, make, named_gradients
from helpers import assert_same_bits

torch = pytest.importorskip("torch")
from reference import attention_decoder as reference  # noqa: E402


def by_torch(problem):
    """Logits and final state, then all gradients, of the loss that the d.. are the gradients
    of."""
    d = problem.decoder
    leaf = lambda a: torch.tensor(a, requires_grad=True)  # noqa: E731
    w = {name: leaf(np.array(a)) for name, a in d.weights.items()}
    memory = [leaf(m) for m in problem.memory]
    lstm = d.cell == "lstm"
    h = leaf(problem.state.layers[0] if lstm else problem.state.layers)
    c = leaf(problem.state.layers[1]) if lstm else None
    context = leaf(
        np.zeros_like(problem.dcontext) if d.attention is None else problem.state.context
    )
    zeros = [np.zeros((problem.batch, n)) for n in problem.src]
    weights = [leaf(a) for a in (problem.state.weights or zeros)]
    lengths = problem.memory_lengths or [[n] * problem.batch for n in problem.src]
    out = reference.batch(
        w, d, problem.targets, memory, lengths, problem.lengths, h, c, context, weights
    )
    logits, h1, c1, context1, weights1 = out
    loss = (logits * torch.tensor(problem.dlogits)).sum() + (
        h1 * torch.tensor(problem.dlayers[0])
    ).sum()
    if lstm:
        loss = loss + (c1 * torch.tensor(problem.dlayers[1])).sum()
    if d.attention is not None:
        loss = loss + (context1 * torch.tensor(problem.dcontext)).sum()
    if d.attention == "location":
        pairs = zip(weights1, problem.dweights, strict=True)
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
    logits, final, grads = by_torch(problem)
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
