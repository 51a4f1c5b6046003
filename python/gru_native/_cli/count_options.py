"""The options of ``gru-native count``."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Any

from .. import complexity

APART = "--vs"  # between configurations

CELLS: dict[str, Any] = {
    "lstm": complexity.LSTM,
    "gru": complexity.GRU,
    "rnn": complexity.RNN,
    "output-rnn": complexity.OutputRNN,
    "dense": complexity.Dense,
    "grconv": complexity.GatedRecursiveConv,
    "child-sum": complexity.ChildSumTreeLSTM,
    "nary": complexity.NaryTreeLSTM,
    "graph": complexity.GatedGraph,
}
OWN_OUTPUTS = ("output-rnn", "dense")  # those of the layer itself

# The arguments of the layers' classes, and what is said of them.
SIZES = {
    "input_size": "numbers in each input",
    "hidden_size": "units",
    "num_layers": "layers on top of one another (default: 1)",
    "proj_size": "of the LSTM: size of the projection that recurs (default: 0, none)",
    "nonrecurrent_proj_size": "of the LSTM: size of that which does not recur (default: 0, none)",
    "arity": "of the N-ary Tree-LSTM: the most children of a node",
    "num_steps": "of the graph: how often its nodes exchange messages",
    "num_edge_types": "of the graph: types of edges (default: 1)",
}
FLAGS = {
    "bias": "with biases (default: yes)",
    "bidirectional": "a second direction reads sequences from their end (default: no)",
    "peephole": "of the LSTM: gates see the cell (default: no)",
    "coupled_gates": "of the LSTM: f = 1 - i (default: no)",
    "input_gate": "of the LSTM (default: yes)",
    "forget_gate": "of the LSTM (default: yes)",
    "output_gate": "of the LSTM (default: yes)",
    "reset_after": "of the GRU: r acts after the product, as in PyTorch (default: yes; graph: no)",
    "gate_recurrence": "of the LSTM: gates see those of the step before (default: no)",
    "learn_initial_state": "of recurrent layers: the initial state is a weight (default: no)",
    "layer_norm": "of LSTM and GRU: layer normalisation (default: no)",
}
TEXTS = {
    "nonlinearity": "of the RNN (default: tanh)",
    "input_activation": "of the LSTM: that of g (default: tanh)",
    "output_activation": "of the LSTM: that of c on its way out (default: tanh); of output-rnn",
    "candidate_activation": "of the GRU: that of n (default: tanh)",
    "gate_activation": "of LSTM and GRU (default: sigmoid)",
    "activation": "of dense, output-rnn and grconv",
    "aggregate": "of the graph: concat or sum (default: concat)",
}
NUMBERS = {
    "cell_clip": "of the LSTM: a limit for c (default: none)",
    "activation_clip": "a limit for what goes into activations (default: none)",
    "dropout": "between layers, in training (default: 0)",
    "zoneout": "of h (default: 0)",
    "zoneout_cell": "of the LSTM: that of c (default: 0)",
}
LAYER = (*SIZES, *FLAGS, *TEXTS, *NUMBERS, "variant")
SEQUENCES = ("seq", "batch", "lengths", "state", "vocabulary", "outputs", "precision")
TREES = ("parents", "precision")
GRAPHS = ("nodes", "edges", "precision")
PRINTED = ("published", "symbols", "limits", "threads")  # of all networks


def option_of(argument: str) -> str:
    """``--nonrecurrent-proj`` for nonrecurrent_proj_size."""
    name = argument.removesuffix("_size").removeprefix("num_") if argument in SIZES else argument
    return "--" + name.replace("_", "-")


def add_to(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """The command's parser."""
    command = commands.add_parser(
        "count",
        help="count parameters, multiply-adds and bytes of a network",
        description="Counts what a network costs, exactly and without building it. Options behind "
        f"{APART} describe one more network: it has the options of the one before, except those "
        "that are given anew. Its figures stand beside the others.",
        epilog="Example: %(prog)s --cell lstm --input 40 --hidden 2048 --proj 512 "
        "--layers 1 --outputs 8000 --peephole --seq 20 --batch 4",
    )
    command.add_argument(
        "files", nargs="*", metavar="FILE", help="a model file, in place of the layer's options"
    )
    layer = command.add_argument_group("the layer", "The arguments of its class in Python.")
    layer.add_argument("--cell", choices=CELLS, help="which kind (default: lstm)")
    layer.add_argument(
        "--variant", metavar="NAME", help="of the LSTM, by its name in Greff et al.: CIFG, ..."
    )
    for name, text in SIZES.items():
        layer.add_argument(option_of(name), dest=name, type=int, metavar="N", help=text)
    for name, text in FLAGS.items():
        action = argparse.BooleanOptionalAction
        layer.add_argument(option_of(name), dest=name, action=action, help=text)
    for name, text in TEXTS.items():
        layer.add_argument(option_of(name), dest=name, metavar="NAME", help=text)
    for name, text in NUMBERS.items():
        layer.add_argument(option_of(name), dest=name, type=float, metavar="X", help=text)
    layer.add_argument(
        "--precision",
        choices=("int8", "bf16"),
        help="as quantize() makes the layer, for inference (default: as it is)",
    )
    around = command.add_argument_group("around the layer")
    add = around.add_argument
    add("--vocabulary", type=int, metavar="N", help="an embedding of N symbols before it")
    add("--outputs", type=int, metavar="N", help="a dense layer of N outputs behind it")
    call = command.add_argument_group("the call")
    add = call.add_argument
    add("--seq", type=int, metavar="T", help="steps (default: 1)")
    add("--batch", type=int, metavar="B", help="sequences side by side (default: 1)")
    add("--lengths", type=_list, metavar="N,N,..", help="steps of each sequence (default: all)")
    add(
        "--state",
        action="store_true",
        default=None,
        help="with an initial state: the first step then needs its recurrent product",
    )
    add("--parents", type=_list, metavar="N,N,..", help="of trees: each node's parent, -1: none")
    add("--slots", type=_list, metavar="N,N,..", help="of N-ary trees: which child each node is")
    add("--nodes", type=int, metavar="N", help="of a graph (default: 1)")
    add("--edges", type=int, metavar="N", help="of a graph (default: 0)")
    what = command.add_argument_group("what is printed")
    form = what.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_const", const="json", dest="form", help="as JSON")
    form.add_argument("--csv", action="store_const", const="csv", dest="form", help="as CSV")
    add = what.add_argument
    add(
        "--published",
        action="store_true",
        default=None,
        help="instead: the tables of papers, with each row counted again",
    )
    add("--symbols", action="store_true", default=None, help="also: the formulas")
    add(
        "--limits",
        metavar="FILE",
        help="also: the least time on a machine with the limits in this file, which is the "
        "results.json of bench/compare.py",
    )
    add("--threads", type=int, metavar="N", help="for --limits (default: 1)")


def _list(text: str) -> list[int]:
    return [int(part) for part in text.split(",")]


def split(arguments: Sequence[str]) -> list[list[str]]:
    """The command line of each network."""
    parts: list[list[str]] = [[]]
    for argument in arguments:
        if argument == APART:
            parts.append([arguments[0]])
        else:
            parts[-1].append(argument)
    return parts
