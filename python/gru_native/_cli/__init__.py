"""The command ``gru-native``, which ``python -m gru_native`` is, too."""

from __future__ import annotations

import argparse
import io
import sys
from collections.abc import Sequence
from typing import Any, NoReturn

from .. import __version__
from . import count, count_options, demo, folders, systems
from .errors import Failure, NoReader, UnusableArgument
from .streams import complain, say

# Exit codes, as the shell has them for a process that these signals end.
INTERRUPTED = 128 + 2
NO_READER = 128 + 13


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
        The exit code: 0, 1 for a failure (also of standard output, such as a full disk), 2 for
        unusable arguments, 130 after Ctrl-C, 141 if nobody reads standard output any more.

    Raises
    ------
    SystemExit
        After ``--help`` and ``--version``, and for a command line that cannot be parsed.
    """
    parser = _parser(prog)
    arguments = sys.argv[1:] if argv is None else list(argv)
    name = " ".join([prog, *(a for a in arguments[:1] if a in ("count", "demo"))])
    try:
        return _run(parser, arguments)
    except (UnusableArgument, Failure) as error:
        complain(f"{name}: {error}")
        return 2 if isinstance(error, UnusableArgument) else 1
    except NoReader:
        return NO_READER
    except KeyboardInterrupt:
        return INTERRUPTED


def _run(parser: argparse.ArgumentParser, arguments: list[str]) -> int:
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # a text may hold what the terminal cannot show
    name = systems.chosen(arguments)
    if name == "characters":
        arguments = ["demo", *arguments[2:]]
    elif name is not None:
        return systems.run(name, arguments[2:])
    parts = count_options.split(arguments) if arguments[:1] == ["count"] else [arguments]
    networks = [vars(parser.parse_args(part)) for part in parts]
    command, asked = networks[0].pop("command"), networks[0].pop("folders")
    if (command is None) == (asked is None):
        parser.error(f"expected either a COMMAND (count, demo) or {folders.expected()}")
    if command is None:
        return folders.run(asked)
    if command == "count":
        return count.run(networks)
    if networks[0].pop("list"):
        return systems.show()
    return demo.run(demo.Options(**networks[0]))


class _Parser(argparse.ArgumentParser):
    """One that notices a standard output or error that cannot be written."""

    def print_help(self, file: Any = None) -> None:
        say(self.format_help(), end="") if file is None else super().print_help(file)

    def error(self, message: str) -> NoReturn:
        complain(f"{self.format_usage()}{self.prog}: error: {message}")
        self.exit(2)


class _Version(argparse.Action):
    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> NoReturn:
        say(f"gru_native {__version__}")
        parser.exit()


def _parser(prog: str) -> argparse.ArgumentParser:
    description = "RNN, LSTM and GRU networks on CPUs."
    parser: argparse.ArgumentParser = _Parser(prog=prog, description=description)
    unused = argparse.SUPPRESS
    parser.add_argument(
        "--version", action=_Version, nargs=0, dest=unused, help="print the version and exit"
    )
    folders.add_to(parser)
    commands = parser.add_subparsers(metavar="COMMAND", dest="command")
    count_options.add_to(commands)
    demo.add_to(commands)
    return parser
