"""A step in the audio thread: our streams, the same cells by hand with Eigen, and RTNeural.

python bench/audio.py [--rtneural FOLDER] [--rounds N]

One input, one thread, one sample a call or blocks of 64, with and without a dense layer behind the
cell. "Eigen": expressions of fixed sizes with Eigen's own tanh and logistic, compiled for this
machine. RTNeural's layers stand beside them where its folder is given, a clone of
https://github.com/jatinchowdhury18/RTNeural. Ratios are our time over theirs.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from rich.console import Console

from measuring import machine, native
from measuring.table import Table, number

# Our time over RTNeural's, at most.
ONE_HELD_TO, BLOCK_HELD_TO = 1.0, 0.75


def table(rows: list[dict[str, Any]], head: bool) -> Table:
    """A line for each cell and size, nanoseconds a step."""
    cells: dict[tuple[str, int], dict[str, dict[str, Any]]] = {}
    for row in rows:
        if row["head"] == head:
            cells.setdefault((row["cell"], row["hidden"]), {})[row["library"]] = row
    peers = [name for name in next(iter(cells.values())) if name != "gru_native"]
    header = ["", "one sample", "block"]
    for peer in peers:
        header += [peer, "its block", "one / its", "block / its"]
    lines = []
    for (cell, hidden), by in cells.items():
        ours = by["gru_native"]
        name = f"{cell.upper()} 1 -> {hidden}{' -> 1' if head else ''}"
        line = [name, number(ours["one"]), number(ours["block"])]
        for peer in peers:
            theirs = by[peer]
            ratios = ours["one"] / theirs["one"], ours["block"] / theirs["block"]
            line += [number(theirs["one"]), number(theirs["block"]), *map("{:.2f}".format, ratios)]
        lines.append(tuple(line))
    title = "a cell and a dense layer" if head else "a cell"
    return Table(f"{title}: nanoseconds a step", tuple(header), lines)


def misses(rows: list[dict[str, Any]]) -> list[str]:
    """Where we take longer than we are held to, beside RTNeural."""
    ours = {(r["cell"], r["hidden"], r["head"]): r for r in rows if r["library"] == "gru_native"}
    found = []
    for theirs in rows:
        if theirs["library"] != "RTNeural":
            continue
        own = ours[theirs["cell"], theirs["hidden"], theirs["head"]]
        for what, most in (("one", ONE_HELD_TO), ("block", BLOCK_HELD_TO)):
            if (ratio := own[what] / theirs[what]) > most:
                head = " with a head" if theirs["head"] else ""
                cell = f"{theirs['cell'].upper()} 1 -> {theirs['hidden']}{head}"
                found.append(f"{cell}, {what}: {ratio:.2f} of RTNeural's time; held to {most:g}")
    return found


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rtneural", type=Path, metavar="FOLDER", help="a clone of RTNeural")
    parser.add_argument("--rounds", type=int, default=15, help="interleaved (default %(default)s)")
    given = parser.parse_args()
    if given.rtneural and not (given.rtneural / "RTNeural" / "RTNeural.h").is_file():
        parser.error(f"--rtneural is {given.rtneural}; expected a folder with RTNeural/RTNeural.h")
    if given.rounds < 1:
        parser.error(f"--rounds is {given.rounds}; expected at least 1")
    console = Console(width=160)
    folder = str(given.rtneural.resolve()) if given.rtneural else ""
    try:
        with console.status("building the comparison"):
            native.build("audio", settings={"GRU_NATIVE_RTNEURAL": folder})
        result = native.run("audio", str(given.rounds))
    except native.BuildError as error:
        raise SystemExit(f"audio: {error}") from error
    console.print(machine.line(machine.describe({})))
    for head in (False, True):
        console.print(table(result["steps"], head).rich())
    for miss in misses(result["steps"]):
        console.print(miss)


if __name__ == "__main__":
    main()
