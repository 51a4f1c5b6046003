"""Every option of every constructor can be read from the layer, and repr shows what is unusual."""

import inspect

import numpy as np
import pytest

import gru_native
from gru_native.layers._weights import Weighted

SIZES = {
    "input_size": 5,
    "hidden_size": 4,
    "output_size": 3,
    "annotation_size": 2,
    "arity": 2,
    "num_steps": 3,
    "vocab_size": 7,
    "embedding_dim": 3,
    "memory_size": 5,
    "num_embeddings": 6,
    "in_channels": 4,
    "out_channels": 6,
    "kernel_size": 3,
    "normalized_shape": 5,
    "num_features": 5,
    "name": "tanh",
    "kind": "last",
}
# An unusual value for each option, and what must be given with it.
UNUSUAL = {
    "num_layers": 2,
    "num_edge_types": 2,
    "nonlinearity": "relu",
    "bias": False,
    "batch_first": True,
    "dropout": 0.25,
    "zoneout": 0.5,
    "zoneout_cell": 0.75,
    "bidirectional": True,
    "proj_size": 3,
    "nonrecurrent_proj_size": 2,
    "peephole": True,
    "coupled_gates": True,
    "input_gate": False,
    "forget_gate": False,
    "output_gate": False,
    "input_activation": "relu",
    "output_activation": "sigmoid",
    "activation": "relu",
    "candidate_activation": "sigmoid",
    "cell_clip": 2.5,
    "activation_clip": 1.5,
    "gate_activation": ("hard_sigmoid", 0.25, 0.375),
    "gate_recurrence": True,
    "layer_norm": True,
    "aggregate": "sum",
    "cell": "gru",
    "attention": "general",
    "attention_size": 6,
    "num_memories": 2,
    "input_feeding": False,
    "readout_size": 8,
    "readout": "maxout",
    "location_channels": 3,
    "location_width": 5,
    "padding_idx": 1,
    "stride": 2,
    "dilation": 2,
    "groups": 2,
    "padding": "valid",
    "eps": 1e-3,
    "elementwise_affine": False,
    "ceil_mode": True,
    "momentum": 0.25,
    "affine": False,
    "divisor_override": 5,
    "features": 5,
    "learn_initial_state": True,
    "count_include_pad": False,
    "dtype": np.float64,
    "seed": 7,
}
ALSO = {"nonrecurrent_proj_size": {"proj_size": 3}}
OF_CLASS = {
    ("GRU", "reset_after"): False,
    ("GatedGraph", "reset_after"): True,
    ("GatedGraph", "bias"): "node",
    ("MaxPool1d", "padding"): 1,
    ("AvgPool1d", "padding"): 1,
    ("Conv2d", "padding"): (1, 2),
    ("MaxPool2d", "padding"): (1, 0),
    ("AvgPool2d", "padding"): (0, 1),
}
CLASSES = [
    kind
    for name in gru_native.__all__
    if isinstance(kind := getattr(gru_native, name), type)
    and issubclass(kind, Weighted)
    and kind not in (gru_native.Chain, gru_native.Residual, gru_native.Parallel)  # of layers
]


def parameters(kind):
    return inspect.signature(kind).parameters.values()


def sizes_of(kind):
    return {p.name: SIZES[p.name] for p in parameters(kind) if p.default is p.empty}


OPTIONS = [
    (kind, p.name, p.default)
    for kind in CLASSES
    for p in parameters(kind)
    if p.default is not p.empty
]


def unusual(kind, option, default):
    value = OF_CLASS.get((kind.__name__, option), UNUSUAL.get(option, SIZES.get(option)))
    assert value is not None, f"a value for {option} is missing here"
    assert value != default
    return value


def test_all_layers_are_here():
    names = {kind.__name__ for kind in CLASSES}
    assert {"RNN", "LSTM", "GRU", "Dense", "OutputRNN", "GatedGraph", "NaryTreeLSTM"} <= names


@pytest.mark.parametrize("kind", CLASSES, ids=lambda kind: kind.__name__)
def test_sizes_and_usual_options_are_attributes(kind):
    layer = kind(**sizes_of(kind))
    for name, value in sizes_of(kind).items():
        assert getattr(layer, name) == value
    for option, default in ((name, d) for k, name, d in OPTIONS if k is kind):
        if (option, default) == ("stride", None):  # of torch's pools: that of the window
            default = layer.kernel_size
        assert getattr(layer, option) == default, option
        assert type(getattr(layer, option)) is type(default) or option == "dtype"


@pytest.mark.parametrize(
    ("kind", "option", "default"), OPTIONS, ids=lambda v: getattr(v, "__name__", str(v))
)
def test_an_option_is_an_attribute_and_repr_shows_it(kind, option, default):
    value = unusual(kind, option, default)
    layer = kind(**sizes_of(kind), **ALSO.get(option, {}), **{option: value})
    assert getattr(layer, option) == value
    shown, usual = repr(layer), repr(kind(**sizes_of(kind)))
    if option == "seed":
        assert shown == usual
        return
    assert shown != usual
    # Sizes stand first, without names.
    text = "dtype=float64" if option == "dtype" else f"{option}={value!r}"
    sizes = shown.partition(")")[0].partition("(")[2].split(", ")
    assert text in shown or str(value) in sizes
    namespace = {kind.__name__: kind, "float32": np.float32, "float64": np.float64}
    again = eval(shown, namespace)  # what repr shows makes the same layer
    assert repr(again) == shown
    assert getattr(again, option) == value


# --- an option that is assigned afterwards would do nothing, or make `save` write another model


@pytest.mark.parametrize("kind", CLASSES, ids=lambda kind: kind.__name__)
def test_options_cannot_be_assigned(kind):
    layer = kind(**sizes_of(kind))
    before = repr(layer)
    for name in (p.name for p in parameters(kind)):
        value = getattr(layer, name)
        text = f"{name} is fixed when its {kind.__name__} is made"
        with pytest.raises(AttributeError, match=text):
            setattr(layer, name, value)
        with pytest.raises(AttributeError, match=text):
            delattr(layer, name)
        assert getattr(layer, name) is value
    assert repr(layer) == before


def test_what_a_chain_is_made_of_cannot_be_assigned():
    chain = gru_native.Chain([gru_native.GRU(3, 4), gru_native.Dense(4, 2)])
    for name in ("blocks", "dtype", "input_size", "output_size", "batch_first"):
        with pytest.raises(AttributeError, match=f"{name} is fixed when its Chain is made"):
            setattr(chain, name, getattr(chain, name))
    dense = gru_native.Dense(3, 3, seed=1)
    for made in (gru_native.Residual(dense, "multiply"), gru_native.Parallel([dense], "add")):
        kind = type(made).__name__
        for name in made._options:
            with pytest.raises(AttributeError, match=f"{name} is fixed when its {kind} is made"):
                setattr(made, name, getattr(made, name))


def test_what_rtrl_steps_through_cannot_be_assigned():
    r = gru_native.RTRL(gru_native.GRU(3, 4))
    for name in ("layer", "batch_size"):
        with pytest.raises(AttributeError, match=name):
            setattr(r, name, getattr(r, name))


def test_what_transducers_are_made_of_cannot_be_assigned():
    prediction, output = gru_native.LSTM(4, 3), gru_native.Dense(5, 4)
    joint = gru_native.decoding.TransducerJoint(prediction, output)
    names = ("prediction", "output", "embedding", "join", "activation", "encoded_size", "blank")
    for name in (*names, "classes", "dtype"):
        with pytest.raises(
            AttributeError, match=f"{name} is fixed when its TransducerJoint is made"
        ):
            setattr(joint, name, getattr(joint, name))
    with pytest.raises(ValueError, match="read-only"):
        joint.embedding[0] = 1
    with pytest.raises(AttributeError, match="batch_size is fixed"):
        joint.stream().batch_size = 2


@pytest.mark.parametrize("kind", ["SGD", "Adagrad", "Adam", "AdamW"])
def test_options_of_optimizers_are_attributes_that_cannot_be_assigned(kind):
    own = getattr(gru_native.optim, kind)(gru_native.Dense(2, 2), weight_decay=0.25)
    assert own.weight_decay == 0.25
    for name in (
        "weight_decay",
        "betas" if "Adam" in kind else "eps" if kind != "SGD" else "momentum",
    ):
        with pytest.raises(AttributeError, match=f"{name} is fixed when its {kind} is made"):
            setattr(own, name, getattr(own, name))
    own.lr = 0.5  # as a schedule does
    assert own.lr == 0.5


def test_attributes_of_a_subclass_are_free():
    class Tagged(gru_native.GRU):
        def __init__(self, hidden_size, tag):
            self.tag = tag
            super().__init__(3, hidden_size)
            self.calls = 0

        def __call__(self, *arguments, **options):
            self.calls += 1
            return super().__call__(*arguments, **options)

    layer = Tagged(4, "first")
    layer.tag = "second"
    layer.note = "new"
    layer(np.zeros((2, 1, 3), np.float32))
    assert (layer.tag, layer.note, layer.calls) == ("second", "new", 1)
    del layer.note
    with pytest.raises(AttributeError, match="dropout is fixed when its Tagged is made"):
        layer.dropout = 0.9
