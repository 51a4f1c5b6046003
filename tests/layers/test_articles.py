"""Messages say what a value is with the article that its class's name is spoken with."""

from collections import UserDict

import numpy as np
import pytest

import gru_native
from gru_native import GRU, LSTM, OutputRNN, optim

VALUES = [
    (3, "an int"),
    ("tanh", "a str"),
    (None, "a NoneType"),
    (np.ones(3), "an ndarray"),
    (object(), "an object"),
    (UserDict(), "a UserDict"),  # spoken "you"
    (LSTM(2, 3), "an LSTM"),
    (GRU(2, 3), "a GRU"),
    (optim.SGD(GRU(2, 3), lr=0.1), "an SGD"),
    (OutputRNN(2, 3, 4), "an OutputRNN"),
]


@pytest.mark.parametrize(("value", "said"), VALUES)
def test_article(value, said):
    with pytest.raises(TypeError, match=f"^bias is {said}; expected True or False$"):
        GRU(2, 3, bias=value)
    if value is not VALUES[0][0]:
        with pytest.raises(TypeError, match=f"^n is {said}; expected a number"):
            gru_native.set_num_threads(value)
