"""A stack of equal layers is counted once and multiplied: as if every layer were counted."""

import json
import time

import pytest

from gru_native import complexity
from gru_native._cli import main
from gru_native.complexity import GRU, LSTM, RNN, Chain

KINDS = {
    "lstm": lambda n, layers: LSTM(n, 4, layers, proj_size=3, peephole=True, bidirectional=True),
    "gru": lambda n, layers: GRU(n, 4, layers, layer_norm=True),
    "rnn": lambda n, layers: RNN(n, 4, layers, bidirectional=True, zoneout=0.1),
}
CALLS = ({"dy": False}, {"state": True}, {"lengths": [5, 2, 0]})
LIMITS = complexity.Limits.of(
    {
        "isa": "avx2",
        "cores": 2,
        "flops_one": 1e11,
        "flops_all": 2e11,
        "levels": [{"name": "memory", "capacity": 0, "one": 1e10, "all": 2e10}],
    }
)


def figures(count):
    """All numbers; of the tensors and products without their places."""
    values = {**count.to_dict(), "layer": None, "reads": list(count.reads)}
    values["tensors"] = [(t.name.split("_l")[0].split(".")[-1], t.shape) for t in count.tensors]
    works = (count.forward, count.to_inputs, count.to_weights)
    values["products"] = [
        sorted((p.role, p.columns, p.depth, p.times) for p in w.products) for w in works
    ]
    values["seconds"] = pytest.approx(count.roofline(LIMITS, 2, training=True).seconds)
    return values


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("call", CALLS, ids=str)
@pytest.mark.parametrize("layers", [1, 2, 3, 6])
def test_a_stack_is_its_layers(kind, call, layers):
    make = KINDS[kind]
    stack = make(7, layers)
    width = complexity.count(stack).step.forward.products[-1].columns  # of a direction's output
    width = stack.hidden_size if kind != "lstm" else width
    width *= 2 if stack.bidirectional else 1
    one_by_one = Chain([make(7 if i == 0 else width, 1) for i in range(layers)])
    counts = [complexity.count(layer, 5, 3, **call) for layer in (stack, one_by_one)]
    assert figures(counts[0]) == figures(counts[1])


@pytest.mark.parametrize("kind", KINDS)
def test_every_layer_has_its_name(kind):
    real = {"lstm": LSTM, "gru": GRU, "rnn": RNN}[kind].__mro__[2]
    layer = real(3, 4, 4, bidirectional=True)
    count = complexity.count(layer)
    assert [(t.name, t.shape) for t in count.tensors] == [
        (name, w.shape) for name, w in layer.weights.items()
    ]
    assert [t.name for t in count.tensors[-3:]] == list(layer.weights)[-3:]
    assert count.tensors[-1] == list(count.tensors)[-1]
    assert len(count.tensors) == len(layer.weights)
    places = [f"l{k}{d}" for k in range(4) for d in ("", "_reverse")]
    assert list(dict.fromkeys(p.place for p in count.forward.products)) == places
    assert list(count.forward.macs_by(lambda p: p.place)) == places


def test_a_million_layers_at_once(capsys):
    few = [complexity.count(KINDS["lstm"](7, n), 5, 3) for n in (3, 4)]
    begin = time.monotonic()
    many = complexity.count(KINDS["lstm"](7, 10**6), 5, 3)
    for name in ("parameters", "parameters_with_one_bias", "state"):
        a, b = (getattr(c, name) for c in few)
        assert getattr(many, name) == a + (10**6 - 3) * (b - a)
    for work in ("forward", "to_inputs", "to_weights"):
        a, b, m = (getattr(c, work) for c in (*few, many))
        assert m.macs == a.macs + (10**6 - 3) * (b.macs - a.macs)
        for key, n in m.elementwise.items():
            assert n == a.elementwise[key] + (10**6 - 3) * (b.elementwise[key] - a.elementwise[key])
    assert many.roofline(LIMITS).seconds > 1e5 * few[0].roofline(LIMITS).seconds
    for options in ([], ["--symbols"], ["--json"], ["--csv"]):
        command = ["count", "--input", "7", "--hidden", "4", "--layers", str(10**12), *options]
        assert main(command) == 0
        assert len(capsys.readouterr().out) < 20_000
    assert time.monotonic() - begin < 10


def test_many_layers_are_listed_once():
    listed = complexity.count(GRU(3, 4, 2000)).to_dict()["tensors"]
    assert [t["name"] for t in listed[::4]] == ["weight_ih_l0", "weight_ih_l1", "weight_ih_l1999"]
    assert sum(t["size"] * t.get("layers", 1) for t in listed) == GRU(3, 4, 2000).num_parameters
    json.dumps(listed)


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ("--input 3 --hidden 4 --layers 4611686018427387904", "num_layers=4611686018427387904"),
        ("--input 3 --hidden 4 --outputs 4611686018427387904", "outputs=4611686018427387904"),
        ("--input 3 --hidden 4 --vocabulary 4611686018427387904", "vocabulary=4611686018427387904"),
        ("--input 3 --hidden 4 --seq 4611686018427387904", "seq_len=4611686018427387904"),
        ("--cell graph --hidden 4 --steps 2 --nodes 4611686018427387904", "nodes=4611686018427"),
        ("--cell graph --hidden 4 --steps 2 --edges 4611686018427387904", "edges=4611686018427"),
    ],
)
def test_an_impossible_size_is_an_error_with_its_name(capsys, options, named):
    assert main(["count", *options.split()]) == 2
    error = capsys.readouterr().err
    assert named in error
    assert "larger than memory can be; expected smaller sizes" in error
