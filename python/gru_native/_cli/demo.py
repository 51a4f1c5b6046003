"""``gru-native demo``: train, measure, write, save, load, measure again."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from math import isclose
from pathlib import Path
from time import perf_counter

import numpy as np

from .. import Chain, active_isa, get_num_threads, load, save
from ..files import safetensors
from .errors import UnusableArgument
from .model import CharacterModel, new_chain
from .progress import progress
from .text import Corpus, Indices, built_in_text, read_text
from .training import RATES, train

PROMPT = 200  # characters of the held-out text that the network writes on from
WRITTEN = 500  # characters
TEMPERATURE = 0.7  # below 1, the likely becomes likelier


@dataclass(frozen=True)
class Options:
    """The command's arguments."""

    cell: str
    hidden: int
    seconds: float
    steps: int | None
    text: Path | None
    seed: int
    out: Path


def run(options: Options) -> int:
    """The command, and its exit code. Raises UnusableArgument."""
    began = perf_counter()
    engine = _engine()
    _check_writable(options.out)
    corpus = Corpus.of(built_in_text() if options.text is None else read_text(options.text))
    chain = new_chain(options.cell, options.hidden, len(corpus.alphabet), options.seed)
    model, parameters = CharacterModel(chain, corpus.alphabet), chain.num_parameters
    print(
        f"{options.cell.upper()} with {options.hidden} units, {parameters:,} parameters, {engine}\n"
        f"{len(corpus.training):,} characters to learn from, {len(corpus.held_out):,} held out",
        flush=True,
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
    if trained.interrupted:
        print("training interrupted; going on with what has been learnt")
    bits = model.bits_per_character(corpus.held_out)
    print(f"\n{bits:.3f} bits per character on the held-out text. ", end="")
    _write(model, corpus.held_out[:PROMPT], options.seed)

    try:
        save(chain, options.out)
        loaded = load(options.out)
        assert isinstance(loaded, Chain)
        again = CharacterModel(loaded, corpus.alphabet).bits_per_character(corpus.held_out)
    except OSError as error:
        print(f"gru-native demo: {options.out}: {error.strerror}", file=sys.stderr)
        return 1
    if not isclose(again, bits, rel_tol=1e-6):
        print(
            f"gru-native demo: {options.out}: the network that was loaded gives {again:.6f} bits "
            f"per character, the one that was saved {bits:.6f}",
            file=sys.stderr,
        )
        return 1
    print(
        f"held-out text  {bits:.3f} bits per character, and again after saving and loading\n"
        f"training       {trained.characters / trained.seconds:,.0f} characters per second, "
        f"{trained.characters / len(corpus.training):.1f} times over the text\n"
        f"network        {options.cell}, {parameters:,} parameters\n"
        f"computed with  {engine}\n"
        f"time in total  {perf_counter() - began:.1f} s\n"
        f"file           {options.out} ({options.out.stat().st_size / 1e6:.1f} MB)"
    )
    return 0


def _engine() -> str:
    try:
        isa, threads = active_isa(), get_num_threads()
    except ValueError as error:  # the environment asks for what this machine lacks
        raise UnusableArgument(str(error)) from None
    return f"{isa}, {threads} thread{'s' if threads > 1 else ''}"


def _check_writable(path: Path) -> None:
    """UnusableArgument if the file could not be written, before long work is done for it."""
    try:
        safetensors()
    except ImportError as error:
        raise UnusableArgument(str(error)) from None
    if path.is_dir():
        raise UnusableArgument(f"--out {path}: is a folder; expected a file's name")
    if not path.parent.is_dir():
        raise UnusableArgument(f"--out {path}: there is no folder {path.parent}")
    if not os.access(path.parent, os.W_OK):
        raise UnusableArgument(f"--out {path}: the folder {path.parent} is not writable")


def _write(model: CharacterModel, prompt: Indices, seed: int) -> None:
    words = "".join(model.alphabet[i] for i in prompt).split()
    print(f'After "{" ".join(words[-6:])}" the network writes:\n')
    for character in model.write(prompt, WRITTEN, TEMPERATURE, np.random.default_rng(seed)):
        print(character, end="", flush=True)
    print("\n")
