"""PyTorch: torch.nn under inference_mode, and autograd for training."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from measuring.problem import STREAMED_STEPS, Outputs, Problem, Runner


class PyTorch:
    name = "PyTorch"
    version = str(torch.__version__)

    def runner(self, problem: Problem, threads: int) -> Runner:
        training = problem.case.kind == "training"

        @contextmanager
        def around() -> Iterator[None]:
            torch.set_num_threads(threads)
            with torch.inference_mode(not training):
                yield

        makers = {"training": _training, "streaming": _streaming}
        make = _ragged if problem.lengths is not None else makers.get(problem.case.kind, _inference)
        made = make(problem, model_of(problem))
        made.library, made.threads, made.around = self.name, threads, around
        return made


def model_of(problem: Problem) -> torch.nn.RNNBase:
    case = problem.case
    kind = {"lstm": torch.nn.LSTM, "gru": torch.nn.GRU, "rnn": torch.nn.RNN}[case.cell]
    model: torch.nn.RNNBase = kind(
        case.input_size, case.hidden_size, case.num_layers, bidirectional=case.bidirectional
    )
    weights = {name: torch.tensor(np.array(w)) for name, w in problem.layer.weights.items()}
    model.load_state_dict(weights)
    return model.train(case.kind == "training")


def _inference(problem: Problem, model: torch.nn.RNNBase) -> Runner:
    x = torch.from_numpy(problem.x)
    return Runner("", 0, lambda: model(x), lambda: {"y": model(x)[0].numpy()})


def _ragged(problem: Problem, model: torch.nn.RNNBase) -> Runner:
    """On a PackedSequence that is packed, and sorted by length, before anything is timed."""
    x = torch.from_numpy(problem.x)
    packed = pack_padded_sequence(x, torch.tensor(problem.case.lengths), enforce_sorted=False)

    def outputs() -> Outputs:
        y, _ = pad_packed_sequence(model(packed)[0], total_length=problem.case.seq_len)
        return {"y": y.numpy()}

    return Runner("", 0, lambda: model(packed), outputs)


def _training(problem: Problem, model: torch.nn.RNNBase) -> Runner:
    x = torch.from_numpy(problem.x).requires_grad_()
    dy = torch.from_numpy(problem.dy)
    names, weights = zip(*model.named_parameters(), strict=True)

    def call() -> object:
        return torch.autograd.grad(model(x)[0], [x, *weights], dy)

    def outputs() -> Outputs:
        y, _ = model(x)
        gradients = torch.autograd.grad(y, [x, *weights], dy)
        keys = [f"gradient of {name}" for name in ("x", *names)]
        found = {key: g.numpy() for key, g in zip(keys, gradients, strict=True)}
        return {"y": y.detach().numpy()} | found

    return Runner("", 0, call, outputs)


def _streaming(problem: Problem, model: torch.nn.RNNBase) -> Runner:
    x = torch.from_numpy(problem.x)
    state = None

    def call() -> torch.Tensor:
        nonlocal state
        y: torch.Tensor
        y, state = model(x, state)
        return y

    def outputs() -> Outputs:
        nonlocal state
        state = None
        return {"y": np.stack([call().numpy()[0, 0] for _ in range(STREAMED_STEPS)])}

    return Runner("", 0, call, outputs)


def make() -> PyTorch:
    return PyTorch()
