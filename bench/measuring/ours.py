"""gru_native, ready to be timed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np

import gru_native
from measuring.problem import OURS, STREAMED_STEPS, Outputs, Problem, Runner


def runner(problem: Problem, threads: int, library: str = OURS) -> Runner:
    @contextmanager
    def around() -> Iterator[None]:
        gru_native.set_num_threads(threads)
        yield

    makers = {"training": _training, "streaming": _streaming}
    made = makers.get(problem.case.kind, _inference)(problem)
    made.library, made.threads, made.around = library, threads, around
    return made


def _inference(problem: Problem) -> Runner:
    layer, x, lengths = problem.layer, problem.x, problem.lengths
    if lengths is None:
        return Runner("", 0, lambda: layer(x), lambda: {"y": layer(x)[0]})
    return Runner(
        "", 0, lambda: layer(x, lengths=lengths), lambda: {"y": layer(x, lengths=lengths)[0]}
    )


def _training(problem: Problem) -> Runner:
    layer, x, dy = problem.layer, problem.x, problem.dy

    def call() -> object:
        _, _, tape = layer.forward(x)
        return layer.backward(tape, dy)

    def outputs() -> Outputs:
        y, _, tape = layer.forward(x)
        gradients = layer.backward(tape, dy)
        return {"y": y, "gradient of x": gradients.x} | {
            f"gradient of {name}": g for name, g in gradients.weights.items()
        }

    return Runner("", 0, call, outputs)


def _streaming(problem: Problem) -> Runner:
    stream = problem.layer.stream()
    x = problem.x[0, 0]
    y = np.empty(problem.case.hidden_size, np.float32)

    def outputs() -> Outputs:
        stream.reset()
        return {"y": np.stack([stream(x, out=y).copy() for _ in range(STREAMED_STEPS)])}

    return Runner("", 0, lambda: stream(x, out=y), outputs)
