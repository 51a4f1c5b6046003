"""gru_native.torch's modules against torch.nn's: outputs and every gradient, random configurations.

In float64 the two agree to rounding. The configurations draw every option that both have, and the
forms of a call: batched, batch first, unbatched, packed in order and out of it, with and without a
state, contiguous and not.
"""

from dataclasses import dataclass

import numpy as np
import pytest

torch = pytest.importorskip("torch")
from torch import nn  # noqa: E402
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence  # noqa: E402

import gru_native.torch as ours  # noqa: E402

KINDS = ("LSTM", "LSTM_proj", "GRU", "RNN_tanh", "RNN_relu")
FORMS = ("padded", "strided", "unbatched", "packed", "packed_unsorted")


@dataclass
class Configuration:
    kind: str
    form: str
    keywords: dict
    sizes: tuple  # input, hidden
    seq_len: int
    batch: int
    state: bool
    used: tuple  # which outputs the loss sees: y, state


def configuration(seed):
    rng = np.random.default_rng([7, seed])

    def chance():
        return bool(rng.integers(2))

    kind = KINDS[seed % len(KINDS)]
    keywords = {
        "num_layers": int(rng.integers(1, 4)),
        "bias": chance(),
        "batch_first": chance(),
        "bidirectional": chance(),
    }
    hidden_size = int(rng.choice([2, 3, 8, 17, 24]))
    if kind == "LSTM_proj":
        keywords["proj_size"] = int(rng.integers(1, hidden_size))
    if kind.startswith("RNN"):
        keywords["nonlinearity"] = kind.removeprefix("RNN_")
    return Configuration(
        kind,
        FORMS[seed // len(KINDS) % len(FORMS)],
        keywords,
        (int(rng.choice([1, 3, 10])), hidden_size),
        int(rng.integers(1, 9)),
        int(rng.integers(1, 6)),
        chance(),
        [(True, True), (True, False), (False, True)][rng.integers(3)],
    )


def pair_of_modules(config, dtype):
    """torch.nn's module and ours with the same weights."""
    name = config.kind.partition("_")[0]
    theirs = getattr(nn, name)(*config.sizes, dtype=dtype, **config.keywords)
    mine = getattr(ours, name)(*config.sizes, dtype=dtype, **config.keywords)
    mine.load_state_dict(theirs.state_dict())
    return theirs, mine


def inputs_of(config, dtype):
    """Leaves x and state, and what makes the module's input of x."""
    batch = () if config.form == "unbatched" else (config.batch,)
    shape = [config.seq_len, *batch, config.sizes[0]]
    first = config.keywords["batch_first"] and config.form != "unbatched"
    if first:
        shape[:2] = shape[1::-1]
    x = torch.randn(shape, dtype=dtype, requires_grad=True)
    lengths = torch.randint(1, config.seq_len + 1, (config.batch,))
    lengths[-1] = config.seq_len
    if config.form == "packed":
        lengths = lengths.sort(descending=True).values

    def arrange(x):
        if config.form == "strided":
            return torch.stack([x, -x], -1)[..., 0]
        if config.form.startswith("packed"):
            return pack_padded_sequence(x, lengths, first, enforce_sorted=config.form == "packed")
        return x

    layers = config.keywords["num_layers"] * (1 + config.keywords["bidirectional"])
    h_size = config.keywords.get("proj_size", config.sizes[1])
    sizes = [h_size, config.sizes[1]] if config.kind.startswith("LSTM") else [h_size]
    state = None
    if config.state:
        state = [torch.randn(layers, *batch, n, dtype=dtype, requires_grad=True) for n in sizes]
    return x, state, arrange


def results(module, x, state, arrange, used):
    """The outputs by name, and the gradients of a loss that weighs each of their numbers."""
    hx = None if state is None else tuple(state) if len(state) == 2 else state[0]
    y, final = module(arrange(x), hx)
    outputs = {}
    if isinstance(y, PackedSequence):
        for name, part in y._asdict().items():
            outputs[f"y.{name}"] = part
    else:
        outputs["y.data"] = y
    for name, part in zip("hc", final if isinstance(final, tuple) else (final,), strict=False):
        outputs[name] = part
    generator = torch.Generator().manual_seed(5)
    loss = 0
    for name, wanted in zip(("y.data", "h", "c"), (used[0], used[1], used[1]), strict=True):
        if wanted and name in outputs:
            out = outputs[name]
            loss = loss + (torch.randn(out.shape, generator=generator, dtype=out.dtype) * out).sum()
    leaves = {"x": x, **{f"state {i}": s for i, s in enumerate(state or [])}}
    leaves |= dict(module.named_parameters())
    gradients = torch.autograd.grad(loss, list(leaves.values()), allow_unused=True)
    return outputs, dict(zip(leaves, gradients, strict=True))


def assert_alike(found, expected, tolerance):
    assert list(found) == list(expected)
    for name, value in expected.items():
        if value is None or not value.is_floating_point():
            assert (found[name] is None) == (value is None), name
            assert value is None or torch.equal(found[name], value), name
            continue
        assert found[name].shape == value.shape, name
        assert found[name].dtype == value.dtype, name
        error = (found[name] - value).abs().max() / value.abs().max().clamp(min=1e-3)
        assert error <= tolerance, f"{name}: {error:.2g}"


@pytest.mark.parametrize("seed", range(150))
def test_outputs_and_gradients_are_those_of_torch(seed):
    config = configuration(seed)
    dtype, tolerance = [(torch.float64, 1e-12), (torch.float32, 1e-5)][seed >= 100]
    torch.manual_seed(seed)
    theirs, mine = pair_of_modules(config, dtype)
    x, state, arrange = inputs_of(config, dtype)
    expected, expected_gradients = results(theirs, x, state, arrange, config.used)
    found, gradients = results(mine, x, state, arrange, config.used)
    assert_alike(found, expected, tolerance)
    assert_alike(gradients, expected_gradients, 10 * tolerance)
    with torch.no_grad():  # without a tape: the same bits
        y, _ = mine(
            arrange(x), None if state is None else tuple(state) if len(state) == 2 else state[0]
        )
    assert torch.equal(y.data, found["y.data"])


def test_the_configurations_meet_everything():
    configs = [configuration(seed) for seed in range(150)]
    assert {(c.kind, c.form) for c in configs} == {(k, f) for k in KINDS for f in FORMS}
    for name in ("bias", "batch_first", "bidirectional"):
        assert {(c.kind, c.keywords[name]) for c in configs} == {
            (k, v) for k in KINDS for v in (False, True)
        }
    assert {c.state for c in configs} == {False, True}
    assert len({c.used for c in configs}) == 3
