"""What `import gru_native` brings along: NumPy, and nothing that is large or optional."""

import inspect

import gru_native
from helpers import run_python

STRANGERS = ["torch", "onnx", "keras", "tensorflow", "rich", "hypothesis", "pytest", "scipy", "ray"]


def test_import_brings_no_stranger():
    done = run_python("import gru_native, sys; print(*sys.modules)")
    loaded = {name.partition(".")[0] for name in done.stdout.split()}
    assert {"gru_native", "numpy"} <= loaded, done.stderr
    assert not loaded.intersection(STRANGERS)


def test_a_first_call_brings_no_stranger_either():
    code = """
import sys, numpy as np, gru_native
y, _, tape = gru_native.LSTM(3, 4).forward(np.ones((2, 3), np.float32))
print(*sys.modules)
"""
    loaded = {name.partition(".")[0] for name in run_python(code).stdout.split()}
    assert "numpy" in loaded
    assert not loaded.intersection(STRANGERS)


def test_import_takes_a_fraction_of_numpys(tmp_path):
    """Processor time, with bytecode as pip leaves it; a third of NumPy's where it was measured."""
    code = """
from time import process_time as now
begin = now()
import numpy
middle = now()
import gru_native
print(middle - begin, now() - middle)
"""
    cache = {"PYTHONPYCACHEPREFIX": str(tmp_path), "PYTHONDONTWRITEBYTECODE": ""}
    run_python(code, **cache)  # writes the bytecode
    times = [tuple(map(float, run_python(code, **cache).stdout.split())) for _ in range(5)]
    numpy, own = (min(own) for own in zip(*times, strict=True))
    assert own < 0.8 * numpy, times


def test_options_are_the_arguments_of_constructors():
    kinds = [kind for kind in vars(gru_native).values() if hasattr(kind, "_arguments")]
    kinds = [kind for kind in kinds if kind.__init__ in vars(kind).values()]
    assert len(kinds) > 15
    for kind in kinds:
        names = tuple(inspect.signature(kind).parameters)
        assert kind._arguments == names, kind


def test_every_public_name_is_there_once():
    assert len(set(gru_native.__all__)) == len(gru_native.__all__)
    for name in gru_native.__all__:
        assert hasattr(gru_native, name), name
    assert isinstance(gru_native.__version__, str)


def test_what_users_name_in_type_hints_is_public():
    """Layers, and what their forward, backward and stream return."""
    for name in gru_native.layers.__all__:
        if not isinstance(getattr(gru_native.layers, name), type) and not name.endswith("Tape"):
            continue  # aliases of arrays and unions of layers
        assert name in gru_native.__all__
    layer = gru_native.GRU(3, 4)
    y, _, tape = layer.forward([[0, 1, 2]])
    assert isinstance(tape, gru_native.Tape)
    assert isinstance(layer.backward(tape, y), gru_native.Gradients)
    assert isinstance(layer.stream(), gru_native.Stream)
    chain = gru_native.Chain([layer, gru_native.Dense(4, 2)])
    y, _, tape = chain.forward([[0, 1, 2]])
    assert isinstance(tape, gru_native.ChainTape)
    assert isinstance(tape.tapes[1], gru_native.DenseTape)
    gradients = chain.backward(tape, y)
    assert isinstance(gradients, gru_native.ChainGradients)
    assert isinstance(chain.blocks[1].backward(tape.tapes[1], y), gru_native.DenseGradients)
