"""Exact counts of parameters, arithmetic and memory, from layers or from descriptions of layers.

    from gru_native import complexity

    c = complexity.count(complexity.LSTM(40, 2048, proj_size=512, peephole=True), 20, batch=4)
    c.parameters, c.parameters_without_biases, c.forward.macs, c.backward.flops
    print(c.table())

``complexity.LSTM`` and its like take the arguments of ``gru_native.LSTM`` and raise its errors, but
have no weights: a description of any size costs nothing. A layer that has weights can be counted as
well. docs/formulas.md says what counts as what, and why.
"""

from ._calls import count, count_graph, count_readout, count_tree
from ._calls_of_decoders import count_decoder
from ._count import Bytes, Count
from ._describing import (
    GRU,
    LSTM,
    RNN,
    Activation,
    AttentionDecoder,
    AvgPool1d,
    AvgPool2d,
    BatchNorm1d,
    BatchNorm2d,
    Chain,
    ChildSumTreeLSTM,
    ClassSoftmax,
    Columns,
    Conv1d,
    Conv2d,
    Dense,
    Embedding,
    GatedGraph,
    GatedRecursiveConv,
    GraphSum,
    Image,
    LayerNorm,
    MaxPool1d,
    MaxPool2d,
    NaryTreeLSTM,
    NodeScores,
    NoiseContrastive,
    OutputRNN,
    Parallel,
    Pool,
    Residual,
    SampledSoftmax,
    TreeSoftmax,
)
from ._losses import count_cross_entropy, count_ctc, count_transducer
from ._optimizers import count_step
from ._published import Published, published
from ._roofline import Level, Limits, Roofline, Weights, roofline
from ._symbols import Statement, statement
from ._vocabularies import count_large_softmax
from ._work import Passes, Product, Tensor, Work

__all__ = [
    "GRU",
    "LSTM",
    "RNN",
    "Activation",
    "AttentionDecoder",
    "AvgPool1d",
    "AvgPool2d",
    "BatchNorm1d",
    "BatchNorm2d",
    "Bytes",
    "Chain",
    "ChildSumTreeLSTM",
    "ClassSoftmax",
    "Columns",
    "Conv1d",
    "Conv2d",
    "Count",
    "Dense",
    "Embedding",
    "GatedGraph",
    "GatedRecursiveConv",
    "GraphSum",
    "Image",
    "LayerNorm",
    "Level",
    "Limits",
    "MaxPool1d",
    "MaxPool2d",
    "NaryTreeLSTM",
    "NodeScores",
    "NoiseContrastive",
    "OutputRNN",
    "Parallel",
    "Passes",
    "Pool",
    "Product",
    "Published",
    "Residual",
    "Roofline",
    "SampledSoftmax",
    "Statement",
    "Tensor",
    "TreeSoftmax",
    "Weights",
    "Work",
    "count",
    "count_cross_entropy",
    "count_ctc",
    "count_decoder",
    "count_graph",
    "count_large_softmax",
    "count_readout",
    "count_step",
    "count_transducer",
    "count_tree",
    "published",
    "roofline",
    "statement",
]
