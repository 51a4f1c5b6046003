"""ConvTranspose in plans, a block of the core, against ONNX Runtime and against calls without."""

import numpy as np
import pytest

pytest.importorskip("onnx")
runtime = pytest.importorskip("onnxruntime")

import gru_native.onnx  # noqa: E402
from gru_native.onnx.operators import transposed  # noqa: E402
from onnx_builder import Builder  # noqa: E402


def attributes_of(rng, kernel, stride, dilation):
    """Paddings, or what takes their place."""
    options = {"kernel_shape": kernel, "strides": stride, "dilations": dilation}
    spans = [(k - 1) * d for k, d in zip(kernel, dilation, strict=True)]
    kind = rng.integers(4)
    # of kernels narrower than a stride ONNX Runtime makes less than the standard says
    if kind == 0 and all(span + 1 >= s for span, s in zip(spans, stride, strict=True)):
        return options | {"auto_pad": str(rng.choice(["SAME_UPPER", "SAME_LOWER", "VALID"]))}
    if kind == 1:
        more = [int(rng.integers(0, s)) for s in stride]
        return options | {"output_padding": more, "pads": [s // 2 for s in spans] * 2}
    pads = [int(rng.integers(0, s // 2 + 1)) for s in spans * 2]
    return options | {"pads": pads}


def random_case(seed):
    """A model, the shape of x and the node's place in it."""
    rng, b = np.random.default_rng(seed), Builder(17)
    sides = int(rng.integers(1, 3))
    groups, each, outs = (int(n) for n in rng.integers(1, 5, 3))
    if seed % 3 == 0:
        each = outs = 1
    kernel, stride, dilation = (rng.integers(1, most, sides).tolist() for most in (5, 3, 3))
    weight = rng.standard_normal((groups * each, outs, *kernel), np.float32)
    own = [b.tensor(weight)]
    if seed % 2:
        own.append(b.tensor(rng.standard_normal(groups * outs, np.float32)))
    options = attributes_of(rng, kernel, stride, dilation)
    y = b.node("ConvTranspose", "x", *own, group=groups, **options)
    behind = [
        lambda y: y,
        lambda y: b.node("Relu", y),
        lambda y: b.node("Mul", y, b.node("Sigmoid", y)),
    ]
    y = behind[seed % 5 % 3](y)
    shape = (2, groups * each, *rng.integers(3, 12, sides).tolist())
    return b.model({"x": shape}, y, rank=len(shape)), shape


@pytest.mark.parametrize("seed", range(120))
def test_against_onnx_runtime(seed):
    model, shape = random_case(seed)
    rng, loaded = np.random.default_rng(seed), gru_native.onnx.load(model)
    session = runtime.InferenceSession(
        model.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    for _ in range(3):  # planned from the second on
        x = rng.standard_normal(shape, np.float32)
        np.testing.assert_allclose(loaded(x), session.run(None, {"x": x})[0], 1e-4, 1e-4)


def test_most_are_blocks(monkeypatch):
    made = []
    usual = transposed.Transposed.__init__

    def counting(self, *arguments):
        made.append(self)
        usual(self, *arguments)

    monkeypatch.setattr(transposed.Transposed, "__init__", counting)
    for seed in range(40):
        model, shape = random_case(seed)
        loaded = gru_native.onnx.load(model)
        for _ in range(3):
            loaded(np.ones(shape, np.float32))
    assert len(made) > 25


def test_a_kernel_beside_x():
    """Of an output that begins behind some elements of x, and of one that has none."""
    b = Builder(17)
    weight = np.arange(1, 5, dtype=np.float32).reshape(1, 1, 4)
    y = b.node("ConvTranspose", "x", b.tensor(weight), strides=[2], pads=[5, 1])
    none = b.node("ConvTranspose", "x", b.tensor(weight[..., :1]), strides=[3], pads=[1, 9])
    model = b.model({"x": [1, 1, 5]}, [y, none], rank=3)
    loaded = gru_native.onnx.load(model)
    x = np.arange(1, 6, dtype=np.float32).reshape(1, 1, 5)
    whole = np.zeros(12, np.float32)
    for m in range(5):
        whole[2 * m : 2 * m + 4] += x[0, 0, m] * weight[0, 0]
    for _ in range(3):
        first, second = loaded(x)
        np.testing.assert_array_equal(first[0, 0], whole[5:-1])
        np.testing.assert_array_equal(second[0, 0], [0, 0, 2])


def test_errors_name_the_input():
    b = Builder(17)
    weight = np.ones((2, 3, 3), np.float32)
    y = b.node("ConvTranspose", "x", b.tensor(weight), b.tensor(np.ones(2, np.float32)))
    loaded = gru_native.onnx.load(b.model({"x": [1, 2, 5]}, y, rank=3))
    with pytest.raises(ValueError, match=r"B has shape \(2,\); expected \(3,\)"):
        loaded(np.ones((1, 2, 5), np.float32))
