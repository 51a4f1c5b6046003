"""``gru-native count``: parameters, arithmetic and memory of networks, exactly."""

from __future__ import annotations

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
from .count_options import (
    CELLS,
    GRAPHS,
    LAYER,
    OWN_OUTPUTS,
    PRINTED,
    SEQUENCES,
    TREES,
    option_of,
)
from .errors import UnusableArgument
from .streams import say


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
        say(_published(shown["form"]))
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
    say(_shown(figures, shown["form"]))
    return 0


def _known(cell: str) -> set[str]:
    """What may be said of a cell and of a call of it."""
    call = {"child-sum": TREES, "nary": (*TREES, "slots"), "graph": GRAPHS}.get(cell, SEQUENCES)
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
    for name in (*LAYER, *SEQUENCES, *TREES, "slots", *GRAPHS):
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
        count = complexity.count_tree(
            layer,
            options["parents"] or [-1],
            _slots(layer, options),
            precision=options["precision"],
        )
    elif isinstance(layer, complexity.GatedGraph):
        nodes, edges = options["nodes"], options["edges"]
        count = complexity.count_graph(
            layer,
            1 if nodes is None else nodes,
            0 if edges is None else edges,
            precision=options["precision"],
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
            precision=options["precision"],
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
