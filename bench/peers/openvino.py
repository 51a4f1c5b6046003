"""OpenVINO: the ONNX model compiled for latency, once a case and thread count."""

from __future__ import annotations

from itertools import cycle

import numpy as np
import openvino

from measuring.problem import STREAMED_STEPS, NotSupportedError, Outputs, Problem, Runner
from peers import onnx_model


class OpenVino:
    name = "OpenVINO"
    version = str(openvino.__version__).split("-")[0]

    def __init__(self) -> None:
        self._core = openvino.Core()

    def runner(self, problem: Problem, threads: int) -> Runner:
        if problem.case.kind == "training":
            raise NotSupportedError("it has no training")
        options = {
            "PERFORMANCE_HINT": "LATENCY",
            "NUM_STREAMS": 1,
            "INFERENCE_NUM_THREADS": threads,
            "INFERENCE_PRECISION_HINT": "f32",  # else bfloat16 where the CPU has it
        }
        try:
            model = self._core.read_model(onnx_model.build(problem))
            compiled = self._core.compile_model(model, "CPU", options)
        except RuntimeError as error:
            reason = str(error).strip().splitlines()[-1]
            raise NotSupportedError(f"{problem.case.label}: {reason}") from error
        make = _streaming if problem.case.kind == "streaming" else inference
        made = make(problem, compiled)
        made.library, made.threads = self.name, threads
        return made


def _shared(array: np.ndarray) -> openvino.Tensor:
    return openvino.Tensor(array, shared_memory=True)


def inference(problem: Problem, compiled: openvino.CompiledModel) -> Runner:
    request = compiled.create_infer_request()
    request.set_tensor("x", _shared(problem.x))
    if problem.lengths is not None:
        request.set_tensor("lengths", openvino.Tensor(problem.lengths.astype(np.int32)))

    def call() -> object:
        return request.infer(share_outputs=True)

    def outputs() -> Outputs:
        call()
        return {"y": np.array(request.get_tensor("y").data)}

    return Runner("", 0, call, outputs)


def _streaming(problem: Problem, compiled: openvino.CompiledModel) -> Runner:
    """Two requests in turn: what one writes as its new state, the other reads."""
    names = onnx_model.state_names(problem.case.cell)
    y = np.zeros_like(problem.dy)
    shape = (1, 1, problem.case.hidden_size)
    states = [[np.zeros(shape, np.float32) for _ in names] for _ in range(2)]
    requests = []
    for before, after in (states, states[::-1]):
        request = compiled.create_infer_request()
        request.set_tensor("x", _shared(problem.x))
        request.set_tensor("y", _shared(y))
        for name, old, new in zip(names, before, after, strict=True):
            request.set_tensor(name, _shared(old))
            request.set_tensor(f"{name}_next", _shared(new))
        requests.append(request)
    in_turn = cycle(requests)

    def call() -> object:
        return next(in_turn).infer(share_outputs=True)

    def outputs() -> Outputs:
        steps = []
        for value in states[0]:
            value[...] = 0
        for _ in range(2 * STREAMED_STEPS):  # an even number: the next call reads states[0] again
            call()
            steps.append(y[0, 0].copy())
        return {"y": np.stack(steps[:STREAMED_STEPS])}

    return Runner("", 0, call, outputs, keep=states)


def make() -> OpenVino:
    return OpenVino()
