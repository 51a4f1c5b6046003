"""Recurrent networks on CPUs: RNN, LSTM and GRU, forward and backward, on NumPy arrays.

    >>> import numpy as np, gru_native
    >>> lstm = gru_native.LSTM(40, 256)
    >>> y, (h, c) = lstm(np.zeros((100, 1, 40), np.float32))   # (seq, batch, input)
    >>> y.shape
    (100, 1, 256)

Names, shapes and defaults follow ``torch.nn``. See the classes' own documentation.
"""

from ._chain import Chain
from ._core import (
    __version__,
    active_isa,
    available_isas,
    get_num_threads,
    set_num_threads,
)
from ._cpp import get_cmake_dir, get_include, get_pkgconfig_dir
from ._dense import Dense
from ._files import load, save
from ._graphs import GatedGraph, GraphGradients
from ._grconv import GatedRecursiveConv, GrConvGradients, draw_gates
from ._layers import GRU, LSTM, RNN, Gradients
from ._output_rnn import OutputGradients, OutputRNN
from ._readouts import GraphSum, NodeScores, ReadoutGradients
from ._rtrl import RTRL
from ._training import clip_gradients, reset_rows
from ._trees import ChildSumTreeLSTM, NaryTreeLSTM, TreeGradients

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
