"""More of the models that the fuzzer changes: convolutions, pools, places, bodies and the like."""

import numpy as np
from onnx import TensorProto, helper

from onnx_builder import Builder

RNG = np.random.default_rng(0)


def floats(b, *shape):
    return b.tensor(RNG.standard_normal(shape).astype(np.float32))


def one(op, *inputs, opset=18, shape=(2, 3, 6), rank=3, kind=None, outputs=1, **attributes):
    """A model of one operator on x; inputs: arrays, or "" where there is none."""
    b = Builder(opset)
    names = [a if isinstance(a, str) else b.tensor(np.asarray(a)) for a in inputs]
    made = b.node(op, "x", *names, outputs=outputs, **attributes)
    made = made[0] if outputs > 1 else made
    if kind is not None:
        made = b.node("Cast", made, to=TensorProto.FLOAT)
    return b.model({"x": list(shape)}, made, rank=rank)


def f(*shape):
    return RNG.standard_normal(shape).astype(np.float32)


def windows():
    yield one("Conv", f(4, 3, 3), f(4), pads=[1, 1], strides=[2])
    yield one("Conv", f(3, 1, 2), group=3, auto_pad="SAME_UPPER")
    yield one("Conv", f(2, 1, 2, 2), shape=(1, 1, 4, 5), rank=4, dilations=[1, 2])
    yield one("ConvTranspose", f(3, 2, 3), strides=[2], output_padding=[1])
    yield one("MaxPool", kernel_shape=[2], ceil_mode=1, outputs=2)
    yield one("AveragePool", kernel_shape=[3], pads=[1, 1], count_include_pad=1)
    yield one("LpPool", kernel_shape=[2], p=3)
    yield one("GlobalAveragePool")
    yield one("Pad", np.array([0, 0, 1, 0, 0, 2]), np.float32(3))
    yield one("Pad", np.array([1, 2]), "", np.array([2]), mode="reflect")
    yield one("Pad", opset=9, pads=[0, 0, 1, 0, 0, 2], mode="edge")
    yield one("Resize", "", "", np.array([2, 3, 9]), mode="linear")
    yield one("Resize", "", np.float32([1, 1, 0.5]), mode="cubic", antialias=1)
    yield one("Upsample", np.float32([1, 1, 2]), opset=9)
    yield one("LRN", shape=(1, 3, 2, 2), rank=4, size=3)


def sums():
    for op in ("ReduceL1", "ReduceL2", "ReduceLogSum", "ReduceLogSumExp", "ReduceSumSquare"):
        yield one(op, np.array([1]))
    yield one("ArgMin", axis=2, kind=1, select_last_index=1)
    yield one("CumSum", np.array(1), exclusive=1, reverse=1)
    yield one("BatchNormalization", f(3), f(3), f(3), f(3) ** 2)
    yield one("LayerNormalization", f(6), f(6))
    yield one("InstanceNormalization", f(3), f(3))
    yield one("GroupNormalization", f(3), f(3), opset=21, num_groups=1)
    yield one("LpNormalization", axis=1)
    yield one("Einsum", f(6, 2), equation="abc,cd->abd")
    yield one("Hardmax", axis=1)
    for op in ("Erf", "Sin", "Cos", "Mish", "HardSwish", "Round"):
        yield one(op)
    yield one("Gelu", opset=20, approximate="tanh")
    yield one("Mod", np.float32(2), fmod=1)
    yield one("PRelu", f(3, 1))


def places():
    ids = np.array([[[0, 2, 1]]])
    yield one("GatherElements", ids, axis=2)
    yield one("GatherND", np.array([[0, 1], [1, 2]]), batch_dims=0)
    yield one("ScatterElements", ids, f(1, 1, 3), axis=2, reduction="add")
    yield one("ScatterND", np.array([[0, 1]]), f(1, 6), reduction="max")
    yield one("NonZero", rank=2, kind=1)
    yield one("Compress", np.array([True, False, True]), axis=1)
    yield one("Trilu", np.array(1), upper=0)
    yield one("EyeLike", shape=(3, 4), rank=2, k=1)
    yield one("DepthToSpace", shape=(1, 4, 2, 2), rank=4, blocksize=2)
    b = Builder(18)
    hot = b.node("OneHot", b.node("ArgMax", "x"), b.tensor(np.array(4)), floats(b, 2))
    yield b.model({"x": [2, 3, 6]}, hot, rank=4)
    b = Builder(18)
    zero = b.tensor(np.uint8(3))
    q = b.node("QuantizeLinear", "x", b.tensor(np.float32(0.1)), zero)
    w = b.tensor(RNG.integers(0, 9, (4, 3, 2)).astype(np.uint8))
    y = b.node("ConvInteger", q, w, zero, zero, pads=[1, 0])
    yield b.model({"x": [2, 3, 6]}, b.node("Cast", y, to=TensorProto.FLOAT))


def value(name, kind=TensorProto.FLOAT, shape=None):
    return helper.make_tensor_value_info(name, kind, shape)


def bodies():
    """Each with a tensor of the graph around it."""
    own = [value("e", shape=[3, 6]), value("s", shape=[3, 6])]
    step = [
        helper.make_node("Mul", ["e", "k"], ["m"], "inner"),
        helper.make_node("Add", ["m", "s"], ["t"], "sum"),
        helper.make_node("Identity", ["t"], ["u"], "out"),
    ]
    both = [value("t", shape=[3, 6]), value("u", shape=[3, 6])]
    scan = helper.make_graph(step, "scan", own[::-1], both)
    b = Builder(18)
    b.tensor(np.float32(0.5), "k")
    start = floats(b, 3, 6)
    yield b.model(
        {"x": [2, 3, 6]}, b.node("Scan", start, "x", outputs=2, body=scan, num_scan_inputs=1)[1]
    )
    head = [value("i", TensorProto.INT64, []), value("c", TensorProto.BOOL, [])]
    go_on = helper.make_node("Identity", ["c"], ["d"], "condition")
    loop = helper.make_graph(
        [go_on, *step], "loop", [*head, *own[1:]], [value("d", TensorProto.BOOL, []), *both]
    )
    loop.node[1].input[0] = "s"
    b = Builder(18)
    b.tensor(np.float32(0.5), "k")
    most, first = b.tensor(np.array(3)), floats(b, 3, 6)
    yield b.model({"x": [2, 3, 6]}, b.node("Loop", most, "", first, outputs=2, body=loop)[1])
    b = Builder(18)
    total = b.node("ReduceSum", "x", keepdims=0)
    condition = b.node("Greater", total, b.tensor(np.float32(0)))
    then, other = (
        helper.make_graph([helper.make_node(op, ["x"], ["y"], op)], op, [], [value("y")])
        for op in ("Neg", "Exp")
    )
    yield b.model({"x": [2, 3, 6]}, b.node("If", condition, then_branch=then, else_branch=other))


def fused():
    for op, *inputs in (
        ("FusedConv", f(4, 3, 3), f(4)),
        ("BiasGelu", f(6)),
        ("SkipLayerNormalization", f(2, 3, 6), f(6), f(6)),
        ("FusedMatMul", f(2, 6, 2)),
        ("QuickGelu",),
    ):
        b = Builder(18)
        names = [b.tensor(a) for a in inputs]
        extra = {"activation": "Relu"} if op == "FusedConv" else {}
        model = b.model({"x": [2, 3, 6]}, b.node(op, "x", *names, domain="com.microsoft", **extra))
        model.opset_import.append(helper.make_opsetid("com.microsoft", 1))
        yield model


def other_operators():
    """All of them."""
    for family in (windows, sums, places, bodies, fused):
        yield from family()
