"""ONNX models, read and checked: what is wrong is an error that names the node or the tensor."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import onnx
import onnx.checker
import onnx.inliner
import onnx.numpy_helper
from google.protobuf.message import DecodeError

from .. import _core
from ..layers._weights import Array

PathLike: TypeAlias = str | os.PathLike[str]
DOMAINS = ("", "ai.onnx")
RUNTIME = "com.microsoft"  # ONNX Runtime's own operators, and some of ONNX's by the same names
_UNCHECKED = "gru_native.unchecked"
OPSETS = range(7, 100)  # before 7, broadcasting was another


class Node(NamedTuple):
    """One node of a graph; ``label`` is how errors call it."""

    label: str
    op: str
    inputs: tuple[str, ...]  # "" where an optional one is missing
    outputs: tuple[str, ...]
    attributes: dict[str, Any]
    opset: int
    proto: onnx.NodeProto
    bodies: dict[str, Graph]  # graphs among the attributes
    captured: tuple[str, ...]  # what these need of the tensors around them

    @property
    def needs(self) -> tuple[str, ...]:
        """All tensors that the node is computed from."""
        return self.inputs + self.captured


class Input(NamedTuple):
    """What a graph takes: a dtype, and sizes, None where any will do."""

    dtype: np.dtype[Any]
    shape: tuple[int | None, ...] | None  # None: of any rank


_ANY = Input(np.dtype(np.float32), None)


@dataclass
class Graph:
    """Nodes in an order in which they can be computed, and the tensors that are known before.

    captured: tensors of the graphs around it. declared: what the file says of tensors that are no
    inputs.
    """

    inputs: dict[str, Input]
    outputs: list[str]
    constants: dict[str, Array]
    nodes: list[Node]
    captured: frozenset[str] = frozenset()
    declared: dict[str, Input] = field(default_factory=dict)
    opsets: list[onnx.OperatorSetIdProto] = field(default_factory=list)


def read(source: PathLike | onnx.ModelProto) -> Graph:
    """The graph of a file or of a model. Raises ValueError, naming node or tensor, and OSError."""
    if isinstance(source, onnx.ModelProto):
        return _graph(source, None)
    if not isinstance(source, (str, os.PathLike)):
        raise TypeError(f"model is {_core.a_type(source)}; expected a path or a ModelProto")
    path = Path(source)
    try:
        proto = onnx.ModelProto.FromString(_core.read_file(path))
    except DecodeError as error:
        raise ValueError(f"{path}: not an ONNX model, or a truncated one") from error
    try:
        return _graph(proto, path.parent)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error


def shown(name: str) -> str:
    """A name from a stranger's file, fit for an error."""
    return repr(name if len(name) <= 80 else name[:77] + "...")


def _graph(model: onnx.ModelProto, folder: Path | None) -> Graph:
    for name in _names(model.graph):
        if isinstance(name, bytes):  # protobuf's answer to what is no UTF-8
            raise ValueError(f"not a valid ONNX model: the name {name[:80]!r} is no text")
    try:
        onnx.checker.check_model(_for_checker(model))
        if model.functions:
            model = onnx.inliner.inline_local_functions(model)
    except (onnx.checker.ValidationError, ValueError, RuntimeError) as error:
        raise ValueError(f"not a valid ONNX model: {error}") from error
    opset = _opset(model)
    graph = _nodes_of(model.graph, opset, folder)
    graph.inputs = {v.name: _input(v) for v in model.graph.input if v.name in graph.inputs}
    graph.opsets = list(model.opset_import)
    made = {*graph.inputs, *graph.constants, *(n for node in graph.nodes for n in node.outputs)}
    for node in graph.nodes:
        for name in node.needs:
            if name and name in graph.captured:
                raise ValueError(
                    f"{node.label} needs tensor {shown(name)}, which no node before it makes"
                )
    for name in graph.outputs:
        if name not in made:
            raise ValueError(f"there is no tensor {shown(name)}, which is an output of the model")
    return graph


def _nodes_of(graph: onnx.GraphProto, opset: int, folder: Path | None) -> Graph:
    """A graph, or the body of a node."""
    if graph.sparse_initializer:
        name = graph.sparse_initializer[0].values.name
        raise ValueError(f"tensor {shown(name)} is sparse; expected dense tensors")
    constants = {t.name: tensor(t, t.name, folder) for t in graph.initializer}
    nodes = [read_node(node, opset, folder) for node in graph.node]
    inputs = {v.name: _ANY for v in graph.input if v.name not in constants}
    known = {"", *constants, *inputs}
    captured: set[str] = set()
    for node in nodes:
        captured.update(name for name in node.needs if name not in known)
        known.update(node.outputs)
    outputs = [v.name for v in graph.output]
    captured.update(name for name in outputs if name not in known)
    declared = {}
    for value in (*graph.value_info, *graph.output):
        try:
            declared[value.name] = _input(value)
        except ValueError:  # of a kind that we do not have; whoever makes it says so
            continue
    return Graph(inputs, outputs, constants, nodes, frozenset(captured), declared)


def _names(graph: onnx.GraphProto) -> Iterator[str | bytes]:
    for value in (*graph.input, *graph.output, *graph.initializer):
        yield value.name
    for node in graph.node:
        yield from (node.name, node.op_type, node.domain, *node.input, *node.output)
        yield from (attribute.name for attribute in node.attribute)


def _for_checker(model: onnx.ModelProto) -> onnx.ModelProto:
    """The same without what the checker refuses and we take, or refuse with better words.

    That is data in other files, operators that it does not know, and values without a shape.
    """
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    kept = [t for t in model.graph.initializer if t.data_location != onnx.TensorProto.EXTERNAL]
    known = {v.name for v in model.graph.input}
    for t in model.graph.initializer:
        if t.data_location == onnx.TensorProto.EXTERNAL and t.name not in known:
            copy.graph.input.append(
                onnx.helper.make_tensor_value_info(t.name, t.data_type, list(t.dims))
            )
    del copy.graph.initializer[:]
    copy.graph.initializer.extend(kept)
    opset = _opset(model)
    for graph in graphs(copy.graph):
        for value in (*graph.input, *graph.output, *graph.value_info):
            if value.type.HasField("tensor_type"):
                value.type.tensor_type.shape.SetInParent()
        for node in graph.node:
            own = node.domain in DOMAINS
            if not onnx.defs.has(node.op_type, *((opset, "") if own else (node.domain,))):
                node.domain = _UNCHECKED
    copy.opset_import.append(onnx.helper.make_opsetid(_UNCHECKED, 1))
    return copy


def graphs(graph: onnx.GraphProto) -> Iterator[onnx.GraphProto]:
    """This one, and those inside its nodes."""
    yield graph
    for node in graph.node:
        for attribute in node.attribute:
            if attribute.type == onnx.AttributeProto.GRAPH:
                yield from graphs(attribute.g)


def _opset(model: onnx.ModelProto) -> int:
    versions = [entry.version for entry in model.opset_import if entry.domain in DOMAINS]
    if len(versions) != 1 or versions[0] not in OPSETS:
        raise ValueError(f"the model has opsets {versions}; expected one from {OPSETS[0]} on")
    return int(versions[0])


def read_node(proto: onnx.NodeProto, opset: int, folder: Path | None = None) -> Node:
    name = proto.name or next(iter(proto.output), "")
    foreign = proto.domain not in (*DOMAINS, RUNTIME)
    op = f"{proto.domain}.{proto.op_type}" if foreign else proto.op_type
    label = f"node {shown(name)} ({shown(op)[1:-1]})"
    bodies = {
        a.name: _nodes_of(a.g, opset, folder)
        for a in proto.attribute
        if a.type == onnx.AttributeProto.GRAPH
    }
    attributes = {
        a.name: _attribute(label, a, folder) for a in proto.attribute if a.name not in bodies
    }
    captured = dict.fromkeys(n for body in bodies.values() for n in sorted(body.captured))
    return Node(
        *(label, op, tuple(proto.input), tuple(proto.output), attributes, opset, proto),
        *(bodies, tuple(captured)),
    )


def _attribute(label: str, a: onnx.AttributeProto, folder: Path | None) -> Any:
    if a.type == onnx.AttributeProto.TENSOR:
        return tensor(a.t, f"{a.name} of {label}", folder)
    value = onnx.helper.get_attribute_value(a)
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    if a.type == onnx.AttributeProto.STRINGS:
        return [text.decode("utf-8", "replace") for text in value]
    return value


def _input(value: onnx.ValueInfoProto) -> Input:
    if not value.type.HasField("tensor_type"):
        raise ValueError(f"input {shown(value.name)} is no tensor")
    of = value.type.tensor_type
    dtype = _dtype(of.elem_type, f"input {shown(value.name)}")
    if not of.HasField("shape"):
        return Input(dtype, None)
    dims = of.shape.dim
    known = (d.dim_value if d.HasField("dim_value") else -1 for d in dims)
    return Input(dtype, tuple(None if n < 0 else n for n in known))  # Paddle writes -1 for any


def _dtype(kind: int, owner: str) -> np.dtype[Any]:
    try:
        dtype = np.dtype(onnx.helper.tensor_dtype_to_np_dtype(kind))
    except (KeyError, ValueError):
        dtype = np.dtype(object)
    if dtype.kind not in "fiub":
        raise ValueError(f"{owner} has data type {kind}; expected floats, integers or bools")
    return dtype


def tensor(proto: onnx.TensorProto, name: str, folder: Path | None) -> Array:
    """The array in a TensorProto. Raises ValueError, naming it, if its data do not fill it."""
    owner = f"tensor {shown(name)}"
    dtype = _dtype(proto.data_type, owner)
    dims = tuple(proto.dims)
    count = 1
    for dim in dims:
        count *= dim
    if len(dims) > 32 or any(dim < 0 for dim in dims):
        raise ValueError(f"{owner} has impossible dims {str(dims)[:80]}")
    if proto.data_location == onnx.TensorProto.EXTERNAL:
        data = _external(proto, owner, folder, count * dtype.itemsize)
        return np.frombuffer(data, dtype.newbyteorder("<")).astype(dtype).reshape(dims)
    if proto.HasField("raw_data") and len(proto.raw_data) != count * dtype.itemsize:
        raise ValueError(
            f"{owner} has {len(proto.raw_data)} bytes; dims {dims} need {count * dtype.itemsize}"
        )
    try:
        array = onnx.numpy_helper.to_array(proto)
    except (ValueError, TypeError) as error:
        raise ValueError(f"{owner}: {error}") from error
    if array.shape != dims:
        raise ValueError(f"{owner} has shape {array.shape}; expected {dims}")
    return array


def _external(proto: onnx.TensorProto, owner: str, folder: Path | None, size: int) -> bytes:
    entries = {entry.key: entry.value for entry in proto.external_data}
    if folder is None:
        raise ValueError(f"{owner} lies in another file; expected a path, to find it beside")
    location = entries.get("location", "")
    try:
        file = (folder / location).resolve()
        inside = file.is_relative_to(folder.resolve()) and file.is_file()
    except (OSError, ValueError):  # a zero byte in the name
        inside = False
    if not location or not inside:
        raise ValueError(f"{owner} lies in {shown(location)}; expected a file beside the model")
    try:
        offset = int(entries.get("offset", "0"))
        length = int(entries.get("length", str(size)))
    except ValueError as error:
        raise ValueError(f"{owner}: offset and length of its data are no whole numbers") from error
    if length != size or offset < 0 or offset + length > file.stat().st_size:
        raise ValueError(
            f"{owner} needs {size} bytes; {shown(location)} has {file.stat().st_size}, and the "
            f"tensor's part of it begins at {offset} and is {length} long"
        )
    with file.open("rb") as opened:
        opened.seek(offset)
        data: bytes = opened.read(length)
    return data
