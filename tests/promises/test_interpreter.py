"""The interpreter around the core: its end, subinterpreters, objects without __init__."""

import importlib.util
import sysconfig
from pathlib import Path

import numpy as np
import pytest

import gru_native
from gru_native import _core
from helpers import run_python

EXIT = """
import sys, threading, time
import numpy as np
import gru_native

layer = gru_native.LSTM(64, 128, 2, seed=1)
x, dy = np.ones((50, 4, 64), np.float32), np.ones((50, 4, 128), np.float32)
stream, rtrl = layer.stream(4), gru_native.RTRL(gru_native.GRU(4, 16))
tree, parents = gru_native.ChildSumTreeLSTM(64, 128), np.full(200, -1)
parents[1:] = 0
state = layer.state_dict()
from gru_native import decoding, losses, optim
decoder = gru_native.AttentionDecoder(50, 8, 64, 16)
tokens, memory = np.ones((20, 4), np.int64), np.ones((9, 4, 16), np.float32)
softmax, targets = losses.ClassSoftmax(64, 3000), np.ones((50, 4), np.int64)
adam, other = optim.Adam(layer), optim.Adam(layer)
networks = gru_native.LSTM(9, 30), gru_native.Dense(39, 9)
joint = decoding.TransducerJoint(*networks)
by_python = decoding.TransducerJoint(networks[0], lambda e, g: e + g[:, :9], encoded_size=9)
labels, encoded = joint.stream(), np.ones((40, 9), np.float32)
model = gru_native.Chain([gru_native.Embedding(9, 8), gru_native.Conv1d(8, 30, 3)])
calls = [
    lambda: decoder.backward(decoder.forward(tokens, memory)[2], np.ones((20, 4, 50), np.float32)),
    lambda: softmax.backward(softmax.forward(x, targets)[1]),
    lambda: adam.step(state),
    lambda: other.load_state_dict(other.state_dict()),
    lambda: decoding.transducer_beam(joint, encoded),
    lambda: decoding.transducer_beam(by_python, encoded),
    lambda: labels(encoded),
    lambda: model(tokens % 9),
    lambda: decoding.ctc_beam(encoded),
    lambda: layer(x),
    lambda: layer.backward(layer.forward(x)[2], dy),
    lambda: stream(x),
    lambda: rtrl(np.ones(4, np.float32)),
    lambda: tree(np.ones((200, 64), np.float32), parents),
    lambda: layer.load_state_dict(state),
    lambda: gru_native.GRU(32, 64),
    lambda: gru_native.GRU(32, -1),
]

def work(call):
    while True:
        try:
            call()
        except ValueError:
            pass

for call in calls:
    threading.Thread(target=work, args=(call,), daemon=True).start()
time.sleep(0.05 + 0.01 * int(sys.argv[1]))
sys.exit(7)
"""


@pytest.mark.parametrize("turn", range(8))
def test_the_interpreter_ends_while_daemon_threads_are_inside_calls(turn):
    done = run_python(EXIT, turn, timeout=60)
    assert (done.returncode, done.stdout, done.stderr) == (7, "", "")


# Their module has had several names: each way of making one that this Python has.
SUBINTERPRETER = """
import sys
if sys.argv[1] == "after":
    import gru_native
code = '''
try:
    import gru_native
except ImportError as error:
    print(error, flush=True)
'''
try:
    import _interpreters
    for config in ("isolated", "legacy"):
        _interpreters.exec(_interpreters.create(config), code)
except ImportError:
    import _xxsubinterpreters
    both = [{"isolated": True}, {"isolated": False}]
    for options in both:
        _xxsubinterpreters.run_string(_xxsubinterpreters.create(**options), code)
import gru_native
print(gru_native.GRU(2, 3))
"""


@pytest.mark.skipif(
    not any(map(importlib.util.find_spec, ("_interpreters", "_xxsubinterpreters"))),
    reason="this Python has no subinterpreters",
)
@pytest.mark.parametrize("main", ["before", "after"])
def test_a_subinterpreter_gets_an_import_error(main):
    """Whether the main interpreter has imported it or not; and that one goes on."""
    done = run_python(SUBINTERPRETER, main, timeout=60)
    *errors, last = done.stdout.splitlines()
    assert done.returncode == 0, done.stderr
    assert len(errors) == 2
    for error in errors:
        assert "subinterpreter" in error
    assert last == "GRU(2, 3, dtype=float32)"


CORE_CLASSES = [value for value in vars(_core).values() if isinstance(value, type)]
CLASSES = [
    value
    for module in (gru_native, gru_native.decoding, gru_native.losses)
    for value in vars(module).values()
    if isinstance(value, type) and not issubclass(value, (tuple, dict))
]


@pytest.mark.parametrize("core_class", CORE_CLASSES, ids=lambda c: c.__name__)
def test_core_objects_have_been_constructed(core_class):
    for make in (core_class.__new__, object.__new__):
        with pytest.raises(TypeError, match=core_class.__name__):
            make(core_class)
    if "Tape" in core_class.__name__:
        with pytest.raises(TypeError):
            core_class()


@pytest.mark.parametrize("layer_class", CLASSES, ids=lambda c: c.__name__)
def test_layers_without_init_raise(layer_class):
    """Whatever is called on them, with any arguments."""
    assert CLASSES
    layer = layer_class.__new__(layer_class)
    x = np.ones((2, 1, 3), np.float32)
    tried = 0
    for name in dir(layer_class):
        if name.startswith("_") and name not in ("__call__", "__repr__"):
            continue
        if isinstance(vars(layer_class).get(name), classmethod):
            continue
        tried += 1
        for arguments in ((), (x,), (x, x), (x, x, x)):
            with pytest.raises(TypeError):
                enter(getattr(layer, name)(*arguments))
    assert tried > 1
    with pytest.raises(TypeError, match=f"{layer_class.__name__} was made without __init__"):
        _ = layer._core
    assert not hasattr(layer, "__array__")


def enter(result):
    with result:
        pass


def test_an_attribute_that_is_not_there_is_still_an_attribute_error():
    for made in (gru_native.GRU(2, 3), gru_native.RTRL(gru_native.GRU(2, 3))):
        with pytest.raises(AttributeError, match="no attribute 'nothing'"):
            _ = made.nothing
        assert not hasattr(made, "nothing")


def test_a_free_threaded_python_turns_its_gil_on():
    """It does so for a module that does not say it can do without, as ours must not."""
    if sysconfig.get_config_var("Py_GIL_DISABLED"):
        code = "import sys, gru_native; print(sys._is_gil_enabled())"
        assert run_python(code).stdout.strip() == "True"
    source = Path(__file__).parents[2] / "cpp/bindings/module.cpp"
    assert "PYBIND11_MODULE(gru_native_core, m) {" in source.read_text(encoding="utf-8")
