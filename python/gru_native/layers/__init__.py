"""The layers: names, checks and documentation. The mathematics is in cpp/."""

from ._container import ChainGradients, ChainTape
from ._operation import OperationGradients, OperationTape
from ._recurrent import Gradients, State, StateLike, Stream, Tape
from ._row_gradient import RowGradient
from .activation import Activation
from .batch_norm import BatchNorm1d, BatchNorm2d
from .branches import Parallel, Residual
from .chain import Block, Chain
from .conv import Conv1d
from .conv2d import Conv2d
from .decoder import AttentionDecoder
from .decoder_generation import DecoderStream
from .decoder_state import DecoderGradients, DecoderState, DecoderTape
from .dense import Dense, DenseGradients, DenseTape
from .embedding import Embedding
from .graph import GatedGraph, GraphGradients, GraphTape
from .grconv import GatedRecursiveConv, GrConvGradients, GrConvTape, draw_gates
from .gru import GRU
from .images import Columns, Image
from .layer_norm import LayerNorm
from .lstm import LSTM
from .output_rnn import OutputGradients, OutputRNN, OutputTape
from .pooling import AvgPool1d, MaxPool1d, Pool
from .pooling2d import AvgPool2d, MaxPool2d
from .quantized import Difference, compare
from .readout import GraphSum, NodeScores, ReadoutGradients, ReadoutTape
from .rnn import RNN
from .rtrl import RTRL
from .sessions import SavedSessions, SessionPool
from .tree import ChildSumTreeLSTM, NaryTreeLSTM, TreeGradients, TreeTape

__all__ = [
    "GRU",
    "LSTM",
    "RNN",
    "RTRL",
    "Activation",
    "AttentionDecoder",
    "AvgPool1d",
    "AvgPool2d",
    "BatchNorm1d",
    "BatchNorm2d",
    "Block",
    "Chain",
    "ChainGradients",
    "ChainTape",
    "ChildSumTreeLSTM",
    "Columns",
    "Conv1d",
    "Conv2d",
    "DecoderGradients",
    "DecoderState",
    "DecoderStream",
    "DecoderTape",
    "Dense",
    "DenseGradients",
    "DenseTape",
    "Difference",
    "Embedding",
    "GatedGraph",
    "GatedRecursiveConv",
    "GrConvGradients",
    "GrConvTape",
    "Gradients",
    "GraphGradients",
    "GraphSum",
    "GraphTape",
    "Image",
    "LayerNorm",
    "MaxPool1d",
    "MaxPool2d",
    "NaryTreeLSTM",
    "NodeScores",
    "OperationGradients",
    "OperationTape",
    "OutputGradients",
    "OutputRNN",
    "OutputTape",
    "Parallel",
    "Pool",
    "ReadoutGradients",
    "ReadoutTape",
    "Residual",
    "RowGradient",
    "SavedSessions",
    "SessionPool",
    "State",
    "StateLike",
    "Stream",
    "Tape",
    "TreeGradients",
    "TreeTape",
    "compare",
    "draw_gates",
]
