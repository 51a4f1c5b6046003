"""``gru-native demo NAME``: the programs of python/examples, which come with the package."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

from .errors import Failure, NoReader
from .streams import say

SYSTEMS = {
    "pronounce": "English words to phonemes, by an encoder-decoder with attention; 2 minutes",
    "translate": "English into another language, by three encoders side by side; 6 minutes",
    "vocabulary": "the next of many thousand words, by five kinds of softmax; 6 minutes",
    "forecast": "what comes next in two series, by seven methods side by side; 3 minutes",
    "classify": "which of 24 languages a line is in, by the last state and by the mean; 2 minutes",
    "tag": "capitals and punctuation for a text without, by a GRU in two directions; 2 minutes",
    "trees": "what Boolean expressions are worth, and how related, by a Tree-LSTM; 1 minute",
    "graphs": "whether a path leads from node to node, by a gated graph network; 1 minute",
    "reber": "strings in an endless stream, by LSTMs with and without forget gate; 1 minute",
    "gates": "how a sequence is put together, by gated recursive convolution; 2 minutes",
    "acoustic": "which phoneme is being said: LSTMP, LSTM, RNN and DNN; needs espeak-ng; 4 minutes",
    "recognise": "what is being said: deep LSTMs with CTC, and a transducer; espeak-ng; 6 minutes",
    "lips": "what is being said, by looking and by listening in noise; espeak-ng; 6 minutes",
    "cldnn": "which phoneme is being said: convolutions, LSTM and dense layers in one; 6 minutes",
}


def chosen(arguments: list[str]) -> str | None:
    """The system that a command line asks for, if it does."""
    if arguments[:1] != ["demo"] or len(arguments) < 2 or arguments[1].startswith("-"):
        return None
    return arguments[1]


def show() -> int:
    """A line for each."""
    say("characters  a language model of English text, the demo without a name; 1 minute")
    for name, line in SYSTEMS.items():
        say(f"{name:10}  {line}")
    return 0


def run(name: str, arguments: list[str]) -> int:
    """The program, and its exit code. Raises Failure and NoReader."""
    if name not in SYSTEMS:
        known = ", ".join(("characters", *SYSTEMS))
        raise Failure(f"there is no demo {name!r}; expected one of {known}")
    sys.path.insert(0, str(_folder()))
    common, system = importlib.import_module("common"), importlib.import_module(name)
    try:
        own = getattr(system, "OPTIONS", None)
        code: int = common.main(system.run, system.NAME, system.MINUTES, arguments, own)
    except BrokenPipeError:
        raise NoReader from None
    return code


def _folder() -> Path:
    package = Path(__file__).resolve().parents[1]
    for folder in (package / "examples", package.parent / "examples"):  # installed; in a clone
        if (folder / "common.py").is_file():
            return folder
    raise Failure("the examples are not installed; they are in python/examples of a clone")
