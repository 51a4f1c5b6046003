"""Every kind of layer with options of its own, and what each computes: for tests of copies."""

import copy
import pickle

import numpy as np

import gru_native
from gru_native import GRU, LSTM, RNN, Chain, Dense, OutputRNN

TREE = (np.array([2, 2, 4, 4, -1]), np.array([0, 1, 0, 1, 0]))  # parents and slots
EDGES = np.array([[0, 1, 2, 2], [1, 2, 0, 2]])

LAYERS = {
    "rnn": lambda **o: RNN(3, 4, 2, nonlinearity=("leaky_relu", 0.125), activation_clip=2.5, **o),
    "rnn_dropout": lambda **o: RNN(3, 8, 3, nonlinearity="relu", bias=False, dropout=0.5, **o),
    "lstm": lambda **o: LSTM(3, 5, 2, bidirectional=True, dropout=0.25, batch_first=True, **o),
    "lstm_projections": lambda **o: LSTM(3, 6, proj_size=2, nonrecurrent_proj_size=3, **o),
    "lstm_variant": lambda **o: LSTM(
        *(3, 4, 2),
        peephole=True,
        input_gate=False,
        input_activation="softsign",
        output_activation=("scaled_tanh", 1.5, 0.5),
        gate_activation="hard_sigmoid",
        cell_clip=2.0,
        activation_clip=4.0,
        **o,
    ),
    "lstm_coupled": lambda **o: LSTM.variant("CIFG", 3, 4, zoneout=0.25, zoneout_cell=0.5, **o),
    "lstm_gate_recurrence": lambda **o: LSTM.variant("FGR", 3, 4, layer_norm=True, **o),
    "gru": lambda **o: GRU(3, 4, 2, dropout=0.5, zoneout=0.125, **o),
    "gru_reset_before": lambda **o: GRU(3, 4, reset_after=False, bidirectional=True, **o),
    "gru_options": lambda **o: GRU(
        3, 4, candidate_activation="relu", gate_activation="softplus", layer_norm=True, **o
    ),
    "dense": lambda **o: Dense(3, 5, activation="log_softmax", batch_first=True, **o),
    "dense_without_bias": lambda **o: Dense(3, 5, bias=False, **o),
    "output_rnn": lambda **o: OutputRNN(3, 4, 2, activation="relu", output_activation="tanh", **o),
    "decoder": lambda **o: gru_native.AttentionDecoder(
        *(7, 3, 6, 5), num_layers=2, attention="location", readout="maxout", dropout=0.5, **o
    ),
    "child_sum": lambda **o: gru_native.ChildSumTreeLSTM(3, 4, **o),
    "nary": lambda **o: gru_native.NaryTreeLSTM(3, 4, 2, bias=False, **o),
    "graph": lambda **o: gru_native.GatedGraph(4, 3, aggregate="sum", bias="node", **o),
    "graph_reset_after": lambda **o: gru_native.GatedGraph(4, 2, bias=None, reset_after=True, **o),
    "node_scores": lambda **o: gru_native.NodeScores(4, 3, 2, **o),
    "graph_sum": lambda **o: gru_native.GraphSum(4, 3, 2, **o),
    "grconv": lambda **o: gru_native.GatedRecursiveConv(3, 4, activation="sigmoid", **o),
    "chain": lambda **o: Chain(
        [
            Dense(3, 4, activation="tanh", **o),
            GRU(4, 4, 2, dropout=0.5, **o),
            LSTM(4, 6, proj_size=5, **o),
            Dense(5, 2, **o),
        ]
    ),
}

# Each way to copy, as a function.
WAYS = {
    "deepcopy": copy.deepcopy,
    **{
        f"pickle {protocol}": lambda thing, protocol=protocol: pickle.loads(
            pickle.dumps(thing, protocol)
        )
        for protocol in range(2, pickle.HIGHEST_PROTOCOL + 1)
    },
}


def arguments_of(layer):
    """Random arguments of a call."""
    rng = np.random.default_rng(5)

    def numbers(*shape):
        return rng.standard_normal(shape).astype(layer.dtype)

    if isinstance(layer, gru_native.GatedGraph):
        return numbers(3, 2), EDGES
    if isinstance(layer, (gru_native.NodeScores, gru_native.GraphSum)):
        return numbers(5, 4), numbers(5, 3)
    if isinstance(layer, gru_native.AttentionDecoder):
        return rng.integers(0, 7, (4, 2)), numbers(5, 2, 5)
    if isinstance(layer, gru_native.ChildSumTreeLSTM):
        return numbers(5, 3), TREE[0]
    if isinstance(layer, gru_native.NaryTreeLSTM):
        return numbers(5, 3), *TREE
    return (numbers(6, 2, 3),)


def arrays_in(result):
    """All arrays of a result, in any nesting; tapes are left out."""
    if isinstance(result, np.ndarray):
        return [result]
    if isinstance(result, dict):
        return arrays_in(list(result.values()))
    if isinstance(result, (tuple, list)):
        return [array for part in result for array in arrays_in(part)]
    return []


def computed(layer):
    """What it computes: inference, then training (with what is random in it) and gradients."""
    arguments = arguments_of(layer)
    found = arrays_in(layer(*arguments))
    *outputs, tape = layer.forward(*arguments)
    found += arrays_in(outputs)
    return found + arrays_in(layer.backward(tape, outputs[0]))
