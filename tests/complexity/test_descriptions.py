"""A description counts; whatever needs weights says that it has none."""

import numpy as np
import pytest

import gru_native as gn
import gru_native.onnx
from gru_native import complexity

x = np.ones((2, 3), np.float32)
gru = complexity.GRU(3, 4)
chain = gn.Chain([gn.GRU(3, 4, seed=0), complexity.Dense(4, 2)])
NEED_WEIGHTS = {
    "call": lambda layer: layer(x),
    "forward": lambda layer: layer.forward(x),
    "stream": lambda layer: layer.stream(),
    "weights": lambda layer: layer.weights,
    "state_dict": lambda layer: layer.state_dict(),
    "load_state_dict": lambda layer: layer.load_state_dict({}),
    "quantize": lambda layer: layer.quantize("int8"),
    "save": lambda layer: gn.save(layer, "none"),
    "export": lambda layer: gru_native.onnx.export(layer, "none"),
}


@pytest.mark.parametrize("use", NEED_WEIGHTS)
@pytest.mark.parametrize("layer", [gru, chain], ids=["layer", "chain"])
def test_what_needs_weights(layer, use, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(TypeError, match=r"has no weights.*; expected a layer"):
        NEED_WEIGHTS[use](layer)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("use", ["call", "forward", "stream"])
def test_a_chain_names_the_block(use):
    with pytest.raises(TypeError, match=r"^blocks\[1\] has no weights to compute with"):
        NEED_WEIGHTS[use](chain)


def test_rtrl():
    with pytest.raises(TypeError, match="a description has no weights; expected a layer"):
        gn.RTRL(gru)


def test_an_edit_that_fails():
    with pytest.raises(ZeroDivisionError), gru.editing():
        raise ZeroDivisionError
