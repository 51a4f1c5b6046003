"""Standard output and error, which may be closed pipes or full disks."""

from __future__ import annotations

import os
import sys
from typing import TextIO

from .errors import Failure, NoReader


def say(*lines: str, end: str = "\n") -> None:
    """Print lines on standard output, at once: who reads the first one gets them all.

    Raises NoReader where it is a closed pipe, and Failure where it cannot be written.
    """
    try:
        print("\n".join(lines) + end, end="", flush=True)
    except BrokenPipeError:
        _leave(sys.stdout)
        raise NoReader from None
    except OSError as error:
        _leave(sys.stdout)
        raise Failure(f"standard output: {error.strerror}") from None


def complain(text: str) -> None:
    """Print a text on standard error, if it can be written: no work ends because it cannot."""
    if sys.stderr is None:  # which print would take for standard output
        return
    try:
        print(text, file=sys.stderr, flush=True)
    except OSError:
        _leave(sys.stderr)


def _leave(stream: TextIO) -> None:
    """Let the stream lead nowhere: Python writes the rest of its buffer at the process's end."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, stream.fileno())
    os.close(nowhere)
