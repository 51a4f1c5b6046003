"""Recurrent networks on CPUs: RNN, LSTM and GRU, forward and backward, on NumPy arrays.

    >>> import numpy as np, gru_native
    >>> lstm = gru_native.LSTM(40, 256)
    >>> y, (h, c) = lstm(np.zeros((100, 1, 40), np.float32))   # (seq, batch, input)
    >>> y.shape
    (100, 1, 256)

Names, shapes and defaults follow ``torch.nn``. See the classes' own documentation.
"""

from ._core import (
    __version__,
    active_isa,
    available_isas,
    get_num_threads,
    set_num_threads,
)
from .files import load, save
from .installed import get_cmake_dir, get_include, get_pkgconfig_dir
from .layers._recurrent import GRU, LSTM, RNN, Gradients
from .layers.chain import Chain
from .layers.dense import Dense
from .layers.graph import GatedGraph, GraphGradients
from .layers.grconv import GatedRecursiveConv, GrConvGradients, draw_gates
from .layers.output_rnn import OutputGradients, OutputRNN
from .layers.readout import GraphSum, NodeScores, ReadoutGradients
from .layers.rtrl import RTRL
from .layers.tree import ChildSumTreeLSTM, NaryTreeLSTM, TreeGradients
from .training import clip_gradients, reset_rows

__all__ = [
    "GRU",
    "LSTM",
    "RNN",
    "RTRL",
    "Chain",
    "ChildSumTreeLSTM",
    "Dense",
    "GatedGraph",
    "GatedRecursiveConv",
    "GrConvGradients",
    "Gradients",
    "GraphGradients",
    "GraphSum",
    "NaryTreeLSTM",
    "NodeScores",
    "OutputGradients",
    "OutputRNN",
    "ReadoutGradients",
    "TreeGradients",
    "__version__",
    "active_isa",
    "available_isas",
    "clip_gradients",
    "draw_gates",
    "get_cmake_dir",
    "get_include",
    "get_num_threads",
    "get_pkgconfig_dir",
    "load",
    "reset_rows",
    "save",
    "set_num_threads",
]
