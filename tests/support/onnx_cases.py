"""Random nodes RNN, GRU and LSTM with all their tensors."""

from dataclasses import dataclass

import numpy as np
import pytest

from reference import onnx_ops

onnx = pytest.importorskip("onnx")
from onnx import helper  # noqa: E402

OPS = ("RNN", "GRU", "LSTM")
INPUTS = ("X", "W", "R", "B", "sequence_lens", "initial_h", "initial_c", "P")
NUMBERS = {  # of each function: alpha and beta, in ranges that keep the values small
    **{"Affine": ((-0.9, 0.9), (-1, 1)), "LeakyRelu": ((-0.5, 0.5),)},
    **{"ThresholdedRelu": ((-0.5, 0.5),), "ScaledTanh": ((-1.5, 1.5), (-1.5, 1.5))},
    **{"HardSigmoid": ((-0.5, 0.5), (0, 1)), "Elu": ((-0.9, 0.9),)},
}


@dataclass
class Case:
    op: str
    attributes: dict
    tensors: dict

    def node(self):
        inputs = [name if name in self.tensors else "" for name in INPUTS]
        while not inputs[-1]:
            inputs.pop()
        outputs = ["Y", "Y_h", "Y_c"][: 3 if self.op == "LSTM" else 2]
        return helper.make_node(self.op, inputs, outputs, name="the_node", **self.attributes)

    def model(self, constants=("W", "R", "B", "P"), node=None):
        node = node or self.node()
        kind = helper.np_dtype_to_tensor_dtype(self.tensors["X"].dtype)

        def info(name):
            own = onnx.TensorProto.INT32 if name == "sequence_lens" else kind
            rank = self.tensors[name].ndim if name in self.tensors else 4 if name == "Y" else 3
            return helper.make_tensor_value_info(name, own, [None] * rank)

        graph = helper.make_graph(
            [node],
            "graph",
            [info(name) for name in self.tensors if name not in constants],
            [info(name) for name in node.output if name],
            [
                onnx.numpy_helper.from_array(array, name)
                for name, array in self.tensors.items()
                if name in constants
            ],
        )
        return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 22)], ir_version=10)

    def feeds(self, constants=("W", "R", "B", "P")):
        return {name: array for name, array in self.tensors.items() if name not in constants}

    def expected(self):
        return onnx_ops.run(self.op, self.attributes, **self.tensors)

    def cast(self, dtype):
        tensors = {
            name: array if name == "sequence_lens" else array.astype(dtype)
            for name, array in self.tensors.items()
        }
        return Case(self.op, self.attributes, tensors)


def random_case(op, rng, *, names=None, given=None, **attributes):
    """Any sizes, and each optional input given or not, unless `given` says which."""
    directions = 2 if attributes.get("direction") == "bidirectional" else 1
    hidden, inputs = (int(n) for n in rng.choice([1, 2, 5, 8, 17, 33], 2))
    steps, batch = (int(n) for n in rng.choice([1, 2, 4, 7], 2))
    rows = onnx_ops.GATES[op] * hidden

    def uniform(*shape):
        return rng.uniform(-1, 1, shape) / np.sqrt(hidden)

    tensors = {
        "X": rng.standard_normal((steps, batch, inputs)),
        "W": uniform(directions, rows, inputs),
        "R": uniform(directions, rows, hidden),
        "B": uniform(directions, 2 * rows),
        "sequence_lens": rng.permutation(np.arange(batch) % (steps + 1)).astype(np.int32),
        "initial_h": rng.standard_normal((directions, batch, hidden)),
    }
    if op == "LSTM":
        tensors["initial_c"] = rng.standard_normal((directions, batch, hidden))
        tensors["P"] = uniform(directions, 3 * hidden)
    for name in list(tensors)[3:]:
        if not rng.integers(2) if given is None else name not in given:
            del tensors[name]
    if attributes.get("layout"):
        for name in ("X", "initial_h", "initial_c"):
            if name in tensors:
                tensors[name] = np.ascontiguousarray(tensors[name].swapaxes(0, 1))
    if names is not None:
        attributes["activations"] = names
        ranges = [NUMBERS.get(name, ()) for name in names]
        for k, attribute in enumerate(("activation_alpha", "activation_beta")):
            numbers = [np.float32(rng.uniform(*r[k])) for r in ranges if len(r) > k]
            if numbers:
                attributes[attribute] = numbers
    if rng.integers(2):
        attributes["hidden_size"] = hidden
    return Case(op, attributes, tensors)
