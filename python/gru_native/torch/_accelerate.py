"""torch.nn's layers in a model become this package's, and back."""

from __future__ import annotations

from typing import TypeVar

from torch import nn

from ._modules import CLASSES

M = TypeVar("M", bound=nn.Module)


def accelerate(model: M) -> M:
    """Let every torch.nn.RNN, LSTM and GRU in the model compute on this package's core; returns it.

    The modules stay the objects that they are, with their parameters, hooks and all attributes;
    only their class changes, to the one of this package, so that optimizers and whoever else holds
    them see nothing. Subclasses, which may have another forward, are left alone. Modules that are
    on another device or in another dtype change too; calling them is then an error.

    Raises TypeError for what is no module.
    """
    become = {c.torch_class: c for c in CLASSES}
    for module in _modules(model):
        if type(module) in become:
            module.__class__ = become[type(module)]
    return model


def restore(model: M) -> M:
    """Undo ``accelerate``: this package's layers in the model become torch.nn's; returns it.

    Those with options that torch.nn does not have stay as they are. Raises TypeError for what is no
    module.
    """
    for module in _modules(model):
        if type(module) in CLASSES and not module.options:
            module.forget_layer()
            module.__class__ = module.torch_class
    return model


def _modules(model: object) -> list[nn.Module]:
    if not isinstance(model, nn.Module):
        raise TypeError(f"model is a {type(model).__name__}; expected a torch.nn.Module")
    return list(model.modules())
