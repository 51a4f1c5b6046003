"""The command ``gru-native``."""

from __future__ import annotations

import argparse
import io
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from .. import __version__
from . import count, demo
from .errors import UnusableArgument
from .model import CELLS


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line. Returns the exit code: 0, 1 for a failure, 2 for unusable arguments."""
    parser = _parser()
    arguments = sys.argv[1:] if argv is None else list(argv)
    if arguments[:1] == ["count"]:
        networks = [vars(parser.parse_args(part)) for part in count.split(arguments)]
    else:
        options = vars(parser.parse_args(arguments))
        del options["command"]
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # a text may hold what the terminal cannot show
    try:
        if arguments[:1] == ["count"]:
            return count.run(networks)
        return demo.run(demo.Options(**options))
    except UnusableArgument as error:
        print(f"gru-native {arguments[0]}: {error}", file=sys.stderr)
        return 2


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="gru-native", description="RNN, LSTM and GRU networks on CPUs."
    )
    parser.add_argument("--version", action="version", version=f"gru_native {__version__}")
    commands = parser.add_subparsers(metavar="COMMAND", dest="command", required=True)
    count.add_to(commands)
    command = commands.add_parser(
        "demo",
        help="train a network on English text, let it write, save it",
        description="Trains a network to predict the next character of a text; measures it on the "
        "text's end, which it has not seen; lets it write; saves it, loads it again and measures "
        "again. Ctrl-C ends the training early and goes on with what has been learnt.",
    )
    add = command.add_argument
    add("--cell", choices=CELLS, default="gru", help="the kind of network (default: gru)")
    add("--hidden", type=_whole(1, 8192), default=256, metavar="N", help="its units (default: 256)")
    length = command.add_mutually_exclusive_group()
    length.add_argument(
        "--seconds", type=_seconds, default=60.0, metavar="S", help="time to train (default: 60)"
    )
    length.add_argument(
        "--steps",
        type=_whole(1, 10**9),
        metavar="N",
        help="train for N updates instead: on one machine, one --seed then gives one network",
    )
    add(
        "--text",
        type=Path,
        metavar="FILE",
        help="learn from this UTF-8 text (default: the manual that Python carries)",
    )
    add("--seed", type=_whole(0, 2**32), default=0, metavar="N", help="of all chance (default: 0)")
    add(
        "--out",
        type=Path,
        metavar="FILE",
        default=Path("gru-native-demo.safetensors"),
        help="where to save the network (default: gru-native-demo.safetensors)",
    )
    return parser


def _whole(least: int, most: int) -> Callable[[str], int]:
    def whole_number(text: str) -> int:
        if not least <= int(text) <= most:
            raise argparse.ArgumentTypeError(f"{text} is not in {least} .. {most}")
        return int(text)

    return whole_number


def _seconds(text: str) -> float:
    if not 0 < float(text) < 1e6:
        raise argparse.ArgumentTypeError(f"{text} is not between 0 and 1e6")
    return float(text)
