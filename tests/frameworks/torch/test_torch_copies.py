"""Copies, files and other dtypes of modules."""

import copy
import io

import pytest

torch = pytest.importorskip("torch")

import gru_native.torch as ours  # noqa: E402
from torch_models import TOKENS, Tagger, assert_near, own_modules, tagger  # noqa: E402


def through_file(module):
    file = io.BytesIO()
    torch.save(module, file)
    file.seek(0)
    return torch.load(file, weights_only=False)


@pytest.mark.parametrize("copied", [copy.deepcopy, copy.copy, through_file])
@pytest.mark.parametrize("called", [False, True])
@pytest.mark.parametrize("module", own_modules(), ids=repr)
def test_copies_compute_the_same(copied, called, module):
    x = torch.randn(5, 2, 3)
    if called:
        module(x)
    twin = copied(module)
    assert "_made" not in twin.__dict__
    assert repr(twin) == repr(module)
    assert type(twin) is type(module)
    assert torch.equal(twin(x)[0], module(x)[0])
    if copied is not copy.copy:
        with torch.no_grad():
            twin.weight_hh_l0.mul_(2)
        assert not torch.equal(twin(x)[0], module(x)[0])


def test_state_dict_goes_between_torch_and_here():
    theirs, mine = tagger(), ours.accelerate(Tagger())
    file = io.BytesIO()
    torch.save(theirs.state_dict(), file)
    file.seek(0)
    mine.load_state_dict(torch.load(file))
    assert list(mine.state_dict()) == list(theirs.state_dict())
    assert_near(mine(TOKENS), theirs(TOKENS))


def test_another_dtype_after_a_call():
    mine = ours.LSTM(3, 4)
    x = torch.randn(5, 2, 3)
    y = mine(x)[0]
    wide = mine.double()(x.double())[0]
    assert wide.dtype == torch.float64
    assert_near(wide.float(), y)
    assert torch.equal(mine.float()(x)[0], y)
