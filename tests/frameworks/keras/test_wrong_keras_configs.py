"""Keras configurations that are no model or have unknown layers: errors that name the entry."""

import json

import pytest

from gru_native.keras import load
from keras_models import keras

L = keras.layers


def layer_of(config, name):
    return next(o for o in config["config"]["layers"] if o["config"]["name"] == name)


def set_option(name, option, value):
    def change(config):
        layer_of(config, name)["config"][option] = value

    return change


def deep(config):
    inner = layer_of(config, "first_lstm")["config"]
    inner["dtype"] = {"config": {"name": {"config": {"name": "float64"}}}}


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (set_option("first_lstm", "units", 2**62), "layer 'first_lstm': units is 46116"),
        (set_option("first_lstm", "units", 2**39), r"vars/0 \(kernel\) has shape \(4, 12\)"),
        (set_option("first_lstm", "units", 0), "units is 0; expected a whole number from 1"),
        (set_option("first_lstm", "units", "3"), "units is '3'"),
        (set_option("first_lstm", "units", True), "units is True"),
        (set_option("first_lstm", "units", None), "units is None"),
        (set_option("first", "mask_value", None), "mask_value is None"),
        (set_option("first_lstm", "units", 4), r"kernel\) has shape .*expected \(any, 16\)"),
        (set_option("first_lstm", "use_bias", "no"), "use_bias is 'no'; expected true or false"),
        (set_option("first_lstm", "use_bias", False), "has 3 tensors; expected 2"),
        (set_option("second_lstm", "use_bias", True), r"vars/2 \(bias\) is missing"),
        (set_option("first_lstm", "activation", {"class_name": "Evil"}), "activation is a 'Evil'"),
        (set_option("first_lstm", "activation", 3), "activation is 3; expected an activation"),
        (set_option("first_lstm", "activation", "os.system"), "activation is 'os.system'"),
        (set_option("first_lstm", "dropout", "x"), "dropout is 'x'; expected a number"),
        (set_option("first_lstm", "dtype", "float16"), "dtype is 'float16'"),
        (set_option("first_lstm", "stateful", True), "stateful is True; expected none"),
        (set_option("first", "mask_value", [1]), r"layer 'first': mask_value is \[1\]"),
        (set_option("plain", "cell", None), "layer 'plain': cell is no configuration"),
        (set_option("plain", "cell", {"class_name": "X", "config": {}}), "has a cell of class X"),
        (set_option("both", "merge_mode", "max"), "merge_mode is 'max'"),
        (set_option("both", "merge_mode", {}), "merge_mode is {}"),
        (deep, "dtype is"),
        (lambda c: layer_of(c, "first_lstm").update(class_name="Lambda"), "is a Lambda; expected"),
        (lambda c: layer_of(c, "first_lstm").update(class_name=[1]), r"class_name \[1\]"),
        (lambda c: layer_of(c, "first_lstm").update(module="os"), "is no class of Keras's own"),
        (lambda c: layer_of(c, "first_lstm").update(registered_name="a>LSTM"), "no class of Ker"),
        (lambda c: layer_of(c, "first_lstm").update(config=3), "is no configuration"),
        (lambda c: c["config"].update(layers=[]), "layers is no list of layers"),
        (lambda c: c["config"].update(layers={}), "layers is no list of layers"),
        (lambda c: c["config"]["layers"].append(c), "layers/sequential/.* is missing"),
        (lambda c: c["config"]["layers"].insert(3, dict(c["config"]["layers"][0])), "InputLayer"),
        (lambda c: c.clear(), "config is no configuration of a Keras object"),
    ],
)
def test_a_config_that_is_wrong_is_named(saved, change, text):
    folder, _, model = saved
    config = json.loads(model.to_json())
    if change.__name__ == "<lambda>" and text.startswith("layers/sequential"):
        config["config"]["layers"].append(json.loads(model.to_json()))
    else:
        change(config)
    with pytest.raises(ValueError, match=text):
        load(folder / "model.weights.h5", config)


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "3", "null", '{"config": 1}', "[" * 100_000, "\ufeff{}", '"x"']
)
def test_a_config_that_is_no_model(saved, text):
    with pytest.raises(ValueError, match=r"model\.weights\.h5: config"):
        load(saved[0] / "model.weights.h5", text)
