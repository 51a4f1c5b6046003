"""PyTorch's own samples of RNN, LSTM and GRU (the database of its module tests) on our modules.

PyTorch's wheel has the database, not the tests; the checks below are those that its suite makes of
each sample on the CPU.
"""

import copy
import io
import re

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("expecttest")  # the database needs it
from torch.testing._internal.common_modules import (  # noqa: E402
    ModuleErrorEnum,
    module_db,
)

import gru_native.torch as ours  # noqa: E402

OURS = {torch.nn.RNN: ours.RNN, torch.nn.LSTM: ours.LSTM, torch.nn.GRU: ours.GRU}
INFOS = [info for info in module_db if info.module_cls in OURS]


def test_the_database_has_the_modules():
    assert {info.module_cls for info in INFOS} == set(OURS)


def samples(info, dtype, training=True):
    """(module of ours, arguments, keywords, reference) of each sample."""
    options = {"device": "cpu", "dtype": dtype, "requires_grad": True, "training": training}
    more = {} if info.module_cls is torch.nn.LSTM else {"with_packed_sequence": True}
    found = 0
    for sample in info.module_inputs_func(info, **options, **more):
        made = sample.constructor_input
        module = OURS[info.module_cls](*made.args, dtype=dtype, **made.kwargs).train(training)
        given = sample.forward_input
        found += 1
        yield module, given.args, given.kwargs, sample.reference_fn
    assert found >= 16


def packed(arguments):
    return any(isinstance(a, torch.nn.utils.rnn.PackedSequence) for a in arguments)


def tensors(value):
    if isinstance(value, torch.Tensor):
        return [value]
    return [t for v in value for t in tensors(v)] if isinstance(value, (tuple, list)) else []


@pytest.mark.parametrize("info", INFOS, ids=lambda info: info.name)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("training", [True, False])
def test_forward(info, dtype, training):
    for module, args, kwargs, reference in samples(info, dtype, training):
        y = module(*args, **kwargs)
        theirs = info.module_cls(**constructor(module), dtype=dtype)
        theirs.load_state_dict(module.state_dict())
        torch.testing.assert_close(y, theirs(*args, **kwargs))
        assert repr(module) == repr(theirs)
        if not packed(args):
            torch.testing.assert_close(y, reference(module, *args, **kwargs))


def constructor(module):
    names = ["input_size", "hidden_size", "num_layers"]
    names += ["bias", "batch_first", "dropout", "bidirectional"]
    keywords = {name: getattr(module, name) for name in names}
    if isinstance(module, torch.nn.RNN):
        keywords["nonlinearity"] = module.nonlinearity
    return keywords | ({"proj_size": module.proj_size} if module.proj_size else {})


@pytest.mark.parametrize("info", INFOS, ids=lambda info: info.name)
def test_grad(info):
    for module, args, kwargs, _ in samples(info, torch.float64):
        inputs = tensors(args) + list(module.parameters())
        inputs = [t for t in inputs if t.requires_grad]

        def run(*_, module=module, args=args, kwargs=kwargs):
            outputs = tensors(module(*args, **kwargs))
            return tuple(t for t in outputs if t.requires_grad)

        assert torch.autograd.gradcheck(run, inputs, fast_mode=True)


@pytest.mark.parametrize("info", INFOS, ids=lambda info: info.name)
def test_non_contiguous_tensors(info):
    def spread(value):
        if isinstance(value, torch.Tensor):
            apart = torch.stack([value.detach(), -value.detach()], -1)[..., 0]
            assert value.numel() < 2 or not apart.is_contiguous()
            return apart.requires_grad_()
        return tuple(spread(v) for v in value)

    for module, args, kwargs, _ in samples(info, torch.float64):
        if packed(args):
            continue
        others = spread(args)
        expected, found = tensors(module(*args, **kwargs)), tensors(module(*others, **kwargs))
        dys = [torch.randn_like(t) for t in expected]
        torch.testing.assert_close(found, expected, rtol=0, atol=0)
        torch.testing.assert_close(
            torch.autograd.grad(found, tensors(others), spread(dys)),
            torch.autograd.grad(expected, tensors(args), dys),
            rtol=0,
            atol=0,
        )


@pytest.mark.parametrize("info", INFOS, ids=lambda info: info.name)
def test_pickle_deepcopy_and_repeated_calls(info):
    for module, args, kwargs, _ in samples(info, torch.float32):
        y = module(*args, **kwargs)
        file = io.BytesIO()
        torch.save(module, file)
        file.seek(0)
        for twin in (module, torch.load(file, weights_only=False), copy.deepcopy(module)):
            torch.testing.assert_close(twin(*args, **kwargs), y, rtol=0, atol=0)


@pytest.mark.parametrize("info", INFOS, ids=lambda info: info.name)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
def test_errors(info, dtype):
    errors = info.module_error_inputs_func(
        info, device="cpu", dtype=dtype, requires_grad=False, training=False
    )
    assert len(errors) > 5
    for error in errors:
        made = error.module_error_input.constructor_input
        if error.error_on is ModuleErrorEnum.CONSTRUCTION_ERROR:
            with pytest.raises(error.error_type, match=error.error_regex):
                OURS[info.module_cls](*made.args, **made.kwargs)
            continue
        module = OURS[info.module_cls](*made.args, **made.kwargs)
        given = error.module_error_input.forward_input
        with pytest.raises(error.error_type) as caught:
            module(*given.args, **given.kwargs)
        assert re.search(error.error_regex, str(caught.value))
