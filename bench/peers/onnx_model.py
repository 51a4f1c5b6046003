"""The ONNX model of a case, with the layer's weights: what ONNX Runtime and OpenVINO run."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from measuring.problem import Problem

# Where each of ONNX's gates stands in torch's order: i o f c from i f g o, z r h from r z n.
GATE_ORDER = {"lstm": (0, 3, 1, 2), "gru": (1, 0, 2), "rnn": (0,)}
OPSET, IR_VERSION = 17, 9


def state_names(cell: str) -> list[str]:
    return ["h", "c"] if cell == "lstm" else ["h"]


class _Graph:
    def __init__(self) -> None:
        self.nodes: list[Any] = []
        self.constants: list[Any] = []

    def constant(self, name: str, value: NDArray[Any]) -> str:
        self.constants.append(numpy_helper.from_array(np.ascontiguousarray(value), name))
        return name

    def node(self, kind: str, inputs: list[str], outputs: list[str], **attributes: Any) -> str:
        self.nodes.append(helper.make_node(kind, inputs, outputs, **attributes))
        return outputs[0]


def build(problem: Problem) -> bytes:
    """Inputs: x (T, B, I); lengths (B,) int32 if ragged; for streaming h (and c). Output: y.

    For streaming the new state comes out too, as h_next (and c_next). All shapes are fixed.
    """
    case = problem.case
    t, b, h, d = case.seq_len, case.batch, case.hidden_size, case.directions
    streaming = case.group == "streaming"
    graph = _Graph()
    inputs = [helper.make_tensor_value_info("x", TensorProto.FLOAT, [t, b, case.input_size])]
    outputs = [helper.make_tensor_value_info("y", TensorProto.FLOAT, [t, b, d * h])]
    lengths = ""
    if case.lengths:
        lengths = "lengths"
        inputs.append(helper.make_tensor_value_info(lengths, TensorProto.INT32, [b]))
    states = state_names(case.cell) if streaming else []
    for name in states:
        inputs.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, b, h]))
        outputs.append(helper.make_tensor_value_info(f"{name}_next", TensorProto.FLOAT, [1, b, h]))
    attributes: dict[str, Any] = {"hidden_size": h}
    if d == 2:
        attributes["direction"] = "bidirectional"
    if case.cell == "gru":
        attributes["linear_before_reset"] = 1

    shape = graph.constant("shape", np.array([t, b, d * h], np.int64))
    x = "x"
    for k in range(case.num_layers):
        weights = [graph.constant(f"{n}{k}", w) for n, w in _weights(problem, k).items()]
        y = graph.node(
            case.cell.upper(),
            [x, *weights, lengths, *states],
            [f"steps{k}", *(f"{name}_next" for name in states)],
            **attributes,
        )  # (T, D, B, H)
        if d == 2:
            y = graph.node("Transpose", [y], [f"ordered{k}"], perm=[0, 2, 1, 3])
        x = graph.node("Reshape", [y, shape], ["y" if k == case.num_layers - 1 else f"y{k}"])
    proto = helper.make_model(
        helper.make_graph(graph.nodes, case.cell, inputs, outputs, graph.constants),
        opset_imports=[helper.make_opsetid("", OPSET)],
        ir_version=IR_VERSION,
    )
    return bytes(proto.SerializeToString())


def _weights(problem: Problem, k: int) -> dict[str, NDArray[np.float32]]:
    """W (D, gates H, input), R (D, gates H, H) and B (D, 2 gates H) of one layer."""
    case = problem.case
    order = list(GATE_ORDER[case.cell])

    def gates(name: str, suffix: str) -> NDArray[np.float32]:
        w = np.array(problem.layer.weights[f"{name}_l{k}{suffix}"])
        blocks = w.reshape(len(order), case.hidden_size, -1)[order]
        return blocks.reshape(w.shape)

    suffixes = ["", "_reverse"][: case.directions]
    biases = [[gates(f"bias_{kind}", s) for kind in ("ih", "hh")] for s in suffixes]
    return {
        "W": np.stack([gates("weight_ih", s) for s in suffixes]),
        "R": np.stack([gates("weight_hh", s) for s in suffixes]),
        "B": np.stack([np.concatenate(pair) for pair in biases]),
    }
