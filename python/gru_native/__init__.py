"""Recurrent networks on CPUs: RNN, LSTM and GRU, forward and backward, on NumPy arrays.

    >>> import numpy as np, gru_native
    >>> lstm = gru_native.LSTM(40, 256)
    >>> y, (h, c) = lstm(np.zeros((100, 1, 40), np.float32))  # (seq, batch, input)
    >>> y.shape
    (100, 1, 256)

Names, shapes and defaults follow ``torch.nn``. Every layer is called for inference, has ``forward``
and ``backward`` for training, and can be copied and pickled. ``gru_native.complexity`` counts what
layers cost; ``gru_native.torch``, ``gru_native.onnx`` and ``gru_native.keras`` exchange them with
other frameworks.
"""

from ._core import __version__  # before NumPy, which has its own troubles in a subinterpreter

# isort: split
from . import decoding, losses, optim, streams  # noqa: F401  pickle must know of streams
from .files import load, save
from .folding import fold
from .installed import get_cmake_dir, get_include, get_pkgconfig_dir
from .layers import (
    GRU,
    LSTM,
    RNN,
    RTRL,
    Activation,
    AttentionDecoder,
    AvgPool1d,
    AvgPool2d,
    BatchNorm1d,
    BatchNorm2d,
    Chain,
    ChainGradients,
    ChainTape,
    ChildSumTreeLSTM,
    Columns,
    Conv1d,
    Conv2d,
    DecoderGradients,
    DecoderState,
    DecoderStream,
    DecoderTape,
    Dense,
    DenseGradients,
    DenseTape,
    Difference,
    Embedding,
    GatedGraph,
    GatedRecursiveConv,
    Gradients,
    GraphGradients,
    GraphSum,
    GraphTape,
    GrConvGradients,
    GrConvTape,
    Image,
    LayerNorm,
    MaxPool1d,
    MaxPool2d,
    NaryTreeLSTM,
    NodeScores,
    OperationGradients,
    OperationTape,
    OutputGradients,
    OutputRNN,
    OutputTape,
    Parallel,
    Pool,
    ReadoutGradients,
    ReadoutTape,
    Residual,
    RowGradient,
    SavedSessions,
    SessionPool,
    Stream,
    Tape,
    TreeGradients,
    TreeTape,
    compare,
    draw_gates,
)
from .runtime import (
    active_isa,
    available_isas,
    get_adaptive_threads,
    get_num_threads,
    set_adaptive_threads,
    set_num_threads,
)
from .training import clip_gradients, reset_rows

__all__ = [  # noqa: RUF022  in groups
    # layers over sequences, and chains of them
    "RNN",
    "LSTM",
    "GRU",
    "OutputRNN",
    "Dense",
    "Chain",
    "Residual",
    "Parallel",
    # what stands before, between and behind them
    "Embedding",
    "Conv1d",
    "MaxPool1d",
    "AvgPool1d",
    "Pool",
    "LayerNorm",
    "BatchNorm1d",
    "Activation",
    # images, whose width is time
    "Image",
    "Columns",
    "Conv2d",
    "MaxPool2d",
    "AvgPool2d",
    "BatchNorm2d",
    # from sequences to sequences
    "AttentionDecoder",
    "DecoderState",
    "DecoderStream",
    # layers over trees, graphs and pyramids
    "ChildSumTreeLSTM",
    "NaryTreeLSTM",
    "GatedGraph",
    "NodeScores",
    "GraphSum",
    "GatedRecursiveConv",
    "draw_gates",
    # step by step: one stream, many sessions, gradients online
    "Stream",
    "SessionPool",
    "SavedSessions",
    "RTRL",
    # training
    "losses",
    "optim",
    "clip_gradients",
    "reset_rows",
    # from outputs to labels
    "decoding",
    # weights of few bits: layer.quantize, and what it changes
    "compare",
    "Difference",
    # batch normalisations as part of products
    "fold",
    # what forward returns for backward
    "Tape",
    "OutputTape",
    "DenseTape",
    "OperationTape",
    "DecoderTape",
    "ChainTape",
    "TreeTape",
    "GraphTape",
    "ReadoutTape",
    "GrConvTape",
    # what backward returns
    "Gradients",
    "OutputGradients",
    "DenseGradients",
    "OperationGradients",
    "DecoderGradients",
    "ChainGradients",
    "TreeGradients",
    "GraphGradients",
    "ReadoutGradients",
    "GrConvGradients",
    "RowGradient",
    # models in files
    "load",
    "save",
    # threads and instruction sets
    "set_num_threads",
    "get_num_threads",
    "set_adaptive_threads",
    "get_adaptive_threads",
    "active_isa",
    "available_isas",
    # the C++ library that comes with the package
    "get_include",
    "get_cmake_dir",
    "get_pkgconfig_dir",
    "__version__",
]
