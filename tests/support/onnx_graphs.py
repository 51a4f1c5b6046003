"""Graphs of ONNX made of their nodes, for those with bodies."""

import numpy as np
from onnx import TensorProto, helper, numpy_helper

F, B = TensorProto.FLOAT, TensorProto.BOOL


def info(name, kind=F, shape=None):
    return helper.make_tensor_value_info(name, kind, shape)


def body(nodes, inputs, outputs, tensors=()):
    return helper.make_graph(
        nodes, "body", inputs, outputs, [numpy_helper.from_array(a, n) for n, a in tensors]
    )


def model(nodes, inputs, outputs, tensors=(), opset=17):
    graph = body(nodes, inputs, outputs, tensors)
    opsets = [helper.make_opsetid("", opset)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=8)


def with_lstm(weight="w"):
    """An If with an LSTM in one branch, whose weights are the outer graph's."""
    rng = np.random.default_rng(1)
    w = rng.standard_normal((1, 16, 3)).astype(np.float32)
    r = rng.standard_normal((1, 16, 4)).astype(np.float32)
    lstm = helper.make_node("LSTM", ["twice", weight, "r"], ["", "h"], "inner", hidden_size=4)
    other = helper.make_node("ReduceSum", ["x", "first"], ["s"], keepdims=0)
    tall = helper.make_node("Expand", ["s", "shape"], ["t"])
    return model(
        [
            helper.make_node("Add", ["x", "x"], ["twice"]),
            helper.make_node(
                "If",
                ["c"],
                ["y"],
                then_branch=body([lstm], [], [info("h")]),
                else_branch=body([other, tall], [], [info("t")], [("first", np.array([0, 1, 2]))]),
            ),
        ],
        [info("x", shape=[None, None, 3]), info("c", B, [])],
        [info("y", shape=[None, None, None])],
        [("w", w), ("r", r), ("shape", np.array([1, 2, 4]))],
    )
