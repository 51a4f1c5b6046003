"""torch.nn's layers in a model become this package's, and back."""

from __future__ import annotations

from typing import TypeVar

from torch import nn

from ._modules import CLASSES

M = TypeVar("M", bound=nn.Module)


def accelerate(model: M) -> M:
    """Let every torch.nn.RNN, LSTM and GRU in a model compute on this package's core.

    The modules stay the objects that they are, with their parameters, hooks and attributes; only
    their class changes, to that of this package. So optimizers and whatever else holds them notice
    nothing. Subclasses are left alone, since they may have another forward. Modules on another
    device or in another dtype change too; calling them is then an error.

    Parameters
    ----------
    model : torch.nn.Module
        The model, which may itself be such a module.

    Returns
    -------
    torch.nn.Module
        The same model.

    Raises
    ------
    TypeError
        For what is no module.

    See Also
    --------
    restore : Undo it.
    """
    become = {c.torch_class: c for c in CLASSES}
    for module in _modules(model):
        if type(module) in become:
            module.__class__ = become[type(module)]
    return model


def restore(model: M) -> M:
    """Undo ``accelerate``: this package's layers in a model become those of ``torch.nn``.

    Layers with options that ``torch.nn`` does not have stay as they are.

    Parameters
    ----------
    model : torch.nn.Module
        The model, which may itself be such a layer.

    Returns
    -------
    torch.nn.Module
        The same model.

    Raises
    ------
    TypeError
        For what is no module.

    See Also
    --------
    accelerate : What it undoes.
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
