"""Losses, optimizers and large vocabularies against PyTorch or what the machine allows.

python bench/losses.py [--seconds 3] [--only ctc adam]

Each row is a training step, or a part of one. Ours and the other's take turns. A row's ratio is the
other's time over ours; where it is below what it is held to, that stands beside it. Without PyTorch
its rows have our time only.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
from rich.console import Console

import gru_native
from gru_native import decoding, losses, optim
from measuring import machine, native, placement, timing
from measuring.problem import Array, Outputs, Runner
from measuring.table import Table, number

try:
    import torch

    from peers import torch_decoder
except ImportError:
    torch = None  # type: ignore[assignment]

Call = Callable[[], object]


@dataclass(frozen=True)
class Row:
    """Ours, and what it is compared with."""

    name: str
    ours: Call
    against: str
    other: Call | None
    held_to: float | None = None  # the other's time over ours
    of_other: float = 1.0  # so many times the other's call is what ours is compared with


def normal(*shape: int) -> Array:
    return np.random.default_rng(1).standard_normal(shape, np.float32)


def ctc(threads: int) -> Iterator[Row]:
    """Loss and gradient by the logits."""
    steps, batch, classes, labels = 200, 32, 100, 40
    logits = normal(steps, batch, classes)
    targets = np.random.default_rng(2).integers(1, classes, (batch, labels))
    lengths = np.full(batch, steps), np.full(batch, labels)

    def call() -> tuple[Array, Array]:
        return losses.ctc(logits, targets, *lengths)

    other = None
    if torch:
        leaf = torch.from_numpy(logits).requires_grad_()
        right = torch.from_numpy(targets)
        inputs, outputs = torch.full((batch,), steps), torch.full((batch,), labels)

        def other() -> object:
            log_p = torch.log_softmax(leaf, 2)
            loss = torch.nn.functional.ctc_loss(log_p, right, inputs, outputs, reduction="sum")
            return torch.autograd.grad(loss, leaf)

        difference = np.abs(call()[1] - other()[0].numpy()).max()
        if not difference < 1e-3:  # PyTorch's sums are in float32
            raise SystemExit(f"CTC: gradients differ by {difference:.2g}. Stopped.")
    name = f"CTC, {steps} steps x {batch}, {classes} classes, {labels} labels"
    yield Row(name, call, "PyTorch", other, 3.0)


def transducer(threads: int) -> Iterator[Row]:
    """PyTorch has none of its own."""
    batch, steps, labels, classes = 8, 100, 20, 100
    logits = normal(batch, steps, labels + 1, classes)
    targets = np.random.default_rng(2).integers(1, classes, (batch, labels))
    lengths = np.full(batch, steps), np.full(batch, labels)
    name = f"transducer, {batch} x {steps} steps, {labels} labels, {classes} classes"
    yield Row(name, lambda: losses.transducer(logits, targets, *lengths), "", None)


def cross_entropy(threads: int) -> Iterator[Row]:
    rows, classes = 1024, 4000
    logits = normal(rows, classes)
    targets = np.random.default_rng(2).integers(0, classes, rows)
    other = None
    if torch:
        leaf = torch.from_numpy(logits).requires_grad_()
        right = torch.from_numpy(targets)

        def other() -> object:
            return torch.autograd.grad(torch.nn.functional.cross_entropy(leaf, right), leaf)

    name = f"cross-entropy, {rows} rows, {classes} classes"
    yield Row(name, lambda: losses.cross_entropy(logits, targets), "PyTorch", other)


def adam(threads: int) -> Iterator[Row]:
    """A step reads four arrays (weights, gradient, two means) and writes three.

    The memory's rate is that of a sum in place, which reads two arrays and writes one, each thread
    a part of them; they are as large as the four of the step together. The tree's weights are used
    as they are; a dense layer also packs its own.
    """
    numbers = 10_000_000
    streams, of_sum = 7, 2 * 3
    terms = [np.ones(2 * numbers, np.float32) for _ in range(2)]
    parts = [(a, b) for a, b in zip(*(np.array_split(t, threads) for t in terms), strict=True)]
    pool = ThreadPoolExecutor(threads)

    def memory() -> object:
        return list(pool.map(lambda part: np.add(part[0], part[1], out=part[0]), parts))

    for name, layer in (
        ("Adam, 10 M weights", losses.TreeSoftmax(1000, 10_001, bias=False, seed=1)),
        ("the same, and packed anew", gru_native.Dense(1000, 10_000, bias=False, seed=1)),
    ):
        optimizer = optim.Adam(layer)
        grads = {"weight": normal(*layer.weights["weight"].shape)}
        held_to = None if "packed" in name else 1 / 1.3
        yield Row(
            name,
            lambda optimizer=optimizer, grads=grads: optimizer.step(grads),
            "memory",
            memory,
            held_to,
            streams / of_sum,
        )
    if torch:
        weight = torch.nn.Parameter(torch.ones(numbers))
        weight.grad = torch.from_numpy(normal(numbers))
        fused = torch.optim.Adam([weight], fused=True)
        layer = losses.TreeSoftmax(1000, 10_001, bias=False, seed=1)
        optimizer = optim.Adam(layer)
        grads = {"weight": normal(*layer.weights["weight"].shape)}
        yield Row("Adam, 10 M weights", lambda: optimizer.step(grads), "PyTorch, fused", fused.step)


def sampled(threads: int) -> Iterator[Row]:
    """Forward, backward and a step of Adam, against the same with the softmax over all words."""
    words, columns, samples = 100_000, 256, 500
    x = normal(32 * 35, columns)
    targets = np.random.default_rng(2).integers(0, words, len(x))

    def full() -> Call:
        dense = gru_native.Dense(columns, words, seed=1)
        optimizer = optim.Adam(dense)

        def step() -> object:
            logits, tape = dense.forward(x)
            _, dlogits = losses.cross_entropy(logits, targets)
            return optimizer.step(dense.backward(tape, dlogits))

        return step

    other = full()
    kinds: dict[str, tuple[losses.SampledSoftmax, float | None]] = {
        f"sampled softmax, {samples} of {words:,} words": (
            losses.SampledSoftmax(columns, words, samples, seed=1),
            20.0,
        ),
        f"noise-contrastive, {samples} of {words:,} words": (
            losses.NoiseContrastive(columns, words, samples, seed=1),
            None,
        ),
        f"classes, {words:,} words": (losses.ClassSoftmax(columns, words, seed=1), None),
        f"tree, {words:,} words": (losses.TreeSoftmax(columns, words, seed=1), None),
    }
    for name, (layer, held_to) in kinds.items():
        optimizer = optim.Adam(layer)

        def step(layer=layer, optimizer=optimizer) -> object:
            _, tape = layer.forward(x, targets)
            return optimizer.step(layer.backward(tape))

        yield Row(name, step, "full softmax", other, held_to)


def decoder(threads: int) -> Iterator[Row]:
    """A GRU with additive attention, forward, loss and backward; then a step of Adam, too."""
    ours, memory, targets = of_decoder()
    expected = np.roll(targets, -1, 0)
    optimizer = optim.Adam(ours)

    def gradients() -> dict[str, Array]:
        logits, _, tape = ours.forward(targets, memory)
        _, dlogits = losses.cross_entropy(logits, expected)
        return ours.backward(tape, dlogits).weights

    other = step = None
    if torch:
        theirs = torch_decoder.Decoder(ours)
        h = torch.from_numpy(memory.transpose(1, 0, 2).copy())
        fed, right = torch.from_numpy(targets), torch.from_numpy(expected.copy())
        fused = torch.optim.Adam(theirs.parameters(), fused=True)

        def other() -> object:
            theirs.zero_grad()
            logits = theirs(fed, h)
            torch.nn.functional.cross_entropy(logits.flatten(0, 1), right.flatten()).backward()
            return theirs.output.weight.grad

        def step() -> object:
            other()
            return fused.step()

        difference = np.abs(gradients()["weight_output"] - other().numpy()).max()
        if not difference < 1e-6:
            raise SystemExit(f"decoder: gradients differ by {difference:.2g}. Stopped.")
    yield Row("decoder, forward and backward", gradients, "PyTorch", other)
    yield Row("the same and Adam", lambda: optimizer.step(gradients()), "PyTorch", step, 3.0)


def generation(threads: int) -> Iterator[Row]:
    """The same decoder by itself: as many steps, none of which ends a sequence."""
    ours, memory, targets = of_decoder()
    with ours.editing() as weights:
        weights["bias_output"][0] = -1e9
    start, steps = 1, len(targets)
    if torch:
        theirs = torch_decoder.Decoder(ours)
        h = torch.from_numpy(memory.transpose(1, 0, 2).copy())
    for beam, name in ((1, "greedy"), (8, "beam of 8")):

        def call(beam: int = beam) -> list[list[decoding.Hypothesis]]:
            return ours.generate(memory, start=start, end=0, max_steps=steps, beam_size=beam)

        other = None
        if torch:

            def other(beam: int = beam) -> Array:
                return theirs.generate(h, start, steps, beam)

            same = np.mean(
                [np.array_equal(a[0].ids, b) for a, b in zip(call(), other(), strict=True)]
            )
            if same < 0.9:  # equal but for sums in another order
                raise SystemExit(f"{name}: {same:.0%} of the sequences are the same. Stopped.")
        yield Row(f"generation, {name}", call, "PyTorch", other, 10.0)


def of_decoder() -> tuple[gru_native.AttentionDecoder, Array, Array]:
    """A decoder, a memory and tokens: 32 sequences, 40 positions, 30 steps."""
    words, size, batch = 4000, 256, 32
    ours = gru_native.AttentionDecoder(words, size, size, size, cell="gru", seed=1)
    return ours, normal(40, batch, size), np.random.default_rng(2).integers(1, words, (30, batch))


# What there is to measure; a new subject is a function here.
SUBJECTS: dict[str, Callable[[int], Iterator[Row]]] = {
    "ctc": ctc,
    "transducer": transducer,
    "cross_entropy": cross_entropy,
    "adam": adam,
    "sampled": sampled,
    "decoder": decoder,
    "generation": generation,
}


def runner(name: str, threads: int, call: Call) -> Runner:
    @contextmanager
    def around() -> Iterator[None]:
        gru_native.set_num_threads(threads)
        if torch:
            torch.set_num_threads(threads)
        yield

    def outputs() -> Outputs:
        return {}

    return Runner(name, threads, call, outputs, around)


def line_of(
    row: Row, threads: int, seconds: float, rounds: int, ready: timing.Ready
) -> tuple[str, ...]:
    runners = [runner("ours", threads, row.ours)]
    if row.other:
        runners.append(runner(row.against, threads, row.other))
    times = [t.median for t in timing.measure(runners, seconds, rounds, ready=ready)]
    other = ratio = "-"
    if row.other:
        compared = times[1] * row.of_other
        other = f"{row.against}: {number(1e3 * compared)}"
        ratio = number(compared / times[0], "x")
        if row.held_to and compared / times[0] < row.held_to:
            ratio += f" of {row.held_to:.2g}x"
    return row.name, number(1e3 * times[0]), other, ratio


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seconds", type=float, default=3.0, help="to spend on each row")
    parser.add_argument("--rounds", type=int, default=3, help="at least so many of each row")
    parser.add_argument("--threads", type=int, default=machine.cores())
    parser.add_argument("--only", nargs="+", default=list(SUBJECTS), choices=list(SUBJECTS))
    given = parser.parse_args(argv)
    console = Console(width=160)
    where, note = None, ""
    try:
        native.build()
        where = placement.Placement()
    except native.BuildError as error:
        note = f"measured wherever the processors just were: {error}"
    ready = where.wait if where else lambda: None
    lines = [
        line_of(row, given.threads, given.seconds, given.rounds, ready)
        for subject in given.only
        for row in SUBJECTS[subject](given.threads)
    ]
    versions = {"PyTorch": str(torch.__version__)} if torch else {}
    console.print(machine.line(machine.describe(versions)) + f"; {given.threads} threads.")
    header = ("ms a call", "gru_native", "compared with", "ratio")
    console.print(Table("Losses and optimizers", header, lines).rich())
    if note:
        console.print(f"- {note}", highlight=False, markup=False)
    if where:
        console.print(where.note())
        where.close()
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
