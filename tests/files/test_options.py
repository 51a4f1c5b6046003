"""A class of layers, the core's constructor and what a file says have the same options."""

import inspect

import pytest

import gru_native
from gru_native import _core

SIZES = {
    "RNN": {"input_size": 3, "hidden_size": 4},
    "LSTM": {"input_size": 3, "hidden_size": 4},
    "GRU": {"input_size": 3, "hidden_size": 4},
    "Dense": {"input_size": 3, "output_size": 4},
}


@pytest.fixture(params=SIZES)
def kind(request):
    return request.param


def described(kind, path):
    """The options that the file of a layer has."""
    gru_native.save(getattr(gru_native, kind)(**SIZES[kind]), path)
    (block,), *_ = _core.read_model(path, None, False)
    assert block.pop("type") == kind
    assert block.pop("prefix") == ""
    assert block.pop("precision") == "full"  # of no class: quantize and load make such layers
    return block


def test_a_file_says_each_option_of_the_class(kind, tmp_path):
    parameters = inspect.signature(getattr(gru_native, kind)).parameters
    assert set(described(kind, tmp_path / "model")) == set(parameters) - {"dtype", "seed"}


def test_the_core_takes_them_and_no_others(kind, tmp_path):
    options = described(kind, tmp_path / "model")
    _core.check_block({"type": kind, **options})
    own = {"type": kind} if kind != "Dense" else {}
    make = _core.Dense32 if kind == "Dense" else _core.Layer32
    if kind == "Dense":
        del options["batch_first"]  # of the class alone: the core is told in each call
    make(**own, **options)
    with pytest.raises(ValueError, match=f"option 'height' that {kind} does not have"):
        make(**own, **options, height=1)


def test_wrong_kinds_are_named():
    sizes = {"type": "LSTM", "input_size": 3, "hidden_size": 4}
    with pytest.raises(TypeError, match=r"hidden_size is a str; expected a whole number"):
        _core.Layer32(**{**sizes, "hidden_size": "4"})
    with pytest.raises(TypeError, match=r"peephole is an int; expected True or False"):
        _core.Layer32(**sizes, peephole=1)
    with pytest.raises(ValueError, match="has no type"):
        _core.Layer32(input_size=3, hidden_size=4)
    with pytest.raises(ValueError, match='type is "Dense"; expected "RNN", "LSTM" or "GRU"'):
        _core.Layer32(type="Dense", input_size=3, output_size=4)
