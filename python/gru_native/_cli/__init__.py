"""The command ``gru-native``, which ``python -m gru_native`` is, too."""

from __future__ import annotations

import argparse
import io
import sys
from collections.abc import Sequence

from .. import __version__
from . import count, count_options, demo, folders
from .errors import Failure, UnusableArgument


def main(argv: Sequence[str] | None = None, *, prog: str = "gru-native") -> int:
    """Run the command line.

    Parameters
    ----------
    argv : sequence of str, optional
        The arguments; None means those of the process.
    prog : str, optional
        What the command is called in its help and its errors.

    Returns
    -------
    int
        The exit code: 0, 1 for a failure, 2 for unusable arguments.

    Raises
    ------
    SystemExit
        After ``--help`` and ``--version``, and for a command line that cannot be parsed.
    """
    parser = _parser(prog)
    arguments = sys.argv[1:] if argv is None else list(argv)
    parts = count_options.split(arguments) if arguments[:1] == ["count"] else [arguments]
    networks = [vars(parser.parse_args(part)) for part in parts]
    command, asked = networks[0].pop("command"), networks[0].pop("folders")
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # a text may hold what the terminal cannot show
    try:
        if (command is None) == (asked is None):
            parser.error(f"expected either a COMMAND (count, demo) or {folders.expected()}")
        if command is None:
            return folders.run(asked)
        return count.run(networks) if command == "count" else demo.run(demo.Options(**networks[0]))
    except (UnusableArgument, Failure) as error:
        print(f"{' '.join([prog, *filter(None, [command])])}: {error}", file=sys.stderr)
        return 2 if isinstance(error, UnusableArgument) else 1


def _parser(prog: str) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog=prog, description="RNN, LSTM and GRU networks on CPUs.")
    parser.add_argument("--version", action="version", version=f"gru_native {__version__}")
    folders.add_to(parser)
    commands = parser.add_subparsers(metavar="COMMAND", dest="command")
    count_options.add_to(commands)
    demo.add_to(commands)
    return parser
