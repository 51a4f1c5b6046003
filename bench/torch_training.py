"""Training steps through gru_native.torch and autograd, against direct calls of the core.

    python bench/torch_training.py [--budget SECONDS] [--threads N]

Rows are those of the benchmark's group "training". Each is timed as ``layer.forward`` and
``layer.backward`` on NumPy arrays; as the same through autograd; through autograd with weights that
change before every step, as an optimizer changes them; and, for comparison, as torch.nn. All take
turns. Outputs and gradients are compared before anything is timed. The last column is what an
autograd function that does nothing takes with the same tensors, right behind a direct step: a step
leaves little of PyTorch's and Python's own code in the caches.
"""

from __future__ import annotations

import argparse
import time
from typing import Any

import numpy as np
import torch

import gru_native
import gru_native.torch
from measuring import cases, ours, timing
from measuring.problem import Problem, Runner, compare
from peers.pytorch import model_of

WANTED = 1.10


def autograd(problem: Problem, model: torch.nn.RNNBase, change: bool = False) -> Runner:
    x = torch.from_numpy(problem.x).requires_grad_()
    dy = torch.from_numpy(problem.dy)
    names, weights = zip(*model.named_parameters(), strict=True)
    values = [w.detach() for w in weights]

    def call() -> object:
        if change:
            torch._foreach_mul_(values, -1.0)
        return torch.autograd.grad(model(x)[0], [x, *weights], dy)

    def outputs() -> dict[str, np.ndarray]:
        y, _ = model(x)
        found = torch.autograd.grad(y, [x, *weights], dy)
        keys = [f"gradient of {name}" for name in ("x", *names)]
        gradients = {key: g.numpy() for key, g in zip(keys, found, strict=True)}
        return {"y": y.detach().numpy()} | gradients

    return Runner("", 0, call, outputs)


class _Nothing(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, given: tuple[torch.Tensor, ...], *tensors: torch.Tensor) -> torch.Tensor:
        ctx.given = given
        return given[0].view_as(given[0])

    @staticmethod
    def backward(ctx: Any, dy: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        return None, *ctx.given[1:]


def nothing_behind(direct: Runner, problem: Problem, repeats: int = 30) -> float:
    """Seconds of an autograd function that does nothing, each behind a step: the median."""
    model = model_of(problem)
    dy = torch.from_numpy(problem.dy)
    tensors = [torch.from_numpy(problem.x).requires_grad_(), *model.parameters()]
    given = (torch.zeros_like(dy), *(torch.zeros_like(t) for t in tensors))
    seconds = []
    for _ in range(repeats):
        direct.call()
        begin = time.perf_counter()
        torch.autograd.grad(_Nothing.apply(given, *tensors), tensors, dy)
        seconds.append(time.perf_counter() - begin)
    return float(np.median(seconds))


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--budget", type=float, default=4.0, help="seconds for each row")
    parser.add_argument("--threads", type=int, default=gru_native.get_num_threads())
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    print(f"{options.threads} threads, microseconds a step")
    print(
        f"{'':28}{'direct':>9}{'autograd':>10}{'ratio':>7}{'changing':>10}{'torch.nn':>10}"
        f"{'nothing':>9}"
    )
    worst = 0.0
    for case in cases.grid(("training",), ("lstm", "gru"), quick=False):
        problem = Problem(case)
        direct = ours.runner(problem, options.threads)
        runners = [direct]
        for change in (False, True):
            model = gru_native.torch.accelerate(model_of(problem))
            runners.append(autograd(problem, model, change))
        runners.append(autograd(problem, model_of(problem)))
        reference = direct.outputs()
        for runner in runners[1:]:
            compare(reference, runner, case)
        times = [t.median * 1e6 for t in timing.measure(runners, options.budget, 3)]
        ratio = times[1] / times[0]
        worst = max(worst, ratio)
        print(
            f"{case.name:28}{times[0]:9.0f}{times[1]:10.0f}{ratio:7.2f}"
            f"{times[2]:10.0f}{times[3]:10.0f}{nothing_behind(direct, problem) * 1e6:9.0f}",
            flush=True,
        )
    print(f"largest ratio {worst:.2f}; wanted: at most {WANTED:.2f}")


if __name__ == "__main__":
    main()
