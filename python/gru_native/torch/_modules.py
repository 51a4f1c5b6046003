"""LSTM, GRU and RNN as modules: torch.nn's own, with another forward."""

from __future__ import annotations

from torch import nn

from .. import layers
from ._recurrent import Recurrent


class LSTM(Recurrent, nn.LSTM):
    """torch.nn.LSTM, computed by this package's core.

    ``LSTM(input_size, hidden_size, num_layers=1, bias=True, batch_first=False, dropout=0.0,
    bidirectional=False, proj_size=0, device=None, dtype=None, **options)``. options are those that
    only ``gru_native.LSTM`` has, such as ``peephole=True``; the parameters are then the weights of
    that layer, by their names there.

    ``y, (h, c) = lstm(input, hx=None)``, shapes as in torch.nn.LSTM; input may be a PackedSequence.
    Raises what torch.nn.LSTM raises for wrong shapes, and TypeError for tensors that are not
    float32 or float64 or not on the CPU.
    """

    numpy_class = layers.LSTM
    torch_class = nn.LSTM


class GRU(Recurrent, nn.GRU):
    """torch.nn.GRU, computed by this package's core; options as in LSTM, of ``gru_native.GRU``.

    ``y, h = gru(input, hx=None)``.
    """

    numpy_class = layers.GRU
    torch_class = nn.GRU


class RNN(Recurrent, nn.RNN):
    """torch.nn.RNN, computed by this package's core; options as in LSTM, of ``gru_native.RNN``.

    ``y, h = rnn(input, hx=None)``.
    """

    numpy_class = layers.RNN
    torch_class = nn.RNN


CLASSES: tuple[type[Recurrent], ...] = (LSTM, GRU, RNN)
for _class in CLASSES:
    _class.__module__ = "gru_native.torch"  # where pickles look for it
