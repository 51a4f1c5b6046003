"""Wrong, truncated and hostile ONNX models: errors that name the node or the tensor."""

import tracemalloc

import numpy as np
import pytest

onnx = pytest.importorskip("onnx")
from onnx import TensorProto, helper  # noqa: E402

import gru_native  # noqa: E402
import gru_native.onnx  # noqa: E402
from onnx_builder import Builder, exported, refuses  # noqa: E402

X = np.random.default_rng(0).standard_normal((5, 2, 3), np.float32)


def tensor_of(model, end):
    return next(t for t in model.graph.initializer if t.name.endswith(end))


def test_no_file(tmp_path):
    with pytest.raises(FileNotFoundError):
        gru_native.onnx.load(tmp_path / "none.onnx")


def test_truncated_anywhere(tmp_path):
    exported(tmp_path)
    data = (tmp_path / "model.onnx").read_bytes()
    path = tmp_path / "part.onnx"
    for end in range(0, len(data) - 1, 97):
        path.write_bytes(data[:end])
        with pytest.raises(ValueError, match=r"part\.onnx: "):
            gru_native.onnx.load(path)


def test_bytes_changed_at_random(tmp_path):
    """Any answer will do but a crash, or an error of another kind."""
    exported(tmp_path, gru_native.GRU(2, 2, seed=0))
    data = (tmp_path / "model.onnx").read_bytes()
    path, rng = tmp_path / "changed.onnx", np.random.default_rng(0)
    refused = []
    for _ in range(400):
        changed = bytearray(data)
        for at in rng.integers(len(data), size=rng.integers(1, 4)):
            changed[at] = rng.integers(256)
        path.write_bytes(changed)
        try:
            model = gru_native.onnx.load(path)
            model(np.zeros((3, 2, 2), np.float32))
            model.stream()
        except (ValueError, TypeError) as error:
            refused.append(str(error))
    assert len(refused) > 100
    assert all(refused)


@pytest.mark.parametrize("name", ["0.l0.W", "0.l1.R", "0.l0.B"])
def test_missing_tensor(name, tmp_path):
    model = exported(tmp_path)
    model.graph.initializer.remove(tensor_of(model, name))
    refuses(model, name)


@pytest.mark.parametrize(
    ("name", "dims", "says"),
    [
        ("0.l0.W", (1, 16, 4), r"tensor name: 0.l0.W.*192 bytes"),
        ("0.l0.W", (1, 3, 16), r"node 'lstm_0' \(LSTM\): W has shape \(1, 3, 16\); expected"),
        ("0.l1.R", (16, 4), r"node 'lstm_2' \(LSTM\): "),
        ("0.l1.B", (32,), r"node 'lstm_2' \(LSTM\): B has shape \(32,\)"),
        ("0.l0.W", (1, 2**40, 2**40), r"tensor name: 0.l0.W"),
        ("0.l0.W", (-1, -16, 3), r"0.l0.W"),
        ("0.l0.W", (1,) * 70 + (48,), r"tensor '0.l0.W' has impossible dims"),
    ],
)
def test_wrong_shape(name, dims, says, tmp_path):
    model = exported(tmp_path)
    del tensor_of(model, name).dims[:]
    tensor_of(model, name).dims.extend(dims)
    refuses(model, says)


def test_wrong_dtype(tmp_path):
    model = exported(tmp_path)
    tensor_of(model, "0.l0.R").CopyFrom(
        onnx.numpy_helper.from_array(np.zeros((1, 16, 4)), "0.l0.R")
    )
    refuses(model, r"node 'lstm_0' \(LSTM\): R has dtype float64; expected float32, as W")
    model = exported(tmp_path)
    tensor_of(model, "0.l0.R").CopyFrom(
        helper.make_tensor("0.l0.R", TensorProto.STRING, [1], [b"text"])
    )
    refuses(model, r"tensor '0.l0.R' has data type 8; expected floats, integers or bools")


def test_cycle_and_order(tmp_path):
    model = exported(tmp_path)
    first, second = (node for node in model.graph.node if node.op_type == "LSTM")
    first.input[0], kept = second.output[0], first.input[0]
    refuses(model, "lstm_0")
    first.input[0] = kept
    nodes = list(model.graph.node)
    del model.graph.node[:]
    model.graph.node.extend(nodes[::-1])
    refuses(model, "not a valid ONNX model")


@pytest.mark.parametrize(
    ("op", "attributes", "says"),
    [
        ("Det", {}, r"node 'Det__0' \(Det\): operator Det is not supported"),
        ("Nothing", {}, r"Nothing"),
        ("Tanh", {"domain": "com.microsoft"}, r"operator Tanh of com.microsoft is not supp"),
    ],
)
def test_unknown_operator(op, attributes, says):
    b = Builder()
    out = b.node(op, "x", **attributes)
    model = b.model({"x": [None, None, 3]}, out)
    model.opset_import.append(helper.make_opsetid("com.microsoft", 1))
    refuses(model, says)


@pytest.mark.parametrize(
    ("attribute", "says"),
    [
        ({"direction": "sideways"}, r"node 'GRU__0' \(GRU\): direction is 'sideways'"),
        ({"hidden_size": 2**62}, r"node 'GRU__0' \(GRU\): "),
        ({"hidden_size": -1}, r"node 'GRU__0' \(GRU\): hidden_size is -1"),
        ({"activations": ["Sigmoid", "Nothing"]}, r"node 'GRU__0' \(GRU\): activations has 'Noth"),
        ({"activations": ["Sigmoid"]}, r"node 'GRU__0' \(GRU\): activations has 1 functions"),
        ({"clip": -2.0}, r"node 'GRU__0' \(GRU\): clip is -2.0"),
    ],
)
def test_wrong_attributes(attribute, says):
    b = Builder()
    w = b.tensor(np.ones((1, 12, 3), np.float32))
    r = b.tensor(np.ones((1, 12, 4), np.float32))
    y, _ = b.node("GRU", "x", w, r, outputs=2, **{"hidden_size": 4, **attribute})
    refuses(b.model({"x": [None, None, 3]}, b.node("Squeeze", y, b.tensor([1]))), says)


# --- sizes out of nothing


def huge_constant(b):
    return b.node("ConstantOfShape", b.tensor([2**20, 2**20]))


def huge_expand(b):
    return b.node("Expand", "x", b.tensor([2**30, 2**10, 5, 2, 3]))


def huge_tile(b):
    return b.node("Tile", "x", b.tensor([2**30, 2**10, 1]))


def huge_range(b):
    limits = [b.tensor(np.float32(n)) for n in (0, 1e30, 1)]
    return b.node("Range", *limits)


def huge_sum(b):
    column = b.node("Reshape", b.node("Tile", "x", b.tensor([1, 1, 2**12])), b.tensor([-1, 1]))
    return b.node("Add", column, b.node("Transpose", column))


def huge_product(b):
    column = b.node("Reshape", b.node("Tile", "x", b.tensor([1, 1, 2**12])), b.tensor([-1, 1]))
    return b.node("MatMul", column, b.node("Transpose", column))


def huge_gather(b):
    many = b.node("ConstantOfShape", b.tensor([2**22]), value=int_tensor(0))
    return b.node("Gather", b.node("Reshape", "x", b.tensor([1, 30])), many)


def huge_concat(b):
    out = b.node("Tile", "x", b.tensor([1, 1, 2**12]))
    for _ in range(40):
        out = b.node("Concat", out, out, axis=0)
    return out


def int_tensor(value):
    return onnx.numpy_helper.from_array(np.array([value]), "value")


@pytest.mark.parametrize(
    "make",
    [
        huge_constant,
        huge_expand,
        huge_tile,
        huge_range,
        huge_sum,
        huge_product,
        huge_gather,
        huge_concat,
    ],
)
def test_huge_sizes(make):
    b = Builder()
    proto = b.model({"x": [None, None, 3]}, make(b))
    tracemalloc.start()
    try:
        model = gru_native.onnx.load(proto)
        with pytest.raises(ValueError, match=r"node '\w+' \(\w+\): the result would have shape"):
            model(X)
        assert tracemalloc.get_traced_memory()[1] < 1 << 30
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda b: b.node("Reshape", "x", b.tensor([7, -1])), r"\(Reshape\): cannot make shape"),
        (lambda b: b.node("Reshape", "x", b.tensor([-1, -1])), r"\(Reshape\): cannot make shape"),
        (lambda b: b.node("Squeeze", "x", b.tensor([0])), r"\(Squeeze\)"),
        (lambda b: b.node("Transpose", "x", perm=[0, 0, 1]), r"\(Transpose\)"),
        (lambda b: b.node("Gather", "x", b.tensor([99]), axis=1), r"\(Gather\)"),
        (lambda b: b.node("Gather", "x", b.tensor([0]), axis=9), r"\(Gather\)"),
        (lambda b: b.node("Split", "x", b.tensor([1, 99]), outputs=2)[0], r"split is \[1, 99\]"),
        (lambda b: b.node("Slice", "x", b.tensor([0]), b.tensor([1]), b.tensor([9])), r"\(Slice\)"),
        (lambda b: b.node("Concat", "x", b.tensor(X[:1]), axis=1), r"\(Concat\)"),
        (lambda b: b.node("MatMul", "x", b.tensor(np.ones((9, 2), np.float32))), r"\(MatMul\)"),
        (lambda b: b.node("Expand", "x", b.tensor([4, 4, 4])), r"\(Expand\)"),
    ],
)
def test_wrong_glue(make, says):
    b = Builder()
    model = gru_native.onnx.load(b.model({"x": [None, None, 3]}, make(b)))
    with pytest.raises(ValueError, match=rf"node '\w+' .*{says}"):
        model(X)


# --- external data


def with_external(tmp_path, location, data=b"", **entries):
    """A model whose first W lies in another file; data is written to `outside` and `inside`."""
    model = exported(tmp_path)
    tensor = tensor_of(model, "0.l0.W")
    raw = tensor.raw_data
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    for key, value in {"location": location, **entries}.items():
        tensor.external_data.add(key=key, value=str(value))
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "model.onnx").write_bytes(model.SerializeToString())
    for place in (folder / "inside", tmp_path / "outside"):
        place.write_bytes(data or b"12345678" + raw)
    return folder / "model.onnx", model


def test_external_data_is_read(tmp_path):
    path, _ = with_external(tmp_path, "inside", offset=8, length=192)
    expected = gru_native.onnx.load(tmp_path / "model.onnx")
    for a, e in zip(gru_native.onnx.load(path)(X), expected(X), strict=True):
        np.testing.assert_array_equal(a, e)


@pytest.mark.parametrize(
    ("location", "entries"),
    [
        ("../outside", {"offset": 8}),
        ("/etc/passwd", {}),
        ("", {}),
        ("none", {}),
        (".", {}),
        ("inside\0", {}),
        ("inside", {"offset": -8}),
        ("inside", {"offset": 9}),
        ("inside", {"offset": 2**70}),
        ("inside", {"length": 2**40}),
        ("inside", {"offset": "eight"}),
    ],
)
def test_external_data_elsewhere(location, entries, tmp_path):
    path, _ = with_external(tmp_path, location, **entries)
    refuses(path, r"model.onnx: tensor '0.l0.W'")


def test_external_data_behind_a_link(tmp_path):
    path, _ = with_external(tmp_path, "link", offset=8)
    (path.parent / "link").symlink_to(tmp_path / "outside")
    refuses(path, r"tensor '0.l0.W' lies in 'link'; expected a file beside the model")


def test_external_data_of_a_model_in_memory(tmp_path):
    _, model = with_external(tmp_path, "inside", offset=8)
    refuses(model, r"tensor '0.l0.W' lies in another file; expected a path")
