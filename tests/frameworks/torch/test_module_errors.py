"""What gru_native.torch's modules refuse, and with which words."""

import pytest

from helpers import run_python

torch = pytest.importorskip("torch")
from torch import nn  # noqa: E402

import gru_native.torch as ours  # noqa: E402

X = torch.zeros(5, 2, 3)
H = torch.zeros(1, 2, 4)


def lstm(change=lambda module: module):
    module = ours.LSTM(3, 4)
    return change(module) or module


def sparse_weight(module):
    module.weight_hh_l0 = nn.Parameter(torch.eye(16)[:, :4].to_sparse())


def half_weight(module):
    module.weight_hh_l0 = nn.Parameter(module.weight_hh_l0.double())


PLACE = "on device meta; expected the CPU, where gru_native computes"


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: lstm()([[1.0]]), TypeError, "input is a list; expected a tensor or a Packed"),
        (lambda: lstm()(X[0, 0]), ValueError, "LSTM: Expected input to be 2D or 3D, got 1D"),
        (lambda: lstm()(X[None]), ValueError, "LSTM: Expected input to be 2D or 3D, got 4D"),
        (lambda: lstm()(X[..., :2]), RuntimeError, "must be equal to input_size. Expected 3"),
        (lambda: lstm()(X.to("meta")), TypeError, f"input is {PLACE}"),
        (lambda: lstm()(X, (H, H.to("meta"))), TypeError, rf"hx\[1\] is {PLACE}"),
        (lambda: lstm().to("meta")(X), TypeError, f"weight_ih_l0 is {PLACE}"),
        (
            lambda: lstm().bfloat16()(X.bfloat16()),
            TypeError,
            "weight_ih_l0 has dtype torch.bfloat16",
        ),
        (lambda: lstm().half()(X.half()), TypeError, "expected torch.float32 or torch.float64"),
        (lambda: lstm()(X.double()), ValueError, "does not match weight dtype"),
        (lambda: lstm()(X.to_sparse()), TypeError, "input has layout torch.sparse_coo"),
        (lambda: lstm(sparse_weight)(X), TypeError, "weight_hh_l0 has layout torch.sparse_coo"),
        (lambda: lstm(half_weight)(X), TypeError, "weight_hh_l0 has dtype torch.float64; expected"),
        (lambda: lstm()(X, H), TypeError, r"hx is a Tensor; expected the LSTM's pair \(h_0, c_0\)"),
        (lambda: lstm()(X, (H,)), TypeError, r"hx is a tuple; expected the LSTM's pair"),
        (lambda: lstm()(X, (H, None)), TypeError, r"hx\[1\] is a NoneType; expected a tensor"),
        (lambda: lstm()(X, (H, H[:, :1])), RuntimeError, r"Expected hidden\[1\] size \(1, 2, 4\)"),
        (lambda: lstm()(X, (H, H.double())), TypeError, r"hx\[1\] has dtype torch.float64"),
        (lambda: lstm()(X[:, 0], (H, H)), RuntimeError, "hx should also be 2-D but got 3-D"),
        (lambda: ours.GRU(3, 4)(X, (H, H)), TypeError, "hx is a tuple; expected a tensor"),
        (lambda: ours.GRU(3, 4)(X, H[:, :1]), RuntimeError, r"Expected hidden size \(1, 2, 4\)"),
        (lambda: ours.GRU(3, 4)(X[:0]), RuntimeError, "Expected sequence length to be larger"),
        (lambda: torch.jit.trace(lstm(), X), RuntimeError, "cannot see into gru_native.torch's"),
    ],
)
def test_errors_name_the_tensor(call, error, message):
    with pytest.raises(error, match=message):
        call()


@pytest.mark.filterwarnings("ignore")
def test_a_nested_tensor():
    nested = torch.nested.nested_tensor([torch.zeros(2, 3), torch.zeros(4, 3)])
    with pytest.raises(ValueError, match="got a nested tensor"):
        lstm()(nested)


@pytest.mark.parametrize("kind", ["LSTM", "GRU"])
@pytest.mark.parametrize("state", [True, False])
def test_a_batch_of_no_sequences(kind, state):
    """As torch.nn: empty outputs, and gradients of zeros."""
    results = []
    x = torch.zeros(5, 0, 3, requires_grad=True)
    h = torch.zeros(4, 0, 4, requires_grad=True)
    hx = None if not state else (h, h) if kind == "LSTM" else h
    for library in (nn, ours):
        module = getattr(library, kind)(3, 4, 2, bidirectional=True)
        y, final = module(x, hx)
        final = final if kind == "LSTM" else (final,)
        leaves = [x, *([h] if state else []), *module.parameters()]
        gradients = torch.autograd.grad(y.sum() + sum(f.sum() for f in final), leaves)
        results.append([t.detach() for t in (y, *final, *gradients)])
    for theirs, mine in zip(*results, strict=True):
        assert torch.equal(mine, theirs)


def test_compile_runs_the_module_between_its_graphs():
    model = ours.accelerate(nn.Sequential(nn.LSTM(3, 4)))

    def run(x):
        return model(2 * x)[0] + 1

    compiled = torch.compile(run, backend="eager")
    assert torch.equal(compiled(X + 1), run(X + 1))


WITHOUT = """
import sys
sys.modules["torch"] = None  # as where it is not installed
import gru_native
try:
    import gru_native.torch
except ImportError as error:
    print(error)
"""


def test_without_torch_the_import_says_what_to_install():
    done = run_python(WITHOUT)
    assert "gru_native.torch needs PyTorch" in done.stdout, done.stderr
    assert "python -m pip install torch" in done.stdout
