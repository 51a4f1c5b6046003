"""from_torch of modules with few bits: bfloat16, and torch.ao.nn.quantized.dynamic."""

import numpy as np
import pytest

import gru_native
from helpers import assert_same_bits

torch = pytest.importorskip("torch")
from torch import nn  # noqa: E402

import gru_native.torch as ours  # noqa: E402

pytestmark = pytest.mark.filterwarnings("ignore")  # PyTorch is removing these modules
MODULES = {
    "lstm": lambda: nn.LSTM(13, 30, 2, bidirectional=True, batch_first=True),
    "gru": lambda: nn.GRU(13, 30, 2),
    "linear": lambda: nn.Linear(13, 30),
    "linear without bias": lambda: nn.Linear(13, 30, bias=False),
}


def module_of(name, seed=1):
    torch.manual_seed(seed)
    return MODULES[name]()


def dynamic(name, dtype=torch.qint8, seed=1):
    kinds = {nn.LSTM, nn.GRU, nn.Linear}
    whole = nn.Sequential(module_of(name, seed))
    return torch.ao.quantization.quantize_dynamic(whole, kinds, dtype=dtype)[0]


def tensors_of(module):
    if hasattr(module, "get_weight"):
        return module.get_weight() | module.get_bias()
    pair = {"weight": module.weight(), "bias": module.bias()}
    return {name: tensor for name, tensor in pair.items() if tensor is not None}


def outputs(thing, x):
    y = thing(x)
    y = y[0] if isinstance(y, tuple) else y
    return y.detach().numpy() if isinstance(y, torch.Tensor) else y


def inputs(steps=9, batch=5):
    return np.random.default_rng(2).standard_normal((steps, batch, 13), dtype=np.float32)


@pytest.mark.parametrize("name", MODULES)
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_dynamic_int8(name, seed):
    module = dynamic(name, seed=seed)
    layer = ours.from_torch(module)
    assert layer.precision == "int8"
    wide = ours.from_torch(module, precision="float32")
    assert wide.precision == "float32"
    for key, tensor in tensors_of(module).items():
        if not tensor.is_quantized:
            assert_same_bits(np.asarray(layer.weights[key]), tensor.detach().numpy())
            continue
        assert_same_bits(np.asarray(wide.weights[key]), tensor.dequantize().numpy())
        q = np.maximum(tensor.int_repr().numpy(), -127)
        scale = np.float32(tensor.q_scale())
        assert_same_bits(np.asarray(layer.weights[key]), q * scale)
    x = inputs()
    y, exact = outputs(layer, x), outputs(module_of(name, seed), torch.from_numpy(x))
    theirs = outputs(module, torch.from_numpy(x))
    assert 0 < np.abs(y - theirs).max() < 0.05
    assert np.abs(y - exact).mean() < 1.1 * np.abs(theirs - exact).mean()


def with_weights(scale, zero_point):
    """A dynamic Linear with other quantized weights."""
    linear = module_of("linear")
    module = torch.ao.quantization.quantize_dynamic(nn.Sequential(linear), {nn.Linear})[0]
    w = torch.quantize_per_tensor(linear.weight.detach(), scale, zero_point, torch.qint8)
    module.set_weight_bias(w, module.bias())
    return module


def test_the_lowest_weight_of_pytorch():
    module = with_weights(0.001, 0)
    q = module.weight().int_repr().numpy()
    assert q.min() == -128
    stored = ours.from_torch(module)._core.stored()
    np.testing.assert_array_equal(stored["weight"], np.maximum(q, -127))


def test_scales_of_channels():
    linear = module_of("linear")
    linear.qconfig = torch.ao.quantization.per_channel_dynamic_qconfig
    module = torch.ao.nn.quantized.dynamic.Linear.from_float(linear)
    layer = ours.from_torch(module)
    scale = module.weight().q_per_channel_scales().numpy().astype(np.float32)
    assert_same_bits(layer._core.stored()["weight.scale"], scale)
    x = inputs()
    np.testing.assert_allclose(layer(x), outputs(module, torch.from_numpy(x)), atol=0.03)


def test_zero_points():
    module = with_weights(0.003, -20)
    layer = ours.from_torch(module)
    assert layer.precision == "int8"
    expected = module.weight().dequantize().numpy()
    np.testing.assert_allclose(layer.weights["weight"], expected, atol=1e-7)
    beyond = with_weights(0.001, -100)
    layer = ours.from_torch(beyond)
    assert layer.precision == "float32"
    assert_same_bits(np.asarray(layer.weights["weight"]), beyond.weight().dequantize().numpy())


@pytest.mark.parametrize("name", ["lstm", "linear"])
def test_dynamic_float16(name):
    module = dynamic(name, torch.float16)
    layer = ours.from_torch(module)
    assert layer.precision == "float32"
    for key, tensor in tensors_of(module).items():
        assert_same_bits(np.asarray(layer.weights[key]), tensor.detach().numpy())


@pytest.mark.parametrize("name", MODULES)
def test_bfloat16(name):
    module = module_of(name).to(torch.bfloat16)
    layer = ours.from_torch(module)
    wide = ours.from_torch(module, precision="float32")
    assert (layer.precision, wide.precision) == ("bf16", "float32")
    for key, tensor in module.state_dict().items():
        assert_same_bits(np.asarray(layer.weights[key]), tensor.float().numpy())
        assert_same_bits(np.asarray(wide.weights[key]), tensor.float().numpy())
    assert_same_bits(outputs(wide.quantize("bf16"), inputs()), outputs(layer, inputs()))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_state_dict_of_bfloat16_is_loaded(dtype):
    state = nn.GRU(3, 4).to(torch.bfloat16).state_dict()
    layer = gru_native.GRU(3, 4, dtype=dtype)
    layer.load_state_dict(state)
    for name, tensor in state.items():
        np.testing.assert_array_equal(layer.weights[name], tensor.float().numpy())
    with layer.editing() as w:
        w["weight_hh_l0"] = state["weight_hh_l0"] * 2
    np.testing.assert_array_equal(
        layer.weights["weight_hh_l0"], state["weight_hh_l0"].float().numpy() * 2
    )


def test_linear():
    module = module_of("linear").double()
    layer = ours.from_torch(module)
    assert layer.dtype == np.float64
    x = inputs().astype(np.float64)
    np.testing.assert_allclose(layer(x), outputs(module, torch.from_numpy(x)), atol=1e-12)


def test_errors():
    with pytest.raises(ValueError, match="precision is 'int8'; expected 'float32' or None"):
        ours.from_torch(nn.GRU(3, 4), precision="int8")
