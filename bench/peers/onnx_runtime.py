"""ONNX Runtime: one session a case and thread count, inputs and outputs bound beforehand."""

from __future__ import annotations

from itertools import cycle

import numpy as np
import onnxruntime

from measuring.problem import STREAMED_STEPS, NotSupportedError, Outputs, Problem, Runner
from peers import onnx_model

# The value has no copy: it points to the array, which somebody must keep.
from_numpy = onnxruntime.OrtValue.ortvalue_from_numpy


class OnnxRuntime:
    name = "ONNX Runtime"
    version = str(onnxruntime.__version__)

    def runner(self, problem: Problem, threads: int) -> Runner:
        if problem.case.kind == "training":
            raise NotSupportedError("the package onnxruntime has no training")
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
        options.log_severity_level = 3
        session = onnxruntime.InferenceSession(
            onnx_model.build(problem), options, providers=["CPUExecutionProvider"]
        )
        make = _streaming if problem.case.kind == "streaming" else inference
        made = make(problem, session)
        made.library, made.threads = self.name, threads
        return made


def inference(problem: Problem, session: onnxruntime.InferenceSession) -> Runner:
    binding = session.io_binding()
    values = {"x": from_numpy(problem.x), "y": from_numpy(np.zeros_like(problem.dy))}
    binding.bind_ortvalue_input("x", values["x"])
    binding.bind_ortvalue_output("y", values["y"])
    if problem.lengths is not None:
        values["lengths"] = from_numpy(problem.lengths.astype(np.int32))
        binding.bind_ortvalue_input("lengths", values["lengths"])

    def call() -> None:
        session.run_with_iobinding(binding)

    def outputs() -> Outputs:
        call()
        return {"y": np.array(values["y"].numpy())}

    return Runner("", 0, call, outputs, keep=values)


def _streaming(problem: Problem, session: onnxruntime.InferenceSession) -> Runner:
    """Two bindings in turn: what one writes as its new state, the other reads."""
    case = problem.case
    names = onnx_model.state_names(case.cell)
    zeros = np.zeros((1, 1, case.hidden_size), np.float32)
    x, y = from_numpy(problem.x), from_numpy(np.zeros_like(problem.dy))
    states = [[from_numpy(zeros.copy()) for _ in names] for _ in range(2)]
    bindings = []
    for before, after in (states, states[::-1]):
        binding = session.io_binding()
        binding.bind_ortvalue_input("x", x)
        binding.bind_ortvalue_output("y", y)
        for name, old, new in zip(names, before, after, strict=True):
            binding.bind_ortvalue_input(name, old)
            binding.bind_ortvalue_output(f"{name}_next", new)
        bindings.append(binding)
    in_turn = cycle(bindings)

    def call() -> None:
        session.run_with_iobinding(next(in_turn))

    def outputs() -> Outputs:
        steps = []
        for value in states[0]:
            value.update_inplace(zeros)
        for _ in range(2 * STREAMED_STEPS):  # an even number: the next call reads states[0] again
            call()
            steps.append(np.array(y.numpy())[0, 0])
        return {"y": np.stack(steps[:STREAMED_STEPS])}

    return Runner("", 0, call, outputs, keep=(x, y, states))


def make() -> OnnxRuntime:
    return OnnxRuntime()
