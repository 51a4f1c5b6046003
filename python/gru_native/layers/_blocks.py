"""What a chain must know of its blocks."""

from __future__ import annotations

from typing import TypeAlias

from ._operation import Operation
from .activation import Activation
from .batch_norm import BatchNorm1d, BatchNorm2d
from .conv import Conv1d
from .conv2d import Conv2d
from .dense import Dense
from .embedding import Embedding
from .gru import GRU
from .images import Columns, Image
from .layer_norm import LayerNorm
from .lstm import LSTM
from .pooling import AvgPool1d, MaxPool1d, Pool
from .pooling2d import AvgPool2d, MaxPool2d
from .rnn import RNN

Layer: TypeAlias = (
    RNN
    | LSTM
    | GRU
    | Dense
    | Activation
    | LayerNorm
    | BatchNorm1d
    | Embedding
    | Conv1d
    | Pool
    | MaxPool1d
    | AvgPool1d
    | Image
    | Columns
    | Conv2d
    | MaxPool2d
    | AvgPool2d
    | BatchNorm2d
)
RECURRENT = (RNN, LSTM, GRU)


def reads_steps(block: Layer) -> bool:
    """Whether steps are computed together."""
    return isinstance(block, RECURRENT) or (isinstance(block, Operation) and block._over_time)


def output_size(block: Layer, width: int | None) -> int | None:
    """Behind what gives so many numbers."""
    if isinstance(block, Operation):
        return block._output_size(width)
    if isinstance(block, Dense):
        return block.output_size
    directions = 2 if block.bidirectional else 1
    outputs = getattr(block, "proj_size", 0) or block.hidden_size
    return directions * (outputs + getattr(block, "nonrecurrent_proj_size", 0))
