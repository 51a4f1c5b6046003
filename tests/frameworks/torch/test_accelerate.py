"""accelerate and restore: classes change, and nothing else."""

import pytest

torch = pytest.importorskip("torch")
from torch import nn  # noqa: E402

import gru_native.torch as ours  # noqa: E402
from torch_models import assert_near, gradients, tagger  # noqa: E402


def test_accelerate_and_restore_change_the_class_and_nothing_else():
    model = tagger()
    before = dict(model.named_modules())
    parameters = {name: (id(p), p.data_ptr()) for name, p in model.named_parameters()}
    expected = gradients(model)
    assert ours.accelerate(model) is model
    assert type(model.gru) is ours.GRU
    assert type(model.layers[0]) is ours.LSTM
    assert dict(model.named_modules()) == before  # the same objects
    assert {n: (id(p), p.data_ptr()) for n, p in model.named_parameters()} == parameters
    for name, gradient in gradients(model).items():
        assert_near(gradient, expected[name])
    assert ours.restore(model) is model
    assert type(model.gru) is nn.GRU
    assert type(model.layers[0]) is nn.LSTM
    assert "_made" not in model.gru.__dict__
    for name, gradient in gradients(model).items():
        assert torch.equal(gradient, expected[name])


def test_a_model_that_is_itself_a_layer():
    layer = nn.RNN(3, 4, nonlinearity="relu")
    x = torch.randn(5, 2, 3)
    expected = layer(x)[0]
    assert type(ours.accelerate(layer)) is ours.RNN
    assert_near(layer(x)[0], expected)


def test_subclasses_and_own_options_are_left_alone():
    class Mine(nn.LSTM):
        pass

    model = nn.ModuleList([Mine(3, 4), ours.LSTM(3, 4, peephole=True), ours.GRU(3, 4)])
    with pytest.warns(UserWarning, match="leaves alone 0: Mine is a subclass"):
        ours.accelerate(model)
    assert type(model[0]) is Mine
    ours.restore(model)
    assert [type(m) for m in model] == [Mine, ours.LSTM, nn.GRU]


def test_the_report_names_what_was_replaced_and_what_was_not():
    class Mine(nn.GRU):
        pass

    model = nn.ModuleDict(
        {
            "rnn": nn.RNN(3, 4),
            "both": nn.ModuleList([nn.LSTM(3, 4), nn.Linear(3, 4), Mine(3, 4), nn.LSTMCell(3, 4)]),
            "script": torch.jit.script(nn.GRU(3, 4)),
            "own": ours.GRU(3, 4),
        }
    )
    same, replaced, left = ours.accelerate(model, report=True)
    assert same is model
    assert replaced == ["rnn", "both.0"]
    assert left == {
        "both.2": "Mine is a subclass, which may compute something else",
        "both.3": "LSTMCell computes single steps; a layer would compute them all",
        "script": "GRU is compiled by torch.jit",
    }
    assert ours.accelerate(nn.LSTM(3, 4), report=True).replaced == [""]


@pytest.mark.parametrize("function", [ours.accelerate, ours.restore])
def test_no_model(function):
    with pytest.raises(TypeError, match=r"model is a dict; expected a torch\.nn\.Module"):
        function({})


def test_hooks_run():
    model = tagger()
    seen = []
    model.gru.register_forward_pre_hook(lambda m, args: seen.append("before"))
    model.gru.register_forward_hook(lambda m, args, out: seen.append(out[0].shape))
    model.gru.register_full_backward_hook(lambda m, gi, go: seen.append(gi[0].shape))
    model.gru.weight_hh_l0.register_hook(lambda g: seen.append("weight"))
    gradients(model)
    expected, seen[:] = list(seen), []
    ours.accelerate(model)
    gradients(model)
    assert seen == expected
    assert len(seen) > 6
