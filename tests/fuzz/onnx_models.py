"""ONNX models with random changes: they compute, or an error says which node or tensor is wrong.

    python tests/fuzz/onnx_models.py --count 20000

No change may bring another exception, a crash, seconds of work or much memory. Try N alone, with
its traceback: ``--only N``.
"""

import re
import sys
import warnings
from pathlib import Path

import numpy as np
import onnx
from onnx import helper, numpy_helper

sys.path[:0] = [str(Path(__file__).parents[1] / "support")]
import fuzzing  # noqa: E402
import gru_native  # noqa: E402
import gru_native.onnx  # noqa: E402
from onnx_beginnings import beginnings  # noqa: E402

# What an error must name, and what no error may say.
NAMED = re.compile(r"(node|tensor|input|output) '|not a valid ONNX model|the model |^'?\w*'? ?has ")
RAW = re.compile(
    r"NoneType|object (has no|is not)|positional|unhashable|unsupported operand"
    r"|not supported between|cannot be interpreted"
)
WHOLE = (0, 1, 2, 3, -1, -2, 5, 7, 1000, 5_000_000, -(2**31), 2**31, 2**40, 2**62, 2**63 - 1)
REAL = (0.0, 1.0, -1.0, 1e-30, 1e30, float("inf"), float("nan"))
ATTRIBUTES = (
    *("axis", "axes", "perm", "to", "direction", "hidden_size", "layout", "clip", "activations"),
    *("activation_alpha", "input_forget", "split", "value", "pads", "strides", "dilations"),
    *("kernel_shape", "group", "auto_pad", "mode", "reduction", "num_scan_inputs", "equation"),
)
WORDS = (
    "",
    "x",
    "a->a",
    "SAME_LOWER",
    "reflect",
    "forward",
    "reverse",
    "bidirectional",
    "Tanh",
    "Affine",
    "none",
    "add",
    "\0",
    "é",
)


# --- changes


def pick(rng, values):
    return values[int(rng.integers(len(values)))]


def maybe_pick(rng, values):
    return pick(rng, values) if len(values) else None


def some_nodes(model, rng):
    """Those of the graph, or of a body in it."""
    bodies = [
        attribute.g
        for node in model.graph.node
        for attribute in node.attribute
        if attribute.type == onnx.AttributeProto.GRAPH and len(attribute.g.node)
    ]
    return pick(rng, [model.graph, *bodies] if rng.integers(4) else [model.graph]).node


def all_names(model):
    graph = model.graph
    names = [t.name for t in graph.initializer] + [v.name for v in graph.input]
    return names + [name for node in graph.node for name in node.output] + ["", "nowhere"]


def change_attribute(model, rng):
    """Another value, another type, one more, one less."""
    node = pick(rng, some_nodes(model, rng))
    how = int(rng.integers(5))
    if how == 0:
        name = pick(rng, ATTRIBUTES)
        value = pick(rng, (1, -1, 2.5, "text", [1, 0], [2.5], ["Tanh"], [], tensor(rng)))
        if value != []:
            node.attribute.append(helper.make_attribute(name, value))
        return
    attribute = maybe_pick(rng, node.attribute)
    if attribute is None:
        return
    if how == 1:
        node.attribute.remove(attribute)
    elif how == 2:
        attribute.type = int(rng.integers(1, 12))
    elif attribute.type == onnx.AttributeProto.INT:
        attribute.i = pick(rng, WHOLE)
    elif attribute.type == onnx.AttributeProto.FLOAT:
        attribute.f = pick(rng, REAL)
    elif attribute.type == onnx.AttributeProto.STRING:
        attribute.s = pick(rng, WORDS).encode()
    elif attribute.type == onnx.AttributeProto.TENSOR:
        attribute.t.CopyFrom(tensor(rng))
    else:
        values = {6: attribute.floats, 7: attribute.ints, 8: attribute.strings}.get(attribute.type)
        new = {6: REAL, 7: WHOLE, 8: [w.encode() for w in WORDS]}.get(attribute.type)
        if values is None:
            return
        if len(values) and rng.integers(2):
            values.pop(int(rng.integers(len(values))))
        if rng.integers(2):
            values.append(pick(rng, new))


def change_input(model, rng):
    node = pick(rng, some_nodes(model, rng))
    how = int(rng.integers(4))
    if how == 0 or not node.input:
        node.input.append(pick(rng, all_names(model)))
    elif how == 1:
        node.input.pop()
    else:
        node.input[int(rng.integers(len(node.input)))] = pick(rng, all_names(model))


def change_output(model, rng):
    node = pick(rng, some_nodes(model, rng))
    if rng.integers(2) or not node.output:
        node.output.append(pick(rng, ("", "another")))
    else:
        node.output[int(rng.integers(len(node.output)))] = pick(rng, all_names(model))


def change_operator(model, rng):
    node = pick(rng, model.graph.node)
    known = sorted(gru_native.onnx.operators.names())
    node.op_type = pick(rng, [*known, "Det", "Dense", "If", "Loop", "Scan", ""])
    if rng.integers(10) == 0:
        node.domain = pick(rng, ("", "ai.onnx", "com.microsoft"))


def change_order(model, rng):
    nodes = list(model.graph.node)
    at, to = rng.integers(len(nodes), size=2)
    how = int(rng.integers(3))
    if how == 0:
        nodes.pop(at)
    elif how == 1:
        nodes.insert(to, nodes[at])
    else:
        nodes[at], nodes[to] = nodes[to], nodes[at]
    del model.graph.node[:]
    model.graph.node.extend(nodes)


def tensor(rng):
    dtype = pick(rng, (np.float32, np.float64, np.float16, np.int64, np.int32, np.bool_, np.uint8))
    shape = rng.integers(0, 4, int(rng.integers(4)))
    return numpy_helper.from_array((rng.standard_normal(shape) * 3).astype(dtype), "t")


def change_tensor(model, rng):
    """Its numbers, its shape, its dtype, its bytes."""
    own = maybe_pick(rng, model.graph.initializer)
    if own is None:
        return
    how = int(rng.integers(6))
    if how == 0 and own.dims:
        own.dims[int(rng.integers(len(own.dims)))] = pick(rng, WHOLE)
    elif how == 1:
        own.data_type = int(rng.integers(24))
    elif how == 2:
        own.raw_data = own.raw_data[: int(rng.integers(len(own.raw_data) + 1))]
    elif how == 3:
        name = own.name
        own.CopyFrom(tensor(rng))
        own.name = name
    elif how == 4:
        array = numpy_helper.to_array(own).copy()
        if array.size:
            values = WHOLE if array.dtype.kind in "iu" else REAL
            with np.errstate(all="ignore"):
                array.flat[int(rng.integers(array.size))] = np.array(pick(rng, values)).astype(
                    array.dtype
                )
        own.CopyFrom(numpy_helper.from_array(array, own.name))
    elif rng.integers(2):
        own.name = pick(rng, all_names(model))
    else:
        model.graph.initializer.remove(own)


def change_interface(model, rng):
    """What goes in and comes out: shapes, dtypes, names."""
    own = pick(rng, [*model.graph.input, *model.graph.output])
    how = int(rng.integers(5))
    dims = own.type.tensor_type.shape.dim
    if how == 0 and dims:
        dim = pick(rng, dims)
        dim.Clear()
        dim.dim_value = pick(rng, WHOLE)
    elif how == 1:
        for dim in dims:
            dim.dim_value = pick(rng, (0, 1, 2, 3, 7, 5_000_000, 2**40))
    elif how == 2:
        own.type.tensor_type.elem_type = int(rng.integers(18))
    elif how == 3:
        if rng.integers(2):
            own.type.tensor_type.shape.dim.add().dim_value = 3
        else:
            own.type.tensor_type.ClearField("shape")
    else:
        own.name = pick(rng, all_names(model))


def change_header(model, rng):
    if rng.integers(2):
        model.opset_import[0].version = int(rng.integers(0, 30))
    else:
        model.ir_version = int(rng.integers(0, 14))


CHANGES = (
    *(change_attribute, change_attribute, change_input, change_input, change_tensor, change_tensor),
    *(change_interface, change_interface, change_operator, change_order, change_output),
    change_header,
)


def changed(rng):
    """A model with one to three changes, or with other bytes."""
    data = pick(rng, beginnings())
    model = onnx.ModelProto.FromString(data)
    if rng.integers(12) == 0:
        return with_other_bytes(data, rng)
    for _ in range(int(rng.integers(1, 4))):
        if not model.graph.node:
            break
        try:
            pick(rng, CHANGES)(model, rng)
        except (ValueError, TypeError):  # the change before left nothing to change in this way
            continue
    return model


def with_other_bytes(data, rng):
    changed = bytearray(data)
    for at in rng.integers(len(data), size=int(rng.integers(1, 4))):
        changed[at] = rng.integers(256)
    return bytes(changed)


# --- what becomes of them


def feeds(model, rng):
    """Arrays of the sizes that the model declares, or None where they are too large to try."""
    arrays = {}
    for name, given in model.inputs.items():
        shape = (3, 2, 3) if given.shape is None else given.shape
        sizes = [int(rng.integers(1, 4)) if n is None else n for n in shape]
        if any(n < 0 for n in sizes) or np.prod(np.maximum(sizes, 1), dtype=float) > 1e5:
            return None
        kind = given.dtype.kind
        values = rng.standard_normal(sizes) if kind == "f" else rng.integers(0, 3, sizes)
        arrays[name] = values.astype(given.dtype)
    return arrays


def refused(call):
    """The call's result; or None and the text of an error that names what is wrong."""
    try:
        return call(), ""
    except (ValueError, TypeError) as error:
        said = str(error)
        if RAW.search(said) or not NAMED.search(said):
            raise fuzzing.Wrong(f"{type(error).__name__} says no name: {said[:300]}") from error
        return None, said


def one(rng):
    model = changed(rng)
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        if isinstance(model, bytes):
            try:
                model = onnx.ModelProto.FromString(model)
            except Exception:
                return "no protobuf"
        loaded, _ = refused(lambda: gru_native.onnx.load(model))
        if loaded is None:
            return "refused by load"
        arrays = feeds(loaded, rng)
        result = None
        if arrays is not None:
            for _ in range(3):  # the third is planned
                result, _ = refused(lambda: loaded(**arrays))
        streamed, _ = refused(lambda: loaded.stream(2))
        refused(lambda: loaded.layer(logits=True))
    return (
        "computed" * (result is not None) + ", streamed" * (streamed is not None)
        or "refused by a call"
    )


if __name__ == "__main__":
    raise SystemExit(fuzzing.main(__doc__, one))
