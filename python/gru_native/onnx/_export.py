"""Layers and chains as ONNX models."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np
import onnx
import onnx.checker
import onnx.helper
import onnx.numpy_helper

from .. import __version__, _core
from ..layers import GRU, LSTM, RNN, Block, Chain, Dense
from ..layers._arguments import Function, flag
from ..layers._recurrent import USUAL
from ..layers._weights import Array
from ._fusion import ACTIVATIONS
from ._model import RUNTIME, PathLike
from .operators.recurrent import BLOCKS, PEEPHOLES, QUANTIZED, SCALES
from .operators.recurrent.functions import onnx_functions

OPSET, IR_VERSION = 17, 8
# All other options, those of the future among them, must have their usual values.
_EXPRESSIBLE = {
    *("nonlinearity", "gate_activation", "input_activation", "output_activation"),
    *("candidate_activation", "activation_clip", "peephole", "coupled_gates", "reset_after"),
}
_DENSE = {name: op for op, name in ACTIVATIONS.items()}

Exported: TypeAlias = RNN | LSTM | GRU | Dense


def export(
    layer: Block | Chain, path: PathLike, *, state: bool = False, lengths: bool = False
) -> None:
    """Write a layer or a chain as an ONNX model, whole or not at all.

    Its input is "x", (seq, batch, input_size) or with ``batch_first`` (batch, seq, input_size), of
    the layer's dtype. Its outputs are "y" and the final states: "h_n" and, of an LSTM, "c_n", each
    (num_layers * directions, batch, hidden_size). The states of a chain's recurrent layers are
    numbered: "h_n_0", "h_n_1". Each layer of a stack is a node; ``load`` makes the same layers of
    them again, bit for bit. Past the end of a sequence "y" is 0, or what dense layers make of 0.
    LSTMs of int8 are nodes DynamicQuantizeLSTM, which ONNX Runtime has, and dense layers of int8
    are products of integers between DynamicQuantizeLinear and what makes floats of them again.

    Parameters
    ----------
    layer : RNN, LSTM, GRU, Dense or Chain
        The layer.
    path : str or path_like
        The file.
    state : bool, optional
        Whether the initial states are inputs, "h_0" and "c_0"; otherwise they are zero.
    lengths : bool, optional
        Whether there is an input "lengths", (batch,), int32.

    Raises
    ------
    ValueError
        For options that ONNX's operators do not have: projections, missing gates, ``cell_clip``
        (theirs limits what goes into activations, not c); for an RNN and a GRU of int8 and for
        bf16, which no operator has. The text names the option.
    TypeError
        For anything else than a layer or a chain.
    OSError
        For a file that cannot be written.
    """
    blocks: list[Exported] = []
    for block in layer.blocks if isinstance(layer, Chain) else (layer,):
        if not isinstance(block, (RNN, LSTM, GRU, Dense)):
            here = "layer has" if isinstance(layer, Chain) else "layer is"
            raise TypeError(
                f"{here} {_core.a_type(block)}; expected a layer or a Chain of RNN, LSTM, GRU "
                "and Dense"
            )
        blocks.append(block)
        precision = block._few_bits()
        if precision == "bf16" or (precision and isinstance(block, (RNN, GRU))):
            raise ValueError(
                f"layer has {_core.a_type(block)} of {precision}, for which ONNX has no "
                "operator; export it in full precision"
            )
    writer = _Writer(np.dtype(layer.dtype))
    model = _model(blocks, writer, flag("state", state), flag("lengths", lengths))
    if sum(t.ByteSize() for t in writer.tensors) >= 2**31 - 2**20:
        raise ValueError("layer has weights of 2 GiB or more; expected what fits in an ONNX file")
    _core.write_file(path, model.SerializeToString())


@dataclass
class _Writer:
    """Nodes and tensors so far."""

    dtype: np.dtype[Any]
    nodes: list[onnx.NodeProto] = field(default_factory=list)
    tensors: list[onnx.TensorProto] = field(default_factory=list)
    inputs: list[onnx.ValueInfoProto] = field(default_factory=list)
    outputs: list[onnx.ValueInfoProto] = field(default_factory=list)

    def node(self, op: str, inputs: list[str], outputs: list[str], **attributes: Any) -> str:
        name = f"{op.lower()}_{len(self.nodes)}"
        self.nodes.append(onnx.helper.make_node(op, inputs, outputs, name=name, **attributes))
        return outputs[0]

    def tensor(self, name: str, array: Array) -> str:
        self.tensors.append(onnx.numpy_helper.from_array(np.ascontiguousarray(array), name))
        return name

    def value(self, name: str, shape: list[int | str], dtype: Any = None) -> onnx.ValueInfoProto:
        kind = onnx.helper.np_dtype_to_tensor_dtype(np.dtype(dtype or self.dtype))
        return onnx.helper.make_tensor_value_info(name, kind, shape)


def _model(blocks: list[Exported], writer: _Writer, state: bool, lengths: bool) -> onnx.ModelProto:
    recurrent = [block for block in blocks if not isinstance(block, Dense)]
    batch_first = blocks[0].batch_first
    order: list[int | str] = ["batch", "seq"] if batch_first else ["seq", "batch"]
    writer.inputs.append(writer.value("x", [*order, blocks[0].input_size]))
    if lengths and recurrent:
        writer.inputs.append(writer.value("lengths", ["batch"], np.int32))
    x, width = "x", 0
    transposed = batch_first and bool(recurrent)
    if transposed:
        x = writer.node("Transpose", ["x"], ["x_by_time"], perm=[1, 0, 2])
    for i, block in enumerate(blocks):
        if isinstance(block, Dense):
            x, width = _dense(writer, block, f"{i}.", x), block.output_size
        else:
            place = "" if len(recurrent) == 1 else f"_{recurrent.index(block)}"
            x = _stack(writer, block, f"{i}.", x, place, state, lengths)
            width = block.hidden_size * (2 if block.bidirectional else 1)
    if transposed:
        writer.node("Transpose", [x], ["y"], perm=[1, 0, 2])
    else:
        writer.node("Identity", [x], ["y"])
    writer.outputs.insert(0, writer.value("y", [*order, width]))
    graph = onnx.helper.make_graph(
        writer.nodes, "gru_native", writer.inputs, writer.outputs, writer.tensors
    )
    domains = {node.domain for node in writer.nodes}
    return onnx.helper.make_model(
        graph,
        opset_imports=[
            onnx.helper.make_opsetid("", OPSET),
            *([onnx.helper.make_opsetid(RUNTIME, 1)] if RUNTIME in domains else []),
        ],
        ir_version=IR_VERSION,
        producer_name="gru_native",
        producer_version=__version__,
    )


def _dense(writer: _Writer, dense: Dense, prefix: str, x: str) -> str:
    if dense._few_bits():
        y = _integer_product(writer, dense._stored(), prefix, x)
    else:
        weight = writer.tensor(f"{prefix}weight", dense.weights["weight"].T)
        y = writer.node("MatMul", [x, weight], [f"{prefix}product"])
    if dense.bias:
        bias = writer.tensor(f"{prefix}bias", dense.weights["bias"])
        y = writer.node("Add", [y, bias], [f"{prefix}sum"])
    if dense.activation != "identity":
        y = writer.node(_DENSE[dense.activation], [y], [f"{prefix}y"])
    return y


def _integer_product(writer: _Writer, stored: dict[str, Array], prefix: str, x: str) -> str:
    """As ONNX Runtime's quantize_dynamic writes it."""
    weight = writer.tensor(f"{prefix}weight", stored["weight"].T)
    scale = writer.tensor(f"{prefix}weight_scale", stored["weight.scale"])
    own = [f"{prefix}x_{part}" for part in ("whole", "scale", "zero_point")]
    writer.node("DynamicQuantizeLinear", [x], own)
    whole = writer.node("MatMulInteger", [own[0], weight, own[2]], [f"{prefix}whole"])
    floats = writer.node("Cast", [whole], [f"{prefix}floats"], to=onnx.TensorProto.FLOAT)
    scales = writer.node("Mul", [own[1], scale], [f"{prefix}scales"])
    return writer.node("Mul", [floats, scales], [f"{prefix}product"])


def _stack(
    writer: _Writer,
    layer: RNN | LSTM | GRU,
    prefix: str,
    x: str,
    place: str,
    state: bool,
    lengths: bool,
) -> str:
    parts = ["h", "c"] if isinstance(layer, LSTM) else ["h"]
    directions = 2 if layer.bidirectional else 1
    rows: list[int | str] = [layer.num_layers * directions, "batch", layer.hidden_size]
    attributes = _attributes(layer)
    initial = [
        _initial(writer, f"{part}_0{place}", rows, layer.num_layers) if state else None
        for part in parts
    ]
    axis = writer.tensor(f"{prefix}axis", np.array([1], np.int64)) if directions == 1 else ""
    merged = writer.tensor(f"{prefix}merged", np.array([0, 0, -1], np.int64)) if not axis else ""
    final: list[list[str]] = [[] for _ in parts]
    for k in range(layer.num_layers):
        own = f"{prefix}l{k}."
        inputs = [x, *_weights(writer, layer, k, own), "lengths" if lengths else ""]
        inputs += ["" if names is None else names[k] for names in initial]
        if isinstance(layer, LSTM) and layer._cell_options["peephole"]:
            inputs += [""] * (7 - len(inputs)) + [_peepholes(writer, layer, k, own)]
        op, domain = type(layer).__name__, ""
        if layer._few_bits():
            op, domain = QUANTIZED, "com.microsoft"
            inputs += [""] * (8 - len(inputs)) + _scales(writer, layer, k, own)
        while not inputs[-1]:
            inputs.pop()
        ends = [f"{own}{part}_n" for part in parts]
        y = writer.node(op, inputs, [f"{own}Y", *ends], domain=domain, **attributes)
        for i, end in enumerate(ends):
            final[i].append(end)
        if axis:
            x = writer.node("Squeeze", [y, axis], [f"{own}y"])
        else:  # (seq, 2, batch, hidden) -> (seq, batch, 2 * hidden)
            y = writer.node("Transpose", [y], [f"{own}by_batch"], perm=[0, 2, 1, 3])
            x = writer.node("Reshape", [y, merged], [f"{own}y"])
    for part, all_ends in zip(parts, final, strict=True):
        writer.node("Concat", all_ends, [f"{part}_n{place}"], axis=0)
        writer.outputs.append(writer.value(f"{part}_n{place}", rows))
    return x


def _initial(writer: _Writer, name: str, rows: list[int | str], num_layers: int) -> list[str]:
    writer.inputs.append(writer.value(name, rows))
    if num_layers == 1:
        return [name]
    names = [f"{name}.l{k}" for k in range(num_layers)]
    writer.node("Split", [name], names, axis=0)
    return names


def _attributes(layer: RNN | LSTM | GRU) -> dict[str, Any]:
    options: dict[str, Any] = layer._cell_options
    kind = type(layer).__name__
    for name, value in options.items():
        if name not in _EXPRESSIBLE and value != USUAL[name]:
            raise ValueError(f"{name} is {value!r}; ONNX's {kind} has no such option")
    attributes: dict[str, Any] = {"hidden_size": layer.hidden_size}
    if layer.bidirectional:
        attributes["direction"] = "bidirectional"
    if isinstance(layer, RNN):
        functions: list[Function] = [layer.nonlinearity]
    elif isinstance(layer, GRU):
        functions = [options["gate_activation"], options["candidate_activation"]]
        attributes["linear_before_reset"] = int(layer.reset_after)
    else:
        functions = [
            options[name] for name in ("gate_activation", "input_activation", "output_activation")
        ]
        attributes["input_forget"] = int(options["coupled_gates"])
    if options["activation_clip"]:
        attributes["clip"] = _single(layer, "activation_clip", options["activation_clip"])
    names, alphas, betas, usual = onnx_functions(functions * (2 if layer.bidirectional else 1))
    attributes["activations"] = names
    for name, values in (("activation_alpha", alphas), ("activation_beta", betas)):
        # the defaults, too, for not all runtimes have the same; but 0.01 is no float32
        if values and not (usual and layer.dtype == np.float64):
            attributes[name] = [_single(layer, name, value) for value in values]
    return attributes


def _single(layer: RNN | LSTM | GRU, name: str, value: Any) -> float:
    """Attributes are float32, which is enough for a layer of that dtype."""
    if layer.dtype == np.float64 and float(np.float32(value)) != value:
        raise ValueError(
            f"{name} is {value}; ONNX's numbers are float32: expected {float(np.float32(value))} "
            "or another one of these"
        )
    return float(value)


def _weights(writer: _Writer, layer: RNN | LSTM | GRU, k: int, own: str) -> list[str]:
    """W, R and B of one node: rows by gate in ONNX's order, directions stacked."""
    w, r, b = [], [], []
    stored = layer._stored()
    for suffix in _suffixes(layer, k):
        w.append(_gates(layer, stored[f"weight_ih{suffix}"]))
        r.append(_gates(layer, stored[f"weight_hh{suffix}"]))
        if layer.bias:
            b += [_gates(layer, layer.weights[f"bias_{of}{suffix}"]) for of in ("ih", "hh")]
    if layer._few_bits():  # columns by gate
        w, r = [m.T for m in w], [m.T for m in r]
    names = [writer.tensor(f"{own}W", np.stack(w)), writer.tensor(f"{own}R", np.stack(r))]
    bias = np.concatenate(b).reshape(len(w), -1) if b else None
    return [*names, "" if bias is None else writer.tensor(f"{own}B", bias)]


def _scales(writer: _Writer, layer: RNN | LSTM | GRU, k: int, own: str) -> list[str]:
    """Scales and zero points of W and R, one for each row."""
    names, stored = [], layer._stored()
    for role, weight in zip(SCALES, ("ih", "ih", "hh", "hh"), strict=True):
        rows = []
        for suffix in _suffixes(layer, k):
            scale = _gates(layer, stored[f"weight_{weight}{suffix}.scale"])
            scale = np.where(scale > 0, scale, 1).astype(scale.dtype)  # of a gate that is unused
            rows.append(np.zeros(scale.shape, np.int8) if "zero" in role else scale)
        names.append(writer.tensor(f"{own}{role}", np.stack(rows)))
    return names


def _suffixes(layer: RNN | LSTM | GRU, k: int) -> list[str]:
    return [f"_l{k}", f"_l{k}_reverse"] if layer.bidirectional else [f"_l{k}"]


def _gates(layer: RNN | LSTM | GRU, rows: Array) -> Array:
    blocks = np.split(rows, len(rows) // layer.hidden_size)
    if len(blocks) == 3 and isinstance(layer, LSTM):  # coupled: i g o; f is there, but unused
        blocks.insert(1, np.zeros_like(blocks[0]))
    return np.concatenate([blocks[k] for k in np.argsort(BLOCKS[type(layer).__name__])])


def _peepholes(writer: _Writer, layer: LSTM, k: int, own: str) -> str:
    """P of one node, directions stacked."""
    rows = []
    for suffix in _suffixes(layer, k):
        unused = np.zeros(layer.hidden_size, layer.dtype)  # f where it is 1 - i
        names = [f"weight_c{gate}{suffix}" for gate in PEEPHOLES]
        rows.append(np.concatenate([layer.weights.get(name, unused) for name in names]))
    return writer.tensor(f"{own}P", np.stack(rows))
