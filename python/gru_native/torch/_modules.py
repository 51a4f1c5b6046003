"""LSTM, GRU and RNN as modules: torch.nn's own, with another forward."""

from __future__ import annotations

from torch import nn

from .. import layers
from ._recurrent import Recurrent


class LSTM(Recurrent, nn.LSTM):
    """The module ``torch.nn.LSTM``, computed by this package's core.

    Names of parameters, initialisation, calls, hooks and ``state_dict`` are those of
    ``torch.nn.LSTM``, and so is everything that is not said here.

    Parameters
    ----------
    *args
        Those of ``torch.nn.LSTM``: input_size, hidden_size, num_layers, bias, batch_first, dropout,
        bidirectional, proj_size, device, dtype.
    **kwargs
        The same by name, and the options that ``gru_native.LSTM`` has besides:
        ``nonrecurrent_proj_size``, ``peephole``, ``coupled_gates``, ``input_gate``,
        ``forget_gate``, ``output_gate``, ``input_activation``, ``output_activation``,
        ``gate_activation``, ``cell_clip``, ``activation_clip``, ``gate_recurrence``,
        ``layer_norm``, ``zoneout``, ``zoneout_cell``. With them the parameters are the weights of
        that layer, by their names there.

    Raises
    ------
    ValueError
        For what ``gru_native.LSTM`` or ``torch.nn.LSTM`` would refuse.
    TypeError
        Likewise.

    See Also
    --------
    gru_native.LSTM : The options, and the layer on NumPy arrays.

    Notes
    -----
    A call is ``y, (h, c) = module(input, hx=None)``, with shapes as in ``torch.nn.LSTM``; input may
    be a ``PackedSequence``. Tensors must be float32 or float64 and on the CPU; others are a
    TypeError.
    """

    numpy_class = layers.LSTM
    torch_class = nn.LSTM


class GRU(Recurrent, nn.GRU):
    """The module ``torch.nn.GRU``, computed by this package's core.

    Names of parameters, initialisation, calls, hooks and ``state_dict`` are those of
    ``torch.nn.GRU``, and so is everything that is not said here.

    Parameters
    ----------
    *args
        Those of ``torch.nn.GRU``: input_size, hidden_size, num_layers, bias, batch_first, dropout,
        bidirectional, device, dtype.
    **kwargs
        The same by name, and the options that ``gru_native.GRU`` has besides:
        ``reset_after``, ``candidate_activation``, ``gate_activation``, ``activation_clip``,
        ``layer_norm``, ``zoneout``. With them the parameters are the weights of that
        layer, by their names there.

    Raises
    ------
    ValueError
        For what ``gru_native.GRU`` or ``torch.nn.GRU`` would refuse.
    TypeError
        Likewise.

    See Also
    --------
    gru_native.GRU : The options, and the layer on NumPy arrays.

    Notes
    -----
    A call is ``y, h = module(input, hx=None)``, with shapes as in ``torch.nn.GRU``; input may be
    a ``PackedSequence``. Tensors must be float32 or float64 and on the CPU; others are a TypeError.
    """

    numpy_class = layers.GRU
    torch_class = nn.GRU


class RNN(Recurrent, nn.RNN):
    """The module ``torch.nn.RNN``, computed by this package's core.

    Names of parameters, initialisation, calls, hooks and ``state_dict`` are those of
    ``torch.nn.RNN``, and so is everything that is not said here.

    Parameters
    ----------
    *args
        Those of ``torch.nn.RNN``: input_size, hidden_size, num_layers, nonlinearity, bias,
        batch_first, dropout, bidirectional, device, dtype.
    **kwargs
        The same by name, and the options that ``gru_native.RNN`` has besides:
        ``activation_clip``, ``zoneout``. With them the parameters are the weights of that
        layer, by their names there.

    Raises
    ------
    ValueError
        For what ``gru_native.RNN`` or ``torch.nn.RNN`` would refuse.
    TypeError
        Likewise.

    See Also
    --------
    gru_native.RNN : The options, and the layer on NumPy arrays.

    Notes
    -----
    A call is ``y, h = module(input, hx=None)``, with shapes as in ``torch.nn.RNN``; input may be
    a ``PackedSequence``. Tensors must be float32 or float64 and on the CPU; others are a TypeError.
    """

    numpy_class = layers.RNN
    torch_class = nn.RNN


CLASSES: tuple[type[Recurrent], ...] = (LSTM, GRU, RNN)
for _class in CLASSES:
    _class.__module__ = "gru_native.torch"  # where pickles look for it
