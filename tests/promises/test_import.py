"""What `import gru_native` brings along: NumPy, and nothing that is large or optional."""

import gru_native
from helpers import run_python

STRANGERS = ["torch", "onnx", "keras", "tensorflow", "rich", "hypothesis", "pytest", "scipy"]


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


def test_the_public_names_are_there():
    for name in ("RNN", "LSTM", "GRU", "set_num_threads", "get_num_threads", "active_isa"):
        assert name in gru_native.__all__
        assert callable(getattr(gru_native, name))
    assert isinstance(gru_native.__version__, str)
