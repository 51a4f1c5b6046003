"""The peers at int8 and bf16, each as its own documentation says: what they offer, at its best.

PyTorch: dynamic quantization of LSTM and GRU, and modules in bfloat16. ONNX Runtime: its own
quantizer, which has the LSTM but no GRU. OpenVINO: bfloat16 by its hint; int8 only with data to
calibrate on, and not for recurrent layers.
"""

from __future__ import annotations

import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx

from measuring.problem import NotSupportedError, Problem, Runner
from peers import onnx_model


@dataclass(frozen=True)
class LowPrecision:
    """A peer at one precision."""

    name: str
    version: str
    precision: str

    def runner(self, problem: Problem, threads: int) -> Runner:
        """Ready to be timed; raises NotSupportedError where it has no such layer."""
        make = {"PyTorch": _pytorch, "ONNX Runtime": _onnx_runtime, "OpenVINO": _openvino}
        made = make[self.name](problem, self.precision, threads)
        made.library, made.threads = self.name, threads
        return made


def _pytorch(problem: Problem, precision: str, threads: int) -> Runner:
    import torch

    from peers import pytorch

    model = pytorch.model_of(problem)
    x = torch.from_numpy(problem.x)
    if precision == "bf16":
        model, x = model.to(torch.bfloat16), x.to(torch.bfloat16)
    else:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # deprecated, but all there is
            wrapped = torch.ao.quantization.quantize_dynamic(
                torch.nn.ModuleList([model]), {torch.nn.LSTM, torch.nn.GRU}, dtype=torch.qint8
            )
        model = wrapped[0]

    @contextmanager
    def around() -> Iterator[None]:
        torch.set_num_threads(threads)
        with torch.inference_mode():
            yield

    made = Runner("", 0, lambda: model(x), lambda: {"y": model(x)[0].float().numpy()})
    made.around = around
    return made


def _onnx_runtime(problem: Problem, precision: str, threads: int) -> Runner:
    import onnxruntime
    from onnxruntime.quantization import QuantType, quantize_dynamic

    from peers import onnx_runtime

    if precision == "bf16":
        raise NotSupportedError("it has no recurrent layers in bfloat16 on CPUs")
    if problem.case.cell == "gru":
        raise NotSupportedError("its quantizer has no GRU")
    with tempfile.TemporaryDirectory() as folder:
        model, quantized = Path(folder, "float.onnx"), Path(folder, "int8.onnx")
        model.write_bytes(onnx_model.build(problem))
        quantize_dynamic(model, quantized, per_channel=True, weight_type=QuantType.QInt8)
        proto = onnx.load(quantized)
    if not any(node.op_type == "DynamicQuantizeLSTM" for node in proto.graph.node):
        raise NotSupportedError("its quantizer left the layer in float32")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(
        proto.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    return onnx_runtime.inference(problem, session)


def _openvino(problem: Problem, precision: str, threads: int) -> Runner:
    import openvino

    from peers import openvino as peer

    if precision == "int8":
        raise NotSupportedError("int8 needs data to calibrate on")
    compiled = openvino.Core().compile_model(
        openvino.Core().read_model(onnx_model.build(problem)),
        "CPU",
        {
            "PERFORMANCE_HINT": "LATENCY",
            "NUM_STREAMS": 1,
            "INFERENCE_NUM_THREADS": threads,
            "INFERENCE_PRECISION_HINT": "bf16",
        },
    )
    made = peer.inference(problem, compiled)
    call, outputs = made.call, made.outputs
    made.outputs = lambda: {"y": np.asarray(outputs()["y"], np.float32)}
    made.call = call
    return made
