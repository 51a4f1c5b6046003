"""Recurrent networks on CPUs: RNN, LSTM and GRU, forward and backward, on NumPy arrays.

    >>> import numpy as np, gru_native
    >>> lstm = gru_native.LSTM(40, 256)
    >>> y, (h, c) = lstm(np.zeros((100, 1, 40), np.float32))   # (seq, batch, input)
    >>> y.shape
    (100, 1, 256)

Names, shapes and defaults follow ``torch.nn``. See the classes' own documentation.
"""

from . import losses
from ._core import (
    __version__,
    active_isa,
    available_isas,
    get_num_threads,
    set_num_threads,
)
from .files import load, save
from .installed import get_cmake_dir, get_include, get_pkgconfig_dir
from .layers import (
    GRU,
    LSTM,
    RNN,
    RTRL,
    Chain,
    ChildSumTreeLSTM,
    Dense,
    GatedGraph,
    GatedRecursiveConv,
    Gradients,
    GraphGradients,
    GraphSum,
    GrConvGradients,
    NaryTreeLSTM,
    NodeScores,
    OutputGradients,
    OutputRNN,
    ReadoutGradients,
    TreeGradients,
    draw_gates,
)
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
    "losses",
    "reset_rows",
    "save",
    "set_num_threads",
]
