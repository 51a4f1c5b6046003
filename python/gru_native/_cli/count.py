"""``gru-native count``: parameters, arithmetic and memory of networks, exactly."""

from __future__ import annotations

import argparse
import csv
import inspect
import io
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from .. import complexity, load
from ..complexity import Count, Limits
from ..complexity._count import of_counts, rows_of
from ..complexity._table import plain
from .errors import UnusableArgument

APART = "--vs"  # between configurations

# The options of the layers, by the arguments of their classes.
SIZES = {
    "input_size": "--input",
    "hidden_size": "--hidden",
    "num_layers": "--layers",
    "proj_size": "--proj",
    "nonrecurrent_proj_size": "--nonrecurrent-proj",
    "arity": "--arity",
    "num_steps": "--steps",
    "num_edge_types": "--edge-types",
}
FLAGS = (
    "bias",
    "bidirectional",
    "peephole",
    "coupled_gates",
    "input_gate",
    "forget_gate",
    "output_gate",
    "reset_after",
    "gate_recurrence",
    "layer_norm",
)
TEXTS = (
    "nonlinearity",
    "input_activation",
    "output_activation",
    "candidate_activation",
    "activation",
    "aggregate",
)
NUMBERS = ("cell_clip", "dropout", "zoneout", "zoneout_cell")
LAYER = (*SIZES, *FLAGS, *TEXTS, *NUMBERS, "variant")
SEQUENCES = ("seq", "batch", "lengths", "state", "vocabulary", "outputs")
TREES = ("parents", "slots")
GRAPHS = ("nodes", "edges")
PRINTED = ("published", "symbols", "limits", "threads")  # of all networks

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


def option_of(argument: str) -> str:
    """``--nonrecurrent-proj`` for nonrecurrent_proj_size."""
    return SIZES.get(argument, "--" + argument.replace("_", "-"))


def add_to(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """The command's parser."""
    command = commands.add_parser(
        "count",
        help="count parameters, multiply-adds and bytes of a network",
        description="Counts what a network costs, exactly and without building it. Options that "
        f"follow {APART} describe another network, which has all the options before it but for "
        "those that it changes; its figures stand beside the first one's.",
        epilog="Example: gru-native count --cell lstm --input 40 --hidden 2048 --proj 512 "
        "--layers 1 --outputs 8000 --peephole --seq 20 --batch 4",
    )
    add = command.add_argument
    add("files", nargs="*", metavar="FILE", help="a model file, in place of the layer's options")
    layer = command.add_argument_group("the layer, as the arguments of its class")
    layer.add_argument("--cell", choices=CELLS, help="default: lstm")
    layer.add_argument("--variant", metavar="NAME", help="of the LSTM, by Greff et al.: CIFG, ...")
    for name, option in SIZES.items():
        layer.add_argument(option, dest=name, type=int, metavar="N")
    for name in FLAGS:
        layer.add_argument(option_of(name), dest=name, action=argparse.BooleanOptionalAction)
    for name in TEXTS:
        layer.add_argument(option_of(name), dest=name, metavar="NAME")
    for name in NUMBERS:
        layer.add_argument(option_of(name), dest=name, type=float, metavar="X")
    around = command.add_argument_group("around it")
    around.add_argument("--vocabulary", type=int, metavar="N", help="an embedding of N symbols")
    around.add_argument("--outputs", type=int, metavar="N", help="a dense layer of N outputs")
    call = command.add_argument_group("the call")
    call.add_argument("--seq", type=int, metavar="T", help="steps (default: 1)")
    call.add_argument("--batch", type=int, metavar="B", help="sequences (default: 1)")
    call.add_argument("--lengths", type=_list, metavar="N,N,..", help="of each sequence")
    call.add_argument(
        "--state",
        action="store_true",
        default=None,
        help="an initial state is given, so no step is spared",
    )
    call.add_argument("--parents", type=_list, metavar="N,N,..", help="of trees: each node's")
    call.add_argument("--slots", type=_list, metavar="N,N,..", help="of trees: each node's")
    call.add_argument("--nodes", type=int, metavar="N", help="of a graph (default: 1)")
    call.add_argument("--edges", type=int, metavar="N", help="of a graph (default: 0)")
    what = command.add_argument_group("what is printed")
    form = what.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_const", const="json", dest="form", help="as JSON")
    form.add_argument("--csv", action="store_const", const="csv", dest="form", help="as CSV")
    what.add_argument(
        "--published",
        action="store_true",
        default=None,
        help="all rows of the papers' tables, counted again",
    )
    what.add_argument("--symbols", action="store_true", default=None, help="the formulas as well")
    what.add_argument(
        "--limits",
        metavar="FILE",
        help="the least time, by the limits in results.json of bench/compare.py",
    )
    what.add_argument("--threads", type=int, metavar="N", help="for --limits (default: 1)")


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


@dataclass(frozen=True)
class Figures:
    """A counted network: with its formulas and its least time, where they were asked for."""

    count: Count
    symbols: complexity.Statement | None
    time: complexity.Roofline | None

    def to_dict(self) -> dict[str, object]:
        """For JSON."""
        values = self.count.to_dict()
        if self.symbols:
            values["symbols"] = vars(self.symbols)
        if self.time:
            values["least_time"] = self.time.to_dict()
        return values


def run(networks: Sequence[dict[str, Any]]) -> int:
    """The command, and its exit code. Raises UnusableArgument."""
    shown = {
        name: next((n[name] for n in networks if n[name] is not None), None)
        for name in ("form", *PRINTED)
    }
    if shown["published"]:
        print(_published(shown["form"]))
        return 0
    figures, before = [], dict[str, Any]()
    for k, own in enumerate(networks):
        try:
            if own["files"]:
                figures += [_of_file(file, {**own, **shown}) for file in own["files"]]
                continue
            options = _taken_over(before, own)
            figures.append(_of_options({**options, **shown}))
            before = options
        except (TypeError, ValueError, ImportError, OSError) as error:
            which = f"network {k + 1}: " if len(networks) > 1 else ""
            raise UnusableArgument(which + str(error)) from None
    print(_shown(figures, shown["form"]))
    return 0


def _known(cell: str) -> set[str]:
    """What may be said of a cell and of a call of it."""
    call = {"child-sum": TREES[:1], "nary": TREES, "graph": GRAPHS}.get(cell, SEQUENCES)
    return {*inspect.signature(CELLS[cell]).parameters, *call, *["variant"] * (cell == "lstm")}


def _taken_over(before: dict[str, Any], own: dict[str, Any]) -> dict[str, Any]:
    """What was given, and else what the network before had, if this cell has such an option."""
    cell = own["cell"] or before.get("cell") or "lstm"
    return {
        name: before.get(name) if value is None and name in _known(cell) else value
        for name, value in {**own, "cell": cell}.items()
    }


def _of_file(file: str, options: dict[str, Any]) -> Figures:
    unused = [option_of(name) for name in ("cell", *LAYER) if options[name] is not None]
    if unused:
        raise ValueError(f"{unused[0]} was given with {file}; expected either")
    return _figures(load(file), options)


def _of_options(options: dict[str, Any]) -> Figures:
    cell = options["cell"]
    for name in (*LAYER, *SEQUENCES, *TREES, *GRAPHS):
        if options[name] is not None and name not in _known(cell):
            raise ValueError(f"{option_of(name)} is no option of --cell {cell}")
    given = {n: options[n] for n in LAYER if options[n] is not None}
    if cell in OWN_OUTPUTS and options["outputs"] is not None:
        given["output_size"] = options["outputs"]
    for name, parameter in inspect.signature(CELLS[cell]).parameters.items():
        if parameter.default is parameter.empty and name not in given:
            option = "--outputs" if name == "output_size" else option_of(name)
            raise ValueError(f"{option} is missing")
    variant = given.pop("variant", None)
    layer = CELLS[cell](**given) if variant is None else complexity.LSTM.variant(variant, **given)
    return _figures(layer, options)


def _figures(layer: Any, options: dict[str, Any]) -> Figures:
    has_outputs = isinstance(layer, (complexity.Dense, complexity.OutputRNN))
    outputs = None if has_outputs else options["outputs"]
    if isinstance(layer, (complexity.ChildSumTreeLSTM, complexity.NaryTreeLSTM)):
        count = complexity.count_tree(layer, options["parents"] or [-1], _slots(layer, options))
    elif isinstance(layer, complexity.GatedGraph):
        nodes, edges = options["nodes"], options["edges"]
        count = complexity.count_graph(
            layer, 1 if nodes is None else nodes, 0 if edges is None else edges
        )
    else:
        count = complexity.count(
            layer,
            options["seq"] if options["seq"] is not None else 1,
            options["batch"] if options["batch"] is not None else 1,
            options["lengths"],
            state=bool(options["state"]),
            vocabulary=options["vocabulary"],
            outputs=outputs,
        )
    symbols = complexity.statement(layer, outputs) if options["symbols"] else None
    time = None
    if options["limits"] is not None:
        time = count.roofline(
            Limits.load(options["limits"]), 1 if options["threads"] is None else options["threads"]
        )
    return Figures(count, symbols, time)


def _slots(layer: Any, options: dict[str, Any]) -> list[int] | None:
    if not isinstance(layer, complexity.NaryTreeLSTM):
        return None
    slots: list[int] | None = options["slots"]
    return slots or [0] * len(options["parents"] or [-1])


def _shown(figures: Sequence[Figures], form: str | None) -> str:
    counts = [f.count for f in figures]
    if form == "json":
        return json.dumps([f.to_dict() for f in figures], indent=1)
    if form == "csv":
        names = [c.layer for c in counts]
        rows = rows_of(counts)
        times = [f.time.seconds if f.time else None for f in figures]
        return _csv(
            [["", *names], *([name, *values] for name, values in rows), ["least seconds", *times]]
        )
    parts = [of_counts(counts)]
    for k, f in enumerate(figures):
        if f.symbols:
            parts.append(f"({k + 1}) in symbols\n{f.symbols}")
        if f.time:
            t = f.time
            parts.append(
                f"({k + 1}) takes at least {1e6 * t.seconds:,.1f} us, bound by {t.bound}: "
                f"arithmetic {1e6 * t.arithmetic:,.1f} us, weights {1e6 * t.weights:,.1f} us"
            )
    return "\n\n".join(parts)


def _csv(rows: Sequence[Sequence[object]]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue().rstrip("\n")


def _published(form: str | None) -> str:
    rows = complexity.published()
    if form == "json":
        return json.dumps([row.to_dict() for row in rows], indent=1)
    header = ["paper", "network", "printed", "exact", "counted", "note", "agrees"]
    if form == "csv":
        return _csv([header, *([row.to_dict()[name] for name in header] for row in rows)])
    lines = [
        [f"{row.paper}: {row.network}", row.printed, f"{row.exact:,}", row.agrees, row.note]
        for row in rows
    ]
    bad = sum(row.agrees == "NO" for row in rows)
    table = plain(["", "printed", "exact", "agrees", "note"], lines)
    return (
        f"{table}\n\n{len(rows) - bad} of {len(rows)} rows agree. yes: the exact count rounds to "
        "the printed figure; nearly: it is less than one off in the figure's last digit"
    )
