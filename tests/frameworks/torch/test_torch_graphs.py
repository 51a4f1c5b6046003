"""torch.compile and torch.export take the modules as an operator with a fake kernel."""

import pytest

torch = pytest.importorskip("torch")
dynamo = pytest.importorskip("torch._dynamo")
from torch import nn  # noqa: E402

import gru_native.torch as ours  # noqa: E402
from gru_native.torch import _operators  # noqa: E402
from torch_models import assert_near  # noqa: E402

CASES = [
    (nn.LSTM, {"num_layers": 2, "proj_size": 3}),
    (nn.LSTM, {"batch_first": True, "bidirectional": True}),
    (nn.GRU, {"num_layers": 2, "bias": False}),
    (nn.GRU, {"batch_first": True, "bidirectional": True, "dtype": torch.float64}),
    (nn.RNN, {"nonlinearity": "relu"}),
]


@pytest.fixture(autouse=True)
def graphs():
    """PyTorch refuses to look into recurrent modules unless it is told to."""
    with dynamo.config.patch(allow_rnn=True):
        dynamo.reset()
        yield


class Model(nn.Module):
    def __init__(self, kind, options):
        super().__init__()
        self.rnn = kind(5, 4, **options)

    def forward(self, x, state=None):
        y, final = self.rnn(torch.tanh(x), state)
        return 2 * y, final


def parts(value):
    return [p for v in value for p in parts(v)] if isinstance(value, (tuple, list)) else [value]


def results(model, x, state):
    """Outputs and all gradients of an asymmetric loss."""
    for tensor in (x, *parts(state), *model.parameters()):
        tensor.grad = None
    outputs = parts(model(x, state))
    torch.manual_seed(3)
    sum((o * torch.rand(o.shape, dtype=o.dtype)).sum() for o in outputs).backward()
    return [o.detach() for o in outputs], [t.grad for t in (x, *parts(state), *model.parameters())]


def inputs(kind, options, x_shape=(6, 3, 5)):
    dtype = options.get("dtype", torch.float32)
    x = torch.randn(x_shape, dtype=dtype, requires_grad=True)
    depth = options.get("num_layers", 1) * (1 + options.get("bidirectional", False))
    batch = x_shape[0] if options.get("batch_first") else x_shape[1]
    h = torch.randn(depth, batch, options.get("proj_size", 4), dtype=dtype, requires_grad=True)
    c = torch.randn(depth, batch, 4, dtype=dtype, requires_grad=True)
    return x, (h, c) if kind is nn.LSTM else h


@pytest.mark.parametrize("backend", ["aot_eager", "eager"])
@pytest.mark.parametrize(("kind", "options"), CASES)
def test_compile_of_a_whole_graph(kind, options, backend):
    torch.manual_seed(1)
    model = Model(kind, options)
    x, state = inputs(kind, options)
    expected = results(model, x, state)
    ours.accelerate(model)
    compiled = torch.compile(model, fullgraph=True, backend=backend)
    for mine, theirs in zip(results(compiled, x, state), expected, strict=True):
        for a, b in zip(mine, theirs, strict=True):
            assert_near(a, b)
    with torch.no_grad():
        single = x[0] if options.get("batch_first") else x[:, 0]
        assert_near(compiled(single)[0], model(single)[0])


def test_the_tape_is_kept_and_otherwise_made_again(monkeypatch):
    torch.manual_seed(2)
    model = Model(ours.GRU, {"num_layers": 3, "dropout": 0.4})
    x, state = inputs(nn.GRU, {"num_layers": 3})
    compiled = torch.compile(model, fullgraph=True, backend="aot_eager")
    forwards = []
    record = _operators.record
    monkeypatch.setattr(_operators, "record", lambda *a: forwards.append(1) or record(*a))
    torch.manual_seed(4)
    expected = results(compiled, x, state)
    assert len(forwards) == 1
    find, tickets = _operators.find_tape, []

    def lost(ticket):  # as if a graph had copied it
        tickets.append(ticket)
        return None if len(tickets) == 1 else find(ticket)

    monkeypatch.setattr(_operators, "find_tape", lost)
    torch.manual_seed(4)
    again = results(compiled, x, state)
    assert len(forwards) == 3
    for mine, theirs in zip(again, expected, strict=True):  # the same masks of dropout, too
        assert all(torch.equal(a, b) for a, b in zip(mine, theirs, strict=True))
    torch.manual_seed(5)
    assert not torch.equal(results(compiled, x, state)[0][0], expected[0][0])


@pytest.mark.parametrize("strict", [False, True])
@pytest.mark.parametrize(("kind", "options"), CASES)
def test_export(kind, options, strict, tmp_path):
    torch.manual_seed(6)
    model = ours.accelerate(Model(kind, options)).eval()
    x, _ = inputs(kind, options)
    steps = 1 if options.get("batch_first") else 0
    program = torch.export.export(
        model, (x.detach(),), dynamic_shapes=({steps: torch.export.Dim("t", min=2)},), strict=strict
    )
    assert "gru_native.recur.default" in str(program.graph)
    torch.export.save(program, tmp_path / "m.pt2")
    again = torch.export.load(tmp_path / "m.pt2").module()
    shape = (6, 9, 5) if steps else (9, 3, 5)
    longer, _ = inputs(kind, options, shape)
    with torch.no_grad():
        assert_near(again(longer)[0], model(longer)[0])


def test_pytorchs_own_check_of_operators():
    model = ours.LSTM(5, 4, 2, dtype=torch.float64)
    x = torch.randn(6, 3, 5, dtype=torch.float64, requires_grad=True)
    weights = [p.detach().requires_grad_() for p in model.parameters()]
    arguments = (x, [], weights, model._description(), False, torch.tensor(0))
    torch.library.opcheck(
        torch.ops.gru_native.recur.default,
        arguments,
        test_utils=("test_schema", "test_autograd_registration", "test_faketensor"),
    )


def test_second_derivatives_and_wrong_inputs_of_graphs():
    model = ours.GRU(5, 4)
    compiled = torch.compile(model, fullgraph=True, backend="eager")
    x = torch.randn(6, 3, 5, requires_grad=True)
    (gradient,) = torch.autograd.grad(compiled(x)[0].square().sum(), x, create_graph=True)
    with pytest.raises(RuntimeError, match="has no second derivatives; "):
        gradient.sum().backward()
    with pytest.raises(Exception, match=r"size|Expected|shape"):
        compiled(torch.randn(6, 3, 7))
    with pytest.raises(RuntimeError, match="gru_native::recur"):
        torch.func.vmap(compiled)(torch.randn(2, 6, 3, 5))
