"""What the LSTM's variants are to each other and to published networks: no reference takes part."""

import numpy as np
import pytest

import gru_native
from checks import run
from helpers import assert_close, assert_same_bits, make_layer, parts, random_case
from reference import Spec, Variant

FULL = Variant(peephole=True, input_activation="sigmoid", cell_clip=0.75)
LENGTHS = [5, 2, 0, 4]


def networks(variant, **options):
    """The same network with this variant and with FULL, and a case for the first."""
    first, full = (
        Spec("lstm", 7, 17, 2, bidirectional=True, variant=v, **options) for v in (variant, FULL)
    )
    case = random_case(first, np.random.default_rng(30), batch=4, lengths=LENGTHS)
    return first, full, case


def widened(weights, row_block, make_rows, make_peephole):
    """Weights of a cell that lacks a gate, with rows (and a peephole) for it put in.

    make_rows(name, blocks) gives the rows of the gate, from the blocks that there are.
    """
    wide = {}
    for name, array in weights.items():
        if name.startswith(("weight_ih", "weight_hh", "bias")):
            blocks = np.split(array, 3)
            blocks.insert(row_block, make_rows(name, blocks))
            wide[name] = np.concatenate(blocks)
        else:
            wide[name] = array
    for end in ("_l0", "_l0_reverse", "_l1", "_l1_reverse"):
        wide[f"weight_c{'if_o'[row_block]}{end}"] = make_peephole(end)
    return wide


def assert_same_network(one, other, tolerance=1e-13):
    """y, the final state, and the gradients of x and of the initial state; the rest is returned."""
    assert_close(one[0], other[0], tolerance)
    for a, b in zip(parts(one[1]), parts(other[1]), strict=True):
        assert_close(a, b, tolerance, "final state")
    for name in ("dx", "dh0", "dc0"):
        assert_close(one[2][name], other[2][name], tolerance, name)
    return one[2], other[2]


@pytest.mark.parametrize(
    ("missing", "row_block"), [("input_gate", 0), ("forget_gate", 1), ("output_gate", 3)]
)
def test_a_missing_gate_is_one_that_is_forced_open(missing, row_block):
    """W = R = p = 0 and b = 40: the logistic function of 40 is 1 in float64."""
    lacking = Variant(**{**vars(FULL), missing: False})
    spec, full, case = networks(lacking)

    def rows(name, blocks):
        return np.full_like(blocks[0], 40.0 if name.startswith("bias_ih") else 0.0)

    weights = widened(case.weights, row_block, rows, lambda end: np.zeros(17))
    gradients, wide = assert_same_network(
        run(make_layer(spec, case.weights), case), run(make_layer(full, weights), case)
    )
    for name in case.weights:
        expected = wide[name]
        if expected.shape != gradients[name].shape:
            expected = np.delete(expected.reshape(4, 17, -1), row_block, 0)
            expected = expected.reshape(gradients[name].shape)
        assert_close(gradients[name], expected, 1e-13, name)


def test_coupled_gates_are_a_forget_gate_with_the_input_gates_weights_negated():
    """f = 1 - σ(a) = σ(-a); the gradient of the input gate is then that of i less that of f."""
    spec, full, case = networks(Variant(**{**vars(FULL), "coupled_gates": True}))
    weights = widened(
        case.weights,
        1,
        lambda name, blocks: -blocks[0],
        lambda end: -case.weights["weight_ci" + end],
    )
    gradients, wide = assert_same_network(
        run(make_layer(spec, case.weights), case), run(make_layer(full, weights), case)
    )
    for name in case.weights:
        expected = wide[name]
        if expected.shape != gradients[name].shape:
            i, f, g, o = np.split(expected, 4)
            expected = np.concatenate([i - f, g, o])
        elif name.startswith("weight_ci"):
            expected = expected - wide[name.replace("_ci", "_cf")]
        assert_close(gradients[name], expected, 1e-13, name)


def test_two_projections_are_one_of_which_only_r_recurs():
    """[r; p] is one projection of n_r + n_p, with zeros in U where p would come back."""
    n_r, n_p = 5, 8
    spec, _, case = networks(FULL, proj_size=n_r, nonrecurrent_proj_size=n_p)
    joint = Spec("lstm", 7, 17, 2, bidirectional=True, variant=FULL, proj_size=n_r + n_p)
    weights = {}
    for name, array in case.weights.items():
        if name.startswith("weight_hh"):
            weights[name] = np.pad(array, ((0, 0), (0, n_p)))
        elif name.startswith("weight_hr"):
            weights[name] = np.concatenate([array, case.weights[name.replace("_hr", "_hp")]])
        elif not name.startswith("weight_hp"):
            weights[name] = array

    y, (r, c), gradients = run(make_layer(spec, case.weights), case)
    wide_case = random_case(joint, np.random.default_rng(31), batch=4, lengths=LENGTHS)
    wide_case.x, wide_case.dy = case.x, case.dy
    pad = [(0, 0), (0, 0), (0, n_p)]
    wide_case.state = np.pad(case.state[0], pad, constant_values=0.5), case.state[1]
    wide_case.dstate = np.pad(case.dstate[0], pad), case.dstate[1]
    wide_y, (wide_r, wide_c), wide = run(make_layer(joint, weights), wide_case)

    assert_close(y, wide_y, 1e-13)
    assert_close(r, wide_r[..., :n_r], 1e-13, "r")
    assert_close(c, wide_c, 1e-13, "c")
    for name in ("dx", "dc0"):
        assert_close(gradients[name], wide[name], 1e-13, name)
    for name in case.weights:
        expected = wide[name.replace("_hp", "_hr")]
        if "weight_hh" in name:
            expected = expected[:, :n_r]
        elif "_hr" in name or "_hp" in name:
            expected = expected[:n_r] if "_hr" in name else expected[n_r:]
        assert_close(gradients[name], expected, 1e-13, name)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_peepholes_of_zero_are_none(dtype):
    """To the bit, although another kernel computes it; and their own gradients are not zero."""
    plain = Spec("lstm", 7, 33, 2, bidirectional=True, proj_size=5)
    spec = Spec("lstm", 7, 33, 2, True, proj_size=5, variant=Variant(peephole=True))
    case = random_case(plain, np.random.default_rng(32), batch=4, lengths=LENGTHS).cast(dtype)
    layer = make_layer(spec, dtype=dtype)
    zeros = {n: np.zeros(33, dtype) for n in layer.weights if n.startswith("weight_c")}
    layer.load_state_dict({**case.weights, **zeros})
    y, final, gradients = run(layer, case)
    plain_y, plain_final, expected = run(make_layer(plain, case.weights, dtype=dtype), case)
    assert_same_bits(y, plain_y)
    for part, plain_part in zip(final, plain_final, strict=True):
        assert_same_bits(part, plain_part, "final state")
    for name, gradient in expected.items():
        assert_same_bits(gradients[name], gradient, name)
    for name in zeros:
        assert gradients[name].all(), name


@pytest.mark.parametrize("proj_size", [0, 5])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_gate_recurrence_through_zeros_is_none(dtype, proj_size):
    """Forward to the bit; backward sums gates in another order. The gradient of R is not 0."""
    plain = Spec("lstm", 7, 33, 2, True, proj_size=proj_size, variant=FULL)
    full = Variant(**{**vars(FULL), "gate_recurrence": True})
    spec = Spec("lstm", 7, 33, 2, True, proj_size=proj_size, variant=full)
    case = random_case(plain, np.random.default_rng(34), batch=4, lengths=LENGTHS).cast(dtype)
    y, (h, c), gradients = run(make_layer(plain, case.weights, dtype=dtype), case)

    layer = make_layer(spec, dtype=dtype)
    zeros = {n: np.zeros((99, 99), dtype) for n in layer.weights if n.startswith("weight_rr")}
    layer.load_state_dict({**case.weights, **zeros})
    n_h = proj_size or 33
    rng = np.random.default_rng(35)
    gates = rng.uniform(0, 1, (4, 4, 99)).astype(dtype)
    none = np.zeros_like(gates)
    case.state = np.concatenate([case.state[0], gates], 2), case.state[1]
    case.dstate = np.concatenate([case.dstate[0], none], 2), case.dstate[1]
    wide_y, (wide_h, wide_c), wide = run(layer, case)
    assert_same_bits(wide_y, y)
    assert_same_bits(np.ascontiguousarray(wide_h[..., :n_h]), h, "h")
    assert_same_bits(wide_c, c, "c")
    last_gates = wide_h[..., n_h:]
    assert ((last_gates > 0) & (last_gates < 1)).all()
    assert_same_bits(last_gates[:, 2], gates[:, 2], "gates of the sequence of length 0")
    assert not wide["dh0"][..., n_h:].any()
    wide["dh0"] = wide["dh0"][..., :n_h]
    for name, gradient in gradients.items():
        assert_close(wide[name], gradient, 64 * np.finfo(dtype).eps, name)
    for name in zeros:
        assert wide[name].all(), name


@pytest.mark.parametrize("cell_clip", [None, 0.5])
def test_c_grows_without_bound_without_a_forget_gate(cell_clip):
    """The cell of 1997 is an adder: with i = g = o = 1, c counts steps, and the clip stops it."""
    layer = gru_native.LSTM(
        1, 3, input_gate=False, forget_gate=False, output_gate=False, bias=False,
        input_activation="identity", output_activation="identity", cell_clip=cell_clip,
    )  # fmt: skip
    layer.load_state_dict({"weight_ih_l0": np.full((3, 1), 0.125, np.float32),
                           "weight_hh_l0": np.zeros((3, 3), np.float32)})  # fmt: skip
    y, (_, c) = layer(np.ones((100, 1, 1), np.float32))
    counted = 0.125 * np.arange(1, 101)
    expected = counted if cell_clip is None else np.minimum(counted, cell_clip)
    np.testing.assert_array_equal(y[:, 0], np.repeat(expected[:, None], 3, 1))
    np.testing.assert_array_equal(c[0, 0], expected[-1])


def without_second_bias(layer):
    """num_parameters as the papers count: one bias vector a gate, where torch has two that add."""
    return layer.num_parameters - sum(
        array.size for name, array in layer.weights.items() if name.startswith("bias_hh")
    )


# Greff et al. 2017, with m inputs and n units: blocks of gates, and peepholes.
@pytest.mark.parametrize(
    ("name", "gates", "peepholes"),
    [
        ("V", 4, 3),
        ("NIG", 3, 2),
        ("NFG", 3, 2),
        ("NOG", 3, 2),
        ("NIAF", 4, 3),
        ("NOAF", 4, 3),
        ("CIFG", 3, 2),
        ("NP", 4, 0),
        ("FGR", 4, 3),
    ],
)
def test_parameters_of_greff(name, gates, peepholes):
    m, n = 39, 92
    layer = gru_native.LSTM.variant(name, m, n)
    between_gates = 9 * n * n if name == "FGR" else 0
    expected = gates * (n * m + n * n + n) + peepholes * n + between_gates
    assert without_second_bias(layer) == expected


# Sak, Senior and Beaufays 2014: cells, r, p, layers, outputs, weights without biases, of 40 inputs.
# The layers' weights are ours; the output layer reads [r; p], or m where nothing projects.
SAK = [
    (512, 0, 0, 1, 126, 1_196_544),
    (512, 0, 0, 1, 2000, 2_156_032),
    (512, 0, 0, 1, 8000, 5_228_032),
    (1024, 256, 0, 1, 126, 1_509_888),
    (1024, 256, 0, 1, 8000, 3_525_632),
    (2048, 256, 0, 1, 126, 2_987_520),
    (2048, 256, 256, 1, 126, 3_544_064),
    (2048, 256, 256, 1, 2000, 4_503_552),
    (2048, 256, 256, 1, 8000, 7_575_552),
    (2048, 512, 0, 1, 126, 5_641_216),
    (440, 0, 0, 5, 14247, 13_315_280),
    (600, 0, 0, 2, 14247, 12_967_800),
    (385, 0, 0, 7, 14247, 13_262_480),
    (750, 0, 0, 1, 14247, 13_057_500),
    (1024, 512, 0, 3, 14247, 19_526_144),
    (1024, 512, 0, 2, 14247, 14_804_480),
    (800, 512, 0, 2, 14247, 13_161_664),
    (2048, 512, 0, 1, 14247, 12_871_168),
    (700, 400, 0, 2, 14247, 9_735_000),
    (600, 350, 0, 2, 14247, 8_026_050),
]


@pytest.mark.parametrize(("cells", "r", "p", "layers", "outputs", "weights"), SAK)
def test_parameters_of_sak(cells, r, p, layers, outputs, weights):
    layer = gru_native.LSTM(
        40, cells, layers, bias=False, peephole=True, proj_size=r, nonrecurrent_proj_size=p
    )
    assert layer.num_parameters + outputs * ((r or cells) + p) == weights


# Graves, Mohamed and Hinton 2013: 123 inputs, 62 outputs, biases and peepholes.
@pytest.mark.parametrize(
    ("layers", "hidden", "directions", "weights"),
    [
        (1, 250, 2, 780_562),
        (1, 622, 2, 3_793_018),
        (2, 250, 2, 2_284_062),
        (3, 421, 1, 3_786_957),
        (3, 250, 2, 3_787_562),
        (5, 250, 2, 6_794_562),
    ],
)
def test_parameters_of_graves(layers, hidden, directions, weights):
    layer = gru_native.LSTM(123, hidden, layers, peephole=True, bidirectional=directions == 2)
    assert without_second_bias(layer) + (directions * hidden + 1) * 62 == weights


# Tai, Socher and Manning 2015, whose code has two biases a gate as torch has; the networks for
# relatedness lack the output gate.
@pytest.mark.parametrize(
    ("hidden", "layers", "output_gate", "weights"),
    [(150, 1, False, 203_400), (108, 2, False, 203_472), (168, 1, True, 315_840),
     (120, 2, True, 318_720)],
)  # fmt: skip
def test_parameters_of_tai(hidden, layers, output_gate, weights):
    layer = gru_native.LSTM(300, hidden, layers, output_gate=output_gate)
    assert layer.num_parameters == weights


def test_peepholes_against_the_onnx_reference():
    """P lies in the order i, o, f; the evaluator has one direction and no lengths."""
    pytest.importorskip("onnx")
    from onnx import TensorProto, helper
    from onnx.reference import ReferenceEvaluator

    spec = Spec("lstm", 7, 17, variant=Variant(peephole=True))
    case = random_case(spec, np.random.default_rng(33), dy=False)
    y, (h, c) = make_layer(spec, case.weights)(case.x, case.state)

    def reordered(name):
        i, f, g, o = np.split(case.weights[name], 4)
        return np.concatenate([i, o, f, g])[None]

    inputs = {
        "X": case.x,
        "W": reordered("weight_ih_l0"),
        "R": reordered("weight_hh_l0"),
        "B": np.concatenate([reordered("bias_ih_l0"), reordered("bias_hh_l0")], 1),
        "H0": case.state[0],
        "C0": case.state[1],
        "P": np.concatenate([case.weights[f"weight_c{gate}_l0"] for gate in "iof"])[None],
    }
    node = helper.make_node(
        "LSTM", ["X", "W", "R", "B", "", "H0", "C0", "P"], ["Y", "Yh", "Yc"], hidden_size=17
    )
    graph = helper.make_graph(
        [node],
        "lstm",
        [helper.make_tensor_value_info(n, TensorProto.DOUBLE, a.shape) for n, a in inputs.items()],
        [helper.make_tensor_value_info(n, TensorProto.DOUBLE, None) for n in ("Y", "Yh", "Yc")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 14)])
    expected_y, expected_h, expected_c = ReferenceEvaluator(model).run(None, inputs)
    assert_close(y, expected_y[:, 0], 1e-12)
    assert_close(h, expected_h, 1e-12, "h")
    assert_close(c, expected_c, 1e-12, "c")
