"""``gru-native demo``: train, save, measure, write, load, measure again."""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from math import isclose
from pathlib import Path
from time import perf_counter

import numpy as np

from .. import Chain, active_isa, get_num_threads, load, save, set_num_threads
from .errors import Failure, UnusableArgument
from .model import CELLS, CharacterModel, new_chain
from .progress import progress
from .streams import say
from .text import Corpus, Indices, built_in_text, read_text
from .training import RATES, train

PROMPT = 200  # characters of the held-out text that the network writes on from
WRITTEN = 500  # characters
PRECISIONS = ("int8", "bf16")
TEMPERATURE = 0.7  # below 1, the likely becomes likelier


@dataclass(frozen=True)
class Options:
    """The command's arguments."""

    cell: str
    hidden: int
    seconds: float
    steps: int | None
    threads: int | None
    text: Path | None
    seed: int
    precision: str | None
    out: Path


def add_to(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """The command's parser."""
    command = commands.add_parser(
        "demo",
        help="train a network on English text, let it write, save it",
        description="Trains a network to predict the next character of a text, and saves it. "
        "Measures it on the end of the text, which it was not trained on. Lets it write, loads it "
        "again and measures it once more. Ctrl-C ends the training early, and the rest follows; a "
        "second Ctrl-C ends the command. With a NAME behind it, another system is trained: --list "
        "shows them, and NAME --help their options.",
    )
    add = command.add_argument
    add("--list", action="store_true", help="show the other demos, a line each")
    add("--cell", choices=CELLS, default="gru", help="the kind of network (default: gru)")
    add("--hidden", type=_whole(1, 8192), default=256, metavar="N", help="its units (default: 256)")
    length = command.add_mutually_exclusive_group()
    length.add_argument(
        "--seconds", type=_seconds, default=60.0, metavar="S", help="time to train (default: 60)"
    )
    length.add_argument(
        "--minutes",
        type=_minutes,
        dest="seconds",
        metavar="M",
        help="the same in minutes",
    )
    length.add_argument(
        "--quick", action="store_const", const=10.0, dest="seconds", help="train for 10 seconds"
    )
    length.add_argument(
        "--steps",
        type=_whole(1, 10**9),
        metavar="N",
        help="train for N updates instead: on one machine, one --seed then gives one network",
    )
    add(
        "--threads",
        type=_whole(1, 256),
        metavar="N",
        help="threads to compute with (default: all cores)",
    )
    add(
        "--text",
        type=Path,
        metavar="FILE",
        help="learn from this UTF-8 text (default: the manual that Python carries)",
    )
    add(
        "--seed",
        type=_whole(0, 2**32),
        default=0,
        metavar="N",
        help="of all random numbers (default: 0)",
    )
    add(
        "--precision",
        choices=PRECISIONS,
        help="after training in float32, quantize the weights, and measure and save the network so",
    )
    add(
        "--out",
        type=Path,
        metavar="FILE",
        default=Path("gru-native-demo.safetensors"),
        help="where to save the network (default: gru-native-demo.safetensors); a folder that "
        "exists gets characters.safetensors and result.json",
    )


def _whole(least: int, most: int) -> Callable[[str], int]:
    def whole_number(text: str) -> int:
        if not least <= int(text) <= most:
            raise argparse.ArgumentTypeError(f"{text} is not in {least} .. {most}")
        return int(text)

    return whole_number


def _seconds(text: str, of_one: float = 1) -> float:
    try:
        seconds = of_one * float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number") from None
    if not 0 < seconds < 1e6:
        raise argparse.ArgumentTypeError(f"{text} is not between 0 and {1e6 / of_one:.6g}")
    return seconds


def _minutes(text: str) -> float:
    return _seconds(text, 60)


def run(options: Options) -> int:
    """The command, and its exit code. Raises UnusableArgument and Failure."""
    began = perf_counter()
    if options.threads is not None:
        set_num_threads(options.threads)
    engine = _engine()
    folder = options.out if options.out.is_dir() else None
    if folder:
        options = replace(options, out=folder / "characters.safetensors")
    _check_writable(options.out)
    corpus = Corpus.of(built_in_text() if options.text is None else read_text(options.text))
    chain = new_chain(options.cell, options.hidden, len(corpus.alphabet), options.seed)
    model, parameters = CharacterModel(chain, corpus.alphabet), chain.num_parameters
    say(
        f"{options.cell.upper()} with {options.hidden} units, {parameters:,} parameters, {engine}",
        f"{len(corpus.training):,} characters to learn from, {len(corpus.held_out):,} held out",
    )
    with progress() as show:
        trained = train(
            model,
            corpus.training,
            seconds=options.seconds,
            steps=options.steps,
            rate=RATES[options.cell],
            seed=options.seed,
            show=show,
        )
    with _named(options.out):  # before anything else, which may be interrupted or end the command
        save(chain, options.out)
    if trained.interrupted:
        say("training interrupted; going on with what has been learnt")
    say(f"saved in {options.out}")
    bits = model.bits_per_character(corpus.held_out)
    if options.precision:
        model, full = _quantized(model, options), bits
        bits = model.bits_per_character(corpus.held_out)
        say(
            f"\n{full:.4f} bits per character on the held-out text in float32, "
            f"{bits:.4f} in {options.precision}: {bits / full - 1:+.3%}"
        )
    say(f"\n{bits:.3f} bits per character on the held-out text. ", end="")
    _write(model, corpus.held_out[:PROMPT], options.seed)

    with _named(options.out):
        loaded, size = load(options.out), options.out.stat().st_size
    assert isinstance(loaded, Chain)
    again = CharacterModel(loaded, corpus.alphabet).bits_per_character(corpus.held_out)
    if not isclose(again, bits, rel_tol=1e-6):
        raise Failure(
            f"{options.out}: the network that was loaded gives {again:.6f} bits per character, "
            f"the one that was saved {bits:.6f}"
        )
    if folder:
        with _named(folder / "result.json"):
            _keep_result(folder / "result.json", bits, corpus, options)
    say(
        f"held-out text  {bits:.3f} bits per character, and again after saving and loading",
        f"training       {trained.characters / trained.seconds:,.0f} characters per second, "
        f"{trained.characters / len(corpus.training):.1f} times over the text",
        f"network        {options.cell}, {parameters:,} parameters, {loaded.precision}",
        f"computed with  {engine}",
        f"time in total  {perf_counter() - began:.1f} s",
        f"file           {options.out} ({size / 1e6:.1f} MB)",
    )
    return 0


def _keep_result(path: Path, bits: float, corpus: Corpus, options: Options) -> None:
    """As the other demos leave it (python/examples/common.py)."""
    baseline, name = corpus.bits_of_pairs(), "bits per character"
    result = {
        "score": bits,
        "baseline": baseline,
        "higher_is_better": False,
        "table": [
            {"method": "pairs of characters", name: baseline},
            {"method": options.cell, name: bits},
        ],
        "options": vars(options),
    }
    path.write_text(json.dumps(result, indent=1, default=str) + "\n", encoding="utf-8")


def _quantized(model: CharacterModel, options: Options) -> CharacterModel:
    """Saved in the place of the network of float32."""
    assert options.precision
    try:
        chain = model.chain.quantize(options.precision)
    except ValueError as error:  # NaN, after a training that went wrong
        raise Failure(str(error)) from None
    with _named(options.out):
        save(chain, options.out)
    return CharacterModel(chain, model.alphabet)


@contextmanager
def _named(path: Path) -> Iterator[None]:
    """The operating system's errors in the block are a Failure that names the path."""
    try:
        yield
    except OSError as error:
        raise Failure(f"{path}: {error.strerror}") from None


def _engine() -> str:
    try:
        isa, threads = active_isa(), get_num_threads()
    except ValueError as error:  # the environment asks for what this machine lacks
        raise UnusableArgument(str(error)) from None
    return f"{isa}, {threads} thread{'s' if threads > 1 else ''}"


def _check_writable(path: Path) -> None:
    """UnusableArgument if the file could not be written, before long work is done for it."""
    if path.is_dir():
        raise UnusableArgument(f"--out {path.parent}: {path.name} in it is a folder")
    if not path.parent.is_dir():
        raise UnusableArgument(f"--out {path}: there is no folder {path.parent}")
    if not os.access(path.parent, os.W_OK):
        raise UnusableArgument(f"--out {path}: the folder {path.parent} is not writable")


def _write(model: CharacterModel, prompt: Indices, seed: int) -> None:
    words = "".join(model.alphabet[i] for i in prompt).split()
    say(f'After "{" ".join(words[-6:])}" the network writes:', "")
    for character in model.write(prompt, WRITTEN, TEMPERATURE, np.random.default_rng(seed)):
        say(character, end="")
    say("", "")
